//! The products' rows. `stock + reserved + sold` of a row is what was `stocked`, always.

use super::catalogue::Fresh;
use crate::contracts::product::Product;
use crate::parts::store::{Store, repeated};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS products (
    id VARCHAR(40) PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    category VARCHAR(40) NOT NULL,
    price_cents BIGINT NOT NULL,
    stock BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    sold BIGINT NOT NULL,
    stocked BIGINT NOT NULL
)";

/// How many of each a fresh shop has.
const FRESH_STOCK: i64 = 1000;

#[derive(Clone)]
pub(super) struct Shelves(Store);

impl Shelves {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Fills the shelves when there is nothing on them.
    pub(super) async fn fill(&self, fresh: &'static [Fresh]) -> sqlx::Result<()> {
        let any = "SELECT id FROM products LIMIT 1";
        if self.0.fetch_optional(self.0.sql(any)).await?.is_some() {
            return Ok(());
        }
        repeated(|| {
            self.0.change(async move |mut change| {
                // Another replica may have come first.
                if change.sql(any).fetch_optional(&mut *change).await?.is_some() {
                    return Ok(());
                }
                for Fresh { id, name, category, price_cents } in fresh {
                    let insert = change.sql(
                        "INSERT INTO products (id, name, category, price_cents, stock, reserved, sold, stocked)
                         VALUES ($1, $2, $3, $4, $5, 0, 0, $6)",
                    );
                    let insert = insert.bind(*id).bind(*name).bind(*category).bind(*price_cents);
                    insert.bind(FRESH_STOCK).bind(FRESH_STOCK).execute(&mut *change).await?;
                }
                change.commit().await
            })
        })
        .await
    }

    /// All products, or those of a category.
    pub(super) async fn list(&self, category: Option<&str>) -> sqlx::Result<Vec<Product>> {
        let rows = match category {
            Some(category) => self.0.sql(
                "SELECT id, name, category, price_cents, stock FROM products WHERE category = $1 ORDER BY id",
            )
            .bind(category),
            None => self.0.sql(
                "SELECT id, name, category, price_cents, stock FROM products ORDER BY category, id",
            ),
        };
        self.0.fetch_all(rows).await?.iter().map(product).collect()
    }

    pub(super) async fn find(&self, id: &str) -> sqlx::Result<Option<Product>> {
        let row =
            self.0.sql("SELECT id, name, category, price_cents, stock FROM products WHERE id = $1").bind(id);
        self.0.fetch_optional(row).await?.as_ref().map(product).transpose()
    }

    /// Puts more of a product on the shelf, and returns it; none when there is no such product.
    pub(super) async fn restock(&self, id: &str, add: i64) -> sqlx::Result<Option<Product>> {
        let update = "UPDATE products SET stock = stock + $1, stocked = stocked + $2 WHERE id = $3";
        let update = self.0.sql(update).bind(add).bind(add).bind(id.to_owned());
        if self.0.execute(update).await? == 0 {
            return Ok(None);
        }
        self.find(id).await
    }
}

fn product(row: &AnyRow) -> sqlx::Result<Product> {
    Ok(Product {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        category: row.try_get(2)?,
        price_cents: row.try_get(3)?,
        stock: row.try_get(4)?,
    })
}
