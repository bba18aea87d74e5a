//! Rows R01 to R46: retry and budget.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod attempts;
mod body;
mod budget;
mod hints;
mod leaving;
mod places;
mod repeats;
mod settings;
mod travel;
mod waits;

use bartizan_retry::{Backoff, Budget, Handle, Jitter, Retry, RetryLayer};
use conformance::Flavour;
use conformance::again::{Ask, HttpInner, Saying, Stage, TypedInner, on_stage, on_stage_http};
use std::time::Duration;
use tower::Layer;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// A purse that pays for everything a row does.
const AMPLE: Budget = Budget::new().persistence(1.0).min_tokens(1000);

/// Four attempts in all, after 100 ms, 200 ms and so on up to 1 s, without jitter.
fn reference() -> Retry {
    Retry::new().max_retries(3).backoff(curve()).budget(AMPLE).seed(7)
}

fn curve() -> Backoff {
    Backoff::exponential(100 * MS, S).jitter(Jitter::None)
}

fn copy(ask: &Ask) -> Option<Ask> {
    Some(ask.clone())
}

fn stage(flavour: Flavour, layer: RetryLayer) -> Stage<Handle> {
    match flavour {
        Flavour::Http => Stage::http(layer.handle(), |inner: HttpInner| layer.layer(inner)),
        Flavour::Typed => {
            let layer = layer.typed(copy).classify(Saying);
            Stage::typed(layer.handle(), |inner: TypedInner| layer.layer(inner))
        }
    }
}

/// Plays a row in every mode and flavour.
async fn play(value: Retry, row: impl AsyncFn(&mut Stage<Handle>)) {
    on_stage(|flavour| stage(flavour, RetryLayer::new(value.clone())), row).await;
}

/// Plays a row about HTTP in every mode.
async fn play_http(value: Retry, row: impl AsyncFn(&mut Stage<Handle>)) {
    on_stage_http(|| stage(Flavour::Http, RetryLayer::new(value.clone())), row).await;
}
