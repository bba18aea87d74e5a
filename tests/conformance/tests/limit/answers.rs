//! Row L14: what is answered.

use crate::{MS, count};
use bartizan_limit::{Limit, LimitLayer};
use conformance::crowd::{Asked, Crowd, How, Visit, in_a_crowd_http};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn l14_answer() {
    // One in 1.2 s, three at once.
    let value = Limit::per(5, Duration::from_secs(6)).burst(3);
    for announce in [false, true] {
        let build = || {
            let layer = LimitLayer::new(value).named("api").announce(announce);
            let layer = layer.exempt(|head| Asked::of(head).key == crate::NOBODY);
            Crowd::http(layer.handle(), |desk| layer.layer(desk))
                .with_bystanders(Visit::new().key(crate::NOBODY))
        };
        in_a_crowd_http(build, async |crowd| {
            let mut first = crowd.enter(Visit::new());
            first.visit().end(How::Good);
            let head = first.head();
            assert_eq!(head.status, 200);
            let told = ["ratelimit-policy", "ratelimit"].map(|name| head.headers.get(name).cloned());
            if announce {
                assert_eq!(told.map(Option::unwrap), [r#""api";q=3;w=4"#, r#""api";r=2;t=2"#]);
            } else {
                assert_eq!(told, [None, None]);
            }
            assert_eq!(count(crowd, 2, Visit::new), 2);

            for (waited, left) in [(0, 2), (200, 1), (900, 1)] {
                advance(MS * waited).await;
                let mut refused = crowd.enter(Visit::new());
                let head = refused.head();
                assert_eq!(
                    (head.status.as_u16(), head.headers["content-type"].to_str().unwrap()),
                    (429, "application/problem+json")
                );
                assert_eq!(head.headers["retry-after"], left.to_string(), "rounded up");
                assert_eq!(head.headers["ratelimit-policy"], r#""api";q=3;w=4"#);
                assert_eq!(head.headers["ratelimit"], format!(r#""api";r=0;t={left}"#));
            }

            let mut refused = crowd.enter(Visit::new().header("content-type", "application/grpc"));
            let head = refused.head();
            assert_eq!((head.status.as_u16(), head.headers["grpc-status"].to_str().unwrap()), (200, "8"));
            assert_eq!(head.headers["grpc-retry-pushback-ms"], "100");
        })
        .await;
    }
}

/// What can never be let through is not told to come again.
#[tokio::test(start_paused = true)]
async fn l14_answer_without_a_time() {
    in_a_crowd_http(
        || crate::limit(Limit::per_second(5))(conformance::Flavour::Http),
        async |crowd| {
            let mut refused = crowd.enter(Visit::new().cost(6));
            assert_eq!(
                (refused.head().status.as_u16(), refused.head().headers.get("retry-after")),
                (429, None)
            );
            let mut refused = crowd.enter(Visit::new().cost(6).header("content-type", "application/grpc"));
            assert_eq!(refused.head().headers["grpc-status"], "8");
            assert_eq!(refused.head().headers.get("grpc-retry-pushback-ms"), None);
        },
    )
    .await;
}
