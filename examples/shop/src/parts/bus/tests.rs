//! What holds on both kinds: on the file, and, where `SHOP_TEST_AMQP_URL` names one, on a broker.

use super::consumer::Unhandled;
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const QUEUE: &str = "mail";
const BINDINGS: [(&str, &str); 3] = [(QUEUE, "order.*"), (QUEUE, "user.created"), ("audit", "order.*")];

/// A message that comes when all others have been settled.
const LAST: &str = "last";

/// Longer than a lease, and long enough for every machine.
const LONG: Duration = Duration::from_secs(40);

/// What handlers have seen, in its order.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
    }

    fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn until(&self, enough: impl Fn(&[String]) -> bool) {
        let waits = async {
            while !enough(&self.ids()) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = timeout(LONG, waits).await;
        waited.unwrap_or_else(|_| panic!("only {:?}", self.ids()));
    }

    async fn all(&self, wanted: impl IntoIterator<Item = String>) {
        let wanted: BTreeSet<_> = wanted.into_iter().collect();
        self.until(|seen| wanted.iter().all(|id| seen.contains(id))).await;
    }

    async fn handle(self, message: Message) -> Result<(), Unhandled> {
        self.add(&message.id);
        Ok(())
    }
}

fn message(id: &str) -> Message {
    Message { id: id.into(), topic: "order.created".into(), payload: "{}".into(), created_at: 7 }
}

fn names(most: usize) -> impl Iterator<Item = String> {
    (0..most).map(|n| format!("{n:03}"))
}

async fn bus() -> (TempDir, Bus) {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(&folder, &BINDINGS).await;
    // Who publishes first has bound the queues.
    bus.publish(Vec::new()).await.unwrap();
    (folder, bus)
}

async fn open(folder: &TempDir, bindings: &[(&'static str, &'static str)]) -> Bus {
    Bus::open(&Config::test(folder.path()), bindings).await.unwrap()
}

fn consume<F, Fut>(bus: &Bus, queue: &'static str, handle: F) -> JoinHandle<()>
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
{
    tokio::spawn(bus.clone().consume(queue, handle))
}

fn see(bus: &Bus, queue: &'static str) -> (Seen, JoinHandle<()>) {
    let seen = Seen::default();
    let handle = seen.clone();
    (seen, consume(bus, queue, move |message| handle.clone().handle(message)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_into_every_queue_that_is_bound_as_it_was_and_in_its_order() {
    let (folder, bus) = bus().await;
    let told = |topic: &str, id: &str| Message { topic: topic.into(), ..message(id) };
    let published = vec![told("order.created", "a"), told("user.created", "b"), told("order.confirmed", "c")];
    assert_eq!(bus.publish(published.clone()).await.unwrap(), []);
    // A publisher that knows of no queue has them all the same.
    let (stranger, late) = (open(&folder, &[]).await, || names(20).map(|id| format!("late-{id}")));
    assert_eq!(stranger.publish(late().map(|id| message(&id)).collect()).await.unwrap(), []);
    let whole = Arc::new(Mutex::new(Vec::new()));
    let (seen, handle) = (Seen::default(), whole.clone());
    let sees = seen.clone();
    let mail = consume(&bus, QUEUE, move |message| {
        handle.lock().unwrap().push(message.clone());
        sees.clone().handle(message)
    });
    let (audited, audit) = see(&bus, "audit");
    let expected = |first: &[&str]| first.iter().map(ToString::to_string).chain(late()).collect::<Vec<_>>();
    seen.until(|seen| seen == expected(&["a", "b", "c"])).await;
    audited.until(|seen| seen == expected(&["a", "c"])).await;
    assert_eq!(whole.lock().unwrap()[..3], published);
    bus.drained(QUEUE).await;
    mail.abort();
    audit.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_does_not_want_is_told_and_the_others_go_in() {
    let (_folder, bus) = bus().await;
    let lost = Message { topic: "stock.low".into(), ..message("lost") };
    let long = Message { payload: "x".repeat(LONGEST + 1), ..message("long") };
    let longest = Message { payload: "x".repeat(LONGEST), ..message("longest") };
    let unwanted = bus.publish(vec![message("a"), lost, long, message("b"), longest]).await.unwrap();
    let mut told: Vec<_> = unwanted.iter().map(|no| (no.id.as_str(), no.why.as_str())).collect();
    told.sort_unstable();
    assert_eq!(told[0].0, "long");
    assert!(told[0].1.contains("1048577 bytes"), "{told:?}");
    assert_eq!(told[1..], [("lost", "no queue is bound to stock.low")]);
    let (seen, mail) = see(&bus, QUEUE);
    seen.until(|seen| seen == ["a", "b", "longest"]).await;
    mail.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn published_twice_is_delivered_and_does_no_harm() {
    let (_folder, bus) = bus().await;
    for _ in 0..2 {
        bus.publish(vec![message("a"), message("b")]).await.unwrap();
    }
    let (seen, mail) = see(&bus, QUEUE);
    bus.publish(vec![message("c")]).await.unwrap();
    seen.until(|seen| seen.last().is_some_and(|id| id == "c")).await;
    let once: BTreeSet<_> = seen.ids().into_iter().collect();
    assert_eq!(once.len(), 3, "{once:?}");
    assert_eq!(bus.dead_letters(QUEUE).await.unwrap(), []);
    mail.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_never_have_the_same_message() {
    let (folder, bus) = bus().await;
    bus.publish(names(100).map(|id| message(&id)).collect()).await.unwrap();
    let (mut seen, mut consumers) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (sees, consumer) = see(&open(&folder, &[]).await, QUEUE);
        seen.push(sees);
        consumers.push(consumer);
    }
    let all = || seen.iter().flat_map(Seen::ids).collect::<Vec<_>>();
    let handled = async {
        while all().len() < 100 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LONG, handled).await.expect("all are handled");
    bus.drained(QUEUE).await;
    let mut all = all();
    all.sort();
    assert_eq!(all, names(100).collect::<Vec<_>>());
    consumers.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failures_make_a_dead_letter_and_hold_up_nobody() {
    let (_folder, bus) = bus().await;
    let (seen, deaths) = (Seen::default(), AtomicI64::new(0));
    let (sees, deaths) = (seen.clone(), Arc::new(deaths));
    let mail = consume(&bus, QUEUE, move |message| {
        let (seen, deaths) = (sees.clone(), deaths.clone());
        async move {
            seen.add(&message.id);
            match message.id.as_str() {
                "bad" => Err(Unhandled::Message(format!("no {}", deaths.fetch_add(1, Ordering::Relaxed)))),
                "panic" => panic!("it makes its handler panic"),
                _ => Ok(()),
            }
        }
    });
    bus.publish(["bad", "panic", "a", "b"].map(message).to_vec()).await.unwrap();
    seen.until(|seen| seen.iter().filter(|id| *id == "a" || *id == "b").count() == 2).await;
    let many = |id: &str| seen.ids().iter().filter(|seen| *seen == id).count();
    assert!(many("bad") <= 2 && many("panic") <= 2, "the others do not wait for those who fail");
    let mut dead = Vec::new();
    let buried = async {
        while dead.len() < 2 {
            sleep(Duration::from_millis(10)).await;
            dead = bus.dead_letters(QUEUE).await.unwrap();
        }
    };
    timeout(LONG, buried).await.expect("they are dead");
    assert_eq!((many("bad"), many("panic")), (5, 5));
    assert_eq!(bus.waiting(QUEUE).await, 0);
    let reasons: BTreeMap<_, _> =
        dead.iter().map(|letter| (letter.id.as_str(), letter.reason.as_str())).collect();
    assert_eq!(reasons, BTreeMap::from([("bad", "no 4"), ("panic", "the handler fell over")]));
    assert!(dead.iter().all(|letter| letter.topic == "order.created" && letter.payload == "{}"), "{dead:?}");
    assert!(dead.iter().all(|letter| letter.died_at > 0), "{dead:?}");
    mail.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_are_looked_at_delivered_again_and_forgotten() {
    let (folder, bus) = bus().await;
    let settled = Seen::default();
    let sees = settled.clone();
    let bad = consume(&bus, QUEUE, move |message| {
        let sees = sees.clone();
        async move {
            if message.id == LAST { sees.handle(message).await } else { Err(Unhandled::Message("no".into())) }
        }
    });
    bus.publish(names(3).map(|id| message(&id)).collect()).await.unwrap();
    let buried = async {
        while bus.dead_letters(QUEUE).await.unwrap().len() < 3 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, buried).await.expect("they are dead");
    // Who is buried and not yet acknowledged would be buried once more. It is acknowledged when another is handled.
    bus.publish(vec![message(LAST)]).await.unwrap();
    settled.until(|seen| !seen.is_empty()).await;
    bad.abort();
    let _ = bad.await;
    // Somebody else looks, from outside.
    let other = open(&folder, &BINDINGS).await;
    for _ in 0..3 {
        assert_eq!(other.dead_letters(QUEUE).await.unwrap().len(), 3, "to look takes nothing away");
    }
    assert_eq!(other.redeliver(QUEUE, Some("nobody")).await.unwrap(), 0);
    assert_eq!(other.forget(QUEUE, Some("000")).await.unwrap(), 1);
    assert_eq!(other.redeliver(QUEUE, Some("001")).await.unwrap(), 1);
    let (seen, mail) = see(&bus, QUEUE);
    let again = |seen: &[String], ids: &[&str]| seen.iter().filter(|id| *id != LAST).eq(ids);
    seen.until(|seen| again(seen, &["001"])).await;
    assert_eq!(other.redeliver(QUEUE, None).await.unwrap(), 1);
    seen.until(|seen| again(seen, &["001", "002"])).await;
    assert_eq!(other.dead_letters(QUEUE).await.unwrap(), []);
    mail.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_hears_everything_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(&folder, &[]).await;
    assert_eq!(bus.publish(vec![message("1")]).await.unwrap(), []);
    bus.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_not_the_fault_of_the_messages() {
    let (_folder, bus) = bus().await;
    let (seen, left) = (Seen::default(), Arc::new(AtomicI64::new(DELIVERIES + 1)));
    let (sees, failures) = (seen.clone(), left.clone());
    let mail = consume(&bus, QUEUE, move |message| {
        let (seen, fails) = (sees.clone(), failures.fetch_sub(1, Ordering::Relaxed) > 0);
        async move { if fails { Err(sqlx::Error::PoolTimedOut.into()) } else { seen.handle(message).await } }
    });
    bus.publish(vec![message("a")]).await.unwrap();
    seen.until(|seen| seen == ["a"]).await;
    assert_eq!(left.load(Ordering::Relaxed), -1, "each failure was a delivery");
    bus.drained(QUEUE).await;
    assert_eq!(bus.dead_letters(QUEUE).await.unwrap(), []);
    mail.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_with_a_message_gives_it_back() {
    let (folder, bus) = bus().await;
    let (had, sees) = (Seen::default(), Seen::default());
    let has = had.clone();
    let dies = consume(&open(&folder, &[]).await, QUEUE, move |message| {
        has.add(&message.id);
        std::future::pending()
    });
    bus.publish(names(3).map(|id| message(&id)).collect()).await.unwrap();
    had.until(|had| had == ["000"]).await;
    dies.abort();
    let _ = dies.await;
    let (seen, mail) = see(&bus, QUEUE);
    seen.all(names(3)).await;
    assert_eq!((seen.ids().len(), sees.ids().len()), (3, 0), "and once");
    bus.drained(QUEUE).await;
    mail.abort();
}

/// Polls a future so often, and drops it.
async fn give_up<F: Future>(after: usize, future: F) {
    let mut future = pin!(future);
    for _ in 0..after {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_publishing_or_consuming_loses_nothing() {
    let (folder, bus) = bus().await;
    for (n, id) in names(40).enumerate() {
        let publisher = if n % 2 == 0 { bus.clone() } else { open(&folder, &[]).await };
        give_up(n, publisher.publish(vec![message(&format!("p{id}"))])).await;
        assert_eq!(bus.publish(vec![message(&id)]).await.unwrap(), []);
    }
    let given_up = Seen::default();
    for n in 0..40 {
        let seen = given_up.clone();
        let consumer = if n % 2 == 0 { bus.clone() } else { open(&folder, &[]).await };
        give_up(n, consumer.consume(QUEUE, move |message| seen.clone().handle(message))).await;
    }
    let (seen, mail) = see(&bus, QUEUE);
    // Who has died with a message five times has made a dead letter of it.
    let mut found = BTreeSet::new();
    let all = async {
        while names(40).any(|id| !found.contains(&id)) {
            sleep(Duration::from_millis(50)).await;
            found.extend(given_up.ids().into_iter().chain(seen.ids()));
            found.extend(bus.dead_letters(QUEUE).await.unwrap().into_iter().map(|letter| letter.id));
        }
    };
    let all = timeout(LONG, all).await;
    assert!(all.is_ok(), "only {found:?}");
    bus.drained(QUEUE).await;
    mail.abort();
}
