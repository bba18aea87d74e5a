//! n1: a breaker that is closed.

use std::{hint::black_box, time::Duration};

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{A, R, T},
    ground::{Echo, drive},
    options::Timing,
    ours, peers,
    race::{Lane, Place},
};

/// Options of n1.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Milliseconds over which a call is slow, in the case with a slow-call threshold.
    #[arg(long, default_value_t = 1000)]
    slow_after: u64,
}

pub(crate) const TITLE: &str = "n1: breaker closed";

const EVIDENCE: usize = 0;
const SLOW: usize = 1;

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let slow_after = Duration::from_millis(options.slow_after);
    let mut tower_resilience = peers::tower_resilience(Echo);
    let mut tower_resilience_slow = peers::tower_resilience_slow(Echo, slow_after);
    let failsafe = peers::failsafe();
    let recloser = peers::recloser();
    let mut ours = ours::breaker(Echo);
    let mut ours_slow = ours::breaker_slow(Echo, slow_after);

    let lanes = vec![
        Lane::new(Place::Bare(EVIDENCE), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Bare(SLOW), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Peer(EVIDENCE, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut tower_resilience, black_box(i)));
        }),
        Lane::new(Place::Peer(SLOW, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut tower_resilience_slow, black_box(i)));
        }),
        Lane::new(Place::Peer(EVIDENCE, peers::FAILSAFE), move |i| failsafe(black_box(i))),
        Lane::new(Place::Peer(EVIDENCE, peers::RECLOSER), move |i| recloser(black_box(i))),
        Lane::new(Place::Ours(EVIDENCE), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
        Lane::new(Place::Ours(SLOW), move |i| _ = black_box(drive(&mut ours_slow, black_box(i)))),
    ];
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("evidence rule", A + R),
            Case::new("with a slow-call threshold", A + R + 2.0 * T),
        ],
        teams: vec![lanes],
        notes: vec!["failsafe and recloser know no slow calls: they run in the first case.".into()],
    }
}
