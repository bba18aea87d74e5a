//! Who retries in the simulations: ours, and tower's retry with the budgets that are published.

use std::{cell::RefCell, collections::HashMap, convert::Infallible, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{ServiceExt, retry::budget::TpsBudget, service_fn};
use tower_service::Service;

use super::{
    call::{Call, Caller, through},
    kept::{Kept, KeptFuture},
};
use crate::{
    board::Role,
    ground::{BoxError, Fault},
    ours::{
        again::{self, Backoff, Budget, RetrySettings},
        stack,
    },
    peers::again::{Finagle, Tries, tower_retry},
};

/// Whose retries a simulation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retrier {
    None,
    Tower,
    Finagle,
    Ours,
    /// The standard stack, which gives attempts up itself after so long.
    Standard(Duration),
}

/// Waits and tries of a peer. It has the waits of ours: what is compared are the budgets.
pub(crate) const fn tries(retries: u32) -> Tries {
    Tries { retries, least: Backoff::DEFAULT_MIN, most: Backoff::DEFAULT_MAX }
}

impl Retrier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no retry",
            Self::Tower => "tower retry, TpsBudget",
            Self::Finagle => "Finagle's RetryBudget",
            Self::Ours => "ours",
            Self::Standard(_) => stack::NAME,
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::None => Role::Bare,
            Self::Ours | Self::Standard(_) => Role::Ours,
            _ => Role::Peer,
        }
    }

    /// So many retries around `inner`, on a stage that is not stretched; all else as it is by default.
    pub(crate) fn around<S>(self, inner: S, retries: u32, seed: u64) -> Caller
    where
        S: Service<Call, Response = (), Error = Fault, Future: 'static> + Clone + 'static,
    {
        let failed = |answer: &Result<(), Fault>| answer.is_err();
        match self {
            Self::None => through(inner),
            Self::Tower => through(tower_retry(inner, TpsBudget::default(), tries(retries), failed, seed)),
            Self::Finagle => through(tower_retry(inner, Finagle::new(), tries(retries), failed, seed)),
            Self::Ours => {
                let budget = Budget::new().seed(seed);
                let settings = RetrySettings::new().max_retries(retries).budget(budget).seed(seed);
                through(again::retry(inner, settings))
            }
            Self::Standard(attempt) => {
                let calls = Calls::default();
                let server = Arc::new(Kept::new(Server { inner, calls: calls.clone() }));
                let network = service_fn(move |request| server.get().serve(&request));
                over_http(stack::timed_client(network, retries + 1, attempt, seed), calls)
            }
        }
    }
}

type Wire = Full<Bytes>;

/// The calls that are under way, by their numbers: a request carries no more.
type Calls = Rc<RefCell<HashMap<u64, Call>>>;

/// `inner` over HTTP: a call that fails is answered with 503.
struct Server<S> {
    inner: S,
    calls: Calls,
}

impl<S> Server<S>
where
    S: Service<Call, Response = (), Error = Fault, Future: 'static> + Clone,
{
    fn serve<B>(&self, request: &Request<B>) -> KeptFuture<Result<Response<Wire>, Infallible>> {
        let number = request.uri().path()[1..].parse().expect("the path is a number");
        let call = self.calls.borrow()[&number].clone();
        let answer = self.inner.clone().call(call);
        KeptFuture::new(async move {
            let mut response = Response::new(Full::default());
            if answer.await.is_err() {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Ok(response)
        })
    }
}

/// Calls through `service` by HTTP.
fn over_http<S, B>(service: S, calls: Calls) -> Caller
where
    S: Service<Request<Wire>, Response = Response<B>, Error = Infallible, Future: 'static> + Clone + 'static,
    B: Body<Error: Into<BoxError>> + 'static,
{
    Box::new(move |call| {
        let (service, calls, number) = (service.clone(), calls.clone(), call.number());
        calls.borrow_mut().insert(number, call);
        let mut request = Request::new(Full::default());
        *request.uri_mut() = format!("http://service/{number}").parse().expect("an address");
        Box::pin(async move {
            let answer = service.oneshot(request).await.expect("answers are HTTP's");
            let good = answer.status().is_success() && answer.into_body().collect().await.is_ok();
            calls.borrow_mut().remove(&number);
            good
        })
    })
}
