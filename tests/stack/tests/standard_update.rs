//! Both standard stacks, changed under load: windows, permits, states, tokens and requests in flight survive.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::routing::get;
use bartizan_balance::{Balance, Choice};
use bartizan_breaker::{Breaker, Consecutive, State};
use bartizan_client::{Client, Error};
use bartizan_hedge::Hedge;
use bartizan_limit::Limit;
use bartizan_shed::Shed;
use bartizan_stack::{ClientLayer, ClientStack, Host, ServerLayer, ServerStack};
use http::{StatusCode, Uri};
use stack::{Mood, Player, Refusal, Replica, ample, ask, boxed, meanwhile, retry, serve, soon, until};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_server_keeps_tokens_and_permits() {
    let stack = ServerStack::new().limit(Limit::per(10, 10 * HOUR)).shed(Shed::fixed(3));
    let layer = ServerLayer::new(stack.clone());
    let handle = layer.handle();
    let player = Player::new();
    let url = serve(Router::new().route("/", get(player.clone())).layer(layer)).await;
    let drip = format!("{url}/?drip");
    let held = [ask(&drip).await, ask(&drip).await];
    assert_eq!(handle.shed().snapshot().in_flight, 2);
    let tokens = || handle.limit().unwrap().snapshot().remaining;
    assert_eq!(tokens(), 8);

    // Fewer places than are in use, and a bucket with less room than there are tokens.
    let less =
        stack.clone().limit(Limit::per(4, 4 * HOUR)).shed(Shed::fixed(2)).deadline(Duration::from_secs(5));
    handle.update(less.clone()).unwrap();
    assert_eq!((handle.shed().snapshot().in_flight, tokens()), (2, 4));
    assert_eq!(Refusal::of(ask(&url).await).await.layer, "shed");
    assert_eq!(tokens(), 3);
    assert_eq!(handle.stack(), less);

    // More of both: what is in flight counts, and no token is given.
    handle.update(stack).unwrap();
    assert_eq!(ask(&url).await.status(), StatusCode::OK);
    assert_eq!((handle.shed().snapshot().in_flight, tokens()), (2, 2));
    drop(held);
    until(|| handle.shed().snapshot().in_flight == 0).await;
    assert_eq!((player.calls(), handle.shed().snapshot().admitted.total()), (3, 3));
}

#[tokio::test]
async fn a_client_keeps_windows_and_states() {
    let fleet = Replica::several(2).await;
    let rule = |n| Breaker::new().without_evidence().consecutive(Consecutive::new(n));
    let stack = ClientStack::new()
        .retry(retry().enabled(false))
        .hedge(Hedge::new().enabled(false))
        .balance(Balance::new().choice(Choice::round_robin()))
        .breaker(rule(4));
    let layer = ClientLayer::new(stack.clone()).members(fleet.iter().map(Replica::uri));
    let handle = layer.handle();
    let client = Client::new(boxed!(&layer, stack::reqwest(false))).base_url("http://fleet".parse().unwrap());
    let send = async || soon(client.get("/").send()).await.unwrap().status();
    let state = |n: usize| handle.breakers().get(&Host::of(&fleet[n].uri())).unwrap().state();

    fleet[0].behave(Mood::Ill);
    // Each has its turn.
    for _ in 0..6 {
        send().await;
    }
    assert_eq!(fleet[0].calls(), 3);
    assert_eq!((state(0), state(1)), (State::Closed, State::Closed));
    // Of four in a row, three are there already.
    handle.update(stack.clone().breaker(rule(4).open_for(HOUR).max_open_for(HOUR))).unwrap();
    for _ in 0..4 {
        send().await;
    }
    assert_eq!((state(0), state(1), fleet[0].calls()), (State::Open, State::Closed, 4));
    // Open it stays, whatever else is changed.
    handle.update(stack.breaker(rule(9)).deadline(Duration::from_secs(2))).unwrap();
    assert_eq!((state(0), state(1)), (State::Open, State::Closed));
    assert_eq!((send().await, send().await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(fleet[0].calls(), 4);
}

#[tokio::test]
async fn nobody_sees_that_all_is_changed() {
    let fleet = Replica::several(3).await;
    let stack = ClientStack::new().retry(retry()).budget(ample());
    let layer = ClientLayer::new(stack.clone()).members(fleet.iter().map(Replica::uri));
    let handle = layer.handle();
    let client = Client::new(boxed!(&layer, stack::reqwest(false)));
    let front = ServerLayer::default();
    let (steer, app) = (front.handle(), client.base_url("http://fleet".parse().unwrap()));
    let pass = move || {
        let app = app.clone();
        async move { app.get("/").send().await.unwrap().text().await.unwrap() }
    };
    let url: Uri = serve(Router::new().route("/", get(pass)).layer(front)).await.parse().unwrap();
    let caller = Client::new(stack::reqwest(false)).base_url(url);

    let call = || {
        let call = caller.get("/").send();
        async { call.await?.error_for_status()?.text().await.map(|_| ()) }
    };
    let load = meanwhile::<_, Error>(100, call, async {
        for choice in [Choice::round_robin(), Choice::p2c(), Choice::least_requests(), Choice::ring_hash()] {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let changed = stack
                .clone()
                .deadline(Duration::from_secs(2))
                .balance(Balance::new().choice(choice))
                .breaker(Breaker::new().consecutive(Consecutive::new(5)))
                .attempt(Duration::from_millis(900));
            handle.update(changed).unwrap();
            steer.update(steer.stack().limit(Limit::per_second(10_000)).shed(Shed::fixed(1000))).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            handle.update(stack.clone()).unwrap();
            steer.update(ServerStack::new()).unwrap();
        }
    });
    let load = load.await;
    load.assert_no_errors();
    // Each was served once, and what was learnt of each replica stayed.
    let served: usize = fleet.iter().map(Replica::calls).sum();
    let learnt: u32 = handle.balance().unwrap().snapshot().endpoints.iter().map(|one| one.successes).sum();
    assert!(served >= load.calls, "{served} of {}", load.calls);
    assert_eq!(learnt as usize, load.calls);
    assert_eq!(steer.shed().snapshot().in_flight, 0);
}
