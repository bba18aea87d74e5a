//! Which products there are. An order that names another one is refused before it is written down.

use crate::contracts::problems::UNKNOWN_PRODUCT;
use crate::contracts::product::{Item, Products};
use crate::parts::peer::Peer;
use crate::parts::problem::Problem;
use http::StatusCode;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Remembers every product it has seen, for none is ever taken off the shelves; asks for one that it has not.
#[derive(Clone)]
pub(super) struct Catalogue {
    products: Peer,
    known: Arc<Mutex<HashSet<String>>>,
}

impl Catalogue {
    pub(super) fn new(products: Peer) -> Self {
        Self { products, known: Arc::default() }
    }

    pub(super) async fn check(&self, items: &[Item]) -> Result<(), Problem> {
        if self.unknown(items).is_none() {
            return Ok(());
        }
        let Products { products } = self.products.get("/products").await?.json()?;
        let ids = products.into_iter().map(|product| product.id);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
        self.unknown(items).map_or(Ok(()), |id| {
            Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                UNKNOWN_PRODUCT,
                format!("there is no product {id:?}"),
            ))
        })
    }

    fn unknown<'a>(&self, items: &'a [Item]) -> Option<&'a str> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        items.iter().map(|item| item.product_id.as_str()).find(|id| !known.contains(*id))
    }
}
