use crate::call::Call;
use crate::context::TraceContext;
use crate::future::{JobFuture, ResponseFuture};
use bartizan_http::Typed;

/// A span around a future that no request asked for: a message that was taken out of a queue, or something that is done from time to
/// time.
///
/// The calls that are made inside become its children. Without one who sent it, it is a child of the ambient context, and where
/// there is none it begins a trace.
///
/// ```
/// use bartizan_trace::{Job, TraceContext};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // With the message.
/// let sent = TraceContext::begin().to_string();
/// // Where it is received.
/// let seen = Job::new("mail").sent_by(sent.parse().ok()).run(async { TraceContext::current() }).await;
/// assert_eq!(seen.unwrap().to_string()[..35], sent[..35]);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Job {
    name: &'static str,
    kind: &'static str,
    parent: Option<TraceContext>,
}

impl Job {
    /// Creates a job of a name, which is that of its span.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, kind: "internal", parent: None }
    }

    /// Sets who sent the message that the job is about, as far as that is known: its span is then of kind `consumer`, and a child of
    /// theirs.
    #[must_use]
    pub fn sent_by(mut self, parent: Option<TraceContext>) -> Self {
        self.kind = "consumer";
        self.parent = parent;
        self
    }

    /// Runs a future within the span, which ends with it. What it returns is not looked at.
    ///
    /// # Cancel safety
    ///
    /// As safe as the future itself; dropped before it is done, it ends the span.
    pub fn run<F: Future>(self, future: F) -> JobFuture<F> {
        JobFuture::new(self.begin(), future)
    }

    /// Runs a future that may fail, as [`run`](Self::run) does: an error is in the span, by its type, and a refusal by who refused.
    ///
    /// # Cancel safety
    ///
    /// As safe as the future itself; dropped before it is done, it ends the span.
    pub fn try_run<F, T, E>(self, future: F) -> ResponseFuture<F, Typed>
    where
        F: Future<Output = Result<T, E>>,
        E: 'static,
    {
        ResponseFuture::new(future, Some(self.begin()))
    }

    fn begin(self) -> Call {
        Call::begin_job(self.name, self.kind, self.parent.or_else(TraceContext::current))
    }
}
