//! What the layers, the heartbeats and the checker show when something is wrong.

use super::cause::Place;
use bartizan::core::registry::{self, Observed};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Orders under way at a time that are more than an order takes to be placed.
const MANY: f64 = 10.0;

/// How a layer is seen at an instant, by its kind and name.
pub(super) type Sight = BTreeMap<(&'static str, String), Seen>;

/// A layer, and whether it shows that something is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) state: String,
    /// In words of the layer alone, for people.
    pub(super) note: Option<String>,
    pub(super) wrong: Option<Wrong>,
    /// How often it fell over, or tripped.
    pub(super) falls: f64,
}

/// What is wrong, by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    /// The type of the incident that it makes where no other explains it; without one it is evidence alone.
    pub(super) kind: Option<&'static str>,
    /// How long it must last for that.
    pub(super) after: Duration,
}

impl Wrong {
    const EVIDENCE: Self = Self { kind: None, after: Duration::ZERO };

    const fn after(seconds: u64, kind: &'static str) -> Self {
        Self { kind: Some(kind), after: Duration::from_secs(seconds) }
    }
}

/// Looks at all that this process knows.
pub(super) fn look(before: &Sight) -> Sight {
    let handles = registry::handles();
    let looked = handles.iter().filter_map(|handle| {
        let name = (handle.layer(), handle.name().to_owned());
        let seen = seen(handle.as_ref(), before.get(&name))?;
        Some((name, seen))
    });
    looked.collect()
}

/// How many orders are under way.
pub(super) fn under_way() -> u64 {
    let handles = registry::handles();
    let orders = handles.iter().find(|handle| handle.layer() == "orders");
    orders.map_or(0.0, |orders| steps(orders.as_ref())) as u64
}

fn steps(orders: &dyn Observed) -> f64 {
    let mut sum = 0.0;
    orders.numbers(&mut |name, number| {
        if matches!(name, "PENDING" | "RESERVED" | "PAID" | "REFUNDING" | "RELEASING") {
            sum += number;
        }
    });
    sum
}

fn number(handle: &dyn Observed, wanted: &str) -> f64 {
    let mut found = 0.0;
    handle.numbers(&mut |name, number| {
        if name == wanted {
            found = number;
        }
    });
    found
}

/// None for what never shows that something is wrong.
fn seen(handle: &dyn Observed, before: Option<&Seen>) -> Option<Seen> {
    let (layer, mut state, mut falls) = (handle.layer(), handle.state().to_owned(), 0.0);
    let wrong = match (layer, state.as_str()) {
        // One that would let the next call pass has seen none since.
        ("breaker", "open") if number(handle, "retry_after_seconds") > 0.0 => {
            Some(Wrong::after(8, "breaker_open"))
        }
        ("endpoint", "ejected") => Some(Wrong::after(10, "ejected")),
        ("endpoint", "down" | "broken") => Some(Wrong::after(10, "endpoint_down")),
        ("service", standing) => {
            falls = number(handle, "falls");
            let fell = before.is_some_and(|before| falls > before.falls);
            if fell || matches!(standing, "down" | "crash loop") {
                "fell over".clone_into(&mut state);
                Some(Wrong::after(0, "fell_over"))
            } else if number(handle, "ready") == 0.0 {
                "does not answer".clone_into(&mut state);
                Some(Wrong::after(5, "not_ready"))
            } else {
                None
            }
        }
        ("orders", _) if number(handle, "dead_letters") > 0.0 => {
            "dead letters".clone_into(&mut state);
            Some(Wrong::after(0, "dead_letters"))
        }
        ("orders", _) if steps(handle) > MANY => {
            "many under way".clone_into(&mut state);
            Some(Wrong::EVIDENCE)
        }
        ("condition", "full") => Some(Wrong::after(2, "store_full")),
        ("condition", "locked") => Some(Wrong::after(6, "store_locked")),
        ("condition", "failing") => Some(Wrong::after(6, "store_failing")),
        ("condition", "slow") => Some(Wrong::EVIDENCE),
        ("invariant", "broken") => Some(Wrong::after(0, "invariant_broken")),
        ("balance", "panic" | "empty")
        | ("budget", "empty")
        | ("shed", "shedding")
        | ("stale", "degraded") => Some(Wrong::EVIDENCE),
        (
            "breaker" | "endpoint" | "orders" | "invariant" | "balance" | "budget" | "shed" | "stale"
            | "condition",
            _,
        ) => None,
        _ => return None,
    };
    // What an invariant says names rows, and what others say is of a closed set.
    let note = (layer != "invariant").then(|| handle.note()).flatten().map(Cow::into_owned);
    Some(Seen { state, note, wrong, falls })
}

/// Where something is wrong, if it is about a place at all.
pub(super) fn place<'a>(layer: &str, name: &'a str) -> Option<Place<'a>> {
    match layer {
        "orders" => Some(Place::parse("order")),
        "invariant" => None,
        _ => Some(Place::parse(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Service {
        state: &'static str,
        ready: f64,
        falls: f64,
    }

    impl Observed for Service {
        fn layer(&self) -> &'static str {
            "service"
        }

        fn name(&self) -> &str {
            "payment-2"
        }

        fn state(&self) -> &'static str {
            self.state
        }

        fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
            show("ready", self.ready);
            show("falls", self.falls);
        }
    }

    fn kind(seen: Option<&Seen>) -> Option<&'static str> {
        seen.and_then(|seen| seen.wrong?.kind)
    }

    #[test]
    fn a_service_that_was_back_before_anybody_looked_fell_over_nevertheless() {
        let service = |state, ready, falls| Service { state, ready, falls };
        let first = seen(&service("up", 1.0, 3.0), None);
        assert_eq!(kind(first.as_ref()), None, "it fell over before");
        let fell = seen(&service("up", 1.0, 4.0), first.as_ref());
        assert_eq!(kind(fell.as_ref()), Some("fell_over"));
        assert_eq!(kind(seen(&service("up", 1.0, 4.0), fell.as_ref()).as_ref()), None);
        assert_eq!(kind(seen(&service("down", 1.0, 4.0), fell.as_ref()).as_ref()), Some("fell_over"));
        assert_eq!(kind(seen(&service("up", 0.0, 4.0), fell.as_ref()).as_ref()), Some("not_ready"));
        // What was done on purpose is not what shows it.
        assert_eq!(kind(seen(&service("killed", 1.0, 4.0), fell.as_ref()).as_ref()), None);
    }
}
