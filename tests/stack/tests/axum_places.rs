//! Every layer in every place in which axum takes one, over fresh connections and by calls of the router.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::routing::get;
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive};
use bartizan_deadline::DeadlineLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_limit::{Limit, LimitLayer, SharedLimitLayer, WaitingLayer};
use bartizan_retry::{Budget, RetryLayer};
use bartizan_shed::{Backlog, BacklogLayer, Shed, ShedLayer, Throttle, ThrottleLayer};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use stack::{Fickle, Gauge, GaugeLayer, Player, Reach, Reached, Refusal, soon, until};
use std::time::Duration;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

const HOUR: Duration = Duration::from_secs(3600);

/// A place for a layer around a handler.
struct Site<L> {
    name: &'static str,
    path: &'static str,
    build: fn(L, Player) -> Router,
}

impl<L> Site<L> {
    async fn build(&self, reach: Reach, layer: L, player: &Player) -> Reached {
        println!("{} by {reach:?}", self.name);
        reach.reach((self.build)(layer, player.clone())).await
    }

    async fn ask(&self, app: &Reached, part: &str) -> http::Response<Body> {
        app.ask(&format!("{}?{part}", self.path)).await
    }
}

/// Lists all places of a layer. A macro, as each place asks something else of the layer's type.
macro_rules! sites {
    ($sites:ident, $layer:ty) => {
        fn $sites() -> Vec<Site<$layer>> {
            type Build = fn($layer, Player) -> Router;
            let site = |name, path, build: Build| Site { name, path, build };
            vec![
                site("Router::layer", "/", |layer, player| {
                    Router::new().route("/", get(player)).layer(layer)
                }),
                site("Router::layer before a fallback", "/nowhere", |layer, player| {
                    Router::new().fallback(player).layer(layer)
                }),
                site("Router::layer of a router with state", "/", |layer, player| {
                    Router::new().route("/", get(player)).layer(layer).with_state("state")
                }),
                site("Router::route_layer", "/", |layer, player| {
                    Router::new().route("/", get(player)).route_layer(layer)
                }),
                site("MethodRouter::layer", "/", |layer, player| {
                    Router::new().route("/", get(player).layer(layer))
                }),
                site("MethodRouter::route_layer", "/", |layer, player| {
                    Router::new().route("/", get(player).route_layer(layer))
                }),
                site("Handler::layer", "/", |layer, player| {
                    Router::new().route("/", get(player.layer(layer)))
                }),
                site("Router::route_service", "/", |layer, player| {
                    let service = ServiceBuilder::new().layer(layer).service(get(player));
                    Router::new().route_service("/", service)
                }),
                site("inside Router::nest", "/in/", |layer, player| {
                    Router::new().nest("/in/", Router::new().route("/", get(player)).layer(layer))
                }),
                site("around Router::nest", "/in/", |layer, player| {
                    Router::new().nest("/in/", Router::new().route("/", get(player))).layer(layer)
                }),
                site("Router::nest_service", "/in/", |layer, player| {
                    let inner: Router = Router::new().route("/", get(player));
                    Router::new().nest_service("/in/", ServiceBuilder::new().layer(layer).service(inner))
                }),
                site("Router::merge", "/", |layer, player| {
                    let bare = Router::new().route("/bare", get(player.clone()));
                    bare.merge(Router::new().route("/", get(player)).layer(layer))
                }),
                site("inside tower-http", "/", |layer, player| {
                    let layers = ServiceBuilder::new()
                        .layer(TraceLayer::new_for_http())
                        .layer(CompressionLayer::new())
                        .layer(CatchPanicLayer::new())
                        .layer(MapResponseBodyLayer::new(Body::new))
                        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, HOUR))
                        .layer(layer);
                    Router::new().route("/", get(player)).layer(layers)
                }),
                site("outside tower-http", "/", |layer, player| {
                    let layers = ServiceBuilder::new()
                        .layer(layer)
                        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, HOUR))
                        .layer(MapResponseBodyLayer::new(Body::new))
                        .layer(CatchPanicLayer::new())
                        .layer(CompressionLayer::new())
                        .layer(TraceLayer::new_for_http());
                    Router::new().route("/", get(player)).layer(layers)
                }),
            ]
        }
    };
}

sites!(breaker_sites, BreakerLayer);
sites!(deadline_sites, DeadlineLayer);
sites!(gauge_sites, GaugeLayer);
sites!(retry_sites, RetryLayer);
sites!(hedge_sites, HedgeLayer);
sites!(shed_sites, ShedLayer);
sites!(limit_sites, LimitLayer);
sites!(throttle_sites, ThrottleLayer);
// And those under which requests wait.
sites!(backlog_sites, BacklogLayer);
sites!(waiting_sites, WaitingLayer);
sites!(shared_sites, SharedLimitLayer);

async fn assert_ok(answer: http::Response<Body>) {
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "ok");
}

#[tokio::test]
async fn a_breaker_counts_and_refuses() {
    let three = Breaker::new().without_evidence().consecutive(Consecutive::new(3)).open_for(HOUR);
    for (site, reach) in each(breaker_sites()) {
        let (layer, player) = (BreakerLayer::new(three), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        assert_ok(site.ask(&app, "ok").await).await;
        for _ in 0..3 {
            assert_eq!(site.ask(&app, "fail").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        let refusal = Refusal::of(site.ask(&app, "ok").await).await;
        let wait = refusal.retry_after;
        assert!(wait.is_some_and(|wait| (2800..=3600).contains(&wait)), "{wait:?}");
        assert_eq!(refusal, Refusal::new(503, "breaker", "open: failures in a row", wait));
        assert_eq!(player.calls(), 4, "a refusal does not reach the handler");

        handle.reset();
        assert_ok(site.ask(&app, "ok").await).await;
    }
}

#[tokio::test]
async fn a_deadline_ends_and_refuses() {
    for (site, reach) in each(deadline_sites()) {
        let (layer, player) = (DeadlineLayer::new(Duration::from_millis(20)), Player::new());
        let app = site.build(reach, layer, &player).await;
        let ended = Refusal::of(site.ask(&app, "hang").await).await;
        assert_eq!(ended, Refusal::new(504, "deadline", "deadline passed", None));
        assert_eq!(player.calls(), 1);

        let expired = Request::get(site.path).header("x-request-timeout-ms", "0").body(()).unwrap();
        let refused = Refusal::of(app.send(expired).await).await;
        assert_eq!(refused, Refusal::new(504, "deadline", "expired on arrival", None));
        assert_eq!(player.calls(), 1, "a refusal does not reach the handler");

        assert_ok(site.ask(&app, "ok").await).await;
    }
}

#[tokio::test]
async fn a_policy_of_ones_own_refuses_while_a_body_is_held() {
    for (site, reach) in each(gauge_sites()) {
        let (gauge, player) = (Gauge::new(1), Player::new());
        let app = site.build(reach, gauge.layer(), &player).await;
        let held = site.ask(&app, "drip").await;
        assert_eq!(gauge.in_flight(), 1);
        let refused = Refusal::of(site.ask(&app, "ok").await).await;
        assert_eq!(refused, Refusal::new(429, "gauge", "full", Some(2)));
        assert_eq!(player.calls(), 1, "a refusal does not reach the handler");

        drop(held);
        until(|| gauge.in_flight() == 0).await;
        assert_ok(site.ask(&app, "ok").await).await;
        until(|| gauge.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_retry_asks_again_and_pays_from_one_purse() {
    let five = Budget::new().min_tokens(5).ratio(0.0).persistence(1.0);
    for (site, reach) in each(retry_sites()) {
        let (layer, player) = (RetryLayer::new(stack::retry().budget(five)), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        assert_ok(site.ask(&app, "ok").await).await;
        player.forget();
        // Over a connection each, two tokens, two, one and none.
        assert_ok(site.ask(&app, "moody").await).await;
        for calls in [6, 8, 9] {
            assert_eq!(site.ask(&app, "fail").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(player.calls(), calls);
        }
        let (seen, purse) = (handle.snapshot(), handle.purse().snapshot());
        assert_eq!((seen.calls, seen.retries, seen.recovered), (5, 5, 1));
        assert_eq!((purse.tokens, purse.deposits), (0.0, 2));
    }
}

#[tokio::test]
async fn a_hedge_asks_twice_what_does_not_answer() {
    for (site, reach) in each(hedge_sites()) {
        let (layer, player) = (HedgeLayer::new(stack::hedge()), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        assert_ok(site.ask(&app, "shy").await).await;
        assert_eq!(player.calls(), 2);
        // A failure has the copy sent at once, and if that fails too it is the answer.
        assert_eq!(site.ask(&app, "fail").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(player.calls(), 4);
        let seen = handle.snapshot();
        assert_eq!((seen.calls, seen.hedges, seen.won, seen.superseded), (2, 2, 1, 1));
    }
}

#[tokio::test]
async fn a_shed_refuses_while_a_body_is_held() {
    for (site, reach) in each(shed_sites()) {
        let (layer, player) = (ShedLayer::new(Shed::fixed(1)), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        let held = site.ask(&app, "drip").await;
        assert_eq!(handle.snapshot().in_flight, 1);
        let refused = Refusal::of(site.ask(&app, "ok").await).await;
        let wait = refused.retry_after;
        assert!(wait.is_some_and(|wait| (1..=2).contains(&wait)), "{wait:?}");
        assert_eq!(refused, Refusal::new(503, "shed", "over the limit", wait));
        assert_eq!(player.calls(), 1, "a refusal does not reach the handler");

        drop(held);
        until(|| handle.snapshot().in_flight == 0).await;
        assert_ok(site.ask(&app, "ok").await).await;
        until(|| handle.snapshot().in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_limit_counts_and_refuses() {
    for (site, reach) in each(limit_sites()) {
        let (layer, player) = (LimitLayer::new(Limit::per(3, 3 * HOUR)), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        for part in ["ok", "fail", "ok"] {
            assert!(!site.ask(&app, part).await.headers().contains_key("ratelimit"));
        }
        let refused = site.ask(&app, "ok").await;
        let said = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            (said("ratelimit-policy"), said("retry-after")),
            (r#""default";q=3;w=10800"#.into(), "3600".into())
        );
        assert_eq!(said("ratelimit"), r#""default";r=0;t=3600"#);
        assert_eq!(Refusal::of(refused).await, Refusal::new(429, "limit", "over the limit", Some(3600)));
        assert_eq!(player.calls(), 3, "a refusal does not reach the handler");

        handle.reset();
        assert_ok(site.ask(&app, "ok").await).await;
    }
}

#[tokio::test]
async fn a_throttle_hears_refusals_and_refuses() {
    for (site, reach) in each(throttle_sites()) {
        let (layer, player) = (ThrottleLayer::new(Throttle::new().seed(7)), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        // Two of three are refused by the handler.
        for _ in 0..60 {
            let answer = site.ask(&app, "moody").await;
            if answer.headers().get("content-type").is_some_and(|said| said == "application/problem+json") {
                assert_eq!(Refusal::of(answer).await.layer, "throttle");
            }
        }
        let rejected = handle.snapshot().refused as usize;
        assert!(rejected > 0);
        assert_eq!(player.calls() + rejected, 60, "a refusal does not reach the handler");
    }
}

#[tokio::test]
async fn a_backlog_lets_wait_and_refuses() {
    let patient = Backlog::new(1).max_wait(HOUR).target(HOUR);
    for (site, reach) in each(backlog_sites()) {
        let (layer, player) = (ShedLayer::new(Shed::fixed(1)).backlog(patient), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        let held = site.ask(&app, "drip").await;
        let mut waits = Box::pin(site.ask(&app, "ok"));
        tokio::select! {
            answer = &mut waits => panic!("{answer:?}"),
            () = until(|| handle.snapshot().queued == 1) => {}
        }
        let refused = Refusal::of(site.ask(&app, "ok").await).await;
        assert_eq!(refused, Refusal::new(503, "shed", "queue full", refused.retry_after));
        assert_eq!(player.calls(), 1, "neither reaches the handler");
        drop(held);
        assert_ok(soon(waits).await).await;
        until(|| (handle.snapshot().in_flight, handle.snapshot().queued) == (0, 0)).await;
    }
}

#[tokio::test]
async fn a_limit_lets_wait_and_refuses() {
    for (site, reach) in each(waiting_sites()) {
        let (layer, player) = (LimitLayer::new(Limit::per(1, HOUR)).waiting(2 * HOUR, 1), Player::new());
        let handle = layer.handle();
        let app = site.build(reach, layer, &player).await;
        assert_ok(site.ask(&app, "ok").await).await;
        let mut waits = Box::pin(site.ask(&app, "ok"));
        tokio::select! {
            answer = &mut waits => panic!("{answer:?}"),
            () = until(|| handle.snapshot().waiting == 1) => {}
        }
        let refused = Refusal::of(site.ask(&app, "ok").await).await;
        assert_eq!(refused, Refusal::new(429, "limit", "too many waiting", refused.retry_after));
        assert_eq!(player.calls(), 1, "neither reaches the handler");
        handle.reset();
        assert_ok(soon(waits).await).await;
        assert_eq!(handle.snapshot().waiting, 0);
    }
}

#[tokio::test]
async fn a_limit_asks_its_store() {
    for (site, reach) in each(shared_sites()) {
        let (store, player) = (Fickle::new(), Player::new());
        let layer = LimitLayer::new(Limit::per(9, 9 * HOUR)).store(store.clone());
        let app = site.build(reach, layer, &player).await;
        for _ in 0..2 {
            assert_ok(site.ask(&app, "ok").await).await;
        }
        store.close();
        for _ in 0..2 {
            let refused = Refusal::of(site.ask(&app, "ok").await).await;
            assert_eq!(refused, Refusal::new(429, "limit", "over the limit", Some(3600)));
        }
        assert_eq!((store.asked(), player.calls()), (4, 2), "a refusal does not reach the handler");
    }
}

/// Every place, each way.
fn each<L>(sites: Vec<Site<L>>) -> impl Iterator<Item = (Site<L>, Reach)> {
    let both = |site: Site<L>| Reach::ALL.map(|reach| (Site { ..site }, reach));
    sites.into_iter().flat_map(both)
}

#[tokio::test]
async fn one_value_shares_its_state_between_places() {
    let layer = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(4)));
    let player = Player::new();
    let app = Router::new()
        .route("/a", get(player.clone()).layer(layer.clone()))
        .route("/b", get(player.clone().layer(layer.clone())))
        .nest_service("/c", ServiceBuilder::new().layer(layer.clone()).service(get(player.clone())))
        .merge(Router::new().route("/d", get(player.clone())).route_layer(layer))
        .route("/bare", get(player.clone()));
    let app = Reach::Connection.reach(app).await;
    for path in ["/a?fail", "/b?fail", "/c?fail", "/d?fail"] {
        assert_eq!(app.ask(path).await.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    for path in ["/a", "/b", "/c", "/d"] {
        assert_eq!(app.ask(path).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_ok(app.ask("/bare").await).await;
    assert_eq!(player.calls(), 5);
}

#[tokio::test]
async fn a_panic_that_is_caught_outside_or_inside_is_a_failure() {
    let two = || BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(2)));
    let outside = ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(two());
    let inside = ServiceBuilder::new().layer(two()).layer(CatchPanicLayer::new());
    let player = Player::new();
    let app = Router::new()
        .route("/outside", get(player.clone()).layer(outside))
        .route("/inside", get(player.clone()).layer(inside));
    let app = Reach::Connection.reach(app).await;
    for path in ["/outside?panic", "/inside?panic"] {
        for _ in 0..2 {
            assert_eq!(app.ask(path).await.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        }
        assert_eq!(app.ask(path).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_eq!(player.calls(), 4);
}

#[tokio::test]
async fn a_refusal_is_seen_through_the_layers_outside_and_ignored_by_them() {
    let breaker = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(1)));
    let handle = breaker.handle();
    let layers = ServiceBuilder::new()
        .layer(breaker)
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
        .layer(MapResponseBodyLayer::new(Body::new))
        .layer(Gauge::new(0).layer());
    let app: Router = Router::new().route("/", get(Player::new())).layer(layers);
    let app = Reach::Call.reach(app).await;
    for _ in 0..10 {
        let answer = app.ask("/").await;
        let refused = answer.extensions().get::<bartizan_core::Refused>().unwrap();
        assert_eq!((refused.layer(), refused.reached()), ("gauge", false));
        assert_eq!(Refusal::of(answer).await, Refusal::new(429, "gauge", "full", Some(2)));
    }
    let snapshot = handle.snapshot();
    assert_eq!((snapshot.throttled, snapshot.failures, snapshot.successes), (0, 0, 0));
}
