//! Reservations: stock that an order has taken and not sold yet. Every verb may come twice, late, or in the wrong
//! order; a reservation that was given back stays so, and a hold that comes after is refused.

use crate::contracts::product::{Hold, Item, Reservation};
use crate::parts::store::{Change, Contended, OfStore, Store, repeated};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS reservations (
    id VARCHAR(40) PRIMARY KEY,
    state VARCHAR(40) NOT NULL,
    items TEXT NOT NULL,
    total_cents BIGINT NOT NULL
)";

/// The most of one product in one order.
const MOST: i64 = 1000;

/// Why nothing was changed.
#[derive(Debug)]
pub(super) enum No {
    OutOfStock(String),
    Unknown(String),
    Released,
    Missing,
    Invalid(&'static str),
    /// Somebody else has changed the row meanwhile.
    Overtaken,
    Store(sqlx::Error),
}

impl Contended for No {
    fn is_contended(&self) -> bool {
        match self {
            Self::Overtaken => true,
            Self::Store(error) => error.is_contended(),
            _ => false,
        }
    }
}

impl OfStore for No {
    fn of_store(&self) -> Option<&sqlx::Error> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<sqlx::Error> for No {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

#[derive(Clone)]
pub(super) struct Reservations(Store);

struct Entry {
    state: Hold,
    items: Vec<Item>,
    total_cents: i64,
}

impl Reservations {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Takes all of the items, or none.
    pub(super) async fn hold(&self, order: &str, items: &[Item]) -> Result<Reservation, No> {
        if items.is_empty() || items.iter().any(|item| !(1..=MOST).contains(&item.quantity)) {
            return Err(No::Invalid("`items` must name 1 to 1000 of each product"));
        }
        repeated(|| {
            let (order, items) = (order.to_owned(), items.to_vec());
            self.0.change(async move |mut change| {
                if let Some(row) = find(&mut change, &order).await? {
                    return match row.state {
                        Hold::Released => Err(No::Released),
                        _ if row.items != items => Err(No::Invalid("this order has reserved other items")),
                        state => Ok(Reservation { order_id: order, state, total_cents: row.total_cents }),
                    };
                }
                let mut total_cents = 0;
                for item in &items {
                    total_cents += item.quantity * price(&mut change, item).await?;
                }
                // First the row: of two that hold the same order at once, one waits for the other and takes nothing.
                enter(&mut change, &order, Hold::Held, &items, total_cents).await?;
                for item in in_order(&items) {
                    take(&mut change, item).await?;
                }
                change.commit().await?;
                Ok(Reservation { order_id: order, state: Hold::Held, total_cents })
            })
        })
        .await
    }

    /// Sells what is held.
    pub(super) async fn commit(&self, order: &str) -> Result<Reservation, No> {
        repeated(|| {
            let order = order.to_owned();
            self.0.change(async move |mut change| {
                let row = find(&mut change, &order).await?.ok_or(No::Missing)?;
                match row.state {
                    Hold::Released => return Err(No::Released),
                    Hold::Committed => {}
                    Hold::Held => {
                        let sell =
                            "UPDATE products SET reserved = reserved - $1, sold = sold + $2 WHERE id = $3";
                        turn(&mut change, &order, &row, Hold::Committed, sell).await?;
                        change.commit().await?;
                    }
                }
                Ok(Reservation { order_id: order, state: Hold::Committed, total_cents: row.total_cents })
            })
        })
        .await
    }

    /// Gives back what is held or sold.
    pub(super) async fn release(&self, order: &str) -> Result<(), No> {
        repeated(|| {
            let order = order.to_owned();
            self.0.change(async move |mut change| {
                let Some(row) = find(&mut change, &order).await? else {
                    // A hold of this order may still be on its way. The row stands in it.
                    enter(&mut change, &order, Hold::Released, &[], 0).await?;
                    return Ok(change.commit().await?);
                };
                let give_back = match row.state {
                    Hold::Released => return Ok(()),
                    Hold::Held => {
                        "UPDATE products SET reserved = reserved - $1, stock = stock + $2 WHERE id = $3"
                    }
                    Hold::Committed => {
                        "UPDATE products SET sold = sold - $1, stock = stock + $2 WHERE id = $3"
                    }
                };
                turn(&mut change, &order, &row, Hold::Released, give_back).await?;
                Ok(change.commit().await?)
            })
        })
        .await
    }
}

/// The order in which products are changed, so that two orders of the same never wait for each other.
fn in_order(items: &[Item]) -> Vec<&Item> {
    let mut items: Vec<_> = items.iter().collect();
    items.sort_by_key(|item| item.product_id.as_str());
    items
}

async fn find(change: &mut Change, order: &str) -> sqlx::Result<Option<Entry>> {
    let row = change.sql("SELECT state, items, total_cents FROM reservations WHERE id = $1").bind(order);
    row.fetch_optional(&mut **change).await?.as_ref().map(read).transpose()
}

fn read(row: &AnyRow) -> sqlx::Result<Entry> {
    let state = match row.try_get::<String, _>(0)?.as_str() {
        "HELD" => Hold::Held,
        "COMMITTED" => Hold::Committed,
        "RELEASED" => Hold::Released,
        other => return Err(sqlx::Error::Decode(format!("no state of a reservation: {other}").into())),
    };
    let items =
        serde_json::from_str(&row.try_get::<String, _>(1)?).map_err(|why| sqlx::Error::Decode(why.into()))?;
    Ok(Entry { state, items, total_cents: row.try_get(2)? })
}

fn text(state: Hold) -> &'static str {
    match state {
        Hold::Held => "HELD",
        Hold::Committed => "COMMITTED",
        Hold::Released => "RELEASED",
    }
}

async fn price(change: &mut Change, item: &Item) -> Result<i64, No> {
    let row = change.sql("SELECT price_cents FROM products WHERE id = $1").bind(&item.product_id);
    let row = row.fetch_optional(&mut **change).await?;
    Ok(row.ok_or_else(|| No::Unknown(item.product_id.clone()))?.try_get(0)?)
}

/// Takes an item out of the stock.
async fn take(change: &mut Change, item: &Item) -> Result<(), No> {
    let update = change.sql(
        "UPDATE products SET stock = stock - $1, reserved = reserved + $2 WHERE id = $3 AND stock >= $4",
    );
    let update = update.bind(item.quantity).bind(item.quantity).bind(&item.product_id).bind(item.quantity);
    if update.execute(&mut **change).await?.rows_affected() != 1 {
        return Err(No::OutOfStock(item.product_id.clone()));
    }
    Ok(())
}

async fn enter(
    change: &mut Change,
    order: &str,
    state: Hold,
    items: &[Item],
    total_cents: i64,
) -> sqlx::Result<()> {
    let items = serde_json::to_string(items).map_err(|why| sqlx::Error::Encode(why.into()))?;
    let insert =
        change.sql("INSERT INTO reservations (id, state, items, total_cents) VALUES ($1, $2, $3, $4)");
    let insert = insert.bind(order).bind(text(state)).bind(items).bind(total_cents);
    insert.execute(&mut **change).await.map(drop)
}

/// Changes the state of a reservation, unless somebody else has changed it meanwhile, and moves its items as `update`
/// says.
async fn turn(
    change: &mut Change,
    order: &str,
    from: &Entry,
    to: Hold,
    update: &'static str,
) -> Result<(), No> {
    let turn = change.sql("UPDATE reservations SET state = $1 WHERE id = $2 AND state = $3");
    let turn = turn.bind(text(to)).bind(order).bind(text(from.state));
    if turn.execute(&mut **change).await?.rows_affected() != 1 {
        return Err(No::Overtaken);
    }
    for item in in_order(&from.items) {
        let update = change.sql(update).bind(item.quantity).bind(item.quantity).bind(&item.product_id);
        update.execute(&mut **change).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::FRESH;
    use super::super::shelves::{self, Shelves};
    use super::*;

    struct Shop {
        shelves: Shelves,
        reservations: Reservations,
        folder: tempfile::TempDir,
    }

    async fn shop() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::scratch(folder.path(), "product", &[shelves::TABLE, TABLE]).await.unwrap();
        let shelves = Shelves::new(store.clone());
        shelves.fill(FRESH).await.unwrap();
        shelves.fill(FRESH).await.unwrap();
        Shop { shelves, reservations: Reservations::new(store), folder }
    }

    impl Shop {
        /// The stock of mint tea, if every row still adds up.
        async fn stock(&self) -> i64 {
            let wrong = "SELECT id FROM products WHERE stock + reserved + sold <> stocked";
            let wrong = self.reservations.0.fetch_optional(self.reservations.0.sql(wrong)).await.unwrap();
            assert!(wrong.is_none(), "something came from nowhere, or is gone");
            self.shelves.find("tea-mint").await.unwrap().unwrap().stock
        }
    }

    fn mint(quantity: i64) -> Vec<Item> {
        vec![Item { product_id: "tea-mint".into(), quantity }]
    }

    #[tokio::test]
    async fn every_verb_may_come_twice() {
        let shop = shop().await;
        for _ in 0..2 {
            assert_eq!(shop.reservations.hold("o1", &mint(3)).await.unwrap().total_cents, 1770);
            assert_eq!(shop.stock().await, 997);
        }
        for _ in 0..2 {
            assert_eq!(shop.reservations.commit("o1").await.unwrap().state, Hold::Committed);
            assert_eq!(shop.stock().await, 997);
        }
        for _ in 0..2 {
            shop.reservations.release("o1").await.unwrap();
            assert_eq!(shop.stock().await, 1000);
        }
    }

    #[tokio::test]
    async fn what_was_given_back_stays_so() {
        let shop = shop().await;
        shop.reservations.release("o1").await.unwrap();
        assert!(matches!(shop.reservations.hold("o1", &mint(1)).await, Err(No::Released)));
        assert!(matches!(shop.reservations.commit("o1").await, Err(No::Released)));
        assert!(matches!(shop.reservations.commit("o2").await, Err(No::Missing)));
        assert_eq!(shop.stock().await, 1000);
    }

    #[tokio::test]
    async fn all_of_the_items_or_none() {
        let shop = shop().await;
        let mut items = mint(1);
        items.push(Item { product_id: "tea-lost".into(), quantity: 1 });
        assert!(
            matches!(shop.reservations.hold("o1", &items).await, Err(No::Unknown(id)) if id == "tea-lost")
        );
        shop.reservations.hold("o2", &mint(999)).await.unwrap();
        assert!(matches!(shop.reservations.hold("o3", &mint(2)).await, Err(No::OutOfStock(_))));
        assert!(matches!(shop.reservations.hold("o2", &mint(1)).await, Err(No::Invalid(_))));
        for quantity in [0, -1, 1001, i64::MAX] {
            assert!(matches!(shop.reservations.hold("o4", &mint(quantity)).await, Err(No::Invalid(_))));
        }
        assert_eq!(shop.stock().await, 1);
    }

    #[tokio::test]
    async fn the_last_one_is_sold_once() {
        let shop = shop().await;
        shop.reservations.hold("all-but-one", &mint(999)).await.unwrap();
        // Two replicas over one store.
        let other = Store::scratch(shop.folder.path(), "product", &[shelves::TABLE, TABLE]).await.unwrap();
        let replicas = [shop.reservations.clone(), Reservations::new(other)];
        let mut buyers = tokio::task::JoinSet::new();
        for buyer in 0..16 {
            let reservations = replicas[buyer % 2].clone();
            buyers.spawn(async move { reservations.hold(&format!("o{buyer}"), &mint(1)).await });
        }
        let outcomes = buyers.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(shop.stock().await, 0);
    }
}
