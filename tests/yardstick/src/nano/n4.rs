//! n4: a rate limit that admits.

use std::hint::black_box;

use clap::Args;
use http::Request;

use crate::{
    contest::{Case, Contest},
    floor::{Floor, R, T},
    ground::{Echo, drive},
    options::Timing,
    ours,
    peers::limit as peers,
    race::{Lane, Place},
};

/// Options of n4.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Keys that are present, and called in turn.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
}

pub(crate) const TITLE: &str = "n4: rate limit, nothing to refuse";

const ONE: usize = 0;
const KEYED: usize = 1;

/// What finding a key may take beside the primitives.
const FIND: f64 = 15.0;

/// The floor of a call under a limit of one bucket.
pub(crate) fn one_floor() -> Floor {
    R + T
}

/// The floor of a call under a limit of a bucket for each key, of which the right one is there.
pub(crate) fn keyed_floor() -> Floor {
    R + T + Floor::nanos(FIND)
}

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let governor = peers::governor();
    let governor_keyed = peers::governor_keyed(options.keys);
    let mut tower_governor = peers::tower_governor(peers::AxumSite);
    let mut tower_governor_keyed = peers::tower_governor_in_turn(peers::AxumSite, options.keys);
    let mut window = peers::window(Echo);
    let mut bucket = peers::bucket(Echo);
    let mut one = ours::limit::one(Echo);
    let mut keyed = ours::limit::by_number(Echo, options.keys);

    let lanes = vec![
        Lane::new(Place::Bare(ONE), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Bare(KEYED), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Peer(ONE, peers::GOVERNOR), move |i| governor(black_box(i))),
        Lane::new(Place::Peer(KEYED, peers::GOVERNOR), move |i| governor_keyed(black_box(i))),
        Lane::new(Place::Peer(ONE, peers::TOWER_GOVERNOR), move |_| {
            _ = black_box(drive(&mut tower_governor, black_box(Request::new(()))));
        }),
        Lane::new(Place::Peer(KEYED, peers::TOWER_GOVERNOR), move |_| {
            _ = black_box(drive(&mut tower_governor_keyed, black_box(Request::new(()))));
        }),
        Lane::new(Place::Peer(ONE, peers::WINDOW), move |i| _ = black_box(drive(&mut window, black_box(i)))),
        Lane::new(Place::Peer(ONE, peers::BUCKET), move |i| _ = black_box(drive(&mut bucket, black_box(i)))),
        Lane::new(Place::Ours(ONE), move |i| _ = black_box(drive(&mut one, black_box(i)))),
        Lane::new(Place::Ours(KEYED), move |i| _ = black_box(drive(&mut keyed, black_box(i)))),
    ];
    Contest {
        title: TITLE,
        cases: vec![Case::new("one bucket", one_floor()), Case::new("keyed, key present", keyed_floor())],
        teams: vec![lanes],
        notes: vec![
            format!("{} keys. governor is no service: it is asked, then the service is called.", options.keys),
            "tower_governor knows HTTP alone: its call is of a request without headers, answered by an empty body of axum's. tower-resilience knows no keys."
                .into(),
        ],
    }
}
