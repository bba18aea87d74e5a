//! n12: one closed breaker that several threads share.

use std::hint::black_box;

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{A, R},
    ground::{Echo, drive},
    options::Timing,
    ours, peers,
    race::{Lane, Place},
};

/// Options of n12.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// How many threads call at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
}

pub(crate) const TITLE: &str = "n12: breaker closed, one instance, several threads";

/// Sets the lanes up: each thread has its own services over one shared state.
pub(crate) fn contest(options: &Options) -> Contest {
    let tower_resilience = peers::tower_resilience(Echo);
    let failsafe = peers::failsafe();
    let recloser = peers::recloser();
    let ours = ours::breaker(Echo);
    let team = || {
        let mut tower_resilience = tower_resilience.clone();
        let failsafe = failsafe.clone();
        let recloser = recloser.clone();
        let mut ours = ours.clone();
        vec![
            Lane::new(Place::Bare(0), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
            Lane::new(Place::Peer(0, peers::TOWER_RESILIENCE), move |i| {
                _ = black_box(drive(&mut tower_resilience, black_box(i)));
            }),
            Lane::new(Place::Peer(0, peers::FAILSAFE), move |i| failsafe(black_box(i))),
            Lane::new(Place::Peer(0, peers::RECLOSER), move |i| recloser(black_box(i))),
            Lane::new(Place::Ours(0), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
        ]
    };
    Contest {
        title: TITLE,
        cases: vec![Case::new("evidence rule", A + R)],
        teams: (0..options.threads).map(|_| team()).collect(),
        notes: vec![format!(
            "{} threads; CPU time of each thread per call. The primitives too are shared, so A and R stand at their contended price.",
            options.threads
        )],
    }
}
