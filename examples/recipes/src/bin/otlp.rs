//! One trace over two services and the attempts of a client between them. With `OTEL_EXPORTER_OTLP_ENDPOINT` it goes to a collector, by OTLP over gRPC.

use axum::extract::{MatchedPath, Path, State};
use axum::{Router, http::StatusCode, routing::get};
use bartizan::trace::TraceContext;
use bartizan::{Client, ClientLayer, Trace, TraceLayer};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::{BoxError, ServiceBuilder};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Where spans go. The exporter reads the variables of OpenTelemetry by itself; without one it would try port 4317.
fn provider() -> Result<SdkTracerProvider, BoxError> {
    let builder =
        SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name("recipes").build());
    Ok(match env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Some(_) => builder.with_batch_exporter(SpanExporter::builder().with_tonic().build()?).build(),
        None => builder.build(),
    })
}

/// Before a handler, with the route in the name of the span.
fn inbound() -> TraceLayer {
    TraceLayer::new(Trace::new()).route(|head| head.extensions.get::<MatchedPath>().map(MatchedPath::as_str))
}

static BUSY: AtomicBool = AtomicBool::new(true);

async fn stock(Path(id): Path<u32>) -> Result<String, StatusCode> {
    if BUSY.swap(false, Ordering::Relaxed) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    Ok(format!("3 of {id} are left"))
}

async fn page(State(stock): State<Client>) -> Result<String, StatusCode> {
    let answer = stock.get("stock/7").send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let left = answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    // What a customer may quote, and who helps them looks for.
    let trace = TraceContext::current().map(|own| own.trace_id().to_string()).unwrap_or_default();
    Ok(format!("{left}, trace {trace}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    println!("{}", run().await?);
    Ok(())
}

async fn run() -> Result<String, BoxError> {
    let provider = provider()?;
    // What libraries say at lower levels would be in our spans as well. An application says `init()`.
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("recipes"));
    let spans = spans.with_location(false).with_threads(false).with_filter(LevelFilter::INFO);
    let _listening = tracing_subscriber::registry().with(spans).set_default();

    BUSY.store(true, Ordering::Relaxed);
    let url = recipes::serve(Router::new().route("/stock/{id}", get(stock)).layer(inbound())).await?;
    // A span for the whole call, and one for each attempt: the standard stack between them sends again what failed.
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new(Trace::new()).around().named("stock"))
        .layer(ClientLayer::default())
        .layer(TraceLayer::new(Trace::new()).outgoing().named("stock, attempts"))
        .service(recipes::reqwest_service());
    let client = Client::new(stack).base_url(url.parse()?).boxed();
    let gateway =
        recipes::serve(Router::new().route("/", get(page)).layer(inbound()).with_state(client)).await?;

    let customer = Client::new(recipes::reqwest_service());
    let said = customer.get(&gateway).send().await?.text().await?;
    assert!(said.starts_with("3 of 7 are left, trace "), "{said}");

    // What is not sent yet is sent now. It blocks, and the connection to the collector lives on this runtime.
    tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    Ok(said)
}

#[test]
fn runs() {
    main().unwrap();
}

#[cfg(test)]
mod collector {
    use std::collections::HashMap;
    use std::time::Duration;
    use std::{env, fs};

    /// The spans of a trace that the collector has written down: the parent of each, by its id.
    fn written(log: &str, trace: &str) -> HashMap<String, String> {
        let value = |line: Option<&str>| {
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let (mut lines, mut spans) = (log.lines(), HashMap::new());
        while let Some(line) = lines.next() {
            if line.trim().starts_with("Trace ID") && line.ends_with(trace) {
                let parent = value(lines.next()).unwrap();
                spans.insert(value(lines.next()).unwrap(), parent);
            }
        }
        spans
    }

    #[tokio::test]
    #[ignore = "needs the collector of `.ci/servers otlp`, by gRPC"]
    async fn it_is_sent_one_trace() {
        let said = super::run().await.unwrap();
        let trace = said.rsplit(' ').next().unwrap();
        let log = env::var("SERVERS_DIR").expect("`.ci/servers otlp` says where its log is") + "/otlp.log";
        // The gateway, its call, two attempts, and what the stock made of them.
        let mut spans = HashMap::new();
        for _ in 0..300 {
            spans = written(&fs::read_to_string(&log).unwrap(), trace);
            if spans.len() == 6 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(spans.len(), 6, "{trace} has but {spans:?}");
        let roots: Vec<_> = spans.values().filter(|parent| !spans.contains_key(*parent)).collect();
        assert_eq!(roots, [""], "{spans:?}");
    }
}
