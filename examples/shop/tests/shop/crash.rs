//! SIGKILL in the midst of the work: at the n-th write or flush of a file, at the n-th thing sent. The program knows nothing
//! of it: strace kills it on its way into the call.
//!
//! ```sh
//! CRASH_STEP=1 cargo test --release -p shop --test shop crash:: -- --ignored
//! ```
//!
//! has each n from 1 to 100; without `CRASH_STEP` it is every seventh. The kinds of calls take turns. strace counts those of
//! each thread by themselves, from the moment on at which the service was ready.

use super::apart::{Apart, Strace};
use super::races::together;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const LAST: usize = 100;

/// So many shops share the work of a test.
const SHOPS: usize = 2;

/// So many customers order at once.
const CUSTOMERS: usize = 4;

const PRODUCTS: [&str; 8] =
    ["tea-mint", "tea-assam", "cup-bowl", "kit-timer", "pot-glass", "cup-enamel", "kit-whisk", "tea-matcha"];

/// Long enough for every machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is counted.
#[derive(Clone, Copy, Debug)]
enum Calls {
    Writes,
    Flushes,
    Sends,
}

impl Calls {
    fn names(self) -> &'static str {
        match self {
            Self::Writes => "pwrite64,pwritev,ftruncate,fallocate",
            Self::Flushes => "fsync,fdatasync",
            Self::Sends => "sendto,sendmsg,writev",
        }
    }
}

/// Who is killed, and at what.
#[derive(Clone, Copy)]
struct Victim {
    service: &'static str,
    /// The store whose calls are counted alone.
    store: Option<&'static str>,
    calls: &'static [Calls],
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs strace"]
async fn an_order_service_that_is_killed_anywhere_does_everything_once() {
    let calls = &[Calls::Writes, Calls::Flushes, Calls::Sends];
    kill_all(Victim { service: "order", store: None, calls }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs strace"]
async fn a_payment_service_that_is_killed_anywhere_charges_once() {
    let calls = &[Calls::Writes, Calls::Flushes, Calls::Sends];
    kill_all(Victim { service: "payment", store: None, calls }).await;
}

/// The relay is a part of the order service; what it writes to the bus is counted.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs strace"]
async fn a_relay_that_is_killed_anywhere_tells_everything_once() {
    kill_all(Victim { service: "order", store: Some("bus"), calls: &[Calls::Writes, Calls::Flushes] }).await;
}

async fn kill_all(victim: Victim) {
    let step = std::env::var("CRASH_STEP").map_or(7, |step| step.parse().expect("CRASH_STEP is a number"));
    let kinds = victim.calls.iter().copied().cycle();
    let kills: Vec<_> = (1..=LAST).step_by(step).zip(kinds).collect();
    let shops = (0..SHOPS).map(|shop| {
        let kills = kills.iter().copied().skip(shop).step_by(SHOPS).collect::<Vec<_>>();
        tokio::spawn(async move {
            let mut lane = Lane { shop: Apart::open().await, victim, placed: 0 };
            for (n, calls) in kills {
                lane.kill(n, calls).await;
            }
            assert_eq!(lane.shop.orders().await["CONFIRMED"], lane.placed, "one order for each key");
        })
    });
    for shop in together(shops).await {
        shop.expect("a shop that comes through");
    }
    println!("{} was killed {} times, at every n", victim.service, kills.len());
}

/// A shop that lives through one kill after the other.
struct Lane {
    shop: Apart,
    victim: Victim,
    /// How many keys were used.
    placed: usize,
}

/// The orders that were asked for, by key, with their ids where somebody has said them.
type Asked = BTreeMap<String, Option<String>>;

impl Lane {
    async fn kill(&mut self, n: usize, calls: Calls) {
        let mut args = vec!["-e".to_owned(), format!("trace={}", calls.names()), "-e".to_owned()];
        args.push(format!("inject={}:signal=SIGKILL:when={n}", calls.names()));
        args.extend(self.victim.store.into_iter().flat_map(|store| self.shop.files(store)));
        let (service, dead) = (self.victim.service, AtomicBool::new(false));
        let _strace = Strace::attach(self.shop.process(service), &args).await;
        let mut process = self.shop.take(service);
        let asked = Mutex::new(Asked::new());
        let customers = (0..CUSTOMERS).map(|customer| self.shop_until(&dead, &asked, n, calls, customer));
        let killed = async {
            let status = timeout(PATIENCE, process.wait()).await;
            dead.store(true, Ordering::Relaxed);
            status.unwrap_or_else(|_| panic!("{service} has no {n} {calls:?}")).expect("it is a child")
        };
        let (status, _) = tokio::join!(killed, together(customers));
        assert_eq!(status.signal(), Some(9), "{service} was not killed at {n} {calls:?}");
        self.shop.start(service).await;
        let asked = asked.into_inner().expect("nobody fell over");
        self.placed += asked.len();
        let ids = together(asked.iter().map(|(key, id)| self.ask_again(key, id.as_deref()))).await;
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), asked.len(), "a key is an order");
        self.shop.check().await;
    }

    /// Orders one thing after the other, as long as the victim lives.
    async fn shop_until(
        &self,
        dead: &AtomicBool,
        asked: &Mutex<Asked>,
        n: usize,
        calls: Calls,
        customer: usize,
    ) {
        let mut count = 0;
        while !dead.load(Ordering::Relaxed) {
            let key = format!("{calls:?}-{n}-{customer}-{count}");
            asked.lock().expect("nobody fell over").insert(key.clone(), None);
            let answer = self.shop.order("order", &key, product(&key)).await;
            if let Some((status, order)) = answer
                && status.is_success()
            {
                let id = order["id"].as_str().expect("an order has an id").to_owned();
                asked.lock().expect("nobody fell over").insert(key, Some(id));
            }
            count += 1;
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Asks with the same key until there is an order, which must be the one that was promised; and returns its id once it
    /// is confirmed.
    async fn ask_again(&self, key: &str, promised: Option<&str>) -> String {
        let (product, mut answers) = (product(key), BTreeMap::<_, usize>::new());
        let asked = async {
            loop {
                let answer = self.shop.order("order", key, product).await;
                if let Some((status, order)) = &answer
                    && status.is_success()
                {
                    return order["id"].as_str().expect("an order has an id").to_owned();
                }
                let refused = answer.as_ref().is_none_or(|(status, _)| status.is_server_error());
                let answer = answer.map(|(status, said)| format!("{status} {said}"));
                assert!(refused, "{key}: {answer:?}");
                *answers.entry(answer).or_default() += 1;
                sleep(Duration::from_millis(50)).await;
            }
        };
        let asked = timeout(PATIENCE, asked).await;
        let id = asked.unwrap_or_else(|_| panic!("nobody answers to {key}: {answers:?}"));
        assert!(promised.is_none_or(|promised| promised == id), "{key} was {promised:?}, and is {id}");
        assert_eq!(self.shop.settled(&id).await, "CONFIRMED", "{key}");
        id
    }
}

/// What is ordered under a key: not always the same, for there are 1000 of each.
fn product(key: &str) -> &'static str {
    PRODUCTS[key.bytes().map(usize::from).sum::<usize>() % PRODUCTS.len()]
}
