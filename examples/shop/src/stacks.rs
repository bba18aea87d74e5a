//! Every layer stack of the shop: which layers guard which route and which call. Change a line, and it is changed.
//!
//! A deadline of who is served goes along with each call that is made for it, and only ever gets shorter.

use crate::contracts::payment::payments_client::PaymentsClient;
use crate::parts::failure::Failure;
use crate::parts::peer::Peer;
use axum::Router;
use axum::extract::MatchedPath;
use bartizan::breaker::BreakerService;
use bartizan::client::ReqwestService;
use bartizan::deadline::DeadlineService;
use bartizan::http::Head;
use bartizan::{Breaker, BreakerLayer, Client, DeadlineLayer};
use http::Uri;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceBuilder;

// Before the routes of a service: its deadline, and whether a breaker stands before its store.
pub const GATEWAY: Routes = routes("gateway", ms(3000), false);
pub const USER: Routes = routes("user", ms(3000), true);
pub const PRODUCT: Routes = routes("product", ms(500), true);
pub const ORDER: Routes = routes("order", ms(2000), true);
pub const PAYMENT: Routes = routes("payment", ms(800), true);

// Before a call: the deadline of an attempt, and the deadline of the whole. A breaker stands before each.
pub const GATEWAY_TO_USER_REGISTER: Call = call("gateway->user register", "user", ms(2500), ms(2500));
pub const GATEWAY_TO_USER_LOGIN: Call = call("gateway->user login", "user", ms(1000), ms(1000));
pub const GATEWAY_TO_USER_GET: Call = call("gateway->user GET", "user", ms(300), ms(600));
pub const GATEWAY_TO_PRODUCT: Call = call("gateway->product", "product", ms(150), ms(500));
pub const GATEWAY_TO_ORDER_POST: Call = call("gateway->order POST", "order", ms(1500), ms(2000));
pub const GATEWAY_TO_ORDER_GET: Call = call("gateway->order GET", "order", ms(300), ms(600));
pub const GATEWAY_TO_PAYMENT: Call = call("gateway->payment", "payment", ms(300), ms(600));
pub const ORDER_TO_USER: Call = call("order->user", "user", ms(150), ms(400));
pub const ORDER_TO_PRODUCT: Call = call("order->product", "product", ms(200), ms(500));
pub const ORDER_TO_PAYMENT: Call = call("order->payment", "payment", ms(300), ms(800));
pub const PAYMENT_TO_BANK: Call = call("payment->bank", "bank", ms(250), ms(350));

/// Opens on the evidence of failures, and asks again soon: what is down for a moment must not hold orders up for long.
const BREAKER: Breaker = Breaker::new().open_for(ms(1000)).max_open_for(ms(8000));

impl Routes {
    /// deadline → breaker per route → handler
    pub fn guard(self, routes: Router) -> Router {
        let breaker = BreakerLayer::new(BREAKER.enabled(self.breaker)).named(self.service).key(route);
        let deadline = DeadlineLayer::new(self.total).named(self.service);
        routes.layer(ServiceBuilder::new().layer(deadline).layer(breaker))
    }
}

impl Call {
    /// deadline of the call → breaker → deadline of the attempt → HTTP
    pub fn http(self, url: &str) -> Result<Peer, Failure> {
        let client =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|why| Failure::new(format!("no HTTP client can be made: {why}.")))?;
        let url = url.parse::<Uri>().map_err(|why| self.no_url(url, &why))?;
        let (deadline, breaker, attempt) = self.layers();
        let stack = ServiceBuilder::new().layer(deadline).layer(breaker).layer(attempt);
        let client = Client::new(stack.service(ReqwestService::new(client))).base_url(url);
        Ok(Peer::new(self.to, client.boxed()))
    }

    /// deadline of the call → breaker → deadline of the attempt → gRPC
    pub fn grpc(self, url: &str) -> Result<Payments, Failure> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|why| self.no_url(url, &why))?;
        let (deadline, breaker, attempt) = self.layers();
        let stack = ServiceBuilder::new().layer(deadline).layer(breaker).layer(attempt);
        Ok(PaymentsClient::new(stack.service(endpoint.connect_lazy())))
    }

    fn layers(self) -> (DeadlineLayer, BreakerLayer, DeadlineLayer) {
        let deadline = DeadlineLayer::new(self.total).outgoing().named(self.name);
        let breaker = BreakerLayer::new(BREAKER).named(self.name);
        let attempt = DeadlineLayer::new(self.attempt).outgoing().named(format!("{}, attempt", self.name));
        (deadline, breaker, attempt)
    }

    fn no_url(self, url: &str, why: &dyn std::error::Error) -> Failure {
        Failure::new(format!("{url:?} is no URL of {}: {why}.", self.to))
    }
}

/// Payments, through their stack.
pub type Payments = PaymentsClient<DeadlineService<BreakerService<DeadlineService<Channel>>>>;

/// The stack before the routes of a service.
#[derive(Clone, Copy)]
pub struct Routes {
    service: &'static str,
    total: Duration,
    breaker: bool,
}

const fn routes(service: &'static str, total: Duration, breaker: bool) -> Routes {
    Routes { service, total, breaker }
}

/// The stack before a call. An attempt is what can be made again, within the total.
#[derive(Clone, Copy)]
pub struct Call {
    name: &'static str,
    to: &'static str,
    attempt: Duration,
    total: Duration,
}

const fn call(name: &'static str, to: &'static str, attempt: Duration, total: Duration) -> Call {
    Call { name, to, attempt, total }
}

/// What has a breaker of its own: the method and the path of a route, whatever its parameters.
fn route(head: &Head<'_>) -> String {
    let path = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    format!("{} {path}", head.method)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
