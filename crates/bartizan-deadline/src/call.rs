use crate::arrival::Arrival;
use crate::body::DeadlineBody;
use crate::layer::Side;
use crate::reason::Reason;
use crate::said::{self, Said};
use crate::settings::{Flags, Settings};
use crate::shared::Shared;
use crate::span::Span;
use crate::timer::Timer;
use crate::upload::{Progress, Upload};
use crate::watch::{Lesson, Watch, end};
use bartizan_core::{Attempt, Classify, Context, Instant, Refused, Step, Verdict};
use bartizan_http::{HttpAttempt, HttpClassifier};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// One call of the HTTP flavour, from its admission to the head of its answer.
#[derive(Debug)]
pub(crate) struct Call {
    /// The context that is entered wherever foreign code runs, with the deadline in it. `None` if the layer is switched off.
    context: Option<Context>,
    head: Option<Instant>,
    idle: Span,
    pub(crate) grpc: bool,
    /// The body will not be bound by the total.
    exempt: bool,
    connect: bool,
    attempt: Option<HttpAttempt>,
    progress: Option<Arc<Progress>>,
    watch: Watch,
}

impl Call {
    /// Admits a request, or refuses it; also tells whether it is gRPC.
    #[inline]
    pub(crate) fn begin<B>(
        shared: &Arc<Shared>,
        side: Side,
        req: &mut Request<B>,
    ) -> Result<Self, (Refused, bool)> {
        let settings = &shared.settings;
        let flags = settings.flags();
        if !flags.has(Flags::ENABLED) {
            return Ok(Self::untouched());
        }
        let said = Said::of(req.headers());
        if said.malformed > 0 {
            shared.counts.malformed(said.malformed);
        }
        let carried = req.extensions().get::<Context>().copied();
        let given = carried.or_else(Context::current).unwrap_or_default();
        let now = Instant::now();
        let arrival = Arrival {
            now,
            own: settings.total(),
            context: given.deadline(),
            header: said.timeout,
            least: side.least(settings, said.grpc),
        };
        let deadline = shared.admit(flags, &arrival).map_err(|refused| (refused, said.grpc))?;

        let trusted = side == Side::Inbound && flags.has(Flags::TRUSTED);
        let context = said.join(given, trusted, deadline);
        if carried.is_some() {
            // It wins over the ambient one, so it has to be narrowed as well.
            if let Some(carried) = req.extensions_mut().get_mut() {
                *carried = context;
            }
        }
        if side == Side::Outgoing {
            said::write(req.headers_mut(), said.grpc, &context, now, settings.margin());
        }
        Ok(Self {
            context: Some(context),
            head: settings.head_timeout().after(now),
            idle: settings.idle_timeout(),
            grpc: said.grpc,
            exempt: flags.has(Flags::STREAM),
            connect: req.method() == Method::CONNECT,
            attempt: flags.has(Flags::LEARN).then(|| HttpClassifier.start(req)),
            progress: None,
            watch: Watch::new(shared, flags, Some(now)),
        })
    }

    /// A call that passes through a layer which is switched off.
    const fn untouched() -> Self {
        Self {
            context: None,
            head: None,
            idle: Span::ENDLESS,
            grpc: false,
            exempt: false,
            connect: false,
            attempt: None,
            progress: None,
            watch: Watch::NONE,
        }
    }

    /// Watches the upload of the call, if the layer is on.
    pub(crate) fn wrap<B: Body>(&mut self, settings: &Settings, req: Request<B>) -> Request<Upload<B>> {
        if self.context.is_none() {
            return req.map(Upload::unwatched);
        }
        req.map(|body| {
            let (upload, progress) = Upload::new(body, settings.head_timeout(), self.idle, Instant::now());
            self.progress = Some(progress);
            upload
        })
    }

    /// Runs a step of the inner service within the context.
    #[inline]
    pub(crate) fn enter<R>(&self, step: impl FnOnce() -> R) -> R {
        if let Some(progress) = &self.progress {
            progress.watched();
        }
        match self.context {
            Some(context) => context.enter(step),
            None => step(),
        }
    }

    /// Ready with the reason once the call has to end.
    pub(crate) fn poll_due(&self, timer: Pin<&mut Timer>, cx: &mut task::Context<'_>) -> Poll<Reason> {
        let head = match &self.progress {
            Some(progress) => progress.due(cx),
            None => self.head.map(|at| (at, Reason::Head)),
        };
        match earlier(self.context, head) {
            Some((at, reason)) => timer.poll(at, cx).map(|()| reason),
            None => Poll::Pending,
        }
    }

    /// Ends the call before its answer came.
    #[cold]
    pub(crate) fn end(&mut self, reason: Reason) -> Refused {
        end(self.watch.answered().as_deref(), reason)
    }

    /// Hears that the inner service failed.
    pub(crate) fn failed(&mut self) {
        self.watch.answered();
    }

    /// Hands the call on to the body of its answer.
    #[inline]
    pub(crate) fn answered<B: Body>(&mut self, response: Response<B>) -> Response<DeadlineBody<B>> {
        let exempt = self.exempt || may_never_end(&response, self.connect);
        let context = match self.context {
            Some(context) if exempt => Some(without_deadline(context)),
            context => context,
        };
        let shared = self.watch.answered();
        let lesson = match (&shared, self.watch.learning, self.attempt.take()) {
            (Some(shared), Some(began), Some(attempt)) if !exempt => {
                match attempt.classify(Ok::<_, &Infallible>(&response)) {
                    Step::AtEnd(at_end) => Some(Lesson::new(shared.clone(), began, at_end)),
                    Step::Done(Verdict::Success) => {
                        shared.learn(Instant::now().saturating_duration_since(began));
                        None
                    }
                    Step::Done(_) => None,
                }
            }
            _ => None,
        };
        response.map(|body| DeadlineBody::new(body, context, self.idle, self.grpc, shared, lesson))
    }
}

impl Side {
    /// The least time that must be left: on the side of a client, some that can be told to the server.
    #[inline]
    fn least(self, settings: &Settings, grpc: bool) -> Span {
        let least = settings.min_remaining();
        match self {
            Self::Inbound => least,
            Self::Outgoing => least.max(settings.margin().plus(said::finest(grpc))),
        }
    }
}

/// Whichever comes first, the deadline of the context or the other limit.
#[inline]
pub(crate) fn earlier(
    context: Option<Context>,
    other: Option<(Instant, Reason)>,
) -> Option<(Instant, Reason)> {
    match (context.and_then(|context| context.deadline()), other) {
        (Some(deadline), Some((at, _))) if deadline <= at => Some((deadline, Reason::Total)),
        (Some(deadline), None) => Some((deadline, Reason::Total)),
        (_, other) => other,
    }
}

/// What runs within a stream must not inherit the deadline of its head.
const fn without_deadline(context: Context) -> Context {
    Context::new().with_priority(context.priority()).with_attempt(context.attempt())
}

fn may_never_end<B>(response: &Response<B>, connect: bool) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let status = response.status();
    status == StatusCode::SWITCHING_PROTOCOLS
        || connect && status.is_success()
        || response.headers().get(CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
        })
}
