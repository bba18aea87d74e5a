//! Rows S01 to S04 and S16: a fixed limit.

use crate::{MS, SECOND, end, shed};
use bartizan_core::{Kind, Refused};
use bartizan_shed::{Handle, Shed, ShedLayer};
use bytes::Bytes;
use conformance::crowd::{How, Is, Visit, in_a_crowd, in_a_crowd_http};
use conformance::{Mode, Probe};
use http::{Request, Response};
use http_body_util::{BodyExt, Channel, Full};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn s01_fixed_limit() {
    in_a_crowd(shed(Shed::fixed(10).seed(1)), async |crowd| {
        let mut guests = crowd.enter_all(10, Visit::new);
        assert!(guests.iter_mut().all(|guest| guest.is() == Is::Running));
        let mut waits = BTreeSet::new();
        for _ in 0..20 {
            let mut late = crowd.enter(Visit::new());
            let refused = late.refused();
            assert_eq!((refused.layer(), refused.reason()), ("shed", "over the limit"));
            assert_eq!((refused.kind(), refused.reached()), (Kind::Unavailable, false));
            let wait = refused.retry_after().unwrap();
            assert!((SECOND..=2 * SECOND).contains(&wait), "{wait:?}");
            waits.insert(wait);
        }
        assert!(waits.len() > 10, "they come back spread: {waits:?}");
        assert_eq!(crowd.tally().running(), 10);
        assert_eq!(crowd.handle().snapshot().in_flight, 10);
        end(guests);
        assert_eq!(crowd.handle().snapshot().in_flight, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s01_fixed_limit_in_the_words_of_each_protocol() {
    in_a_crowd_http(
        || shed(Shed::fixed(1))(conformance::Flavour::Http),
        async |crowd| {
            let running = crowd.enter(Visit::new());
            let mut refused = crowd.enter(Visit::new());
            let head = refused.head();
            assert_eq!(
                (head.status.as_u16(), head.headers["content-type"].to_str().unwrap()),
                (503, "application/problem+json")
            );
            let wait: u64 = head.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait), "{wait}");

            let mut refused = crowd.enter(Visit::new().header("content-type", "application/grpc"));
            let head = refused.head();
            assert_eq!((head.status.as_u16(), head.headers["grpc-status"].to_str().unwrap()), (200, "14"));
            let wait: u64 = head.headers["grpc-retry-pushback-ms"].to_str().unwrap().parse().unwrap();
            assert!((1000..=2000).contains(&wait), "{wait}");
            drop(running);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn s02_permit_returns_on_every_path() {
    in_a_crowd(shed(Shed::fixed(1)), async |crowd| {
        for round in 0..3 {
            for how in [How::Good, How::Bad, How::Full, How::Torn, How::Panic] {
                let guest = crowd.enter(Visit::new());
                assert_eq!(crowd.handle().snapshot().in_flight, 1);
                let ended = catch_unwind(AssertUnwindSafe(|| guest.end(how)));
                assert_eq!(ended.is_err(), how == How::Panic);
                assert_eq!(crowd.handle().snapshot().in_flight, 0, "{how} in round {round}");
            }
            drop(crowd.enter(Visit::new()));
            assert_eq!(crowd.handle().snapshot().in_flight, 0, "left mid-way");

            let mut service = crowd.service();
            poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            drop(service.call(Visit::new()));
            assert_eq!(crowd.handle().snapshot().in_flight, 0, "left before the first poll");
        }
    })
    .await;
}

/// Work is in flight until the body of its answer has ended, failed or was dropped; until its head, if streams are told not to count.
#[tokio::test(start_paused = true)]
async fn s02_permit_returns_with_the_body() {
    for mode in Mode::ALL {
        for count_bodies in [true, false] {
            let layer = ShedLayer::new(Shed::fixed(3).count_bodies(count_bodies));
            let handle = layer.handle();
            let in_flight = |ought| {
                let ought = if count_bodies { ought } else { 0 };
                assert_eq!(handle.snapshot().in_flight, ought, "{mode:?}, counting bodies {count_bodies}");
            };
            let (senders, bodies) = std::sync::mpsc::channel();
            let mut service = layer.layer(Probe::new(move |_: Request<()>| {
                let (sender, body) = Channel::<Bytes, BoxError>::new(1);
                senders.send(sender).unwrap();
                ready(Ok::<_, Infallible>(Response::new(body)))
            }));
            let mut answers = Vec::new();
            for _ in 0..3 {
                answers.push(mode.call(&mut service, || Request::new(())).await.unwrap().into_body());
            }
            let calls = mode.calls() as usize;
            let mut senders: Vec<_> = bodies.try_iter().skip(calls - 1).step_by(calls).collect();
            assert_eq!(senders.len(), 3);
            in_flight(3);
            drop(answers.pop());
            in_flight(2);
            drop(senders.pop());
            senders.pop().unwrap().abort("torn".into());
            assert!(answers.pop().unwrap().collect().await.is_err());
            in_flight(1);
            drop(senders);
            answers.pop().unwrap().collect().await.unwrap();
            in_flight(0);
        }
    }
}

/// Counts those who are inside, and how many were at once.
#[derive(Default)]
struct Inside {
    now: AtomicU64,
    peak: AtomicU64,
}

/// One who is inside.
struct One<'a>(&'a Inside);

impl<'a> One<'a> {
    fn enter(inside: &'a Inside) -> Self {
        let now = inside.now.fetch_add(1, SeqCst) + 1;
        inside.peak.fetch_max(now, SeqCst);
        Self(inside)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

#[test]
fn s03_clones_share_the_limit() {
    const THREADS: u64 = 64;
    const CALLS: u64 = 1600;
    let (layer, inside) = (ShedLayer::new(Shed::fixed(8)).typed(), Inside::default());
    let probe = Probe::new(|(): ()| async {
        let _one = One::enter(&inside);
        let mut polls = 0;
        poll_fn(|_| {
            polls += 1;
            if polls > 3 { Poll::Ready(Ok::<_, BoxError>(())) } else { Poll::Pending }
        })
        .await
    });
    let tally = probe.tally();
    let service = layer.layer(probe);
    let begin = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                begin.wait();
                for n in 0..CALLS {
                    let mut call = pin!(service.clone().oneshot(()));
                    // Every fifth caller leaves.
                    let polls = if n % 5 == 0 { 2 } else { 100 };
                    for _ in 0..polls {
                        std::thread::yield_now();
                        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                            break;
                        }
                    }
                }
            });
        }
    });
    let (seen, peak) = (layer.handle().snapshot(), inside.peak.load(SeqCst));
    assert!((2..=8).contains(&peak), "{peak} at once");
    assert_eq!((seen.in_flight, tally.running()), (0, 0));
    assert_eq!(tally.calls() + seen.refused.total(), THREADS * CALLS);
}

/// Looks, when it is dropped, how many are in flight.
struct Last(Handle, Arc<AtomicU64>);

impl Drop for Last {
    fn drop(&mut self) {
        self.1.store(self.0.snapshot().in_flight as u64, SeqCst);
    }
}

/// A caller that leaves makes no room before the service has dropped what it had begun.
#[tokio::test(start_paused = true)]
async fn s03_clones_share_the_limit_until_the_work_is_over() {
    fn leaves<S: Service<Req>, Req>(service: S, request: Req, seen: &AtomicU64, handle: &Handle) {
        let mut call = Box::pin(service.oneshot(request));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(call);
        assert_eq!((seen.load(SeqCst), handle.snapshot().in_flight), (1, 0));
    }
    let (layer, seen) = (ShedLayer::new(Shed::fixed(8)), Arc::new(AtomicU64::new(0)));
    let handle = layer.handle();
    let begin = || Last(handle.clone(), seen.clone());
    let over_http = service_fn(|_: Request<()>| {
        let last = begin();
        async move {
            let _last = last;
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
        }
    });
    leaves(layer.layer(over_http), Request::new(()), &seen, &handle);
    let typed = service_fn(|()| {
        let last = begin();
        async move {
            let _last = last;
            std::future::pending::<Result<(), BoxError>>().await
        }
    });
    seen.store(0, SeqCst);
    leaves(layer.typed().layer(typed), (), &seen, &handle);
}

#[tokio::test(start_paused = true)]
async fn s04_readiness_reserves_nothing() {
    for mode in Mode::ALL {
        let layer = ShedLayer::new(Shed::fixed(1)).typed();
        let service = layer.layer(Probe::new(|lasts| async move {
            tokio::time::sleep(lasts).await;
            Ok::<_, BoxError>(())
        }));
        let (mut a, mut b) = (service.clone(), service);
        let refused = |result: Result<(), BoxError>| result.is_err_and(|error| error.is::<Refused>());
        if mode == Mode::Bystander {
            let mut other = a.clone();
            poll_fn(|cx| other.poll_ready(cx)).await.unwrap();
        }
        poll_fn(|cx| a.poll_ready(cx)).await.unwrap();
        let mut running = Box::pin(mode.start(&mut b, || SECOND).await.unwrap());
        assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "B is admitted");
        assert!(refused(a.call(MS).await), "A is refused while B runs");
        advance(SECOND).await;
        running.await.unwrap();
        mode.call(&mut a, || MS).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn s16_shrinking() {
    in_a_crowd(shed(Shed::fixed(10)), async |crowd| {
        let mut guests = crowd.enter_all(10, Visit::new);
        crowd.handle().update(Shed::fixed(4));
        advance(SECOND).await;
        assert!(guests.iter_mut().all(|guest| guest.is() == Is::Running), "none is killed");
        for running in (4..=10).rev() {
            assert_eq!(crowd.enter(Visit::new()).is(), Is::Refused, "{running} are running");
            guests.pop().unwrap().end(How::Good);
        }
        let mut next = crowd.enter(Visit::new());
        assert_eq!((next.is(), crowd.handle().snapshot().in_flight), (Is::Running, 4));
        assert_eq!(crowd.enter(Visit::new()).is(), Is::Refused);
    })
    .await;
}
