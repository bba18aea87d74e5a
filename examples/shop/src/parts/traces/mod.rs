//! Traces: one for each request from outside, over all services, their outboxes and the bus. The stage keeps the last of them, and a
//! collector gets all, where one is named. Without both, nobody listens, and nothing is made.

#[cfg(feature = "otlp")]
mod collector;
mod most;
#[cfg(not(feature = "otlp"))]
mod no_collector;

pub use collector::is_there;

use super::bus::Message;
use super::config::Config;
use super::failure::Failure;
use bartizan::trace::TraceContext;
use most::Most;
#[cfg(not(feature = "otlp"))]
use no_collector as collector;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Names a collector.
pub const OTLP: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What makes spans, and so all that is listened to.
pub const TARGET: &str = "bartizan_trace";

/// The attribute that says which instance a span is of: several may be in one process.
pub const INSTANCE: &str = "shop.instance";

/// Choose what is recorded, and the name under which: the SDK's own.
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// How long a collector has for the last spans when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the spans of this process go, as long as it runs.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Spans for the collector of [`OTLP`], where it is set, and for `kept`. `name` is who this process is to others.
    ///
    /// # Errors
    ///
    /// When no exporter can be made.
    pub fn new<P>(config: &Config, name: &'static str, kept: Option<P>) -> Result<Self, Failure>
    where
        P: SpanProcessor + 'static,
    {
        let collector = config.collector.as_deref().map(|url| collector::to(url, &config.tls)).transpose()?;
        if kept.is_none() && collector.is_none() {
            return Ok(Self(None));
        }
        let mut provider = SdkTracerProvider::builder().with_span_processor(Here);
        if super::config::set(SAMPLER)?.is_none() {
            provider = provider.with_sampler(Sampler::ParentBased(Box::new(Most::default())));
        }
        let mut resource = Resource::builder();
        if super::config::set(SERVICE)?.is_none() {
            resource = resource.with_service_name(name);
        }
        provider = provider.with_resource(resource.build());
        if let Some(kept) = kept {
            provider = provider.with_span_processor(kept);
        }
        if let Some(collector) = collector {
            provider = provider.with_span_processor(collector);
        }
        Ok(Self(Some(provider.build())))
    }

    /// What turns the spans of `tracing` into those of OpenTelemetry; none where nobody listens.
    pub fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer("shop"))
    }
}

/// The last spans are sent.
impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            let _ = provider.shutdown_with_timeout(FAREWELL);
        }
    }
}

/// Notes whose span it is: the threads of an instance have its name.
#[derive(Clone, Debug)]
pub struct Here;

impl SpanProcessor for Here {
    fn on_start(&self, span: &mut Span, _: &Context) {
        use opentelemetry::trace::Span as _;
        if let Some(instance) = std::thread::current().name() {
            span.set_attribute(KeyValue::new(INSTANCE, instance.to_owned()));
        }
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Messages on their way to the bus: a span of each, in the trace of who put it into the outbox.
#[derive(Debug)]
pub struct Publishing(Vec<tracing::Span>);

impl Publishing {
    pub fn begin(messages: &[Message]) -> Self {
        Self(messages.iter().filter_map(publishing).collect())
    }

    /// Says that nothing is known to be published.
    pub fn failed(&self) {
        for span in &self.0 {
            span.record("otel.status_code", "ERROR");
        }
    }
}

fn publishing(message: &Message) -> Option<tracing::Span> {
    let sender = message.sent_by()?;
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "publish",
        otel.name = %format_args!("publish {}", message.topic),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.destination.name = message.topic,
    );
    if span.is_disabled() {
        return None;
    }
    let flags = if sender.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace, parent) = (sender.trace_id().get().into(), sender.span_id().get().into());
    let parent = SpanContext::new(trace, parent, flags, true, TraceState::NONE);
    // It fails where nobody listens.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    Some(span)
}

/// Who is served on this thread, for whom a task is spawned to do a part of it. In a box, for a task of each kind of work
/// takes longer to compile than the work.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let work: Pin<Box<dyn Future<Output = T> + Send>> = match TraceContext::current() {
        Some(caller) => Box::pin(caller.scope(work)),
        None => Box::pin(work),
    };
    tokio::spawn(work)
}
