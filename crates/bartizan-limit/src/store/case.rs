use super::source::{Source, Wish};
use super::{Told, Verb};
use crate::denial::Denial;
use crate::nanos;
use crate::shelf::Shelf;
use bartizan_core::{Context, Instant};
use std::sync::Arc;
use std::time::Duration;

/// What decides on one request: the bucket here, and that in the store.
pub(crate) struct Case<S> {
    pub(crate) shelf: Arc<S>,
    pub(crate) source: Arc<Source>,
    pub(crate) number: u64,
    pub(crate) bucket: u128,
    pub(crate) cost: u32,
}

/// What was said here, and when; it is final unless the store is to be asked as well.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    at: u64,
    pub(crate) said: Result<u64, Denial>,
    pub(crate) ask: bool,
}

impl<S: Shelf> Case<S> {
    /// Takes tokens here.
    pub(crate) fn begin(&self) -> Begun {
        let at = self.shelf.common().now();
        let said = self.shelf.take(self.number, self.cost, at);
        Begun { at, said, ask: !self.is_final(said) && self.may_ask(at) }
    }

    /// Asks the store for tokens that were asked for here, and returns how long the bucket needs to be full.
    pub(crate) async fn settle(&self, begun: Begun) -> Result<u64, Denial> {
        let Some(Told { wait, debt }) = self.ask(Verb::Take).await else { return begun.said };
        let (wait, debt) = (nanos(wait), self.believed(debt));
        let back = if wait > 0 && begun.said.is_ok() { self.cost } else { 0 };
        self.shelf.learn(self.number, back, begun.at.saturating_add(debt));
        if wait > 0 { Err(Denial::over(wait)) } else { Ok(debt) }
    }

    /// Passes a no on, or lets the request through for the shadow's share.
    pub(crate) fn enforce(&self, said: Result<u64, Denial>) -> Result<u64, Denial> {
        said.or_else(|denial| self.shelf.common().enforce(denial).map(|()| u64::MAX))
    }

    /// Says whether tokens would be refused; takes none.
    pub(crate) async fn peek(&self) -> Result<(), Denial> {
        let at = self.shelf.common().now();
        let said = self.shelf.peek(self.number, self.cost, at);
        if self.is_final(said) {
            return said;
        }
        match self.told(Verb::Peek, at).await {
            Some(0) => Ok(()),
            Some(wait) => Err(Denial::over(wait)),
            None => said,
        }
    }

    /// Takes as many of the tokens as there are.
    pub(crate) async fn charge(&self) {
        let at = self.shelf.common().now();
        self.shelf.charge(self.number, self.cost, at);
        self.told(Verb::Charge, at).await;
    }

    /// Whether the store could say nothing else: a bucket of one's own here has no fewer tokens than that there. One that several keys
    /// share here says nothing of any of them.
    fn is_final<T>(&self, said: Result<T, Denial>) -> bool {
        said.is_err_and(|denial| denial == Denial::COSTLY || self.shelf.knows(self.number))
    }

    /// Whether there is any sense in asking the store.
    fn may_ask(&self, at: u64) -> bool {
        self.shelf.common().limit().is_enabled() && self.source.may_be_asked(at)
    }

    /// Asks the store, if there is any sense in it, and returns after how long there will be enough tokens.
    async fn told(&self, verb: Verb, at: u64) -> Option<u64> {
        let told = if self.may_ask(at) { self.ask(verb).await } else { None }?;
        self.shelf.learn(self.number, 0, at.saturating_add(self.believed(told.debt)));
        Some(nanos(told.wait))
    }

    /// What is believed of a debt: no more than an empty bucket has. What is there of another limit, or by mistake, the store says again.
    fn believed(&self, debt: Duration) -> u64 {
        nanos(debt).min(self.shelf.common().limit().pace().span)
    }

    async fn ask(&self, verb: Verb) -> Option<Told> {
        let common = self.shelf.common();
        let name = common.name().map_or("", |name| name.as_str());
        let limit = common.limit();
        // A charge may be for more than there can ever be.
        let wish = Wish { bucket: self.bucket, cost: self.cost.min(limit.max_burst()), verb };
        self.source.ask(name, limit, wish, patience(), || common.now()).await
    }
}

/// How long the call under way may wait for a store: half of what its deadline leaves.
fn patience() -> Duration {
    let left = Context::current().and_then(|context| context.remaining(Instant::now()));
    left.map_or(Duration::MAX, |left| left / 2)
}
