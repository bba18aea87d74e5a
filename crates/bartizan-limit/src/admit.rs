use crate::denial::Denial;
use crate::fields::Fields;
use crate::keyed::Table;
use crate::pass::Pass;
use crate::plain::Plain;
use crate::price::{One, Price};
use crate::shelf::Shelf;
use crate::store::id;
use bartizan_core::{Admit, Refused, Refusing};
use bartizan_http::{Head, Http, Typed};
use http::Request;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

/// Policy of a limit: which bucket a request takes from, and what it costs.
#[derive(Clone, Debug)]
pub struct Limiting<B, P = One> {
    pub(crate) buckets: B,
    pub(crate) price: P,
    pub(crate) announce: bool,
}

/// Which bucket a request takes from.
pub(crate) trait Buckets<Req>: Shelved {
    /// The number of the bucket.
    fn number(&self, req: &Req) -> u64;

    /// The number of the bucket here, and that in a store.
    fn numbers(&self, req: &Req) -> (u64, u128);
}

/// Where the buckets are.
pub(crate) trait Shelved: Clone + Send + Sync + 'static {
    type Shelf: Shelf;
    fn shelf(&self) -> &Arc<Self::Shelf>;
}

impl<B, P> Limiting<B, P> {
    /// The permit of a request that was let through; its bucket needs so long to be full.
    #[inline]
    pub(crate) fn pass(&self, debt: u64) -> Pass
    where
        B: Shelved,
    {
        self.buckets.shelf().pass(debt, self.announce)
    }
}

impl<Req, B: Buckets<Req>, P: Price<Req>> Admit<Req> for Limiting<B, P> {
    type Permit = Pass;

    #[inline]
    fn admit(&self, req: &Req) -> Result<Pass, Refusing> {
        let cost = self.price.price(req);
        if cost == 0 {
            return Ok(Pass::default());
        }
        match self.buckets.shelf().admit(self.buckets.number(req), cost) {
            Ok(debt) => Ok(self.pass(debt)),
            Err(denial) => Err(denial.into()),
        }
    }

    fn refuse(&self, refusing: Refusing) -> Refused {
        self.buckets.shelf().common().refuse(refusing.into())
    }

    fn fields(&self, refusing: Refusing, say: &mut dyn FnMut(&'static str, &str)) {
        let common = self.buckets.shelf().common();
        Fields::refused(common.name().cloned(), common.limit(), Denial::from(refusing).wait()).say(say);
    }
}

/// One bucket for all requests.
#[derive(Clone, Debug)]
pub struct Single(pub(crate) Arc<Plain>);

impl Shelved for Single {
    type Shelf = Plain;

    #[inline]
    fn shelf(&self) -> &Arc<Plain> {
        &self.0
    }
}

impl<Req> Buckets<Req> for Single {
    #[inline]
    fn number(&self, _: &Req) -> u64 {
        0
    }

    fn numbers(&self, _: &Req) -> (u64, u128) {
        (0, 0)
    }
}

/// A bucket for each key that a function finds in the request.
pub struct Keyed<K, F, M> {
    pub(crate) table: Arc<Table>,
    pub(crate) key: F,
    pub(crate) flavour: PhantomData<fn(&K) -> M>,
}

impl<K: 'static, F, M: 'static> Shelved for Keyed<K, F, M>
where
    F: Clone + Send + Sync + 'static,
{
    type Shelf = Table;

    #[inline]
    fn shelf(&self) -> &Arc<Table> {
        &self.table
    }
}

impl<K, F, B> Buckets<Request<B>> for Keyed<K, F, Http>
where
    K: Hash + 'static,
    F: Fn(&Head<'_>) -> K + Clone + Send + Sync + 'static,
{
    #[inline]
    fn number(&self, req: &Request<B>) -> u64 {
        self.table.number(&(self.key)(&Head::of(req)))
    }

    fn numbers(&self, req: &Request<B>) -> (u64, u128) {
        let key = (self.key)(&Head::of(req));
        (self.table.number(&key), id(&key))
    }
}

impl<K, F, Req> Buckets<Req> for Keyed<K, F, Typed>
where
    K: Hash + 'static,
    F: Fn(&Req) -> K + Clone + Send + Sync + 'static,
{
    #[inline]
    fn number(&self, req: &Req) -> u64 {
        self.table.number(&(self.key)(req))
    }

    fn numbers(&self, req: &Req) -> (u64, u128) {
        let key = (self.key)(req);
        (self.table.number(&key), id(&key))
    }
}

impl<K, F: Clone, M> Clone for Keyed<K, F, M> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), key: self.key.clone(), flavour: PhantomData }
    }
}

impl<K, F, M> fmt::Debug for Keyed<K, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("table", &self.table).finish_non_exhaustive()
    }
}
