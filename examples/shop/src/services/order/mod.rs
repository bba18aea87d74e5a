//! Orders, and the saga that makes them good or undoes them.

mod book;
mod catalogue;
mod http;
mod input;
mod lanes;
mod partners;
mod saga;
mod sweeper;
mod way;

use crate::contracts::events::BINDINGS;
use crate::parts::auth::Gatekeeper;
use crate::parts::bus::Bus;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::outbox::Outbox;
use crate::parts::problem;
use crate::parts::store::Store;
use crate::stacks;
use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use book::Book;
use catalogue::Catalogue;
use partners::Partners;
use saga::Saga;

#[derive(Clone)]
struct Service {
    book: Book,
    saga: Saga,
    partners: Partners,
    catalogue: Catalogue,
    gatekeeper: Gatekeeper,
}

impl FromRef<Service> for Gatekeeper {
    fn from_ref(service: &Service) -> Self {
        service.gatekeeper.clone()
    }
}

/// Opens the store, starts the sweeper and the relay on the current runtime, and returns the routes.
///
/// # Errors
///
/// When the store or the bus cannot be opened, or the address of another service is no URL.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store = Store::open(config, "order", &[book::TABLE, book::INDEX, book::OUTBOX]).await?;
    let outbox = Outbox::new(store.clone(), "order_outbox");
    let book = Book::new(store.clone(), outbox.clone());
    let users = stacks::ORDER_TO_USER.http(config)?;
    let products = stacks::ORDER_TO_PRODUCT.http(config)?;
    let payments = stacks::ORDER_TO_PAYMENT.grpc(config)?;
    let partners = Partners::new(users.clone(), products.clone(), payments);
    let saga = Saga::new(book.clone(), partners.clone());
    let bus = Bus::open(config, BINDINGS).await?.behind(stacks::bus(config));
    tokio::spawn(outbox.relay(bus));
    tokio::spawn(sweeper::run(book.clone(), saga.clone()));
    let (catalogue, gatekeeper) = (Catalogue::new(products), Gatekeeper::new(users));
    let service = Service { book, saga, partners, catalogue, gatekeeper };
    let routes = Router::new()
        .route("/orders", post(http::place).get(http::list))
        .route("/orders/{id}", get(http::read))
        .route("/orders/{id}/cancel", post(http::cancel));
    let routes =
        stacks::ORDER.guard(routes.with_state(service), config).merge(health::routes(config, Some(store)));
    Ok(problem::fallbacks(routes))
}
