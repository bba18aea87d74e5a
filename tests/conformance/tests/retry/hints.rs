//! Rows R15 to R18, R36 and R38: what others say about it.

use crate::{MS, S, curve, play, play_http, reference, stage};
use bartizan_retry::{Backoff, Repeatable, Retry, RetryLayer, RetryOn};
use conformance::Flavour;
use conformance::again::{DOWN, OK, Turn, Upload, get, grpc};
use http::Request;
use std::time::Duration;

const PUSHBACK: &str = "grpc-retry-pushback-ms";

fn repeatable() -> Request<Upload> {
    let mut request = grpc();
    request.extensions_mut().insert(Repeatable(true));
    request
}

/// UNAVAILABLE with a pushback, in trailers alone and behind a good head.
fn pushed(pushback: &'static str) -> [Turn; 2] {
    [Turn::grpc(14), Turn::grpc_late(14)].map(|turn| turn.with(PUSHBACK, pushback))
}

/// The next attempt comes no sooner than the server says, and at most 5 s later.
#[tokio::test(start_paused = true)]
async fn r15_server_says_when() {
    // By the pushback of gRPC, with every wait of the back-off beyond it.
    for (backoff, second) in [
        (curve(), 107..=107),
        // What is beyond five seconds is cut to somewhere within them.
        (Backoff::constant(60 * S).jitter(bartizan_retry::Jitter::None), 7..=5006),
        (Backoff::constant(Duration::ZERO), 7..=7),
    ] {
        play_http(reference().backoff(backoff), async |stage| {
            let [alone, _] = pushed("7");
            stage.send(repeatable(), &[alone, Turn::grpc(0)]).await;
            let times = stage.times();
            assert!(times.len() == 2 && second.contains(&times[1]), "{times:?}");
        })
        .await;
    }
    // By an error, or in whole seconds by a header.
    play(reference(), async |stage| {
        let wait = if stage.flavour() == Flavour::Http { 2000 } else { 7 };
        for busy in [Turn::status(429), Turn::status(503)] {
            if stage.flavour() == Flavour::Typed && format!("{busy:?}").contains("503") {
                continue;
            }
            stage.call(&[busy.after(wait * MS), OK]).await;
            assert_eq!(stage.times(), [0, u128::from(wait) + 100]);
        }
    })
    .await;
    // The curve begins anew.
    play(reference().max_retries(9), async |stage| {
        let busy = Turn::status(429).after(S);
        stage.call(&[DOWN, DOWN, busy, DOWN, DOWN, OK]).await;
        assert_eq!(stage.times(), [0, 100, 300, 1400, 1500, 1700]);
    })
    .await;
    // Who asks for too much is left alone.
    play(reference().max_hint(2 * S), async |stage| {
        for (wait, sent) in [(2, 2), (3, 1)] {
            stage.call(&[Turn::status(429).after(wait * S), OK]).await;
            assert_eq!(stage.sent().len(), sent);
        }
        assert_eq!(stage.handle().snapshot().told, 1);
    })
    .await;
    // Those who were told the same come at different times, and none too early.
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let value = Retry::new().seed(seed).budget(crate::AMPLE).backoff(Backoff::constant(5 * S));
        let mut stage = stage(Flavour::Http, RetryLayer::new(value));
        stage.send(repeatable(), &[pushed("7")[0], Turn::grpc(0)]).await;
        let at = stage.times()[1];
        assert!((7..=5007).contains(&at), "{at}");
        seen.insert(at);
    }
    assert!(seen.len() > 20, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn r16_server_says_never() {
    play_http(reference(), async |stage| {
        for turn in pushed("-1") {
            let heard = stage.send(repeatable(), &[turn, Turn::grpc(0)]).await;
            assert_eq!((heard.said.as_str(), stage.sent().len()), ("grpc 14 from 0", 1));
        }
        assert_eq!(stage.handle().snapshot().told, 2);
        for turn in [Turn::grpc(14), Turn::grpc_late(14)] {
            stage.send(repeatable(), &[turn.with("x-other", "-1"), Turn::grpc(0)]).await;
            assert_eq!(stage.sent().len(), 2, "without the hint it is retried");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r17_unreadable_hint_means_never() {
    play_http(reference(), async |stage| {
        for hint in ["xxx", "", "1.5", "+7", "7ms"] {
            for turn in pushed(hint) {
                stage.send(repeatable(), &[turn, Turn::grpc(0)]).await;
                assert_eq!(stage.sent().len(), 1, "{hint:?}");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r18_hint_cannot_exceed_attempts() {
    play_http(reference().max_retries(1), async |stage| {
        for turn in pushed("5") {
            stage.send(repeatable(), &[turn, turn, Turn::grpc(0)]).await;
            assert_eq!(stage.sent().len(), 2);
        }
    })
    .await;
    play(reference().max_retries(1), async |stage| {
        let busy = Turn::status(429).after(S);
        stage.call(&[busy, busy, OK]).await;
        assert_eq!(stage.sent().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r36_overloaded_peers_are_left_alone() {
    play_http(reference(), async |stage| {
        for (request, turn) in [
            (get(), DOWN.with("x-envoy-overloaded", "true")),
            (get(), Turn::status(429).with("x-envoy-ratelimited", "true")),
            (repeatable(), Turn::grpc(14).with("x-envoy-overloaded", "true")),
            (repeatable(), Turn::grpc(8).with("x-envoy-ratelimited", "true")),
            (repeatable(), Turn::grpc_late(8).with("x-envoy-ratelimited", "true")),
        ] {
            stage.send(request, &[turn, OK]).await;
            assert_eq!(stage.sent().len(), 1, "{turn:?}");
        }
        assert_eq!(stage.handle().snapshot().told, 5);
        for turn in [DOWN, Turn::status(429)] {
            stage.call(&[turn.with("x-other", "true"), OK]).await;
            assert_eq!(stage.sent().len(), 2, "{turn:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r38_bad_hint_list_tolerated() {
    const HINT: &str = "x-request-retry-on";
    for (trust, code, sent) in [(true, 200, 4), (true, 418, 1), (false, 200, 1), (false, 418, 1)] {
        // With the latter even good answers are looked at.
        for on in [RetryOn::FAILURES, RetryOn::GATEWAY] {
            play_http(reference().trust_hints(trust).on(on), async |stage| {
                let mut request = get();
                request.headers_mut().insert(HINT, " 418 junk,200".parse().unwrap());
                let heard = stage.send(request, &[Turn::status(code)]).await;
                assert_eq!(heard.said, format!("{code} from {}", sent - 1), "{trust} {on:?}");
                assert_eq!(stage.sent().len(), sent, "{trust} {code}");
                assert!(stage.sent().iter().all(|sent| sent.header(HINT).is_empty()), "it goes no further");
            })
            .await;
        }
    }
    play_http(reference().trust_hints(true), async |stage| {
        for odd in [",,,", "99999999999", "-200", "200-299", "٢٠٠", " ", "0x200"] {
            let mut request = get();
            let odd = http::HeaderValue::from_bytes(odd.as_bytes()).unwrap();
            request.headers_mut().insert(HINT, odd.clone());
            stage.send(request, &[OK]).await;
            assert_eq!(stage.sent().len(), 1, "{odd:?}");
        }
    })
    .await;
}
