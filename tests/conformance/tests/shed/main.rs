//! Rows S01 to S33, but for those about algorithms of others: load shedding.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod adapting;
mod bounds;
mod doors;
mod fixed;
mod priorities;
mod queue;
mod settings;
mod shares;
mod throttle;

use bartizan_shed::{Handle, Shed, ShedLayer};
use conformance::Flavour;
use conformance::crowd::{Crowd, How, Refusals, Visit};
use std::time::Duration;
use tower::Layer;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A layer of the value, in each flavour.
fn shed(value: Shed) -> impl Fn(Flavour) -> Crowd<Handle> {
    move |flavour| {
        let layer = ShedLayer::new(value);
        match flavour {
            Flavour::Http => Crowd::http(layer.handle(), |desk| layer.layer(desk)),
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        }
    }
}

/// Makes as many requests as fill the limit: all but the last are let in.
fn fill(crowd: &mut Crowd<Handle>, visit: impl Fn() -> Visit) -> Vec<conformance::crowd::Guest> {
    let mut guests = Vec::new();
    loop {
        let mut guest = crowd.enter(visit());
        if guest.is() != conformance::crowd::Is::Running {
            return guests;
        }
        guests.push(guest);
        assert!(guests.len() < 100_000, "there is no limit");
    }
}

/// Lets all of them end well.
fn end(guests: Vec<conformance::crowd::Guest>) {
    guests.into_iter().for_each(|guest| guest.end(How::Good));
}
