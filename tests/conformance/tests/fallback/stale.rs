//! Row F09: the last good answer is served no longer than its age limit.

use crate::read;
use bartizan_fallback::Degraded;
use bartizan_fallback::stale::{Stale, StaleLayer};
use bytes::Bytes;
use conformance::{Mode, Probe, secs};
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tower::Layer;

/// A service that is up or down, whose answers say this about their age.
async fn served_after(mode: Mode, value: Stale, said: Option<&'static str>, seconds: f64) -> Option<String> {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = down.clone();
    let probe = Probe::new(move |_: Request<Full<Bytes>>| {
        let status = if is_down.load(SeqCst) { 503 } else { 200 };
        let mut answer = Response::builder().status(status);
        if let Some(said) = said {
            answer = answer.header("cache-control", said);
        }
        ready(Ok::<_, Infallible>(answer.body(Full::from("good")).unwrap()))
    });
    let mut service = StaleLayer::new(value).layer(probe);
    let get = || Request::get("http://shop/products").body(Full::default()).unwrap();
    assert_eq!(read(mode.call(&mut service, get).await.unwrap()).await, "good");

    tokio::time::advance(secs(seconds)).await;
    down.store(true, SeqCst);
    let answer = mode.call(&mut service, get).await.unwrap();
    if answer.status() == 503 {
        assert!(answer.extensions().get::<Degraded>().is_none() && !answer.headers().contains_key("age"));
        return None;
    }
    let age = answer.headers()["age"].to_str().unwrap().to_owned();
    assert!(answer.extensions().get::<Degraded>().is_some());
    assert_eq!(read(answer).await, "good");
    Some(age)
}

#[tokio::test(start_paused = true)]
async fn f09_stale_answer_has_an_age_limit() {
    let limit = || Stale::new().if_error(secs(60.0));
    for mode in Mode::ALL {
        for (value, said, age, served) in [
            (limit(), Some("max-age=0"), 59.0, true),
            (limit(), Some("max-age=0"), 61.0, false),
            // Beyond its freshness.
            (limit(), Some("max-age=30"), 89.0, true),
            (limit(), Some("max-age=30"), 91.0, false),
            // What the answer says itself is its limit.
            (Stale::new(), Some("max-age=0, stale-if-error=10"), 9.0, true),
            (Stale::new(), Some("max-age=0, stale-if-error=10"), 11.0, false),
            (Stale::new(), Some("max-age=0"), 1.0, false),
            (limit(), Some("no-store"), 1.0, false),
            (limit(), Some("private, max-age=0"), 1.0, false),
        ] {
            let ought = served.then(|| age.to_string());
            assert_eq!(served_after(mode, value, said, age).await, ought, "{mode:?}, {said:?} after {age}");
        }
    }
}
