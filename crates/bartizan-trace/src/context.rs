use crate::future::Scoped;
use crate::ids::{SpanId, TraceId};
use crate::parent::{self, SAMPLED};
use crate::state::{self, State, TRACESTATE};
use bartizan_core::Invalid;
use bartizan_http::wire::Wire;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A span as others know it: the trace that it belongs to, its own id, whether it may have been recorded, and what other systems
/// say of the trace. W3C Trace Context, level 2.
///
/// It is ambient: [`TraceLayer`](crate::TraceLayer) enters it around a call, every poll of it and every poll of the response
/// body, so that a call made inside becomes a child of it without a line of user code. Like a
/// [`Context`](bartizan_core::Context) it is not inherited by a task that is spawned: [`scope`](Self::scope) hands it on.
///
/// Where there are no headers, as in a queue, it travels as a text:
///
/// ```
/// use bartizan_trace::TraceContext;
///
/// let sent = TraceContext::begin().to_string();
/// assert_eq!(sent.len(), 55);
/// let received: TraceContext = sent.parse()?;
/// assert_eq!(received.to_string(), sent);
/// # Ok::<(), bartizan_core::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: u8,
    state: Option<State>,
}

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

impl TraceContext {
    /// Creates the context of a span that was recorded, with nothing said by other systems.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, flags: SAMPLED, state: None }
    }

    /// Begins a trace, of random ids.
    #[must_use]
    pub fn begin() -> Self {
        Self::new(TraceId::random(), SpanId::random())
    }

    /// Creates the context of another span of the trace, which has a random id.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: SpanId::random(), ..self.clone() }
    }

    /// Sets whether the span may have been recorded; who is called further down mostly records what its caller did.
    /// Default: `true`.
    #[must_use]
    pub const fn with_sampled(mut self, sampled: bool) -> Self {
        self.flags = if sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        self
    }

    /// Sets what other systems say of the trace, in the grammar of `tracestate`: up to 32 members with commas between them. What breaks
    /// the grammar says nothing, as the standard has it, and members beyond 512 bytes are left out. Default: nothing.
    #[must_use]
    pub fn with_state(mut self, tracestate: &str) -> Self {
        self.state = state::join([Some(tracestate)].into_iter());
        self
    }

    /// The trace that the span belongs to.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span within its trace.
    #[must_use]
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Whether the span may have been recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What other systems say of the trace, as `tracestate` has it.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref().and_then(|state| state.to_str().ok())
    }

    /// The value of `traceparent`.
    ///
    /// # Panics
    ///
    /// Never: digits and dashes are a header's value.
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text()).expect("digits and dashes are a header's value")
    }

    /// Reads `traceparent` and `tracestate`. More than one `traceparent`, or one that does not follow its grammar, is malformed. A
    /// `tracestate` that does not follow its own is left out.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Wire<Self> {
        if headers.is_empty() {
            return Wire::Absent;
        }
        Wire::parse(headers, &TRACEPARENT, |value| {
            let (trace_id, span_id, flags) = parent::parse(value)?;
            Some(Self { trace_id, span_id, flags, state: state::read(headers) })
        })
    }

    /// Writes `traceparent` and `tracestate` in place of what was there.
    pub fn write(&self, headers: &mut HeaderMap) {
        match &self.state {
            Some(state) => {
                headers.insert(TRACESTATE, (**state).clone());
            }
            None if headers.is_empty() => {}
            None => {
                headers.remove(TRACESTATE);
            }
        }
        headers.insert(TRACEPARENT, self.to_header());
    }

    /// The context of the call, or the future, that runs on this thread.
    #[must_use]
    pub fn current() -> Option<Self> {
        let current = CURRENT.try_with(|current| {
            let taken = current.take();
            current.set(taken.clone());
            taken
        });
        current.ok().flatten()
    }

    /// Runs `f` within this context and restores the former one, also when `f` panics.
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        enter(&mut Some(self), f)
    }

    /// Wraps a future so that it is polled within this context, wherever it runs.
    ///
    /// ```
    /// use bartizan_trace::TraceContext;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let context = TraceContext::begin();
    /// let seen = tokio::spawn(context.clone().scope(async { TraceContext::current() })).await;
    /// assert_eq!(seen.unwrap(), Some(context));
    /// assert_eq!(TraceContext::current(), None);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As safe as the future itself.
    pub const fn scope<F>(self, future: F) -> Scoped<F> {
        Scoped::new(self, future)
    }

    fn text(&self) -> [u8; parent::LENGTH] {
        parent::write((self.trace_id, self.span_id, self.flags))
    }
}

/// Runs `f` within the context in `slot`, which holds the former one meanwhile: nothing is cloned.
#[inline]
pub(crate) fn enter<R>(slot: &mut Option<TraceContext>, f: impl FnOnce() -> R) -> R {
    swap(slot);
    let _restore = Restore(slot);
    f()
}

struct Restore<'a>(&'a mut Option<TraceContext>);

impl Drop for Restore<'_> {
    #[inline]
    fn drop(&mut self) {
        swap(self.0);
    }
}

#[inline]
fn swap(slot: &mut Option<TraceContext>) {
    // While a thread ends there may be no place any more, and then nobody asks.
    let _ = CURRENT.try_with(|current| *slot = current.replace(slot.take()));
}

/// As `traceparent` has it. What other systems say is left out.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

/// What other systems say stays out of logs.
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceContext")
            .field("trace_id", &self.trace_id)
            .field("span_id", &self.span_id)
            .field("sampled", &self.is_sampled())
            .finish_non_exhaustive()
    }
}

impl FromStr for TraceContext {
    type Err = Invalid;

    /// Reads a `traceparent`.
    fn from_str(traceparent: &str) -> Result<Self, Invalid> {
        const ODD: Invalid = Invalid::new("traceparent", "traceparent does not follow its grammar");
        let (trace_id, span_id, flags) = parent::parse(traceparent.as_bytes()).ok_or(ODD)?;
        Ok(Self { trace_id, span_id, flags, state: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(HeaderName, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn headers_come_and_go() {
        let read = |all: &[(HeaderName, &'static str)]| TraceContext::read(&headers(all));
        assert_eq!(read(&[]), Wire::Absent);
        assert_eq!(read(&[(TRACESTATE, "a=1")]), Wire::Absent);
        assert_eq!(read(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)]), Wire::Malformed);
        assert_eq!(read(&[(TRACEPARENT, "00-1-2-3"), (TRACESTATE, "a=1")]), Wire::Malformed);
        let plain = read(&[(TRACEPARENT, PARENT), (TRACESTATE, "a")]).value().expect("it is right");
        assert_eq!((plain.to_string().as_str(), plain.state(), plain.is_sampled()), (PARENT, None, true));
        let said = read(&[(TRACEPARENT, PARENT), (TRACESTATE, "a=1"), (TRACESTATE, "b=2")]);
        let said = said.value().expect("it is right");
        assert_eq!(said.state(), Some("a=1,b=2"));

        let mut written = headers(&[(TRACEPARENT, "odd"), (TRACESTATE, "z=1"), (TRACESTATE, "y=1")]);
        said.child().write(&mut written);
        assert_eq!(written[TRACEPARENT].to_str().expect("text")[..36], PARENT[..36]);
        assert_ne!(written[TRACEPARENT], PARENT);
        assert_eq!(written.get_all(TRACESTATE).iter().collect::<Vec<_>>(), ["a=1,b=2"]);
        plain.write(&mut written);
        assert_eq!(
            (&written[TRACEPARENT], written.get(TRACESTATE)),
            (&HeaderValue::from_static(PARENT), None)
        );
    }

    #[test]
    fn a_child_is_of_the_same_trace() {
        let parent = TraceContext::begin().with_sampled(false).with_state("a=1");
        let child = parent.child();
        assert_eq!((child.trace_id(), child.is_sampled()), (parent.trace_id(), false));
        assert_eq!(child.state(), Some("a=1"));
        assert_ne!(child.span_id(), parent.span_id());
        assert!(!format!("{child:?}").contains("a=1"));
    }

    #[test]
    fn the_outer_context_is_restored_after_a_panic() {
        let (outer, inner) = (TraceContext::begin(), TraceContext::begin());
        outer.clone().enter(|| {
            let caught = std::panic::catch_unwind(|| inner.enter(|| panic!("inside")));
            assert!(caught.is_err());
            assert_eq!(TraceContext::current(), Some(outer));
        });
        assert_eq!(TraceContext::current(), None);
    }
}
