//! What strangers write into their requests gives them no second bucket and no higher place: addresses, priorities, deadlines.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bartizan_deadline::DeadlineLayer;
use bartizan_limit::{Address, Limit, LimitLayer};
use bartizan_shed::{ByPriority, Shed, ShedLayer};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Request, Response};
use stack::echo::{EchoClient, EchoServer, Player as Echo, channel};
use stack::{Player, Refusal, listen, soon};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::transport::Server;
use tonic::transport::server::TcpConnectInfo;
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// Three, and then none for an hour.
const THREE: Limit = Limit::per(3, Duration::from_secs(3 * 3600));

/// Serves an app that can tell whose a connection is.
async fn serve(app: Router) -> String {
    let (listener, address) = listen().await;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn client(http2: bool) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder };
    builder.build().unwrap()
}

/// Asks with each of these fields, over connections of their own, and says how many were let through.
async fn through(url: &str, field: &str, values: &[&str]) -> usize {
    let mut through = 0;
    for (n, value) in values.iter().enumerate() {
        let asked = client(n % 2 == 1).get(url).header(field, *value).send();
        let answer = soon(asked).await.unwrap();
        if answer.status() == 200 {
            through += 1;
        } else {
            let refusal = Refusal::of(Response::<reqwest::Body>::from(answer)).await;
            assert_eq!(refusal, Refusal::new(429, "limit", "over the limit", Some(3600)));
        }
    }
    through
}

macro_rules! by_address {
    (|$address:ident| $set:expr) => {{
        let $address =
            Address::new(|head| head.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
        let layer = LimitLayer::new(THREE).address($set);
        serve(Router::new().route("/", get(Player::new())).layer(layer)).await
    }};
}

#[tokio::test]
async fn an_invented_address_is_no_other_client() {
    const FORGED: [&str; 8] = [
        "1.1.1.1",
        "2.2.2.2",
        "3.3.3.3, 4.4.4.4",
        "",
        "::1",
        "[2001:db8::1]:80",
        "unknown",
        "6.6.6.6, 7.7.7.7",
    ];
    // Nobody stands in front: the field says nothing.
    let url = by_address!(|address| address);
    assert_eq!(through(&url, "x-forwarded-for", &FORGED).await, 3);
    // One does, but this is another.
    let url = by_address!(|address| address.trusted_proxies(1).proxies_at(|_| false));
    assert_eq!(through(&url, "x-forwarded-for", &FORGED).await, 3);
    // It does, and writes the other field.
    let url = by_address!(|address| address.trusted_proxies(1).forwarded(true));
    assert_eq!(through(&url, "x-forwarded-for", &FORGED).await, 3);
}

#[tokio::test]
async fn behind_a_proxy_its_word_counts_and_not_what_came_to_it() {
    let url = by_address!(|address| address.trusted_proxies(1));
    let forged: Vec<String> = (0..8).map(|n| format!("{n}.{n}.{n}.{n}, 198.51.100.7")).collect();
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    assert_eq!(through(&url, "x-forwarded-for", &forged).await, 3);
    assert_eq!(
        through(&url, "x-forwarded-for", &["198.51.100.7, 198.51.100.8"; 4]).await,
        3,
        "another has his own"
    );
    // Of one's own network of IPv6 all addresses are one, mapped ones are what they are.
    let neighbours =
        ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:0:8::", "2001:db8:0:1::1"];
    assert_eq!(through(&url, "x-forwarded-for", &neighbours).await, 4);
    assert_eq!(through(&url, "x-forwarded-for", &["::ffff:198.51.100.7"]).await, 0);

    let url = by_address!(|address| address.trusted_proxies(1).forwarded(true));
    let said = r#"for=6.6.6.6, for="198.51.100.7:4711""#;
    assert_eq!(through(&url, "forwarded", &[said, said, "for=9.9.9.9, for=198.51.100.7", said]).await, 3);
}

#[tokio::test]
async fn callers_of_a_grpc_server_are_told_apart_by_their_connections_alone() {
    let peer =
        Address::new(|head| head.extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr));
    let layer = LimitLayer::new(THREE).address(peer);
    let server = channel(|incoming| {
        Server::builder().layer(layer).add_service(EchoServer::new(Echo)).serve_with_incoming(incoming)
    });
    let mut client = EchoClient::new(server.await);
    let mut through = 0;
    for n in 0..8 {
        let mut request = tonic::Request::new("one".into());
        request.metadata_mut().insert("x-forwarded-for", format!("{n}.1.1.1").parse().unwrap());
        through += usize::from(soon(client.unary(request)).await.is_ok());
    }
    assert_eq!(through, 3);
}

#[tokio::test]
async fn a_forged_priority_lowers_and_raises_nothing() {
    let admitted = |admitted: ByPriority| [admitted.critical, admitted.normal, admitted.sheddable];
    for (shed, ought) in [(Shed::fixed(9), [0, 4, 1]), (Shed::fixed(9).trusted_edge(true), [2, 2, 1])] {
        // Of those that say nothing, nonsense, the highest twice, and the lowest.
        let said = [None, Some("urgent"), Some("critical"), Some("0"), Some("sheddable")];

        let layer = ShedLayer::new(shed);
        let handle = layer.handle();
        let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
        for (n, said) in said.iter().enumerate() {
            let headers: HeaderMap =
                said.iter().map(|said| (PRIORITY, HeaderValue::from_static(said))).collect();
            let answer = soon(client(n % 2 == 1).get(&url).headers(headers).send()).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(admitted(handle.snapshot().admitted), ought, "over HTTP, {shed:?}");

        let layer = ShedLayer::new(shed);
        let handle = layer.handle();
        let server = channel(|incoming| {
            Server::builder().layer(layer).add_service(EchoServer::new(Echo)).serve_with_incoming(incoming)
        });
        let mut client = EchoClient::new(server.await);
        for said in said {
            let mut request = tonic::Request::new("one".into());
            if let Some(said) = said {
                request.metadata_mut().insert("x-request-priority", said.parse().unwrap());
            }
            soon(client.unary(request)).await.unwrap();
        }
        assert_eq!(admitted(handle.snapshot().admitted), ought, "over gRPC, {shed:?}");
    }
}

const PRIORITY: http::HeaderName = http::HeaderName::from_static("x-request-priority");

/// Sends a thousand requests a second for three seconds to a service that answers four hundred, and says which were admitted. Every
/// other one says this of itself.
async fn crowd(shed: Shed, said: &[(&'static str, &'static str)]) -> Vec<bool> {
    let workers = Arc::new(Semaphore::new(4));
    let work = service_fn(move |_: Request<String>| {
        let workers = workers.clone();
        async move {
            let _worker = workers.acquire().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::new(Duration::from_millis(100)))
        .layer(ShedLayer::new(shed))
        .service(work);
    let mut calls = Vec::new();
    for n in 0..3000 {
        let mut request = Request::new(String::new());
        if n % 2 == 0 {
            request.headers_mut().extend(
                said.iter().map(|(name, value)| {
                    (http::HeaderName::from_static(name), HeaderValue::from_static(value))
                }),
            );
        }
        calls.push(tokio::spawn(service.clone().oneshot(request)));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let admitted = |answer: Response<_>| answer.extensions().get::<bartizan_core::Refused>().is_none();
    join_all(calls).await.into_iter().map(|answer| admitted(answer.unwrap().unwrap())).collect()
}

fn count<'a>(admitted: impl IntoIterator<Item = &'a bool>) -> usize {
    admitted.into_iter().filter(|admitted| **admitted).count()
}

#[tokio::test(start_paused = true)]
async fn in_a_crowd_no_forged_word_gets_anybody_in() {
    let shed = Shed::new().seed(7);
    let honest = crowd(shed, &[]).await;
    assert!((800..2400).contains(&count(&honest)), "{}", count(&honest));
    for forged in [
        &[("x-request-timeout-ms", "999999999")][..],
        &[("x-request-timeout-ms", "99999999999999999999999999")],
        &[("grpc-timeout", "99999999H")],
        &[("x-request-priority", "critical")],
        &[("x-request-priority", "0"), ("x-request-timeout-ms", "999999999")],
        &[("x-request-attempt", "0"), ("x-forwarded-for", "127.0.0.1")],
    ] {
        assert_eq!(crowd(shed, forged).await, honest, "{forged:?}");
    }
    // What is said may be to one's own loss.
    let humble = crowd(shed, &[("x-request-priority", "sheddable")]).await;
    let (said, others): (Vec<_>, Vec<_>) = humble.iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let share = |of: &[(usize, &bool)]| count(of.iter().map(|(_, admitted)| *admitted));
    assert!(share(&said) * 2 < share(&others), "{} and {}", share(&said), share(&others));
}
