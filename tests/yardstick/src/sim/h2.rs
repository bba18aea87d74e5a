//! h2: the slowest of a thousand leaves.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use clap::Args;
use fastrand::Rng;
use tower::service_fn;

use super::{
    call::Call,
    crew, dice,
    hedges::Hedger,
    stage::{Stage, play, question},
};
use crate::{
    board::{Board, Cell as Shown, Column, Judgement, Role, Unit},
    ground::Fault,
    options::Common,
    ours::again::{Budget, HedgeSettings},
    progress, stats,
};

/// Options of h2.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Roots of one run that are measured.
    #[arg(long, default_value_t = 1000)]
    roots: u64,
    /// Roots before them, from which the delay is learnt.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Leaf calls of each root, all at once; a root has its answer when it has all of theirs.
    #[arg(long, default_value_t = 1000)]
    leaves: u64,
    /// Milliseconds from root to root.
    #[arg(long, default_value_t = 100)]
    every: u64,
    /// Median of a leaf's lognormal service time, in milliseconds.
    #[arg(long, default_value_t = 3.0)]
    median: f64,
    /// Its scale.
    #[arg(long, default_value_t = 0.4)]
    sigma: f64,
    /// Milliseconds at which it is cut, and at which the slow calls' Pareto distribution begins.
    #[arg(long, default_value_t = 10.0)]
    cut: f64,
    /// Share of slow calls.
    #[arg(long, default_value_t = 0.02)]
    slow: f64,
    /// Exponent of their Pareto distribution.
    #[arg(long, default_value_t = 1.9)]
    alpha: f64,
    /// Percentile after which ours hedges.
    #[arg(long, default_value_t = 0.98)]
    percentile: f64,
    /// Share of extra calls that ours may send.
    #[arg(long, default_value_t = 0.05)]
    budget: f64,
    /// Tokens that the purse of ours holds.
    #[arg(long, default_value_t = 100)]
    cap: u32,
    /// Copies beyond the first that ours sends at most.
    #[arg(long, default_value_t = HedgeSettings::DEFAULT_MAX_HEDGES)]
    max_hedges: u32,
    /// How many times as long all lasts inside, as tokio's timers have steps of 1 ms.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    stretch: u32,
}

pub(crate) const TITLE: &str = "h2: hedging a wide fan-out";

impl Options {
    fn settings(&self, stage: &Stage, seed: u64) -> HedgeSettings {
        let budget = Budget::new().ratio(self.budget).min_tokens(self.cap).cap(Duration::ZERO).seed(seed);
        HedgeSettings::new()
            .percentile(self.percentile)
            .max_hedges(self.max_hedges)
            .budget(budget)
            .seed(seed)
            .min_delay(stage.stretched(HedgeSettings::DEFAULT_MIN_DELAY))
    }

    fn leaf(&self, dice: &mut Rng) -> Duration {
        let millis = if dice.f64() < self.slow {
            self.cut * (1.0 - dice.f64()).powf(-1.0 / self.alpha)
        } else {
            (self.median * (self.sigma * dice::normal(dice)).exp()).min(self.cut)
        };
        Duration::from_secs_f64(millis / 1e3)
    }
}

const HEDGERS: [Hedger; 4] =
    [Hedger::None, Hedger::Tower(0.98), Hedger::After(Duration::from_millis(10)), Hedger::Ours];
const COLUMNS: [(&str, Unit); 3] =
    [("root p50", Unit::Milliseconds), ("root p99.9", Unit::Milliseconds), ("extra", Unit::Percent)];

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let jobs: Vec<(Hedger, u64)> =
        HEDGERS.iter().flat_map(|hedger| options.common.seeds().map(|seed| (*hedger, seed))).collect();
    let bar = progress::bar(TITLE, jobs.len());
    let figures = crew::each(&jobs, &bar, |(hedger, seed)| one(options, *hedger, *seed));
    bar.finish_and_clear();

    let columns = COLUMNS.map(|(title, unit)| Column::new(title, unit).plotted());
    let mut board = Board::new(TITLE, columns.into());
    for (hedger, runs) in HEDGERS.iter().zip(figures.chunks(options.common.runs() as usize)) {
        let means = stats::means(runs);
        board.row(hedger.role(), hedger.name(), means.map(Shown::from).into());
        if hedger.role() == Role::Ours {
            let [_, p999, extra] = means;
            board.judge(vec![
                None,
                Some(Judgement::at_most(30.0, p999, Unit::Milliseconds)),
                Some(Judgement::at_most(2.1, extra, Unit::Percent)),
            ]);
        }
    }
    board.note(format!(
        "Roots of {} leaves each, {} of them, the first {} left out; mean of {} runs, first seed {}.",
        options.leaves,
        options.roots,
        options.warm_up,
        options.common.runs(),
        options.common.seed,
    ));
    board.note(format!(
        "A leaf takes a lognormal time of median {} ms and σ {}, cut at {} ms; {:.0} % a Pareto time from {} ms, α {}. Ours: percentile {}, budget {:.0} %, {} tokens.",
        options.median,
        options.sigma,
        options.cut,
        options.slow * 100.0,
        options.cut,
        options.alpha,
        options.percentile,
        options.budget * 100.0,
        options.cap,
    ));
    vec![board]
}

fn one(options: &Options, hedger: Hedger, seed: u64) -> [f64; 3] {
    let options = *options;
    play(options.stretch, move |stage| async move {
        let extra = Rc::new(Cell::new(0_u64));
        let (counted, on) = (extra.clone(), stage.clone());
        let measured_from = options.warm_up * options.leaves;
        let service = service_fn(move |call: Call| {
            let copy = call.copy();
            counted.set(counted.get() + u64::from(copy > 0 && call.number() >= measured_from));
            let served = on.sleep(options.leaf(&mut dice::of(seed, call.number(), copy)));
            async move {
                served.await;
                Ok::<(), Fault>(())
            }
        });
        let caller = Rc::new(RefCell::new(hedger.around(service, &stage, options.settings(&stage, seed))));
        let mut latencies = Vec::with_capacity(options.roots as usize);
        let every = Duration::from_millis(options.every);
        for root in 0..options.warm_up + options.roots {
            let (began, missing) = (stage.now(), Rc::new(Cell::new(options.leaves)));
            let (last, all) = question();
            let last = Rc::new(Cell::new(Some(last)));
            for leaf in 0..options.leaves {
                let (missing, last) = (missing.clone(), last.clone());
                let answer = caller.borrow_mut()(Call::new(root * options.leaves + leaf));
                stage.enter(async move {
                    assert!(answer.await, "nothing fails here");
                    missing.set(missing.get() - 1);
                    if missing.get() == 0 {
                        last.take().expect("one is the last").answer(());
                    }
                });
            }
            all.await;
            let took = stage.now() - began;
            if root >= options.warm_up {
                latencies.push(took.as_secs_f64() * 1e3);
            }
            stage.sleep(every.saturating_sub(took)).await;
        }
        let [p50, p999] = [0.5, 0.999].map(|share| stats::percentile(&mut latencies, share));
        [p50, p999, 100.0 * extra.get() as f64 / (options.roots * options.leaves) as f64]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Options = Options {
        common: Common::QUICK,
        roots: 30,
        warm_up: 5,
        leaves: 1000,
        every: 100,
        median: 3.0,
        sigma: 0.4,
        cut: 10.0,
        slow: 0.02,
        alpha: 1.9,
        percentile: 0.98,
        budget: 0.05,
        cap: 100,
        max_hedges: HedgeSettings::DEFAULT_MAX_HEDGES,
        stretch: 100,
    };

    #[test]
    fn a_root_waits_for_its_slowest_leaf() {
        let [p50, _, extra] = one(&SHAPE, Hedger::None, 1);
        assert!((40.0..90.0).contains(&p50), "{p50}");
        assert_eq!(extra, 0.0);
    }

    #[test]
    fn a_hedge_after_ten_milliseconds_finds_the_slow_ones() {
        let [p50, _, extra] = one(&SHAPE, Hedger::After(Duration::from_millis(10)), 1);
        assert!((14.0..30.0).contains(&p50), "{p50}");
        assert!((1.8..2.3).contains(&extra), "{extra}");
    }
}
