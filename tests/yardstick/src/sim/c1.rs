//! c1: how soon a breaker trips when a service begins to fail, and how seldom when it merely fails a little.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use clap::Args;
use fastrand::Rng;
use tower_service::Service;

use super::{
    clock, crew,
    subject::{Peer, Subject},
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    ground::{Fault, drive},
    options::Common,
    ours::{self, Variant},
    progress, stats,
};

/// Options of c1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Calls per second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Share of calls that fail before the service begins to fail in earnest.
    #[arg(long, default_value_t = 0.01)]
    background: f64,
    /// Shares of calls that fail from then on; each is a column.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 0.5, 0.2])]
    shares: Vec<f64>,
    /// How often a run lets the service begin to fail.
    #[arg(long, default_value_t = 500)]
    shifts: u32,
    /// Calls at the background's share before each shift, all admitted.
    #[arg(long, default_value_t = 4000)]
    before: u32,
    /// Calls after which a breaker that has not tripped never does.
    #[arg(long, default_value_t = 100_000)]
    patience: u32,
    /// Calls at each steady share over all runs, to count the endpoint rule's false trips.
    #[arg(long, default_value_t = 100_000_000)]
    calls: u64,
    /// Counts false trips over 10⁹ calls, which takes some minutes.
    #[arg(long, conflicts_with = "calls")]
    full: bool,
    /// Calls at each steady share over all runs, to measure goodput, and the peers' trips.
    #[arg(long, default_value_t = 20_000_000)]
    goodput_calls: u64,
    /// Calls at a steady share by which a breaker has learnt it.
    #[arg(long, default_value_t = 50_000)]
    learn: u32,
}

impl Options {
    /// As many calls as `--full` counts false trips over.
    const FULL_CALLS: u64 = 1_000_000_000;

    fn gap(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// Calls of one run of `subject` at a steady `share`.
    fn steady_calls(&self, subject: Subject, share: f64) -> u64 {
        let counted = subject == ENDPOINT && COUNTED.contains(&share);
        let all = match (counted, self.full) {
            (true, true) => Self::FULL_CALLS,
            (true, false) => self.calls,
            (false, _) => self.goodput_calls,
        };
        // A quick look does not divide the whole among its few runs.
        all / u64::from(if self.common.quick { Common::RUNS } else { self.common.runs() })
    }
}

pub(crate) const TITLE: &str = "c1: calls until a breaker trips";

/// Steady shares at which false trips are counted.
const COUNTED: [f64; 3] = [0.05, 0.1, 0.2];
/// Steady shares at which goodput is measured.
const GOODPUT: [f64; 3] = [0.1, 0.2, 0.3];

/// The subjects of which something is asked.
const SERVICE_WIDE: Subject = Subject::Ours(Variant::ServiceWide);
const ENDPOINT: Subject = Subject::Ours(Variant::Endpoint);

/// What is measured of a subject in one run.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Measure {
    /// Calls until it trips, once this share fails.
    Trip(f64),
    /// Trips and goodput at this share.
    Steady(f64),
}

/// What one run gave.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Mean of the shifts' calls until the trip; infinite when one ran out of patience.
    to_trip: f64,
    offered: u64,
    admitted: u64,
    served: u64,
    trips: u64,
}

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let peers = Peer::ALL.map(Subject::Peer);
    let subjects: Vec<Subject> = peers.into_iter().chain([SERVICE_WIDE, ENDPOINT]).collect();
    let quantities: Vec<Quantity> = options
        .shares
        .iter()
        .map(|share| Quantity::ToTrip(*share))
        .chain(COUNTED.map(Quantity::Between))
        .chain(GOODPUT.map(Quantity::Goodput))
        .collect();
    let mut measures: Vec<Measure> = quantities.iter().map(|quantity| quantity.measure()).collect();
    measures.sort_by(|one, other| one.partial_cmp(other).expect("shares are numbers"));
    measures.dedup();
    let mut jobs = Vec::new();
    for &subject in &subjects {
        for &measure in &measures {
            jobs.extend(options.common.seeds().map(|seed| (subject, measure, seed)));
        }
    }
    let bar = progress::bar(TITLE, jobs.len());
    let tallies = crew::each(&jobs, &bar, |&(subject, measure, seed)| one(options, subject, measure, seed));
    bar.finish_and_clear();

    let of = |subject: Subject, measure: Measure| -> Vec<Tally> {
        let named = jobs.iter().zip(&tallies).filter(|(job, _)| (job.0, job.1) == (subject, measure));
        named.map(|(_, tally)| *tally).collect()
    };
    let figure = |subject, quantity: Quantity| quantity.read(&of(subject, quantity.measure()));

    let mut board = Board::new(TITLE, quantities.iter().map(|quantity| quantity.column()).collect());
    for &subject in &subjects {
        let role = subject.role();
        let figures: Vec<f64> = quantities.iter().map(|quantity| figure(subject, *quantity)).collect();
        board.row(role, subject.name(), figures.iter().map(|figure| Cell::from(*figure)).collect());
        if role == Role::Ours {
            let judged =
                quantities.iter().zip(&figures).map(|(quantity, figure)| quantity.judge(subject, *figure));
            board.judge(judged.collect());
        }
    }
    board.note(format!(
        "{} calls/s, {:.0} % failures, then the share that heads the column; mean of {} runs × {} shifts, first seed {}.",
        options.rate,
        options.background * 100.0,
        options.common.runs(),
        options.shifts,
        options.common.seed,
    ));
    let counted = options.steady_calls(ENDPOINT, COUNTED[0]) * u64::from(options.common.runs());
    let measured = options.steady_calls(SERVICE_WIDE, COUNTED[0]) * u64::from(options.common.runs());
    board.note(format!(
        "Between trips: the endpoint rule over {counted:.1e} calls at each share, the others over {measured:.1e}; `--full` counts over 10⁹.",
        counted = counted as f64,
        measured = measured as f64,
    ));
    board.note("Goodput: calls served, of those that would have been without a breaker.");
    vec![board]
}

/// A figure of the table.
#[derive(Clone, Copy, Debug)]
enum Quantity {
    ToTrip(f64),
    Between(f64),
    Goodput(f64),
}

impl Quantity {
    fn measure(self) -> Measure {
        match self {
            Self::ToTrip(share) => Measure::Trip(share),
            Self::Between(share) | Self::Goodput(share) => Measure::Steady(share),
        }
    }

    fn column(self) -> Column {
        match self {
            Self::ToTrip(share) => {
                Column::new(format!("to trip, {:.0} %", share * 100.0), Unit::Calls).plotted()
            }
            Self::Between(share) => {
                Column::new(format!("between trips, {:.0} %", share * 100.0), Unit::Calls)
            }
            Self::Goodput(share) => {
                Column::new(format!("goodput, {:.0} %", share * 100.0), Unit::Percent).plotted()
            }
        }
    }

    fn read(self, runs: &[Tally]) -> f64 {
        let sum = |count: fn(&Tally) -> u64| runs.iter().map(count).sum::<u64>() as f64;
        match self {
            Self::ToTrip(_) => stats::mean(&runs.iter().map(|run| run.to_trip).collect::<Vec<_>>()),
            Self::Between(_) if sum(|run| run.trips) == 0.0 => f64::INFINITY,
            Self::Between(_) => sum(|run| run.admitted) / sum(|run| run.trips),
            Self::Goodput(share) => 100.0 * sum(|run| run.served) / ((1.0 - share) * sum(|run| run.offered)),
        }
    }

    fn judge(self, subject: Subject, figure: f64) -> Option<Judgement> {
        let at_most = |limit| Some(Judgement::at_most(limit, figure, self.column().unit));
        let at_least = |limit| Some(Judgement::at_least(limit, figure, self.column().unit));
        match (subject, self) {
            (ENDPOINT, Self::ToTrip(1.0)) => at_most(6.1),
            (ENDPOINT, Self::ToTrip(0.5)) => at_most(17.0),
            (ENDPOINT, Self::ToTrip(0.2)) => at_most(125.0),
            (ENDPOINT, Self::Between(_)) => at_least(1e6),
            (SERVICE_WIDE, Self::ToTrip(1.0)) => at_most(10.0),
            (SERVICE_WIDE, Self::ToTrip(0.5)) => at_most(120.0),
            (SERVICE_WIDE, Self::Between(0.2)) => at_least(1e5),
            (SERVICE_WIDE, Self::Goodput(_)) => at_least(95.0),
            _ => None,
        }
    }
}

/// Answers `true` with success and `false` with failure, at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coin;

impl Service<bool> for Coin {
    type Response = ();
    type Error = Fault;
    type Future = Ready<Result<(), Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, good: bool) -> Self::Future {
        ready(if good { Ok(()) } else { Err(Fault::Down) })
    }
}

fn one(options: &Options, subject: Subject, measure: Measure, seed: u64) -> Tally {
    clock::paused(|| match subject {
        Subject::Peer(peer) => {
            let service = peer.around(Coin, seed);
            let trips = service.trips();
            Caller { service, trips, dice: Rng::with_seed(seed), gap: options.gap() }
                .measure(options, subject, measure)
        }
        Subject::Ours(variant) => {
            let (service, trips) = ours::simulated(Coin, variant, seed);
            Caller { service, trips, dice: Rng::with_seed(seed), gap: options.gap() }
                .measure(options, subject, measure)
        }
    })
}

/// A client that calls at an even pace.
struct Caller<S, F> {
    service: S,
    trips: F,
    dice: Rng,
    gap: Duration,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Served,
    Failed,
    Refused,
}

impl<S: Service<bool, Response = (), Error = Fault>, F: Fn() -> u64> Caller<S, F> {
    fn call(&mut self, share: f64) -> Answer {
        clock::pass(self.gap);
        match drive(&mut self.service, self.dice.f64() >= share) {
            Ok(()) => Answer::Served,
            Err(Fault::Down) => Answer::Failed,
            Err(Fault::Refused(_)) => Answer::Refused,
        }
    }

    /// Calls until `calls` in a row have been admitted, so that nothing is left of the last trip.
    fn settle(&mut self, share: f64, calls: u32) {
        // A breaker that trips at this share may never settle; it is then measured as it is.
        let mut left = 4 * calls;
        let mut row = 0;
        while row < calls && left > 0 {
            row = if self.call(share) == Answer::Refused { 0 } else { row + 1 };
            left -= 1;
        }
    }

    fn measure(mut self, options: &Options, subject: Subject, measure: Measure) -> Tally {
        match measure {
            Measure::Trip(_) if subject == Subject::Peer(Peer::None) => {
                Tally { to_trip: f64::INFINITY, ..Tally::default() }
            }
            Measure::Trip(share) => {
                self.settle(options.background, options.learn);
                let shifts = (0..options.shifts).map(|_| self.calls_to_trip(options, share));
                // One shift that never ends says enough.
                let shifts: Option<Vec<f64>> = shifts.collect();
                Tally {
                    to_trip: shifts.map_or(f64::INFINITY, |shifts| stats::mean(&shifts)),
                    ..Tally::default()
                }
            }
            Measure::Steady(share) => {
                self.settle(share, options.learn);
                self.steady(share, options.steady_calls(subject, share))
            }
        }
    }

    fn calls_to_trip(&mut self, options: &Options, share: f64) -> Option<f64> {
        self.settle(options.background, options.before);
        let trips = (self.trips)();
        (1..=options.patience)
            .find(|_| {
                self.call(share);
                (self.trips)() > trips
            })
            .map(f64::from)
    }

    fn steady(&mut self, share: f64, calls: u64) -> Tally {
        let trips = (self.trips)();
        let mut tally = Tally { offered: calls, ..Tally::default() };
        for _ in 0..calls {
            let answer = self.call(share);
            tally.admitted += u64::from(answer != Answer::Refused);
            tally.served += u64::from(answer == Answer::Served);
        }
        tally.trips = (self.trips)() - trips;
        tally
    }
}
