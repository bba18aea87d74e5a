//! Tonic channels over the endpoints of a policy, which is edited while calls run.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_client::AnyBody;
use bartizan_policy::{Format, Policy};
use bartizan_stack::{ClientStack, Host};
use http::Uri;
use stack::echo::{EchoClient, lazy};
use stack::{Mood, Replica, soon, until};
use tower::Layer;

fn text(fleet: &[Replica]) -> String {
    let endpoints: Vec<String> = fleet.iter().map(|replica| format!("'{}'", replica.uri())).collect();
    format!(
        "[clients.echo]
         endpoints = [{}]
         balance.choice = 'round robin'
         breaker = {{ evidence = false, consecutive = 2 }}
         retry.enabled = false
         hedge.enabled = false
        ",
        endpoints.join(", ")
    )
}

#[tokio::test]
async fn calls_go_to_the_endpoints_of_the_policy() {
    let fleet = Replica::several_of_grpc(3).await;
    let calls = || fleet.iter().map(Replica::calls).collect::<Vec<_>>();
    let policy = Policy::parse(Format::Toml, &text(&fleet[..2])).unwrap();
    let layer = policy.client_layer("echo", ClientStack::new()).unwrap();
    let endpoints = policy.endpoints("echo").unwrap();
    let channels = layer
        .balance(|uri: &Uri| AnyBody::new(lazy(uri), tonic::body::Body::new))
        .members(endpoints.members())
        .discover(endpoints);
    let mut client = EchoClient::new(layer.outer().layer(channels));
    for _ in 0..6 {
        soon(client.unary("hello")).await.unwrap();
    }
    assert_eq!(calls(), [3, 3, 0]);

    // Each channel has a breaker of its own, by the server that it goes to.
    let handle = layer.handle();
    let trips = |n: usize| handle.breakers().get(&Host::of(&fleet[n].uri())).unwrap().snapshot().trips;
    fleet[0].behave(Mood::Ill);
    for _ in 0..8 {
        drop(soon(client.unary("hello")).await);
    }
    assert_eq!((trips(0), trips(1)), (1, 0));
    fleet[0].behave(Mood::Well);

    // An edit sends the calls elsewhere.
    policy.update(Format::Toml, &text(&fleet[2..])).unwrap();
    let balance = handle.balance().unwrap();
    until(|| matches!(&*balance.snapshot().endpoints, [one] if one.key == fleet[2].uri())).await;
    let before = calls();
    for _ in 0..4 {
        soon(client.unary("hello")).await.unwrap();
    }
    assert_eq!(calls(), [before[0], before[1], 4]);
}
