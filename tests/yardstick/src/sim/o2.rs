//! o2: how soon a service is at its best again when the load rises at once.

use clap::Args;

use super::{
    crew,
    doors::Shedder,
    overload::{BIN, Phase, Run, Shape},
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::Common,
    progress,
};

/// Options of o2.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    shape: Shape,
    /// Requests that the service works on at once; each number has a table.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 16, 128])]
    workers: Vec<usize>,
    /// Offered requests before the step, as shares of the capacity.
    #[arg(long, value_delimiter = ',', default_values_t = [0.7, 0.3, 0.1])]
    bases: Vec<f64>,
    /// Offered requests after it.
    #[arg(long, default_value_t = 1.4)]
    step: f64,
    /// Seconds before the step.
    #[arg(long, default_value_t = 10.0)]
    before: f64,
    /// Seconds after it.
    #[arg(long, default_value_t = 3.0)]
    after: f64,
    /// Requests that could be served in the bins of 50 ms of all runs together; there are as many runs as that takes.
    #[arg(long, default_value_t = 20_000.0)]
    per_bin: f64,
    /// What tower's fixed limit admits for each worker.
    #[arg(long, default_value_t = 2.0)]
    per_worker: f64,
}

pub(crate) const TITLE: &str = "o2: back to full goodput after a step of the load";

/// The share of the ideal goodput from which on a service is back.
const BACK: f64 = 0.95;
/// In so many bins together, half a second: who lets a queue grow is back at once, and not for long.
const BINS: usize = 10;

impl Options {
    fn runs(&self, workers: usize) -> u64 {
        let per_run = self.shape.capacity(workers) * BIN.as_secs_f64();
        u64::from(self.common.runs()).max((self.per_bin / per_run).ceil() as u64)
    }

    fn shedders(&self) -> [Shedder; 7] {
        Shedder::all(self.per_worker)
    }

    /// Shares of the ideal goodput in each bin after the step, over all runs.
    fn shares(&self, workers: usize, base: f64, shedder: Shedder, runs: &[u64]) -> Vec<f64> {
        let phases = [Phase::new(self.before, base), Phase::new(self.after, self.step)];
        let first = (self.before / BIN.as_secs_f64()).round() as usize;
        let mut sums = vec![0.0; (self.after / BIN.as_secs_f64()).round() as usize];
        for &seed in runs {
            let run = Run { shape: self.shape, workers, phases: &phases, critical: None, seed };
            let bins = shedder.play(&run).bins;
            for (sum, served) in sums.iter_mut().zip(bins.iter().skip(first)) {
                *sum += served;
            }
        }
        let ideal = self.shape.capacity(workers) * BIN.as_secs_f64() * runs.len() as f64 * self.step.min(1.0);
        sums.into_iter().map(|sum| sum / ideal).collect()
    }
}

/// Milliseconds until the service is back.
fn back(shares: &[f64]) -> f64 {
    let bin = shares.windows(BINS).position(|bins| bins.iter().all(|&share| share >= BACK));
    bin.map_or(f64::INFINITY, |bin| bin as f64 * BIN.as_millis() as f64)
}

/// Runs the experiment: a table for each number of workers.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let mut jobs = Vec::new();
    for &workers in &options.workers {
        for shedder in options.shedders() {
            for &base in &options.bases {
                let seeds = options.common.seed..options.common.seed + options.runs(workers);
                let seeds: Vec<u64> = seeds.collect();
                // Two halves, so that the last table does not wait for one hand.
                jobs.extend(
                    seeds.chunks(seeds.len().div_ceil(2)).map(|part| (workers, base, shedder, part.to_vec())),
                );
            }
        }
    }
    let bar = progress::bar(TITLE, jobs.len());
    let parts = crew::each(&jobs, &bar, |(workers, base, shedder, seeds)| {
        (options.shares(*workers, *base, *shedder, seeds), seeds.len() as f64)
    });
    bar.finish_and_clear();
    let joined: Vec<Vec<f64>> = {
        let mut joined: Vec<(Vec<f64>, f64)> = Vec::new();
        let mut last = None;
        for ((workers, base, shedder, _), (shares, runs)) in jobs.iter().zip(parts) {
            if last == Some((*workers, *base, *shedder)) {
                let (known, before) = joined.last_mut().expect("there is a first half");
                for (known, share) in known.iter_mut().zip(shares) {
                    *known = (*known * *before + share * runs) / (*before + runs);
                }
                *before += runs;
            } else {
                joined.push((shares, runs));
                last = Some((*workers, *base, *shedder));
            }
        }
        joined.into_iter().map(|(shares, _)| shares).collect()
    };
    let each = options.bases.len() * options.shedders().len();
    let boards = options.workers.iter().zip(joined.chunks(each));
    boards.map(|(&workers, shares)| board(options, workers, shares)).collect()
}

fn board(options: &Options, workers: usize, shares: &[Vec<f64>]) -> Board {
    let column = |base: &f64| Column::new(format!("from {base}"), Unit::Milliseconds).plotted();
    let columns = options.bases.iter().map(column).collect();
    let mut board = Board::new(format!("{TITLE}, {workers} workers"), columns);
    for (shedder, shares) in options.shedders().iter().zip(shares.chunks(options.bases.len())) {
        let figures: Vec<f64> = shares.iter().map(|shares| back(shares)).collect();
        board.row(shedder.role(), shedder.name(), figures.iter().map(|&figure| Cell::from(figure)).collect());
        if shedder.role() == Role::Ours {
            let judge = |(base, figure): (&f64, f64)| {
                let limit = match base {
                    0.7 => 50.0,
                    0.3 => 300.0,
                    0.1 => 600.0,
                    _ => return None,
                };
                Some(Judgement::at_most(limit, figure, Unit::Milliseconds))
            };
            board.judge(options.bases.iter().zip(figures).map(judge).collect());
        }
        if let Some(last) = shares.last() {
            let points = last.iter().enumerate();
            let points = points.map(|(bin, share)| (bin as f64 * BIN.as_secs_f64(), 100.0 * share)).collect();
            let base = options.bases.last().copied().unwrap_or_default();
            let what = format!("goodput after the step from {base} [% of the ideal], all runs");
            board.curve(&what, shedder.name(), points);
        }
    }
    let Shape { service, law, deadline, refusal } = options.shape;
    board.note(format!(
        "Until the first of {BINS} bins of 50 ms in a row with {} % of the ideal goodput, after the load steps to {} ×. Service {law:?} {service} ms, deadline {deadline} ms, a refusal costs {refusal} ms; sum of {} runs, first seed {}.",
        100.0 * BACK,
        options.step,
        options.runs(workers),
        options.common.seed,
    ));
    board
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_is_who_stays() {
        let bins = |low: &[f64], high: usize| [low, &vec![0.96; high]].concat();
        assert_eq!(back(&bins(&[], 10)), 0.0);
        assert_eq!(back(&bins(&[0.5, 0.97, 0.9], 15)), 150.0);
        assert_eq!(back(&bins(&[0.5], 9)), f64::INFINITY);
    }
}
