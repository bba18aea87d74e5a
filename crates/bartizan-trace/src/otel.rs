//! Spans that OpenTelemetry knows as well.

use crate::context::TraceContext;
use crate::ids::{SpanId, TraceId};
use opentelemetry::Context;
use opentelemetry::trace::{self, SpanContext, TraceContextExt, TraceFlags, TraceState};
use std::fmt::Display;
use std::str::FromStr;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes a span a child of another that others know, and returns what OpenTelemetry calls it. None where nothing exports it.
pub(crate) fn adopt(span: &Span, parent: Option<&TraceContext>) -> Option<TraceContext> {
    if let Some(parent) = parent.filter(|parent| !is_here(parent)) {
        // It fails where no layer of OpenTelemetry is, and then its ids are of no interest.
        let _ = span.set_parent(Context::new().with_remote_span_context(shown(parent)));
    }
    seen(span.context().span().span_context())
}

/// Renames a span: what is recorded as `otel.name` after it has ids comes too late for its layer.
pub(crate) fn rename(span: &Span, name: &dyn Display) {
    span.context().span().update_name(name.to_string());
}

/// Whether the span that is current belongs to the same trace: then it is the parent, or a span of the application's own within it.
fn is_here(parent: &TraceContext) -> bool {
    let around = Span::current().context();
    around.span().span_context().trace_id() == trace::TraceId::from(parent.trace_id().get())
}

fn shown(parent: &TraceContext) -> SpanContext {
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let state = parent.state().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    SpanContext::new(parent.trace_id().get().into(), parent.span_id().get().into(), flags, true, state)
}

fn seen(span: &SpanContext) -> Option<TraceContext> {
    let trace_id = TraceId::new(u128::from_be_bytes(span.trace_id().to_bytes()))?;
    let span_id = SpanId::new(u64::from_be_bytes(span.span_id().to_bytes()))?;
    let context = TraceContext::new(trace_id, span_id).with_sampled(span.is_sampled());
    let state = span.trace_state().header();
    Some(if state.is_empty() { context } else { context.with_state(&state) })
}
