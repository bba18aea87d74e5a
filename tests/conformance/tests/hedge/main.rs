//! Rows H01 to H25: hedging.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod copies;
mod counts;
mod ends;
mod learning;
mod purse;
mod spacing;

use bartizan_hedge::{Budget, Handle, Hedge, HedgeLayer};
use conformance::Flavour;
use conformance::again::{Ask, Saying, Stage, on_stage, on_stage_http};
use std::time::Duration;
use tower::Layer;

const MS: Duration = Duration::from_millis(1);

/// A purse that pays for everything a row does.
const AMPLE: Budget = Budget::new().min_tokens(1000);

/// Three copies in all, 100 ms apart.
const REFERENCE: Hedge = Hedge::new().delay(Duration::from_millis(100)).max_hedges(2).budget(AMPLE);

fn copy(ask: &Ask) -> Option<Ask> {
    Some(ask.clone())
}

fn stage(flavour: Flavour, layer: HedgeLayer) -> Stage<Handle> {
    match flavour {
        Flavour::Http => Stage::http(layer.handle(), |inner| layer.layer(inner)),
        Flavour::Typed => {
            let layer = layer.typed(copy).classify(Saying);
            Stage::typed(layer.handle(), |inner| layer.layer(inner))
        }
    }
}

/// Plays a row in every mode and flavour.
async fn play(value: Hedge, row: impl AsyncFn(&mut Stage<Handle>)) {
    on_stage(|flavour| stage(flavour, HedgeLayer::new(value.clone())), row).await;
}

/// Plays a row about HTTP in every mode.
async fn play_http(value: Hedge, row: impl AsyncFn(&mut Stage<Handle>)) {
    on_stage_http(|| stage(Flavour::Http, HedgeLayer::new(value.clone())), row).await;
}
