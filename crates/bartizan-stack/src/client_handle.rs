use crate::client_layer::{HostBreaker, HostOf};
use crate::client_stack::ClientStack;
use crate::halves::{Each, EndpointLayer, OuterLayer};
use crate::host::Host;
use crate::misfit::Misfit;
use bartizan_balance::{Balance, BalanceLayer};
use bartizan_breaker::{Breaker, BreakerLayer, Evidence, KeyedHandle};
use bartizan_core::{Name, Purse};
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::StaleLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_http::http::Uri;
use bartizan_retry::RetryLayer;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What the handles and the clones of one layer share.
pub(crate) struct Parts {
    name: OnceLock<Name>,
    stack: Mutex<ClientStack>,
    /// Handles of these are made when they are asked for: a layer that nobody watches counts nothing.
    pub(crate) outer: OuterLayer,
    purse: Purse,
    pub(crate) breaker: HostBreaker,
    pub(crate) each: Each,
    balances: Mutex<Vec<bartizan_balance::Handle<Uri>>>,
    /// Whether a call can go elsewhere.
    spread: AtomicBool,
}

impl Parts {
    pub(crate) fn new(stack: ClientStack) -> Self {
        let purse = Purse::new(stack.budget_value());
        let outer = OuterLayer {
            stale: StaleLayer::new(stack.fit_stale()),
            deadline: DeadlineLayer::new(*stack.deadline_value()).outgoing(),
            retry: RetryLayer::new(stack.fit_retry()).purse(purse.clone()),
            hedge: HedgeLayer::new(stack.fit_hedge(false)).purse(purse.clone()),
        };
        let breaker = BreakerLayer::new(stack.fit_breaker()).key(Host::asked as HostOf);
        let attempt = DeadlineLayer::new(stack.attempt_value()).outgoing();
        Self {
            name: OnceLock::new(),
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
        let stack = self.stack();
        if !self.spread.swap(true, Relaxed) {
            self.each.breakers.update(self.around(stack.fit_breaker()));
            if stack.fit_hedge(true) != stack.fit_hedge(false) {
                self.outer.hedge.handle().update(stack.fit_hedge(true));
            }
        }
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

    /// Makes a balancer that is steered from now on.
    pub(crate) fn steered<B>(
        &self,
        make: impl FnOnce(Balance, Option<Name>) -> (bartizan_balance::Handle<Uri>, B),
    ) -> B {
        let stack = self.stack();
        let (handle, balance) = make(stack.balance_value().clone(), self.name.get().cloned());
        self.balances().push(handle);
        balance
    }

    fn update(&self, new: ClientStack) {
        let mut held = self.stack();
        let old = &*held;
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
            self.balances().iter().for_each(|balance| balance.update(new.balance_value().clone()));
        }
        if old.fit_breaker() != new.fit_breaker() {
            self.update_breakers(old.fit_breaker(), new.fit_breaker());
        }
        if old.attempt_value() != new.attempt_value() {
            self.each.attempt.handle().update(new.attempt_value());
        }
        *held = new;
    }

    fn update_breakers(&self, old: Breaker, new: Breaker) {
        let breakers = &self.each.breakers;
        breakers.update(self.around(new));
        // A circuit's mode is its own, so that an update does not undo what somebody has forced: it changes if the stack's does.
        if old.in_mode() != new.in_mode() {
            breakers.overflow().set_mode(new.in_mode());
            breakers.all().iter().for_each(|(_, breaker)| breaker.set_mode(new.in_mode()));
        }
    }

    fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    fn stack(&self) -> MutexGuard<'_, ClientStack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn balances(&self) -> MutexGuard<'_, Vec<bartizan_balance::Handle<Uri>>> {
        self.balances.lock().unwrap_or_else(PoisonError::into_inner)
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
            .field("stack", &*self.stack())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stack, name) = (self.stack(), self.name());
        let breaker = self.around(stack.fit_breaker());
        let hedge = stack.fit_hedge(self.spread.load(Relaxed));
        let table = if self.balances().is_empty() {
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

/// Watches and changes the stack of a [`ClientLayer`](crate::ClientLayer) or a [`BalancedLayer`](crate::BalancedLayer). Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientHandle(pub(crate) Arc<Parts>);

impl ClientHandle {
    /// The name that the layer was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// The stack as it was last set as a whole. What the handle of a part has changed since is not in it.
    #[must_use]
    pub fn stack(&self) -> ClientStack {
        self.0.stack().clone()
    }

    /// Takes over a new stack, the whole of it or nothing; also for endpoints and hosts that come later. Calls that run go on; windows,
    /// states, tokens and what was learnt stay. A part that is as it was is not touched.
    ///
    /// # Errors
    ///
    /// If its parts do not [fit together](ClientStack::check). All stays as it was.
    pub fn update(&self, stack: ClientStack) -> Result<(), Misfit> {
        stack.check()?;
        self.0.update(stack);
        Ok(())
    }

    /// The handle of the last good answers.
    #[must_use]
    pub fn stale(&self) -> bartizan_fallback::stale::Handle {
        self.0.outer.stale.handle()
    }

    /// The handle of the deadline.
    #[must_use]
    pub fn deadline(&self) -> bartizan_deadline::Handle {
        self.0.outer.deadline.handle()
    }

    /// The handle of the retries.
    #[must_use]
    pub fn retry(&self) -> bartizan_retry::Handle {
        self.0.outer.retry.handle()
    }

    /// The handle of the hedges.
    #[must_use]
    pub fn hedge(&self) -> bartizan_hedge::Handle {
        self.0.outer.hedge.handle()
    }

    /// The purse that pays for retries and hedges.
    #[must_use]
    pub fn purse(&self) -> &Purse {
        &self.0.purse
    }

    /// The handle of the balancer, if there is one.
    #[must_use]
    pub fn balance(&self) -> Option<bartizan_balance::Handle<Uri>> {
        self.0.balances().last().cloned()
    }

    /// The handle of the breakers, one for each host or endpoint.
    #[must_use]
    pub fn breakers(&self) -> &KeyedHandle<Host> {
        &self.0.each.breakers
    }

    /// The handle of the attempts' deadline, which all hosts and endpoints share.
    #[must_use]
    pub fn attempt(&self) -> bartizan_deadline::Handle {
        self.0.each.attempt.handle()
    }
}

/// A table, outside in.
impl fmt::Display for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
