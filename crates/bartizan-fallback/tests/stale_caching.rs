//! What is served without a call, what is asked for again in the background, and what a request may ask for.
#![cfg(feature = "stale")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod origin;

use bartizan_core::{Context, Instant, Priority};
use bartizan_fallback::{Stale, StaleLayer};
use http_body_util::BodyExt;
use origin::{Origin, SECOND, Scene, pass, request, say, settle};
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};
use std::time::Duration;
use tower::{Layer, Service};

const CACHE: Stale = Stale::new().fresh(true);

/// Answers with the number of the call.
fn counting(fields: &'static str) -> Origin {
    Origin::new(move |n, _| async move { say(200, fields, n.to_string()) })
}

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_takes_no_call_if_told_so() {
    let scene = Scene::new(CACHE, counting("cache-control: max-age=10|age: 3"));
    assert_eq!(scene.get("/", "").await.seen(), ("0", "bartizan; fwd=miss; stored"));
    pass(2 * SECOND).await;
    let hit = scene.get("/", "").await;
    assert_eq!((hit.seen(), hit.field("age")), (("0", "bartizan; hit; ttl=5"), "5"));
    assert!(hit.degraded.is_none());
    pass(5 * SECOND).await;
    assert_eq!(scene.get("/", "").await.seen(), ("1", "bartizan; fwd=stale; stored"));
    assert_eq!((scene.handle.snapshot().hits, scene.origin.calls()), (1, 2));
    // By default every call goes out.
    let scene = Scene::new(Stale::new(), counting("cache-control: max-age=10"));
    for ought in ["0", "1"] {
        assert_eq!(scene.get("/", "").await.body, ought);
    }
    assert_eq!(scene.get("/", "").await.seen(), ("2", "bartizan; fwd=bypass; stored"));
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_served_at_once_and_refreshed_once() {
    for (value, fields) in [
        (Stale::new(), "cache-control: max-age=10, stale-while-revalidate=30"),
        (Stale::new().while_revalidate(30 * SECOND), "cache-control: max-age=10"),
    ] {
        let slow = Origin::new(move |n, _| async move {
            if n > 0 {
                tokio::time::sleep(SECOND).await;
            }
            say(200, fields, n.to_string())
        });
        let scene = Scene::new(value, slow);
        scene.get("/", "").await;
        pass(5 * SECOND).await;
        assert_eq!(scene.get("/", "").await.seen(), ("0", "bartizan; hit; ttl=5"));
        pass(7 * SECOND).await;
        for _ in 0..10 {
            assert_eq!(scene.get("/", "").await.seen(), ("0", "bartizan; hit; ttl=-2"));
        }
        settle().await;
        assert_eq!((scene.handle.snapshot().refreshing, scene.origin.calls()), (1, 2));
        pass(SECOND).await;
        scene.assert_idle();
        assert_eq!(
            scene.get("/", "").await.seen(),
            ("1", "bartizan; hit; ttl=9"),
            "the time of the call counts"
        );
        pass(40 * SECOND).await;
        assert_eq!(scene.get("/", "").await.body, "2", "beyond the limit it waits");
        let seen = scene.handle.snapshot();
        assert_eq!((seen.hits, seen.stale_while_revalidate, seen.refreshes, seen.stored), (2, 10, 1, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_are_few_and_end() {
    let origin = Origin::new(|_, req| async move {
        if req.headers().contains_key("x-first") { say(200, "", "first") } else { pending().await }
    });
    let scene =
        Scene::new(Stale::new().while_revalidate(600 * SECOND).max_refreshes(3).lease(10 * SECOND), origin);
    let all = |fields: &'static str| {
        let scene = scene.clone();
        async move {
            for path in ["/1", "/2", "/3", "/4", "/5"] {
                assert_eq!(scene.get(path, fields).await.body, "first");
            }
            settle().await;
        }
    };
    all("x-first: 1").await;
    all("").await;
    all("").await;
    assert_eq!((scene.handle.snapshot().refreshing, scene.origin.calls()), (3, 8));
    pass(10 * SECOND).await;
    scene.assert_idle();
    // What was given up has failed: others have their turn.
    all("").await;
    assert_eq!((scene.handle.snapshot().refreshing, scene.origin.calls()), (2, 10));
    pass(SECOND).await;
    all("").await;
    assert_eq!((scene.handle.snapshot().refreshing, scene.origin.calls()), (3, 11));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_spares_the_service() {
    let origin =
        Origin::new(|n, _| async move { if n == 0 { say(200, "", "good") } else { say(500, "", "") } });
    let value = Stale::new().while_revalidate(600 * SECOND).refresh_backoff(10 * SECOND, 10 * SECOND);
    let scene = Scene::new(value, origin);
    scene.get("/", "").await;
    for _ in 0..60 {
        let got = scene.get("/", "").await;
        assert_eq!(got.body, "good");
        pass(SECOND).await;
    }
    assert!((7..=13).contains(&scene.origin.calls()), "{}", scene.origin.calls());
    assert_eq!(scene.handle.snapshot().stale_if_error, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_has_a_context_of_its_own() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let origin = Origin::new(move |_, req| {
        log.lock().unwrap().push((req.extensions().get::<Context>().copied(), Context::current()));
        async { say(200, "", "") }
    });
    let scene = Scene::new(Stale::new().while_revalidate(600 * SECOND), origin);
    let near = Context::new()
        .with_deadline(Instant::now() + SECOND)
        .with_priority(Priority::SHEDDABLE)
        .with_attempt(1);
    let own = near.with_deadline(Instant::now() + Stale::DEFAULT_LEASE);
    near.scope(scene.get("/", "")).await;
    near.scope(scene.get("/", "")).await;
    settle().await;
    let mut carrying = request("GET", "/", "");
    carrying.extensions_mut().insert(near);
    scene.send(carrying).await.unwrap();
    settle().await;
    let ought = [(None, Some(near)), (None, Some(own)), (Some(own), Some(own))];
    assert_eq!(*seen.lock().unwrap(), ought);
}

#[tokio::test(start_paused = true)]
async fn it_asks_by_what_it_keeps() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let origin = Origin::new(move |n, req| {
        let field = |name| req.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        log.lock().unwrap().push(field("if-none-match") + " " + &field("if-modified-since"));
        async move {
            match n {
                0 => say(
                    200,
                    "etag: \"a\"|last-modified: Sun, 06 Nov 1994 08:49:37 GMT|cache-control: max-age=5|x: 0",
                    "whole",
                ),
                1 => say(304, "etag: \"a\"|cache-control: max-age=7|x: 1|x: 2", ""),
                2 => say(304, "etag: \"a\"|set-cookie: for=one|content-length: 0", ""),
                3 => say(304, "", ""),
                _ => say(200, "", "new"),
            }
        }
    });
    let scene = Scene::new(CACHE, origin);
    scene.get("/", "").await;
    pass(6 * SECOND).await;
    let renewed = scene.get("/", "").await;
    assert_eq!(
        (renewed.status, renewed.seen()),
        (200, ("whole", "bartizan; fwd=stale; fwd-status=304; ttl=7"))
    );
    assert_eq!(renewed.headers.get_all("x").iter().count(), 2);
    assert_eq!(scene.get("/", "").await.seen(), ("whole", "bartizan; hit; ttl=7"));
    pass(8 * SECOND).await;
    let private = scene.get("/", "").await;
    assert_eq!((private.body.as_str(), private.field("set-cookie")), ("whole", "for=one"));
    assert_eq!(scene.handle.snapshot().entries, 0, "it is its caller's from here on");
    // Nobody has asked for this 304, and it is nobody's whole answer.
    assert_eq!(scene.get("/", "").await.status, 304);
    assert_eq!(scene.get("/", "").await.body, "new");
    let both = "\"a\" Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(*asked.lock().unwrap(), ["- -", both, both, "- -", "- -"]);
    assert_eq!(scene.handle.snapshot().revalidated, 1);
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_condition_is_answered() {
    let origin = Origin::new(|n, req| async move {
        match req.headers().get("if-none-match").map(|tag| tag.to_str().unwrap()) {
            Some("\"a\"") if n < 3 => say(304, "etag: \"a\"", ""),
            _ if n < 3 => say(200, "etag: \"a\"|cache-control: max-age=9|content-length: 4", "good"),
            _ => say(500, "", ""),
        }
    });
    let scene = Scene::new(Stale::new().if_error(60 * SECOND), origin);
    assert_eq!(scene.get("/", "if-none-match: \"a\"").await.status, 304, "it goes through");
    assert_eq!(scene.get("/", "if-none-match: \"b\"").await.body, "good");
    assert_eq!(scene.get("/", "if-none-match: \"a\"").await.status, 304);
    let kept = scene.get("/", "if-none-match: W/\"a\"").await;
    assert_eq!(
        (kept.status, kept.body.as_str(), kept.field("etag"), kept.field("content-length")),
        (304, "", "\"a\"", "")
    );
    assert_eq!(scene.get("/", "if-none-match: \"b\"").await.body, "good");
}

#[tokio::test(start_paused = true)]
async fn a_request_may_narrow() {
    let scene = Scene::new(CACHE, counting("cache-control: max-age=10"));
    assert_eq!(scene.get("/", "cache-control: only-if-cached").await.status, 504);
    assert_eq!(scene.origin.calls(), 0);
    scene.get("/", "").await;
    pass(4 * SECOND).await;
    for (asked, ought) in [
        ("only-if-cached", ("0", "bartizan; hit; ttl=6")),
        ("max-age=4", ("0", "bartizan; hit; ttl=6")),
        ("min-fresh=6", ("0", "bartizan; hit; ttl=6")),
        ("no-store", ("1", "")),
        ("min-fresh=7", ("2", "bartizan; fwd=request; stored")),
        ("max-age=0", ("2", "bartizan; hit; ttl=10")),
        ("no-cache", ("3", "bartizan; fwd=request; stored")),
    ] {
        let got = scene.get("/", &format!("cache-control: {asked}")).await;
        assert_eq!(got.seen(), ought, "{asked}");
    }
    // Only what is kept was asked for, and it may not be served.
    pass(20 * SECOND).await;
    assert_eq!(scene.get("/", "cache-control: only-if-cached").await.status, 504);
}

#[tokio::test(start_paused = true)]
async fn a_write_outdates_what_it_changes() {
    let origin = Origin::new(|n, req| async move {
        let status =
            req.headers().get("x-status").map_or(200, |status| status.to_str().unwrap().parse().unwrap());
        say(status, "cache-control: max-age=60", n.to_string())
    });
    let scene = Scene::new(CACHE, origin);
    for (method, fields, outdates) in [
        ("OPTIONS", "", false),
        ("POST", "x-status: 500", false),
        ("POST", "x-status: 404", false),
        ("POST", "content-type: application/grpc", false),
        ("POST", "", true),
        ("PUT", "x-status: 303", true),
        ("DELETE", "x-status: 204", true),
        ("MKCOL", "", true),
    ] {
        let before = scene.get("/", "").await.body;
        scene.send(request(method, "/", fields)).await.unwrap();
        scene.send(request(method, "/other", fields)).await.unwrap();
        let after = scene.get("/", "").await.body;
        assert_eq!(before != after, outdates, "{method} {fields}");
        assert_eq!(scene.get("/", "").await.body, after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_write_is_not_kept_after_it() {
    let origin = Origin::new(|_, req| async move {
        if req.method() == "GET" {
            tokio::time::sleep(SECOND).await;
        }
        say(200, "cache-control: max-age=60", "old")
    });
    let scene = Scene::new(CACHE, origin);
    let (read, ()) = tokio::join!(scene.get("/", ""), async {
        tokio::time::sleep(SECOND / 2).await;
        scene.send(request("PUT", "/", "")).await.unwrap();
    });
    assert_eq!(read.body, "old");
    assert_eq!(scene.handle.snapshot().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handle_steers() {
    let layer = StaleLayer::new(CACHE).named("pages");
    let scene = Scene::of(&layer, counting("cache-control: max-age=60"));
    assert_eq!((scene.handle.name(), scene.handle.value()), (Some("pages"), CACHE));
    scene.get("http://h/a", "").await;
    scene.get("http://h/b", "").await;
    assert_eq!(scene.get("http://h/a", "").await.body, "0");
    scene.handle.forget(&"http://h/a".parse().unwrap());
    assert_eq!(scene.get("http://h/a", "").await.body, "2");
    assert_eq!(scene.get("http://h/b", "").await.body, "1");
    scene.handle.purge();
    assert_eq!(scene.handle.snapshot().entries, 0);
    assert_eq!(scene.get("http://h/b", "").await.body, "3");
    scene.handle.update(CACHE.enabled(false));
    assert_eq!(scene.get("http://h/b", "").await.seen(), ("4", ""));
    scene.handle.update(CACHE);
    assert_eq!(scene.get("http://h/b", "").await.body, "3", "what is kept stays");
    scene.handle.update(Stale::new());
    assert_eq!(scene.get("http://h/b", "").await.body, "5");
    let observed = bartizan_core::registry::handles();
    let observed = observed.iter().find(|known| (known.layer(), known.name()) == ("stale", "pages")).unwrap();
    assert_eq!(observed.state(), "enabled");
    let mut numbers = Vec::new();
    observed.numbers(&mut |name, value| numbers.push((name, value)));
    assert!(numbers.contains(&("entries", 1.0)) && numbers.contains(&("reads", 8.0)), "{numbers:?}");
}

/// Is never ready.
#[derive(Clone, Debug)]
struct Stuck;

impl Service<http::Request<String>> for Stuck {
    type Response = http::Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: http::Request<String>) -> Self::Future {
        panic!("called, and was not ready")
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_needs_no_readiness() {
    let layer = StaleLayer::new(CACHE);
    let scene = Scene::of(&layer, counting("cache-control: max-age=60"));
    scene.get("/", "").await;
    let mut stuck = layer.layer(Stuck);
    std::future::poll_fn(|cx| stuck.poll_ready(cx)).await.unwrap();
    let hit = stuck.call(request("GET", "/", "")).await.unwrap();
    assert_eq!(hit.into_body().collect().await.unwrap().to_bytes(), "0");
    let other = stuck.call(request("GET", "/other", ""));
    assert!(tokio::time::timeout(SECOND, other).await.is_err());
    assert_eq!(scene.handle.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn hostile_times_are_harmless() {
    for fields in [
        "cache-control: max-age=99999999999999999999, stale-while-revalidate=99999999999999999999",
        "age: 99999999999999999999999|cache-control: max-age=9",
        "date: Thu, 01 Jan 1970 00:00:00 GMT|expires: Fri, 31 Dec 9999 23:59:59 GMT",
        "date: Fri, 31 Dec 9999 23:59:59 GMT|expires: Thu, 01 Jan 1970 00:00:00 GMT",
        "cache-control: max-age=\"\u{7f}\"",
        "expires: -1|age: -1|date: 0",
        "retry-after: 99999999999999999999|vary: ,,,|etag: |last-modified: x",
    ] {
        if fields.contains('\u{7f}') {
            continue;
        }
        let value = Stale::new()
            .if_error(Duration::MAX)
            .while_revalidate(Duration::MAX)
            .lease(Duration::MAX)
            .refresh_backoff(Duration::MAX, Duration::MAX)
            .coalesce(true);
        let origin =
            Origin::new(move |n, _| async move { say(if n % 2 == 0 { 200 } else { 503 }, fields, "") });
        let scene = Scene::new(value, origin);
        for _ in 0..4 {
            scene.get("/", "").await;
            pass(Duration::from_secs(1 << 33)).await;
        }
        scene.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_by_another_scheme_outdates_as_well() {
    let scene = Scene::new(CACHE, counting("cache-control: max-age=60"));
    // As a server sees a request by HTTP/2, and by HTTP/1.
    assert_eq!(scene.get("http://h/a", "").await.body, "0");
    assert_eq!(scene.get("/a", "host: h").await.body, "1");
    scene.send(request("PUT", "/a", "host: i")).await.unwrap();
    assert_eq!(scene.get("http://h/a", "").await.body, "0");
    scene.send(request("PUT", "/a", "host: H")).await.unwrap();
    assert_eq!(scene.get("http://h/a", "").await.body, "4");
    assert_eq!(scene.get("/a", "host: h").await.body, "5");
}
