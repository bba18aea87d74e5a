//! Rows S26 and S27: the client's throttle.

use crate::SECOND;
use bartizan_shed::throttle::{Handle, State};
use bartizan_shed::{Throttle, ThrottleLayer};
use conformance::crowd::{Crowd, How, Is, Refusals, Visit, in_a_crowd};
use conformance::{Events, Flavour};
use tokio::time::advance;
use tower::Layer;

fn throttle(value: Throttle) -> impl Fn(Flavour) -> Crowd<Handle> {
    move |flavour| {
        let layer = ThrottleLayer::new(value.seed(7)).named("s27");
        match flavour {
            Flavour::Http => Crowd::http(layer.handle(), |desk| layer.layer(desk)),
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        }
    }
}

/// Makes requests that the throttle must let through, and of which the server accepts so many.
fn play(crowd: &mut Crowd<Handle>, requests: u64, accepts: u64) {
    let calls = (0..requests).map(|_| crowd.enter(Visit::new())).collect::<Vec<_>>();
    for (n, guest) in calls.into_iter().enumerate() {
        guest.end(if (n as u64) < accepts { How::Good } else { How::Full });
    }
}

#[tokio::test(start_paused = true)]
async fn s26_client_side_throttle_formula() {
    const VALUE: Throttle = Throttle::new().accept_rate(0.9);
    let cap = Throttle::DEFAULT_MAX_REJECTION;
    for (requests, accepts, rejection) in
        [(100, 95, 0.0), (120, 90, 20.0 / 121.0), (1000, 10, cap), (0, 0, 0.0), (100, 0, cap)]
    {
        in_a_crowd(throttle(VALUE), async |crowd| {
            play(crowd, requests, accepts);
            let seen = crowd.handle().snapshot();
            assert!((seen.rejection() - rejection).abs() < 1e-9, "{requests} {accepts}: {seen:?}");
            assert_eq!((seen.normal.requests, seen.normal.accepts), (requests, accepts));

            // And so many are refused, but for the spread of a binomial share.
            let mut refused = 0.0;
            let offered = 4000 * crowd.mode().calls();
            for _ in 0..4000 {
                let mut guest = crowd.enter(Visit::new());
                if guest.is() == Is::Refused {
                    let refusal = guest.refused();
                    assert_eq!((refusal.layer(), refusal.reached()), ("throttle", false));
                    refused += 1.0;
                }
            }
            let seen = crowd.handle().snapshot();
            assert_eq!(seen.normal.requests - requests, seen.refused, "who leaves counts nowhere");
            if rejection == 0.0 {
                assert_eq!(refused, 0.0);
            } else {
                // What is refused here counts as not accepted, so that the share grows up to the cap.
                let share = seen.refused as f64 / offered as f64;
                assert!(share > rejection - 0.02 && share < cap + 0.02, "{share}");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn s27_throttle_forgets() {
    in_a_crowd(throttle(Throttle::new()), async |crowd| {
        let events = Events::record();
        play(crowd, 100, 0);
        let mut refused = crowd.enter_all(50, Visit::new);
        assert!(refused.iter_mut().any(|guest| guest.is() == Is::Refused));
        drop(refused);
        assert_eq!((crowd.handle().state(), crowd.handle().snapshot().rejection()), (State::Throttling, 0.9));

        advance(53 * SECOND).await;
        assert_eq!(crowd.handle().snapshot().rejection(), 0.9);
        advance(7 * SECOND).await;
        assert_eq!((crowd.handle().state(), crowd.handle().snapshot().rejection()), (State::Passing, 0.0));
        let mut guests = crowd.enter_all(1000, Visit::new);
        assert!(guests.iter_mut().all(|guest| guest.is() == Is::Running));

        let told: Vec<String> =
            events.all().iter().filter(|event| event.name == "s27").map(ToString::to_string).collect();
        let twins = |event: &String| event == " > ";
        let changes: Vec<&str> = told.iter().filter(|event| !twins(event)).map(String::as_str).collect();
        assert_eq!(changes, ["passing > throttling", "throttling > passing"], "one event for each change");
    })
    .await;
}
