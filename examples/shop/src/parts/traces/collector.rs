//! A collector of OpenTelemetry, by OTLP over HTTP. It is sent to in the background; what it does not take is lost, and nobody waits.

use super::super::ask::{Lost, ask};
use super::super::config::Config;
use super::super::failure::Failure;
use super::super::tls::{Https, Tls};
use super::OTLP;
use bartizan::Client;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::BatchSpanProcessor;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::runtime::{self, Handle};

/// Below its URL.
const PATH: &str = "/v1/traces";

/// How long it has to take something.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends nothing to the collector of [`OTLP`], if it is set, and looks whether that is taken.
///
/// # Errors
///
/// When nobody is there, or somebody else.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    let Some(url) = &config.collector else { return Ok(()) };
    let nothing = Client::new(config.tls.http()).post(format!("{url}{PATH}"));
    let why = match ask(nothing.header(CONTENT_TYPE, "application/x-protobuf"), PATIENCE).await {
        // It may want to know who sends, which its headers say later.
        Ok(said) if said.status().is_success() || is_for_some(said.status()) => return Ok(()),
        Ok(said) => format!("it answered {}", said.status().as_u16()),
        Err(why) => why.to_string(),
    };
    Err(Failure::new(format!("{OTLP} is set, but no collector can be used at {url}: {why}.")))
}

fn is_for_some(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Sends spans to a collector, in batches and from a thread of its own.
pub(super) fn to(url: &str, tls: &Tls) -> Result<BatchSpanProcessor, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{OTLP} {url} cannot be used: {why}."));
    let way = Way::new(url, tls).map_err(|why| failed(&why))?;
    let exporter = SpanExporter::builder().with_http().with_http_client(way);
    let exporter = exporter.with_endpoint(format!("{url}{PATH}")).with_protocol(Protocol::HttpBinary);
    let exporter = exporter.with_timeout(PATIENCE).build().map_err(|why| failed(&why))?;
    Ok(BatchSpanProcessor::builder(exporter).build())
}

/// The way to a collector.
#[derive(Debug)]
struct Way {
    client: Client<Https>,
    url: String,
    /// Where it is gone: who sends has no runtime.
    runtime: Handle,
    /// Whether the last batch was.
    lost: AtomicBool,
}

impl Way {
    fn new(url: &str, tls: &Tls) -> std::io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("collector".into()).spawn(move || runtime.block_on(pending::<()>()))?;
        let client = Client::new(tls.http());
        Ok(Self { client, url: url.to_owned(), runtime: handle, lost: AtomicBool::new(false) })
    }

    /// Tells of the first that is lost, and of the first that is not.
    fn note(&self, said: &Result<Response<Bytes>, Lost>) {
        let why = match said {
            Ok(said) if said.status().is_success() => None,
            Ok(said) => Some(format!("it answered {}", said.status().as_u16())),
            Err(why) => Some(why.to_string()),
        };
        let url = &self.url;
        match (self.lost.swap(why.is_some(), Ordering::Relaxed), why) {
            (false, Some(why)) => tracing::warn!(url, why, "the collector takes no spans, and they are lost"),
            (true, None) => tracing::info!(url, "the collector takes spans again"),
            _ => {}
        }
    }
}

impl HttpClient for Way {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let (head, body) = request.into_parts();
        let request = self.client.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
        let sent = self.runtime.spawn(ask(request, PATIENCE));
        Box::pin(async move {
            let said = sent.await?;
            self.note(&said);
            said.map_err(|why| why.to_string().into())
        })
    }
}
