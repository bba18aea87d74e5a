//! A policy that several threads change every few milliseconds, rightly and wrongly, while servers and clients run on it.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::routing::get;
use bartizan_client::{Boxed, Client, ReqwestService};
use bartizan_policy::{Format, Policy};
use http::StatusCode;
use stack::{Mood, Replica, ask, serve, soon};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use tower::Layer;

const TOKENS: usize = 40;
const RETRIES: usize = 10;

/// What does not matter to any of the calls is another for each number, and what they have spent is the same.
fn text(fleet: &[Replica], ill: &Replica, n: u32) -> String {
    let endpoints: Vec<_> = fleet.iter().map(|replica| format!("'{}'", replica.uri())).collect();
    let or = |whether: bool, text: &'static str| if whether { text } else { "" };
    format!(
        "[servers.front]
         deadline = '{deadline}s'
         {limit}
         {shed}

         [servers.door]
         deadline = '{deadline}s'
         limit = {{ rate = 1, per = '1h', burst = {TOKENS}, seed = {n} }}

         [clients.default]
         deadline = '{deadline}s'
         attempt = '30s'
         {stale}

         [clients.fleet]
         endpoints = [{fleet}]
         retry.enabled = false
         hedge.enabled = false
         balance = {{ choice = '{choice}', ejection.consecutive = {row} }}

         [clients.ill]
         retry.enabled = false
         breaker = {{ evidence = {evidence}, consecutive = {row}, open_for = '600s', max_open_for = '{longest}s' }}

         [clients.spender]
         endpoints = ['{ill}']
         retry = {{ max_retries = 5, max_hint = '{deadline}s', backoff.constant = {{ wait = '1ms' }} }}
         budget = {{ ratio = 0, min_tokens = {RETRIES}, persistence = 1, cap = '{deadline}ms' }}
         breaker.enabled = false
        ",
        deadline = 50 + n % 9,
        limit = or(n.is_multiple_of(2), "limit.rate = 1_000_000"),
        shed = or(n.is_multiple_of(3), "shed.fixed = 10_000"),
        stale = or(n.is_multiple_of(5), "stale.max_entries = 3"),
        fleet = endpoints.join(", "),
        choice = ["latency", "round robin", "p2c", "least requests"][n as usize % 4],
        row = 5 + n % 7,
        evidence = n.is_multiple_of(2),
        longest = 600 + n % 11,
        ill = ill.uri(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_known_is_known_all_the_while() {
    let (fleet, ill) = (Replica::several(3).await, Replica::start().await);
    ill.behave(Mood::Ill);
    let policy = Policy::parse(Format::Toml, &text(&fleet, &ill, 0)).unwrap();
    let client = |name: &str| {
        let layer = policy.client(name).unwrap();
        let http = ReqwestService::new(reqwest::Client::builder().no_proxy().build().unwrap());
        (layer.handle(), Client::new(Boxed::new(layer.layer(http))))
    };
    let (balanced, to_fleet) = client("fleet");
    let (_, to_ill) = client("ill");
    let (spender, to_spend) = client("spender");
    let front = policy.server("front").unwrap();
    let front_handle = front.handle();
    let relay = move || {
        let to_fleet = to_fleet.clone();
        async move { to_fleet.get("http://fleet/").send().await.unwrap().text().await.unwrap() }
    };
    let url = serve(Router::new().route("/", get(relay)).layer(front)).await;
    let door = Router::new().route("/", get(async || {})).layer(policy.server("door").unwrap());
    let door = serve(door).await;
    // Its circuit opens before the storm, and is not to close.
    for _ in 0..5 {
        let answer = soon(to_ill.get(ill.uri().to_string()).send()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let before = ill.calls();

    let over = AtomicBool::new(false);
    let texts: Vec<_> = (0..99).map(|n| text(&fleet, &ill, n)).collect();
    let wrong = texts[1].replace("max_retries = 5", "max_retries = 'x'");
    let unfit = texts[1].replace("attempt = '30s'", "attempt = '90s'");
    let storm = || {
        let mut updates = 0;
        while !over.load(SeqCst) {
            for text in &texts {
                policy.update(Format::Toml, text).unwrap();
                policy.update(Format::Toml, &wrong).unwrap_err();
                policy.update(Format::Toml, &unfit).unwrap_err();
                updates += 1;
                thread::park_timeout(Duration::from_millis(2));
            }
        }
        updates
    };
    let (updates, passed) = thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(storm)).collect();
        let calm = Calm(&over);
        let passed = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut passed = 0;
                for round in 0..100 {
                    let calls = (ask(&url), ask(&url), ask(&door));
                    let (one, other, third) = soon(async { tokio::join!(calls.0, calls.1, calls.2) }).await;
                    assert_eq!((one.status(), other.status()), (StatusCode::OK, StatusCode::OK), "{round}");
                    passed += usize::from(third.status() == StatusCode::OK);
                    let refused = soon(to_ill.get(ill.uri().to_string()).send()).await;
                    assert!(refused.is_err(), "{round}: {refused:?}");
                    let failed = soon(to_spend.get("http://spend/").send()).await.unwrap();
                    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE, "{round}");
                }
                passed
            })
        });
        drop(calm);
        (threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>(), passed)
    });
    assert!(updates > 90, "{updates}");
    assert_eq!(passed, TOKENS, "tokens of the limit");
    assert_eq!(ill.calls() - before, 100 + RETRIES, "{:?}", spender.purse().snapshot());
    assert_eq!(front_handle.shed().snapshot().in_flight, 0);
    let endpoints = balanced.balance().unwrap().snapshot().endpoints;
    let learnt: u32 = endpoints.iter().map(|endpoint| endpoint.successes).sum();
    assert_eq!((endpoints.len(), learnt), (3, 200));
    assert!(endpoints.iter().all(|endpoint| endpoint.in_flight == 0), "{endpoints:?}");
}

/// Ends the storm, however the test does.
struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
