//! What a request is, and how it ends.

use bartizan_core::{Attempt, Classify, Context, ErrorsFail, Instant, Priority, Step, Verdict};
use bartizan_http::Head;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tower::BoxError;

/// A request, which ends when it is told to.
#[derive(Clone)]
pub struct Visit {
    /// By what functions of the row tell requests apart.
    pub key: u64,
    /// What it costs.
    pub cost: u32,
    priority: Priority,
    left: Option<Duration>,
    path: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    lasts: Option<Duration>,
    ends: How,
    desks: Option<Arc<Semaphore>>,
    course: Arc<Course>,
}

/// What functions of the row may ask of a request of HTTP, in its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The key.
    pub key: u64,
    /// The cost.
    pub cost: u32,
}

impl Asked {
    /// What is asked by a request of HTTP.
    ///
    /// # Panics
    ///
    /// If it is none of a crowd.
    #[must_use]
    pub fn of(head: &Head<'_>) -> Self {
        *head.extensions.get().expect("a request of a crowd")
    }
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Well.
    Good,
    /// 500, or an error.
    Bad,
    /// 503, or an error that says so: the service itself refuses.
    Full,
    /// Well, and then its body fails; in the typed flavour, an error.
    Torn,
    /// By a panic.
    Panic,
}

/// What becomes of a request.
#[derive(Debug, Default)]
struct Course {
    reached: AtomicBool,
    end: Mutex<(Option<How>, Option<Waker>)>,
}

/// What the inner service answers in the HTTP flavour.
pub type HttpAnswer = Pin<Box<dyn Future<Output = Result<Response<Sheet>, Infallible>> + Send>>;

/// What the inner service answers in the typed flavour.
pub type TypedAnswer = Pin<Box<dyn Future<Output = Result<How, BoxError>> + Send>>;

impl Visit {
    /// Creates a request of normal priority, without a deadline, which ends when it is told to.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: 0,
            cost: 1,
            priority: Priority::NORMAL,
            left: None,
            path: "/",
            headers: Vec::new(),
            lasts: None,
            ends: How::Good,
            desks: None,
            course: Arc::default(),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: u64) -> Self {
        self.key = key;
        self
    }

    /// Sets the cost.
    #[must_use]
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets how much time it has when it is made.
    #[must_use]
    pub fn with_time(mut self, left: Duration) -> Self {
        self.left = Some(left);
        self
    }

    /// Sets the path, in the HTTP flavour.
    #[must_use]
    pub fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    /// Adds a header, in the HTTP flavour.
    ///
    /// # Panics
    ///
    /// If its value is none.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((HeaderName::from_static(name), value.parse().expect("a value")));
        self
    }

    /// Ends of itself, so long after the service has begun with it.
    #[must_use]
    pub fn lasting(mut self, lasts: Duration) -> Self {
        self.lasts = Some(lasts);
        self
    }

    /// Ends so, if it ends of itself.
    #[must_use]
    pub fn ending(mut self, ends: How) -> Self {
        self.ends = ends;
        self
    }

    /// Is served at one of these desks, and waits for it behind all layers.
    #[must_use]
    pub fn at(mut self, desks: &Arc<Semaphore>) -> Self {
        self.desks = Some(desks.clone());
        self
    }

    /// A request that asks for the same and ends on its own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { course: Arc::default(), ..self.clone() }
    }

    /// The context in which it is made.
    pub(super) fn context(&self) -> Context {
        let context = Context::new().with_priority(self.priority);
        match self.left {
            Some(left) => context.with_deadline(Instant::now() + left),
            None => context,
        }
    }

    /// As a request of HTTP. Its context rides in the extensions.
    pub(super) fn into_http(self) -> Request<Self> {
        let asked = Asked { key: self.key, cost: self.cost };
        let mut request = Request::builder().uri(self.path).extension(self.context()).extension(asked);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self).expect("a request")
    }

    /// Whether it has reached the inner service.
    #[must_use]
    pub fn has_reached(&self) -> bool {
        self.course.reached.load(SeqCst)
    }

    /// Lets it end.
    pub fn end(&self, how: How) {
        let waker = {
            let mut end = self.course.end();
            end.0 = Some(how);
            end.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    async fn run(self) -> How {
        let _desk = match &self.desks {
            Some(desks) => Some(desks.acquire().await.expect("it is never closed")),
            None => None,
        };
        let how = match self.lasts {
            Some(lasts) => {
                sleep(lasts).await;
                self.ends
            }
            None => poll_fn(|cx| self.course.poll(cx)).await,
        };
        assert!(how != How::Panic, "by the script");
        how
    }
}

impl Default for Visit {
    fn default() -> Self {
        Self::new()
    }
}

impl Course {
    fn end(&self) -> MutexGuard<'_, (Option<How>, Option<Waker>)> {
        self.end.lock().expect("nobody panics while he holds it")
    }

    fn poll(&self, cx: &mut task::Context<'_>) -> Poll<How> {
        let mut end = self.end();
        match end.0 {
            Some(how) => Poll::Ready(how),
            None => {
                end.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("key", &self.key).field("course", &self.course).finish_non_exhaustive()
    }
}

/// Body of an answer. Torn, it fails.
#[derive(Debug, Default)]
pub struct Sheet {
    torn: bool,
}

impl Body for Sheet {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(std::mem::take(&mut self.torn).then_some(Err("torn")))
    }

    fn is_end_stream(&self) -> bool {
        !self.torn
    }
}

/// Answers a request in the HTTP flavour.
pub fn answer_http(request: Request<Visit>) -> HttpAnswer {
    let visit = request.into_body();
    visit.course.reached.store(true, SeqCst);
    Box::pin(async move {
        let how = visit.run().await;
        let mut response = Response::new(Sheet { torn: how == How::Torn });
        *response.status_mut() = match how {
            How::Good | How::Torn | How::Panic => StatusCode::OK,
            How::Bad => StatusCode::INTERNAL_SERVER_ERROR,
            How::Full => StatusCode::SERVICE_UNAVAILABLE,
        };
        Ok(response)
    })
}

/// Answers a request in the typed flavour.
#[must_use]
pub fn answer_typed(visit: Visit) -> TypedAnswer {
    visit.course.reached.store(true, SeqCst);
    Box::pin(async move {
        match visit.run().await {
            How::Good => Ok(How::Good),
            how => Err(how.into()),
        }
    })
}

impl How {
    pub(super) fn heard(body: bool, status: StatusCode) -> Self {
        match (body, status) {
            (false, _) => Self::Torn,
            (true, StatusCode::OK) => Self::Good,
            (true, StatusCode::SERVICE_UNAVAILABLE) => Self::Full,
            (true, _) => Self::Bad,
        }
    }

    pub(super) fn of_error(error: &(dyn Error + 'static)) -> Self {
        *error.downcast_ref().expect("an error of the inner service")
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Error for How {}

/// [`ErrorsFail`], to which [`How::Full`] is throttled.
#[derive(Clone, Copy, Debug)]
pub struct Refusals;

impl<Req> Classify<Req> for Refusals {
    type Attempt = Self;

    fn start(&self, _: &Req) -> Self {
        Self
    }
}

impl Attempt<How, BoxError> for Refusals {
    type AtEnd = Infallible;

    fn classify(self, out: Result<&How, &BoxError>) -> Step<Infallible> {
        match out.map_err(|error| error.downcast_ref()) {
            Err(Some(How::Full)) => Step::Done(Verdict::Throttled(None)),
            _ => ErrorsFail.classify(out),
        }
    }
}
