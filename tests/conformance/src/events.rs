//! What the layers of a row tell `tracing`.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// The events of this thread, on which a row with its runtime runs alone.
#[derive(Clone, Copy, Debug)]
pub struct Events(());

/// One event: a breaker's change of state, what has become of a balancer's endpoint, or another message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What the event says of itself.
    pub message: String,
    /// The name of the breaker or the balancer.
    pub name: String,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why, where it opened or was ejected.
    pub cause: String,
    /// The endpoint that it is about.
    pub endpoint: String,
    /// The number of the change.
    pub generation: u64,
}

thread_local! {
    static SEEN: RefCell<Vec<Change>> = const { RefCell::new(Vec::new()) };
}

impl Events {
    /// Begins to record, and forgets what was recorded on this thread.
    #[must_use]
    pub fn record() -> Self {
        // One subscriber for the process: with one for each thread, a callsite's interest would depend on who came first.
        static RECORDER: Once = Once::new();
        RECORDER.call_once(|| {
            let _ = tracing::subscriber::set_global_default(Recorder);
        });
        SEEN.take();
        Self(())
    }

    /// Every event so far.
    #[must_use]
    pub fn all(self) -> Vec<Change> {
        SEEN.with_borrow(Vec::clone)
    }

    /// Every event since it was last asked so, or since they are recorded.
    #[must_use]
    pub fn take(self) -> Vec<Change> {
        SEEN.take()
    }

    /// The changes of state so far.
    #[must_use]
    pub fn changes(self) -> Vec<Change> {
        self.all().into_iter().filter(|event| event.message == "circuit changed").collect()
    }
}

impl fmt::Display for Change {
    /// `closed > open: failure ratio`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.from, self.to)?;
        if self.cause.is_empty() { Ok(()) } else { write!(f, ": {}", self.cause) }
    }
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let heard = [
            "bartizan_breaker",
            "bartizan_balance",
            "bartizan_shed",
            "bartizan_limit",
            "bartizan_fallback",
            "bartizan_retry",
            "bartizan_hedge",
        ];
        metadata.is_event() && heard.iter().any(|layer| metadata.target().starts_with(layer))
    }

    fn event(&self, event: &Event<'_>) {
        let mut change = Change::default();
        event.record(&mut change);
        SEEN.with_borrow_mut(|seen| seen.push(change));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Change {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "generation" {
            self.generation = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "name" => self.name = value.into(),
            "from" => self.from = value.into(),
            "to" => self.to = value.into(),
            "cause" => self.cause = value.into(),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            "endpoint" => {
                let _ = write!(self.endpoint, "{value:?}");
            }
            _ => {}
        }
    }
}
