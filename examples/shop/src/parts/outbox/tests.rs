use super::super::config::Config;
use super::*;
use tempfile::TempDir;
use tokio::sync::oneshot;

const BINDINGS: [(&str, &str); 1] = [("mail", "order.*")];
const TOPIC: &str = "order.created";

/// A service with a row for each order, and a bus that is somewhere else.
struct Shop {
    store: Store,
    outbox: Outbox,
    bus: Bus,
    /// The bus's own file, for looking into it and for locking it.
    queues: Store,
    _folder: TempDir,
}

async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let orders = "CREATE TABLE IF NOT EXISTS orders (id VARCHAR(40) PRIMARY KEY)";
    let store = Store::scratch(folder.path(), "order", &[orders, table!("order_outbox")]).await.unwrap();
    // It is looked into, and locked: a file.
    let config = Config { amqp: None, ..Config::test(folder.path()) };
    let bus = Bus::open(&config, &BINDINGS).await.unwrap();
    let queues = Bus::open(&config, &[]).await.unwrap().store().clone();
    Shop { outbox: Outbox::new(store.clone(), "order_outbox"), store, bus, queues, _folder: folder }
}

impl Shop {
    async fn place(&self, id: &'static str, commits: bool) {
        let outbox = self.outbox.clone();
        let place = self.store.change(async move |mut change| {
            let insert = change.sql("INSERT INTO orders (id) VALUES ($1)").bind(id);
            insert.execute(&mut *change).await?;
            outbox.put(&mut change, TOPIC, &id).await?;
            if commits { change.commit().await } else { Ok(()) }
        });
        place.await.unwrap();
        self.outbox.wake();
    }

    async fn texts(&self, store: &Store, query: &'static str) -> Vec<String> {
        let rows = store.fetch_all(store.sql(query)).await.unwrap();
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    }

    async fn put_in(&self) -> Vec<String> {
        self.texts(&self.store, "SELECT payload FROM order_outbox ORDER BY id").await
    }

    async fn published(&self) -> Vec<String> {
        self.texts(&self.queues, "SELECT payload FROM messages ORDER BY id").await
    }
}

#[tokio::test]
async fn an_event_is_there_with_its_row_or_neither_is() {
    let shop = shop().await;
    shop.place("a", false).await;
    shop.place("b", true).await;
    assert_eq!(shop.put_in().await, ["\"b\""]);
    assert_eq!(shop.texts(&shop.store, "SELECT id FROM orders").await, ["b"]);
}

#[tokio::test]
async fn events_are_published_in_their_order_and_deleted() {
    let shop = shop().await;
    for id in ["a", "b", "c"] {
        shop.place(id, true).await;
    }
    assert_eq!(shop.outbox.round(&shop.bus, now_ms()).await.unwrap(), Left::Nothing);
    assert_eq!(shop.published().await, ["\"a\"", "\"b\"", "\"c\""]);
    assert!(shop.put_in().await.is_empty());
}

#[tokio::test]
async fn events_go_out_when_the_clock_was_put_back() {
    let shop = shop().await;
    shop.place("a", true).await;
    let before = now_ms() - 3_600_000;
    assert_eq!(shop.outbox.round(&shop.bus, before).await.unwrap(), Left::Nothing);
    assert_eq!(shop.published().await, ["\"a\""]);
}

#[tokio::test]
async fn a_bus_that_is_away_loses_nothing_and_is_left_in_peace() {
    let shop = shop().await;
    shop.place("a", true).await;
    let (locks, locked) = oneshot::channel();
    let (opens, open) = oneshot::channel::<()>();
    let queues = shop.queues.clone();
    let lock = tokio::spawn(async move {
        let lock = queues.change(async move |_locked| {
            locks.send(()).unwrap();
            open.await.unwrap();
            Ok::<_, sqlx::Error>(())
        });
        lock.await
    });
    locked.await.unwrap();
    let (now, mut pauses) = (now_ms(), Vec::new());
    for _ in 0..8 {
        let at = now + 3_600_000 * pauses.len() as i64;
        let Left::Pause(pause) = shop.outbox.round(&shop.bus, at).await.unwrap() else { panic!("published") };
        let soon = shop.outbox.round(&shop.bus, at).await.unwrap();
        assert_eq!(soon, Left::Pause(pause), "it is not asked again before");
        pauses.push(pause.as_millis());
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 3200, 3200]);
    shop.place("b", true).await;
    assert_eq!(shop.put_in().await.len(), 2);
    assert!(matches!(shop.outbox.round(&shop.bus, now).await.unwrap(), Left::Pause(_)), "nobody overtakes");
    opens.send(()).unwrap();
    lock.await.unwrap().unwrap();
    let later = now + 24 * 3_600_000;
    assert_eq!(shop.outbox.round(&shop.bus, later).await.unwrap(), Left::Nothing);
    assert_eq!(shop.published().await, ["\"a\"", "\"b\""]);
}

#[tokio::test]
async fn an_event_that_the_bus_does_not_want_is_set_aside_and_holds_up_nobody() {
    let shop = shop().await;
    let outbox = shop.outbox.clone();
    let put = shop.store.change(async move |mut change| {
        outbox.put(&mut change, "stock.low", &"lost").await?;
        outbox.put(&mut change, TOPIC, &"x".repeat(1 << 20)).await?;
        change.commit().await
    });
    put.await.unwrap();
    shop.place("a", true).await;
    let now = now_ms();
    assert_eq!(shop.outbox.round(&shop.bus, now).await.unwrap(), Left::Nothing);
    shop.place("b", true).await;
    assert_eq!(shop.outbox.round(&shop.bus, now_ms()).await.unwrap(), Left::Nothing);
    assert_eq!(shop.published().await, ["\"a\"", "\"b\""]);
    assert_eq!(shop.put_in().await.len(), 2, "what is not wanted stays");
    // Some day somebody wants to know of it.
    let config = Config { amqp: None, ..Config::test(shop._folder.path()) };
    Bus::open(&config, &[("stock", "stock.*")]).await.unwrap();
    assert_eq!(
        shop.outbox.round(&shop.bus, now_ms()).await.unwrap(),
        Left::Nothing,
        "it is not asked again at once"
    );
    assert_eq!(shop.put_in().await.len(), 2);
    assert_eq!(shop.outbox.round(&shop.bus, now + ASIDE_MS).await.unwrap(), Left::Nothing);
    assert_eq!(shop.put_in().await.len(), 1);
    assert_eq!(shop.published().await.len(), 3);
}

#[tokio::test]
async fn the_relay_wakes_up_and_goes_on_when_the_bus_is_back() {
    let shop = shop().await;
    let relay = tokio::spawn(shop.outbox.clone().relay(shop.bus.clone()));
    for id in ["a", "b"] {
        shop.place(id, true).await;
        let drained = async {
            while !shop.put_in().await.is_empty() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(20), drained).await.expect("the outbox drains");
    }
    relay.abort();
    assert_eq!(shop.published().await, ["\"a\"", "\"b\""]);
}
