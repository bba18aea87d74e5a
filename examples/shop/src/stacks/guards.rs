//! The layers before a call, made of its values, and changed as the policy says.

use super::call::Call;
use super::replicas::Replicas;
use super::{TRACE, WAITING};
use crate::parts::config::Config;
use bartizan::fallback::{Failed, Fallback, FallbackLayer, StaleLayer};
use bartizan::shed::BacklogLayer;
use bartizan::stack::ClientStack;
use bartizan::{
    Balance, DeadlineLayer, HedgeLayer, Meter, MeterLayer, Purse, RetryLayer, Shed, ShedLayer, TraceLayer,
    balance,
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, Uri};

pub(super) struct Guards {
    call: Call,
    stack: ClientStack,
    pub(super) name: String,
    pub(super) trace: TraceLayer,
    pub(super) meter: MeterLayer,
    /// Without anything to say yet.
    pub(super) fallback: FallbackLayer,
    pub(super) stale: StaleLayer,
    pub(super) deadline: DeadlineLayer,
    pub(super) retry: RetryLayer,
    pub(super) hedge: HedgeLayer,
    purse: Purse,
    /// Whoever waits to be made again is not in flight.
    pub(super) in_flight: BacklogLayer,
    pub(super) replicas: Replicas,
}

impl Guards {
    pub(super) fn new(call: Call, config: &Config) -> Self {
        let (stack, name) = (call.stack(), format!("{}->{}{}", config.here, call.to, call.what));
        let deadline = *stack.deadline_value();
        // What makes the call again, and what sends a copy of it, are paid from one purse.
        let purse = Purse::new(stack.budget_value());
        let retry = RetryLayer::new(stack.retry_value().clone()).purse(purse.clone());
        let hedge = HedgeLayer::new(stack.hedge_value().clone()).purse(purse.clone());
        let fallback = FallbackLayer::new(Fallback::new().enabled(call.instead.is_some()));
        let stale = StaleLayer::new(stack.stale_value().clone());
        // What a call does not have is not shown, and is there all the same: a policy can switch it on.
        let is = |has: bool| has.then(|| name.clone());
        let fallback = is(call.instead.is_some()).map_or(fallback.clone(), |name| fallback.named(name));
        let stale = is(call.stale).map_or(stale.clone(), |name| stale.named(name));
        let retry = is(call.retries > 0).map_or(retry.clone(), |name| retry.named(name));
        let hedge = is(call.hedged).map_or(hedge.clone(), |name| hedge.named(name));
        let purse = is(call.retries > 0 || call.hedged).map_or(purse.clone(), |name| purse.named(name));
        let in_flight = ShedLayer::new(Shed::fixed(call.in_flight))
            .backlog(WAITING.max_wait(call.waits))
            .named(name.as_str());
        let (places, said) = (in_flight.handle(), fallback.handle());
        let add = |layer, has: bool, turn: Box<dyn Fn(bool) + Send>| {
            if has {
                config.switches.add(&call.to_string(), layer, &config.here, turn);
            }
        };
        add("bulkhead", true, Box::new(move |on| places.update(places.value().enabled(on))));
        add("fallback", call.instead.is_some(), Box::new(move |on| said.update(said.value().enabled(on))));
        let trace = TraceLayer::new(TRACE).around().named(name.as_str());
        let meter = MeterLayer::new(Meter::new()).named(name.as_str());
        let deadline = DeadlineLayer::new(deadline).outgoing().named(name.as_str());
        let replicas = Replicas::new(call, &name, config);
        Self {
            call,
            stack,
            name,
            trace,
            meter,
            fallback,
            stale,
            deadline,
            retry,
            hedge,
            purse,
            in_flight,
            replicas,
        }
    }

    pub(super) fn balance(&self) -> Balance {
        self.stack.balance_value().clone()
    }

    /// Has the layers follow the policy.
    pub(super) fn follow(&self, config: &Config, balance: balance::Handle<Uri>) {
        let (stale, deadline) = (self.stale.handle(), self.deadline.handle());
        let (retry, hedge, purse) = (self.retry.handle(), self.hedge.handle(), self.purse.clone());
        let (replicas, mut before) = (self.replicas.clone(), self.stack.clone());
        config.policy.call(&self.call.to_string(), self.stack.clone(), move |stack| {
            for difference in before.diff(stack) {
                match difference.field() {
                    "stale" => stale.update(stack.stale_value().clone()),
                    "deadline" => deadline.update(*stack.deadline_value()),
                    "retry" => retry.update(stack.retry_value().clone()),
                    "hedge" => hedge.update(stack.hedge_value().clone()),
                    "balance" => balance.update(stack.balance_value().clone()),
                    _ => replicas.update(stack),
                }
            }
            if before.budget_value() != stack.budget_value() {
                purse.update(stack.budget_value());
            }
            before = stack.clone();
        });
    }
}

/// What was kept to be said, as JSON.
pub(super) fn say(failed: &Failed<Option<Bytes>>) -> Option<Response<Bytes>> {
    let mut answer = Response::new(failed.key.clone()?);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(answer)
}
