use crate::body::PolicyBody;
use crate::living::LivingClient;
use bartizan_http::Head;
use bartizan_http::http::{Request, Response};
use bartizan_stack::{BalancedLayer, BalancedService, ClientHandle, ClientLayer, ClientService};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// [`Layer`] that puts the stack of a policy around an HTTP client, with a balancer inside where the policy names endpoints. Its clones
/// and its services share all that the layers inside know, and follow the policy for as long as there are any.
///
/// Endpoints take the place of host and port of a request, so the client inside must go where a request says, as reqwest's and hyper's do. A tonic
/// channel goes where it was made for: around one, balancer and breakers would judge servers that are not called, and it is
/// [`Policy::endpoints`](crate::Policy::endpoints) instead.
#[derive(Clone)]
pub struct PolicyClientLayer {
    pub(crate) shape: Shape,
    pub(crate) living: Arc<LivingClient>,
}

/// Whether calls go where each request says, or to the endpoints of the policy.
#[derive(Clone)]
pub(crate) enum Shape {
    Hosts(ClientLayer),
    Endpoints(BalancedLayer),
}

/// Service of a [`PolicyClientLayer`].
///
/// Its future is boxed, as what is inside depends on the policy. It changes the error type as little as the layers inside do: not at all.
#[derive(Clone)]
pub struct PolicyClient<S> {
    shape: Inside<S>,
    living: Arc<LivingClient>,
}

#[derive(Clone)]
enum Inside<S> {
    Hosts(ClientService<S>),
    Endpoints(BalancedService<S>),
}

impl PolicyClientLayer {
    /// Returns a handle of the stack. What is changed by it holds until the policy changes next.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        match &self.shape {
            Shape::Hosts(layer) => layer.handle(),
            Shape::Endpoints(layer) => layer.handle(),
        }
    }

    /// Sets what a request's place on the ring is made of, where endpoints are chosen by hash. Default: path and query.
    #[must_use]
    pub fn hash(mut self, hash: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        if let Shape::Endpoints(layer) = self.shape {
            self.shape = Shape::Endpoints(layer.hash(hash));
        }
        self
    }

    /// Whether the policy names endpoints, over which calls are spread.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        matches!(self.shape, Shape::Endpoints(_))
    }
}

impl<S> Layer<S> for PolicyClientLayer {
    type Service = PolicyClient<S>;

    fn layer(&self, inner: S) -> PolicyClient<S> {
        let shape = match &self.shape {
            Shape::Hosts(layer) => Inside::Hosts(layer.layer(inner)),
            Shape::Endpoints(layer) => Inside::Endpoints(layer.layer(inner)),
        };
        PolicyClient { shape, living: self.living.clone() }
    }
}

type Answer<B, E> = Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>;

impl<S, B, X, Y, E> Service<Request<B>> for PolicyClient<S>
where
    ClientService<S>: Service<Request<B>, Response = Response<X>, Error = E, Future: Send + 'static>,
    BalancedService<S>: Service<Request<B>, Response = Response<Y>, Error = E, Future: Send + 'static>,
{
    type Response = Response<PolicyBody<X, Y>>;
    type Error = E;
    type Future = Answer<PolicyBody<X, Y>, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        match &mut self.shape {
            Inside::Hosts(service) => service.poll_ready(cx),
            Inside::Endpoints(service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match &mut self.shape {
            Inside::Hosts(service) => {
                let answer = service.call(request);
                Box::pin(async move { Ok(answer.await?.map(PolicyBody::hosts)) })
            }
            Inside::Endpoints(service) => {
                let answer = service.call(request);
                Box::pin(async move { Ok(answer.await?.map(PolicyBody::endpoints)) })
            }
        }
    }
}

/// The stack as a table, outside in.
impl fmt::Display for PolicyClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle().fmt(f)
    }
}

impl fmt::Debug for PolicyClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PolicyClientLayer").field(&self.living.name()).finish()
    }
}

impl<S> fmt::Debug for PolicyClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PolicyClient").field(&self.living.name()).finish()
    }
}
