//! What is one caller's reaches no other, however oddly it is said.
#![cfg(feature = "stale")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod origin;

use bartizan_fallback::Stale;
use origin::{Got, Origin, SECOND, Scene, request, say, settle};
use tokio::task::JoinSet;
use tokio::time::sleep;

const MINUTE: Stale = Stale::new().if_error(SECOND.saturating_mul(60));

/// Answers once with these fields and who has asked, and is down from then on.
fn once(fields: &'static str) -> Origin {
    Origin::new(move |n, req| async move {
        let who = |name| req.headers().get(name).map_or("", |who| who.to_str().unwrap());
        let who = format!("{}{}{}", who("authorization"), who("cookie"), who("host"));
        if n < 1 { say(200, fields, who) } else { say(503, "", "down") }
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_badly_said_forbids_it_all_the_same() {
    for said in [
        "no-store; max-age=60",
        "private; max-age=60",
        "max-age=60; private",
        "max-age=60 no-store",
        "public no-store",
        "public, max-age=\"60\" no-store",
        "\"no-store\", max-age=60",
        "max-age=60, [private]",
    ] {
        let fields: &'static str = format!("cache-control: {said}").leak();
        let scene = Scene::new(MINUTE, once(fields));
        scene.get("/", "").await;
        assert_eq!((scene.handle.snapshot().entries, scene.get("/", "").await.status), (0, 503), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookies_answer_is_kept_only_if_it_says_so() {
    for (fields, ought) in [
        ("", "down"),
        ("cache-control: max-age=0", "down"),
        ("expires: 0", "down"),
        ("vary: accept, cookie", "down"),
        ("cache-control: max-age=60", "ann"),
        ("cache-control: public", "ann"),
        ("cache-control: max-age=0, stale-if-error=60", "ann"),
    ] {
        let scene = Scene::new(MINUTE, once(fields));
        scene.get("/", "cookie: ann").await;
        assert_eq!(scene.get("/", "cookie: bob").await.body, ought, "{fields}");
        assert_eq!(scene.get("/", "").await.body, ought, "{fields}");
    }
    let scene = Scene::new(MINUTE, once("vary: Cookie"));
    scene.get("/", "cookie: ann").await;
    assert_eq!(scene.get("/", "cookie: ann").await.body, "ann");
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_may_not_renew_stays_to_the_others() {
    let origin = Origin::new(|n, req| async move {
        let asks = req.headers().contains_key("if-none-match");
        match n {
            0 => say(200, "etag: \"a\"", "all"),
            1 | 2 if asks => say(304, "etag: \"a\"", ""),
            _ => say(503, "", "down"),
        }
    });
    let scene = Scene::new(MINUTE, origin);
    for fields in ["", "cookie: ann", "authorization: bob", ""] {
        assert_eq!(scene.get("/", fields).await.body, "all", "{fields}");
    }
}

/// Two at once, the second of which waits for the first.
async fn two(fields: &'static str, one: &'static str, other: &'static str) -> (String, String) {
    let origin = Origin::new(move |_, req| async move {
        sleep(SECOND).await;
        let who = req.headers().get("authorization").or_else(|| req.headers().get("cookie"));
        say(200, fields, who.map_or("nobody", |who| who.to_str().unwrap()))
    });
    let scene = Scene::new(Stale::new().coalesce(true), origin);
    let mut reads: JoinSet<(bool, Got)> = JoinSet::new();
    for (first, who) in [(true, one), (false, other)] {
        let scene = scene.clone();
        reads.spawn(async move { (first, scene.get("/", who).await) });
        settle().await;
    }
    let mut got = reads.join_all().await;
    got.sort_unstable_by_key(|(first, _)| !first);
    scene.assert_idle();
    let mut bodies = got.into_iter().map(|(_, got)| got.body);
    (bodies.next().unwrap(), bodies.next().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_has_to_be_asked_for_again_is_shared_with_nobody() {
    // The service is to see each authorization (RFC 9111 §5.2.2.2).
    for fields in [
        "cache-control: must-revalidate",
        "cache-control: max-age=0, must-revalidate",
        "cache-control: s-maxage=0",
        "cache-control: s-maxage=soon",
    ] {
        let got = two(fields, "authorization: ann", "authorization: bob").await;
        assert_eq!(got, ("ann".into(), "bob".into()), "{fields}");
        let got = two(fields, "authorization: ann", "").await;
        assert_eq!(got, ("ann".into(), "nobody".into()), "{fields}");
    }
    let got = two("cache-control: s-maxage=9", "authorization: ann", "authorization: bob").await;
    assert_eq!(got, ("ann".into(), "ann".into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_is_shared_among_strangers_alone() {
    for who in ["authorization: bob", "cookie: bob"] {
        let bob = "bob".to_owned();
        assert_eq!(two("", "", who).await, ("nobody".into(), bob.clone()), "{who}");
        assert_eq!(two("", who, "").await, (bob.clone(), "nobody".into()), "{who}");
    }
    assert_eq!(two("", "cookie: ann", "cookie: bob").await, ("ann".into(), "bob".into()));
    let got = two("cache-control: max-age=9", "cookie: ann", "cookie: bob").await;
    assert_eq!(got, ("ann".into(), "ann".into()));
}

#[tokio::test(start_paused = true)]
async fn who_is_named_in_the_uri_is_a_caller_of_its_own() {
    let scene = Scene::new(MINUTE.fresh(true).coalesce(true), once("cache-control: max-age=60"));
    scene.get("http://ann:Secret@shop/", "").await;
    for uri in ["http://ann:sECRET@shop/", "http://bob@shop/", "http://shop/"] {
        assert_eq!(scene.get(uri, "").await.body, "down", "{uri}");
    }
    assert_eq!(scene.handle.snapshot().entries, 0);
    // What it writes outdates what all others see.
    let origin = Origin::new(|n, _| async move { say(if n < 2 { 200 } else { 503 }, "", "all") });
    let scene = Scene::new(MINUTE, origin);
    scene.get("http://shop/", "").await;
    scene.send(request("PUT", "http://ann:Secret@shop/", "")).await.unwrap();
    assert_eq!(scene.get("http://shop/", "").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_differs_from_the_uri_makes_another_answer() {
    // Some handlers go by the one, others by the other.
    let scene = Scene::new(MINUTE, once(""));
    assert_eq!(scene.get("http://shop/", "host: evil").await.body, "evil");
    for fields in ["", "host: shop", "host: shop|host: evil"] {
        assert_eq!(scene.get("http://shop/", fields).await.status, 503, "{fields}");
    }
    let scene = Scene::new(MINUTE, once(""));
    scene.get("/", "host: shop|host: evil").await;
    assert_eq!(scene.get("/", "host: shop").await.status, 503);
    let scene = Scene::new(MINUTE, once(""));
    scene.get("http://shop/", "host: Shop").await;
    assert_eq!(scene.get("http://shop/", "").await.status, 200, "the same is no other");
}

#[tokio::test(start_paused = true)]
async fn a_length_that_cannot_be_read_is_not_that_of_the_body() {
    for fields in ["content-length: four", "content-length: 4|content-length: 5", "content-length: 4, 4"] {
        let scene = Scene::new(MINUTE, Origin::new(move |_, _| async move { say(200, fields, "four") }));
        assert_eq!(scene.get("/", "").await.body, "four");
        assert_eq!(scene.handle.snapshot().entries, 0, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_not_held_up_by_what_its_caller_has() {
    let origin = Origin::new(|n, req| async move {
        let asked = req.headers().get("if-none-match").map(|tag| tag.to_str().unwrap().to_owned());
        match asked.as_deref() {
            Some("\"b\"") => say(304, "etag: \"b\"", ""),
            _ if n == 0 => say(200, "etag: \"a\"|cache-control: max-age=1, stale-while-revalidate=60", "a"),
            _ => say(200, "etag: \"b\"|cache-control: max-age=1, stale-while-revalidate=60", "b"),
        }
    });
    let scene = Scene::new(Stale::new(), origin);
    scene.get("/", "").await;
    origin::pass(SECOND * 10).await;
    assert_eq!(scene.get("/", "if-none-match: \"b\"").await.body, "a");
    settle().await;
    assert_eq!(scene.get("/", "").await.body, "b");
    scene.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn what_is_for_no_store_any_more_is_forgotten() {
    for (asks, says, ought) in [
        ("", "cache-control: private", "down"),
        ("", "cache-control: no-store", "down"),
        ("", "cache-control: no-cache", "down"),
        ("", "set-cookie: a=b", "all"),
        ("cookie: ann", "cache-control: private", "all"),
        ("authorization: ann", "cache-control: private", "all"),
    ] {
        let origin = Origin::new(move |n, _| async move {
            match n {
                0 => say(200, "", "all"),
                1 => say(200, says, "own"),
                _ => say(503, "", "down"),
            }
        });
        let scene = Scene::new(MINUTE, origin);
        scene.get("/", "").await;
        assert_eq!(scene.get("/", asks).await.body, "own");
        assert_eq!(scene.get("/", "").await.body, ought, "{asks} {says}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_refresh_an_answer_is_not_served_it_stale() {
    const TOLD: &str = "cache-control: max-age=1, stale-while-revalidate=60";
    for (says, asks, ought) in [
        ("", "cookie: ann", "1"),
        ("", "authorization: ann", "1"),
        (TOLD, "authorization: ann", "1"),
        (TOLD, "cookie: ann", "0"),
        ("cache-control: public, max-age=1, stale-while-revalidate=60", "authorization: ann", "0"),
        ("vary: accept", "", "0"),
    ] {
        let origin = Origin::new(move |n, _| async move { say(200, says, n.to_string()) });
        let scene = Scene::new(Stale::new().while_revalidate(SECOND * 60), origin);
        scene.get("/", "").await;
        origin::pass(SECOND * 2).await;
        assert_eq!(scene.get("/", asks).await.body, ought, "{says} {asks}");
        settle().await;
        assert_eq!(scene.origin.calls(), 2, "{says} {asks}");
        let later = if ought == "1" { "0" } else { "1" };
        assert_eq!(scene.get("/", "").await.body, later, "{says} {asks}");
        settle().await;
    }
    // In place of a failure it is better than nothing.
    let origin = Origin::new(|n, _| async move { say(if n < 1 { 200 } else { 503 }, "", n.to_string()) });
    let scene = Scene::new(Stale::new().while_revalidate(SECOND * 60).if_error(SECOND * 60), origin);
    scene.get("/", "").await;
    assert_eq!(scene.get("/", "cookie: ann").await.body, "0");
}
