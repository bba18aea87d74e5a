//! Two steer one layer at once, and neither undoes what the other does.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_core::registry::{self, Observed};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_limit::{KeyedHandle, Limit, LimitLayer};
use bartizan_shed::{Shed, ShedLayer, Throttle, ThrottleLayer};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const TIMES: usize = 10_000;

/// What one of the two does, and looks at.
#[derive(Clone, Copy)]
enum Does {
    Set(&'static str),
    /// Two verbs, and the states that they lead to.
    Act([(&'static str, &'static str); 2]),
}
use Does::{Act, Set};

const PASSES: Does = Act([("disable", "disabled"), ("resume", "passing")]);
const ADMITS: Does = Act([("disable", "disabled"), ("resume", "admitting")]);
const OPENS: Does = Act([("disable", "off"), ("enable", "open")]);
const ENABLES: Does = Act([("disable", "disabled"), ("enable", "enabled")]);

impl Does {
    /// What nobody else changes is as it was left.
    fn run(self, seen: &dyn Observed) {
        for n in 0..TIMES {
            match self {
                Set(setting) => {
                    let to = (1 + n % 10) as f64;
                    seen.set(setting, to).unwrap();
                    seen.settings(&mut |name, is| assert!(name != setting || is == to, "{name}: {is}"));
                }
                Act(turns) => {
                    let (verb, state) = turns[n % 2];
                    seen.act(verb).unwrap();
                    assert_eq!(seen.state(), state);
                }
            }
        }
    }
}

fn find(layer: &str, name: &str) -> Arc<dyn Observed> {
    registry::handles().into_iter().find(|seen| (seen.layer(), seen.name()) == (layer, name)).unwrap()
}

#[test]
fn neither_undoes_what_the_other_does() {
    let _layers = (
        BreakerLayer::new(Breaker::new()).named("one"),
        BreakerLayer::new(Breaker::new()).key(|head| head.uri.path().to_owned()).named("keyed"),
        ShedLayer::new(Shed::fixed(1)).named("one"),
        ThrottleLayer::new(Throttle::new()).named("one"),
        LimitLayer::new(Limit::per_second(1)).named("one"),
        KeyedHandle::<str>::new(Limit::per_second(1)).named("keyed"),
        DeadlineLayer::new(Deadline::new(Duration::from_secs(60))).named("one"),
    );
    for (layer, name, one, other) in [
        ("breaker", "one", Set("probes"), Set("ramp_seconds")),
        ("breaker", "keyed", Set("probes"), Set("ramp_seconds")),
        ("shed", "one", Set("limit"), ADMITS),
        ("throttle", "one", Set("min_requests"), PASSES),
        ("limit", "one", Set("burst"), OPENS),
        ("limit", "keyed", Set("burst"), OPENS),
        ("deadline", "one", Set("margin_seconds"), ENABLES),
    ] {
        let seen = find(layer, name);
        thread::scope(|scope| {
            scope.spawn(|| one.run(&*seen));
            other.run(&*seen);
        });
    }
}
