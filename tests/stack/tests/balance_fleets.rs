//! Fleets with one ill member: how soon it is left, and what that costs. Nothing here is retried.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceLayer, BalanceService};
use bartizan_client::Client;
use bartizan_deadline::DeadlineLayer;
use futures_util::future::join_all;
use http::Uri;
use stack::echo::{EchoClient, lazy};
use stack::{Mood, Replica, boxed, load, soon};
use std::fmt::Display;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any answer takes on a busy machine.
const ATTEMPT: Duration = Duration::from_secs(1);
const RATE: u32 = 100;

/// What the ill one of a fleet does.
#[derive(Clone, Copy, Debug)]
enum Illness {
    /// It keeps this mood.
    Lasting(Mood),
    /// It is ill at once and well at once, a second each.
    Flapping,
    /// Its port refuses connections.
    Dead,
}

use Illness::{Dead, Flapping, Lasting};

const ILLNESSES: [Illness; 6] =
    [Lasting(Mood::Hung), Lasting(Mood::Ill), Lasting(Mood::Slow), Lasting(Mood::Dripping), Flapping, Dead];

/// Falls ill, and stays so until it is dropped.
async fn fall(replica: &Replica, illness: Illness) {
    match illness {
        Lasting(mood) => replica.behave(mood),
        Dead => replica.kill().await,
        Flapping => {
            for mood in [Mood::Ill, Mood::Well].into_iter().cycle() {
                replica.behave(mood);
                tokio::time::sleep(SECOND).await;
            }
        }
    }
    std::future::pending::<()>().await;
}

/// The first of five replicas under load falls ill after a second. Three seconds later its share is looked at, for five seconds.
async fn assert_left<F, E>(how: &str, illness: Illness, ill: &Replica, call: impl Fn() -> F)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let well = load(RATE, SECOND, &call).await;
    well.assert_no_errors();
    assert!(ill.calls() > 0, "{how}, {illness:?}: it was never called, and would not have been missed");
    let watched = async {
        let at_first = load(RATE, 3 * SECOND, &call).await;
        let before = ill.calls();
        let later = load(RATE, 5 * SECOND, &call).await;
        (at_first, later, ill.calls() - before)
    };
    let (at_first, later, calls) = tokio::select! {
        seen = watched => seen,
        () = fall(ill, illness) => unreachable!(),
    };
    let (all, errors) = (later.calls, later.errors.len());
    let run = well.and(at_first).and(later);
    println!("{how}, {illness:?}: {calls} of the last {all} calls, {errors} of them failed; in all {run}");
    assert!(20 * calls <= all, "{how}, {illness:?}: {calls} of {all} calls after three seconds");
    assert!(200 * run.errors.len() <= run.calls, "{how}, {illness:?}: {run}");
}

async fn by_http(illness: Illness) {
    let fleet = Replica::several(5).await;
    let layer = BalanceLayer::new(Balance::new())
        .each(|_| DeadlineLayer::new(ATTEMPT).outgoing())
        .members(fleet.iter().map(Replica::uri));
    let client = Client::new(boxed!(&layer, stack::reqwest(false)));
    let call = || {
        let get = client.get("http://fleet/").send();
        async move { soon(async { get.await?.error_for_status()?.bytes().await }).await.map(drop) }
    };
    assert_left("reqwest", illness, &fleet[0], call).await;
}

async fn by_grpc(illness: Illness) {
    let fleet = Replica::several_of_grpc(5).await;
    let set = BalanceService::new(Balance::new(), |uri: &Uri| {
        DeadlineLayer::new(ATTEMPT).outgoing().layer(lazy(uri))
    });
    let client = EchoClient::new(set.members(fleet.iter().map(Replica::uri)));
    let call = || {
        let mut client = client.clone();
        async move { soon(client.unary("one")).await.map(drop) }
    };
    assert_left("tonic", illness, &fleet[0], call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ill_one_of_five_is_left() {
    join_all(ILLNESSES.map(by_http)).await;
    join_all(ILLNESSES.map(by_grpc)).await;
}

/// Makes two hundred calls, one after the other, and says which failed.
async fn failures<F, T, E: Display>(call: impl Fn() -> F) -> Vec<String>
where
    F: Future<Output = Result<T, E>>,
{
    let mut failed = Vec::new();
    for n in 0..200 {
        if let Err(error) = soon(call()).await {
            failed.push(format!("{n}: {error}"));
        }
    }
    failed
}

#[tokio::test]
async fn one_of_two_is_dead_and_one_call_finds_out() {
    let fleet = Replica::several_of_grpc(2).await;
    fleet[0].kill().await;
    let uris: Vec<Uri> = fleet.iter().map(Replica::uri).collect();

    let ours = EchoClient::new(BalanceService::new(Balance::new(), lazy).members(uris.clone()));
    let ours = failures(|| {
        let mut client = ours.clone();
        async move { client.unary("one").await }
    });
    let tonics = EchoClient::new(Channel::balance_list(uris.iter().cloned().map(Endpoint::from)));
    let tonics = failures(|| {
        let mut client = tonics.clone();
        async move { client.unary("one").await }
    });
    let (ours, tonics): (Vec<String>, Vec<String>) = (ours.await, tonics.await);
    println!("of 200 calls fail: over ours {}, over tonic's balance {}", ours.len(), tonics.len());
    assert!(ours.len() <= 1, "{ours:?}");
    assert!(tonics.len() > 10, "tonic's balance is better than it was: {tonics:?}");

    // Each by a balancer of its own, which knows nothing yet.
    let layer = || BalanceLayer::new(Balance::new()).members(uris.clone());
    for (name, client) in [
        ("reqwest by HTTP/1", boxed!(&layer(), stack::reqwest(false))),
        ("reqwest by HTTP/2", boxed!(&layer(), stack::reqwest(true))),
        ("hyper by HTTP/1", boxed!(&layer(), stack::hyper(false))),
        ("hyper by HTTP/2", boxed!(&layer(), stack::hyper(true))),
    ] {
        let client = Client::new(client);
        let failed = failures(|| {
            let get = client.get("http://fleet/").send();
            async move { get.await?.bytes().await }
        });
        let failed = failed.await;
        println!("{name}: {failed:?}");
        assert!(failed.len() <= 1, "{name}: {failed:?}");
    }
}
