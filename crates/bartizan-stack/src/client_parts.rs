use crate::client_layer::{HostBreaker, HostOf};
use crate::client_stack::ClientStack;
use crate::halves::{Each, EndpointLayer, OuterLayer};
use crate::host::Host;
use crate::turn::{Turn, lock};
use bartizan_balance::{Balance, BalanceLayer};
use bartizan_breaker::{Breaker, BreakerLayer, Evidence};
use bartizan_core::{Name, Purse};
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::StaleLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_http::http::Uri;
use bartizan_retry::RetryLayer;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// What the handles and the clones of one layer share.
pub(crate) struct Parts {
    name: OnceLock<Name>,
    /// Held while layers are changed. They tell of that, and who hears of it may look at the stack.
    turn: Turn<ClientStack>,
    stack: Mutex<ClientStack>,
    /// Handles of these are made when they are asked for: a layer that nobody watches counts nothing.
    pub(crate) outer: OuterLayer,
    pub(crate) purse: Purse,
    pub(crate) breaker: HostBreaker,
    pub(crate) each: Each,
    balances: Mutex<Vec<bartizan_balance::Handle<Uri>>>,
    /// Whether a call can go elsewhere.
    spread: AtomicBool,
}

impl Parts {
    pub(crate) fn new(stack: ClientStack) -> Self {
        let purse = Purse::new(stack.budget_value());
        let attempt = DeadlineLayer::new(stack.attempt_value()).outgoing();
        let outer = OuterLayer {
            stale: StaleLayer::new(stack.fit_stale()),
            deadline: DeadlineLayer::new(*stack.deadline_value()).around(&attempt),
            retry: RetryLayer::new(stack.fit_retry()).purse(purse.clone()),
            hedge: HedgeLayer::new(stack.fit_hedge(false)).purse(purse.clone()),
        };
        let breaker = BreakerLayer::new(stack.fit_breaker()).key(Host::asked as HostOf);
        Self {
            name: OnceLock::new(),
            turn: Turn::new(),
            stack: Mutex::new(stack),
            outer,
            purse,
            each: Each { breakers: breaker.handle(), attempt },
            breaker,
            balances: Mutex::default(),
            spread: AtomicBool::new(false),
        }
    }

    /// Names the layers, the first time.
    pub(crate) fn set_name(&self, name: &Name) {
        if self.name.set(name.clone()).is_ok() {
            let OuterLayer { stale, deadline, retry, hedge } = self.outer.clone();
            let _shared = stale.named(name.clone());
            let _shared =
                (deadline.named(name.clone()), retry.named(name.clone()), hedge.named(name.clone()));
            let _shared = (self.purse.clone().named(name.clone()), self.breaker.clone().named(name.clone()));
            let _shared = self.each.attempt.clone().named(format!("{}, attempt", name.as_str()));
        }
    }

    /// Says that a call can go elsewhere from now on: a breaker stands before an endpoint then, and no longer before a service.
    pub(crate) fn spread(&self) {
        let spread = || {
            if !self.spread.swap(true, Relaxed) {
                let stack = self.stack();
                self.each.breakers.update(self.around(stack.fit_breaker()));
                if stack.fit_hedge(true) != stack.fit_hedge(false) {
                    self.outer.hedge.handle().update(stack.fit_hedge(true));
                }
            }
        };
        self.turn.hold(spread, |stack| self.change(stack));
    }

    /// A breaker as it fits to the place.
    fn around(&self, breaker: Breaker) -> Breaker {
        if self.spread.load(Relaxed) { of_endpoint(breaker) } else { breaker }
    }

    /// A balancer without members.
    pub(crate) fn balance(&self) -> BalanceLayer<EndpointLayer> {
        let each = self.each.clone();
        self.steered(|value, name| {
            let balance = BalanceLayer::new(value).each(move |endpoint| each.of(endpoint));
            let balance = match name {
                Some(name) => balance.named(name),
                None => balance,
            };
            (balance.handle(), balance)
        })
    }

    /// The balancer that was made last.
    pub(crate) fn last_balance(&self) -> Option<bartizan_balance::Handle<Uri>> {
        lock(&self.balances).last().cloned()
    }

    /// Makes a balancer that is steered from now on.
    pub(crate) fn steered<B>(
        &self,
        make: impl FnOnce(Balance, Option<Name>) -> (bartizan_balance::Handle<Uri>, B),
    ) -> B {
        let steer = || {
            let (handle, balance) = make(self.stack().balance_value().clone(), self.name.get().cloned());
            lock(&self.balances).push(handle);
            balance
        };
        self.turn.hold(steer, |stack| self.change(stack))
    }

    pub(crate) fn update(&self, new: ClientStack) {
        self.turn.change(new, |stack| self.change(stack));
    }

    fn change(&self, new: ClientStack) {
        let old = self.stack();
        if old.fit_stale() != new.fit_stale() {
            self.outer.stale.handle().update(new.fit_stale());
        }
        if old.deadline_value() != new.deadline_value() {
            self.outer.deadline.handle().update(*new.deadline_value());
        }
        if old.fit_retry() != new.fit_retry() {
            self.outer.retry.handle().update(new.fit_retry());
        }
        if old.budget_value() != new.budget_value() {
            self.purse.update(new.budget_value());
        }
        let is_spread = self.spread.load(Relaxed);
        if old.fit_hedge(is_spread) != new.fit_hedge(is_spread) {
            self.outer.hedge.handle().update(new.fit_hedge(is_spread));
        }
        if old.balance_value() != new.balance_value() {
            let balances = lock(&self.balances).clone();
            balances.iter().for_each(|balance| balance.update(new.balance_value().clone()));
        }
        if old.fit_breaker() != new.fit_breaker() {
            self.update_breakers(old.fit_breaker(), new.fit_breaker());
        }
        if old.attempt_value() != new.attempt_value() {
            self.each.attempt.handle().update(new.attempt_value());
        }
        *lock(&self.stack) = new;
    }

    fn update_breakers(&self, old: Breaker, new: Breaker) {
        let breakers = &self.each.breakers;
        breakers.update(self.around(new));
        // A circuit's mode is its own, so that an update does not undo what somebody has forced: it changes if the stack's does.
        if old.in_mode() != new.in_mode() {
            breakers.set_mode(new.in_mode());
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    pub(crate) fn stack(&self) -> ClientStack {
        lock(&self.stack).clone()
    }
}

/// A breaker before one endpoint of several, where what is left as it is by default fits itself to that.
fn of_endpoint(breaker: Breaker) -> Breaker {
    let breaker = match breaker.evidence_rule() {
        Some(evidence) if evidence == Evidence::new() => breaker.evidence(evidence.endpoint()),
        _ => breaker,
    };
    let is_default = breaker == breaker.ramp(Breaker::DEFAULT_RAMP);
    if is_default { breaker.ramp(Duration::ZERO) } else { breaker }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name())
            .field("stack", &self.stack())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stack, name) = (self.stack(), self.name());
        let breaker = self.around(stack.fit_breaker());
        let hedge = stack.fit_hedge(self.spread.load(Relaxed));
        let table = if lock(&self.balances).is_empty() {
            stack.table(
                name,
                hedge,
                "none, calls go where they say",
                format_args!("for each host: {breaker}"),
            )
        } else {
            stack.table(name, hedge, stack.balance_value(), format_args!("for each endpoint: {breaker}"))
        };
        table.fmt(f)
    }
}
