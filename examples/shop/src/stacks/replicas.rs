//! The layers before each replica of a service that is called.

use super::TRACE;
use super::call::Call;
use crate::parts::config::Config;
use crate::parts::faults::MarkLayer;
use bartizan::breaker::{Breaker, Evidence};
use bartizan::stack::ClientStack;
use bartizan::{BreakerLayer, DeadlineLayer, FaultLayer, TraceLayer, breaker, deadline};
use http::Uri;
use http::uri::Authority;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What stands before each replica, outside in: trace of the attempt → breaker → deadline of the attempt → scope of faults → fault.
pub(super) type Replica = (TraceLayer, BreakerLayer, DeadlineLayer, MarkLayer, FaultLayer);

/// Clones make layers of the same values.
#[derive(Clone)]
pub(super) struct Replicas {
    name: String,
    known: Arc<[Uri]>,
    fault: FaultLayer,
    made: Arc<Mutex<Made>>,
}

/// What is made from here on, and what was made, by its name.
struct Made {
    stack: ClientStack,
    handles: BTreeMap<String, (breaker::Handle, deadline::Handle)>,
}

impl Replicas {
    pub(super) fn new(call: Call, name: &str, config: &Config) -> Self {
        let known = config.urls(call.to).iter().filter_map(|url| url.parse().ok()).collect();
        let fault = config.faults.layer(&format!("{}->{}", call.from, call.to));
        let made = Made { stack: call.stack(), handles: BTreeMap::new() };
        Self { name: name.to_owned(), known, fault, made: Arc::new(Mutex::new(made)) }
    }

    pub(super) fn before(&self, url: &Uri) -> Replica {
        let name = match self.known.iter().position(|known| known == url) {
            Some(_) if self.is_one() => self.name.clone(),
            Some(n) => format!("{}-{}", self.name, n + 1),
            // The registry knows one more.
            None => format!("{}@{}", self.name, authority(url)),
        };
        let mut made = self.made();
        let trace = TraceLayer::new(TRACE).outgoing().named(format!("{}/{}", self.name, authority(url)));
        let attempt = DeadlineLayer::new(made.stack.attempt_value()).outgoing();
        let attempt = attempt.named(format!("{name}, attempt"));
        let breaker = BreakerLayer::new(self.breaker(&made.stack)).named(name.as_str());
        made.handles.insert(name, (breaker.handle(), attempt.handle()));
        (trace, breaker, attempt, MarkLayer, self.fault.clone())
    }

    /// Takes over other values, for those who are there and those who come.
    pub(super) fn update(&self, stack: &ClientStack) {
        let mut made = self.made();
        let breaker = self.breaker(stack);
        let mode = stack.breaker_value().in_mode();
        let switched = made.stack.breaker_value().in_mode() != mode;
        for (before, attempt) in made.handles.values() {
            before.update(breaker);
            if switched {
                before.set_mode(mode);
            }
            attempt.update(stack.attempt_value());
        }
        made.stack = stack.clone();
    }

    /// What one replica of several is refused goes to the others.
    fn breaker(&self, stack: &ClientStack) -> Breaker {
        let breaker = *stack.breaker_value();
        match self.is_one() {
            true => breaker,
            false if breaker.evidence_rule() == Some(Evidence::new()) => {
                breaker.evidence(Evidence::new().endpoint()).ramp(Duration::ZERO)
            }
            false => breaker,
        }
    }

    fn is_one(&self) -> bool {
        self.known.len() == 1
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn authority(url: &Uri) -> &str {
    url.authority().map_or("", Authority::as_str)
}
