//! The number of an attempt travels, and of several tiers one alone retries.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bartizan_client::{AnyBody, Boxed, Client, RequestBuilder, ReqwestService};
use bartizan_deadline::DeadlineLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_retry::{MaxRetries, Repeatable, RetryLayer, RetryService};
use http::StatusCode;
use stack::echo::{EchoClient, EchoServer, Player, channel};
use stack::{Ledger, boxed, clients, hedge, retry, serve, soon};
use std::time::Duration;
use tonic::transport::Server;
use tower::{Layer, ServiceExt};

const HOUR: Duration = Duration::from_secs(3600);

/// Passes each request on as a whole, through a retry of its own.
async fn pass_on(
    State((url, stack)): State<(String, RetryService<ReqwestService>)>,
    mut req: Request,
) -> Response {
    let query = req.uri().query().unwrap_or_default();
    *req.uri_mut() = format!("{url}/?{query}").parse().unwrap();
    req.headers_mut().remove("host");
    match stack.oneshot(req).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Asks the next in the name of each request, of which its client knows nothing.
async fn ask_anew(State(next): State<Client>, req: Request) -> StatusCode {
    let query = req.uri().query().unwrap_or_default().to_owned();
    let asked = next.get(format!("?{query}")).header("x-request-id", "inner").send().await;
    asked.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
}

fn client() -> Client {
    Client::new(boxed!(&RetryLayer::new(retry()), stack::reqwest(false)))
}

async fn assert_503(request: RequestBuilder<Boxed>) {
    assert_eq!(soon(request.send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_server_sees_which_attempt_it_is() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(RetryLayer::new(retry())) {
        println!("{name}");
        let get = |id: String| client.get(format!("{url}/?503")).header("x-request-id", id);
        assert_503(get(format!("{name}, all"))).await;
        assert_eq!(ledger.attempts(&format!("{name}, all")), "- 1 2");
        assert_503(get(format!("{name}, less")).extension(MaxRetries(1))).await;
        assert_eq!(ledger.attempts(&format!("{name}, less")), "- 1");
        assert_503(get(format!("{name}, not")).extension(Repeatable(false))).await;
        assert_eq!(ledger.attempts(&format!("{name}, not")), "-");
        // What is another attempt already is nobody else's to repeat, and stays what it is.
        assert_503(get(format!("{name}, third")).header("x-request-attempt", "2")).await;
        assert_eq!(ledger.attempts(&format!("{name}, third")), "2");
    }

    let server = channel(|incoming| {
        Server::builder().add_service(EchoServer::new(Player)).serve_with_incoming(incoming)
    });
    let channel = AnyBody::new(server.await, tonic::body::Body::new);
    let mut client = EchoClient::new(RetryLayer::new(retry()).repeat(|_| true).layer(channel));
    assert_eq!(soon(client.unary("attempt")).await.unwrap().into_inner().text, "-");
}

#[tokio::test]
async fn a_hedge_is_another_attempt() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(HedgeLayer::new(hedge())) {
        println!("{name}");
        let get = client.get(format!("{url}/?hang-ok")).header("x-request-id", name);
        assert_eq!(soon(get.send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(ledger.attempts(name), "- 1");
        let get = client.get(format!("{url}/?503")).header("x-request-id", "again");
        assert_503(get.header("x-request-attempt", "1")).await;
    }
    assert_eq!(ledger.attempts("again"), "1 1 1 1");
}

#[tokio::test]
async fn a_handler_reached_by_a_retry_does_not_retry_its_own_calls() {
    let ledger = Ledger::new();
    let next = client().base_url(serve(ledger.app()).await.parse().unwrap());
    let app = Router::new().fallback(ask_anew).with_state(next);
    // The handler's client learns the number by the ambient context.
    let front = serve(app.layer(DeadlineLayer::new(HOUR))).await;
    let bare = Client::new(boxed!(&tower::layer::util::Identity::new(), stack::reqwest(false)));
    let ask =
        |attempt: u32| bare.get(format!("{front}/?503")).header("x-request-attempt", attempt.to_string());
    assert_503(bare.get(format!("{front}/?503"))).await;
    assert_eq!(ledger.attempts("inner"), "- 1 2");
    assert_503(ask(1)).await;
    assert_eq!(ledger.attempts("inner"), "- 1 2 1");
    assert_503(ask(2)).await;
    assert_eq!(ledger.attempts("inner"), "- 1 2 1 2");
}

#[tokio::test]
async fn two_tiers_do_not_multiply() {
    let ledger = Ledger::new();
    let next = client().base_url(serve(ledger.app()).await.parse().unwrap());
    let app = Router::new().fallback(ask_anew).with_state(next);
    let front = serve(app.layer(DeadlineLayer::new(HOUR))).await;
    let answer = soon(client().get(format!("{front}/?503")).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Five, where each tier for itself would have made nine.
    assert_eq!(ledger.attempts("inner"), "- 1 2 1 2");
}

#[tokio::test]
async fn a_proxy_retries_for_its_callers() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let stack = RetryLayer::new(retry()).layer(stack::reqwest(true));
    let proxy = serve(Router::new().fallback(pass_on).with_state((url, stack))).await;
    let body = || reqwest::Body::from(vec![7; 50_000]);
    let bare = stack::reqwest(false).into_inner();
    let put =
        |script: &str, id| bare.put(format!("{proxy}/?{script}")).header("x-request-id", id).body(body());
    assert_eq!(soon(put("cut-503-ok", "put").send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ledger.attempts("put"), "- 1 2");
    assert!(ledger.received("put").iter().all(|received| received.body == vec![7; 50_000]));
    // One that retries is left to itself.
    let again = put("503", "again").header("x-request-attempt", "1");
    assert_eq!(soon(again.send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ledger.attempts("again"), "1");
}

#[tokio::test]
async fn a_layer_before_a_proxy_retries_what_it_passes_on() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let quiet = RetryLayer::new(retry().enabled(false)).layer(stack::reqwest(false));
    let handler = any(pass_on).with_state((url, quiet)).layer(RetryLayer::new(retry()));
    let proxy = serve(Router::new().route("/", handler)).await;
    let bare = stack::reqwest(false).into_inner();
    for (id, key, attempts) in [("keyed", true, "- 1 2"), ("bare", false, "-")] {
        let post = bare.post(format!("{proxy}/?503-cut-ok")).header("x-request-id", id).body("apples");
        let post = if key { post.header("idempotency-key", id) } else { post };
        let status = soon(post.send()).await.unwrap().status();
        assert_eq!(status, if key { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE });
        assert_eq!((ledger.attempts(id).as_str(), ledger.effects(id)), (attempts, 1));
        assert!(ledger.received(id).iter().all(|received| received.body == "apples"));
    }
}
