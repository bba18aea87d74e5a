use super::delivery::{LEASE_MS, Outcome};
use super::*;
use sqlx::Row;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const QUEUE: &str = "mail";
const BINDINGS: [(&str, &str); 2] = [(QUEUE, "order.*"), ("audit", "order.*")];

/// Some time or other.
const NOW: i64 = 1_000_000;

async fn bus() -> (TempDir, Queues) {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(&folder, &BINDINGS).await;
    (folder, bus)
}

async fn open(folder: &TempDir, bindings: &[(&'static str, &'static str)]) -> Queues {
    Queues::open(&Config::test(folder.path()), bindings).await.unwrap()
}

fn message(id: &str) -> Message {
    Message { id: id.into(), topic: "order.created".into(), payload: "{}".into(), created_at: 7 }
}

impl Queues {
    async fn count(&self, query: &'static str) -> i64 {
        let row = sqlx::query(query).bind(QUEUE).fetch_one(self.store.pool()).await.unwrap();
        row.try_get(0).unwrap()
    }

    async fn dead(&self) -> Vec<(String, String)> {
        let rows =
            sqlx::query("SELECT id, reason FROM dead_letters WHERE queue = $1 ORDER BY id").bind(QUEUE);
        let rows = rows.fetch_all(self.store.pool()).await.unwrap();
        rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect()
    }

    async fn taken(&self, now: i64) -> Vec<String> {
        self.take(QUEUE, 8, now).await.unwrap().into_iter().map(|taken| taken.message.id).collect()
    }
}

#[tokio::test]
async fn a_message_goes_into_every_queue_that_is_bound_and_once() {
    let (folder, bus) = bus().await;
    for _ in 0..2 {
        bus.publish(vec![message("b"), message("a")]).await.unwrap();
        bus.publish(vec![Message { topic: "user.created".into(), ..message("c") }]).await.unwrap();
    }
    assert_eq!(bus.waiting(QUEUE).await, 2);
    assert_eq!(bus.take("audit", 8, NOW).await.unwrap().len(), 2);
    // A publisher that knows of no queue has learnt it from who was here before.
    let stranger = open(&folder, &[]).await;
    stranger.publish(vec![message("d")]).await.unwrap();
    let taken = bus.take(QUEUE, 8, NOW).await.unwrap();
    let ids: Vec<_> = taken.iter().map(|taken| taken.message.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "d"], "the oldest first");
    assert_eq!(taken[0].message, message("a"));
}

#[tokio::test]
async fn a_lease_is_somebodys_own_until_it_is_over() {
    let (folder, bus) = bus().await;
    let other = open(&folder, &[]).await;
    bus.publish(vec![message("a")]).await.unwrap();
    let late = bus.take(QUEUE, 8, NOW).await.unwrap();
    assert!(other.taken(NOW + LEASE_MS - 1).await.is_empty());
    assert_eq!(other.taken(NOW + LEASE_MS).await, ["a"], "who died with it has given it back");
    // Who was only slow changes nothing of the lease that another one has now.
    let late: Vec<_> = late.into_iter().map(|late| (late, Outcome::Untouched)).collect();
    bus.settle(QUEUE, late, NOW + LEASE_MS).await.unwrap();
    assert!(bus.taken(NOW + 2 * LEASE_MS - 1).await.is_empty());
}

#[tokio::test]
async fn a_lease_is_over_when_the_clock_was_put_back() {
    let (_folder, bus) = bus().await;
    bus.publish(vec![message("a")]).await.unwrap();
    assert_eq!(bus.taken(NOW + 3_600_000).await, ["a"]);
    assert_eq!(bus.taken(NOW).await, ["a"]);
    assert!(bus.taken(NOW).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_never_have_the_same_message() {
    let (folder, bus) = bus().await;
    bus.publish((0..100).map(|n| message(&format!("{n:03}"))).collect()).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let bus = open(&folder, &[]).await;
        takers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                match bus.take(QUEUE, 8, NOW).await {
                    Ok(taken) if taken.is_empty() => return mine,
                    Ok(taken) => mine.extend(taken.into_iter().map(|taken| taken.message.id)),
                    Err(error) => assert!(error.to_string().contains("locked"), "{error}"),
                }
            }
        });
    }
    let mut taken = takers.join_all().await.concat();
    taken.sort();
    assert_eq!(taken, (0..100).map(|n| format!("{n:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn five_failures_make_a_dead_letter() {
    let (_folder, bus) = bus().await;
    bus.publish(vec![message("a"), message("b")]).await.unwrap();
    let mut now = NOW;
    for delivery in 1..=DELIVERIES {
        assert!(bus.dead().await.is_empty(), "delivery {delivery}");
        let mut taken = bus.take(QUEUE, 8, now).await.unwrap();
        assert_eq!(taken.iter().map(|taken| taken.tries).collect::<Vec<_>>(), [delivery; 2]);
        // One consumer says what is wrong, the other dies each time.
        let refused = vec![(taken.remove(0), Outcome::Failed(format!("no {delivery}")))];
        bus.settle(QUEUE, refused, now).await.unwrap();
        assert!(bus.taken(now).await.is_empty(), "not at once again");
        now += LEASE_MS;
    }
    assert_eq!(bus.dead().await, [("a".to_owned(), "no 5".to_owned())]);
    assert!(bus.taken(now).await.is_empty());
    let dead = bus.dead().await;
    assert_eq!((dead.len(), bus.waiting(QUEUE).await), (2, 0));
    assert!(dead[1].1.contains("delivered 5 times"), "{dead:?}");
    bus.publish(vec![message("a")]).await.unwrap();
    assert_eq!(bus.waiting(QUEUE).await, 0, "the dead stay dead");
}

#[tokio::test]
async fn a_round_settles_all_that_it_has_taken() {
    let (_folder, bus) = bus().await;
    bus.publish(["a", "bad", "panic"].map(message).to_vec()).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handle = |message: Message| {
        let seen = seen.clone();
        async move {
            seen.lock().unwrap().push(message.id.clone());
            match message.id.as_str() {
                "bad" => Err(Unhandled::Message("it is bad".into())),
                "panic" => panic!("it makes its handler panic"),
                _ => Ok(()),
            }
        }
    };
    assert_eq!(bus.round(&Gate::default(), QUEUE, &handle).await.unwrap(), 3);
    assert_eq!(*seen.lock().unwrap(), ["a", "bad", "panic"]);
    assert_eq!(bus.waiting(QUEUE).await, 2, "what was handled is gone, what failed is not");
    assert_eq!(bus.count("SELECT SUM(tries) FROM messages WHERE queue = $1").await, 2);
    assert_eq!(bus.round(&Gate::default(), QUEUE, &handle).await.unwrap(), 0, "put off");
}

#[tokio::test]
async fn a_store_that_fails_is_not_the_fault_of_the_messages() {
    let (_folder, bus) = bus().await;
    bus.publish(["a", "b", "c"].map(message).to_vec()).await.unwrap();
    let left = Arc::new(AtomicI64::new(1));
    let handle = |_| {
        let left = left.clone();
        async move {
            let written = left.fetch_sub(1, Ordering::Relaxed) > 0;
            if written { Ok(()) } else { Err(Unhandled::Store(sqlx::Error::PoolTimedOut)) }
        }
    };
    for _ in 0..2 * DELIVERIES {
        bus.round(&Gate::default(), QUEUE, &handle).await.unwrap_err();
    }
    assert_eq!(bus.waiting(QUEUE).await, 2);
    assert_eq!(bus.count("SELECT SUM(tries) FROM messages WHERE queue = $1").await, 0);
    left.store(2, Ordering::Relaxed);
    assert_eq!(bus.round(&Gate::default(), QUEUE, &handle).await.unwrap(), 2);
    assert_eq!((bus.waiting(QUEUE).await, bus.dead().await), (0, Vec::new()));
}
