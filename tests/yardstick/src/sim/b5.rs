//! b5: telling a bad host from bad luck.

use std::{
    cell::RefCell,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use clap::Args;
use fastrand::Rng;
use tower_service::Service;

use super::{clock, crew, dice};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    ground::{Fault, drive},
    options::{Common, positive},
    ours::balance::{BalanceSettings, Choice, Ejection, balance},
    progress, stats,
};

/// Options of b5.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Numbers of hosts.
    #[arg(long, value_delimiter = ',', default_values_t = [20, 100])]
    hosts: Vec<usize>,
    /// Percentages of errors of healthy hosts.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 5.0])]
    errors: Vec<f64>,
    /// Requests of each host in each interval.
    #[arg(long, default_value_t = 200, value_parser = positive)]
    requests: usize,
    /// Intervals of each run.
    #[arg(long, default_value_t = 50)]
    intervals: usize,
    /// Seconds of an interval.
    #[arg(long, default_value_t = 10)]
    interval: u64,
    /// Percentage of errors of the bad host.
    #[arg(long, default_value_t = 10.0)]
    bad: f64,
    /// Percentage of errors of the hosts among which it stands.
    #[arg(long, default_value_t = 1.0)]
    among: f64,
    /// Requests of each host in each interval then.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    bad_requests: usize,
    /// Intervals of each run then.
    #[arg(long, default_value_t = 5)]
    bad_intervals: usize,
}

pub(crate) const TITLE: &str = "b5: a bad host, or bad luck";

const MOST_INTERVALS: f64 = 2.0;

/// Who judges the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    Envoy,
    /// Ours, without the rules of calls in a row.
    Ours,
}

impl Judge {
    const ALL: [Self; 2] = [Self::Envoy, Self::Ours];

    fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy, success rate",
            Self::Ours => "ours",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Envoy => Role::Peer,
            Self::Ours => Role::Ours,
        }
    }

    /// Which hosts are ejected, and in which interval.
    fn judge(self, court: &Court) -> Vec<(usize, usize)> {
        match self {
            Self::Envoy => envoy(court),
            Self::Ours => clock::paused(|| ours(court)),
        }
    }
}

/// Hosts that are judged, and all that they do.
#[derive(Clone, Debug)]
struct Court {
    seed: u64,
    /// The share of errors of each host.
    errors: Vec<f64>,
    requests: usize,
    intervals: usize,
    interval: Duration,
}

/// Runs the experiment: a table for healthy hosts, and one for a bad host among them.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let interval = Duration::from_secs(options.interval);
    let mut courts = Vec::new();
    for &hosts in &options.hosts {
        courts.extend(options.errors.iter().map(|errors| Court {
            seed: 0,
            errors: vec![errors / 100.0; hosts],
            requests: options.requests,
            intervals: options.intervals,
            interval,
        }));
    }
    let healthy = courts.len();
    courts.extend(options.hosts.iter().map(|&hosts| {
        let mut errors = vec![options.among / 100.0; hosts];
        errors[hosts / 2] = options.bad / 100.0;
        Court { seed: 0, errors, requests: options.bad_requests, intervals: options.bad_intervals, interval }
    }));
    let jobs: Vec<(Judge, Court)> = courts
        .iter()
        .flat_map(|court| Judge::ALL.map(|judge| (judge, court)))
        .flat_map(|(judge, court)| {
            options.common.seeds().map(move |seed| (judge, Court { seed, ..court.clone() }))
        })
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let ejected = crew::each(&jobs, &bar, |(judge, court)| judge.judge(court));
    bar.finish_and_clear();
    let runs = options.common.runs() as usize;
    let by_court: Vec<&[Vec<(usize, usize)>]> = ejected.chunks(runs * Judge::ALL.len()).collect();
    let (luck, bad) = by_court.split_at(healthy);
    vec![lucky(options, &courts[..healthy], luck), found(options, bad)]
}

fn lucky(options: &Options, courts: &[Court], ejected: &[&[Vec<(usize, usize)>]]) -> Board {
    let column = |court: &Court| {
        let title = format!("{} hosts at {} %", court.errors.len(), court.errors[0] * 100.0);
        Column::new(title, Unit::Calls).plotted()
    };
    let title = format!(
        "{TITLE}, false ejections in {} intervals",
        options.intervals as u64 * u64::from(options.common.runs())
    );
    let mut board = Board::new(title, courts.iter().map(column).collect());
    for (place, judge) in Judge::ALL.into_iter().enumerate() {
        let figures: Vec<f64> = ejected
            .iter()
            .map(|court| of(options, court, place).iter().map(|run| run.len() as f64).sum())
            .collect();
        board.row(judge.role(), judge.name(), figures.iter().copied().map(Cell::from).collect());
        if judge.role() == Role::Ours {
            let judged = |figure: &f64| Some(Judgement::at_most(0.0, *figure, Unit::Calls));
            board.judge(figures.iter().map(judged).collect());
        }
    }
    board.note(format!(
        "All hosts alike; {} requests of each in each interval of {} s, {} intervals in each of {} runs, first seed {}. Envoy's rule (mean − 1.9 σ of the success rates of 5 hosts of 100 requests and more) is counted whenever it fires, without its cap.",
        options.requests,
        options.interval,
        options.intervals,
        options.common.runs(),
        options.common.seed,
    ));
    board
}

fn found(options: &Options, ejected: &[&[Vec<(usize, usize)>]]) -> Board {
    let columns = options.hosts.iter().flat_map(|hosts| {
        [
            Column::new(format!("{hosts} hosts: intervals until it is out"), Unit::Calls).less().plotted(),
            Column::new("at worst", Unit::Calls),
            Column::new("others out", Unit::Calls).less(),
        ]
    });
    let title = format!("{TITLE}, one host at {} % among hosts at {} %", options.bad, options.among);
    let mut board = Board::new(title, columns.collect());
    for (place, judge) in Judge::ALL.into_iter().enumerate() {
        let (mut cells, mut judgements) = (Vec::new(), Vec::new());
        for (hosts, court) in options.hosts.iter().zip(ejected) {
            let runs = of(options, court, place);
            let until: Vec<f64> = runs
                .iter()
                .map(|run| {
                    let found = run.iter().find(|(_, host)| *host == hosts / 2);
                    found.map_or(f64::INFINITY, |(interval, _)| (interval + 1) as f64)
                })
                .collect();
            let worst = until.iter().copied().fold(0.0, f64::max);
            let others: f64 =
                runs.iter().map(|run| run.iter().filter(|(_, host)| *host != hosts / 2).count() as f64).sum();
            cells.extend([stats::mean(&until), worst, others].map(Cell::from));
            judgements.extend([None, Some(Judgement::at_most(MOST_INTERVALS, worst, Unit::Calls)), None]);
        }
        board.row(judge.role(), judge.name(), cells);
        if judge.role() == Role::Ours {
            board.judge(judgements);
        }
    }
    board.note(format!(
        "{} requests of each host in each of {} intervals of {} s; {} runs, first seed {}.",
        options.bad_requests,
        options.bad_intervals,
        options.interval,
        options.common.runs(),
        options.common.seed,
    ));
    board
}

/// The runs of one judge in one court.
fn of<'a, T>(options: &Options, court: &'a [T], judge: usize) -> &'a [T] {
    let runs = options.common.runs() as usize;
    &court[judge * runs..][..runs]
}

impl Court {
    /// The dice of each host, which fall alike for every judge.
    fn dice(&self) -> Vec<Rng> {
        (0..self.errors.len()).map(|host| dice::of(self.seed, host as u64, 5)).collect()
    }
}

thread_local! {
    /// The hosts' dice and shares of errors, of the run on this thread.
    static LOTS: RefCell<Vec<(Rng, f64)>> = const { RefCell::new(Vec::new()) };
}

/// A host that answers at once.
#[derive(Clone, Copy, Debug)]
struct Lot(usize);

impl Service<()> for Lot {
    type Response = ();
    type Error = Fault;
    type Future = Ready<Result<(), Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let good = LOTS.with_borrow_mut(|lots| {
            let (dice, errors) = &mut lots[self.0];
            dice.f64() >= *errors
        });
        ready(if good { Ok(()) } else { Err(Fault::Down) })
    }
}

/// Our ejection by its comparison of hosts, through the layer; hosts have turns. Who is ejected gets no calls for a while.
fn ours(court: &Court) -> Vec<(usize, usize)> {
    LOTS.set(court.dice().into_iter().zip(court.errors.iter().copied()).collect());
    let ejection = Ejection::new().consecutive(0).consecutive_local(0).interval(court.interval);
    let settings = BalanceSettings::new().choice(Choice::round_robin()).ejection(ejection).seed(court.seed);
    let mut service = balance(settings, court.errors.len(), Lot);
    let handle = service.handle();
    let (mut known, mut ejected) = (vec![0; court.errors.len()], Vec::new());
    let step = court.interval / court.requests as u32;
    for interval in 0..court.intervals {
        for _ in 0..court.requests {
            clock::pass(step);
            for _ in 0..court.errors.len() {
                _ = drive(&mut service, ());
            }
        }
        for endpoint in handle.snapshot().endpoints {
            if endpoint.ejections > known[endpoint.key] {
                known[endpoint.key] = endpoint.ejections;
                ejected.push((interval, endpoint.key));
            }
        }
    }
    ejected
}

/// Envoy's outlier detection by success rate, with its defaults: `success_rate_stdev_factor` 1.9, `success_rate_minimum_hosts` 5,
/// `success_rate_request_volume` 100. Nobody is really ejected, so that its cap hides nothing.
fn envoy(court: &Court) -> Vec<(usize, usize)> {
    const FACTOR: f64 = 1.9;
    const LEAST_HOSTS: usize = 5;
    const LEAST_REQUESTS: usize = 100;
    if court.errors.len() < LEAST_HOSTS || court.requests < LEAST_REQUESTS {
        return Vec::new();
    }
    let mut dice = court.dice();
    let mut ejected = Vec::new();
    for interval in 0..court.intervals {
        let rate = |(dice, errors): (&mut Rng, &f64)| {
            (0..court.requests).filter(|_| dice.f64() >= *errors).count() as f64 / court.requests as f64
        };
        let rates: Vec<f64> = dice.iter_mut().zip(&court.errors).map(rate).collect();
        let mean = stats::mean(&rates);
        let squares: Vec<f64> = rates.iter().map(|rate| (rate - mean).powi(2)).collect();
        let threshold = mean - FACTOR * stats::mean(&squares).sqrt();
        let low = rates.iter().enumerate().filter(|(_, rate)| **rate < threshold);
        ejected.extend(low.map(|(host, _)| (interval, host)));
    }
    ejected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn court(errors: Vec<f64>, requests: usize, intervals: usize) -> Court {
        Court { seed: 1, errors, requests, intervals, interval: Duration::from_secs(10) }
    }

    #[test]
    fn envoys_rule_ejects_by_luck_as_often_as_is_known() {
        // P(X > mean + 1.9 σ) of the binomial distribution is 5 % with 200 requests; among few, a bad one also widens σ.
        let few = envoy(&court(vec![0.01; 20], 200, 1000)).len();
        assert!((800..1000).contains(&few), "{few}");
        let many = envoy(&court(vec![0.01; 100], 200, 1000)).len();
        assert!((4200..5200).contains(&many), "{many}");
    }

    #[test]
    fn envoys_rule_finds_a_bad_host_and_asks_for_evidence() {
        let mut errors = vec![0.01; 20];
        errors[10] = 0.1;
        assert!(envoy(&court(errors.clone(), 1000, 1)).contains(&(0, 10)));
        assert_eq!(envoy(&court(errors.clone(), 99, 10)), []);
        assert_eq!(envoy(&court(errors[8..12].to_vec(), 1000, 10)), []);
    }

    #[test]
    fn a_host_that_fails_half_of_its_calls_is_found_by_all() {
        let mut errors = vec![0.01; 20];
        errors[10] = 0.5;
        for judge in Judge::ALL {
            let found = judge.judge(&court(errors.clone(), 200, 3));
            assert!(found.iter().any(|(_, host)| *host == 10), "{judge:?}");
        }
    }
}
