//! Rows C03, C04, C06 and C09, as far as they are about retries.

use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_core::{Context, Instant};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_retry::{Backoff, Budget, Handle, Jitter, Retry, RetryLayer};
use bartizan_shed::{Shed, ShedLayer};
use bytes::Bytes;
use conformance::again::{Ask, DOWN, HANGS, OK, Saying, Stage, get, on_stage, poll};
use conformance::{Flavour, Probe, secs};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tower::util::BoxCloneService;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

fn retry(retries: u32) -> Retry {
    let backoff = Backoff::exponential(100 * MS, secs(1.0)).jitter(Jitter::None);
    Retry::new().max_retries(retries).backoff(backoff).budget(Budget::new().persistence(1.0).min_tokens(1000))
}

fn copy(ask: &Ask) -> Option<Ask> {
    Some(ask.clone())
}

/// Retry over breaker, whose pause is 5 s.
fn over_breaker(flavour: Flavour, value: Retry) -> Stage<(Handle, bartizan_breaker::Handle)> {
    let (retry, breaker) = (RetryLayer::new(value), BreakerLayer::new(Breaker::new()));
    let handles = (retry.handle(), breaker.handle());
    match flavour {
        Flavour::Http => Stage::http(handles, |inner| retry.layer(breaker.layer(inner))),
        Flavour::Typed => {
            let retry = retry.typed(copy).classify(Saying);
            Stage::typed(handles, |inner| retry.layer(breaker.typed().layer(inner)))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c03_retry_over_breaker() {
    let build = |flavour| over_breaker(flavour, retry(3));
    // It opens again before the deadline, if there is one: that is waited for.
    for left in [None, Some(secs(6.0))] {
        on_stage(build, async |stage| {
            let (retry, breaker) = stage.handle().clone();
            breaker.force_open_for(secs(5.0));
            let context =
                left.map_or(Context::new(), |left| Context::new().with_deadline(Instant::now() + left));
            let heard = context.scope(stage.call(&[OK])).await;
            assert_eq!((heard.said.as_str(), heard.at), ("200 from 0", secs(5.1)));
            // A bystander is refused as well, but hangs in its wait.
            assert_eq!(breaker.snapshot().refused, stage.mode().calls(), "one rejection, no spin");
            let seen = retry.snapshot();
            assert_eq!((seen.waited, seen.retries, seen.recovered), (1, 0, 1));
            let purse = retry.purse().snapshot();
            assert_eq!((purse.tokens, purse.retries, purse.failures_in_a_row), (1000.0, 0, 0));
        })
        .await;
    }
    // It does not: the call fails at once, with the rejection.
    on_stage(build, async |stage| {
        let (retry, breaker) = stage.handle().clone();
        breaker.force_open_for(secs(5.0));
        let context = Context::new().with_deadline(Instant::now() + secs(5.0));
        let heard = context.scope(stage.call(&[OK])).await;
        assert_eq!((heard.said.as_str(), heard.at), ("refused by breaker: open: forced", Duration::ZERO));
        assert_eq!((stage.sent().len(), retry.snapshot().out_of_time), (0, stage.mode().calls()));
        assert_eq!(retry.purse().snapshot().tokens, 1000.0);

        // Nor does it say when.
        breaker.force_open();
        let heard = stage.call(&[OK]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("refused by breaker: forced open", Duration::ZERO));
        assert_eq!((stage.sent().len(), retry.snapshot().refused), (0, stage.mode().calls()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn c06_time_limit_inside_vs_outside_of_retry() {
    let limited = |inside: bool| {
        move |flavour| {
            let layer = RetryLayer::new(retry(2));
            // From the call on, as the retry is to know of it.
            let limit = DeadlineLayer::new(Deadline::new(400 * MS).from_call(true)).outgoing();
            match (flavour, inside) {
                (Flavour::Http, true) => Stage::http((), |inner| layer.layer(limit.layer(inner))),
                (Flavour::Http, false) => Stage::http((), |inner| limit.layer(layer.layer(inner))),
                (Flavour::Typed, inside) => {
                    let (layer, limit) = (layer.typed(copy).classify(Saying), limit.typed());
                    match inside {
                        true => Stage::typed((), |inner| layer.layer(limit.layer(inner))),
                        false => Stage::typed((), |inner| limit.layer(layer.layer(inner))),
                    }
                }
            }
        }
    };
    const PASSED: &str = "refused by deadline: deadline passed";
    on_stage(limited(true), async |stage| {
        let heard = stage.call(&[HANGS]).await;
        assert_eq!((heard.said.as_str(), stage.times()), (PASSED, vec![0, 500, 1100]));
        assert_eq!(heard.at, secs(1.5), "each attempt has its own");
    })
    .await;
    on_stage(limited(false), async |stage| {
        let heard = stage.call(&[HANGS]).await;
        assert_eq!((heard.said.as_str(), heard.at, stage.times()), (PASSED, 400 * MS, vec![0]));
    })
    .await;
}

/// A server, as its client reaches it.
type Server = BoxCloneService<Request<Bytes>, Response<Full<Bytes>>, BoxError>;

async fn whole<B>(response: Response<B>) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    Ok(Response::from_parts(head, Full::new(body)))
}

/// A client of a server that retries. Between them is a wire: head and body alone come across.
fn client(layer: &RetryLayer, server: &Server) -> Server {
    let server = server.clone();
    let wire = service_fn(move |request: Request<bartizan_http::Replay<Full<Bytes>>>| {
        let server = server.clone();
        async move {
            let (head, body) = request.into_parts();
            let mut sent = Request::new(body.collect().await?.to_bytes());
            (*sent.method_mut(), *sent.uri_mut(), *sent.headers_mut()) =
                (head.method, head.uri, head.headers);
            // It runs elsewhere, and knows nothing of what is ambient here.
            let response = tokio::spawn(server.oneshot(sent)).await??;
            Ok::<_, BoxError>(response)
        }
    });
    let client = layer.layer(wire).map_request(|request: Request<Bytes>| request.map(Full::new));
    let client = client.and_then(whole);
    BoxCloneService::new(client)
}

/// A server that answers what another one answers. It makes a request of its own.
fn tier(next: Server) -> Server {
    let handler = service_fn(move |_: Request<Bytes>| next.clone().oneshot(Request::new(Bytes::new())));
    let server = DeadlineLayer::new(secs(30.0)).layer(handler).and_then(whole);
    BoxCloneService::new(server)
}

/// Three clients that retry, one behind the other, and what the last server sees of so many calls.
async fn seen_by_the_last(calls: u64, good: u64, budget: Budget) -> u64 {
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    let c = Probe::new(move |_: Request<Bytes>| {
        let status = if count.fetch_add(1, SeqCst) < good { 200 } else { 503 };
        let response = Response::builder().status(status).body(Full::new(Bytes::new())).unwrap();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let c: Server = BoxCloneService::new(c.map_err(|never| match never {}));
    let layer = |seed| RetryLayer::new(retry(2).budget(budget.seed(seed)));
    let b = tier(client(&layer(1), &c));
    let a = tier(client(&layer(2), &b));
    let edge = client(&layer(3), &a);
    for _ in 0..good {
        assert_eq!(edge.clone().oneshot(Request::new(Bytes::new())).await.unwrap().status(), 200);
    }
    assert_eq!(served.load(SeqCst), good);
    for _ in 0..calls {
        assert_eq!(edge.clone().oneshot(Request::new(Bytes::new())).await.unwrap().status(), 503);
    }
    served.load(SeqCst) - good
}

#[tokio::test(start_paused = true)]
async fn c09_nested_retry_does_not_multiply() {
    // By the rule alone that one tier retries: 1 + 2 + 2 + 2 for each call, and not 3 × 3 × 3.
    let seen = seen_by_the_last(100, 0, Budget::new().persistence(1.0).min_tokens(1000)).await;
    assert_eq!(seen, 700);
    // With the default budget on top, it is a tenth more.
    for good in [0, 1000] {
        let seen = seen_by_the_last(100, good, Budget::new()).await;
        assert!((101..=110).contains(&seen), "{good}: {seen}");
    }
}

/// Retry over a limit of one at a time.
fn over_limit(flavour: Flavour) -> Stage<(Handle, bartizan_shed::Handle)> {
    let (retry, shed) = (RetryLayer::new(retry(3)), ShedLayer::new(Shed::fixed(1)));
    let handles = (retry.handle(), shed.handle());
    match flavour {
        Flavour::Http => Stage::http(handles, |inner| retry.layer(shed.layer(inner))),
        Flavour::Typed => {
            let retry = retry.typed(copy).classify(Saying);
            Stage::typed(handles, |inner| retry.layer(shed.typed().layer(inner)))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c04_limit_under_retry() {
    on_stage(over_limit, async |stage| {
        let (retry, shed) = stage.handle().clone();
        let mut failing = stage.start(get(), &[DOWN, DOWN, OK]).await;
        for wait in [100, 200] {
            assert!(poll(&mut failing).is_pending());
            assert_eq!(shed.snapshot().in_flight, 0, "it waits, and holds no place");
            let heard = stage.call(&[OK]).await;
            assert_eq!((heard.said.as_str(), heard.at), ("200 from 0", Duration::ZERO));
            tokio::time::sleep(MS * wait).await;
        }
        let heard = failing.await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 2", 300 * MS));
        assert_eq!((retry.snapshot().retries, shed.snapshot().in_flight), (2, 0));
    })
    .await;
}
