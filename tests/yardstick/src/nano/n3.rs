//! n3: what is in flight is limited, by a number that is given or by what is found out.

use std::hint::black_box;

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{A, Floor, R, T},
    ground::{Echo, drive},
    options::{Timing, positive},
    ours,
    peers::shed as peers,
    race::{Lane, Place},
};

/// Options of n3.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Requests in flight of the fixed limit; one is in flight at a time.
    #[arg(long, default_value_t = 100, value_parser = positive)]
    limit: usize,
}

pub(crate) const TITLE: &str = "n3: shed, nothing to refuse";

const FIXED: usize = 0;
const ADAPTIVE: usize = 1;

/// The floor of a call under a fixed limit.
pub(crate) fn fixed_floor() -> Floor {
    A + 2.0 * R
}

/// The floor of a call under adaptive shedding.
pub(crate) fn adaptive_floor() -> Floor {
    A + 2.0 * R + 2.0 * T
}

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let mut tower = peers::tower(Echo, options.limit);
    let mut bulkhead = peers::bulkhead(Echo, options.limit);
    let mut aimd = peers::aimd(Echo);
    let mut vegas = peers::vegas(Echo);
    let mut gradient2 = peers::gradient2(Echo);
    let mut acc_vegas = peers::acc_vegas(Echo);
    let mut acc_gradient2 = peers::acc_gradient2(Echo);
    let mut fixed = ours::shed::fixed(Echo, options.limit);
    let mut adaptive = ours::shed::adaptive(Echo);

    let lanes = vec![
        Lane::new(Place::Bare(FIXED), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Bare(ADAPTIVE), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Peer(FIXED, peers::TOWER), move |i| _ = black_box(drive(&mut tower, black_box(i)))),
        Lane::new(Place::Peer(FIXED, peers::BULKHEAD), move |i| {
            _ = black_box(drive(&mut bulkhead, black_box(i)));
        }),
        Lane::new(Place::Peer(ADAPTIVE, peers::AIMD), move |i| _ = black_box(drive(&mut aimd, black_box(i)))),
        Lane::new(Place::Peer(ADAPTIVE, peers::VEGAS), move |i| {
            _ = black_box(drive(&mut vegas, black_box(i)));
        }),
        Lane::new(Place::Peer(ADAPTIVE, peers::GRADIENT2), move |i| {
            _ = black_box(drive(&mut gradient2, black_box(i)));
        }),
        Lane::new(Place::Peer(ADAPTIVE, peers::ACC_VEGAS), move |i| {
            _ = black_box(drive(&mut acc_vegas, black_box(i)));
        }),
        Lane::new(Place::Peer(ADAPTIVE, peers::ACC_GRADIENT2), move |i| {
            _ = black_box(drive(&mut acc_gradient2, black_box(i)));
        }),
        Lane::new(Place::Ours(FIXED), move |i| _ = black_box(drive(&mut fixed, black_box(i)))),
        Lane::new(Place::Ours(ADAPTIVE), move |i| _ = black_box(drive(&mut adaptive, black_box(i)))),
    ];
    Contest {
        title: TITLE,
        cases: vec![Case::new("fixed limit", fixed_floor()), Case::new("adaptive", adaptive_floor())],
        teams: vec![lanes],
        notes: vec![
            "Adaptive: each by its own rule with its own defaults, of which none refuses here.".into(),
        ],
    }
}
