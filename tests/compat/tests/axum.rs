//! The layers on axum 0.7.

use axum::Router;
use axum::handler::Handler;
use axum::routing::get;
use bartizan_balance::{Balance, BalanceLayer, Choice};
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive};
use bartizan_client::{Client, ReqwestService};
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::{Fallback, FallbackLayer};
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_limit::{Limit, LimitLayer};
use bartizan_retry::{Backoff, Retry, RetryLayer};
use bartizan_shed::{Backlog, Shed, ShedLayer};
use bartizan_trace::{Trace, TraceContext, TraceLayer};
use http::{StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tower::{Layer, ServiceBuilder};

/// Serves `app` on loopback and returns where.
async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// Asks over a connection of its own.
async fn ask(url: String) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().build().expect("no TLS to set up");
    client.get(url).send().await.expect("the server answers")
}

/// Checks that `response` is the `layer`'s refusal.
async fn assert_refused(response: reqwest::Response, status: StatusCode, layer: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value =
        serde_json::from_str(&response.text().await.expect("a body")).expect("a problem in JSON");
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["layer"], layer);
}

async fn ok() -> &'static str {
    "ok"
}

#[tokio::test]
async fn breaker_opens_over_fresh_connections() {
    let hits = Arc::new(AtomicU32::new(0));
    let handler = {
        let hits = hits.clone();
        move || async move {
            hits.fetch_add(1, Ordering::Relaxed);
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let layer = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)));
    let url = serve(Router::new().route("/", get(handler)).layer(layer)).await;

    for _ in 0..3 {
        assert_eq!(ask(url.clone()).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    let refused = ask(url).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_refused(refused, StatusCode::SERVICE_UNAVAILABLE, "breaker").await;
    assert_eq!(hits.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn breaker_refuses_in_every_place() {
    let open = || {
        let layer = BreakerLayer::new(Breaker::new());
        layer.handle().force_open_for(Duration::from_secs(3600));
        layer
    };
    let service = ServiceBuilder::new().layer(open()).service(get(ok));
    let apps = [
        ("Router::layer", Router::new().route("/", get(ok)).layer(open())),
        ("Router::route_layer", Router::new().route("/", get(ok)).route_layer(open())),
        ("MethodRouter::layer", Router::new().route("/", get(ok).layer(open()))),
        ("MethodRouter::route_layer", Router::new().route("/", get(ok).route_layer(open()))),
        ("Handler::layer", Router::new().route("/", get(ok.layer(open())))),
        ("Router::route_service", Router::new().route_service("/", service)),
    ];
    for (place, app) in apps {
        println!("{place}");
        let refused = ask(serve(app).await).await;
        assert_eq!(refused.headers()["retry-after"], "3600");
        assert_refused(refused, StatusCode::SERVICE_UNAVAILABLE, "breaker").await;
    }
}

#[tokio::test]
async fn deadline_answers_for_a_handler_that_hangs() {
    let app = Router::new()
        .route("/", get(std::future::pending::<&str>))
        .layer(DeadlineLayer::new(Duration::from_millis(50)));
    assert_refused(ask(serve(app).await).await, StatusCode::GATEWAY_TIMEOUT, "deadline").await;
}

/// Fails, then hangs, then answers.
fn moody() -> impl Handler<((),), ()> {
    let calls = Arc::new(AtomicU32::new(0));
    move || async move {
        match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err(StatusCode::SERVICE_UNAVAILABLE),
            1 => std::future::pending().await,
            _ => Ok("ok"),
        }
    }
}

#[tokio::test]
async fn retry_and_hedge_ask_again_in_every_place() {
    let again = || {
        // The failure has a copy sent, and what hangs another one after a moment.
        let hedge = HedgeLayer::new(Hedge::new().delay(Duration::from_millis(20)));
        let retry = RetryLayer::new(Retry::new().backoff(Backoff::constant(Duration::ZERO)));
        ServiceBuilder::new().layer(retry).layer(hedge).into_inner()
    };
    let service = ServiceBuilder::new().layer(again()).service(get(moody()));
    let apps = [
        ("Router::layer", Router::new().route("/", get(moody())).layer(again())),
        ("Router::route_layer", Router::new().route("/", get(moody())).route_layer(again())),
        ("MethodRouter::layer", Router::new().route("/", get(moody()).layer(again()))),
        ("MethodRouter::route_layer", Router::new().route("/", get(moody()).route_layer(again()))),
        ("Handler::layer", Router::new().route("/", get(moody().layer(again())))),
        ("Router::nest", Router::new().nest("/", Router::new().route("/", get(moody()))).layer(again())),
        ("Router::route_service", Router::new().route_service("/", service)),
    ];
    for (place, app) in apps {
        println!("{place}");
        let answer = ask(serve(app).await).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.text().await.expect("a body"), "ok");
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn limit_counts_over_fresh_connections_in_every_place() {
    let three = || LimitLayer::new(Limit::per(3, 3 * HOUR)).key(|head| head.uri.path().to_owned());
    let service = ServiceBuilder::new().layer(three()).service(get(ok));
    let apps = [
        ("Router::layer", Router::new().route("/", get(ok)).layer(three())),
        ("Router::route_layer", Router::new().route("/", get(ok)).route_layer(three())),
        ("MethodRouter::layer", Router::new().route("/", get(ok).layer(three()))),
        ("Handler::layer", Router::new().route("/", get(ok.layer(three())))),
        ("Router::route_service", Router::new().route_service("/", service)),
        ("waiting", Router::new().route("/", get(ok)).layer(three().waiting(Duration::ZERO, 1))),
    ];
    for (place, app) in apps {
        println!("{place}");
        let url = serve(app).await;
        for _ in 0..3 {
            assert_eq!(ask(url.clone()).await.status(), StatusCode::OK);
        }
        let refused = ask(url).await;
        assert_eq!(refused.headers()["retry-after"], "3600");
        assert_refused(refused, StatusCode::TOO_MANY_REQUESTS, "limit").await;
    }
}

#[tokio::test]
async fn shed_refuses_while_one_is_inside_in_every_place() {
    let hang = std::future::pending::<&str>;
    let one = || ShedLayer::new(Shed::fixed(1));
    let service = ServiceBuilder::new().layer(one()).service(get(hang));
    let full = one().backlog(Backlog::new(1).max_wait(Duration::ZERO));
    let apps = [
        ("Router::layer", Router::new().route("/", get(hang)).layer(one())),
        ("Router::route_layer", Router::new().route("/", get(hang)).route_layer(one())),
        ("MethodRouter::layer", Router::new().route("/", get(hang).layer(one()))),
        ("Handler::layer", Router::new().route("/", get(hang.layer(one())))),
        ("Router::route_service", Router::new().route_service("/", service)),
        ("backlog", Router::new().route("/", get(hang)).layer(full)),
    ];
    for (place, app) in apps {
        println!("{place}");
        let url = serve(app).await;
        // Both ask at once: one is let in and gets no answer, the other is refused.
        let refused = tokio::select! {
            refused = ask(url.clone()) => refused,
            refused = ask(url) => refused,
        };
        assert!(refused.headers().contains_key("retry-after"));
        assert_refused(refused, StatusCode::SERVICE_UNAVAILABLE, "shed").await;
    }
}

#[tokio::test]
async fn fallback_answers_in_every_place() {
    async fn down() -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }
    let instead = || FallbackLayer::new(Fallback::new()).value(http::Response::new("instead"));
    let service = ServiceBuilder::new().layer(instead()).service(get(down));
    let apps = [
        ("Router::layer", Router::new().route("/", get(down)).layer(instead())),
        ("Router::route_layer", Router::new().route("/", get(down)).route_layer(instead())),
        ("MethodRouter::layer", Router::new().route("/", get(down).layer(instead()))),
        ("MethodRouter::route_layer", Router::new().route("/", get(down).route_layer(instead()))),
        ("Handler::layer", Router::new().route("/", get(down.layer(instead())))),
        ("Router::route_service", Router::new().route_service("/", service)),
    ];
    for (place, app) in apps {
        println!("{place}");
        let answer = ask(serve(app).await).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.text().await.expect("a body"), "instead");
    }
}

#[tokio::test]
async fn answers_pass_unharmed() {
    let app = Router::new()
        .route("/", get(ok.layer(BreakerLayer::new(Breaker::new()))))
        .layer(ShedLayer::new(Shed::new()))
        .layer(LimitLayer::new(Limit::per_second(1000)))
        .route_layer(DeadlineLayer::new(Duration::from_secs(3600)));
    let answer = ask(serve(app).await).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.expect("a body"), "ok");
}

#[tokio::test]
async fn a_trace_goes_on_in_every_place() {
    let layer = || TraceLayer::new(Trace::new());
    let own = || async { TraceContext::current().expect("it is traced").to_string() };
    let on_handler = Router::new().route("/", get(own.layer(layer())));
    let on_route = Router::new().route("/", get(own).layer(layer()));
    let on_router = Router::new().route("/", get(own)).layer(layer());
    let in_stack = Router::new().route("/", get(own)).layer(ServiceBuilder::new().layer(layer()));
    for (place, app) in [on_handler, on_route, on_router, in_stack].into_iter().enumerate() {
        let client = reqwest::Client::builder().no_proxy().build().expect("no TLS to set up");
        let client = Client::new(layer().outgoing().layer(ReqwestService::new(client)));
        let caller = TraceContext::begin();
        let asked = caller.clone().scope(client.get(serve(app).await).send());
        let said = asked.await.expect("an answer").text().await.expect("a text");
        assert_eq!(said, caller.to_string(), "place {place}: nobody listens, so there is no span between");
    }
}

#[tokio::test]
async fn balance_calls_upstream_from_a_handler() {
    let mut members = Vec::<Uri>::new();
    for name in ["a", "b"] {
        let app = Router::new().route("/", get(move || async move { name }));
        members.push(serve(app).await.parse().expect("a uri"));
    }
    let layer = BalanceLayer::new(Balance::new().choice(Choice::round_robin())).members(members);
    let client = reqwest::Client::builder().no_proxy().build().expect("no TLS to set up");
    let upstream = Client::new(layer.layer(ReqwestService::new(client)));
    let handler = move || {
        let call = upstream.get("http://upstream/").send();
        async move { call.await.expect("an answer").text().await.expect("a text") }
    };
    let url = serve(Router::new().route("/", get(handler))).await;
    let mut said = String::new();
    for _ in 0..4 {
        said += &ask(url.clone()).await.text().await.expect("a body");
    }
    assert!(["abab", "baba"].contains(&&*said), "{said}");

    // A proxy of its own: what came in goes on to a member, and nobody is a refusal.
    let client = reqwest::Client::builder().no_proxy().build().expect("no TLS to set up");
    let nobody = BalanceLayer::new(Balance::new()).layer(ReqwestService::new(client));
    let pass_on = move |req: axum::extract::Request| async move {
        let answer = tower::ServiceExt::oneshot(nobody, req).await.expect("the refusal is an answer");
        answer.map(axum::body::Body::new)
    };
    let url = serve(Router::new().route("/", get(pass_on))).await;
    assert_refused(ask(url).await, StatusCode::SERVICE_UNAVAILABLE, "balance").await;
}
