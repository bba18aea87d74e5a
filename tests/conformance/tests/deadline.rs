//! Rows D01 to D22: deadline and time-out.

use bartizan_core::{Context, Instant, Refused, find_cause};
use bartizan_deadline::{Deadline, DeadlineLayer, Upload};
use bartizan_http::wire::{self, GRPC_TIMEOUT, REQUEST_TIMEOUT};
use bytes::Bytes;
use conformance::{Mode, Probe};
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::error::Error;
use std::future::{pending, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;
use tokio::time::{advance, sleep, sleep_until, timeout};
use tower::{Layer, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

const EXPIRED: Option<&str> = Some("expired on arrival");
const TOO_LITTLE: Option<&str> = Some("too little time left");
const PASSED: Option<&str> = Some("deadline passed");
const NO_HEAD: Option<&str> = Some("no head in time");
const IDLE: Option<&str> = Some("body stood still");
const IDLE_UPLOAD: Option<&str> = Some("upload stood still");

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// A request with a content type and a time-out, as HTTP and as gRPC write it.
fn get(grpc: bool, left: &str) -> Request<()> {
    let (kind, name) =
        if grpc { ("application/grpc", GRPC_TIMEOUT) } else { ("text/plain", REQUEST_TIMEOUT) };
    let request = Request::builder().header("content-type", kind);
    if left.is_empty() { request.body(()) } else { request.header(name, left).body(()) }.expect("a request")
}

fn answer() -> Answer {
    Ok(Response::new(Full::from("done")))
}

/// The reason of a layer's own no.
fn reason<B>(response: &Response<B>) -> Option<&'static str> {
    response.extensions().get::<Refused>().map(Refused::reason)
}

fn left() -> Option<Duration> {
    Context::current()?.remaining(Instant::now())
}

async fn took<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let out = future.await;
    (out, Instant::now() - start)
}

/// A body of frames, each after its pause.
fn drip(pauses: impl IntoIterator<Item = Duration, IntoIter: Send + 'static>) -> Channel<Bytes> {
    let (mut sender, body) = Channel::new(1);
    let pauses = pauses.into_iter();
    tokio::spawn(async move {
        for pause in pauses {
            sleep(pause).await;
            if sender.send_data(Bytes::from_static(b"drop")).await.is_err() {
                return;
            }
        }
    });
    body
}

fn dripping(kind: &'static str, body: Channel<Bytes>) -> Result<Response<Channel<Bytes>>, Infallible> {
    Ok(Response::builder().header("content-type", kind).body(body).expect("a response"))
}

/// Reads a body to its end; returns its data frames and the reason for which it was cut.
async fn read<B>(body: B) -> (usize, Option<&'static str>)
where
    B: Body<Error = Box<dyn Error + Send + Sync>>,
{
    let (mut body, mut frames) = (pin!(body), 0);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => frames += usize::from(frame.is_data()),
            Err(error) => return (frames, find_cause::<Refused>(&*error).map(Refused::reason)),
        }
    }
    (frames, None)
}

#[tokio::test(start_paused = true)]
async fn d01_none_given() {
    for mode in Mode::ALL {
        let probe = Probe::new(|_: Request<()>| {
            assert_eq!(left(), Some(2 * S));
            pending::<Answer>()
        });
        let mut web = DeadlineLayer::new(2 * S).layer(probe);
        let (response, after) = took(mode.call(&mut web, || get(false, ""))).await;
        assert_eq!((reason(&response.unwrap()), after), (PASSED, 2 * S), "{mode:?}");

        let mut typed =
            DeadlineLayer::new(2 * S).typed().layer(Probe::new(|()| pending::<Result<(), Refused>>()));
        let (result, after) = took(mode.call(&mut typed, || ())).await;
        assert_eq!((Some(result.unwrap_err().reason()), after), (PASSED, 2 * S), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn d02_smaller_wins() {
    for mode in Mode::ALL {
        for (grpc, header, ought) in [
            (false, "500", 500 * MS),
            (false, "10000", 2 * S),
            (true, "500m", 500 * MS),
            (true, "10S", 2 * S),
        ] {
            let mut web = DeadlineLayer::new(2 * S).layer(Probe::new(|_| pending::<Answer>()));
            let (response, after) = took(mode.call(&mut web, || get(grpc, header))).await;
            assert_eq!((reason(&response.unwrap()), after), (PASSED, ought), "{mode:?} {header}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d03_dead_on_arrival() {
    for mode in Mode::ALL {
        let probe = Probe::new(|_: Request<()>| ready(answer()));
        let (tally, layer) = (probe.tally(), DeadlineLayer::new(2 * S));
        let mut web = layer.layer(probe);

        let response = mode.call(&mut web, || get(false, "0")).await.unwrap();
        assert_eq!((response.status().as_u16(), reason(&response)), (504, EXPIRED));
        let response = mode.call(&mut web, || get(true, "0m")).await.unwrap();
        assert_eq!((response.status().as_u16(), reason(&response)), (200, EXPIRED));
        assert_eq!(response.headers()["grpc-status"], "4");
        let passed = Context::new().with_deadline(Instant::now());
        let response = passed.scope(mode.call(&mut web, || get(false, ""))).await.unwrap();
        assert_eq!((response.status().as_u16(), reason(&response)), (504, EXPIRED));

        let refused = response.extensions().get::<Refused>().unwrap();
        assert!(!refused.reached());
        assert_eq!(tally.calls(), 0);
        assert_eq!(layer.handle().snapshot().expired, 3 * mode.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn d04_travels_shrunk() {
    for mode in Mode::ALL {
        for (margin, ought) in [(Duration::ZERO, "700"), (50 * MS, "650")] {
            let sent = Arc::new(Mutex::new(None));
            let seen = sent.clone();
            let next = DeadlineLayer::new(Deadline::new(10 * S).margin(margin)).outgoing().layer(service_fn(
                move |req: Request<()>| {
                    *seen.lock().unwrap() = req.headers().get(REQUEST_TIMEOUT).cloned();
                    ready(answer())
                },
            ));
            let probe = Probe::new(move |_: Request<()>| {
                let next = next.clone();
                async move {
                    sleep(300 * MS).await;
                    next.oneshot(get(false, "")).await.unwrap();
                    answer()
                }
            });
            let mut web = DeadlineLayer::new(2 * S).layer(probe);
            mode.call(&mut web, || get(false, "1000")).await.unwrap();
            assert_eq!(sent.lock().unwrap().take().unwrap(), ought, "{mode:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d05_grpc_form() {
    for mode in Mode::ALL {
        for (header, ought) in [
            ("1H", 3600 * S),
            ("2M", 120 * S),
            ("3S", 3 * S),
            ("4m", 4 * MS),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            let probe = Probe::new(move |_: Request<()>| {
                assert_eq!(left(), Some(ought), "{header}");
                ready(answer())
            });
            let mut web = DeadlineLayer::new(Duration::MAX).layer(probe);
            assert_eq!(reason(&mode.call(&mut web, || get(true, header)).await.unwrap()), None);
        }
        for (left, ought) in [
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_000), "100000u"),
            (Duration::from_nanos(123_456_789), "123456u"),
            (100 * S, "100000m"),
            (100_000 * S + 999 * MS, "100000S"),
            (99_999_999 * S, "99999999S"),
            (100_000_000 * S, "1666666M"),
        ] {
            let probe = Probe::new(move |req: Request<()>| {
                assert_eq!(req.headers()[GRPC_TIMEOUT], ought, "{left:?}");
                ready(answer())
            });
            let mut client = DeadlineLayer::new(left).outgoing().layer(probe);
            assert_eq!(reason(&mode.call(&mut client, || get(true, "")).await.unwrap()), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d06_malformed_is_absent_and_counted() {
    let one = |value: &str| vec![HeaderValue::from_bytes(value.as_bytes()).unwrap()];
    let mut rows: Vec<Vec<HeaderValue>> =
        ["", "m", "-1S", "+1S", "1.5S", "1 S", "123456789m", "1s", "٣S"].map(one).into();
    rows.push([one("1S"), one("1S")].concat());
    for mode in Mode::ALL {
        for values in &rows {
            let request = || {
                let mut request = get(true, "");
                for value in values {
                    request.headers_mut().append(GRPC_TIMEOUT, value.clone());
                }
                request
            };
            let probe = Probe::new(|_: Request<()>| {
                assert_eq!(left(), Some(2 * S));
                ready(answer())
            });
            let (tally, layer) = (probe.tally(), DeadlineLayer::new(2 * S));
            let response = mode.call(&mut layer.layer(probe), request).await.unwrap();
            assert_eq!((reason(&response), tally.calls()), (None, mode.calls()), "{values:?}");
            assert_eq!(layer.handle().snapshot().malformed, mode.calls(), "{values:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d07_huge_but_legal() {
    for mode in Mode::ALL {
        for (grpc, header) in
            [(true, "99999999H"), (false, "18446744073709551615"), (false, "99999999999999999999")]
        {
            let mut web = DeadlineLayer::new(2 * S).layer(Probe::new(|_| pending::<Answer>()));
            let (response, after) = took(mode.call(&mut web, || get(grpc, header))).await;
            assert_eq!((reason(&response.unwrap()), after), (PASSED, 2 * S), "{header}");

            let mut web = DeadlineLayer::new(Duration::MAX).layer(Probe::new(|_| pending::<Answer>()));
            let year = 365 * 24 * 3600 * S;
            assert!(timeout(year, mode.call(&mut web, || get(grpc, header))).await.is_err(), "{header}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d08_zero() {
    for mode in Mode::ALL {
        for (grpc, header) in [(true, "0m"), (true, "0n"), (true, "00000000H"), (false, "0"), (false, "000")]
        {
            let probe = Probe::new(|_: Request<()>| ready(answer()));
            let tally = probe.tally();
            let mut web = DeadlineLayer::new(2 * S).layer(probe);
            assert_eq!(reason(&mode.call(&mut web, || get(grpc, header)).await.unwrap()), EXPIRED);
            assert_eq!(tally.calls(), 0, "{header}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d09_inner_stops() {
    for mode in Mode::ALL {
        let probe = Probe::new(|_: Request<()>| pending::<Answer>());
        let tally = probe.tally();
        let mut web = DeadlineLayer::new(2 * S).layer(probe);
        let mut call = pin!(mode.start(&mut web, || get(false, "")).await.unwrap());
        assert!(timeout(1_999 * MS, call.as_mut()).await.is_err());
        assert_eq!(tally.running(), 1, "{mode:?}");

        let mut at_once = task::Context::from_waker(Waker::noop());
        advance(MS).await;
        let Poll::Ready(response) = call.as_mut().poll(&mut at_once) else {
            panic!("the deadline has passed")
        };
        assert_eq!(tally.running(), 0, "{mode:?}: dropped with the answer, and not with the future");

        let typed = DeadlineLayer::new(2 * S).typed();
        let probe = Probe::new(|()| pending::<Result<(), Refused>>());
        let typed_tally = probe.tally();
        let mut typed = pin!(mode.start(&mut typed.layer(probe), || ()).await.unwrap());
        assert!(timeout(2 * S, typed.as_mut()).await.unwrap().is_err());
        assert_eq!(typed_tally.running(), 0, "{mode:?}: dropped with the error, and not with the future");

        let response = response.unwrap();
        let refused = response.extensions().get::<Refused>().unwrap();
        assert_eq!((refused.layer(), refused.reached()), ("deadline", true));
    }
}

#[tokio::test(start_paused = true)]
async fn d10_tie() {
    for mode in Mode::ALL {
        let probe = Probe::new(|_: Request<()>| async {
            sleep_until(Instant::now() + 2 * S).await;
            answer()
        });
        let mut web = DeadlineLayer::new(2 * S).layer(probe);
        let (response, after) = took(mode.call(&mut web, || get(false, ""))).await;
        assert_eq!((reason(&response.unwrap()), after), (None, 2 * S), "{mode:?}");

        let probe = Probe::new(|()| async {
            sleep_until(Instant::now() + 2 * S).await;
            Ok::<_, Refused>("done")
        });
        let mut typed = DeadlineLayer::new(2 * S).typed().layer(probe);
        assert_eq!(took(mode.call(&mut typed, || ())).await, (Ok("done"), 2 * S), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn d11_whose_fault() {
    #[derive(Debug, PartialEq)]
    enum Fault {
        Ours(&'static str),
        Theirs,
    }
    impl From<Refused> for Fault {
        fn from(refused: Refused) -> Self {
            Self::Ours(refused.reason())
        }
    }
    for mode in Mode::ALL {
        let layer = DeadlineLayer::new(2 * S).typed();
        let handle = layer.handle();
        let mut hangs = layer.layer(Probe::new(|()| pending::<Result<(), Fault>>()));
        assert_eq!(mode.call(&mut hangs, || ()).await, Err(Fault::Ours("deadline passed")));
        let ours = handle.snapshot();
        assert_eq!((ours.timed_out, ours.abandoned), (1, mode.calls() - 1));

        let mut theirs = layer.layer(Probe::new(|()| ready(Err::<(), _>(Fault::Theirs))));
        assert_eq!(mode.call(&mut theirs, || ()).await, Err(Fault::Theirs));
        assert_eq!(handle.snapshot(), ours);

        assert!(timeout(S, mode.call(&mut hangs, || ())).await.is_err(), "the caller leaves");
        let gone = handle.snapshot();
        assert_eq!((gone.timed_out, gone.abandoned - ours.abandoned), (1, mode.calls()));

        let theirs = |_: Request<()>| {
            let status = http::StatusCode::GATEWAY_TIMEOUT;
            let answer: Answer = Ok(Response::builder().status(status).body(Full::from("theirs")).unwrap());
            ready(answer)
        };
        let response =
            mode.call(&mut DeadlineLayer::new(2 * S).layer(Probe::new(theirs)), || get(false, "")).await;
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), reason(&response)), (504, None));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "theirs");
    }
}

#[tokio::test(start_paused = true)]
async fn d12_phases() {
    let phases = Deadline::new(60 * S).head_timeout(S).idle_timeout(5 * S);
    for mode in Mode::ALL {
        let mut web = DeadlineLayer::new(phases).layer(Probe::new(|_| pending::<Answer>()));
        let (response, after) = took(mode.call(&mut web, || get(false, ""))).await;
        assert_eq!((reason(&response.unwrap()), after), (NO_HEAD, S), "slow head");

        for (pauses, ought) in [
            (vec![4 * S, 4 * S, 4 * S, 3600 * S], ((3, IDLE), 17 * S)),
            (vec![4 * S; 100], ((14, PASSED), 60 * S)),
            (vec![4 * S; 14], ((14, None), 56 * S)),
        ] {
            let probe = Probe::new(move |_: Request<()>| ready(dripping("text/plain", drip(pauses.clone()))));
            let response = mode.call(&mut DeadlineLayer::new(phases).layer(probe), || get(false, "")).await;
            assert_eq!(took(read(response.unwrap().into_body())).await, ought, "stalled body");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d12_phases_of_an_upload() {
    let phases = Deadline::new(60 * S).head_timeout(S).idle_timeout(5 * S);
    for mode in Mode::ALL {
        for (pauses, thinks, ought) in [
            (vec![2 * S; 10], 500 * MS, (None, 20_500 * MS)),
            (vec![2 * S; 10], 1_500 * MS, (NO_HEAD, 21 * S)),
            (vec![2 * S, 3600 * S], S, (IDLE_UPLOAD, 7 * S)),
            (vec![4 * S; 100], S, (PASSED, 60 * S)),
            (vec![], 1_500 * MS, (NO_HEAD, S)),
        ] {
            for elsewhere in [false, true] {
                let reads = move |req: Request<Upload<Channel<Bytes>>>| async move {
                    let read = req.into_body().collect();
                    // A client reads the upload on the task of its connection.
                    if elsewhere { tokio::spawn(read).await.unwrap() } else { read.await }?;
                    sleep(thinks).await;
                    answer()
                };
                let mut web = DeadlineLayer::new(phases).uploads().layer(Probe::new(reads));
                let (response, after) =
                    took(mode.call(&mut web, || Request::new(drip(pauses.clone())))).await;
                assert_eq!((reason(&response.unwrap()), after), ought, "{mode:?} {pauses:?} {elsewhere}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d13_nested() {
    for mode in Mode::ALL {
        let outer = DeadlineLayer::new(100 * MS).named("outer");
        let inner = DeadlineLayer::new(50 * MS).named("inner");
        let mut web = outer.layer(inner.layer(Probe::new(|_: Request<()>| pending::<Answer>())));
        let (response, after) = took(mode.call(&mut web, || get(false, ""))).await;
        let name = response
            .unwrap()
            .extensions()
            .get::<Refused>()
            .and_then(|refused| refused.name().map(String::from));
        assert_eq!((name.as_deref(), after), (Some("inner"), 50 * MS), "{mode:?}");
        assert_eq!((outer.handle().snapshot().timed_out, inner.handle().snapshot().timed_out), (0, 1));

        let (outer, inner) = (DeadlineLayer::new(100 * MS).typed(), DeadlineLayer::new(50 * MS).typed());
        let (outer_handle, inner_handle) = (outer.handle(), inner.handle());
        let mut typed = outer.layer(inner.layer(Probe::new(|()| pending::<Result<(), Refused>>())));
        let (result, after) = took(mode.call(&mut typed, || ())).await;
        assert_eq!((result.is_err(), after), (true, 50 * MS), "{mode:?}");
        assert_eq!((outer_handle.snapshot().timed_out, inner_handle.snapshot().timed_out), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn d14_over_everything() {
    for mode in Mode::ALL {
        let probe = Probe::new(|()| pending::<Result<(), Refused>>());
        let tally = probe.tally();
        let hedge = service_fn(move |()| {
            let copy = {
                let probe = probe.clone();
                move || probe.clone().oneshot(())
            };
            async move { tokio::join!(copy(), copy(), copy()).0 }
        });
        let mut all = DeadlineLayer::new(500 * MS).typed().layer(hedge);
        let (result, after) = took(mode.call(&mut all, || ())).await;
        assert_eq!((Some(result.unwrap_err().reason()), after), (PASSED, 500 * MS), "{mode:?}");
        assert_eq!((tally.dropped(), tally.running()), (3 * mode.calls(), 0));

        let probe = Probe::new(|()| pending::<Result<(), Refused>>());
        let tally = probe.tally();
        let attempt = DeadlineLayer::new(200 * MS).typed().layer(probe);
        let retry = service_fn(move |()| {
            let attempt = attempt.clone();
            async move {
                loop {
                    if let Ok(done) = attempt.clone().oneshot(()).await {
                        return Ok::<(), Refused>(done);
                    }
                }
            }
        });
        let mut all = DeadlineLayer::new(500 * MS).typed().layer(retry);
        let (result, after) = took(mode.call(&mut all, || ())).await;
        assert_eq!((Some(result.unwrap_err().reason()), after), (PASSED, 500 * MS), "{mode:?}");
        assert_eq!((tally.dropped(), tally.running()), (2 + mode.calls(), 0), "two attempts ended, one cut");
    }
}

#[tokio::test(start_paused = true)]
async fn d15_combining_two() {
    let now = Instant::now();
    let context = |seconds: Option<u64>| match seconds {
        Some(seconds) => Context::new().with_deadline(now + Duration::from_secs(seconds)),
        None => Context::new(),
    };
    let all = [None, Some(1), Some(2), Some(3)];
    for a in all {
        for b in all {
            let (first, second) = (context(a), context(b));
            assert_eq!(first.narrow(second), second.narrow(first));
            for c in all.map(context) {
                assert_eq!(first.narrow(second).narrow(c), first.narrow(second.narrow(c)));
            }
            for mode in Mode::ALL {
                let ought = [a, b, Some(5)].into_iter().flatten().min().map(Duration::from_secs);
                let probe = Probe::new(move |_: Request<()>| {
                    assert_eq!(left(), ought);
                    ready(answer())
                });
                let mut web = DeadlineLayer::new(5 * S).layer(probe);
                let header = b.map_or(String::new(), |seconds| (seconds * 1000).to_string());
                let response = first.scope(mode.call(&mut web, || get(false, &header))).await.unwrap();
                assert_eq!(reason(&response), None);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d16_round_trip() {
    let mut dice = 16u64;
    for mode in Mode::ALL {
        for turn in 0..2_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let total = MS + Duration::from_nanos(dice >> (8 + turn % 50));
            let grpc = turn % 2 == 0;
            let server = service_fn(|req: Request<()>| {
                let (origin, grpc) = (left().unwrap(), req.headers()["content-type"] == "application/grpc");
                let arrived = wire::read_timeout(req.headers(), grpc).value().unwrap();
                let handler = service_fn(move |_: Request<()>| {
                    let left = left().unwrap();
                    assert!(left <= origin && left == arrived, "{origin:?} became {left:?}");
                    ready(answer())
                });
                // The server is another process: nothing ambient reaches it.
                Context::new().scope(DeadlineLayer::new(Duration::MAX).layer(handler).oneshot(req))
            });
            let mut client =
                DeadlineLayer::new(total).outgoing().layer(Probe::new(move |req| server.oneshot(req)));
            let response = mode.call(&mut client, || get(grpc, "")).await.unwrap();
            assert_eq!(reason(&response), None, "{total:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d17_guard_against_bad_clocks() {
    for mode in Mode::ALL {
        for guarded in [true, false] {
            let value = Deadline::new(2 * S).max_refused_share(if guarded { 0.2 } else { 1.0 });
            let layer = DeadlineLayer::new(value);
            let probe = Probe::new(|_: Request<()>| {
                assert_eq!(left(), Some(2 * S), "what is served gets the layer's own time");
                ready(answer())
            });
            let tally = probe.tally();
            let mut web = layer.layer(probe);
            let mut refused = Vec::new();
            for _ in 0..3_000 {
                advance(10 * MS).await;
                let response = mode.call(&mut web, || get(false, "0")).await.unwrap();
                refused.push(reason(&response) == EXPIRED);
            }
            let (counted, all) = (layer.handle().snapshot(), 3_000 * mode.calls());
            if guarded {
                for window in refused.windows(1_000) {
                    let no = window.iter().filter(|refused| **refused).count();
                    assert!((190..=201).contains(&no), "{mode:?}: {no} of 1000 in ten seconds");
                }
                assert_eq!((counted.expired + counted.withheld, tally.calls()), (all, counted.withheld));
            } else {
                assert_eq!((counted.expired, tally.calls()), (all, 0));
                assert!(refused.iter().all(|refused| *refused));
            }
        }
    }
}

/// A share of late requests that is below the bound is refused to the last one: the others fund it.
#[tokio::test(start_paused = true)]
async fn d17_guard_lets_the_ordinary_be_refused() {
    for mode in Mode::ALL {
        let layer = DeadlineLayer::new(Deadline::new(2 * S).max_refused_share(0.2));
        let mut web = layer.layer(Probe::new(|_: Request<()>| ready(answer())));
        for turn in 0..1_000 {
            advance(10 * MS).await;
            let late = turn % 10 == 9;
            let response = mode.call(&mut web, || get(false, if late { "0" } else { "500" })).await.unwrap();
            assert_eq!(reason(&response), EXPIRED.filter(|_| late), "{mode:?} {turn}");
        }
        assert_eq!(layer.handle().snapshot().withheld, 0);
    }
}

#[tokio::test]
async fn d18_timers_do_not_pile_up() {
    /// Is held once by every timer that would wake the task.
    struct Alarm;
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {}
    }
    let alarm = Arc::new(Alarm);
    let waker = Waker::from(alarm.clone());
    let timers = || Arc::strong_count(&alarm) - 2;
    let mut cx = task::Context::from_waker(&waker);

    for mode in Mode::ALL {
        let hour = DeadlineLayer::new(3600 * S).typed();
        let mut quick = hour.layer(Probe::new(|()| ready(Ok::<_, Refused>(()))));
        for _ in 0..333_334 {
            let mut call = pin!(mode.call(&mut quick, || ()));
            assert!(call.as_mut().poll(&mut cx).is_ready());
            assert_eq!(timers(), 0, "a call that never waited set a timer");
        }

        let hangs = hour.layer(Probe::new(|()| pending::<Result<(), Refused>>()));
        let call = || {
            let mut hangs = hangs.clone();
            Box::pin(async move { mode.call(&mut hangs, || ()).await })
        };
        let mut calls: Vec<_> = (0..100).map(|_| call()).collect();
        assert!(calls.iter_mut().all(|call| call.as_mut().poll(&mut cx).is_pending()));
        assert_eq!(timers(), 100);
        assert!(calls.iter_mut().all(|call| call.as_mut().poll(&mut cx).is_pending()));
        assert_eq!(timers(), 100, "a second poll set a second timer");
        calls.truncate(60);
        assert_eq!(timers(), 60);
        calls.clear();
        assert_eq!(timers(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn d19_visible() {
    for mode in Mode::ALL {
        let next = DeadlineLayer::new(10 * S).outgoing().layer(service_fn(|req: Request<()>| {
            let sent = wire::read_timeout(req.headers(), true).value();
            let answer: Answer = Ok(Response::new(Full::from(format!("{sent:?}"))));
            ready(answer)
        }));
        let probe = Probe::new(move |_: Request<()>| {
            let next = next.clone();
            async move {
                sleep(300 * MS).await;
                let asked = format!("{:?}", left());
                let sent = next.oneshot(get(true, "")).await?.into_body().collect().await;
                assert_eq!(sent.map_err(|_| ()).unwrap().to_bytes(), asked);
                assert_eq!(asked, "Some(1.2s)");
                answer()
            }
        });
        let mut web = DeadlineLayer::new(2 * S).layer(probe);
        assert_eq!(reason(&mode.call(&mut web, || get(true, "1500m")).await.unwrap()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn d20_streams() {
    let value = Deadline::new(2 * S).idle_timeout(5 * S);
    let (ten_minutes, stalls) = (vec![4 * S; 150], vec![4 * S, 4 * S, 3600 * S]);
    for mode in Mode::ALL {
        for (value, kind, pauses, ought) in [
            (value, "text/event-stream", &ten_minutes, ((150, None), 600 * S)),
            (value, "Text/Event-Stream; charset=utf-8", &ten_minutes, ((150, None), 600 * S)),
            (value.stream(true), "application/x-ndjson", &ten_minutes, ((150, None), 600 * S)),
            (value, "text/event-stream", &stalls, ((2, IDLE), 13 * S)),
            (value, "application/x-ndjson", &ten_minutes, ((0, PASSED), 2 * S)),
        ] {
            let (layer, pauses) = (DeadlineLayer::new(value), pauses.clone());
            let probe = Probe::new(move |_: Request<()>| ready(dripping(kind, drip(pauses.clone()))));
            let response = mode.call(&mut layer.layer(probe), || get(false, "")).await.unwrap();
            assert_eq!(took(read(response.into_body())).await, ought, "{mode:?} {kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d21_extreme_limits() {
    for mode in Mode::ALL {
        let probe = Probe::new(|()| ready(Ok::<_, Refused>(())));
        let tally = probe.tally();
        let mut never = DeadlineLayer::new(Duration::ZERO).typed().layer(probe);
        let refused = mode.call(&mut never, || ()).await.unwrap_err();
        assert_eq!((Some(refused.reason()), refused.reached(), tally.calls()), (EXPIRED, false, 0));

        let max = Duration::MAX;
        let mut end_of_time = Instant::now();
        for bit in (0..128).rev() {
            let (secs, nanos) = if bit < 64 { (0, 1 << bit) } else { (1 << (bit - 64), 0) };
            let step = Duration::from_secs(secs) + Duration::from_nanos(nanos);
            end_of_time = end_of_time.checked_add(step).unwrap_or(end_of_time);
        }
        let far = Context::new().with_deadline(end_of_time);
        let year = 365 * 24 * 3600 * S;
        for value in
            [Deadline::new(max), Deadline::new(max).head_timeout(max).idle_timeout(max).min_remaining(max)]
        {
            for given in [Context::new(), far] {
                let mut typed = DeadlineLayer::new(value)
                    .typed()
                    .layer(Probe::new(|()| pending::<Result<(), Refused>>()));
                assert!(given.scope(timeout(year, mode.call(&mut typed, || ()))).await.is_err());
                let mut web = DeadlineLayer::new(value).layer(Probe::new(|_| pending::<Answer>()));
                assert!(given.scope(timeout(year, mode.call(&mut web, || get(false, "")))).await.is_err());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d22_too_little_left_to_try() {
    for mode in Mode::ALL {
        let layer = DeadlineLayer::new(Deadline::new(2 * S).min_remaining(10 * MS));
        let probe = Probe::new(|_: Request<()>| ready(answer()));
        let tally = probe.tally();
        let mut web = layer.layer(probe);
        let response = mode.call(&mut web, || get(false, "2")).await.unwrap();
        let refused = response.extensions().get::<Refused>().unwrap();
        assert_eq!((Some(refused.reason()), refused.reached()), (TOO_LITTLE, false));
        assert_eq!((response.status().as_u16(), tally.calls()), (504, 0));
        assert_eq!(layer.handle().snapshot().too_little, mode.calls());
        assert_eq!(reason(&mode.call(&mut web, || get(false, "10")).await.unwrap()), None);

        let mut typed = layer.typed().layer(Probe::new(|()| ready(Ok::<_, Refused>(()))));
        let near = Context::new().with_deadline(Instant::now() + 2 * MS);
        let refused = near.scope(mode.call(&mut typed, || ())).await.unwrap_err();
        assert_eq!(Some(refused.reason()), TOO_LITTLE);
    }
}
