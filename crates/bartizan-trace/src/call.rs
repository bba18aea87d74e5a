use crate::context::{self, TraceContext};
use crate::layer::Side;
use crate::shared::Shared;
use crate::{otel, span};
use bartizan_core::{ErrorsFail, Refused};
use bartizan_http::{End, Head, grpc_status, is_grpc};
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use tracing::Span;

/// One call, from its request to the end of the answer's body: its span, and what others know of it.
#[derive(Debug)]
pub(crate) struct Call {
    span: Span,
    /// What is entered with the span. While it is, the outer one is here.
    context: Option<TraceContext>,
    side: Side,
    stage: Stage,
    /// Of what is called here by gRPC, as the caller says. The answer will tell.
    asked: Option<PathAndQuery>,
}

/// The code of a method that a server does not have.
const UNIMPLEMENTED: u16 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was heard yet.
    Awaited {
        grpc: bool,
    },
    /// The head is here; whether a gRPC status is still to come.
    Body {
        grpc: bool,
    },
    Over,
}

impl Call {
    /// Begins the span of a request. None if the layer is switched off.
    pub(crate) fn begin<B>(shared: &Shared, side: Side, req: &mut Request<B>) -> Option<Self> {
        let value = shared.value();
        if !value.enabled {
            return None;
        }
        let parent = match TraceContext::current() {
            None if side == Side::Inbound && value.restart => None,
            None => shared.said(req.headers()),
            ambient => ambient,
        };
        let (grpc, head) = (is_grpc(req.headers()), Head::of(req));
        let span = match side {
            Side::Inbound => span::server(shared, value.paths, &head),
            Side::Outgoing | Side::Around => span::client(shared, side, value.paths, grpc, &head),
        };
        let context = identify(&span, parent, value.sampled);
        let mut asked = None;
        if side != Side::Inbound {
            context.write(req.headers_mut());
        } else if grpc && !span.is_disabled() {
            asked = req.uri().path_and_query().cloned();
        }
        Some(Self { span, context: Some(context), side, stage: Stage::Awaited { grpc }, asked })
    }

    /// Begins the span of a request of any type. None if the layer is switched off.
    pub(crate) fn begin_typed(shared: &Shared, side: Side) -> Option<Self> {
        let value = shared.value();
        value
            .enabled
            .then(|| Self::of(span::typed(shared, side), TraceContext::current(), side, value.sampled))
    }

    /// Begins the span of a job.
    pub(crate) fn begin_job(name: &str, kind: &str, parent: Option<TraceContext>) -> Self {
        Self::of(span::job(name, kind), parent, Side::Inbound, true)
    }

    fn of(span: Span, parent: Option<TraceContext>, side: Side, sampled: bool) -> Self {
        let context = identify(&span, parent, sampled);
        Self { span, context: Some(context), side, stage: Stage::Awaited { grpc: false }, asked: None }
    }

    /// Runs a step of the call within its span and its context.
    #[inline]
    pub(crate) fn enter<R>(&mut self, step: impl FnOnce() -> R) -> R {
        let _entered = self.span.enter();
        let watch = OnPanic { span: &self.span, stage: &mut self.stage };
        let out = context::enter(&mut self.context, step);
        std::mem::forget(watch);
        out
    }

    /// Hears the head of the answer.
    pub(crate) fn answered<B>(mut self, response: &Response<B>) -> Self {
        let asked_by_grpc = self.stage == Stage::Awaited { grpc: true };
        self.stage = Stage::Body { grpc: false };
        if !self.span.is_disabled() {
            // A server does not believe its caller, who can say what it likes.
            let grpc = asked_by_grpc && (self.side.is_client() || is_grpc(response.headers()));
            self.look(grpc, response.status(), response.headers(), response.extensions());
        }
        self
    }

    fn look(&mut self, grpc: bool, status: StatusCode, headers: &HeaderMap, extensions: &Extensions) {
        let refused = extensions.get::<Refused>();
        if let Some(refused) = refused {
            span::refused(&self.span, refused);
        }
        span::status(&self.span, self.side, grpc, status);
        if !grpc {
            return;
        }
        let code = grpc_status(headers);
        if self.side == Side::Inbound {
            // What was refused, or is not implemented, may not be there at all.
            let is_there = refused.is_none() && code != Some(UNIMPLEMENTED);
            let path = self.asked.take().filter(|_| is_there);
            span::rpc_answered(&self.span, path.as_ref().map(PathAndQuery::path));
        }
        match code {
            Some(code) => span::grpc_status(&self.span, self.side, code),
            None => self.stage = Stage::Body { grpc: true },
        }
    }

    /// Hears how the body of the answer ended.
    pub(crate) fn body_ended(mut self, end: End<'_>) {
        let owed = std::mem::replace(&mut self.stage, Stage::Over) == Stage::Body { grpc: true };
        if !owed || self.span.is_disabled() {
            return;
        }
        match end {
            End::Trailers(trailers) => {
                span::grpc_status(&self.span, self.side, grpc_status(trailers).unwrap_or(2));
            }
            End::Eof => span::error(&self.span, "no grpc-status"),
            End::Error | End::Dropped => {}
        }
    }

    /// Hears of the error that the call, or the body of its answer, ended by.
    pub(crate) fn failed<E: 'static>(mut self, error: &E) {
        self.stage = Stage::Over;
        if self.span.is_disabled() {
            return;
        }
        match ErrorsFail::refusal(error) {
            Some(refused) => span::refused_error(&self.span, refused),
            None => span::error(&self.span, std::any::type_name::<E>()),
        }
    }

    /// Hears that the call is done.
    pub(crate) fn done(mut self) {
        self.stage = Stage::Over;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Awaited { .. }) && !self.span.is_disabled() {
            span::cancelled(&self.span);
        }
    }
}

/// Dropped only if the step that it watches panics.
struct OnPanic<'a> {
    span: &'a Span,
    stage: &'a mut Stage,
}

impl Drop for OnPanic<'_> {
    #[cold]
    fn drop(&mut self) {
        *self.stage = Stage::Over;
        span::error(self.span, "panic");
    }
}

impl Shared {
    /// What a request says of its caller's span.
    fn said(&self, headers: &HeaderMap) -> Option<TraceContext> {
        let said = TraceContext::read(headers);
        if said == bartizan_http::wire::Wire::Malformed {
            self.malformed();
        }
        said.value()
    }
}

/// What others are told of a span. One that nobody listens to is not told of: they hear of its parent, as those who do listen know it.
fn identify(span: &Span, parent: Option<TraceContext>, sampled: bool) -> TraceContext {
    let begin = || TraceContext::begin().with_sampled(sampled);
    if span.is_disabled() {
        return parent.unwrap_or_else(begin);
    }
    let own = || parent.as_ref().map_or_else(begin, TraceContext::child);
    let context = otel::adopt(span, parent.as_ref()).unwrap_or_else(own);
    span.record("trace_id", tracing::field::display(context.trace_id()));
    span.record("span_id", tracing::field::display(context.span_id()));
    context
}
