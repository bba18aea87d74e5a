use super::*;
use sqlx::Row;
use tempfile::TempDir;

async fn bank() -> (TempDir, Store, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::scratch(folder.path(), "bank", &ledger::TABLES).await.unwrap();
    (folder, store.clone(), Ledger::new(store))
}

async fn take(ledger: &Ledger, key: &str, cents: i64) -> Result<EntryState, Problem> {
    let money = Charge { amount_cents: cents, reference: format!("order of {key}") };
    charge(State(ledger.clone()), Id(key.into()), Input(Object(money))).await.map(|Json(entry)| entry.state)
}

async fn give_back(ledger: &Ledger, key: &str) -> EntryState {
    refund(State(ledger.clone()), Id(key.into())).await.unwrap().0.state
}

/// What moved under a key, in its order.
async fn moved(store: &Store, key: &str) -> Vec<i64> {
    let rows =
        store.sql("SELECT amount_cents FROM movements WHERE charge_id = $1 AND reference = $2 ORDER BY id");
    let rows = store.fetch_all(rows.bind(key).bind(format!("order of {key}"))).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

#[tokio::test]
async fn money_moves_once_each_way() {
    let (_folder, store, bank) = bank().await;
    for _ in 0..2 {
        assert_eq!(take(&bank, "a", 500).await.unwrap(), EntryState::Captured);
    }
    assert!(take(&bank, "a", 501).await.is_err(), "another amount");
    assert_eq!(moved(&store, "a").await, [500]);
    for _ in 0..2 {
        assert_eq!(give_back(&bank, "a").await, EntryState::Refunded);
        assert_eq!(take(&bank, "a", 500).await.unwrap(), EntryState::Refunded);
    }
    assert_eq!(moved(&store, "a").await, [500, -500]);
}

#[tokio::test]
async fn what_takes_nothing_moves_nothing() {
    let (_folder, store, bank) = bank().await;
    assert_eq!(give_back(&bank, "early").await, EntryState::Refunded);
    assert_eq!(take(&bank, "early", 500).await.unwrap(), EntryState::Refunded);
    assert_eq!(take(&bank, "dear", CARD_LIMIT_CENTS + 1).await.unwrap(), EntryState::Declined);
    assert_eq!(give_back(&bank, "dear").await, EntryState::Declined);
    for cents in [0, -1, i64::MIN] {
        assert!(take(&bank, "less", cents).await.is_err());
    }
    assert!(take(&bank, &"x".repeat(60), 1).await.is_err(), "its reference is too long");
    let row = store.fetch_one(store.sql("SELECT COUNT(*) FROM movements")).await.unwrap();
    assert_eq!(row.try_get::<i64, _>(0).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_are_one_charge() {
    let (_folder, store, bank) = bank().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let bank = bank.clone();
        asking.spawn(async move { take(&bank, "a", 500).await.unwrap() });
    }
    assert!(asking.join_all().await.into_iter().all(|state| state == EntryState::Captured));
    assert_eq!(moved(&store, "a").await, [500]);
}
