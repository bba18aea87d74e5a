//! The layers on tonic 0.12, between its generated client and server.

use bartizan_balance::{Balance, BalanceService, Choice};
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive};
use bartizan_client::AnyBody;
use bartizan_core::{Refused, find_cause};
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::{Fallback, FallbackLayer, Reply};
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_limit::{Limit, LimitLayer};
use bartizan_retry::{Backoff, Retry, RetryLayer};
use bartizan_shed::{Shed, ShedLayer};
use bartizan_trace::{Trace, TraceLayer};
use http::{Request, Response, Uri};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::BoxBody;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::layer::layer_fn;
use tower::{BoxError, Service, ServiceBuilder};

const HOUR: Duration = Duration::from_secs(3600);

/// Answers as it is asked to: well, ill or not at all.
struct Patient;

#[tonic::async_trait]
impl Health for Patient {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, req: tonic::Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let attempt = req.metadata().get("x-request-attempt").map(|said| said.as_bytes().to_owned());
        match req.into_inner().service.as_str() {
            // One that is well when it is asked again.
            "moody" if attempt.is_some() => Ok(tonic::Response::new(HealthCheckResponse::default())),
            "moody" => Err(Status::unavailable("the patient is ill")),
            "shy" if attempt.is_some() => Ok(tonic::Response::new(HealthCheckResponse::default())),
            "well" => Ok(tonic::Response::new(HealthCheckResponse::default())),
            "ill" => Err(Status::unavailable("the patient is ill")),
            _ => std::future::pending().await,
        }
    }

    /// Streams a well answer, and an ill end in the trailers.
    async fn watch(&self, _: tonic::Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        let said = [Ok(HealthCheckResponse::default()), Err(Status::unavailable("the patient is ill"))];
        Ok(tonic::Response::new(Box::pin(tokio_stream::iter(said))))
    }
}

type Answer<T> = Result<tonic::Response<T>, Status>;

fn patient() -> HealthServer<Patient> {
    HealthServer::new(Patient)
}

fn how(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// A breaker that is open for an hour.
fn open() -> BreakerLayer {
    let layer = BreakerLayer::new(Breaker::new());
    layer.handle().force_open_for(HOUR);
    layer
}

/// Starts a server on loopback and returns a channel to it.
async fn serve<F>(start: impl FnOnce(TcpListenerStream) -> F) -> Channel
where
    F: Future<Output: Send> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(start(TcpListenerStream::new(listener)));
    Endpoint::try_from(format!("http://{address}")).expect("an address").connect_lazy()
}

/// Serves the patient without any layer.
async fn bare() -> Channel {
    serve(|incoming| Server::builder().add_service(patient()).serve_with_incoming(incoming)).await
}

fn assert_open(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with("refused by breaker"), "{status}");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").expect("it says when");
    let millis: u64 = pushback.to_str().expect("a number").parse().expect("a number");
    assert!((1..=3_600_000).contains(&millis), "{millis}");
}

#[tokio::test]
async fn server_layer_refuses() {
    let channel = serve(|incoming| {
        Server::builder().layer(open()).add_service(patient()).serve_with_incoming(incoming)
    });
    let mut client = HealthClient::new(channel.await);
    assert_open(&client.check(how("well")).await.expect_err("the breaker is open"));
    assert_open(&client.watch(how("well")).await.expect_err("the breaker is open"));
}

#[tokio::test]
async fn layered_service_refuses() {
    let layered = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(tonic::body::boxed))
        .layer(open())
        .service(patient());
    let channel =
        serve(|incoming| Server::builder().add_service(Named(layered)).serve_with_incoming(incoming));
    let refused = HealthClient::new(channel.await).check(how("well")).await;
    assert_open(&refused.expect_err("the breaker is open"));
}

#[tokio::test]
async fn layered_channel_refuses() {
    let channel = ServiceBuilder::new().layer(open()).service(bare().await);
    let refused = HealthClient::new(channel.clone()).check(how("well")).await;
    assert_open(&refused.expect_err("the breaker is open"));

    let intercepted = HealthClient::with_interceptor(channel, Ok).check(how("well")).await;
    assert_open(&intercepted.expect_err("the breaker is open"));
}

#[tokio::test]
async fn verdict_is_read_from_the_trailers() {
    let layer = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(4)));
    let mut client = HealthClient::new(ServiceBuilder::new().layer(layer).service(bare().await));

    for _ in 0..2 {
        let ill = client.check(how("ill")).await.expect_err("the patient is ill");
        assert_eq!(ill.message(), "the patient is ill");

        let said: Vec<_> = client.watch(how("ill")).await.expect("a stream").into_inner().collect().await;
        assert!(matches!(&said[..], [Ok(_), Err(ill)] if ill.message() == "the patient is ill"), "{said:?}");
    }
    assert_open(&client.check(how("well")).await.expect_err("four failures open the breaker"));
}

#[tokio::test]
async fn deadline_ends_a_call_that_hangs() {
    let soon = DeadlineLayer::new(Duration::from_millis(50));

    let channel = serve(|incoming| {
        Server::builder().layer(soon.clone()).add_service(patient()).serve_with_incoming(incoming)
    });
    let late = HealthClient::new(channel.await).check(how("gone")).await.expect_err("nobody answers");
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.message().starts_with("refused by deadline"), "{late}");

    let channel = ServiceBuilder::new().layer(soon).service(bare().await);
    let late = HealthClient::new(channel).check(how("gone")).await.expect_err("nobody answers");
    assert_eq!(late.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn fallback_answers_on_server_and_channel() {
    // What is encoded is the one field of the message, `SERVING`.
    let instead = || {
        FallbackLayer::new(Fallback::new())
            .reads(|head| head.uri.path().ends_with("/Check"))
            .value(Reply::grpc([8, 1]))
    };
    let channel = serve(|incoming| {
        Server::builder().layer(instead()).add_service(patient()).serve_with_incoming(incoming)
    });
    let around = ServiceBuilder::new().layer(instead()).service(bare().await);
    for answers in [
        HealthClient::new(channel.await).check(how("ill")).await,
        HealthClient::new(around).check(how("ill")).await,
    ] {
        assert_eq!(answers.expect("an answer in its place").into_inner().status, 1);
    }
}

#[tokio::test]
async fn limit_and_shed_refuse_on_server_and_channel() {
    let spent = || {
        let layer = LimitLayer::new(Limit::per(1, HOUR));
        layer.handle().drain();
        layer
    };
    let channel = serve(|incoming| {
        Server::builder().layer(spent()).add_service(patient()).serve_with_incoming(incoming)
    });
    let around = ServiceBuilder::new().layer(spent()).service(bare().await);
    for refused in [
        HealthClient::new(channel.await).check(how("well")).await,
        HealthClient::new(around).check(how("well")).await,
    ] {
        let refused = refused.expect_err("there is no token");
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::ResourceExhausted, "refused by limit: over the limit")
        );
        assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
    }
}

#[tokio::test]
async fn shed_passes_who_asks_for_health_and_refuses_by_an_error_in_the_typed_flavour() {
    let shed = ShedLayer::new(Shed::fixed(1));
    let handle = shed.handle();
    let channel =
        serve(|incoming| Server::builder().layer(shed).add_service(patient()).serve_with_incoming(incoming));
    let mut client = HealthClient::new(channel.await);
    let mut hangs = client.clone();
    let hanging = tokio::spawn(async move { hangs.check(how("gone")).await });
    client.check(how("well")).await.expect("who asks for health always passes");
    assert_eq!((handle.snapshot().in_flight, handle.snapshot().admitted.total()), (0, 0));
    hanging.abort();

    let shed = ShedLayer::new(Shed::fixed(1)).typed();
    let handle = shed.handle();
    let channel = ServiceBuilder::new().layer(shed).map_err(BoxError::from).service(bare().await);
    let mut client = HealthClient::new(channel);
    client.check(how("well")).await.expect("there is a place");
    let mut hangs = client.clone();
    let mut hanging = Box::pin(hangs.check(how("gone")));
    tokio::select! {
        answer = &mut hanging => panic!("{answer:?}"),
        () = async { while handle.snapshot().in_flight == 0 { tokio::task::yield_now().await } } => {}
    }
    let refused = client.check(how("well")).await.expect_err("there is none");
    let told = format!("{refused} {:?}", find_cause::<Refused>(&refused));
    assert!(told.contains("refused by shed: over the limit"), "{told}");
    drop(hanging);
    assert_eq!(handle.snapshot().in_flight, 0);
}

#[tokio::test]
async fn retry_and_hedge_ask_again() {
    let retry = || RetryLayer::new(Retry::new().backoff(Backoff::constant(Duration::ZERO))).repeat(|_| true);
    let hedge = || HedgeLayer::new(Hedge::new().delay(Duration::from_millis(20))).repeat(|_| true);

    // Both change the request body, of which routes and channel take one type.
    let any = layer_fn(|routes| AnyBody::new(routes, tonic::body::boxed));
    let layers = ServiceBuilder::new().layer(retry()).layer(hedge()).layer(any).into_inner();
    let channel = serve(|incoming| {
        Server::builder().layer(layers).add_service(patient()).serve_with_incoming(incoming)
    });
    let mut client = HealthClient::new(channel.await);
    client.check(how("moody")).await.expect("well when it is asked again");
    client.check(how("shy")).await.expect("well when it is asked again");

    let any = AnyBody::new(bare().await, tonic::body::boxed);
    let channel = ServiceBuilder::new().layer(retry()).service(any.clone());
    HealthClient::new(channel).check(how("moody")).await.expect("well when it is asked again");
    let channel = ServiceBuilder::new().layer(hedge()).service(any);
    HealthClient::new(channel).check(how("shy")).await.expect("well when it is asked again");
}

#[tokio::test]
async fn answers_pass_unharmed() {
    let channel = serve(|incoming| {
        Server::builder()
            .layer(TraceLayer::new(Trace::new()))
            .layer(DeadlineLayer::new(HOUR))
            .layer(BreakerLayer::new(Breaker::new()))
            .add_service(patient())
            .serve_with_incoming(incoming)
    });
    let channel = ServiceBuilder::new()
        .layer(TraceLayer::new(Trace::new()).outgoing())
        .layer(DeadlineLayer::new(HOUR))
        .layer(BreakerLayer::new(Breaker::new()))
        .service(channel.await);
    let mut client = HealthClient::new(channel);
    client.check(how("well")).await.expect("the patient is well");
    let said: Vec<_> = client.watch(how("well")).await.expect("a stream").into_inner().collect().await;
    assert_eq!(said.len(), 2);
}

/// The name that tonic asks for around `add_service`; tonic 0.12 has no layer of its own that keeps it.
#[derive(Clone)]
struct Named<S>(S);

impl<S> NamedService for Named<S> {
    const NAME: &'static str = HealthServer::<Patient>::NAME;
}

impl<S> Service<Request<BoxBody>> for Named<S>
where
    S: Service<Request<BoxBody>, Response = Response<BoxBody>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: Request<BoxBody>) -> S::Future {
        self.0.call(req)
    }
}

#[tokio::test]
async fn balance_over_channels() {
    let mut members = Vec::<Uri>::new();
    let mut listeners = Vec::new();
    for _ in 0..2 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        members
            .push(format!("http://{}", listener.local_addr().expect("it is bound")).parse().expect("a uri"));
        listeners.push(listener);
    }
    let set = BalanceService::new(Balance::new().choice(Choice::round_robin()), |uri: &Uri| {
        Endpoint::from(uri.clone()).connect_lazy()
    });
    let handle = set.handle();
    let mut client = HealthClient::new(set.clone());
    let refused = client.check(how("well")).await.expect_err("nobody is there");
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "refused by balance: no endpoints"));

    let mut client = HealthClient::new(set.members(members));
    for listener in listeners {
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(patient()).serve_with_incoming(incoming));
    }
    for _ in 0..4 {
        client.check(how("well")).await.expect("one of both is well");
        let ill = client.watch(how("ill")).await.expect("a stream").into_inner();
        assert_eq!(ill.collect::<Vec<_>>().await.len(), 2);
    }
    let seen: Vec<_> = handle.snapshot().endpoints.iter().map(|one| (one.successes, one.failures)).collect();
    assert_eq!(seen.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)), (4, 4), "{seen:?}");
    assert!(seen.iter().all(|one| one.0 + one.1 == 4), "{seen:?}");
}
