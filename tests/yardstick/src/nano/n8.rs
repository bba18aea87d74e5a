//! n8: a balancer by latency.

use std::hint::black_box;

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{A, Floor, R, S, T},
    ground::{Echo, drive},
    options::{Timing, positive},
    ours::balance::{BalanceSettings, balance},
    peers::{
        self,
        balance::{fixed, peak_ewma, pending},
    },
    race::{Lane, Place},
};

/// Options of n8.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Endpoints in the first case.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    few: usize,
    /// Endpoints in the second case.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    many: usize,
}

pub(crate) const TITLE: &str = "n8: balance by latency";

/// What a scan of a few, and a sample of many, may take beside the primitives.
const SCAN: f64 = 15.0;
const SAMPLE: f64 = 30.0;

/// The floor of a call by latency among a few endpoints.
pub(crate) fn floor() -> Floor {
    S + A + 2.0 * R + 2.0 * T + Floor::nanos(SCAN)
}

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let seed = options.timing.common.seed;
    let mut lanes = Vec::new();
    for (case, endpoints) in [options.few, options.many].into_iter().enumerate() {
        let mut ewma = fixed((0..endpoints).map(|_| peak_ewma(Echo)).collect(), seed);
        let mut pending = fixed((0..endpoints).map(|_| pending(Echo)).collect(), seed);
        let mut ours = balance(BalanceSettings::new().seed(seed), endpoints, |_| Echo);
        lanes.extend([
            Lane::new(Place::Bare(case), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
            Lane::new(Place::Peer(case, peers::balance::PEAK_EWMA), move |i| {
                _ = black_box(drive(&mut ewma, black_box(i)));
            }),
            Lane::new(Place::Peer(case, peers::balance::PENDING), move |i| {
                _ = black_box(drive(&mut pending, black_box(i)));
            }),
            Lane::new(Place::Ours(case), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
        ]);
    }
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("a few endpoints", floor()),
            Case::new("many endpoints", floor() + Floor::nanos(SAMPLE)),
        ],
        teams: vec![lanes],
        notes: vec![format!(
            "{} and {} endpoints. tower's balancer without the Buffer that sharing it takes.",
            options.few, options.many,
        )],
    }
}
