//! What OpenTelemetry exports agrees with what the headers tell.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bartizan_client::Client;
use bartizan_retry::RetryLayer;
use bartizan_trace::{Job, Trace, TraceContext, TraceLayer};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use stack::echo::{EchoClient, EchoServer};
use stack::{Player, boxed, echo, reqwest, retry, serve, soon};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tracing::subscriber::{self, DefaultGuard};
use tracing_subscriber::layer::SubscriberExt;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Exports what happens on this thread.
fn export() -> (InMemorySpanExporter, DefaultGuard) {
    let exported = InMemorySpanExporter::default();
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let builder = SdkTracerProvider::builder().with_simple_exporter(exported.clone()).with_sampler(sampler);
    let layer = tracing_opentelemetry::layer().with_tracer(builder.build().tracer("test"));
    (exported, subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

fn layer() -> TraceLayer {
    TraceLayer::new(Trace::new())
}

fn of_kind(exported: &InMemorySpanExporter, kind: &SpanKind) -> Vec<SpanData> {
    let all = exported.get_finished_spans().unwrap().into_iter();
    let mut all: Vec<_> = all.filter(|span| span.span_kind == *kind).collect();
    all.sort_by_key(|span| span.start_time);
    all
}

fn header(span: &SpanData) -> String {
    let context = &span.span_context;
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

fn attribute<'a>(span: &'a SpanData, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.value)
}

async fn told(headers: HeaderMap) -> String {
    headers["traceparent"].to_str().unwrap().to_owned()
}

async fn text(answer: http::Response<Body>) -> String {
    String::from_utf8(soon(answer.into_body().collect()).await.unwrap().to_bytes().to_vec()).unwrap()
}

fn request(caller: &str) -> Request<Body> {
    Request::builder().header("traceparent", caller).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn ids_and_parents_agree_with_the_headers() {
    let (exported, _guard) = export();
    let leaf = serve(Router::new().route("/", get(told)).layer(layer())).await;
    let client = Client::new(boxed!(&layer().outgoing(), reqwest(false))).base_url(leaf.parse().unwrap());
    let relay = move || async move {
        // A span of the application's own is between the two.
        let own = tracing::info_span!("own");
        let called = client.get("").send();
        let answer = tracing::Instrument::instrument(called, own).await.unwrap();
        answer.text().await.unwrap()
    };
    let app = Router::new().route("/", get(relay)).layer(layer());
    let said = text(app.oneshot(request(CALLER)).await.unwrap()).await;

    let (servers, calls) = (of_kind(&exported, &SpanKind::Server), of_kind(&exported, &SpanKind::Client));
    let own = of_kind(&exported, &SpanKind::Internal);
    assert_eq!((servers.len(), calls.len(), own.len()), (2, 1, 1));
    assert_eq!(said, header(&calls[0]));
    for span in servers.iter().chain(&calls).chain(&own) {
        assert_eq!(span.span_context.trace_id().to_string(), TRACE_ID);
    }
    let parents = [&servers[0], &own[0], &calls[0], &servers[1]].map(|span| span.parent_span_id.to_string());
    let ids = [&servers[0], &own[0], &calls[0]].map(|span| span.span_context.span_id().to_string());
    assert_eq!(parents[0], "00f067aa0ba902b7");
    assert_eq!(parents[1..], ids);
    assert!(servers[0].parent_span_is_remote && servers[1].parent_span_is_remote);
    assert_eq!((servers[0].name.as_ref(), &servers[0].status), ("GET", &Status::Unset));
    assert_eq!(attribute(&servers[0], "http.response.status_code"), Some(&Value::I64(200)));
    assert_eq!(attribute(&calls[0], "span_id"), Some(&Value::from(ids[2].clone())));
}

#[tokio::test]
async fn what_a_grpc_server_has_answered_is_called_by_its_method() {
    let (exported, _guard) = export();
    let server = tonic::service::Routes::new(EchoServer::new(echo::Player)).into_axum_router();
    let url = serve(server.layer(layer())).await;
    let channel = tonic::transport::Endpoint::try_from(url).unwrap().connect_lazy();
    let mut client = EchoClient::new(layer().outgoing().layer(channel));
    assert_eq!(soon(client.unary("hello")).await.unwrap().into_inner().text, "hello");
    let [server, call] = [SpanKind::Server, SpanKind::Client].map(|kind| of_kind(&exported, &kind).remove(0));
    assert!(server.name.ends_with("/Unary"), "{server:?}");
    assert_eq!(server.name, call.name);
    assert_eq!(attribute(&server, "rpc.method"), Some(&Value::from("Unary")));
}

#[tokio::test]
async fn who_is_not_recorded_is_not_and_says_so() {
    let (exported, _guard) = export();
    let app = Router::new()
        .route("/", get(|| async { TraceContext::current().unwrap().to_string() }))
        .layer(layer());
    let unsampled = CALLER.replace("-01", "-00");
    let said = text(app.clone().oneshot(request(&unsampled)).await.unwrap()).await;
    assert_eq!((&said[..35], &said[52..]), (&unsampled[..35], "-00"));
    assert_eq!(exported.get_finished_spans().unwrap().len(), 0);
    let said = text(app.oneshot(Request::new(Body::empty())).await.unwrap()).await;
    assert_eq!(said, header(&of_kind(&exported, &SpanKind::Server)[0]));
    assert_eq!(of_kind(&exported, &SpanKind::Server)[0].parent_span_id, SpanId::INVALID);
}

#[tokio::test]
async fn attempts_failures_and_jobs() {
    let (exported, _guard) = export();
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    let stack = ServiceBuilder::new()
        .layer(layer().around())
        .layer(RetryLayer::new(retry()))
        .layer(layer().outgoing());
    let client = Client::new(stack.service(reqwest(false))).base_url(url.parse().unwrap());
    // It was taken out of a queue, and a task of its own deals with it.
    let job = Job::new("mail").sent_by(CALLER.parse().ok());
    let answer =
        tokio::spawn(job.run(async move { soon(client.get("?moody").send()).await.unwrap().status() }));
    assert_eq!(answer.await.unwrap(), 200);

    let job = &of_kind(&exported, &SpanKind::Consumer)[0];
    assert_eq!((job.name.as_ref(), job.parent_span_id.to_string().as_str()), ("mail", "00f067aa0ba902b7"));
    let call = &of_kind(&exported, &SpanKind::Internal)[0];
    assert_eq!(call.parent_span_id, job.span_context.span_id());
    let attempts = of_kind(&exported, &SpanKind::Client);
    let error = Status::error("");
    for (n, (attempt, status)) in attempts.iter().zip([&error, &error, &Status::Unset]).enumerate() {
        assert_eq!(attempt.parent_span_id, call.span_context.span_id());
        assert_eq!(attempt.span_context.trace_id().to_string(), TRACE_ID);
        assert_eq!((&attempt.status, attribute(attempt, "attempt")), (status, Some(&Value::I64(n as i64))));
    }
    assert_eq!((attempts.len(), &call.status), (3, &Status::Unset));
}
