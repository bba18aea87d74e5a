//! The last traces, and the slowest of those before them, in so many bytes.

use crate::parts::traces::INSTANCE;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span as Started, SpanData, SpanProcessor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// The most traces, those among them that are kept for being slow, the most spans of each, and the most bytes of all.
const TRACES: usize = 500;
const SLOW: usize = 50;
const SPANS: usize = 256;
const BYTES: usize = 8 << 20;

/// The longest value of an attribute that is kept, and what a span costs beside its texts.
const LONGEST: usize = 200;
const BARE: usize = 256;

/// What every span has, and is told apart from the others.
const KNOWN: [&str; 3] = [INSTANCE, "trace_id", "span_id"];

/// Clones keep the same ones.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    traces: HashMap<TraceId, Trace>,
    /// In the order in which their first spans ended.
    last: VecDeque<TraceId>,
    /// Of those who were among the last.
    slow: Vec<TraceId>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    /// How many spans had no place.
    pub(super) left_out: u32,
    bytes: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Span {
    #[serde(with = "hex")]
    pub(super) id: SpanId,
    #[serde(with = "hex")]
    pub(super) parent: SpanId,
    pub(super) name: String,
    pub(super) instance: String,
    pub(super) kind: Cow<'static, str>,
    /// Since 1970.
    pub(super) began: Duration,
    pub(super) took: Duration,
    pub(super) failed: bool,
    pub(super) attributes: Vec<(String, String)>,
}

/// A span on its way from the process that made it to the one that keeps it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Sent {
    /// In hexadecimal.
    trace: String,
    span: Span,
}

/// Ids as texts.
mod hex {
    use opentelemetry::trace::SpanId;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &SpanId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SpanId, D::Error> {
        SpanId::from_hex(&String::deserialize(deserializer)?).map_err(Error::custom)
    }
}

/// What a trace is about.
#[derive(Debug)]
pub(super) struct Brief {
    pub(super) id: TraceId,
    pub(super) name: String,
    pub(super) instance: String,
    /// Since 1970.
    pub(super) began: Duration,
    pub(super) took: Duration,
    pub(super) spans: usize,
    pub(super) failed: usize,
    pub(super) instances: Vec<String>,
}

impl Kept {
    pub(super) fn briefs(&self) -> Vec<Brief> {
        self.state().traces.iter().filter_map(|(id, trace)| trace.brief(*id)).collect()
    }

    pub(super) fn trace(&self, id: TraceId) -> Option<Trace> {
        self.state().traces.get(&id).cloned()
    }

    /// Takes all that is kept, to be kept by another process.
    pub fn take(&self) -> Vec<Sent> {
        let State { traces, .. } = std::mem::take(&mut *self.state());
        let sent = |(id, trace): (TraceId, Trace)| {
            let trace_id = id.to_string();
            trace.spans.into_iter().map(move |span| Sent { trace: trace_id.clone(), span })
        };
        traces.into_iter().flat_map(sent).collect()
    }

    /// Keeps what another process has sent.
    pub fn receive(&self, sent: Vec<Sent>) {
        let mut state = self.state();
        for Sent { trace, span } in sent {
            if let Ok(id) = TraceId::from_hex(&trace) {
                state.keep(id, span);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut Started, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            let id = span.span_context.trace_id();
            let span = Span::of(&span);
            self.state().keep(id, span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl State {
    fn keep(&mut self, id: TraceId, span: Span) {
        let trace = self.traces.entry(id).or_insert_with(|| {
            self.last.push_back(id);
            Trace::default()
        });
        if trace.spans.len() == SPANS {
            trace.left_out += 1;
            return;
        }
        let bytes = span.bytes();
        trace.bytes += bytes;
        self.bytes += bytes;
        trace.spans.push(span);
        while self.traces.len() > TRACES || self.bytes > BYTES {
            self.let_go();
        }
    }

    /// Lets the oldest go, unless it is slower than one of those that are kept for that.
    fn let_go(&mut self) {
        let Some(oldest) = self.last.pop_front() else {
            // They are too large, even so.
            return match self.slow.pop() {
                Some(slow) => self.forget(slow),
                None => self.bytes = 0,
            };
        };
        self.slow.push(oldest);
        self.slow.sort_by_key(|id| Reverse(self.traces.get(id).map(Trace::took)));
        if (self.slow.len() > SLOW || self.bytes > BYTES)
            && let Some(quickest) = self.slow.pop()
        {
            self.forget(quickest);
        }
    }

    fn forget(&mut self, id: TraceId) {
        self.bytes -= self.traces.remove(&id).map_or(0, |trace| trace.bytes);
    }
}

impl Trace {
    /// The span that all began with, as far as it has ended.
    fn root(&self) -> Option<&Span> {
        let roots = self.spans.iter().filter(|span| self.parent_of(span).is_none());
        roots.min_by_key(|span| span.began)
    }

    pub(super) fn parent_of(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|other| other.id == span.parent)
    }

    /// How long who asked had to wait.
    fn took(&self) -> Duration {
        self.root().map_or(Duration::ZERO, |root| root.took)
    }

    fn brief(&self, id: TraceId) -> Option<Brief> {
        let root = self.root()?;
        let mut instances: Vec<_> = self.spans.iter().map(|span| span.instance.clone()).collect();
        instances.sort_unstable();
        instances.dedup();
        Some(Brief {
            id,
            name: root.name.clone(),
            instance: root.instance.clone(),
            began: root.began,
            took: root.took,
            spans: self.spans.len(),
            failed: self.spans.iter().filter(|span| span.failed).count(),
            instances,
        })
    }
}

impl Span {
    fn of(span: &SpanData) -> Self {
        let text = |KeyValue { value, .. }: &KeyValue| cut(&value.as_str()).to_owned();
        let instance = span.attributes.iter().find(|attribute| attribute.key.as_str() == INSTANCE);
        let attributes = span.attributes.iter().filter(|it| !KNOWN.contains(&it.key.as_str()));
        Self {
            id: span.span_context.span_id(),
            parent: span.parent_span_id,
            name: cut(&span.name).to_owned(),
            instance: instance.map(text).unwrap_or_default(),
            kind: Cow::Borrowed(match span.span_kind {
                SpanKind::Client => "client",
                SpanKind::Server => "server",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
                SpanKind::Internal => "internal",
            }),
            began: span.start_time.duration_since(UNIX_EPOCH).unwrap_or_default(),
            took: span.end_time.duration_since(span.start_time).unwrap_or_default(),
            failed: matches!(span.status, Status::Error { .. }),
            attributes: attributes.map(|it| (it.key.as_str().to_owned(), text(it))).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(key, value)| key.len() + value.len() + 48);
        BARE + self.name.len() + self.instance.len() + attributes.sum::<usize>()
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn span(id: u64, parent: u64, instance: &str, ms: u64) -> Span {
        Span {
            id: SpanId::from(id),
            parent: SpanId::from(parent),
            name: format!("span {id}"),
            instance: instance.into(),
            kind: "server".into(),
            began: Duration::from_millis(1000 + id),
            took: Duration::from_millis(ms),
            failed: false,
            attributes: Vec::new(),
        }
    }

    impl Kept {
        pub(in super::super) fn keep(&self, trace: u128, span: Span) {
            self.state().keep(TraceId::from(trace), span);
        }
    }

    #[test]
    fn the_last_are_kept_and_the_slowest_of_the_others() {
        let kept = Kept::default();
        for trace in 1..=2000_u64 {
            let ms = if trace % 100 == 0 { 10_000 + trace } else { trace % 100 };
            kept.keep(u128::from(trace), span(trace, 0, "gateway", ms));
        }
        let briefs = kept.briefs();
        assert_eq!(briefs.len(), TRACES);
        assert_eq!(briefs.iter().filter(|brief| brief.took > Duration::from_secs(9)).count(), 20);
        assert!((1600..=2000).all(|trace| briefs.iter().any(|brief| brief.id == TraceId::from(trace))));
    }

    #[test]
    fn what_one_process_sends_another_keeps() {
        let (here, there) = (Kept::default(), Kept::default());
        here.keep(7, span(1, 0, "gateway", 50));
        there.keep(7, span(2, 1, "order", 40));
        there.keep(8, span(3, 0, "mail", 1));
        let sent = serde_json::to_vec(&there.take()).unwrap();
        assert!(there.briefs().is_empty() && there.take().is_empty());
        here.receive(serde_json::from_slice(&sent).unwrap());
        let trace = here.trace(TraceId::from(7)).unwrap();
        assert_eq!(trace.parent_of(&trace.spans[1]).map(|span| &*span.instance), Some("gateway"));
        assert_eq!((here.briefs().len(), trace.spans[1].took), (2, Duration::from_millis(40)));
    }

    #[test]
    fn bytes_and_spans_are_bounded() {
        let kept = Kept::default();
        for trace in 1..=400 {
            for id in 1..=300 {
                let mut span = span(id, id - 1, "order", 1);
                span.attributes.push(("a".into(), "x".repeat(LONGEST)));
                kept.keep(trace, span);
            }
            assert!(kept.state().bytes <= BYTES);
        }
        let state = kept.state();
        assert!(state.bytes > BYTES / 2 && state.traces.len() > 20, "{}", state.traces.len());
        assert_eq!(state.bytes, state.traces.values().map(|trace| trace.bytes).sum::<usize>());
        assert_eq!(state.traces.len(), state.last.len() + state.slow.len());
        let newest = &state.traces[&TraceId::from(400)];
        assert_eq!((newest.spans.len(), newest.left_out), (SPANS, 44));
    }
}
