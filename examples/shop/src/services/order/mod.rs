//! Orders, and the saga that makes them good or undoes them.

mod book;
mod catalogue;
mod http;
mod input;
mod lanes;
mod partners;
mod saga;
mod sweeper;

use crate::parts::auth::Gatekeeper;
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::health;
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
    catalogue: Catalogue,
    gatekeeper: Gatekeeper,
}

impl FromRef<Service> for Gatekeeper {
    fn from_ref(service: &Service) -> Self {
        service.gatekeeper.clone()
    }
}

/// Opens the store, starts the sweeper on the current runtime, and returns the routes.
///
/// # Errors
///
/// When the store cannot be opened, or the address of another service is no URL.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store = Store::open(&config.data_dir, "order", &[book::TABLE, book::INDEX]).await?;
    let book = Book::new(store.clone());
    let users = stacks::ORDER_TO_USER.http(&config.url(Name::User))?;
    let products = stacks::ORDER_TO_PRODUCT.http(&config.url(Name::Product))?;
    let payments = stacks::ORDER_TO_PAYMENT.grpc(&config.url(Name::Payment))?;
    let saga = Saga::new(book.clone(), Partners::new(users.clone(), products.clone(), payments));
    tokio::spawn(sweeper::run(book.clone(), saga.clone()));
    let service =
        Service { book, saga, catalogue: Catalogue::new(products), gatekeeper: Gatekeeper::new(users) };
    let routes = Router::new()
        .route("/orders", post(http::place).get(http::list))
        .route("/orders/{id}", get(http::read))
        .route("/orders/{id}/cancel", post(http::cancel));
    let routes = stacks::ORDER.guard(routes.with_state(service)).merge(health::routes(Some(store)));
    Ok(problem::fallbacks(routes))
}
