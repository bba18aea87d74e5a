//! All layer stacks of the shop: which layer guards which route and which call.

use crate::contracts::payment::payments_client::PaymentsClient;
use crate::parts::failure::Failure;
use crate::parts::peer::Peer;
use axum::Router;
use tonic::transport::{Channel, Endpoint};

/// Payments, through their stack.
pub type Payments = PaymentsClient<Channel>;

pub fn gateway(routes: Router) -> Router {
    routes
}

pub fn user(routes: Router) -> Router {
    routes
}

pub fn product(routes: Router) -> Router {
    routes
}

pub fn order(routes: Router) -> Router {
    routes
}

pub fn payment(routes: Router) -> Router {
    routes
}

pub fn gateway_to_user(url: &str) -> Result<Peer, Failure> {
    peer("user", url)
}

pub fn gateway_to_product(url: &str) -> Result<Peer, Failure> {
    peer("product", url)
}

pub fn gateway_to_order(url: &str) -> Result<Peer, Failure> {
    peer("order", url)
}

pub fn gateway_to_payment(url: &str) -> Result<Payments, Failure> {
    payments(url)
}

pub fn order_to_user(url: &str) -> Result<Peer, Failure> {
    peer("user", url)
}

pub fn order_to_product(url: &str) -> Result<Peer, Failure> {
    peer("product", url)
}

pub fn order_to_payment(url: &str) -> Result<Payments, Failure> {
    payments(url)
}

pub fn payment_to_bank(url: &str) -> Result<Peer, Failure> {
    peer("bank", url)
}

fn peer(name: &'static str, url: &str) -> Result<Peer, Failure> {
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.map_err(|why| Failure::new(format!("no HTTP client can be made: {why}.")))?;
    Ok(Peer::new(name, url, http))
}

fn payments(url: &str) -> Result<Payments, Failure> {
    let endpoint = Endpoint::from_shared(url.to_owned());
    let endpoint = endpoint.map_err(|why| Failure::new(format!("{url} is no URL of payments: {why}.")))?;
    Ok(PaymentsClient::new(endpoint.connect_lazy()))
}
