//! The stop-watch: lanes that take turns in one process, in thread CPU time.
//!
//! Ours and the peers alternate in short batches, in an order shuffled anew for each round, so that whatever slows the
//! machine for a moment slows all of them alike; the median of many batches drops what hit one alone. Thread CPU time
//! does not count what the machine did for others meanwhile.

use std::{sync::Barrier, thread, time::Duration};

use cpu_time::ThreadTime;
use fastrand::Rng;
use indicatif::ProgressBar;
use tokio::{runtime::Handle, time::Instant};

use crate::stats;

/// One competitor: makes as many calls as it is told.
pub(crate) struct Lane {
    pub(crate) place: Place,
    turn: Box<dyn FnMut(u64) + Send>,
}

/// Where a lane's figures go: its row, and the case that is its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Primitive(char),
    Bare(usize),
    Peer(usize, &'static str),
    Ours(usize),
}

impl Lane {
    /// A lane at `place` that makes `call` with a number that counts up.
    pub(crate) fn new(place: Place, mut call: impl FnMut(u64) + Send + 'static) -> Self {
        Self { place, turn: Box::new(move |calls| (0..calls).for_each(&mut call)) }
    }

    /// Makes `calls` calls.
    pub(crate) fn run(&mut self, calls: u64) {
        (self.turn)(calls);
    }

    /// Heap allocations per call once warm.
    fn allocations(&mut self) -> f64 {
        const CALLS: u32 = 1000;
        self.run(u64::from(CALLS));
        let counted = allocation_counter::measure(|| self.run(u64::from(CALLS)));
        counted.count_total as f64 / f64::from(CALLS)
    }

    /// How many calls take about [`BATCH_NANOS`].
    fn batch(&mut self) -> u64 {
        let mut calls = 16;
        loop {
            let taken = self.time(calls).nanos * calls as f64;
            if taken >= BATCH_NANOS {
                return (calls as f64 * BATCH_NANOS / taken).ceil() as u64;
            }
            calls *= 2;
        }
    }

    /// Makes `calls` calls, and times them.
    fn time(&mut self, calls: u64) -> Sample {
        let begin = Instant::now();
        let start = ThreadTime::now();
        self.run(calls);
        let busy = start.elapsed();
        Sample { nanos: busy.as_nanos() as f64 / calls as f64, busy, begin, end: Instant::now() }
    }
}

/// One batch of one thread.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Nanoseconds of the thread's CPU time per call.
    nanos: f64,
    busy: Duration,
    begin: Instant,
    end: Instant,
}

/// Share of the time that threads must have run side by side for their batches to say what sharing costs.
const TOGETHER: f64 = 0.8;

/// Whether the threads ran side by side, and were not made to take turns by a busy machine. One thread always did.
fn together(samples: &[Sample]) -> bool {
    let [_, _, ..] = samples else { return true };
    let from = |pick: fn(Instant, Instant) -> Instant| samples.iter().map(|s| s.begin).reduce(pick);
    let to = |pick: fn(Instant, Instant) -> Instant| samples.iter().map(|s| s.end).reduce(pick);
    let span = |from: Option<Instant>, to: Option<Instant>| {
        from.zip(to).map_or(Duration::ZERO, |(from, to)| to.saturating_duration_since(from))
    };
    let all = span(from(Instant::min), to(Instant::max)).mul_f64(TOGETHER);
    span(from(Instant::max), to(Instant::min)) >= all
}

/// Whether each thread had a processor of its own all the while. Threads that wait for a lock have not, with no fault
/// of the machine.
fn undisturbed(samples: &[Sample]) -> bool {
    samples.iter().all(|sample| sample.busy >= (sample.end - sample.begin).mul_f64(TOGETHER))
}

/// Long beside the two clock reads around a batch, short beside the moments in which a machine changes its mind.
const BATCH_NANOS: f64 = 200_000.0;
/// The same for threads that must overlap, beside the time that a barrier takes to let them go.
const SHARED_BATCH_FACTOR: u64 = 3;

/// What a lane costs per call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) place: Place,
    pub(crate) nanos: f64,
    pub(crate) allocations: f64,
    /// The rounds that the figure is taken over.
    pub(crate) rounds: usize,
}

/// Lets the lanes of each team alternate for `rounds` rounds, one thread per team, all threads on the same lane at a
/// time; a figure is the median over the rounds of the mean over the threads. Rounds in which threads did not run side
/// by side, each on a processor of its own, are left out unless there is no other. Each thread is inside `runtime`.
pub(crate) fn race(
    teams: &mut [Vec<Lane>],
    rounds: usize,
    dice: &Rng,
    runtime: &Handle,
    bar: &ProgressBar,
) -> Vec<Figure> {
    let lanes = teams[0].len();
    assert!(teams.iter().all(|team| team.len() == lanes), "every thread runs the same lanes");
    let (batches, allocations): (Vec<u64>, Vec<f64>) = {
        let _inside = runtime.enter();
        teams[0].iter_mut().map(|lane| (lane.batch(), lane.allocations())).unzip()
    };
    let shared = if teams.len() > 1 { SHARED_BATCH_FACTOR } else { 1 };
    let threads = teams.len();
    let start = Barrier::new(threads);

    let run = |team: &mut Vec<Lane>, bar: Option<&ProgressBar>| {
        let _inside = runtime.enter();
        let mut dice = dice.clone();
        let mut samples = vec![Vec::with_capacity(rounds); lanes];
        let mut order: Vec<usize> = (0..lanes).collect();
        for _ in 0..rounds {
            dice.shuffle(&mut order);
            for &lane in &order {
                if threads > 1 {
                    start.wait();
                }
                samples[lane].push(team[lane].time(batches[lane] * shared));
            }
            bar.inspect(|bar| bar.inc(1));
        }
        samples
    };
    let timed: Vec<Vec<Vec<Sample>>> = thread::scope(|scope| {
        let (first, others) = teams.split_first_mut().expect("a race has a team");
        let run = &run;
        let others: Vec<_> = others.iter_mut().map(|team| scope.spawn(move || run(team, None))).collect();
        let mut timed = vec![run(first, Some(bar))];
        timed.extend(others.into_iter().map(|other| other.join().expect("no lane panics")));
        timed
    });

    let figure = |lane: usize| {
        let rounds: Vec<Vec<Sample>> =
            (0..rounds).map(|round| timed.iter().map(|team| team[lane][round]).collect()).collect();
        let side_by_side: Vec<&Vec<Sample>> = rounds.iter().filter(|samples| together(samples)).collect();
        let quiet: Vec<&Vec<Sample>> =
            side_by_side.iter().copied().filter(|samples| undisturbed(samples)).collect();
        let shared = quiet.len();
        let all: Vec<&Vec<Sample>> = rounds.iter().collect();
        let used = [quiet, side_by_side, all].into_iter().find(|used| !used.is_empty()).unwrap_or_default();
        let nanos = |samples: &&Vec<Sample>| {
            stats::mean(&samples.iter().map(|sample| sample.nanos).collect::<Vec<_>>())
        };
        Figure {
            place: teams[0][lane].place,
            nanos: stats::median(&mut used.iter().map(nanos).collect::<Vec<_>>()),
            allocations: allocations[lane],
            rounds: shared,
        }
    };
    (0..lanes).map(figure).collect()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn work(steps: u64) -> impl FnMut(u64) + Send {
        move |_| (0..steps).for_each(|step| _ = black_box(step))
    }

    fn raced(teams: &mut [Vec<Lane>]) -> Vec<Figure> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        race(teams, 5, &Rng::with_seed(1), runtime.handle(), &ProgressBar::hidden())
    }

    #[test]
    fn a_figure_belongs_to_its_lane() {
        let lanes = vec![
            Lane::new(Place::Bare(0), work(1)),
            Lane::new(Place::Ours(0), |_| drop(black_box(Box::new(1)))),
            Lane::new(Place::Peer(0, "slow"), work(1000)),
        ];
        let figures = raced(&mut [lanes]);
        assert_eq!(
            figures.iter().map(|figure| figure.place).collect::<Vec<_>>(),
            [Place::Bare(0), Place::Ours(0), Place::Peer(0, "slow")]
        );
        assert_eq!(figures.iter().map(|figure| figure.allocations).collect::<Vec<_>>(), [0.0, 1.0, 0.0]);
        assert!(figures[2].nanos > 10.0 * figures[0].nanos);
    }

    #[test]
    fn threads_that_took_turns_are_found_out() {
        let origin = Instant::now();
        let at = |millis| origin + Duration::from_millis(millis);
        let sample = |begin, end| Sample {
            nanos: 1.0,
            busy: Duration::from_millis(50),
            begin: at(begin),
            end: at(end),
        };
        assert!(together(&[sample(0, 100), sample(5, 100)]));
        assert!(!together(&[sample(0, 50), sample(50, 100)]), "one after the other");
        assert!(!together(&[sample(0, 100), sample(50, 100)]), "half the time alone");
        assert!(together(&[sample(0, 100)]), "the only one");
        assert!(undisturbed(&[sample(0, 50), sample(0, 60)]));
        assert!(!undisturbed(&[sample(0, 50), sample(0, 100)]), "in slices");
    }

    #[test]
    fn threads_run_the_same_lane_together() {
        let team = || vec![Lane::new(Place::Bare(0), work(1)), Lane::new(Place::Ours(0), work(100))];
        let figures = raced(&mut [team(), team()]);
        assert_eq!(figures.len(), 2);
        assert!(figures[1].nanos > figures[0].nanos);
    }
}
