//! The last good answer where axum and the clients take it, over real connections.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bartizan_client::{Client, ReqwestService};
use bartizan_core::registry;
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::stale::Handle;
use bartizan_fallback::{Stale, StaleLayer};
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use stack::echo::{EchoClient, EchoServer};
use stack::{Reach, ask, boxed, clients, serve, soon, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt};

const HOUR: Duration = Duration::from_secs(3600);
const KEPT: Stale = Stale::new().if_error(HOUR).refresh_backoff(Duration::ZERO, Duration::ZERO);

/// A shop that counts its calls, fails if told so, and lets answers go one by one if told so.
#[derive(Clone, Default)]
struct Shop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: AtomicUsize,
    is_down: AtomicBool,
    gate: Option<Semaphore>,
}

impl Shop {
    fn gated() -> Self {
        Self(Arc::new(Inner { gate: Some(Semaphore::new(0)), ..Inner::default() }))
    }

    fn calls(&self) -> usize {
        self.0.calls.load(SeqCst)
    }

    fn down(&self) {
        self.0.is_down.store(true, SeqCst);
    }

    fn app(&self) -> Router {
        Router::new().route("/", get(page)).with_state(self.clone())
    }
}

/// Answers with the fields that the query has, and with who asks.
async fn page(State(Shop(shop)): State<Shop>, headers: HeaderMap, uri: http::Uri) -> Response {
    let call = shop.calls.fetch_add(1, SeqCst);
    if let Some(gate) = &shop.gate {
        gate.acquire().await.unwrap().forget();
    }
    if shop.is_down.load(SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let who = headers.get("authorization").map_or("nobody", |who| who.to_str().unwrap());
    let mut answer = format!("{call} for {who}").into_response();
    for field in uri.query().unwrap_or_default().split('&').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        answer.headers_mut().append(name, value.replace('+', " ").parse().unwrap());
    }
    answer
}

async fn text(answer: http::Response<impl http_body::Body<Error: std::fmt::Debug>>) -> String {
    let read = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(read.to_vec()).unwrap()
}

fn assert_idle(handle: &Handle) {
    let seen = handle.snapshot();
    assert_eq!((seen.in_flight, seen.waiting, seen.refreshing, seen.recording), (0, 0, 0, 0), "{seen:?}");
}

type Site = (&'static str, fn(StaleLayer, Shop) -> Router);

const SITES: [Site; 6] = [
    ("Router::layer", |layer, shop| shop.app().layer(layer)),
    ("Router::route_layer", |layer, shop| shop.app().route_layer(layer)),
    ("MethodRouter::layer", |layer, shop| Router::new().route("/", get(page).layer(layer)).with_state(shop)),
    ("Handler::layer", |layer, shop| Router::new().route("/", get(page.layer(layer))).with_state(shop)),
    ("Router::route_service", |layer, shop| {
        Router::new()
            .route_service("/", ServiceBuilder::new().layer(layer).service(get(page).with_state(shop)))
    }),
    ("among others", |layer, shop| shop.app().layer(DeadlineLayer::new(HOUR)).layer(layer)),
];

#[tokio::test]
async fn one_store_for_all_connections() {
    for (name, site) in SITES {
        for reach in Reach::ALL {
            let (layer, shop) = (StaleLayer::new(KEPT), Shop::default());
            let handle = layer.handle();
            let reached = reach.reach(site(layer, shop.clone())).await;
            assert_eq!(text(reached.ask("/").await).await, "0 for nobody", "{name} {reach:?}");
            until(|| handle.snapshot().entries == 1).await;
            shop.down();
            for _ in 0..3 {
                let stale = reached.ask("/").await;
                assert_eq!(stale.status(), 200, "{name} {reach:?}");
                assert_eq!(stale.headers()["age"], "0");
                let status = stale.headers()["cache-status"].to_str().unwrap();
                assert!(status.starts_with("bartizan; fwd=stale; fwd-status=503; ttl="), "{status}");
                assert_eq!(text(stale).await, "0 for nobody");
            }
            assert_eq!(shop.calls(), 4, "{name} {reach:?}");
            assert_eq!(handle.snapshot().stale_if_error, 3);
            until(|| handle.snapshot().in_flight == 0).await;
            assert_idle(&handle);
        }
    }
}

#[tokio::test]
async fn clients_are_served_while_their_server_is_gone() {
    let layer = StaleLayer::new(KEPT).named("client");
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        println!("{name}");
        handle.purge();
        let shop = Shop::default();
        let (listener, address) = stack::listen().await;
        let app = shop.app();
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let url = format!("http://{address}/?etag=%221%22");
        let get = || async { soon(client.get(url.as_str()).send()).await };
        let first = get().await.unwrap();
        assert_eq!(soon(first.text()).await.unwrap(), "0 for nobody");
        assert_eq!(handle.snapshot().entries, 1);
        shop.down();
        assert_eq!(soon(get().await.unwrap().text()).await.unwrap(), "0 for nobody");
        server.abort();
        let _ = server.await;
        // Connections that stand may live on: they answer 503, and new ones are refused.
        for _ in 0..3 {
            let stale = get().await.unwrap();
            assert_eq!((stale.status().as_u16(), stale.headers().contains_key("age")), (200, true));
            assert_eq!(soon(stale.text()).await.unwrap(), "0 for nobody");
        }
        let other = soon(client.get(format!("http://{address}/other")).send()).await;
        assert!(other.is_err() || other.unwrap().status() == 404);
    }
    let known = registry::handles();
    assert!(
        known
            .iter()
            .any(|known| (known.layer(), known.name(), known.state()) == ("stale", "client", "degraded"))
    );
    assert_idle(&handle);
}

#[tokio::test]
async fn a_burst_over_many_connections_makes_one_call() {
    let (layer, shop) = (StaleLayer::new(Stale::new().coalesce(true)), Shop::gated());
    let handle = layer.handle();
    let url = serve(shop.app().layer(layer)).await;
    let reads = (0..100).map(|_| async { text(ask(&url).await).await });
    let (bodies, ()) = tokio::join!(join_all(reads), async {
        until(|| handle.snapshot().waiting == 99).await;
        shop.0.gate.as_ref().unwrap().add_permits(1);
    });
    assert!(bodies.iter().all(|body| body == "0 for nobody"), "{bodies:?}");
    assert_eq!(shop.calls(), 1);
    assert_idle(&handle);
}

#[tokio::test]
async fn a_leader_that_hangs_up_strands_nobody() {
    let (layer, shop) = (StaleLayer::new(Stale::new().coalesce(true)), Shop::gated());
    let handle = layer.handle();
    let url = serve(shop.app().layer(layer)).await;
    let leader = tokio::spawn({
        let url = url.clone();
        async move { drop(ask(&url).await) }
    });
    until(|| shop.calls() == 1).await;
    let reads = (0..50).map(|_| async { text(ask(&url).await).await });
    let (bodies, ()) = tokio::join!(join_all(reads), async {
        until(|| handle.snapshot().waiting == 50).await;
        // hyper drops the call of a connection that is closed.
        leader.abort();
        until(|| shop.calls() == 2).await;
        shop.0.gate.as_ref().unwrap().add_permits(2);
    });
    assert!(bodies.iter().all(|body| body == "1 for nobody"), "{bodies:?}");
    assert_eq!(shop.calls(), 2);
    until(|| handle.snapshot().in_flight == 0).await;
    assert_idle(&handle);
}

#[tokio::test]
async fn nobody_sees_what_is_anothers() {
    let value = Stale::new().if_error(HOUR).while_revalidate(HOUR).fresh(true).coalesce(true);
    for (fields, is_public) in [
        ("", false),
        ("cache-control=private", false),
        ("cache-control=public&set-cookie=a=b", false),
        ("cache-control=public&vary=authorization", false),
        ("cache-control=public&vary=*", false),
        ("cache-control=public", true),
    ] {
        let (layer, shop) = (StaleLayer::new(value.clone()), Shop::default());
        let client = Client::new(boxed!(&layer, stack::reqwest(false)));
        let url = format!("{}/?{fields}", serve(shop.app()).await);
        let reads = (0..100).map(|n| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let answer = client.get(url).header("authorization", n.to_string()).send().await.unwrap();
                (n, answer.text().await.unwrap())
            })
        });
        let bodies = soon(join_all(reads)).await;
        let own = |(n, body): (i32, String)| body.ends_with(&format!(" for {n}"));
        let own = bodies.into_iter().filter(|read| own(read.as_ref().unwrap().clone())).count();
        assert_eq!(own == 100, !is_public, "{fields}: {own}");
        until(|| layer.handle().snapshot().refreshing == 0).await;
        assert_idle(&layer.handle());
    }
}

#[tokio::test]
async fn a_refresh_goes_on_when_its_caller_has_gone() {
    let (layer, shop) = (StaleLayer::new(Stale::new().while_revalidate(HOUR)), Shop::default());
    let handle = layer.handle();
    let app = shop.app().layer(layer).layer(DeadlineLayer::new(HOUR));
    let url = serve(app).await;
    assert_eq!(text(ask(&url).await).await, "0 for nobody");
    until(|| handle.snapshot().entries == 1).await;
    assert_eq!(text(ask(&url).await).await, "0 for nobody");
    until(|| shop.calls() == 2 && handle.snapshot().stored == 2).await;
    let refreshed = text(ask(&url).await).await;
    assert_eq!(refreshed, "1 for nobody");
    until(|| handle.snapshot().refreshing == 0).await;
    assert_idle(&handle);
}

#[tokio::test]
async fn grpc_goes_through() {
    let layer = StaleLayer::new(Stale::new().if_error(HOUR).fresh(true).coalesce(true));
    let handle = layer.handle();
    let routes = tonic::service::Routes::new(EchoServer::new(stack::echo::Player)).into_axum_router();
    let url = serve(routes.layer(layer.clone())).await;
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect_lazy();
    let mut client = EchoClient::new(channel);
    for _ in 0..2 {
        assert_eq!(soon(client.unary("apple")).await.unwrap().into_inner().text, "apple");
        assert_eq!(soon(client.unary("fail")).await.unwrap_err().code(), tonic::Code::Unavailable);
    }
    assert_eq!(handle.snapshot(), bartizan_fallback::stale::Snapshot::default());
}

#[tokio::test]
async fn a_bare_request_of_reqwest_fits() {
    let shop = Shop::default();
    let url = serve(shop.app()).await;
    let layer = StaleLayer::new(KEPT);
    let service = ServiceBuilder::new().layer(layer).service(ReqwestService::new(reqwest::Client::new()));
    for ought in ["0 for nobody", "0 for nobody"] {
        let req = Request::get(url.as_str()).body(reqwest::Body::default()).unwrap();
        assert_eq!(text(service.clone().oneshot(req).await.unwrap()).await, ought);
        shop.down();
    }
}
