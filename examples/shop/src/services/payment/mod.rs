//! Payments: what was charged, and what the bank said.

mod bank;
mod grpc;
mod ledger;
mod till;

use crate::contracts::payment::payments_server::PaymentsServer;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::store::Store;
use crate::stacks;
use axum::Router;
use bank::Bank;
use ledger::Ledger;
use till::Till;
use tonic::service::Routes;

/// Opens the store and returns the routes: gRPC with its health service, and the paths of `parts::health`.
/// # Errors
///
/// When the store cannot be opened, or there is no bank.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store = Store::open(config, "payment", &[ledger::TABLE]).await?;
    let till = Till::new(Ledger::new(store.clone()), Bank::new(stacks::PAYMENT_TO_BANK.http(config)?));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<PaymentsServer<grpc::Service>>().await;
    let payments = Routes::new(PaymentsServer::new(grpc::Service::new(till)));
    let payments = payments.add_service(health_service).prepare().into_axum_router();
    Ok(stacks::PAYMENT.guard(payments, config).merge(health::routes(config, Some(store))))
}

#[cfg(test)]
mod tests;
