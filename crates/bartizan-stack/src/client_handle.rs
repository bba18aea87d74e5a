use crate::client_parts::Parts;
use crate::client_stack::ClientStack;
use crate::host::Host;
use crate::misfit::Misfit;
use bartizan_balance::{Change, Member};
use bartizan_breaker::KeyedHandle;
use bartizan_core::Purse;
use bartizan_http::http::Uri;
use std::fmt;
use std::sync::Arc;

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
        self.0.stack()
    }

    /// Takes over a new stack, the whole of it or nothing; also for endpoints and hosts that come later. Calls that run go on; windows,
    /// states, tokens and what was learnt stay. A part that is as it was is not touched. Who hears of a change on the thread that makes it, and wants another, has it made after that one.
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

    /// The handle of the balancer, if there is one; of several, the one that was made last.
    #[must_use]
    pub fn balance(&self) -> Option<bartizan_balance::Handle<Uri>> {
        self.0.last_balance()
    }

    /// Makes these the members of the balancer, as [`ClientLayer::members`](crate::ClientLayer::members) does; those that were there before
    /// keep their state. False if there is no balancer.
    pub fn members<T: Into<Member<Uri>>>(&self, members: impl IntoIterator<Item = T>) -> bool {
        let members: Vec<Member<Uri>> = members.into_iter().map(Into::into).collect();
        let Some(balance) = self.balance() else { return false };
        if members.len() > 1 {
            self.0.spread();
        }
        balance.change(Change::Set(members));
        true
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
