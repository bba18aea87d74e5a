//! n2: a breaker that refuses.

use std::hint::black_box;

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{Floor, R, T},
    ground::{Broken, drive},
    options::Timing,
    ours, peers,
    race::{Lane, Place},
};

/// Options of n2.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
}

pub(crate) const TITLE: &str = "n2: breaker open";

const TRIPPED: usize = 0;
const FORCED: usize = 1;

/// Sets the lanes up.
pub(crate) fn contest(_: &Options) -> Contest {
    let mut tower_resilience = peers::tower_resilience_open();
    let mut tower_resilience_forced = peers::tower_resilience_forced();
    let failsafe = peers::failsafe_open();
    let recloser = peers::recloser_open();
    let mut ours = ours::breaker_open();
    let mut ours_forced = ours::breaker_forced();

    let lanes = vec![
        Lane::new(Place::Bare(TRIPPED), |i| _ = black_box(drive(&mut Broken, black_box(i)))),
        Lane::new(Place::Bare(FORCED), |i| _ = black_box(drive(&mut Broken, black_box(i)))),
        Lane::new(Place::Peer(TRIPPED, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut tower_resilience, black_box(i)));
        }),
        Lane::new(Place::Peer(FORCED, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut tower_resilience_forced, black_box(i)));
        }),
        Lane::new(Place::Peer(TRIPPED, peers::FAILSAFE), move |i| failsafe(black_box(i))),
        Lane::new(Place::Peer(TRIPPED, peers::RECLOSER), move |i| recloser(black_box(i))),
        Lane::new(Place::Ours(TRIPPED), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
        Lane::new(Place::Ours(FORCED), move |i| _ = black_box(drive(&mut ours_forced, black_box(i)))),
    ];
    Contest {
        title: TITLE,
        cases: vec![
            Case::refused("refusing, with retry_after", T + R + Floor::nanos(5.0)),
            Case::refused("forced open", Floor::nanos(5.0)),
        ],
        teams: vec![lanes],
        notes: vec!["failsafe and recloser cannot be forced open: they run in the first case.".into()],
    }
}
