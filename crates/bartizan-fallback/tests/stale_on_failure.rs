//! The last good answer in place of a failure: when, for how long, and what it says of itself.
#![cfg(feature = "stale")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod origin;

use bartizan_core::{Kind, Reason, Refused};
use bartizan_fallback::{Fallback, FallbackLayer, FallbackOn, Outcome, Stale, StaleLayer};
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use origin::{Origin, SECOND, Scene, data, frames, pass, request, say, say_body};
use std::io;
use std::time::Duration;
use tower::{Layer, ServiceExt};

/// Answers once, then fails.
fn down(fields: &'static str) -> Origin {
    Origin::new(
        move |n, _| async move { if n == 0 { say(200, fields, "good") } else { say(503, "", "down") } },
    )
}

const MINUTE: Stale =
    Stale::new().if_error(Duration::from_secs(60)).refresh_backoff(Duration::ZERO, Duration::ZERO);

#[tokio::test(start_paused = true)]
async fn it_is_served_up_to_its_age_limit_and_says_so() {
    let scene = Scene::new(MINUTE, down("etag: \"1\"|x-a: b"));
    let first = scene.get("/", "").await;
    assert_eq!(first.seen(), ("good", "bartizan; fwd=miss; stored"));
    assert!(first.headers.get("age").is_none() && first.degraded.is_none());
    pass(59 * SECOND).await;
    let stale = scene.get("/", "").await;
    assert_eq!((stale.status, stale.field("age"), stale.field("x-a")), (200, "59", "b"));
    assert_eq!(stale.seen(), ("good", "bartizan; fwd=stale; fwd-status=503; ttl=-59"));
    assert_eq!(stale.degraded.unwrap().failure().outcome(), Outcome::Status(503));
    pass(2 * SECOND).await;
    let late = scene.get("/", "").await;
    assert_eq!((late.status, late.seen()), (503, ("down", "")));
    assert!(late.degraded.is_none());
    let seen = scene.handle.snapshot();
    assert_eq!((seen.reads, seen.stored, seen.stale_if_error, seen.unanswered), (3, 1, 1, 1));
    assert_eq!(scene.origin.calls(), 3, "each call goes out");
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn an_error_is_kept_as_the_cause() {
    const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
    let scene = Scene::new(
        MINUTE,
        Origin::new(|n, _| async move {
            match n {
                0 => say(200, "", "good"),
                1 => Err(io::Error::other("reset").into()),
                _ => Err(Refused::new(&OPEN).into()),
            }
        }),
    );
    scene.get("/", "").await;
    let degraded = scene.get("/", "").await.degraded.unwrap();
    assert_eq!(degraded.failure().outcome(), Outcome::Error);
    let degraded = scene.get("/", "").await.degraded.unwrap();
    assert_eq!(degraded.failure().refused().unwrap().reason(), "open");
    // What nothing is kept of fails as it does without the layer.
    assert!(scene.send(request("GET", "/other", "")).await.unwrap_err().is::<Refused>());
}

#[tokio::test(start_paused = true)]
async fn only_for_what_is_listed() {
    let origin = Origin::new(|n, _| async move {
        if n == 0 { say(200, "", "good") } else { say(404, "cache-control: no-store", "gone") }
    });
    let scene = Scene::new(MINUTE.on(FallbackOn::TIMEOUTS.and(FallbackOn::REFUSALS)), origin);
    scene.get("/", "").await;
    assert_eq!(scene.get("/", "").await.status, 404);
    for status in [429, 500, 501, 503] {
        let origin = Origin::new(move |n, _| async move {
            say(if n == 0 { status } else { 504 }, "cache-control: max-age=60", "")
        });
        let scene = Scene::new(MINUTE.on(FallbackOn::TIMEOUTS), origin);
        assert_eq!(scene.get("/", "").await.status, status);
        assert_eq!(scene.get("/", "").await.status, 504, "a {status} is no good answer, whatever is listed");
    }
    let scene = Scene::new(MINUTE.on(FallbackOn::TIMEOUTS), down(""));
    scene.get("/", "").await;
    assert_eq!(scene.get("/", "").await.status, 503);
    // What answers allow is all there is by default.
    for (fields, ought) in
        [("", 503), ("cache-control: max-age=9", 200), ("cache-control: stale-if-error=9", 200)]
    {
        let scene = Scene::new(Stale::new(), down(fields));
        scene.get("/", "").await;
        assert_eq!(scene.get("/", "").await.status, ought, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_kept_is_not() {
    for (request, answer) in [
        ("", "cache-control: private"),
        ("", "cache-control: no-store"),
        ("", "cache-control: no-cache"),
        ("", "set-cookie: a=b"),
        ("", "vary: *"),
        ("", "vary: accept, *"),
        ("", "content-length: 5"),
        ("", "content-type: application/grpc"),
        ("authorization: a", ""),
        ("authorization: a", "cache-control: max-age=60"),
        ("cache-control: no-store", ""),
        ("range: bytes=0-9", ""),
    ] {
        let scene = Scene::new(MINUTE, down(answer));
        assert_eq!(scene.get("/", request).await.body, "good");
        assert_eq!(scene.handle.snapshot().entries, 0, "{request} {answer}");
        assert_eq!(scene.get("/", request).await.status, 503, "{request} {answer}");
        scene.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_one_callers_is_not_anothers() {
    let origin = Origin::new(|n, req| async move {
        let who = req.headers().get("authorization").map_or("nobody", |who| who.to_str().unwrap()).to_owned();
        let fields = match req.uri().path() {
            "/public" => "cache-control: public",
            "/vary" => "vary: authorization|cache-control: public",
            _ => "",
        };
        if n < 6 { say(200, fields, who) } else { say(500, "", "down") }
    });
    let scene = Scene::new(MINUTE, origin);
    for path in ["/", "/public", "/vary"] {
        scene.get(path, "authorization: ann").await;
        scene.get(path, "authorization: bob").await;
    }
    for (path, who, ought) in [
        ("/", "authorization: ann", "down"),
        ("/", "", "down"),
        ("/public", "", "bob"),
        ("/vary", "authorization: ann", "ann"),
        ("/vary", "authorization: bob", "bob"),
        ("/vary", "authorization: eve", "down"),
        ("/vary", "", "down"),
    ] {
        assert_eq!(scene.get(path, who).await.body, ought, "{path} {who}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_tells_tenants_apart() {
    let layer = StaleLayer::new(MINUTE).key(|head| head.headers.get("x-tenant").cloned());
    let origin = Origin::new(|n, req| async move {
        let tenant = format!("{:?}", req.headers().get("x-tenant"));
        if n < 2 || req.method() == "PUT" { say(200, "", tenant) } else { say(500, "", "down") }
    });
    let scene = Scene::of(&layer, origin);
    scene.get("/", "x-tenant: 1").await;
    scene.get("/", "x-tenant: 2").await;
    assert_eq!(scene.get("/", "x-tenant: 1").await.body, "Some(\"1\")");
    assert_eq!(scene.get("/", "x-tenant: 3").await.body, "down");
    // A write outdates what any tenant sees.
    scene.send(request("PUT", "/", "x-tenant: 3")).await.unwrap();
    assert_eq!(scene.get("/", "x-tenant: 1").await.body, "down");
}

#[tokio::test(start_paused = true)]
async fn only_whole_bodies_are_kept() {
    let broken = || io::Error::other("reset").into();
    let trailers = || {
        Ok(Frame::trailers([(http::header::ETAG, http::HeaderValue::from_static("x"))].into_iter().collect()))
    };
    for (script, whole, kept) in
        [(0, true, true), (1, false, false), (2, true, false), (3, true, true), (4, true, false)]
    {
        let origin = Origin::new(move |n, _| async move {
            if n > 0 {
                return say(500, "", "");
            }
            match script {
                0 => say_body(200, "", frames(vec![data("a"), data(""), data("b")])),
                1 => say_body(200, "", frames(vec![data("a"), Err(broken())])),
                2 => say_body(200, "", frames(vec![data("a"), data("b"), trailers()])),
                3 => say_body(200, "content-length: 2", frames(vec![data("a"), data("b")])),
                _ => say_body(200, "content-length: 3", frames(vec![data("a"), data("b")])),
            }
        });
        let scene = Scene::new(MINUTE, origin);
        let first = scene.send(request("GET", "/", "")).await;
        assert_eq!(first.is_ok(), whole, "{script}");
        let second = scene.get("/", "").await;
        assert_eq!(second.body, if kept { "ab" } else { "" }, "{script}");
        scene.assert_idle();
    }
    // Nor what its reader has not read.
    let scene = Scene::new(
        MINUTE,
        Origin::new(|_, _| async { say_body(200, "", frames(vec![data("a"), data("b")])) }),
    );
    let mut body = scene.call(request("GET", "/", "")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!((scene.handle.snapshot().recording, scene.handle.snapshot().in_flight), (1, 1));
    drop(body);
    scene.assert_idle();
    assert_eq!(scene.handle.snapshot().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_goes_through() {
    let big = "x".repeat(100);
    for (max_body, max_bytes, kept) in [(100, 1 << 20, 1), (99, 1 << 20, 0), (100, 99, 0)] {
        let (whole, parts) = (big.clone(), big.clone());
        let origin = Origin::new(move |_, req| {
            let (whole, parts) = (whole.clone(), parts.clone());
            async move {
                if req.uri().path() == "/parts" {
                    let chunks = parts
                        .as_bytes()
                        .chunks(7)
                        .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))));
                    say_body(200, "", frames(chunks.collect()))
                } else {
                    say(200, "", whole)
                }
            }
        });
        for path in ["/", "/parts"] {
            let scene = Scene::new(MINUTE.max_body(max_body).max_bytes(max_bytes), origin.clone());
            assert_eq!(scene.get(path, "").await.body, big);
            assert_eq!(scene.handle.snapshot().entries, kept, "{path} {max_body} {max_bytes}");
            scene.assert_idle();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn neither_refusals_nor_fallbacks_are_kept() {
    const LIMIT: Reason = Reason::new("limit", Kind::Exhausted, "full");
    // A layer inside whose refusal does not look like one by its status.
    let refusing = Origin::new(|_, _| async {
        let mut answer = say(200, "cache-control: max-age=60", "refused")?;
        answer.extensions_mut().insert(Refused::new(&LIMIT));
        Ok(answer)
    });
    let scene = Scene::new(MINUTE.on(FallbackOn::TIMEOUTS), refusing);
    scene.get("/", "").await;
    assert_eq!(scene.handle.snapshot().entries, 0);

    let failing = Origin::new(|_, _| async { say(500, "", "down") });
    let layer = StaleLayer::new(MINUTE);
    let fallback = FallbackLayer::new(Fallback::new()).value(Response::new(Bytes::from_static(b"other")));
    let service = layer.layer(fallback.layer(failing));
    let answer = service.oneshot(request("GET", "/", "")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "other");
    assert_eq!(layer.handle().snapshot().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_is_spared() {
    let origin =
        Origin::new(
            |n, _| async move { if n == 0 || n > 5 { say(200, "", "good") } else { say(503, "", "") } },
        );
    let value = Stale::new().if_error(600 * SECOND).refresh_backoff(SECOND, 4 * SECOND).seed(1);
    let run = |value: Stale| {
        let origin = origin.clone();
        async move {
            let scene = Scene::new(value, origin.fresh());
            scene.get("/", "").await;
            let mut went_out = Vec::new();
            for tenth in 0..400 {
                let before = scene.origin.calls();
                let got = scene.get("/", "").await;
                assert_eq!(got.body, "good");
                if scene.origin.calls() > before {
                    went_out.push(tenth);
                } else {
                    assert!(got.degraded.is_some() && got.seen().1.starts_with("bartizan; hit; ttl="));
                }
                pass(SECOND / 10).await;
            }
            (went_out, scene.handle.snapshot())
        }
    };
    let (went_out, seen) = run(value.clone()).await;
    // It fails five times, after pauses that double, of which jitter takes off up to a half; then all is well, and every call goes out.
    let pauses: Vec<u32> = went_out[..6].windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, most) in pauses.iter().zip([10, 20, 40, 40, 40]) {
        assert!((most / 2..=most).contains(pause), "{pauses:?}");
    }
    assert!(went_out[5..].windows(2).all(|pair| pair[1] == pair[0] + 1), "{went_out:?}");
    assert_eq!(seen.stale_if_error, 5);
    assert_eq!(seen.spared + went_out.len() as u64, 400);
    assert_eq!(run(value.clone()).await.0, went_out, "the same seed, the same pauses");
    assert_ne!(run(value.seed(2)).await.0, went_out);
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_respected_up_to_the_longest_pause() {
    for (hint, ought) in [("1", 1), ("3", 3), ("3600", 10), ("soon", 1)] {
        let fields = format!("retry-after: {hint}");
        let origin = Origin::new(move |n, _| {
            let fields = fields.clone();
            async move { if n == 0 { say(200, "", "good") } else { say(503, &fields, "") } }
        });
        let scene =
            Scene::new(Stale::new().if_error(600 * SECOND).refresh_backoff(SECOND / 10, 10 * SECOND), origin);
        scene.get("/", "").await;
        scene.get("/", "").await;
        let mut seconds = 0;
        while scene.origin.calls() == 2 {
            pass(SECOND).await;
            seconds += 1;
            scene.get("/", "").await;
        }
        assert_eq!(seconds, ought, "{hint}");
    }
}

#[tokio::test(start_paused = true)]
async fn layering_again_keeps_what_is_kept() {
    let (layer, origin) = (StaleLayer::new(MINUTE), down(""));
    for ought in ["good", "good", "good"] {
        let answer = layer.clone().layer(origin.clone()).oneshot(request("GET", "/", "")).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), ought);
    }
    assert_eq!(origin.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_head_is_answered_without_a_body() {
    let scene = Scene::new(
        MINUTE,
        Origin::new(|n, _| async move {
            if n == 0 { say(200, "content-length: 9", "") } else { say(500, "", "") }
        }),
    );
    scene.send(request("HEAD", "/", "")).await.unwrap();
    let stale = scene.send(request("HEAD", "/", "")).await.unwrap();
    assert_eq!((stale.status, stale.field("content-length"), stale.body.as_str()), (200, "9", ""));
    assert_eq!(scene.get("/", "").await.status, 500, "what answers a HEAD answers no GET");
    let refused = scene.send(request("HEAD", "/nowhere", "cache-control: only-if-cached")).await.unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (504, ""));
}
