use bartizan_http::http::uri::{PathAndQuery, Scheme};
use bartizan_http::http::{Request, Uri};
use tower::{Layer, Service};

/// How a member is called.
///
/// There are two: [`Own`], where each member has a service of its own, and [`Through`] one client, which is told where to go by the
/// request's address.
pub trait Reach<K, M, Req>: Clone {
    /// What a call is made with.
    type Service: Service<Req>;

    /// The service for one call of this member.
    fn service(&self, member: &M) -> Self::Service;

    /// Sends a request to where the member is.
    fn address(&self, key: &K, req: Req) -> Req;
}

/// Each member has a service of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own;

impl<K, S: Service<Req> + Clone, Req> Reach<K, S, Req> for Own {
    type Service = S;

    #[inline]
    fn service(&self, member: &S) -> S {
        member.clone()
    }

    #[inline]
    fn address(&self, _: &K, req: Req) -> Req {
        req
    }
}

/// All members are called through one client, each by its own stack of layers.
#[derive(Clone, Copy, Debug)]
pub struct Through<C>(pub(crate) C);

impl<C: Clone, L: Layer<C>, B> Reach<Uri, L, Request<B>> for Through<C>
where
    L::Service: Service<Request<B>>,
{
    type Service = L::Service;

    #[inline]
    fn service(&self, member: &L) -> L::Service {
        member.layer(self.0.clone())
    }

    /// Replaces scheme and authority; path, query and headers stay.
    #[inline]
    fn address(&self, key: &Uri, mut req: Request<B>) -> Request<B> {
        let mut parts = std::mem::take(req.uri_mut()).into_parts();
        parts.scheme = Some(key.scheme().cloned().unwrap_or(Scheme::HTTP));
        parts.authority = key.authority().cloned();
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // All three parts are there, so that it is one.
        *req.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| key.clone());
        req
    }
}
