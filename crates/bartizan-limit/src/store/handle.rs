use super::case::Case;
use super::source::Source;
use super::{Store, id};
use crate::denial::Denial;
use crate::handle::KeyedHandle;
use crate::keyed::Table;
use crate::shelf::Shelf;
use bartizan_core::Refused;
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Watches, steers and asks the limits of keys with a [`Store`]. Cheap to clone.
///
/// A handler can ask it without a layer, for what only it knows, such as the name in a log-in that failed:
///
/// ```
/// # use bartizan_limit::{KeyedHandle, Limit, Store};
/// # use std::time::Duration;
/// # async fn log_in(store: impl Store) -> Result<(), bartizan_core::Refused> {
/// let failures = KeyedHandle::<str>::new(Limit::per(10, Duration::from_secs(60))).named("failed log-ins");
/// let failures = failures.store(store);
/// failures.peek("ada", 1).await?; // may she try?
/// failures.charge("ada", 1).await; // she has failed
/// # Ok(()) }
/// ```
pub struct SharedHandle<K: ?Sized> {
    here: KeyedHandle<K>,
    source: Arc<Source>,
}

impl<K: ?Sized> KeyedHandle<K> {
    /// Keeps the buckets in a store, so that several processes share them, as [`LimitLayer::store`](crate::LimitLayer::store) does.
    #[must_use]
    pub fn store(self, store: impl Store) -> SharedHandle<K> {
        let source = self.table.common().kept_in(store);
        SharedHandle::new(self, source)
    }
}

impl<K: ?Sized> SharedHandle<K> {
    pub(crate) const fn new(here: KeyedHandle<K>, source: Arc<Source>) -> Self {
        Self { here, source }
    }

    /// The buckets of this process: they decide while the store gives no answer, and refuse who is known to be over the limit. An
    /// [`update`](KeyedHandle::update) of it is one of the limit; a [`reset`](KeyedHandle::reset) fills its own buckets, not those of the
    /// store.
    #[must_use]
    pub const fn here(&self) -> &KeyedHandle<K> {
        &self.here
    }

    /// Whether the store is taken for gone: three questions in a row had no answer, and none has had one since.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.source.is_gone()
    }

    /// Takes tokens of a key, as a request of that cost does; none of zero.
    ///
    /// # Errors
    ///
    /// There are too few of them; none is taken.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it may have taken them.
    pub async fn check<Q>(&self, key: &Q, cost: u32) -> Result<(), Refused>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let Some(case) = self.case(key, cost) else { return Ok(()) };
        let begun = case.begin();
        let said = if begun.ask { case.settle(begun).await } else { begun.said };
        case.enforce(said).map(|_| ()).map_err(|denial| self.refuse(denial))
    }

    /// Says whether tokens of a key would be refused, and takes none.
    ///
    /// # Errors
    ///
    /// There are too few of them.
    pub async fn peek<Q>(&self, key: &Q, cost: u32) -> Result<(), Refused>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let Some(case) = self.case(key, cost) else { return Ok(()) };
        case.peek().await.map_err(|denial| self.refuse(denial))
    }

    /// Takes as many of the tokens of a key as there are: for what is known only afterwards.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it may have taken them in this process alone.
    pub async fn charge<Q>(&self, key: &Q, cost: u32)
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        if let Some(case) = self.case(key, cost) {
            case.charge().await;
        }
    }

    fn case<Q: Hash + ?Sized>(&self, key: &Q, cost: u32) -> Option<Case<Table>> {
        if cost == 0 {
            return None;
        }
        let (shelf, source) = (self.here.table.clone(), self.source.clone());
        let (number, bucket) = (shelf.number(key), id(key));
        Some(Case { shelf, source, number, bucket, cost })
    }

    fn refuse(&self, denial: Denial) -> Refused {
        self.here.table.common().refuse(denial)
    }
}

impl<K: ?Sized> Clone for SharedHandle<K> {
    fn clone(&self) -> Self {
        Self { here: self.here.clone(), source: self.source.clone() }
    }
}

impl<K: ?Sized> fmt::Debug for SharedHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedHandle").field("here", &self.here).field("source", &self.source).finish()
    }
}
