//! Members that come, die, move and leave under load.
//!
//! What is done with care fails no call by itself: members that leave the set, or drain, end what they have begun. Where a server goes first
//! and the balancer has to find out, a retry stands around it: a call that was on its way to a member that died, or that finds its port
//! closed, is lost at that member, and only who sends it again can save it.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceLayer, BalanceService, Change, Choice, Handle, Health};
use bartizan_client::{AnyBody, Client, Error};
use bartizan_discover::{Fixed, Grpc, Heartbeats};
use bartizan_retry::{Repeatable, RetryLayer};
use http::Uri;
use stack::echo::{EchoClient, lazy};
use stack::{Mood, Replica, boxed, meanwhile, retry, soon, until};
use std::time::Duration;
use tonic::Status;
use tower::{Layer, ServiceBuilder};

const SECOND: Duration = Duration::from_secs(1);
const RATE: u32 = 120;

fn uris(fleet: &[Replica]) -> Vec<Uri> {
    fleet.iter().map(Replica::uri).collect()
}

async fn get(client: Client) -> Result<(), Error> {
    soon(async { client.get("http://fleet/").send().await?.error_for_status()?.bytes().await })
        .await
        .map(drop)
}

/// Everybody has a turn, and who comes back at once: whether a member is called at all is not left to how fast it is.
fn in_turn() -> Balance {
    Balance::new().choice(Choice::round_robin()).slow_start(Duration::ZERO)
}

/// As it is by default, but for the slow start.
fn by_latency() -> Balance {
    in_turn().choice(Choice::latency())
}

/// By which balancer, and whether by HTTP/2.
const WAYS: [(fn() -> Balance, bool); 4] =
    [(in_turn, false), (in_turn, true), (by_latency, false), (by_latency, true)];

/// A client without retries, and what steers its set.
fn plain(balance: Balance, fleet: &[Replica], http2: bool) -> (Handle<Uri>, Client) {
    let layer = BalanceLayer::new(balance).members(uris(fleet));
    (layer.handle(), Client::new(boxed!(&layer, stack::reqwest(http2))))
}

/// One that retries.
fn retrying(balance: Balance, fleet: &[Replica], http2: bool) -> (Handle<Uri>, Client) {
    let layer = BalanceLayer::new(balance).members(uris(fleet));
    let handle = layer.handle();
    let layers = ServiceBuilder::new().layer(RetryLayer::new(retry())).layer(layer).into_inner();
    (handle, Client::new(boxed!(&layers, stack::hyper(http2))))
}

/// What is known of a member, if it is one.
fn of(handle: &Handle<Uri>, replica: &Replica) -> Option<bartizan_balance::EndpointSnapshot<Uri>> {
    handle.snapshot().endpoints.into_iter().find(|endpoint| endpoint.key == replica.uri())
}

/// Waits until the member has nothing in flight.
async fn at_rest(handle: &Handle<Uri>, replica: &Replica) {
    until(|| of(handle, replica).is_none_or(|endpoint| endpoint.in_flight == 0)).await;
}

#[tokio::test]
async fn half_of_a_set_leaves() {
    for (balance, http2) in WAYS.map(|(balance, http2)| (balance(), http2)) {
        let fleet = Replica::several(6).await;
        let (stay, leave) = fleet.split_at(3);
        let (handle, client) = plain(balance, &fleet, http2);
        // One call is with each of them when they leave, and for longer.
        let (leavers, held) = plain(in_turn(), leave, http2);
        leave.iter().for_each(|replica| replica.behave(Mood::Slow));
        let happens = async {
            let running: Vec<_> = leave.iter().map(|_| tokio::spawn(get(held.clone()))).collect();
            until(|| leave.iter().all(|replica| replica.running() > 0)).await;
            handle.change(Change::set(uris(stay)));
            leavers.change(Change::set(uris(stay)));
            for call in running {
                call.await.unwrap().unwrap();
            }
            until(|| leave.iter().all(|replica| replica.running() == 0)).await;
            let before: usize = leave.iter().map(Replica::calls).sum();
            get(held.clone()).await.unwrap();
            tokio::time::sleep(SECOND / 2).await;
            assert_eq!(leave.iter().map(Replica::calls).sum::<usize>(), before, "they get no more");
            for replica in leave {
                replica.kill().await;
            }
        };
        meanwhile(RATE, || get(client.clone()), happens).await.assert_no_errors();
        let snapshot = handle.snapshot();
        assert_eq!((snapshot.endpoints.len(), snapshot.refused), (3, 0));
    }
}

#[tokio::test]
async fn one_moves_to_another_port() {
    for (balance, http2) in WAYS.map(|(balance, http2)| (balance(), http2)) {
        let mut fleet = Replica::several(2).await;
        let (handle, client) = plain(balance, &fleet, http2);
        let (old, new) = (fleet.remove(0), Replica::start().await);
        let happens = async {
            handle.change(Change::set([new.uri(), fleet[0].uri()]));
            // Its client still has connections, and on them calls that it has begun with.
            old.leave().await;
            until(|| new.calls() > 0).await;
            let other = of(&handle, &fleet[0]).unwrap();
            assert!(other.successes > 0, "who stayed is known still");
        };
        meanwhile(RATE, || get(client.clone()), happens).await.assert_no_errors();
        assert_eq!(handle.snapshot().endpoints.len(), 2);
    }
}

#[tokio::test]
async fn one_dies_and_comes_back_on_its_port() {
    for (balance, http2) in WAYS.map(|(balance, http2)| (balance(), http2)) {
        let fleet = Replica::several(3).await;
        let (handle, client) = retrying(balance, &fleet, http2);
        let died = &fleet[0];
        let happens = async {
            died.kill().await;
            tokio::time::sleep(SECOND / 2).await;
            died.restart().await;
            // As heartbeats would say.
            handle.change(Change::Health(died.uri(), Health::Down));
            let before = died.calls();
            handle.change(Change::Health(died.uri(), Health::Up));
            until(|| died.calls() > before).await;
        };
        meanwhile(RATE, || get(client.clone()), happens).await.assert_no_errors();
    }
}

#[tokio::test]
async fn all_restart_one_after_the_other() {
    for (balance, http2) in WAYS.map(|(balance, http2)| (balance(), http2)) {
        let fleet = Replica::several(3).await;
        let (_, client) = retrying(balance, &fleet, http2);
        let happens = async {
            for replica in &fleet {
                replica.leave().await;
                tokio::time::sleep(SECOND / 5).await;
                replica.restart().await;
                tokio::time::sleep(SECOND / 5).await;
            }
        };
        meanwhile(RATE, || get(client.clone()), happens).await.assert_no_errors();
    }
}

#[tokio::test]
async fn one_drains_by_hand() {
    let fleet = Replica::several(3).await;
    let (handle, client) = plain(in_turn(), &fleet, true);
    let leaver = &fleet[0];
    let happens = async {
        assert!(handle.drain(&leaver.uri()));
        at_rest(&handle, leaver).await;
        let (before, state) = (leaver.calls(), of(&handle, leaver).unwrap());
        assert_eq!((state.state(), state.ejections), ("draining", 0));
        leaver.kill().await;
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(leaver.calls(), before);
        leaver.restart().await;
        assert!(handle.undrain(&leaver.uri()));
        until(|| leaver.calls() > before).await;
    };
    meanwhile(RATE, || get(client.clone()), happens).await.assert_no_errors();
}

#[tokio::test]
async fn one_says_in_its_answers_that_it_leaves() {
    let fleet = Replica::several(3).await;
    let (handle, client) = plain(in_turn(), &fleet, true);
    let leaver = &fleet[0];
    let happens = async {
        leaver.behave(Mood::Leaving);
        until(|| of(&handle, leaver).unwrap().draining).await;
        at_rest(&handle, leaver).await;
        let before = leaver.calls();
        leaver.kill().await;
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!((leaver.calls(), of(&handle, leaver).unwrap().failures), (before, 0));
    };
    meanwhile(RATE, || get(client.clone()), happens).await.assert_no_errors();
    assert_eq!(handle.snapshot().ejections.total(), 0);
}

async fn unary<S, B>(mut client: EchoClient<S>) -> Result<(), Status>
where
    S: tonic::client::GrpcService<tonic::body::Body, ResponseBody = B>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError> + Send,
{
    let mut request = tonic::Request::new("one".into());
    request.extensions_mut().insert(Repeatable(true));
    soon(client.unary(request)).await.map(drop)
}

#[tokio::test]
async fn one_says_that_it_does_not_serve() {
    let fleet = Replica::several_of_grpc(3).await;
    let heartbeats = Heartbeats::new(Grpc::service("")).every(Duration::from_millis(50)).rise(1);
    let set = BalanceService::new(in_turn(), lazy).discover(heartbeats.watch(Fixed::new(uris(&fleet))));
    let (handle, client) = (set.handle(), EchoClient::new(set));
    until(|| handle.snapshot().endpoints.iter().filter(|one| one.health == Health::Up).count() == 3).await;
    let leaver = &fleet[0];
    let happens = async {
        leaver.say_serving(false);
        until(|| of(&handle, leaver).unwrap().health == Health::Draining).await;
        at_rest(&handle, leaver).await;
        let before = leaver.calls();
        leaver.kill().await;
        until(|| of(&handle, leaver).unwrap().health == Health::Down).await;
        assert_eq!(leaver.calls(), before);
        leaver.say_serving(true);
        leaver.restart().await;
        until(|| leaver.calls() > before).await;
    };
    meanwhile(RATE, || unary(client.clone()), happens).await.assert_no_errors();
    assert_eq!(handle.snapshot().ejections.total(), 0);
}

#[tokio::test]
async fn one_leaves_by_goaway() {
    let fleet = Replica::several_of_grpc(3).await;
    let set = BalanceService::new(in_turn(), |uri: &Uri| AnyBody::new(lazy(uri), tonic::body::Body::new));
    let set = set.members(uris(&fleet));
    let handle = set.handle();
    let client = EchoClient::new(RetryLayer::new(retry()).layer(set));
    let happens = async {
        for replica in &fleet {
            replica.leave().await;
            tokio::time::sleep(SECOND / 5).await;
            replica.restart().await;
            handle.pardon(&replica.uri());
        }
    };
    meanwhile(RATE, || unary(client.clone()), happens).await.assert_no_errors();
}
