use bartizan_http::Head;
use std::fmt;
use std::marker::PhantomData;

/// What a layer keeps of a request before it is sent, for the function that may have to answer it.
pub trait Keep: Send + Sync + 'static {
    /// What is kept.
    type Key;
}

/// Keeps something of the head of an HTTP request.
pub trait KeepHead: Keep {
    /// Takes it.
    fn of_head(&self, head: &Head<'_>) -> Self::Key;
}

/// Keeps something of a request.
pub trait KeepOf<Req>: Keep {
    /// Takes it.
    fn of(&self, req: &Req) -> Self::Key;
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoKey;

impl Keep for NoKey {
    type Key = ();
}

impl KeepHead for NoKey {
    fn of_head(&self, _: &Head<'_>) {}
}

impl<Req> KeepOf<Req> for NoKey {
    fn of(&self, _: &Req) {}
}

/// Keeps what a function takes out of a request.
pub struct Keyed<G, K> {
    take: G,
    key: PhantomData<fn() -> K>,
}

impl<G, K> Keyed<G, K> {
    pub(crate) const fn new(take: G) -> Self {
        Self { take, key: PhantomData }
    }
}

impl<G: Clone, K> Clone for Keyed<G, K> {
    fn clone(&self) -> Self {
        Self::new(self.take.clone())
    }
}

impl<G, K> fmt::Debug for Keyed<G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

impl<G: Send + Sync + 'static, K: 'static> Keep for Keyed<G, K> {
    type Key = K;
}

impl<G, K> KeepHead for Keyed<G, K>
where
    G: Fn(&Head<'_>) -> K + Send + Sync + 'static,
    K: 'static,
{
    fn of_head(&self, head: &Head<'_>) -> K {
        (self.take)(head)
    }
}

impl<G, K, Req> KeepOf<Req> for Keyed<G, K>
where
    G: Fn(&Req) -> K + Send + Sync + 'static,
    K: 'static,
{
    fn of(&self, req: &Req) -> K {
        (self.take)(req)
    }
}
