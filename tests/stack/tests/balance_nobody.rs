//! No endpoints is a clear no at once, and a balancer that has just begun serves whoever comes.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bartizan_balance::{Balance, BalanceLayer, BalanceService, Change, Member};
use bartizan_client::{Client, Error, HyperService};
use bartizan_core::Kind;
use futures_util::future::join_all;
use http::{StatusCode, Uri};
use http_body_util::BodyExt;
use stack::echo::{EchoClient, lazy};
use stack::{Refusal, Replica, ask, boxed, clients, serve, soon, until};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;
use tonic::Code;
use tonic::transport::Channel;
use tower::{Layer, ServiceExt};

const HOUR: Duration = Duration::from_secs(3600);

fn empty() -> BalanceLayer {
    BalanceLayer::new(Balance::new()).named("nobody")
}

/// A proxy without members.
async fn proxy(layer: BalanceLayer) -> String {
    type Proxy = <BalanceLayer as Layer<HyperService>>::Service;
    let pass_on = |State(proxy): State<Proxy>, req: Request| async move {
        let answer = proxy.oneshot(req).await;
        answer.map_or(StatusCode::BAD_GATEWAY.into_response(), |answer: http::Response<_>| {
            answer.map(Body::new)
        })
    };
    serve(Router::new().fallback(pass_on).with_state(layer.layer(stack::hyper(false)))).await
}

#[tokio::test]
async fn over_http() {
    let url = proxy(BalanceLayer::new(Balance::new())).await;
    assert_eq!(Refusal::of(ask(&url).await).await, Refusal::new(503, "balance", "no endpoints", None));
    for (name, client) in clients!(empty()) {
        let refused = soon(client.get("http://fleet/").send()).await;
        let Err(Error::Refused(refused)) = refused else { panic!("{name}: {refused:?}") };
        assert_eq!((refused.layer(), refused.reason()), ("balance", "no endpoints"));
        assert_eq!((refused.kind(), refused.name()), (Kind::Unavailable, Some("nobody")));
        assert!(!refused.reached());
    }
}

#[tokio::test]
async fn over_grpc() {
    let set: BalanceService<Uri, Channel> = BalanceService::new(Balance::new(), lazy);
    let handle = set.handle();
    let mut client = EchoClient::new(set);
    let status = soon(client.unary("one")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "refused by balance: no endpoints"));
    let status = soon(client.server_stream("one")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(handle.snapshot().refused, 2);

    // The same by a proxy: trailers alone, as gRPC has it.
    let url = proxy(empty()).await;
    let asked = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = asked.post(&url).header("content-type", "application/grpc").body("").send();
    let answer: Response = Response::from(soon(asked).await.unwrap()).map(Body::new);
    assert_eq!((answer.status(), &answer.headers()["grpc-status"]), (StatusCode::OK, &"14".parse().unwrap()));
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn members_that_get_nothing_are_nobody() {
    let fleet = Replica::several(2).await;
    for (members, reason) in
        [(vec![], "no endpoints"), (vec![Member::new(fleet[0].uri()).weight(0)], "no endpoint is usable")]
    {
        let layer = BalanceLayer::new(Balance::new()).members(members);
        let client = Client::new(boxed!(&layer, stack::reqwest(false)));
        let refused = soon(client.get("http://fleet/").send()).await;
        assert!(
            matches!(&refused, Err(Error::Refused(refused)) if refused.reason() == reason),
            "{refused:?}"
        );
    }
    // They all are about to leave, and still better than nobody.
    let layer = BalanceLayer::new(Balance::new()).members(fleet.iter().map(Replica::uri));
    fleet.iter().for_each(|replica| assert!(layer.handle().drain(&replica.uri())));
    let client = Client::new(boxed!(&layer, stack::reqwest(false)));
    assert_eq!(soon(client.get("http://fleet/").send()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn whoever_waits_for_the_first_is_served_when_it_comes() {
    let replica = Replica::start().await;
    let layer = BalanceLayer::new(Balance::new().wait_for_endpoints(HOUR));
    let handle = layer.handle();
    let client = Client::new(boxed!(&layer, stack::reqwest(false)));
    let calls: Vec<_> = (0..64).map(|_| tokio::spawn(soon(client.get("http://fleet/").send()))).collect();
    // One that comes and takes no calls is nobody still.
    handle.change(Change::Insert(Member::new(replica.uri()).weight(0)));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(calls.iter().all(|call| !call.is_finished()) && replica.calls() == 0);
    handle.change(Change::Insert(Member::new(replica.uri())));
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!((replica.calls(), handle.snapshot().refused), (64, 0));

    let layer = BalanceLayer::new(Balance::new().wait_for_endpoints(Duration::from_millis(20)));
    let client = Client::new(boxed!(&layer, stack::reqwest(false)));
    let refused = soon(client.get("http://fleet/").send()).await;
    assert!(matches!(&refused, Err(Error::Refused(refused)) if refused.layer() == "balance"), "{refused:?}");
    assert_eq!(layer.handle().snapshot().refused, 1, "who has waited in vain was refused as well");
}

#[tokio::test]
async fn a_fresh_one_under_64_connections() {
    let fleet = Replica::several(5).await;
    let layer = BalanceLayer::new(Balance::new()).members(fleet.iter().map(Replica::uri));
    let handle = layer.handle();
    let url = proxy(layer).await;
    let together = Arc::new(Barrier::new(64));
    let callers = (0..64).map(|_| {
        let (client, url, together) =
            (reqwest::Client::builder().no_proxy().build().unwrap(), url.clone(), together.clone());
        tokio::spawn(async move {
            together.wait().await;
            for _ in 0..5 {
                let answer = soon(client.get(&url).send()).await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                answer.bytes().await.unwrap();
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let calls: Vec<usize> = fleet.iter().map(Replica::calls).collect();
    assert_eq!(calls.iter().sum::<usize>(), 320);
    // The first 64 come before anything is known, and are shared out evenly: nobody is left to one, nobody is overrun.
    assert!(calls.iter().all(|calls| (13..=160).contains(calls)), "{calls:?}");
    until(|| handle.snapshot().endpoints.iter().all(|one| one.in_flight == 0)).await;
    assert_eq!(handle.snapshot().endpoints.iter().map(|one| one.successes).sum::<u32>(), 320);
}
