//! n6: hedges around a service that answers before any is sent.

use std::{
    hint::black_box,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use clap::Args;
use tower_service::Service;

use crate::{
    contest::{Case, Contest},
    floor::{A, T, W},
    ground::{BoxError, Echo, Late, drive},
    options::Timing,
    ours::again::{self, HedgeSettings},
    peers::{
        self,
        again::{tower_hedge_warm, tower_resilience_hedge},
    },
    race::{Lane, Place},
};

/// Options of n6.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Milliseconds after which ours would hedge, and never does; without, it learns when.
    #[arg(long)]
    delay: Option<u64>,
}

pub(crate) const TITLE: &str = "n6: hedge, none sent";

const READY: usize = 0;
const PENDING: usize = 1;

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let settings = || match options.delay {
        Some(delay) => HedgeSettings::new().delay(Duration::from_millis(delay)),
        None => HedgeSettings::new(),
    };
    let (mut tower, mut tower_late) =
        (tower_hedge_warm::<_, u64>(Echo, 0.95), tower_hedge_warm::<_, u64>(Late, 0.95));
    let (mut resilient, mut resilient_late) =
        (tower_resilience_hedge(Cloned(Echo)), tower_resilience_hedge(Cloned(Late)));
    let (mut ours, mut ours_late) = (again::hedge(Echo, settings()), again::hedge(Late, settings()));
    let lanes = vec![
        Lane::new(Place::Bare(READY), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
        Lane::new(Place::Bare(PENDING), |i| _ = black_box(drive(&mut Late, black_box(i)))),
        Lane::new(Place::Peer(READY, peers::TOWER), move |i| _ = black_box(drive(&mut tower, black_box(i)))),
        Lane::new(Place::Peer(PENDING, peers::TOWER), move |i| {
            _ = black_box(drive(&mut tower_late, black_box(i)));
        }),
        Lane::new(Place::Peer(READY, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut resilient, black_box(i)));
        }),
        Lane::new(Place::Peer(PENDING, peers::TOWER_RESILIENCE), move |i| {
            _ = black_box(drive(&mut resilient_late, black_box(i)));
        }),
        Lane::new(Place::Ours(READY), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
        Lane::new(Place::Ours(PENDING), move |i| _ = black_box(drive(&mut ours_late, black_box(i)))),
    ];
    Contest {
        title: TITLE,
        cases: vec![Case::new("ready", A), Case::new("pending once", A + 2.0 * T + W)],
        teams: vec![lanes],
        notes: vec!["tower: after the 95th percentile; tower-resilience: its standard, around an error that can be cloned.".into()],
    }
}

/// A service with an error that can be cloned, as tower-resilience asks for. There is none.
#[derive(Clone, Copy, Debug)]
struct Cloned<S>(S);

impl<S> Service<u64> for Cloned<S>
where
    S: Service<u64, Response = u64, Error = BoxError, Future: Unpin>,
{
    type Response = u64;
    type Error = Arc<str>;
    type Future = ClonedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        self.0.poll_ready(cx).map_err(|error| error.to_string().into())
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ClonedFuture(self.0.call(request))
    }
}

/// Future of [`Cloned`].
struct ClonedFuture<F>(F);

impl<F: Future<Output = Result<u64, BoxError>> + Unpin> Future for ClonedFuture<F> {
    type Output = Result<u64, Arc<str>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|error| error.to_string().into())
    }
}
