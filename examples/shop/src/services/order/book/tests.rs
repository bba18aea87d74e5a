use super::*;
use tempfile::TempDir;

async fn book() -> (TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::scratch(folder.path(), "order", &[TABLE, INDEX, OUTBOX]).await.unwrap();
    (folder, Book::new(store.clone(), Outbox::new(store, "order_outbox")))
}

fn draft(id: &str, key: &str) -> Draft {
    let items = vec![Item { product_id: "tea-mint".into(), quantity: 2 }];
    Draft { id: id.into(), user_id: "u".into(), key: key.into(), buyer: "Ada".into(), items }
}

impl Book {
    async fn told(&self) -> Vec<(String, OrderEvent)> {
        let rows = self.store.sql("SELECT topic, payload FROM order_outbox ORDER BY id");
        let rows = self.store.fetch_all(rows).await.unwrap();
        let event = |row: &AnyRow| serde_json::from_str(row.try_get(1).unwrap()).unwrap();
        rows.iter().map(|row| (row.try_get(0).unwrap(), event(row))).collect()
    }
}

#[tokio::test]
async fn an_order_that_is_placed_twice_is_told_once() {
    let (_folder, book) = book().await;
    for id in ["o1", "o2"] {
        assert_eq!(book.open(draft(id, "k")).await.unwrap().order.id, "o1");
    }
    let told = book.told().await;
    assert_eq!(told.len(), 1);
    let (topic, event) = &told[0];
    assert_eq!((topic.as_str(), event.order_id.as_str(), event.buyer.as_str()), (ORDER_CREATED, "o1", "Ada"));
}

#[tokio::test]
async fn an_end_is_told_once_and_only_when_it_was_reached() {
    let (_folder, book) = book().await;
    let mut entry = book.open(draft("o1", "k")).await.unwrap();
    let read = book.find("o1").await.unwrap();
    assert_eq!(format!("{entry:?}"), format!("{read:?}"));
    entry.order.step = Step::Paid;
    book.step(&entry, Step::Confirmed, Note::default()).await.unwrap();
    assert_eq!(book.told().await.len(), 1, "it was not paid");

    let total = Note { total_cents: Some(1180), ..Note::default() };
    book.step(&read, Step::Paid, total).await.unwrap();
    let paid = book.find("o1").await.unwrap();
    for _ in 0..2 {
        book.step(&paid, Step::Confirmed, Note::default()).await.unwrap();
    }
    let why = Note { reason: Some("why not".into()), ..Note::default() };
    book.step(&book.find("o1").await.unwrap(), Step::Releasing, why).await.unwrap();
    let releasing = book.find("o1").await.unwrap();
    for _ in 0..2 {
        book.step(&releasing, Step::Cancelled, Note::default()).await.unwrap();
    }
    let told = book.told().await;
    let topics: Vec<_> = told.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, [ORDER_CREATED, ORDER_CONFIRMED, ORDER_CANCELLED]);
    assert_eq!((told[0].1.total_cents, told[1].1.total_cents), (None, Some(1180)));
    assert_eq!(told[2].1.reason.as_deref(), Some("why not"));
}

#[tokio::test]
async fn who_waits_is_not_forgotten_when_the_clock_is_put_back() {
    let (_folder, book) = book().await;
    book.open(draft("o1", "k")).await.unwrap();
    for (pause_ms, due) in [(-1, true), (FARTHEST_MS / 2, false), (3_600_000, true), (0, true)] {
        book.put_off("o1", 900, pause_ms).await.unwrap();
        assert_eq!(book.due(8).await.unwrap().len(), usize::from(due), "{pause_ms}");
    }
}
