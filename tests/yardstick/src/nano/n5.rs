//! n5: retries around a service that needs none.

use std::hint::black_box;

use clap::Args;
use tower::retry::budget::TpsBudget;

use crate::{
    contest::{Case, Contest},
    floor::{A, R},
    ground::{BoxError, Echo, drive},
    options::Timing,
    ours::again::{self, Backoff, RetrySettings},
    peers::{
        self,
        again::{Tries, tower_resilience_retry, tower_retry},
    },
    race::{Lane, Place},
};

/// Options of n5.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Retries after the first try; there are none.
    #[arg(long, default_value_t = RetrySettings::DEFAULT_MAX_RETRIES)]
    retries: u32,
}

pub(crate) const TITLE: &str = "n5: retry, none needed";

const BUDGET: usize = 0;

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let failed = |answer: &Result<u64, BoxError>| answer.is_err();
    let tries = Tries { retries: options.retries, least: Backoff::DEFAULT_MIN, most: Backoff::DEFAULT_MAX };
    let mut tower = tower_retry(Echo, TpsBudget::default(), tries, failed, 1);
    let mut tower_resilience = tower_resilience_retry(Echo);
    let mut ours = again::retry(Echo, RetrySettings::new().max_retries(options.retries));
    let lanes = vec![
        Lane::new(Place::Bare(BUDGET), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Peer(BUDGET, peers::TOWER), move |i| _ = black_box(drive(&mut tower, black_box(i)))),
        Lane::new(Place::Peer(BUDGET, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut tower_resilience, black_box(i)));
        }),
        Lane::new(Place::Ours(BUDGET), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
    ];
    Contest {
        title: TITLE,
        cases: vec![Case::new("with budget", A + R)],
        teams: vec![lanes],
        notes: vec!["tower: the policy of its documentation with a TpsBudget; tower-resilience: with its token bucket.".into()],
    }
}
