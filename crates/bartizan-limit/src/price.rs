use bartizan_http::{Head, Http, Typed};
use http::Request;
use std::fmt;
use std::marker::PhantomData;

/// What a request costs, in tokens. A request that costs none passes, and is not counted.
pub trait Price<Req>: Clone + Send + Sync + 'static {
    /// The tokens.
    fn price(&self, req: &Req) -> u32;
}

/// One token for every request.
#[derive(Clone, Copy, Debug)]
pub struct One;

impl<Req> Price<Req> for One {
    #[inline]
    fn price(&self, _: &Req) -> u32 {
        1
    }
}

/// What a function says.
pub struct Cost<F, M> {
    pub(crate) cost: F,
    pub(crate) flavour: PhantomData<M>,
}

impl<F, B> Price<Request<B>> for Cost<F, Http>
where
    F: Fn(&Head<'_>) -> u32 + Clone + Send + Sync + 'static,
{
    fn price(&self, req: &Request<B>) -> u32 {
        (self.cost)(&Head::of(req))
    }
}

impl<F, Req> Price<Req> for Cost<F, Typed>
where
    F: Fn(&Req) -> u32 + Clone + Send + Sync + 'static,
{
    fn price(&self, req: &Req) -> u32 {
        (self.cost)(req)
    }
}

/// Nothing where a function says so, else another price.
pub struct Exempt<F, P, M> {
    pub(crate) exempt: F,
    pub(crate) price: P,
    pub(crate) flavour: PhantomData<M>,
}

impl<F, P, B> Price<Request<B>> for Exempt<F, P, Http>
where
    F: Fn(&Head<'_>) -> bool + Clone + Send + Sync + 'static,
    P: Price<Request<B>>,
{
    fn price(&self, req: &Request<B>) -> u32 {
        if (self.exempt)(&Head::of(req)) { 0 } else { self.price.price(req) }
    }
}

impl<F, P, Req> Price<Req> for Exempt<F, P, Typed>
where
    F: Fn(&Req) -> bool + Clone + Send + Sync + 'static,
    P: Price<Req>,
{
    fn price(&self, req: &Req) -> u32 {
        if (self.exempt)(req) { 0 } else { self.price.price(req) }
    }
}

// By hand, as a flavour need not be `Clone`, nor a function `Debug`.

impl<F: Clone, M> Clone for Cost<F, M> {
    fn clone(&self) -> Self {
        Self { cost: self.cost.clone(), flavour: PhantomData }
    }
}

impl<F: Clone, P: Clone, M> Clone for Exempt<F, P, M> {
    fn clone(&self) -> Self {
        Self { exempt: self.exempt.clone(), price: self.price.clone(), flavour: PhantomData }
    }
}

impl<F, M> fmt::Debug for Cost<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cost(..)")
    }
}

impl<F, P: fmt::Debug, M> fmt::Debug for Exempt<F, P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exempt").field("price", &self.price).finish_non_exhaustive()
    }
}
