//! One flush for many changes.

use super::*;
use tokio::sync::oneshot;
use tokio::task::yield_now;

const CHILDREN: &str = "CREATE TABLE IF NOT EXISTS children (
    id VARCHAR(40) PRIMARY KEY REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED
)";

impl Store {
    fn commits(&self) -> u64 {
        self.group.as_ref().unwrap().commits()
    }
}

async fn is_there(store: &Store, id: &str) -> bool {
    let row = sqlx::query("SELECT id FROM things WHERE id = $1").bind(id.to_owned());
    store.fetch_optional(row).await.unwrap().is_some()
}

/// Has the turn until it is told to go on. Whoever comes meanwhile waits for it.
async fn hold(store: &Store) -> (oneshot::Sender<()>, tokio::task::JoinHandle<sqlx::Result<()>>) {
    let (go, gone) = oneshot::channel::<()>();
    let (begins, begun) = oneshot::channel();
    let store = store.clone();
    let held = tokio::spawn(async move {
        let hold = store.change(async move |mut change| {
            put("held").execute(&mut *change).await?;
            begins.send(()).unwrap();
            gone.await.unwrap();
            change.commit().await
        });
        hold.await
    });
    begun.await.unwrap();
    (go, held)
}

/// On a runtime of one thread, all that was spawned has its place in the queue then.
async fn queued() {
    for _ in 0..300 {
        yield_now().await;
    }
}

#[tokio::test]
async fn changes_that_come_at_once_share_a_flush_and_are_answered_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    pair(&store, "alone".into()).await.unwrap();
    assert_eq!(store.commits(), 1, "one that comes alone waits for nobody");
    let (go, held) = hold(&store).await;
    let mut changes = JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        changes.spawn(async move {
            let id = n.to_string();
            let wanted = id.clone();
            let made = store.change(async move |mut change| {
                put(&wanted).execute(&mut *change).await?;
                if n % 4 == 0 { Err(sqlx::Error::RowNotFound) } else { change.commit().await }
            });
            let made = made.await;
            assert_eq!(made.is_ok(), n % 4 != 0);
            assert_eq!(is_there(&store, &id).await, made.is_ok(), "{id}");
        });
    }
    queued().await;
    go.send(()).unwrap();
    changes.join_all().await;
    held.await.unwrap().unwrap();
    assert_eq!(count(&store).await, 2 + 1 + 48);
    assert_eq!(store.commits(), 3, "alone, held, and all that have waited");
}

#[tokio::test]
async fn what_is_only_seen_is_answered_after_the_flush_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (go, held) = hold(&store).await;
    let (writer, reader) = (store.clone(), store.clone());
    let writes = tokio::spawn(async move { pair(&writer, "a".into()).await });
    queued().await;
    let sees = tokio::spawn(async move {
        let seen = reader.change(async move |mut change| {
            let seen =
                sqlx::query("SELECT id FROM things WHERE id = 'a'").fetch_optional(&mut *change).await?;
            Ok::<_, sqlx::Error>(seen.is_some())
        });
        let seen = seen.await.unwrap();
        (seen, is_there(&reader, "a").await)
    });
    queued().await;
    go.send(()).unwrap();
    assert_eq!(sees.await.unwrap(), (true, true), "nobody hears of what may still be undone");
    writes.await.unwrap().unwrap();
    held.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_that_fails_fails_all_that_are_in_it_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::file(folder.path(), "test", &[THINGS[0], CHILDREN]).await.unwrap();
    let (go, held) = hold(&store).await;
    let mut changes = JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        changes.spawn(async move {
            match n {
                5 => {
                    store.execute(sqlx::query("INSERT INTO children (id) VALUES ('nobody')")).await.map(drop)
                }
                _ => pair(&store, n.to_string()).await,
            }
        });
    }
    queued().await;
    go.send(()).unwrap();
    for failed in changes.join_all().await {
        assert!(failed.unwrap_err().to_string().contains("FOREIGN KEY"));
    }
    held.await.unwrap().unwrap();
    assert_eq!(count(&store).await, 1, "what was held came before");
    pair(&store, "after".into()).await.unwrap();
    assert_eq!(count(&store).await, 3);
}

#[tokio::test]
async fn a_full_store_says_so_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let full = store.change(async |mut change| {
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&mut *change).await?;
        put(&"x".repeat(1 << 20)).execute(&mut *change).await?;
        change.commit().await
    });
    let full = full.await.unwrap_err();
    assert_eq!(Problem::from(trouble::copy(&full)).into_response().status(), 507, "{full}");
    assert_eq!(Problem::from(full).into_response().status(), 507);
    assert_eq!(count(&store).await, 0);
    let roomy = store.change(async |mut change| {
        sqlx::raw_sql("PRAGMA max_page_count = 1000000").execute(&mut *change).await?;
        put(&"x".repeat(1 << 20)).execute(&mut *change).await?;
        change.commit().await
    });
    roomy.await.unwrap();
    assert_eq!(count(&store).await, 1);
}

/// The end of a service that is killed in its own process: its runtime is gone, in the middle of a change.
#[test]
fn a_runtime_that_goes_leaves_neither_halves_nor_locks() {
    let folder = tempfile::tempdir().unwrap();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let here = runtime();
    here.block_on(async {
        let store = open(folder.path()).await;
        let (go, _held) = hold(&store).await;
        // It never goes on.
        std::mem::forget(go);
    });
    here.shutdown_timeout(Duration::from_secs(5));
    runtime().block_on(async {
        let store = open(folder.path()).await;
        pair(&store, "next".into()).await.unwrap();
        assert_eq!(count(&store).await, 2);
    });
}
