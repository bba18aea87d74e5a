//! n7: a deadline around a typed service.

use std::{hint::black_box, time::Duration};

use clap::Args;
use tokio::time::Instant;

use crate::{
    contest::{Case, Contest},
    floor::{Floor, T, W},
    ground::{Echo, Late, drive},
    options::Timing,
    ours, peers,
    race::{Lane, Place},
};

/// Options of n7.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Seconds until the deadline; it is never hit.
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
}

pub(crate) const TITLE: &str = "n7: deadline";

const OWN: usize = 0;
const ABSOLUTE: usize = 1;
const PENDING: usize = 2;

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let timeout = Duration::from_secs(options.timeout);
    let context = ours::context(Instant::now() + timeout);
    let mut lanes = vec![
        Lane::new(Place::Bare(OWN), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        // Who sets the context pays for it, and not the layer that finds it.
        Lane::new(Place::Bare(ABSOLUTE), move |i| {
            _ = black_box(context.enter(|| drive(&mut Echo, black_box(i))));
        }),
        Lane::new(Place::Bare(PENDING), |i| _ = black_box(drive(&mut Late, black_box(i)))),
    ];
    for case in [OWN, ABSOLUTE] {
        let mut tower = peers::tower_timeout(Echo, timeout);
        let mut tower_resilience = peers::tower_resilience_timeout(Echo, timeout);
        lanes.push(Lane::new(Place::Peer(case, peers::TOWER), move |i| {
            _ = black_box(drive(&mut tower, black_box(i)));
        }));
        lanes.push(Lane::new(Place::Peer(case, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut tower_resilience, black_box(i)));
        }));
    }
    let mut tower = peers::tower_timeout(Late, timeout);
    let mut tower_resilience = peers::tower_resilience_timeout(Late, timeout);
    lanes.push(Lane::new(Place::Peer(PENDING, peers::TOWER), move |i| {
        _ = black_box(drive(&mut tower, black_box(i)));
    }));
    lanes.push(Lane::new(Place::Peer(PENDING, peers::TOWER_RESILIENCE), move |i| {
        _ = black_box(drive(&mut tower_resilience, black_box(i)));
    }));

    let mut own = ours::deadline(Echo, timeout);
    let mut absolute = ours::deadline(Echo, timeout);
    let mut pending = ours::deadline(Late, timeout);
    lanes.push(Lane::new(Place::Ours(OWN), move |i| _ = black_box(drive(&mut own, black_box(i)))));
    lanes.push(Lane::new(Place::Ours(ABSOLUTE), move |i| {
        _ = black_box(context.enter(|| drive(&mut absolute, black_box(i))));
    }));
    lanes.push(Lane::new(Place::Ours(PENDING), move |i| _ = black_box(drive(&mut pending, black_box(i)))));

    Contest {
        title: TITLE,
        cases: vec![
            Case::new("ready, own time-out", Floor::nanos(5.0)),
            Case::new("ready, absolute instant", T + Floor::nanos(5.0)),
            Case::new("pending once", T + W),
        ],
        teams: vec![lanes],
        notes: vec![
            "The peers know no absolute instant: in that case too they run with a time-out of their own."
                .into(),
        ],
    }
}
