//! Rows C05 and C06: refusals and time-outs of one layer, seen by another.

use crate::policy::Limit;
use bartizan_balance::{Balance, BalanceService, Choice};
use bartizan_breaker::{BreakerLayer, Counts, State};
use bartizan_core::{Instant, Refused};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_guard::GuardLayer;
use bartizan_limit::LimitLayer;
use bartizan_shed::{Shed, ShedLayer};
use bytes::Bytes;
use conformance::{
    Call, Events, F, Flavour, Mode, Probe, REFERENCE, Rig, S, at_once, in_every_mode_of, secs,
};
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::time::Duration;
use tower::Layer;

/// A layer whose one place is taken for ever.
fn full() -> ShedLayer {
    let layer = ShedLayer::new(Shed::fixed(1));
    let mut service =
        layer.layer(Probe::new(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()));
    std::mem::forget(at_once(Mode::Direct.start(&mut service, || Request::new(()))).unwrap());
    assert_eq!(layer.handle().snapshot().in_flight, 1);
    layer
}

/// A breaker over a layer that refuses every call, in both flavours.
fn breaker_over(refuser: &str, flavour: Flavour, start_open: bool) -> Rig {
    let breaker = BreakerLayer::new(REFERENCE.start_open(start_open));
    let (handle, limit) = (breaker.handle(), GuardLayer::new(Limit::new(0)));
    let expired = DeadlineLayer::new(secs(0.0));
    let (total, picky) = (
        DeadlineLayer::new(Deadline::new(secs(1.0)).from_call(true)),
        Deadline::new(secs(10.0)).min_remaining(secs(2.0)),
    );
    let picky = DeadlineLayer::new(picky);
    let (shed, rate) = (full(), LimitLayer::new(bartizan_limit::Limit::per(1, Duration::from_secs(3600))));
    rate.handle().drain();
    match (flavour, refuser) {
        (Flavour::Http, "shed") => Rig::http(handle, |probe| breaker.layer(shed.layer(probe))),
        (Flavour::Http, "rate limit") => Rig::http(handle, |probe| breaker.layer(rate.layer(probe))),
        (Flavour::Http, "limit") => Rig::http(handle, |probe| breaker.layer(limit.layer(probe))),
        (Flavour::Http, "expired") => Rig::http(handle, |probe| breaker.layer(expired.layer(probe))),
        (Flavour::Http, _) => Rig::http(handle, |probe| total.layer(breaker.layer(picky.layer(probe)))),
        (Flavour::Typed, refuser) => {
            let (breaker, total) = (breaker.typed(), total.typed());
            match refuser {
                "shed" => Rig::typed(handle, |probe| breaker.layer(shed.typed().layer(probe))),
                "rate limit" => Rig::typed(handle, |probe| breaker.layer(rate.typed().layer(probe))),
                "limit" => Rig::typed(handle, |probe| breaker.layer(limit.typed().layer(probe))),
                "expired" => Rig::typed(handle, |probe| breaker.layer(expired.typed().layer(probe))),
                _ => Rig::typed(handle, |probe| total.layer(breaker.layer(picky.typed().layer(probe)))),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c05_our_own_refusals_are_not_failures() {
    for (refuser, reason) in [
        ("limit", "full"),
        ("shed", "over the limit"),
        ("rate limit", "over the limit"),
        ("expired", "expired on arrival"),
        ("too little", "too little time left"),
    ] {
        let refuse = async |rig: &mut Rig| {
            for _ in 0..1000 {
                let refused = rig.call(S).await.unwrap_err();
                assert_eq!((refused.reason(), refused.reached()), (reason, false));
            }
            let seen = rig.snapshot();
            assert_eq!((seen.failures, seen.throttled, seen.successes, seen.refused), (0, 0, 0, 0));
            assert_eq!((seen.failure_window, rig.tally().calls()), (Some(Counts::default()), 0));
        };
        in_every_mode_of(
            |flavour| breaker_over(refuser, flavour, false),
            async |rig| {
                refuse(rig).await;
                assert_eq!(rig.state(), State::Closed);
            },
        )
        .await;
        in_every_mode_of(
            |flavour| breaker_over(refuser, flavour, true),
            async |rig| {
                rig.at(secs(5.0)).await;
                refuse(rig).await;
                assert_eq!(
                    rig.state(),
                    State::HalfOpen,
                    "a refused probe says nothing, and gives its place back"
                );
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn c05_our_own_refusals_are_not_failures_over_grpc() {
    for mode in Mode::ALL {
        let layer = BreakerLayer::new(REFERENCE);
        let probe = Probe::new(Call::answer_http);
        let tally = probe.tally();
        let limit = GuardLayer::new(Limit::new(0));
        let mut service = layer.layer(limit.layer(DeadlineLayer::new(secs(1.0)).layer(probe)));
        let request =
            || Request::builder().header("content-type", "application/grpc").body(F).expect("a request");
        for _ in 0..1000 {
            let response = mode.call(&mut service, request).await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["grpc-status"]),
                (200, &"8".parse().unwrap())
            );
            assert_eq!(response.extensions().get::<Refused>().map(Refused::layer), Some("limit"));
        }
        let seen = layer.handle().snapshot();
        assert_eq!((seen.state, seen.failures, seen.throttled, tally.calls()), (State::Closed, 0, 0, 0));
    }
}

/// Nor do they eject an endpoint: who is refused on the way to one is served by the next.
#[tokio::test(start_paused = true)]
async fn c05_our_own_refusals_eject_nobody() {
    for mode in Mode::ALL {
        let events = Events::record();
        let rate = bartizan_limit::Limit::per(1, Duration::from_secs(3600));
        let (spent, free) = (LimitLayer::new(rate), LimitLayer::new(rate.enabled(false)));
        let refusals = spent.handle();
        refusals.drain();
        let limited = move |key: &char| {
            let limit = if *key == 'a' { &spent } else { &free };
            limit.layer(Probe::new(Call::answer_http))
        };
        let balance = Balance::new().choice(Choice::round_robin()).seed(1);
        let mut service = BalanceService::new(balance, limited).members("abcdef".chars());
        let handle = service.handle();
        for _ in 0..1000 {
            let response = mode.call(&mut service, || Request::new(S)).await.unwrap();
            assert_eq!(response.status(), 200);
            tokio::time::advance(Duration::from_millis(20)).await;
        }
        let seen = handle.snapshot();
        assert!(refusals.snapshot().refused > 100, "it is asked again and again");
        assert!(seen.endpoints.iter().all(|endpoint| endpoint.ejections == 0), "{seen:?}");
        let told = events.all();
        assert!(told.iter().all(|event| !event.message.contains("ejected")), "{told:?}");
    }
}

/// A time limit and a breaker.
fn limited(limit: &str, flavour: Flavour) -> Rig {
    let (short, long) = (DeadlineLayer::new(secs(1.0)), DeadlineLayer::new(secs(10.0)));
    let breaker = BreakerLayer::new(REFERENCE);
    let handle = breaker.handle();
    match (flavour, limit) {
        (Flavour::Http, "inside") => Rig::http(handle, |probe| breaker.layer(short.layer(probe))),
        (Flavour::Http, "outside") => Rig::http(handle, |probe| short.layer(breaker.layer(probe))),
        (Flavour::Http, _) => Rig::http(handle, |probe| long.layer(breaker.layer(short.layer(probe)))),
        (Flavour::Typed, limit) => {
            let (short, long, breaker) = (short.typed(), long.typed(), breaker.typed());
            match limit {
                "inside" => Rig::typed(handle, |probe| breaker.layer(short.layer(probe))),
                "outside" => Rig::typed(handle, |probe| short.layer(breaker.layer(probe))),
                _ => Rig::typed(handle, |probe| long.layer(breaker.layer(short.layer(probe)))),
            }
        }
    }
}

/// Inside the breaker a time-out is a failure; outside it is a caller that left. Of two, the shorter fires, once.
#[tokio::test(start_paused = true)]
async fn c06_time_limit_inside_vs_outside() {
    for (limit, failures, state) in [
        ("inside", 5, State::Open),
        ("outside", 0, State::Closed),
        ("inside and longer outside", 5, State::Open),
    ] {
        in_every_mode_of(
            |flavour| limited(limit, flavour),
            async |rig| {
                for _ in 0..5 {
                    let before = Instant::now();
                    let refused = rig.call(HANG).await.unwrap_err();
                    assert_eq!((refused.layer(), refused.reached()), ("deadline", true));
                    assert_eq!(Instant::now() - before, secs(1.0));
                }
                let seen = rig.snapshot();
                assert_eq!((seen.state, seen.failures, seen.successes), (state, failures, 0), "{limit}");
                assert_eq!((rig.tally().running(), rig.tally().dropped()), (0, rig.tally().calls()));
            },
        )
        .await;
    }
}

/// A probe that the time-out outside cuts gives its place back; one that the time-out inside cuts has failed.
#[tokio::test(start_paused = true)]
async fn c06_time_limit_of_a_probe() {
    for (limit, state) in [("inside", State::Open), ("outside", State::HalfOpen)] {
        in_every_mode_of(
            |flavour| limited(limit, flavour),
            async |rig| {
                rig.play(&[F; 5]).await;
                rig.at(secs(5.0)).await;
                for _ in 0..4 {
                    assert_eq!(rig.call(HANG).await.unwrap_err().layer(), "deadline");
                }
                assert_eq!(rig.state(), state, "{limit}");
            },
        )
        .await;
    }
}

const HANG: Call = S.lasting(Duration::from_secs(3600));
