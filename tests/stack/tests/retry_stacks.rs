//! Retry and hedge among the other layers, around real clients.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, State};
use bartizan_client::Error;
use bartizan_deadline::DeadlineLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_retry::{Backoff, Budget, Jitter, Purse, RetryLayer};
use http::StatusCode;
use stack::{Ledger, Unheard, clients, hedge, retry, serve, soon};
use std::time::Duration;
use tower::ServiceBuilder;

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn breaker(failures: u32, open_for: Duration) -> BreakerLayer {
    let in_a_row = Consecutive::new(failures);
    BreakerLayer::new(Breaker::new().without_evidence().consecutive(in_a_row).open_for(open_for))
}

#[tokio::test]
async fn a_breaker_inside_that_opens_again_is_waited_for() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let (retry, breaker) = (RetryLayer::new(retry()), breaker(1, 300 * MS));
    let (handle, circuit) = (retry.handle(), breaker.handle());
    let layers = ServiceBuilder::new().layer(retry).layer(breaker).into_inner();
    for (at, (name, client)) in (1..).zip(clients!(layers)) {
        println!("{name}");
        circuit.reset();
        // The failure opens it, the retry is refused, and waits for the probe.
        let get = client.get(format!("{url}/?503-ok")).header("x-request-id", name);
        assert_eq!(soon(get.send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(ledger.received(name).len(), 2);
        let seen = handle.snapshot();
        assert_eq!((seen.calls, seen.retries, seen.waited, seen.recovered), (at, at, at, at));
    }
    assert_eq!(handle.purse().snapshot().retries, 4, "to wait costs nothing");
}

#[tokio::test]
async fn a_breaker_inside_that_stays_open_is_left_alone() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let (retry, breaker) = (RetryLayer::new(retry()), breaker(1, HOUR));
    let (handle, circuit) = (retry.handle(), breaker.handle());
    let layers = ServiceBuilder::new().layer(retry).layer(breaker).into_inner();
    for (name, client) in clients!(layers) {
        println!("{name}");
        circuit.force_open();
        let refused = soon(client.get(&url).send()).await;
        assert!(
            matches!(&refused, Err(Error::Refused(refused)) if refused.layer() == "breaker"),
            "{refused:?}"
        );
        // An hour is longer than anybody waits.
        circuit.force_open_for(HOUR);
        circuit.resume();
        let refused = soon(client.get(&url).send()).await;
        assert!(
            matches!(&refused, Err(Error::Refused(refused)) if refused.layer() == "breaker"),
            "{refused:?}"
        );
    }
    let seen = handle.snapshot();
    assert_eq!((seen.attempts(), seen.refused, seen.told, ledger.requests()), (8, 4, 4, 0));
}

#[tokio::test]
async fn a_breaker_inside_hears_of_each_attempt_and_one_outside_of_the_last() {
    let unheard = Unheard::new();
    let (inside, outside) = (breaker(100, HOUR), breaker(100, HOUR));
    let circuits = (inside.handle(), outside.handle());
    let layers =
        ServiceBuilder::new().layer(outside).layer(RetryLayer::new(retry())).layer(inside).into_inner();
    for (name, client) in clients!(layers) {
        println!("{name}");
        let url = serve(Ledger::new().app()).await;
        for (url, ought) in
            [(format!("{url}/?503"), (3, 1)), (unheard.url(), (4, 1)), (format!("{url}/?503-ok"), (1, 0))]
        {
            let before = (circuits.0.snapshot().failures, circuits.1.snapshot().failures);
            let id = format!("{name} {url}");
            drop(
                soon(client.get(&url).header("x-request-id", id).send()).await.map(|answer| answer.status()),
            );
            let after = (circuits.0.snapshot().failures, circuits.1.snapshot().failures);
            assert_eq!((after.0 - before.0, after.1 - before.1), ought, "{url}");
        }
    }
    assert_eq!((circuits.0.state(), circuits.1.state()), (State::Closed, State::Closed));
}

#[tokio::test]
async fn no_wait_goes_beyond_the_deadline() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let retry = RetryLayer::new(retry().backoff(Backoff::constant(2 * HOUR).jitter(Jitter::None)));
    let handle = retry.handle();
    let layers = ServiceBuilder::new().layer(DeadlineLayer::new(HOUR).outgoing()).layer(retry).into_inner();
    for (name, client) in clients!(layers) {
        println!("{name}");
        // The failure itself is the answer, and it comes at once.
        let answer = soon(client.get(format!("{url}/?503-ok")).header("x-request-id", name).send()).await;
        assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ledger.attempts(name), "-");
    }
    assert_eq!((handle.snapshot().out_of_time, handle.purse().snapshot().retries), (4, 0));
}

#[tokio::test]
async fn a_deadline_ends_all_attempts_together() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let retry = RetryLayer::new(retry());
    let handle = retry.handle();
    let whole = DeadlineLayer::new(500 * MS).outgoing();
    let layers = ServiceBuilder::new().layer(whole).layer(retry).into_inner();
    for (name, client) in clients!(layers) {
        println!("{name}");
        let ended = soon(client.get(format!("{url}/?503-hang")).header("x-request-id", name).send()).await;
        assert!(matches!(&ended, Err(Error::Refused(ended)) if ended.layer() == "deadline"), "{ended:?}");
        assert_eq!(ledger.attempts(name), "- 1");
    }
    assert_eq!(handle.snapshot().retries, 4);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_another_ones_chance() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let retry = RetryLayer::new(retry());
    let each = DeadlineLayer::new(500 * MS).outgoing();
    let layers = ServiceBuilder::new().layer(retry).layer(each).into_inner();
    for (name, client) in clients!(layers) {
        println!("{name}");
        let put = client.put(format!("{url}/?hang-ok")).header("x-request-id", name).body("apples");
        assert_eq!(soon(put.send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(ledger.attempts(name), "- 1");
        // That it took too long is no proof that it did not arrive.
        let id = format!("{name} post");
        let post = client.post(format!("{url}/?hang-ok")).header("x-request-id", &*id).body("apples");
        assert!(matches!(soon(post.send()).await, Err(Error::Refused(refused)) if refused.reached()));
        assert_eq!((ledger.attempts(&id).as_str(), ledger.effects(&id)), ("-", 1));
    }
}

#[tokio::test]
async fn a_hedge_inside_a_retry_with_one_purse() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, hold) in
        [("a copy wins", "hang-ok"), ("all fail, and the retry is not hedged", "503-503-hang")]
    {
        println!("{name}");
        let purse = Purse::new(Budget::new().min_tokens(100).persistence(1.0).ratio(0.0));
        let retry = RetryLayer::new(retry()).purse(purse.clone());
        let hedge = HedgeLayer::new(hedge()).purse(purse.clone());
        let handles = (retry.handle(), hedge.handle());
        let layers =
            ServiceBuilder::new().layer(DeadlineLayer::new(500 * MS).outgoing()).layer(retry).layer(hedge);
        for (at, (client_name, client)) in (1..).zip(clients!(layers.clone().into_inner())) {
            let id = format!("{name}, {client_name}");
            println!("{client_name}");
            let answer = soon(client.get(format!("{url}/?{hold}")).header("x-request-id", &*id).send()).await;
            let seen = purse.snapshot();
            if hold == "hang-ok" {
                assert_eq!(answer.unwrap().status(), StatusCode::OK);
                assert_eq!(ledger.attempts(&id), "- 1");
                assert_eq!((seen.hedges, seen.retries, seen.tokens), (at, 0, 100.0 - at as f64));
                assert_eq!((handles.1.snapshot().won, handles.0.snapshot().recovered), (at, 0));
            } else {
                assert!(
                    matches!(&answer, Err(Error::Refused(ended)) if ended.layer() == "deadline"),
                    "{answer:?}"
                );
                // First, its copy, and one retry.
                assert_eq!(ledger.attempts(&id), "- 1 1");
                assert_eq!((seen.hedges, seen.retries, seen.tokens), (at, at, 100.0 - 2.0 * at as f64));
            }
        }
    }
}

#[tokio::test]
async fn an_empty_purse_stops_both_and_nothing_else() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, client) in clients!({
        let purse = Purse::new(Budget::new().min_tokens(1).persistence(1.0).ratio(0.0));
        purse.withdraw(bartizan_core::Instant::now()).unwrap().spend();
        let hedge = HedgeLayer::new(hedge()).purse(purse.clone());
        ServiceBuilder::new().layer(RetryLayer::new(retry()).purse(purse)).layer(hedge).into_inner()
    }) {
        println!("{name}");
        for (script, status) in [("503-ok", 503), ("ok", 200), ("500-ok", 500)] {
            let id = format!("{name}, {script}");
            let get = client.get(format!("{url}/?{script}")).header("x-request-id", &*id);
            assert_eq!(soon(get.send()).await.unwrap().status(), status);
            assert_eq!(ledger.attempts(&id), "-");
        }
    }
}
