use crate::common::register;
use crate::keyed::Table;
use crate::layer::DEFAULT_MAX_KEYS;
use crate::limit::Limit;
use crate::refusals::Refusals;
use crate::shelf::Shelf;
use bartizan_core::registry::Observed;
use bartizan_core::{Name, Refused};
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Watches, steers and asks the limits of keys. Cheap to clone; its clones share the buckets.
///
/// A handler can ask it without a layer, for what only it knows, such as the name in a log-in that failed:
///
/// ```
/// use bartizan_limit::{KeyedHandle, Limit};
/// use std::time::Duration;
///
/// let failures = KeyedHandle::<str>::new(Limit::per(10, Duration::from_secs(60))).named("failed log-ins");
/// assert!(failures.peek("ada", 1).is_ok()); // may she try?
/// failures.charge("ada", 1); // she has failed
/// assert_eq!(failures.remaining("ada"), 9);
/// ```
///
/// [`answer`](bartizan_http::answer) makes of the refusal what a layer would answer, `Retry-After` included; `.map(axum::body::Body::from)`
/// makes that an answer of axum's. Attempts that are under way at once have all peeked before one is charged: bound those too, by a limit
/// for each address.
pub struct KeyedHandle<K: ?Sized> {
    pub(crate) table: Arc<Table>,
    key: PhantomData<fn(&K)>,
}

/// Plain numbers of the limits of all keys at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The limit of each key.
    pub limit: Limit,
    /// The keys whose buckets are not full.
    pub keys: usize,
    /// How many there may be.
    pub max_keys: usize,
    /// Requests so far whose key found no room, and that took from the shared bucket.
    pub overflowed: u64,
    /// The requests that wait for their turn.
    pub waiting: usize,
    /// Requests refused so far.
    pub refused: u64,
    /// The same by their reasons.
    pub refusals: Refusals,
    /// Requests that were over the limit and let through so far, as [`Limit::shadow`] asks for.
    pub shadowed: u64,
}

impl<K: ?Sized> KeyedHandle<K> {
    /// Creates limits that no layer applies, for up to [`DEFAULT_MAX_KEYS`] keys.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self::of(Arc::new(Table::new(limit, None, DEFAULT_MAX_KEYS)))
    }

    pub(crate) const fn of(table: Arc<Table>) -> Self {
        Self { table, key: PhantomData }
    }

    /// Names the limits in refusals, metrics and the registry. A second name changes nothing. Default: no name, and not registered.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.table.named(name.into());
        self
    }

    /// Sets how many keys have a bucket of their own. It begins anew: set it where the limits are made.
    #[must_use]
    pub fn max_keys(self, max_keys: NonZeroUsize) -> Self {
        Self::of(with_max_keys(self.table, max_keys))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.table.common().name().map(Name::as_str)
    }

    /// All numbers now. Keys whose buckets are full are forgotten before they are counted.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let keys = self.keys();
        let common = self.table.common();
        let refusals = common.refusals();
        KeyedSnapshot {
            limit: common.limit(),
            keys,
            max_keys: self.table.cap(),
            overflowed: self.table.overflowed(),
            waiting: self.table.waiters().count(),
            refused: refusals.total(),
            refusals,
            shadowed: common.shadowed(),
        }
    }

    /// How many keys have a bucket that is not full. The others are forgotten, and their memory is given back: as it is in any case
    /// bit by bit while calls come in.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.table.sweep();
        self.table.keys()
    }

    /// Takes over a new limit. Every bucket keeps the tokens that are in it, as far as they find room, and is given none.
    pub fn update(&self, limit: Limit) {
        let _always = self.table.change(|_| Ok(limit));
    }

    /// Limits from now on, if it was switched off.
    pub fn enable(&self) {
        let _always = self.table.switch(true);
    }

    /// Lets every request pass from now on, and counts none.
    pub fn disable(&self) {
        let _always = self.table.switch(false);
    }

    /// Fills all buckets.
    pub fn reset(&self) {
        self.table.clear();
    }

    /// Takes tokens of a key, as a request of that cost does; none of zero.
    ///
    /// # Errors
    ///
    /// There are too few of them; none is taken.
    pub fn check<Q>(&self, key: &Q, cost: u32) -> Result<(), Refused>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.table.check(self.table.number(key), cost)
    }

    /// Says whether tokens of a key would be refused, and takes none.
    ///
    /// # Errors
    ///
    /// There are too few of them.
    pub fn peek<Q>(&self, key: &Q, cost: u32) -> Result<(), Refused>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.table.ask(self.table.number(key), cost)
    }

    /// Takes as many of the tokens of a key as there are: for what is known only afterwards, a failed log-in say.
    pub fn charge<Q>(&self, key: &Q, cost: u32)
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.table.charge(self.table.number(key), cost, self.table.common().now());
    }

    /// Takes all tokens of a key: nothing of it is let through until the first has come back.
    pub fn drain<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.charge(key, u32::MAX);
    }

    /// The whole tokens that are left of a key. One without a bucket of its own has as many as it would be given.
    #[must_use]
    pub fn remaining<Q>(&self, key: &Q) -> u32
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let limit = self.table.common().limit();
        if limit.is_enabled() {
            limit.pace().left(self.table.debt(self.table.number(key)))
        } else {
            limit.max_burst()
        }
    }
}

/// An empty table of the same limit and name, and another size.
pub(crate) fn with_max_keys(table: Arc<Table>, max_keys: NonZeroUsize) -> Arc<Table> {
    let (limit, name) = (table.common().limit(), table.common().name().cloned());
    // It leaves the registry first, so that the new one is not its twin.
    drop(table);
    let table = Arc::new(Table::new(limit, name, max_keys.get()));
    register(&(table.clone() as Arc<dyn Observed>));
    table
}

impl<K: ?Sized> Clone for KeyedHandle<K> {
    fn clone(&self) -> Self {
        Self::of(self.table.clone())
    }
}

impl<K: ?Sized> fmt::Debug for KeyedHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHandle")
            .field("name", &self.name())
            .field("limit", &self.table.common().limit())
            .finish_non_exhaustive()
    }
}
