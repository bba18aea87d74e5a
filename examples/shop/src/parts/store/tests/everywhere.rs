//! The same on a file, on Postgres and on MySQL: `SHOP_TEST_DATABASE_URL` says which.

use super::{Change, Contended, IntoResponse, Kind, Problem, Row, Store, is_taken, repeated};
use bartizan::core::registry::Observed;
use sqlx::AssertSqlSafe;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS things (
        id VARCHAR(40) PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, amount BIGINT NOT NULL, says TEXT
    )",
    "CREATE INDEX IF NOT EXISTS things_amount ON things (amount)",
];

async fn open(folder: &Path) -> Store {
    Store::scratch(folder, "order", &TABLES).await.unwrap()
}

async fn put(change: &mut Change, id: &str, amount: i64) -> sqlx::Result<()> {
    let insert = change.sql("INSERT INTO things (id, name, amount, says) VALUES ($1, $2, $3, $4)");
    let insert = insert.bind(id.to_owned()).bind(id.to_owned()).bind(amount).bind(None::<String>);
    insert.execute(&mut **change).await.map(drop)
}

async fn pair(store: &Store, id: String) -> sqlx::Result<()> {
    let pair = store.change(async move |mut change| {
        put(&mut change, &id, 1).await?;
        put(&mut change, &format!("{id}, too"), -1).await?;
        change.commit().await
    });
    pair.await
}

/// How many things there are, and how many of them are the first of a pair.
async fn sum(store: &Store) -> (i64, i64) {
    let both = "SELECT COUNT(*), COUNT(CASE WHEN amount = 1 THEN 1 END) FROM things";
    let row = store.fetch_one(store.sql(both)).await.unwrap();
    (row.try_get(0).unwrap(), row.try_get(1).unwrap())
}

#[tokio::test]
async fn texts_and_numbers_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let says = "größer als 'alles', \u{1f375} {\"n\": [1]} \\ % $1 ?";
    for (id, text) in [("a", Some(says.to_owned())), ("A", None), ("a ", Some("x".repeat(70_000)))] {
        let insert = store.sql("INSERT INTO things (id, name, amount, says) VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(id).bind(id).bind(i64::MAX).bind(text.clone());
        assert_eq!(store.execute(insert).await.unwrap(), 1, "{id:?} is another one");
        let row = store
            .fetch_one(store.sql("SELECT amount, says FROM things WHERE id = $1").bind(id))
            .await
            .unwrap();
        assert_eq!(row.try_get::<i64, _>(0).unwrap(), i64::MAX);
        assert_eq!(row.try_get::<Option<String>, _>(1).unwrap(), text);
    }
    let again = store.sql("INSERT INTO things (id, name, amount) VALUES ($1, $2, $3)");
    let taken = store.execute(again.bind("b").bind("a").bind(1_i64)).await.unwrap_err();
    assert!(is_taken(&taken) && taken.is_contended(), "{taken}");
    let same = store.sql("UPDATE things SET amount = $1 WHERE id = $2").bind(i64::MAX).bind("a");
    assert_eq!(store.execute(same).await.unwrap(), 1, "a row that is found counts, changed or not");
    let none = store.sql("SELECT id FROM things WHERE id = $1").bind("c");
    assert!(store.fetch_optional(none).await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_of_another_version_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    pair(&open(folder.path()).await, "a".into()).await.unwrap();
    let wider = "CREATE TABLE IF NOT EXISTS things (id VARCHAR(40) PRIMARY KEY, colour VARCHAR(40) NOT NULL)";
    let failure = Store::scratch(folder.path(), "order", &[wider]).await.unwrap_err().to_string();
    assert!(failure.contains("was made by another version of the shop: "), "{failure}");
    assert_eq!(sum(&open(folder.path()).await).await, (2, 1));
}

#[tokio::test]
async fn several_services_may_share_a_database_and_others_have_tables_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mail = ["CREATE TABLE IF NOT EXISTS letters (id VARCHAR(40) PRIMARY KEY)"];
    Store::scratch(folder.path(), "mail", &mail).await.unwrap();
    Store::scratch(folder.path(), "mail", &mail).await.unwrap();
    if store.kind == Kind::Sqlite {
        return;
    }
    store.execute(store.sql("CREATE TABLE strange (id BIGINT)")).await.unwrap();
    let strange = ["CREATE TABLE IF NOT EXISTS strange (id BIGINT)"];
    let failure = Store::scratch(folder.path(), "bank", &strange).await.unwrap_err().to_string();
    assert!(failure.contains("another version"), "what is not ours is left alone: {failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = JoinSet::new();
    for _ in 0..8 {
        let folder = folder.path().to_owned();
        stores.spawn(async move { drop(open(&folder).await) });
    }
    stores.join_all().await;
    pair(&open(folder.path()).await, "a".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_by_comparing_is_decided_once() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [open(folder.path()).await, open(folder.path()).await];
    stores[0]
        .change(async |mut change| {
            put(&mut change, "last", 1).await?;
            change.commit().await
        })
        .await
        .unwrap();
    let mut buyers = JoinSet::new();
    for n in 0..32 {
        let store = stores[n % 2].clone();
        buyers.spawn(async move {
            let buy = || {
                store.change(async |mut change| {
                    let take = "UPDATE things SET amount = amount - $1 WHERE id = $2 AND amount >= $3";
                    let take = change.sql(take).bind(1_i64).bind("last").bind(1_i64);
                    let taken = take.execute(&mut *change).await?.rows_affected();
                    change.commit().await?;
                    Ok(taken)
                })
            };
            loop {
                match repeated(buy).await {
                    Ok(taken) => return taken,
                    // It had no turn in time.
                    Err(busy) => drop::<sqlx::Error>(busy),
                }
            }
        });
    }
    assert_eq!(buyers.join_all().await.iter().sum::<u64>(), 1);
}

/// Somebody else changes a row, and takes longer than anybody waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_waited_for_in_vain_is_shown() {
    const CHANGE: &str = "UPDATE things SET amount = $1 WHERE id = $2";
    let folder = tempfile::tempdir().unwrap();
    let (holder, store) = (open(folder.path()).await, open(folder.path()).await);
    pair(&store, "a".into()).await.unwrap();
    let ((holds, held), (go, gone)) = (oneshot::channel(), oneshot::channel::<()>());
    let holding = tokio::spawn(async move {
        let hold = holder.change(async move |mut change| {
            change.sql(CHANGE).bind(2_i64).bind("a").execute(&mut *change).await?;
            holds.send(()).unwrap();
            gone.await.unwrap();
            change.commit().await
        });
        hold.await
    });
    held.await.unwrap();
    assert_eq!(store.condition.state(), "well");
    assert!(store.execute(store.sql(CHANGE).bind(3_i64).bind("a")).await.is_err());
    assert_eq!(store.condition.state(), "locked");
    go.send(()).unwrap();
    holding.await.unwrap().unwrap();
}

/// Polls so often at most, and leaves.
async fn leaves_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut polled) = (pin!(future), 0);
    poll_fn(|cx| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // There is no telling when it would be woken up again.
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn whoever_leaves_at_whatever_await_leaves_no_half_and_takes_no_connection_along() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (mut left, mut n) = (0, 0);
    for polls in 0..12 {
        for _ in 0..8 {
            n += 1;
            left += usize::from(leaves_after(polls, pair(&store, format!("{n}"))).await.is_none());
            let nothing = store.sql("UPDATE things SET amount = 7 WHERE id = $1").bind("none");
            left += usize::from(leaves_after(polls, store.execute(nothing)).await.is_none());
            let reads = store.sql("SELECT says FROM things");
            left += usize::from(leaves_after(polls, store.fetch_all(reads)).await.is_none());
            let (all, ones) = sum(&store).await;
            assert_eq!(all, ones * 2, "no half is seen");
        }
    }
    assert!(left >= 48, "only {left} have left");
    // What has begun comes to its end; then every connection is there for somebody.
    let most = store.pool().options().get_max_connections() as usize;
    let together = Arc::new(Barrier::new(most));
    let mut readers = JoinSet::new();
    for _ in 0..most {
        let (store, together) = (store.clone(), together.clone());
        readers.spawn(async move {
            let connection = loop {
                if let Ok(connection) = store.lender.lend().await {
                    break connection;
                }
            };
            together.wait().await;
            connection.back();
        });
    }
    tokio::time::timeout(Duration::from_secs(20), readers.join_all()).await.expect("no connection is lost");
    pair(&store, "at last".into()).await.unwrap();
    let (all, ones) = sum(&store).await;
    assert_eq!(all, ones * 2);
}

#[tokio::test]
async fn a_server_that_ends_all_connections_is_nobodys_bad_luck() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (id, end) = match store.kind {
        Kind::Sqlite => return,
        Kind::Postgres => ("SELECT CAST(pg_backend_pid() AS BIGINT)", "SELECT pg_terminate_backend({})"),
        Kind::MySql => ("SELECT CAST(CONNECTION_ID() AS SIGNED)", "KILL {}"),
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(store.pool().acquire().await.unwrap());
    }
    let mut ids = Vec::new();
    for connection in &mut held {
        let row = sqlx::query(id).fetch_one(&mut **connection).await.unwrap();
        ids.push(row.try_get::<i64, _>(0).unwrap());
    }
    drop(held);
    sleep(Duration::from_millis(100)).await;
    let other = open(folder.path()).await;
    for id in ids {
        let end = AssertSqlSafe(end.replace("{}", &id.to_string()));
        sqlx::raw_sql(end).execute(other.pool()).await.unwrap();
    }
    for n in 0..8 {
        pair(&store, n.to_string()).await.unwrap();
        assert_eq!(sum(&store).await, (n * 2 + 2, n + 1));
    }
}

#[tokio::test]
async fn what_a_server_says_is_said_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let says = |text: &str| AssertSqlSafe(text.to_owned());
    let (full, conflict) = match store.kind {
        Kind::Sqlite => return,
        Kind::Postgres => (
            says("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$"),
            says("DO $$ BEGIN RAISE EXCEPTION 'a knot' USING ERRCODE = '40P01'; END $$"),
        ),
        Kind::MySql => (
            says("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'no room'"),
            says("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'a knot'"),
        ),
    };
    let raw = async |text| {
        let mut connection = store.pool().acquire().await.unwrap();
        sqlx::raw_sql(text).execute(&mut *connection).await.unwrap_err()
    };
    let (full, conflict) = (raw(full).await, raw(conflict).await);
    assert!(conflict.is_contended() && !full.is_contended(), "{conflict} {full}");
    assert_eq!(Problem::from(full).into_response().status(), 507);
    assert_eq!(Problem::from(conflict).into_response().status(), 503);
}
