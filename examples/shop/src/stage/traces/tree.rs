//! A trace as JSON: in a line, and as the tree of its spans.

use super::kept::{Brief, Span, Trace};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A trace of a list.
pub(super) fn brief(trace: &Brief) -> Value {
    json!({
        "trace_id": trace.id.to_string(),
        "name": trace.name,
        "instance": trace.instance,
        "began_at": ms(trace.began),
        "took_ms": ms(trace.took),
        "spans": trace.spans,
        "failed": trace.failed,
        "instances": trace.instances,
    })
}

/// A trace with all of its spans. Those whose parents are not known, or have not ended, are beside each other.
pub(super) fn whole(id: &str, trace: &Trace) -> Value {
    let mut spans: Vec<_> = trace.spans.iter().collect();
    spans.sort_by_key(|span| span.began);
    let Some(first) = spans.first().map(|span| span.began) else { return Value::Null };
    let roots = spans.iter().filter(|span| trace.parent_of(span).is_none());
    let roots: Vec<_> = roots.map(|root| branch(root, &spans, first)).collect();
    json!({
        "trace_id": id,
        "began_at": ms(first),
        "left_out": trace.left_out,
        "spans": roots,
    })
}

fn branch(span: &Span, all: &[&Span], first: Duration) -> Value {
    let children = all.iter().filter(|other| other.parent == span.id && other.id != span.id);
    let attributes = span.attributes.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    json!({
        "span_id": span.id.to_string(),
        "name": span.name,
        "instance": span.instance,
        "kind": span.kind,
        "after_ms": ms(span.began.saturating_sub(first)),
        "took_ms": ms(span.took),
        "failed": span.failed,
        "attributes": attributes.collect::<Map<_, _>>(),
        "children": children.map(|child| branch(child, all, first)).collect::<Vec<_>>(),
    })
}

/// To the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
