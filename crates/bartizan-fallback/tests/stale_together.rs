//! Equal reads at once: one call, whoever leaves, and nobody sees what is another's.
#![cfg(feature = "stale")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod origin;

use bartizan_core::{Kind, Reason, Refused};
use bartizan_fallback::Stale;
use http_body::Body;
use http_body_util::BodyExt;
use origin::{Got, Origin, SECOND, Scene, data, drip, frames, pass, request, say, say_body, settle};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::task::JoinSet;
use tokio::time::sleep;

const TOGETHER: Stale = Stale::new().coalesce(true);

/// Reads at once, each with a number.
fn burst(scene: &Scene, numbers: std::ops::Range<usize>) -> JoinSet<Got> {
    let mut reads = JoinSet::new();
    for n in numbers {
        let scene = scene.clone();
        reads.spawn(async move { scene.get("/", &format!("x-number: {n}|authorization: {n}")).await });
    }
    reads
}

/// Answers after a second with the number of the read.
fn slow(status: u16, fields: &'static str) -> Origin {
    Origin::new(move |_, req| async move {
        sleep(SECOND).await;
        say(status, fields, req.headers()["x-number"].to_str().unwrap())
    })
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_a_thousand_makes_one_call() {
    let scene = Scene::new(TOGETHER, slow(200, "cache-control: public"));
    let reads = burst(&scene, 0..1000);
    settle().await;
    assert_eq!((scene.handle.snapshot().waiting, scene.origin.calls()), (999, 1));
    let got = reads.join_all().await;
    assert!(got.iter().all(|got| got.body == "0"));
    let shared =
        got.iter().filter(|got| got.field("cache-status") == "bartizan; fwd=miss; collapsed; ttl=-1");
    assert_eq!((shared.count(), scene.origin.calls()), (999, 1));
    scene.assert_idle();
    assert_eq!(scene.handle.snapshot().coalesced, 999);
    // It is no cache: what comes later goes out.
    scene.get("/", "x-number: 7").await;
    assert_eq!(scene.origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_has_to_be_kept_for_that() {
    let scene = Scene::new(TOGETHER.max_entries(0), slow(200, "cache-control: public"));
    let got = burst(&scene, 0..100).join_all().await;
    assert!(got.iter().all(|got| got.body == "0"));
    assert_eq!(scene.origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_shared_sends_all_out_at_once() {
    for fields in [
        "",
        "cache-control: private",
        "cache-control: public|set-cookie: a=b",
        "cache-control: public|vary: x-number",
        "cache-control: public|vary: *",
    ] {
        let scene = Scene::new(TOGETHER, slow(200, fields));
        let reads = burst(&scene, 0..1000);
        settle().await;
        pass(SECOND).await;
        assert_eq!(scene.origin.calls(), 1000, "{fields}: all went out at once");
        let mut bodies: Vec<usize> =
            reads.join_all().await.iter().map(|got| got.body.parse().unwrap()).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, (0..1000).collect::<Vec<_>>(), "{fields}: each has its own");
        scene.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_shared_is_not_waited_for_again() {
    let scene = Scene::new(TOGETHER, slow(200, ""));
    scene.get("/", "x-number: 1|authorization: 1").await;
    let reads = burst(&scene, 0..10);
    settle().await;
    assert_eq!(scene.origin.calls(), 11);
    reads.join_all().await;
    // Without authorization it can be, whatever those had.
    let mut reads = JoinSet::new();
    for _ in 0..10 {
        let scene = scene.clone();
        reads.spawn(async move { scene.get("/", "x-number: 1").await });
    }
    settle().await;
    assert_eq!(scene.origin.calls(), 12);
    reads.join_all().await;
    assert_eq!(scene.origin.calls(), 12);
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn what_can_be_shared_again_is_waited_for_again() {
    let origin = Origin::new(|n, _| async move {
        sleep(SECOND).await;
        say(200, if n < 1 { "cache-control: private" } else { "" }, "")
    });
    let scene = Scene::new(TOGETHER, origin);
    for ought in [1, 2] {
        scene.get("/", "").await;
        assert_eq!(scene.origin.calls(), ought);
    }
    burst(&scene, 0..10).join_all().await;
    assert_eq!(scene.origin.calls(), 12, "who says who he is waits for nobody else's");
    let mut reads = JoinSet::new();
    for _ in 0..10 {
        let scene = scene.clone();
        reads.spawn(async move { scene.get("/", "").await });
    }
    reads.join_all().await;
    assert_eq!(scene.origin.calls(), 13);
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_nobody_elses() {
    let scene = Scene::new(TOGETHER, slow(503, ""));
    let got = burst(&scene, 0..100).join_all().await;
    assert!(got.iter().all(|got| got.status == 503));
    assert_eq!(scene.origin.calls(), 100);
    scene.assert_idle();
    // With something to serve, the service is spared.
    let origin = Origin::new(|n, _| async move {
        sleep(SECOND).await;
        if n == 0 { say(200, "", "good") } else { say(503, "", "") }
    });
    let scene = Scene::new(TOGETHER.if_error(60 * SECOND), origin);
    scene.get("/", "").await;
    let got = burst(&scene, 0..100).join_all().await;
    assert!(got.iter().all(|got| got.body == "good" && got.degraded.is_some()));
    assert_eq!(scene.origin.calls(), 2);
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn the_death_of_a_leader_strands_nobody() {
    let scene = Scene::new(TOGETHER, slow(200, "cache-control: public"));
    for (name, kill) in [("dropped", 0), ("panics", 1), ("drops the body", 2)] {
        scene.handle.purge();
        let before = scene.origin.calls();
        let origin = scene.origin.clone();
        let leader = match kill {
            0 => tokio::spawn({
                let scene = scene.clone();
                async move { drop(scene.get("/", "x-number: 77|authorization: 77").await) }
            }),
            1 => {
                let panicking = Scene { service: scene.service.clone(), ..scene.clone() };
                tokio::spawn(async move {
                    let mut call =
                        Box::pin(panicking.call(request("GET", "/", "x-number: 77|authorization: 77")));
                    tokio::select! {
                        _ = &mut call => unreachable!(),
                        () = sleep(SECOND / 2) => panic!("as told"),
                    }
                })
            }
            _ => {
                let scene = scene.clone();
                tokio::spawn(async move {
                    let answer =
                        scene.call(request("GET", "/", "x-number: 77|authorization: 77")).await.unwrap();
                    let (_, body) = answer.into_parts();
                    sleep(SECOND).await;
                    drop(body);
                })
            }
        };
        settle().await;
        let reads = burst(&scene, 0..100);
        settle().await;
        assert_eq!(origin.calls(), before + 1, "{name}");
        if kill == 0 {
            leader.abort();
        }
        let got = reads.join_all().await;
        let first = &got[0].body;
        assert!(got.iter().all(|got| got.body == *first), "{name}: all share one answer");
        // A body that is empty or known at its head is whole at once.
        let calls = origin.calls() - before;
        assert!(calls <= 2, "{name}: {calls}");
        let _ = leader.await;
        scene.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_half_way_strands_nobody() {
    let origin = Origin::new(|n, _| async move {
        if n == 0 { say_body(200, "", drip(&["a", "b"])) } else { say(200, "", "whole") }
    });
    let scene = Scene::new(TOGETHER, origin);
    let leader = scene.clone();
    let leader = tokio::spawn(async move {
        let mut body = leader.call(request("GET", "/", "")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        sleep(SECOND / 2).await;
    });
    settle().await;
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let scene = scene.clone();
        reads.spawn(async move { scene.get("/", "").await });
    }
    leader.await.unwrap();
    assert!(reads.join_all().await.iter().all(|got| got.body == "whole"));
    assert_eq!(scene.origin.calls(), 2);
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_lets_the_next_go_out() {
    let origin =
        Origin::new(|n, _| async move { if n < 2 { pending().await } else { say(200, "", "third") } });
    let scene = Scene::new(TOGETHER.lease(10 * SECOND), origin);
    let reads = {
        let mut reads = JoinSet::new();
        for _ in 0..100 {
            let scene = scene.clone();
            reads.spawn(async move { scene.get("/", "").await.body });
        }
        reads
    };
    // One goes out after the first lease, and after the second nobody waits any longer.
    for (after, ought) in [(0, 1), (9, 1), (2, 2), (8, 2), (2, 100)] {
        pass(after * SECOND).await;
        settle().await;
        assert_eq!(scene.origin.calls(), ought);
    }
    settle().await;
    let seen = scene.handle.snapshot();
    assert_eq!((seen.waiting, seen.in_flight), (0, 2), "two hang on their own calls");
    drop(reads);
    settle().await;
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_slowly_holds_nobody_up() {
    let origin = Origin::new(|_, _| async move {
        sleep(SECOND).await;
        say_body(200, "", frames(vec![data("a"), data("b"), data("c")]))
    });
    let scene = Scene::new(TOGETHER.max_body(2), origin.clone());
    for (value, ought) in [(TOGETHER, 1), (TOGETHER.max_body(2), 2)] {
        scene.handle.update(value);
        let before = scene.origin.calls();
        let first = scene.clone();
        let first = tokio::spawn(async move { first.call(request("GET", "/", "")).await.unwrap() });
        settle().await;
        let (second, leader) = tokio::join!(scene.get("/", ""), first);
        assert_eq!((second.body.as_str(), scene.origin.calls() - before), ("abc", ought));
        // What was read ahead for the others is there for who asked first.
        let body = leader.unwrap().into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        scene.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let scene = Scene::new(TOGETHER.max_waiting(10), slow(200, "cache-control: public"));
    let reads = burst(&scene, 0..100);
    settle().await;
    assert_eq!((scene.handle.snapshot().waiting, scene.origin.calls()), (10, 90));
    reads.join_all().await;
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn readers_that_leave_at_any_poll_hold_nothing() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let value =
        TOGETHER.if_error(60 * SECOND).while_revalidate(SECOND).refresh_backoff(SECOND / 10, SECOND).seed(3);
    let count = wakes.clone();
    let origin = Origin::new(move |n, _| {
        count.fetch_add(1, Relaxed);
        async move {
            for _ in 0..n % 4 {
                tokio::task::yield_now().await;
            }
            match n % 5 {
                0 => say_body(200, "", frames(vec![data("a"), data("b")])),
                1 => say(503, "", ""),
                2 => Err("reset".into()),
                3 => say(200, "cache-control: private", "mine"),
                _ => say_body(200, "", frames(vec![data("a"), Err("reset".into())])),
            }
        }
    });
    let scene = Scene::new(value, origin);
    for round in 0..2000_usize {
        let mut calls: Vec<_> = (0..4).map(|_| Some(Box::pin(scene.send(request("GET", "/", ""))))).collect();
        // Each is polled as often as its digit says, and dropped.
        for poll in 0..8 {
            for (at, slot) in calls.iter_mut().enumerate() {
                if (round >> (3 * at)) % 8 == poll {
                    *slot = None;
                }
                if let Some(call) = slot {
                    let polled =
                        std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
                    if polled.is_ready() {
                        *slot = None;
                    }
                }
            }
            tokio::task::yield_now().await;
        }
        drop(calls);
        pass(SECOND / 50).await;
        scene.assert_idle();
    }
    assert!(wakes.load(Relaxed) > 100);
}

#[tokio::test(start_paused = true)]
async fn what_a_leader_was_refused_the_next_may_get() {
    const LATE: Reason = Reason::new("deadline", Kind::DeadlineExceeded, "deadline passed").reached();
    let origin = Origin::new(|n, _| async move {
        sleep(SECOND / 10).await;
        if n < 3 { Err(Refused::new(&LATE).into()) } else { say(200, "", "good") }
    });
    let scene = Scene::new(TOGETHER, origin);
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let scene = scene.clone();
        reads.spawn(
            async move { scene.send(request("GET", "/", "")).await.is_ok_and(|got| got.body == "good") },
        );
    }
    let good = reads.join_all().await.into_iter().filter(|is_good| *is_good).count();
    assert_eq!((good, scene.origin.calls()), (97, 4));
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn those_of_one_variant_wait_for_one_another() {
    let origin = Origin::new(|_, req| async move {
        sleep(SECOND).await;
        let coding = req.headers()["accept-encoding"].to_str().unwrap().to_owned();
        say(200, "vary: accept-encoding", coding)
    });
    let scene = Scene::new(TOGETHER.if_error(60 * SECOND), origin);
    // What it varies on is known by its first answer.
    scene.get("/", "accept-encoding: br").await;
    let mut reads = JoinSet::new();
    for n in 0..90 {
        let (scene, coding) = (scene.clone(), ["br", "gzip", "zstd"][n % 3]);
        reads
            .spawn(async move { scene.get("/", &format!("accept-encoding: {coding}")).await.body == coding });
    }
    assert!(reads.join_all().await.into_iter().all(|is_own| is_own));
    assert_eq!(scene.origin.calls(), 1 + 3);
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn what_broke_off_does_not_look_whole() {
    // A server would send the length of a body that says how long it is.
    let broken = || frames(vec![data("half"), Err("broke off".into())]);
    let scene = Scene::new(TOGETHER, Origin::new(move |_, _| async move { say_body(200, "", broken()) }));
    let mut body = scene.call(request("GET", "/", "")).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), None);
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!((body.is_end_stream(), body.size_hint().exact()), (false, None));
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_newer_answer_waits_for_none() {
    let scene = Scene::new(TOGETHER, slow(200, "cache-control: public"));
    let mut reads = burst(&scene, 0..10);
    settle().await;
    for fields in ["cache-control: max-age=0", "cache-control: no-cache", "pragma: no-cache"] {
        let scene = scene.clone();
        let fields = format!("x-number: new|authorization: 1|{fields}");
        reads.spawn(async move { scene.get("/", &fields).await });
    }
    settle().await;
    assert_eq!((scene.handle.snapshot().waiting, scene.origin.calls()), (9, 4));
    reads.join_all().await;
}
