//! Spans that nobody else knows of.

use crate::context::TraceContext;
use std::fmt::Display;
use tracing::Span;

/// Returns what somebody else calls a span.
pub(crate) const fn adopt(_: &Span, _: Option<&TraceContext>) -> Option<TraceContext> {
    None
}

/// Renames a span for whoever else calls it something.
pub(crate) const fn rename(_: &Span, _: &dyn Display) {}
