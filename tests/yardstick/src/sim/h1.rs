//! h1: the tail of a service of which one call in twenty takes ten times as long, without any queue.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use clap::Args;
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

/// Options of h1.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Calls of one run.
    #[arg(long, default_value_t = 50_000)]
    requests: u64,
    /// Calls under way at once: each next one begins when one has ended.
    #[arg(long, default_value_t = 20)]
    at_once: u64,
    /// Mean of the lognormal service time, in milliseconds.
    #[arg(long, default_value_t = 5.0)]
    mean: f64,
    /// Its standard deviation, in milliseconds.
    #[arg(long, default_value_t = 2.0)]
    deviation: f64,
    /// Share of calls that take longer.
    #[arg(long, default_value_t = 0.05)]
    slow: f64,
    /// How many times as long they take.
    #[arg(long, default_value_t = 10.0)]
    slow_by: f64,
    /// Share of extra calls that ours may send.
    #[arg(long, default_value_t = 0.1)]
    budget: f64,
    /// Tokens that the purse of ours holds.
    #[arg(long, default_value_t = 25)]
    cap: u32,
    /// Copies beyond the first that ours sends at most.
    #[arg(long, default_value_t = HedgeSettings::DEFAULT_MAX_HEDGES)]
    max_hedges: u32,
    /// How many times as long all lasts inside, as tokio's timers have steps of 1 ms.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    stretch: u32,
}

pub(crate) const TITLE: &str = "h1: hedging a tail without a queue";

impl Options {
    fn hedgers(&self) -> [Hedger; 4] {
        let mean = self.mean * (1.0 + self.slow * (self.slow_by - 1.0));
        // As its own simulation estimates it.
        let per_second = self.at_once as f64 * 1000.0 / mean;
        [Hedger::None, Hedger::Tower(0.9), Hedger::Adaptive { per_second }, Hedger::Ours]
    }

    fn settings(&self, stage: &Stage, seed: u64) -> HedgeSettings {
        let budget = Budget::new().ratio(self.budget).min_tokens(self.cap).cap(Duration::ZERO).seed(seed);
        HedgeSettings::new()
            .extra(self.budget)
            .max_hedges(self.max_hedges)
            .budget(budget)
            .seed(seed)
            .min_delay(stage.stretched(HedgeSettings::DEFAULT_MIN_DELAY))
    }
}

const COLUMNS: [(&str, Unit); 4] = [
    ("p50", Unit::Milliseconds),
    ("p99", Unit::Milliseconds),
    ("p99.9", Unit::Milliseconds),
    ("extra", Unit::Percent),
];

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let hedgers = options.hedgers();
    let jobs: Vec<(Hedger, u64)> =
        hedgers.iter().flat_map(|hedger| options.common.seeds().map(|seed| (*hedger, seed))).collect();
    let bar = progress::bar(TITLE, jobs.len());
    let figures = crew::each(&jobs, &bar, |(hedger, seed)| one(options, *hedger, *seed));
    bar.finish_and_clear();

    let columns = COLUMNS.map(|(title, unit)| Column::new(title, unit).plotted());
    let mut board = Board::new(TITLE, columns.into());
    for (hedger, runs) in hedgers.iter().zip(figures.chunks(options.common.runs() as usize)) {
        let means = stats::means(runs);
        board.row(hedger.role(), hedger.name(), means.map(Shown::from).into());
        if hedger.role() == Role::Ours {
            let [_, p99, p999, extra] = means;
            board.judge(vec![
                None,
                Some(Judgement::at_most(16.5, p99, Unit::Milliseconds)),
                Some(Judgement::at_most(26.0, p999, Unit::Milliseconds)),
                Some(Judgement::at_most(9.5, extra, Unit::Percent)),
            ]);
        }
    }
    board.note(format!(
        "Lognormal service time of {} ± {} ms, {:.0} % of the calls take {} times as long; {} at once, {} calls, mean of {} runs, first seed {}.",
        options.mean,
        options.deviation,
        options.slow * 100.0,
        options.slow_by,
        options.at_once,
        options.requests,
        options.common.runs(),
        options.common.seed,
    ));
    board.note(format!(
        "Ours: budget {:.0} %, {} tokens, the delay learnt from the calls of the run. Extra: copies beyond the first, of all calls.",
        options.budget * 100.0,
        options.cap,
    ));
    vec![board]
}

fn one(options: &Options, hedger: Hedger, seed: u64) -> [f64; 4] {
    let options = *options;
    play(options.stretch, move |stage| async move {
        let variance = (1.0 + (options.deviation / options.mean).powi(2)).ln();
        let (location, scale) = (options.mean.ln() - variance / 2.0, variance.sqrt());
        let sent = Rc::new(Cell::new(0_u64));
        let (counted, on) = (sent.clone(), stage.clone());
        let service = service_fn(move |call: Call| {
            counted.set(counted.get() + 1);
            let mut dice = dice::of(seed, call.number(), call.copy());
            let millis = (location + scale * dice::normal(&mut dice)).exp();
            let slow = dice.f64() < options.slow;
            let served =
                on.sleep(Duration::from_secs_f64(millis * if slow { options.slow_by } else { 1.0 } / 1e3));
            async move {
                served.await;
                Ok::<(), Fault>(())
            }
        });
        let caller = Rc::new(RefCell::new(hedger.around(service, &stage, options.settings(&stage, seed))));
        let latencies = Rc::new(RefCell::new(Vec::with_capacity(options.requests as usize)));
        let next = Rc::new(Cell::new(0));
        let (last, all) = question();
        let last = Rc::new(Cell::new(Some(last)));
        for _ in 0..options.at_once {
            let (caller, latencies, next, last, on) =
                (caller.clone(), latencies.clone(), next.clone(), last.clone(), stage.clone());
            stage.enter(async move {
                while next.get() < options.requests {
                    let number = next.replace(next.get() + 1);
                    let began = on.now();
                    let answer = caller.borrow_mut()(Call::new(number));
                    assert!(answer.await, "nothing fails here");
                    latencies.borrow_mut().push((on.now() - began).as_secs_f64() * 1e3);
                }
                if latencies.borrow().len() as u64 == options.requests {
                    last.take().expect("one is the last").answer(());
                }
            });
        }
        all.await;
        let mut latencies = latencies.borrow_mut();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| stats::percentile(&mut latencies, share));
        [p50, p99, p999, 100.0 * (sent.get() as f64 / options.requests as f64 - 1.0)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Options = Options {
        common: Common::QUICK,
        requests: 5_000,
        at_once: 20,
        mean: 5.0,
        deviation: 2.0,
        slow: 0.05,
        slow_by: 10.0,
        budget: 0.1,
        cap: 25,
        max_hedges: HedgeSettings::DEFAULT_MAX_HEDGES,
        stretch: 100,
    };

    #[test]
    fn without_hedges_the_tail_is_that_of_the_service() {
        let [p50, p99, _, extra] = one(&SHAPE, Hedger::None, 1);
        assert!((4.4..5.1).contains(&p50), "{p50}");
        assert!((55.0..85.0).contains(&p99), "{p99}");
        assert_eq!(extra, 0.0);
    }

    #[test]
    fn hedges_cut_the_tail_and_cost_what_they_may() {
        let [_, p99, _, extra] = one(&SHAPE, Hedger::Adaptive { per_second: 2758.0 }, 1);
        assert!(p99 < 30.0, "{p99}");
        assert!((2.0..12.0).contains(&extra), "{extra}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        assert_eq!(one(&SHAPE, Hedger::Tower(0.9), 3), one(&SHAPE, Hedger::Tower(0.9), 3));
        assert_ne!(one(&SHAPE, Hedger::Tower(0.9), 3), one(&SHAPE, Hedger::Tower(0.9), 4));
    }
}
