//! The layers around a client, as its user sees them.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use axum::{Router, http::HeaderMap, http::StatusCode};
use bartizan::breaker::Consecutive;
use bartizan::client::{Error, HyperService, ReqwestService};
use bartizan::{Breaker, BreakerLayer, Client, DeadlineLayer, Kind};
use futures_util::{StreamExt, stream};
use std::time::Duration;
use tower::ServiceBuilder;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn reqwest_service() -> ReqwestService {
    ReqwestService::new(reqwest::Client::builder().no_proxy().build().unwrap())
}

fn three_in_a_row() -> BreakerLayer {
    BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)))
}

#[tokio::test]
async fn an_open_breaker_is_an_error_and_a_503_is_not() {
    let url = serve(Router::new().route("/", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))).await;
    let around = || ServiceBuilder::new().layer(DeadlineLayer::new(LONG).outgoing()).layer(three_in_a_row());
    let clients = [
        Client::new(around().service(reqwest_service())).boxed(),
        Client::new(around().service(HyperService::default())).boxed(),
    ];
    for client in clients {
        for _ in 0..3 {
            assert_eq!(client.get(&url).send().await.unwrap().status(), 503);
        }
        match client.get(&url).send().await {
            Err(Error::Refused(refused)) => {
                assert_eq!((refused.layer(), refused.kind()), ("breaker", Kind::Unavailable));
                assert!(refused.retry_after().is_some() && !refused.reached());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_deadline_is_an_error_before_the_head_and_within_the_body() {
    let hang = || std::future::pending::<()>();
    let half = || async {
        let frames = stream::iter([Ok::<_, std::io::Error>("half")]).chain(stream::pending());
        Body::from_stream(frames)
    };
    let url = serve(Router::new().route("/", get(hang)).route("/half", get(half))).await;
    let breaker = three_in_a_row();
    let handle = breaker.handle();
    let stack = ServiceBuilder::new()
        .layer(breaker)
        .layer(DeadlineLayer::new(SHORT).outgoing())
        .service(reqwest_service());
    let client = Client::new(stack).base_url(url.parse().unwrap());

    let mut answer = client.get("half").send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "half");
    let cut = answer.chunk().await;
    assert!(matches!(&cut, Err(Error::Refused(refused)) if refused.layer() == "deadline"), "{cut:?}");

    for _ in 0..2 {
        let late = client.get("").send().await;
        assert!(matches!(&late, Err(Error::Refused(refused)) if refused.reached()), "{late:?}");
    }
    assert_eq!(handle.state().as_str(), "open");
}

#[tokio::test]
async fn a_deadline_travels_through_a_server_to_the_next() {
    let told = |headers: HeaderMap| async move {
        headers.get("x-request-timeout-ms").map_or("none".into(), |left| left.to_str().unwrap().to_owned())
    };
    let back = serve(Router::new().route("/", get(told))).await;
    let outgoing =
        || ServiceBuilder::new().layer(DeadlineLayer::new(LONG).outgoing()).service(reqwest_service());
    let ask = |State((client, back)): State<(Client, String)>| async move {
        client.get(back).send().await.unwrap().text().await.unwrap()
    };
    let app = Router::new()
        .route("/", get(ask))
        .layer(DeadlineLayer::new(LONG / 2))
        .with_state((Client::new(outgoing()).boxed(), back));
    let front = serve(app).await;

    let left = Client::new(reqwest_service()).get(front).send().await.unwrap().text().await.unwrap();
    let left: u128 = left.parse().unwrap();
    assert!((1..=(LONG / 2).as_millis()).contains(&left), "{left}");
}
