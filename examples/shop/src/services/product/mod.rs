//! Products, their stock, and reservations of it.

mod catalogue;
mod reservations;
mod shelves;

use crate::contracts::object::Object;
use crate::contracts::problems;
use crate::contracts::product::{Product, Products, Reservation, Reserve, Restock};
use crate::parts::auth::{Admin, Gatekeeper};
use crate::parts::body::Input;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::id::{self, Id};
use crate::parts::problem::{self, Problem};
use crate::parts::store::{Store, patiently};
use crate::stacks;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRef, Query, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::header::CACHE_CONTROL;
use http::{HeaderName, StatusCode};
use reservations::{No, Reservations};
use serde::Deserialize;
use shelves::Shelves;

/// Of what is asked for by looking: it is the same for everybody, and changes with every order. While nobody can be asked, it
/// is good enough for ten minutes.
const LOOKED_AT: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=0, stale-if-error=600")];

/// The most that is put on a shelf at once.
const MOST_ADDED: i64 = 1_000_000;

/// What is answered to who looks.
type Look<T> = ([(HeaderName, &'static str); 1], Json<T>);

#[derive(Clone)]
struct Service {
    shelves: Shelves,
    reservations: Reservations,
    gatekeeper: Gatekeeper,
}

impl FromRef<Service> for Gatekeeper {
    fn from_ref(service: &Service) -> Self {
        service.gatekeeper.clone()
    }
}

/// Opens the store, fills the shelves of a fresh one, and returns the routes.
///
/// # Errors
///
/// When the store cannot be opened, or the address of the user service is no URL.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store = Store::open(config, "product", &[shelves::TABLE, reservations::TABLE]).await?;
    let shelves = Shelves::new(store.clone());
    let filled = patiently(|| shelves.fill(catalogue::FRESH)).await;
    filled.map_err(|why| Failure::new(format!("the shelves cannot be filled: {why}.")))?;
    let gatekeeper = Gatekeeper::new(stacks::PRODUCT_TO_USER.http(config)?);
    let service = Service { shelves, reservations: Reservations::new(store.clone()), gatekeeper };
    let routes = Router::new()
        .route("/products", get(list))
        .route("/products/{id}", get(read))
        .route("/products/{id}/stock", post(restock))
        .route("/reservations/{order}", put(reserve).delete(release))
        .route("/reservations/{order}/commit", post(commit));
    let routes =
        stacks::PRODUCT.guard(routes.with_state(service), config).merge(health::routes(config, Some(store)));
    Ok(problem::fallbacks(routes))
}

#[derive(Deserialize)]
struct Wanted {
    category: Option<String>,
}

async fn list(
    State(service): State<Service>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Look<Products>, Problem> {
    let bad =
        |refused: QueryRejection| Problem::new(StatusCode::BAD_REQUEST, "bad-query", refused.body_text());
    let Query(Wanted { category }) = wanted.map_err(bad)?;
    if category.as_deref().is_some_and(|category| !id::is_one(category)) {
        let detail = "`category` must have 1 to 40 letters, digits or dashes";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail));
    }
    let products = service.shelves.list(category.as_deref()).await?;
    Ok((LOOKED_AT, Json(Products { products })))
}

async fn read(State(service): State<Service>, Id(id): Id) -> Result<Look<Product>, Problem> {
    let found = service.shelves.find(&id).await?;
    let product = found.ok_or_else(|| Problem::not_found("there is no such product"))?;
    Ok((LOOKED_AT, Json(product)))
}

async fn restock(
    State(service): State<Service>,
    _: Admin,
    Id(id): Id,
    Input(Object(Restock { add })): Input<Object<Restock>>,
) -> Result<Json<Product>, Problem> {
    if !(1..=MOST_ADDED).contains(&add) {
        return Err(Problem::invalid(format!("`add` must be 1 to {MOST_ADDED}")));
    }
    let found = service.shelves.restock(&id, add).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("there is no such product"))
}

async fn reserve(
    State(service): State<Service>,
    Id(order): Id,
    Input(Object(wanted)): Input<Object<Reserve>>,
) -> Result<Json<Reservation>, Problem> {
    Ok(Json(service.reservations.hold(&order, &wanted.items).await?))
}

async fn commit(State(service): State<Service>, Id(order): Id) -> Result<Json<Reservation>, Problem> {
    Ok(Json(service.reservations.commit(&order).await?))
}

async fn release(State(service): State<Service>, Id(order): Id) -> Result<StatusCode, Problem> {
    service.reservations.release(&order).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<No> for Problem {
    fn from(no: No) -> Self {
        match no {
            No::OutOfStock(id) => Self::new(
                StatusCode::CONFLICT,
                problems::OUT_OF_STOCK,
                format!("there are not so many of {id}"),
            ),
            No::Unknown(id) => {
                let detail = format!("there is no product {id}");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, problems::UNKNOWN_PRODUCT, detail)
            }
            No::Released => {
                Self::new(StatusCode::CONFLICT, problems::RELEASED, "the reservation was given back")
            }
            No::Missing => Self::not_found("there is no such reservation"),
            No::Invalid(why) => Self::invalid(why),
            No::Overtaken => Self::unavailable("the reservation is being changed"),
            No::Store(error) => error.into(),
        }
    }
}
