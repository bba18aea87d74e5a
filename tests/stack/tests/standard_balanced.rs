//! The standard stack over several servers, of which some fall ill, die, come and go.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, Change, Choice};
use bartizan_breaker::{Breaker, Consecutive};
use bartizan_client::{AnyBody, Client, Error};
use bartizan_hedge::Hedge;
use bartizan_retry::Repeatable;
use bartizan_stack::{BalancedLayer, ClientLayer, ClientStack, Host};
use futures_util::stream::{self, StreamExt};
use http::{StatusCode, Uri};
use stack::echo::{EchoClient, lazy};
use stack::{Load, Mood, Replica, ample, boxed, clients, meanwhile, retry, soon, until};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tower::Layer;

fn uris(fleet: &[Replica]) -> Vec<Uri> {
    fleet.iter().map(Replica::uri).collect()
}

/// Everybody has a turn, and what fails is made again at once.
fn in_turn() -> ClientStack {
    ClientStack::new().retry(retry()).budget(ample()).balance(Balance::new().choice(Choice::round_robin()))
}

#[tokio::test]
async fn over_every_client() {
    let fleet = Replica::several(3).await;
    // A copy would be somebody's turn.
    let stack = in_turn().hedge(Hedge::new().enabled(false));
    let layer = ClientLayer::new(stack).members(uris(&fleet));
    for (name, client) in clients!(layer) {
        println!("{name}");
        let mut who = HashSet::new();
        for n in 0..6 {
            let answer = soon(client.get(format!("http://fleet/{n}")).send()).await.unwrap();
            who.insert(answer.text().await.unwrap());
        }
        assert_eq!(who.len(), 3);
    }
    let handle = layer.handle();
    let snapshot = handle.balance().unwrap().snapshot();
    assert!(snapshot.endpoints.iter().all(|one| one.successes == 8), "{snapshot:?}");
    assert_eq!(handle.breakers().all().len(), 3);
}

fn client(layer: &BalancedLayer) -> Client {
    Client::new(boxed!(layer, stack::reqwest(false))).base_url("http://fleet".parse().unwrap()).boxed()
}

/// Makes calls while something happens.
async fn under_load(layer: &BalancedLayer, happens: impl Future<Output = ()>) -> Load {
    let client = client(layer);
    let call = || {
        let call = client.get("/").send();
        async { call.await?.error_for_status().map(|_| ()) }
    };
    meanwhile::<_, Error>(100, call, happens).await
}

#[tokio::test]
async fn nobody_sees_that_one_dies_and_comes_back() {
    let fleet = Replica::several(3).await;
    let layer = ClientLayer::new(in_turn()).members(uris(&fleet));
    let load = under_load(&layer, async {
        fleet[0].kill().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        fleet[0].restart().await;
    });
    load.await.assert_no_errors();
}

#[tokio::test]
async fn nobody_sees_that_one_is_ill_and_its_breaker_opens() {
    let fleet = Replica::several(3).await;
    let wary = Breaker::new().without_evidence().consecutive(Consecutive::new(3));
    let stack = in_turn().breaker(wary);
    let layer = ClientLayer::new(stack).members(uris(&fleet));
    fleet[0].behave(Mood::Ill);
    under_load(&layer, async {}).await.assert_no_errors();
    let handle = layer.handle();
    let breaker = |uri| handle.breakers().get(&Host::of(uri)).unwrap().snapshot();
    assert_eq!((breaker(&fleet[0].uri()).trips, breaker(&fleet[1].uri()).trips), (1, 0));
}

#[tokio::test]
async fn members_come_by_a_stream() {
    let fleet = Replica::several(2).await;
    let (tell, told) = mpsc::channel::<Result<Change<Uri>, String>>(8);
    let stack = in_turn().balance(Balance::new().wait_for_endpoints(Duration::from_secs(2)));
    let layer = ClientLayer::new(stack).named("members by a stream").discover(ReceiverStream::new(told));
    let client = client(&layer);
    let first = tokio::spawn(client.get("/").send());
    tell.send(Ok(Change::set([fleet[0].uri()]))).await.unwrap();
    assert_eq!(soon(first).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(fleet[0].calls(), 1);

    tell.send(Ok(Change::Insert(fleet[1].uri().into()))).await.unwrap();
    tell.send(Ok(Change::Remove(fleet[0].uri()))).await.unwrap();
    tell.send(Err("the registry is gone".into())).await.unwrap();
    let balance = layer.handle().balance().unwrap();
    until(|| matches!(&*balance.snapshot().endpoints, [one] if one.key == fleet[1].uri())).await;
    assert_eq!(soon(client.get("/").send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(fleet[1].calls(), 1);
}

#[tokio::test]
async fn over_channels_each_with_its_breaker() {
    let fleet = Replica::several_of_grpc(3).await;
    let layer = ClientLayer::new(
        in_turn().breaker(Breaker::new().without_evidence().consecutive(Consecutive::new(2))),
    );
    let channels = layer.balance(|uri: &Uri| AnyBody::new(lazy(uri), tonic::body::Body::new));
    let channels = channels
        .discover(stream::iter([Ok::<_, String>(Change::set(uris(&fleet)))]).chain(stream::pending()));
    let handle = layer.handle();
    let balance = handle.balance().unwrap();
    until(|| balance.snapshot().usable == 3).await;
    let mut client = EchoClient::new(layer.outer().layer(channels));
    let mut say = async |word: &str| {
        let mut request = Request::new(word.into());
        request.extensions_mut().insert(Repeatable(true));
        soon(client.unary(request)).await.map(|answer| answer.into_inner().text)
    };
    for _ in 0..6 {
        assert_eq!(say("hello").await.unwrap(), "hello");
    }
    assert_eq!(fleet.iter().map(Replica::calls).collect::<Vec<_>>(), [2, 2, 2]);

    fleet[1].kill().await;
    for _ in 0..12 {
        assert_eq!(say("hello").await.unwrap(), "hello");
    }
    let breaker = |n: usize| handle.breakers().get(&Host::of(&fleet[n].uri())).unwrap().snapshot();
    assert_eq!((breaker(0).trips, breaker(1).trips, breaker(2).trips), (0, 1, 0));
}
