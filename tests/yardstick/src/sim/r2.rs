//! r2: clients that contend for one row: how soon all have written it, and with how many calls.
//!
//! The simulator of Marc Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), from
//! github.com/aws-samples/aws-arch-backoff-simulator: each client reads the version of a row and writes it back, which fails when somebody else
//! has written meanwhile.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use clap::Args;
use tower::service_fn;

use super::{
    call::{Call, Caller, through},
    crew, dice,
    stage::{Stage, play, question},
};
use crate::{
    board::{Board, Cell as Shown, Column, Judgement, Role, Unit},
    ground::Fault,
    options::Common,
    ours::again::{self, Backoff, Budget, RetrySettings},
    progress, stats,
};

/// Options of r2.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Clients, each with one write to make.
    #[arg(long, default_value_t = 100)]
    clients: u64,
    /// Contests of one run.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Mean of the network's normal delay, each way, in milliseconds.
    #[arg(long, default_value_t = 10.0)]
    delay: f64,
    /// Its standard deviation, in milliseconds.
    #[arg(long, default_value_t = 2.0)]
    deviation: f64,
    /// Milliseconds from which AWS's back-off doubles, even before the first wait.
    #[arg(long, default_value_t = 5)]
    base: u64,
    /// Milliseconds at which it ends.
    #[arg(long, default_value_t = 2000)]
    cap: u64,
    /// Milliseconds up to which the first wait of ours lasts.
    #[arg(long, default_value_t = Backoff::DEFAULT_MIN.as_millis() as u64)]
    least: u64,
    /// Milliseconds up to which its longest wait lasts.
    #[arg(long, default_value_t = Backoff::DEFAULT_MAX.as_millis() as u64)]
    most: u64,
    /// How many times as long all lasts inside, as tokio's timers have steps of 1 ms.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    stretch: u32,
}

pub(crate) const TITLE: &str = "r2: contention";

/// How a client waits before it tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Not at all.
    None,
    /// `FullJitter` of the simulator itself.
    FullJitter,
    /// Ours, with AWS's constants.
    OursAsAws,
    /// Ours, with its own.
    Ours,
}

impl Wait {
    const ALL: [Self; 4] = [Self::None, Self::FullJitter, Self::OursAsAws, Self::Ours];

    fn name(self) -> &'static str {
        match self {
            Self::None => "no back-off",
            Self::FullJitter => "AWS FullJitter",
            Self::OursAsAws => "ours, AWS's constants",
            Self::Ours => "ours, its own back-off",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::None => Role::Bare,
            Self::FullJitter => Role::Peer,
            Self::OursAsAws | Self::Ours => Role::Ours,
        }
    }

    /// At most so many calls, and seconds.
    fn target(self) -> Option<[f64; 2]> {
        match self {
            Self::OursAsAws => Some([815.0, 5.1]),
            Self::Ours => Some([600.0, 4.1]),
            _ => None,
        }
    }
}

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let jobs: Vec<(Wait, u64)> =
        Wait::ALL.iter().flat_map(|wait| options.common.seeds().map(|seed| (*wait, seed))).collect();
    let bar = progress::bar(TITLE, jobs.len());
    let figures = crew::each(&jobs, &bar, |(wait, seed)| one(options, *wait, *seed));
    bar.finish_and_clear();

    let columns = [("calls", Unit::Calls), ("all written after", Unit::Seconds)];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).plotted());
    let mut board = Board::new(TITLE, columns.into());
    for (wait, runs) in Wait::ALL.iter().zip(figures.chunks(options.common.runs() as usize)) {
        let means = stats::means(runs);
        board.row(wait.role(), wait.name(), means.map(Shown::from).into());
        if let Some([calls, seconds]) = wait.target() {
            board.judge(vec![
                Some(Judgement::at_most(calls, means[0], Unit::Calls)),
                Some(Judgement::at_most(seconds, means[1], Unit::Seconds)),
            ]);
        }
    }
    board.note(format!(
        "{} clients, network delay {} ± {} ms each way; mean of {} runs × {} contests, first seed {}. No bound of attempts, and a budget that pays for all.",
        options.clients,
        options.delay,
        options.deviation,
        options.common.runs(),
        options.rounds,
        options.common.seed,
    ));
    board.note(format!(
        "AWS's constants: the n-th wait is up to min({} ms, 2ⁿ × {} ms); ours: min({} ms, 2ⁿ⁻¹ × {} ms).",
        options.cap, options.base, options.most, options.least,
    ));
    vec![board]
}

/// The means of all contests.
fn one(options: &Options, wait: Wait, seed: u64) -> [f64; 2] {
    let rounds = (0..options.rounds).map(|round| contest(*options, wait, dice::of(seed, round, 0).u64(..)));
    stats::means(&rounds.collect::<Vec<_>>())
}

fn contest(options: Options, wait: Wait, seed: u64) -> [f64; 2] {
    play(options.stretch, move |stage| async move {
        let (writes, version) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
        let (counted, on) = (writes.clone(), stage.clone());
        let service = service_fn(move |call: Call| {
            let (stage, version, writes) = (on.clone(), version.clone(), counted.clone());
            let mut dice = dice::of(seed, call.number(), call.copy());
            let mut delay = move || {
                let millis = options.delay + options.deviation * dice::normal(&mut dice);
                Duration::from_secs_f64(millis.abs() / 1e3)
            };
            async move {
                stage.sleep(delay()).await;
                let read = version.get();
                stage.sleep(delay() + delay()).await;
                writes.set(writes.get() + 1);
                let good = read == version.get();
                version.set(read.max(version.get()) + u64::from(good));
                stage.sleep(delay()).await;
                good.then_some(()).ok_or(Fault::Down)
            }
        });
        let left = Rc::new(Cell::new(options.clients));
        let (last, all) = question();
        let last = Rc::new(Cell::new(Some(last)));
        for client in 0..options.clients {
            let mut caller = wait.around(service.clone(), &options, &stage, seed ^ (client << 32));
            let (left, last) = (left.clone(), last.clone());
            stage.enter(async move {
                assert!(caller(Call::new(client)).await, "whoever tries for ever succeeds");
                left.set(left.get() - 1);
                if left.get() == 0 {
                    last.take().expect("one is the last").answer(());
                }
            });
        }
        all.await;
        [writes.get() as f64, stage.now().as_secs_f64()]
    })
}

impl Wait {
    fn around<S>(self, inner: S, options: &Options, stage: &Stage, seed: u64) -> Caller
    where
        S: tower_service::Service<Call, Response = (), Error = Fault, Future: 'static> + Clone + 'static,
    {
        let (base, cap) = (Duration::from_millis(options.base), Duration::from_millis(options.cap));
        let backoff = match self {
            Self::None => return looped(inner, stage, |_| Duration::ZERO),
            Self::FullJitter => {
                let mut dice = fastrand::Rng::with_seed(seed);
                let expo = move |n: u32| base.saturating_mul(1 << n.min(30)).min(cap);
                return looped(inner, stage, move |n| expo(n).mul_f64(dice.f64()));
            }
            Self::OursAsAws => Backoff::exponential(stage.stretched(2 * base), stage.stretched(cap)),
            Self::Ours => Backoff::exponential(
                stage.stretched(Duration::from_millis(options.least)),
                stage.stretched(Duration::from_millis(options.most)),
            ),
        };
        // Enough for everything.
        let budget = Budget::new().ratio(1.0).min_tokens(1000).persistence(1.0).seed(seed);
        let settings = RetrySettings::new().max_retries(u32::MAX).backoff(backoff).budget(budget).seed(seed);
        through(again::retry(inner, settings))
    }
}

/// Tries until it succeeds, with such a wait after each failure, of which the first is number 1.
fn looped<S>(inner: S, stage: &Stage, wait: impl FnMut(u32) -> Duration + 'static) -> Caller
where
    S: tower_service::Service<Call, Response = (), Error = Fault, Future: 'static> + Clone + 'static,
{
    let (stage, wait) = (stage.clone(), Rc::new(RefCell::new(wait)));
    Box::new(move |call| {
        let (stage, wait, mut inner) = (stage.clone(), wait.clone(), inner.clone());
        Box::pin(async move {
            let mut failures = 0;
            while inner.call(call.clone()).await.is_err() {
                failures += 1;
                let time = wait.borrow_mut()(failures);
                stage.sleep(time).await;
            }
            true
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Options = Options {
        common: Common::QUICK,
        clients: 100,
        rounds: 5,
        delay: 10.0,
        deviation: 2.0,
        base: 5,
        cap: 2000,
        least: 50,
        most: 1000,
        stretch: 100,
    };

    #[test]
    fn one_client_alone_writes_once() {
        let [calls, seconds] = one(&Options { clients: 1, ..SHAPE }, Wait::FullJitter, 1);
        assert_eq!(calls, 1.0);
        assert!((0.035..0.045).contains(&seconds), "{seconds}");
    }

    #[test]
    fn jitter_spares_most_of_the_calls() {
        let [all, _] = one(&SHAPE, Wait::None, 1);
        let [calls, seconds] = one(&SHAPE, Wait::FullJitter, 1);
        assert!((700.0..900.0).contains(&calls), "{calls}");
        assert!((3.5..6.5).contains(&seconds), "{seconds}");
        assert!(all > 2.0 * calls, "{all} {calls}");
    }
}
