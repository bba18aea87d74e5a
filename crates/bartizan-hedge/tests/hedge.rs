//! Hedges through the public API, on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Avoid, Endpoint, Hedged};
use bartizan_hedge::{Budget, FailedCopies, Hedge, HedgeLayer, Outcome, Purse};
use bartizan_http::Replay;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const MS: Duration = Duration::from_millis(1);

/// Up to two copies, one after each 100 ms, and more tokens than a test can use.
fn hedge() -> Hedge {
    Hedge::new().delay(100 * MS).budget(Budget::new().min_tokens(100))
}

fn copy(req: &u32) -> Option<u32> {
    Some(*req)
}

/// Answers each call after a time of its own, or fails; what is beyond the script hangs. Notes when it was called.
#[derive(Clone)]
struct Scripted {
    script: &'static [(u64, bool)],
    began: Instant,
    calls: Arc<Mutex<Vec<Duration>>>,
    running: Arc<AtomicUsize>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn scripted(script: &'static [(u64, bool)]) -> Scripted {
    Scripted { script, began: Instant::now(), calls: Arc::default(), running: Arc::default() }
}

impl Scripted {
    fn sends(&self) -> Vec<Duration> {
        self.calls.lock().unwrap().clone()
    }
}

impl<Req> Service<Req> for Scripted {
    type Response = usize;
    type Error = io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = io::Result<usize>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Req) -> Self::Future {
        let mut calls = self.calls.lock().unwrap();
        let n = calls.len();
        calls.push(Instant::now() - self.began);
        self.running.fetch_add(1, Relaxed);
        let running = Running(self.running.clone());
        let step = self.script.get(n).copied();
        Box::pin(async move {
            let _running = running;
            match step {
                None => std::future::pending().await,
                Some((ms, good)) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    if good { Ok(n) } else { Err(io::Error::other(format!("copy {n}"))) }
                }
            }
        })
    }
}

/// Calls once: what came of it, after how many milliseconds, and how many copies still ran right then.
macro_rules! call {
    ($layer:expr, $inner:expr) => {{
        let began = Instant::now();
        let answer = $layer.layer($inner.clone()).oneshot(7u32).await;
        let took = (Instant::now() - began).as_millis() as u64;
        (answer.map_err(|error| error.to_string()), took, $inner.running.load(Relaxed))
    }};
}

#[tokio::test(start_paused = true)]
async fn the_first_good_answer_wins_and_the_others_are_dropped() {
    for (script, ought, sends) in [
        ([(50u64, true)].as_slice(), (Ok(0), 50, 0), vec![0]),
        (&[(1000, true), (50, true)], (Ok(1), 150, 0), vec![0, 100]),
        (&[(120, true), (50, true)], (Ok(0), 120, 0), vec![0, 100]),
        (&[(1000, true), (1000, true), (10, true)], (Ok(2), 210, 0), vec![0, 100, 200]),
        // A failure has the next one sent at once, and wins over none that is on its way.
        (&[(30, false), (20, true)], (Ok(1), 50, 0), vec![0, 30]),
        (&[(30, false), (1000, true), (10, true)], (Ok(2), 140, 0), vec![0, 30, 130]),
        (&[(150, false), (200, true)], (Ok(1), 300, 0), vec![0, 100, 150]),
        (&[(30, false), (30, false), (30, false)], (Err("copy 2".into()), 90, 0), vec![0, 30, 60]),
    ] {
        let (inner, layer) = (scripted(script), HedgeLayer::new(hedge()).typed(copy));
        assert_eq!(call!(layer, inner), ought, "{script:?}");
        let sends: Vec<_> = sends.into_iter().map(Duration::from_millis).collect();
        assert_eq!(inner.sends(), sends, "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn delays_of_nothing_and_for_ever() {
    let inner = scripted(&[(1000, true), (1000, true), (10, true)]);
    let layer = HedgeLayer::new(hedge().delay(Duration::ZERO)).typed(copy);
    assert_eq!(call!(layer, inner), (Ok(2), 10, 0));
    assert_eq!(inner.sends(), [Duration::ZERO; 3]);

    let inner = scripted(&[(5000, false), (10, true)]);
    let layer = HedgeLayer::new(hedge().delay(Duration::MAX)).typed(copy);
    assert_eq!(call!(layer, inner), (Ok(1), 5010, 0));
}

#[tokio::test(start_paused = true)]
async fn counts_add_up() {
    let layer = HedgeLayer::new(hedge()).typed(copy);
    for script in [[(50u64, true)].as_slice(), &[(500, true), (10, true)], &[(120, true), (500, true)]] {
        let _ = call!(layer, scripted(script));
    }
    let seen = layer.handle().snapshot();
    assert_eq!((seen.hedges, seen.won, seen.superseded), (2, 1, 2));
    let named = HedgeLayer::new(hedge()).typed(copy).named("counts");
    let _ = call!(named, scripted(&[(500, true), (10, true)]));
    assert_eq!(named.handle().snapshot().extra_load(), 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_purse_suppresses_copies_and_nothing_else() {
    let budget = Budget::new().min_tokens(1).ratio(0.0);
    let layer = HedgeLayer::new(hedge().budget(budget)).typed(copy);
    assert_eq!(call!(layer, scripted(&[(500, true), (10, true)])), (Ok(1), 110, 0));
    assert_eq!(call!(layer, scripted(&[(500, true), (10, true)])), (Ok(0), 500, 0));
    assert_eq!(call!(layer, scripted(&[(500, false), (10, true)])), (Err("copy 0".into()), 500, 0));
    assert!(layer.handle().snapshot().unpaid >= 2);
}

#[tokio::test(start_paused = true)]
async fn retries_keep_the_first_half_of_a_shared_purse() {
    let purse = Purse::new(Budget::new().min_tokens(4).persistence(1.0));
    let layer = HedgeLayer::new(hedge().max_hedges(1)).purse(purse.clone()).typed(copy);
    for _ in 0..4 {
        let _ = call!(layer, scripted(&[(500, true), (10, true)]));
    }
    assert_eq!(purse.snapshot().tokens, 2.0);
    assert_eq!((purse.snapshot().hedges, layer.handle().snapshot().hedges), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_for_a_service_of_its_own_and_nobody_waits_for_it() {
    let (service, mut inner) = mock::pair::<u32, &'static str>();
    let layer = HedgeLayer::new(hedge()).typed(copy);
    let handle = layer.handle();
    inner.allow(1);
    let mut service = layer.layer(service);
    assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
    let mut call = spawn(service.call(7));
    let (_, first) = assert_ready!(spawn(inner.next_request()).poll()).unwrap();
    assert_pending!(call.poll());
    tokio::time::advance(100 * MS).await;
    assert_pending!(call.poll());
    assert_eq!(handle.purse().snapshot().tokens, 99.0, "held, and not spent");
    first.send_response("here");
    assert_eq!(assert_ready_ok!(call.poll()), "here");
    assert_eq!((handle.snapshot().hedges, handle.purse().snapshot().returned), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_leaves_nothing_behind() {
    let (inner, layer) = (scripted(&[]), HedgeLayer::new(hedge()).typed(copy));
    let mut call = spawn(layer.layer(inner.clone()).oneshot(7));
    for _ in 0..3 {
        assert_pending!(call.poll());
        tokio::time::advance(100 * MS).await;
    }
    assert_eq!(inner.running.load(Relaxed), 3);
    drop(call);
    assert_eq!(inner.running.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_learnt_and_failures_do_not_teach() {
    let layer = HedgeLayer::new(Hedge::new().budget(Budget::new().min_tokens(1000))).typed(copy);
    for _ in 0..19 {
        let _ = call!(layer, scripted(&[(50, true)]));
        let _ = call!(layer, scripted(&[(10, false); 3]));
    }
    assert_eq!(layer.handle().snapshot().delay, None);
    let _ = call!(layer, scripted(&[(50, true)]));
    let delay = layer.handle().snapshot().delay.unwrap();
    assert!(delay > 48 * MS && delay < 53 * MS, "{delay:?}");
    let (answer, took, _) = call!(layer, scripted(&[(2000, true), (50, true)]));
    assert_eq!(answer, Ok(1));
    assert!((98..=103).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_learnt_below_the_floor() {
    let layer = HedgeLayer::new(Hedge::new().min_delay(20 * MS)).typed(copy);
    for _ in 0..30 {
        let _ = call!(layer, scripted(&[(1, true)]));
    }
    assert_eq!(layer.handle().snapshot().delay, Some(20 * MS));
}

#[tokio::test(start_paused = true)]
async fn no_copy_is_sent_that_could_not_end_in_time() {
    let layer = HedgeLayer::new(hedge()).typed(copy);
    for _ in 0..40 {
        let _ = call!(layer, scripted(&[(80, true)]));
    }
    for (left, sends) in [(160, 1), (200, 2)] {
        let inner = scripted(&[]);
        let context = bartizan_core::Context::new().with_deadline(Instant::now() + left * MS);
        let call = layer.layer(inner.clone()).oneshot(7);
        let _ = tokio::time::timeout(left * MS, context.scope(call)).await;
        assert_eq!(inner.sends().len(), sends, "{left}");
    }
    assert!(layer.handle().snapshot().hopeless >= 1);
}

#[tokio::test(start_paused = true)]
async fn copies_of_an_http_request_are_whole_numbered_marked_and_go_elsewhere() {
    type Seen = (Option<String>, Option<u32>, String, bool);
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let endpoints: [Endpoint; 3] = std::array::from_fn(|_| Endpoint::new());
    let calls = Arc::new(AtomicU32::new(0));
    let inner = service_fn({
        let seen = seen.clone();
        move |req: Request<Replay<String>>| {
            let (seen, n) = (seen.clone(), calls.fetch_add(1, Relaxed) as usize);
            endpoints[n].picked();
            async move {
                let attempt = req.headers().get("x-request-attempt").map(|n| n.to_str().unwrap().to_owned());
                let mark = req.extensions().get::<Hedged>().map(|mark| mark.copy());
                let avoid = req.extensions().get::<Avoid>().copied().unwrap_or_default();
                let avoids = endpoints[..n].iter().all(|before| avoid.contains(*before))
                    && !avoid.contains(endpoints[n]);
                let body = req.into_body().collect().await.unwrap().to_bytes();
                seen.lock().unwrap().push((attempt, mark, String::from_utf8(body.to_vec()).unwrap(), avoids));
                if n < 2 {
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(Response::new(String::from("here")))
            }
        }
    });
    let put = Request::put("/").body(String::from("the body")).unwrap();
    HedgeLayer::new(hedge()).layer(inner).oneshot(put).await.unwrap();
    let ought = [None, Some(1), Some(2)]
        .map(|n: Option<u32>| (n.map(|n| n.to_string()), n, "the body".to_owned(), true));
    assert_eq!(*seen.lock().unwrap(), ought);
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_repeated_is_hedged() {
    for (method, attempt, ought) in [("GET", None, 3), ("POST", None, 1), ("GET", Some("1"), 1)] {
        let calls = Arc::new(AtomicU32::new(0));
        let inner = service_fn({
            let calls = calls.clone();
            move |_: Request<Replay<String>>| {
                calls.fetch_add(1, Relaxed);
                std::future::pending::<Result<Response<String>, BoxError>>()
            }
        });
        let mut req = Request::builder().method(method).body(String::new()).unwrap();
        if let Some(attempt) = attempt {
            req.headers_mut().insert("x-request-attempt", attempt.parse().unwrap());
        }
        let call = HedgeLayer::new(hedge()).layer(inner).oneshot(req);
        assert!(tokio::time::timeout(1000 * MS, call).await.is_err());
        assert_eq!(calls.load(Relaxed), ought, "{method} {attempt:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_of_all_failures_tells_of_the_others() {
    let calls = Arc::new(AtomicU32::new(0));
    let inner = service_fn(move |_: Request<Replay<String>>| {
        let status = [500, 502, 503][calls.fetch_add(1, Relaxed) as usize];
        async move {
            tokio::time::sleep(MS).await;
            Ok::<_, BoxError>(Response::builder().status(status).body(String::new()).unwrap())
        }
    });
    let answer = HedgeLayer::new(hedge()).layer(inner).oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(answer.status(), 503);
    let ought = FailedCopies(vec![Outcome::Status(500), Outcome::Status(502)]);
    assert_eq!(answer.extensions().get(), Some(&ought));
}

#[test]
fn layers_services_and_futures_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(_: &T) {}
    let layer = HedgeLayer::new(hedge()).typed(copy);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut service = layer.layer(scripted(&[]));
    anywhere(&layer);
    anywhere(&service);
    anywhere(&layer.handle());
    sent(&service.call(7));
}
