use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Subscriber, subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Hears of every span of ours on the thread that it was made on, and keeps it.
#[derive(Clone, Debug, Default)]
pub struct Spans(Arc<Mutex<Vec<Seen>>>);

/// A span as it was heard of.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its title.
    pub title: &'static str,
    /// What it has, by name.
    pub fields: BTreeMap<&'static str, String>,
    /// The span that it is in, by its place.
    pub parent: Option<usize>,
    /// Whether it has not ended yet.
    pub open: bool,
}

/// Where a span is kept.
struct At(usize);

impl Spans {
    /// Listens on this thread until the guard is dropped.
    #[must_use]
    pub fn listen() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let registry = Registry::default().with(spans.clone().with_filter(LevelFilter::INFO));
        let guard = subscriber::set_default(registry);
        (spans, guard)
    }

    /// All spans, in the order in which they began.
    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of a kind, such as `client`.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|span| span.get("otel.kind") == kind).collect()
    }

    /// The only span of a kind.
    #[must_use]
    pub fn only(&self, kind: &str) -> Seen {
        let all = self.of_kind(kind);
        assert_eq!(all.len(), 1, "{all:#?}");
        all.into_iter().next().unwrap()
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[at]);
    }
}

impl Seen {
    /// What it has under a name, or nothing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What it has under several names.
    #[must_use]
    pub fn each<const N: usize>(&self, names: [&str; N]) -> [&str; N] {
        names.map(|name| self.get(name))
    }

    /// How it is told to who is called within it.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.get("trace_id"), self.get("span_id"))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if attributes.metadata().target() != "bartizan_trace" {
            return;
        }
        let span = cx.span(id).unwrap();
        let parent = span.parent().and_then(|parent| parent.extensions().get::<At>().map(|at| at.0));
        let mut seen = Seen { title: attributes.metadata().name(), parent, open: true, ..Seen::default() };
        attributes.record(&mut Reader(&mut seen));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
        span.extensions_mut().insert(At(all.len() - 1));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if let Some(At(at)) = cx.span(id).unwrap().extensions().get::<At>() {
            self.change(*at, |seen| values.record(&mut Reader(seen)));
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        if let Some(At(at)) = cx.span(&id).unwrap().extensions().get::<At>() {
            self.change(*at, |seen| seen.open = false);
        }
    }
}

struct Reader<'a>(&'a mut Seen);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.fields.insert(field.name(), format!("{value:?}"));
    }
}
