//! Rows O01 to O42: the balancer.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod choosing;
mod heartbeats;
mod host;
mod outages;
mod outliers;
mod pauses;
mod readiness;
mod sets;
mod settings;
mod streaks;
mod town;

use bartizan_balance::{Balance, Ejection};
use conformance::Events;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Five failures in a row eject for 10 s times the ejections in a row, up to 300 s, and no other rule does.
const ROWS: Ejection =
    Ejection::new().without_excess().consecutive_local(0).pause(Duration::from_secs(10)).jitter(0.0);

/// A balancer that ejects nobody, knows no panic, and gives whoever comes his whole share at once.
fn calm() -> Balance {
    let never = Ejection::new().enabled(false);
    Balance::new().ejection(never).panic_threshold(0.0).slow_start(Duration::ZERO).seed(1)
}

/// The same, which ejects.
fn ejecting(ejection: Ejection) -> Balance {
    calm().ejection(ejection)
}

/// What was told of endpoints, without their joining: `endpoint ejected a: failures in a row`. Nor whether there is anybody at all.
fn told(events: Events) -> Vec<String> {
    const LEFT_OUT: [&str; 3] = ["endpoint joined", "nobody can be called", "somebody can be called"];
    let told = events.all().into_iter().filter(|event| !LEFT_OUT.contains(&event.message.as_str()));
    told.map(|event| {
        let endpoint = event.endpoint.trim_matches('\'');
        let mut text = event.message;
        for (before, more) in [(" ", endpoint), (": ", event.cause.as_str())] {
            if !more.is_empty() {
                text += before;
                text += more;
            }
        }
        text
    })
    .collect()
}
