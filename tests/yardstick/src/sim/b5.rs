//! b5: telling a bad host from bad luck.

use clap::Args;
use fastrand::Rng;

use super::{crew, dice};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
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
}

impl Judge {
    const ALL: [Self; 1] = [Self::Envoy];

    fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy, success rate",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Envoy => Role::Peer,
        }
    }

    /// Which hosts are ejected, and in which interval.
    fn judge(self, court: &Court) -> Vec<(usize, usize)> {
        match self {
            Self::Envoy => envoy(court),
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
}

/// Runs the experiment: a table for healthy hosts, and one for a bad host among them.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let mut courts = Vec::new();
    for &hosts in &options.hosts {
        courts.extend(options.errors.iter().map(|errors| Court {
            seed: 0,
            errors: vec![errors / 100.0; hosts],
            requests: options.requests,
            intervals: options.intervals,
        }));
    }
    let healthy = courts.len();
    courts.extend(options.hosts.iter().map(|&hosts| {
        let mut errors = vec![options.among / 100.0; hosts];
        errors[hosts / 2] = options.bad / 100.0;
        Court { seed: 0, errors, requests: options.bad_requests, intervals: options.bad_intervals }
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
            Column::new(format!("{hosts} hosts: intervals until it is out"), Unit::Calls).plotted(),
            Column::new("at worst", Unit::Calls),
            Column::new("others out", Unit::Calls),
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
        Court { seed: 1, errors, requests, intervals }
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
}
