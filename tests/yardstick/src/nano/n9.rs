//! n9: fallbacks around a service that needs none.

use std::hint::black_box;

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{A, Floor},
    ground::{Echo, drive},
    options::Timing,
    ours::fallback,
    peers::{
        self,
        fallback::{tower_resilience_function, tower_resilience_value},
    },
    race::{Lane, Place},
};

/// Options of n9.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// The value that is never given.
    #[arg(long, default_value_t = 7)]
    value: u64,
}

pub(crate) const TITLE: &str = "n9: fallback, not used";

const FUNCTION: usize = 0;
const VALUE: usize = 1;
const HANDLE: usize = 2;

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let mut ours_function = fallback::function(Echo);
    let mut ours_value = fallback::value(Echo, options.value);
    let (mut ours_handle, handle) = fallback::watched(Echo);
    let mut peer_function = tower_resilience_function(Echo);
    let mut peer_value = tower_resilience_value(Echo, options.value);
    let mut peer_named = tower_resilience_function(Echo);
    let bare = |case| Lane::new(Place::Bare(case), |i| _ = black_box(drive(&mut Echo, black_box(i))));
    let lanes = vec![
        bare(FUNCTION),
        bare(VALUE),
        bare(HANDLE),
        Lane::new(Place::Peer(FUNCTION, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut peer_function, black_box(i)));
        }),
        Lane::new(Place::Peer(VALUE, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut peer_value, black_box(i)));
        }),
        Lane::new(Place::Peer(HANDLE, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut peer_named, black_box(i)));
        }),
        Lane::new(Place::Ours(FUNCTION), move |i| _ = black_box(drive(&mut ours_function, black_box(i)))),
        Lane::new(Place::Ours(VALUE), move |i| _ = black_box(drive(&mut ours_value, black_box(i)))),
        Lane::new(Place::Ours(HANDLE), move |i| {
            let _alive = &handle;
            _ = black_box(drive(&mut ours_handle, black_box(i)));
        }),
    ];
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("stateless function", Floor::nanos(2.0)),
            Case::new("value", A),
            Case::new("function, with a handle", A),
        ],
        teams: vec![lanes],
        notes: vec!["tower-resilience has no handle: its function stands in both columns.".into()],
    }
}
