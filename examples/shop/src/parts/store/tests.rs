//! What holds for a file. What holds everywhere is in `everywhere`, and runs on servers as well.

mod everywhere;
mod shared;

use super::super::problem::Problem;
use super::lend::GLANCE;
use super::*;
use axum::response::IntoResponse;
use sqlx::Row;
use sqlx::any::AnyPoolOptions;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::sleep;

const THINGS: [&str; 1] = ["CREATE TABLE IF NOT EXISTS things (id VARCHAR(40) PRIMARY KEY)"];

async fn open(folder: &Path) -> Store {
    Store::file(folder, "test", &THINGS).await.unwrap()
}

fn put(id: &str) -> Statement {
    sqlx::query("INSERT INTO things (id) VALUES ($1)").bind(id)
}

async fn count(store: &Store) -> i64 {
    let row = sqlx::query("SELECT COUNT(*) FROM things").fetch_one(store.pool()).await.unwrap();
    row.try_get(0).unwrap()
}

/// Puts two things, and commits both.
async fn pair(store: &Store, id: String) -> sqlx::Result<()> {
    let pair = store.change(async move |mut change| {
        put(&id).execute(&mut *change).await?;
        put(&format!("{id}, too")).execute(&mut *change).await?;
        change.commit().await
    });
    pair.await
}

/// Has the lock for a while.
async fn hold(store: &Store) -> sqlx::Result<()> {
    let hold = store.change(async |_change| {
        sleep(Duration::from_millis(3)).await;
        Ok(())
    });
    hold.await
}

#[tokio::test]
async fn a_folder_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("50% of a shop? #1");
    let store = open(&folder).await;
    assert_eq!(store.execute(put("a")).await.unwrap(), 1);
    assert!(is_taken(&store.execute(put("a")).await.unwrap_err()));
    assert!(folder.join("test.db").exists());
    assert!(put("b").execute(store.pool()).await.is_err(), "the pool is for reading");
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_a_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let failure = Store::file(&file.path().join("shop"), "test", &[]).await.unwrap_err();
    assert!(failure.to_string().contains("test.db cannot be opened"), "{failure}");
}

#[tokio::test]
async fn a_store_of_another_version_is_a_sentence_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.execute(put("a")).await.unwrap();
    let more = "CREATE TABLE IF NOT EXISTS more (id VARCHAR(40) PRIMARY KEY)";
    let wider = "CREATE TABLE IF NOT EXISTS things (id VARCHAR(40) PRIMARY KEY, colour VARCHAR(40) NOT NULL)";
    for tables in [&[wider][..], &[THINGS[0], more], &[more]] {
        let failure = Store::file(folder.path(), "test", tables).await.unwrap_err().to_string();
        assert!(failure.contains("test.db was made by another version"), "{failure}");
        assert!(failure.contains("--data-dir") && !failure.contains('\n'), "{failure}");
    }
    assert_eq!(count(&open(folder.path()).await).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_it_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let mut stores = JoinSet::new();
        for n in 0..12 {
            let folder = folder.path().to_owned();
            stores.spawn(async move {
                let store = open(&folder).await;
                // The lock is fair to nobody.
                while let Err(locked) = store.execute(put(&n.to_string())).await {
                    assert!(locked.to_string().contains("locked"), "{locked}");
                }
            });
        }
        stores.join_all().await;
        assert_eq!(count(&open(folder.path()).await).await, 12);
    }
}

#[tokio::test]
async fn who_reads_does_not_wait_for_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (open(folder.path()).await, open(folder.path()).await);
    let (reader, path) = (here.clone(), folder.path().to_owned());
    let outcome = here.change(async move |mut change| {
        put("a").execute(&mut *change).await?;
        assert_eq!(count(&reader).await, 0, "nothing half-done is seen");
        let (first, second) = tokio::join!(there.execute(put("b")), there.execute(put("c")));
        assert!(first.unwrap_err().to_string().contains("locked"));
        let second = second.unwrap_err();
        assert!(matches!(second, sqlx::Error::PoolTimedOut), "it has not tried in vain as well: {second}");
        assert!(matches!(reader.execute(put("c")).await, Err(sqlx::Error::PoolTimedOut)));
        assert_eq!(count(&open(&path).await).await, 0, "a locked store is opened all the same");
        change.commit().await?;
        there.execute(put("b")).await
    });
    outcome.await.unwrap();
    assert_eq!(count(&here).await, 2);
}

#[tokio::test]
async fn what_is_not_committed_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let undone = store.change(async |mut change| {
        put("a").execute(&mut *change).await?;
        Err::<(), sqlx::Error>(sqlx::Error::RowNotFound)
    });
    undone.await.unwrap_err();
    let panic = tokio::spawn({
        let store = store.clone();
        async move { store.change(async |_| -> sqlx::Result<()> { panic!("in the middle") }).await }
    });
    assert!(panic.await.unwrap_err().is_panic());
    pair(&store, "b".into()).await.unwrap();
    assert_eq!(count(&store).await, 2);
}

/// Polls once what may be dropped then.
async fn begin(change: Pin<&mut impl Future>) {
    let mut change = Some(change);
    poll_fn(|cx| {
        let begun = change.take().is_some_and(|change| change.poll(cx).is_pending());
        assert!(begun, "it is not over at once");
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn what_has_begun_comes_to_its_end_and_what_has_not_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    // It has its turn, and leaves while it waits for the lock.
    begin(pin!(pair(&store, "first".into()))).await;
    begin(pin!(pair(&store, "second".into()))).await;
    begin(pin!(store.execute(put("third")))).await;
    store.execute(put("last")).await.unwrap();
    assert_eq!(count(&store).await, 3, "the first, the first too, and the last");
    begin(pin!(store.execute(put("alone")))).await;
    store.execute(put("at last")).await.unwrap();
    assert_eq!(count(&store).await, 5);
}

/// Callers leave at any point: before their turn, while SQLite's lock is waited for, between two statements, in the
/// middle of the commit. Somebody else holds the lock now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(folder.path()).await, open(folder.path()).await);
    let holder = tokio::spawn(async move {
        loop {
            hold(&other).await.unwrap_or_default();
            sleep(Duration::from_millis(1)).await;
        }
    });
    let mut callers = JoinSet::new();
    for n in 0..600_u64 {
        let caller = store.clone();
        callers.spawn(async move {
            let stays = Duration::from_micros(n * 37 % 4001);
            let left = timeout(stays, async {
                pair(&caller, n.to_string()).await?;
                caller.execute(put(&format!("{n}, single"))).await
            });
            left.await.is_err()
        });
        if n % 8 == 7 {
            sleep(Duration::from_millis(2)).await;
            assert!(count(&store).await >= 0, "who reads is not held up");
        }
    }
    let left = callers.join_all().await.into_iter().filter(|left| *left).count();
    assert!(left > 100, "only {left} have left");
    holder.abort();
    // The turn comes when all that had begun is over.
    pair(&store, "last".into()).await.unwrap();
    let halves = "SELECT COUNT(*) FROM things WHERE id NOT LIKE '%single' AND id NOT LIKE '%, too'
                  AND NOT EXISTS (SELECT 1 FROM things other WHERE other.id = things.id || ', too')";
    let halves: i64 = sqlx::query(halves).fetch_one(store.pool()).await.unwrap().try_get(0).unwrap();
    assert_eq!(halves, 0);
}

#[tokio::test]
async fn who_waits_for_a_connection_to_be_opened_takes_one_that_is_given_back() {
    install_default_drivers();
    let count = AtomicUsize::new(0);
    let pool = AnyPoolOptions::new().max_connections(2).after_connect(move |_, _| {
        let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move { if is_first { Ok(()) } else { pending().await } })
    });
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    let lender = Lender::new(pool);
    let first = lender.lend().await.unwrap();
    let mut second = pin!(lender.lend());
    assert!(timeout(GLANCE * 4, &mut second).await.is_err(), "it is opened for ever");
    first.back();
    second.await.unwrap();
}

/// What a store is asked that has no connection left, by many who do not wait for the answer.
#[tokio::test]
async fn who_has_left_stands_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let most = store.pool().options().get_max_connections() as usize;
    let mut held = Vec::new();
    for _ in 0..most {
        held.push(store.pool().acquire().await.unwrap());
    }
    let alive = Handle::current().metrics().num_alive_tasks();
    for _ in 0..100 {
        let left = timeout(Duration::from_millis(1), store.ping()).await;
        assert!(left.is_err(), "there is a connection for them");
    }
    let left = Handle::current().metrics().num_alive_tasks() - alive;
    assert!(left <= most, "{left} wait who have left");
    drop(held);
    store.ping().await.unwrap();
}
