//! The same check, live: it looks again and again, and shows what it found among the layers of this process.

use super::hearing::{Hearing, State, Verdict};
use super::invariants::ALL;
use super::judged;
use super::read::Shelf;
use super::report::{Report, Tally};
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use bartizan::core::registry::{self, Observed};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// The pause is so many times as long as the look took, so that a long history does not cost the shop a processor.
const PAUSE_PER_LOOK: u32 = 9;

/// Looks every two seconds, or less often when a look takes long. What is overdue counts from the start on, for before
/// it the shop was closed.
///
/// # Cancel safety
///
/// Dropped, it takes its handles along.
pub async fn watch(config: Config) {
    let mut watch = Watch::new(&config);
    loop {
        let begun = Instant::now();
        watch.look().await;
        let took = Instant::now() - begun;
        sleep(PAUSE.max(took * PAUSE_PER_LOOK)).await;
    }
}

/// A check that goes on, with its handles: one for each invariant, and one for the orders.
struct Watch {
    shelf: Shelf,
    opened: i64,
    hearing: Hearing,
    ticks: Vec<Arc<Tick>>,
    orders: Arc<Orders>,
}

impl Watch {
    fn new(config: &Config) -> Self {
        let ticks: Vec<_> = ALL.iter().map(|invariant| Arc::new(Tick::new(invariant.sentence))).collect();
        let orders = Arc::new(Orders::default());
        let handles = ticks.iter().map(|tick| tick.clone() as Arc<dyn Observed>);
        for handle in handles.chain([orders.clone() as Arc<dyn Observed>]) {
            registry::register(&handle);
        }
        Self { shelf: Shelf::new(config), opened: now_ms(), hearing: Hearing::default(), ticks, orders }
    }

    async fn look(&mut self) {
        match self.shelf.read().await {
            Ok((books, calm)) => {
                let Report { verdicts, tally } =
                    judged(&mut self.hearing, &books, calm.but_from(self.opened));
                for (tick, verdict) in self.ticks.iter().zip(&verdicts) {
                    tick.turn(verdict);
                }
                *lock(&self.orders.tally) = tally;
            }
            Err(failure) => {
                // What was known is not known any more.
                self.hearing = Hearing::default();
                for tick in &self.ticks {
                    tick.unread(&failure);
                }
            }
        }
    }
}

/// An invariant as the console sees it.
#[derive(Debug)]
struct Tick {
    sentence: &'static str,
    latest: Mutex<Latest>,
}

#[derive(Debug)]
struct Latest {
    state: State,
    note: Option<String>,
    checked: usize,
    breaches: usize,
    waiting: usize,
    at_work: usize,
}

impl Tick {
    /// Nothing was read yet.
    fn new(sentence: &'static str) -> Self {
        let latest =
            Latest { state: State::Waiting, note: None, checked: 0, breaches: 0, waiting: 0, at_work: 0 };
        Self { sentence, latest: Mutex::new(latest) }
    }

    fn turn(&self, verdict: &Verdict) {
        let latest = Latest {
            state: verdict.state(),
            note: verdict.examples().next().map(str::to_owned),
            checked: verdict.looked_at,
            breaches: verdict.breaches.len(),
            waiting: verdict.waiting.len(),
            at_work: verdict.at_work,
        };
        let (state, note) = (latest.state, latest.note.clone().unwrap_or_default());
        let before = std::mem::replace(&mut *lock(&self.latest), latest).state;
        match (before, state) {
            (State::Broken, State::Broken) => {}
            (_, State::Broken) => {
                tracing::error!(invariant = self.sentence, example = note, "an invariant is broken");
            }
            (State::Broken, _) => tracing::info!(invariant = self.sentence, "an invariant holds again"),
            _ => {}
        }
    }

    fn unread(&self, failure: &Failure) {
        let mut latest = lock(&self.latest);
        latest.state = State::Waiting;
        latest.note = Some(failure.to_string());
    }
}

impl Observed for Tick {
    fn layer(&self) -> &'static str {
        "invariant"
    }

    fn name(&self) -> &str {
        self.sentence
    }

    fn state(&self) -> &'static str {
        lock(&self.latest).state.as_str()
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        lock(&self.latest).note.clone().map(Cow::Owned)
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let latest = lock(&self.latest);
        let numbers = [
            ("checked", latest.checked),
            ("breaches", latest.breaches),
            ("waiting", latest.waiting),
            ("at_work", latest.at_work),
        ];
        drop(latest);
        numbers.into_iter().for_each(|(name, number)| show(name, number as f64));
    }
}

/// What the shop has on its hands.
#[derive(Debug, Default)]
struct Orders {
    tally: Mutex<Tally>,
}

impl Observed for Orders {
    fn layer(&self) -> &'static str {
        "orders"
    }

    fn name(&self) -> &str {
        "orders"
    }

    fn state(&self) -> &'static str {
        "counted"
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let tally = lock(&self.tally).clone();
        for (step, count) in tally.steps() {
            show(step, count as f64);
        }
        for (name, count) in [("outbox", tally.outbox), ("queue", tally.queue), ("dead_letters", tally.dead)]
        {
            show(name, count as f64);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::invariants::SETTLED;
    use super::*;
    use sqlx::{AnyConnection, Connection};
    use std::path::Path;

    /// No more than the checker reads.
    const STORES: [(&str, &str); 6] = [
        (
            "order",
            "CREATE TABLE orders (id TEXT, user_id TEXT, idempotency_key TEXT, step TEXT, items TEXT, total_cents BIGINT,
              payment_id TEXT, reason TEXT, created_at BIGINT, updated_at BIGINT);
             CREATE TABLE order_outbox (id TEXT, topic TEXT, payload TEXT, created_at BIGINT, tries BIGINT)",
        ),
        (
            "user",
            "CREATE TABLE users (id TEXT, created_at BIGINT);
             CREATE TABLE user_outbox (id TEXT, topic TEXT, payload TEXT, created_at BIGINT, tries BIGINT)",
        ),
        (
            "payment",
            "CREATE TABLE payments (id TEXT, order_id TEXT, idempotency_key TEXT, amount_cents BIGINT, state TEXT, created_at BIGINT)",
        ),
        (
            "product",
            "CREATE TABLE products (id TEXT, price_cents BIGINT, stocked BIGINT, stock BIGINT, reserved BIGINT, sold BIGINT);
             CREATE TABLE reservations (id TEXT, state TEXT, items TEXT, total_cents BIGINT);
             INSERT INTO products VALUES ('tea', 590, 5, 5, 0, 0)",
        ),
        (
            "bus",
            "CREATE TABLE messages (id TEXT, topic TEXT, payload TEXT, created_at BIGINT, tries BIGINT);
             CREATE TABLE dead_letters (id TEXT, topic TEXT, payload TEXT, reason TEXT)",
        ),
        ("mail", "CREATE TABLE mails (subject_id TEXT, kind TEXT)"),
    ];

    async fn run(folder: &Path, store: &str, statements: &'static str) {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", folder.join(format!("{store}.db")).display());
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn the_ticks_follow_the_stores() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { amqp: None, ..Config::new(folder.path().to_owned(), 8080).unwrap() };
        let mut watch = Watch::new(&config);
        let (stock, others) = (watch.ticks[0].clone(), watch.ticks[1..].to_vec());
        let orders = watch.orders.clone();
        let breaches = || {
            let mut found = None;
            stock.numbers(&mut |name, number| found = (name == "breaches").then_some(number).or(found));
            found
        };
        assert_eq!((stock.state(), stock.note()), ("waiting", None));
        watch.look().await;
        assert_eq!(stock.state(), "waiting");
        assert!(stock.note().unwrap().contains("there is nothing to check"), "{stock:?}");

        for (store, tables) in STORES {
            run(folder.path(), store, tables).await;
        }
        watch.look().await;
        assert_eq!((stock.state(), stock.note(), breaches()), ("holds", None, Some(0.0)));
        assert!(others.iter().all(|tick| tick.state() == "holds"), "{others:?}");

        run(folder.path(), "product", "UPDATE products SET stock = 4").await;
        for state in ["holds", "holds", "broken", "broken"] {
            watch.look().await;
            assert_eq!(stock.state(), state);
        }
        assert!(stock.note().unwrap().contains("product tea has stock 4"), "{stock:?}");
        assert_eq!(breaches(), Some(1.0));
        assert!(others.iter().all(|tick| tick.state() == "holds"), "{others:?}");

        run(folder.path(), "product", "UPDATE products SET stock = 5").await;
        watch.look().await;
        assert_eq!((stock.state(), stock.note()), ("holds", None));

        run(
            folder.path(),
            "order",
            "INSERT INTO orders VALUES ('o1', 'u1', 'k1', 'PENDING', '[]', NULL, NULL, NULL, 0, 0)",
        )
        .await;
        watch.look().await;
        let mut numbers = Vec::new();
        orders.numbers(&mut |name, number| numbers.push((name, number)));
        let names: Vec<_> = numbers.iter().map(|(name, _)| *name).collect();
        let steps = ["PENDING", "RESERVED", "PAID", "CONFIRMED", "REFUNDING", "RELEASING", "CANCELLED"];
        assert_eq!(names, [steps.as_slice(), &["outbox", "queue", "dead_letters"]].concat());
        assert_eq!((numbers[0].1, numbers[3].1), (1.0, 0.0));
        let settled = ALL.iter().position(|it| it.sentence == SETTLED.sentence).unwrap();
        let state = watch.ticks[settled].state();
        assert_eq!(state, "waiting", "it has thirty seconds from the start on, however old it is");
    }
}
