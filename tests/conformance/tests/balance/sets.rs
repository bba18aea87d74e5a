//! Rows O01, O09, O10, O26, O36 and O41: who is a member.

use crate::host::{BAD, Does, Host, Hosts, OK, Visit};
use crate::town::{play, poll};
use crate::{MS, ROWS, SECOND, calm, ejecting, told};
use bartizan_balance::{BalanceLayer, BalanceService, Change, Member};
use bartizan_core::registry;
use conformance::{Events, Flavour, Probe, at_once};
use futures_util::stream;
use http::{Request, Response, Uri};
use http_body_util::Empty;
use std::collections::BTreeMap;
use std::convert::Infallible;
use tokio::time::{Instant, sleep};
use tower::{BoxError, Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn o01_nobody_there() {
    play(calm(), "", async |town| {
        assert_eq!(town.hold().err().unwrap(), "refused by balance: no endpoints");
        assert_eq!(town.snapshot().refused, town.mode.calls());
    })
    .await;
    play(calm().wait_for_endpoints(SECOND), "", async |town| {
        let began = Instant::now();
        assert_eq!(town.call().await, "refused by balance: no endpoints");
        assert_eq!((Instant::now() - began), SECOND, "it waits for so long and no longer");
        let mut waiting = town.hold().ok().unwrap();
        sleep(500 * MS).await;
        assert!(poll(&mut waiting).is_pending());
        town.handle.change(Change::Insert(Member::new('a')));
        assert_eq!(waiting.await, "200 from a");
        assert_eq!((Instant::now() - began), 1_500 * MS, "and not until its time is over");
    })
    .await;
}

/// Over one client, and as gRPC has it.
#[tokio::test(start_paused = true)]
async fn o01_nobody_there_in_a_layer() {
    let client = Probe::new(async |request: Request<Empty<bytes::Bytes>>| {
        assert_eq!(request.uri(), "http://10.0.0.1:80/path");
        Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
    });
    let (tally, layer) = (client.tally(), BalanceLayer::new(calm()));
    let service = layer.layer(client.clone());
    let request =
        |kind: &'static str| Request::get("/path").header("content-type", kind).body(Empty::new()).unwrap();
    let Ok(plain) = at_once(service.clone().oneshot(request("text/plain")));
    let Ok(grpc) = at_once(service.clone().oneshot(request("application/grpc")));
    assert_eq!((plain.status().as_u16(), grpc.status().as_u16()), (503, 200));
    assert_eq!(grpc.headers()["grpc-status"], "14");
    assert_eq!(tally.calls(), 0);

    // A discovery that comes late, and fails first.
    let member = Uri::from_static("http://10.0.0.1:80");
    let late = stream::unfold(0, move |at| {
        let member = member.clone();
        async move {
            sleep(100 * MS).await;
            let item = if at == 0 { Err("no answer") } else { Ok(Change::set([member])) };
            (at < 2).then_some((item, at + 1))
        }
    });
    let service = BalanceLayer::new(calm().wait_for_endpoints(SECOND)).discover(late).layer(client);
    let began = Instant::now();
    let Ok(response) = service.oneshot(request("text/plain")).await;
    assert_eq!((response.status().as_u16(), (Instant::now() - began), tally.calls()), (200, 200 * MS, 1));
}

#[tokio::test(start_paused = true)]
async fn o09_update_keeps_the_rest() {
    play(ejecting(ROWS), "abc", async |town| {
        for key in ['a', 'b', 'c'] {
            town.host(key).lasts(20 * MS);
            town.hits(key, OK, 3).await;
            town.host(key).lasts(SECOND);
        }
        let mut held = Vec::new();
        for key in ['a', 'b', 'c'] {
            town.aim(key);
            held.push(town.hold().ok().unwrap());
        }
        town.spread();
        town.handle.eject(&'c', 60 * SECOND);
        let before = BTreeMap::from(['a', 'b', 'c'].map(|key| (key, town.endpoint(key))));
        let events = Events::record();

        town.handle.change(Change::set(['b', 'c', 'd']));
        let told = told(events);
        let snapshot = town.snapshot();
        assert_eq!(
            (snapshot.endpoints.iter().map(|one| one.key).collect::<String>(), told),
            ("bcd".into(), vec![String::from("endpoint left a")])
        );
        for key in ['b', 'c'] {
            let (before, now) = (&before[&key], town.endpoint(key));
            assert_eq!((now.id, now.in_flight, now.successes), (before.id, 1, 3));
            assert_eq!((now.latency, now.ejected_for), (before.latency, before.ejected_for));
            assert_eq!(town.host(key).made(), 1, "it was not made anew");
        }
        assert_eq!(town.out(), "c");
        let new = town.endpoint('d');
        assert_eq!((new.in_flight, new.latency, new.successes, new.ejected_for), (0, None, 0, None));

        for (going, key) in held.into_iter().zip(['a', 'b', 'c']) {
            assert_eq!(going.await, format!("200 from {key}"), "what has begun ends");
        }
        let calls = town.calls(50).await;
        assert!(calls.keys().all(|key| "bd".contains(*key)), "{calls:?}");
        // One that comes back begins anew.
        town.handle.change(Change::set(['a', 'b', 'c', 'd']));
        assert_eq!((town.endpoint('a').successes, town.host('a').made()), (0, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o10_no_op_update() {
    play(ejecting(ROWS), "abc", async |town| {
        town.hits('b', BAD, 5).await;
        town.hits('a', OK, 7).await;
        town.spread();
        town.host('c').does(Does::Hangs);
        let held: Vec<_> = (0..2).filter_map(|_| town.hold().ok()).collect();
        let before = town.count(Host::running);
        let show = |key| format!("{:?}", town.endpoint(key));
        let shown = ['a', 'b', 'c'].map(show);
        let events = Events::record();
        for order in [['c', 'b', 'a'], ['b', 'c', 'a'], ['a', 'b', 'c']] {
            town.handle.change(Change::set(order));
            assert_eq!(['a', 'b', 'c'].map(show), shown);
        }
        for key in ['a', 'b', 'c'] {
            town.handle.change(Change::Insert(Member::new(key)));
        }
        // Twice the same is once.
        town.handle.change(Change::set(['a', 'b', 'b', 'c', 'a']));
        assert_eq!(['a', 'b', 'c'].map(show), shown);
        assert_eq!((told(events), town.count(Host::running)), (Vec::new(), before));
        assert!(town.count(Host::made).values().all(|made| *made == 1));
        drop(held);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o26_leaves_while_out() {
    play(ejecting(ROWS), "abc", async |town| {
        town.hits('a', BAD, 5).await;
        town.hits('b', BAD, 5).await;
        assert_eq!(town.out(), "a", "one may be out");
        let events = Events::record();
        town.handle.change(Change::Remove('a'));
        assert_eq!(town.out(), "");
        sleep(20 * SECOND).await;
        town.spread();
        town.calls(10).await;
        assert_eq!(told(events), ["endpoint left a"], "nothing comes back that has left");
        town.hits('b', BAD, 5).await;
        assert_eq!(town.out(), "b", "its place is free");
        // And what comes back under its name is somebody else.
        town.handle.change(Change::Insert(Member::new('a')));
        let one = town.endpoint('a');
        assert_eq!((one.ejected_for, one.ejections), (None, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o36_remove_without_loss() {
    let (all, half) = ("abcdefghij", "acegi");
    play(ejecting(ROWS), all, async |town| {
        for key in all.chars() {
            town.host(key).lasts(50 * MS);
        }
        town.load(200, 5 * MS).await;
        town.handle.change(Change::set(half.chars()));
        let removed = |of: fn(&Host) -> u64| "bdfhj".chars().map(|key| of(&town.host(key))).sum::<u64>();
        let before = removed(Host::calls);
        assert!(removed(Host::running) > 0, "they are removed under load");
        town.load(200, 5 * MS).await;
        assert_eq!("bdfhj".chars().map(|key| town.host(key).calls()).sum::<u64>(), before);
        let heard = town.settle().await;
        assert!(heard.keys().all(|said| said.starts_with("200 from ")), "{heard:?}");
        assert_eq!(heard.values().sum::<u64>(), 400);
        assert!(all.chars().all(|key| heard.contains_key(&format!("200 from {key}"))));
    })
    .await;
}

/// What the registered balancers and endpoints of this name show as ejected.
fn gauges(name: &str) -> BTreeMap<String, f64> {
    let ours = registry::handles().into_iter().filter(|one| one.name().split('/').next() == Some(name));
    ours.map(|one| {
        let mut ejected = f64::from(u8::from(one.state() == "ejected"));
        one.numbers(&mut |number, value| {
            if number == "ejected" {
                ejected = value;
            }
        });
        (one.name().into(), ejected)
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn o41_gauge_cleanup() {
    for flavour in [Flavour::Http, Flavour::Typed] {
        let hosts = Hosts::default();
        let balance = BalanceService::new(ejecting(ROWS), move |key: &char| hosts.guest(*key));
        let balance = balance.named("gauged").members(['a', 'b', 'c']);
        let handle = balance.handle();
        for key in ['a', 'b'] {
            handle.eject(&key, 60 * SECOND);
        }
        let ours = [("gauged", 2.0), ("gauged/'a'", 1.0), ("gauged/'b'", 1.0), ("gauged/'c'", 0.0)];
        assert_eq!(gauges("gauged"), ours.map(|(name, ejected)| (name.into(), ejected)).into());
        drop(handle);
        assert_eq!(gauges("gauged").len(), 4, "the service lives");
        match flavour {
            Flavour::Http => {
                let _: Result<_, BoxError> = balance.oneshot(Request::new(Visit::default())).await;
            }
            Flavour::Typed => {
                let said: Result<String, BoxError> = balance.typed().oneshot(Visit::default()).await;
                assert_eq!(said.unwrap(), "200 from c");
            }
        }
        assert_eq!(gauges("gauged"), BTreeMap::new());
    }
}
