use crate::alarm::{self, Alarm};
use crate::arrival::Arrival;
use crate::body::Bounds;
use crate::layer::Side;
use crate::reason::Reason;
use crate::said::{self, Said};
use crate::settings::{Flags, Settings};
use crate::shared::Shared;
use crate::span::Span;
use crate::timer::Timer;
use crate::upload::{Progress, Upload};
use crate::watch::{Watch, end};
use bartizan_core::{Context, Instant, Refused};
use bartizan_http::{Form, grpc_status};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// One call of the HTTP flavour, from its admission to the head of its answer.
#[derive(Debug)]
pub(crate) struct Call {
    /// The context that is entered wherever foreign code runs, with the deadline in it. `None` if the layer is switched off.
    context: Option<Context>,
    head: Head,
    idle: Span,
    watch: Watch,
    pub(crate) form: Form,
    /// The body will not be bound by the total.
    exempt: bool,
    connect: bool,
    place: Place,
}

/// Where a call stands among the layers of a client.
#[derive(Debug)]
enum Place {
    Alone,
    /// Around attempts that have timers of their own.
    Around,
    /// An attempt of such a call.
    Inside(Alarm),
}

/// What bounds the time to the head, besides the deadline.
#[derive(Debug)]
enum Head {
    Unbounded,
    At(Instant),
    After(Arc<Progress>),
}

impl Call {
    /// Admits a request, or refuses it; also tells how it wants to be answered.
    #[inline(always)]
    pub(crate) fn begin<B>(
        shared: &Arc<Shared>,
        side: Side,
        req: &mut Request<B>,
    ) -> Result<Self, (Refused, Form)> {
        let settings = &shared.settings;
        let flags = settings.flags();
        if !flags.has(Flags::ENABLED) {
            if let (Side::Outgoing, Some(outer)) = (side, shared.told_by()) {
                tell(outer, req);
            }
            return Ok(Self::untouched());
        }
        let said = Said::of(req.headers());
        if said.malformed > 0 {
            shared.counts.malformed(said.malformed);
        }
        let form = Form::known(req.method(), said.grpc);
        let carried = req.extensions().get::<Context>().copied();
        let given = carried.or_else(Context::current).unwrap_or_default();
        let now = Instant::now();
        let arrival = Arrival {
            now,
            own: settings.total(),
            context: shared.less(given.deadline()),
            header: said.timeout,
            least: side.least(settings, said.grpc),
        };
        let deadline = shared.admit(flags, &arrival).map_err(|refused| (refused, form))?;

        let trusted = side == Side::Inbound && flags.has(Flags::TRUSTED);
        let context = said.join(given, trusted, deadline);
        if carried.is_some() {
            // It wins over the ambient one, so it has to be narrowed as well.
            if let Some(carried) = req.extensions_mut().get_mut() {
                *carried = context;
            }
        }
        if side == Side::Outgoing {
            said.replace(req.headers_mut(), context, now, settings.margin());
        }
        Ok(Self {
            context: Some(context),
            head: settings.head_timeout().after(now).map_or(Head::Unbounded, Head::At),
            idle: settings.idle_timeout(),
            watch: Watch::new(shared, flags, Some(now)),
            form,
            exempt: flags.has(Flags::STREAM),
            connect: req.method() == Method::CONNECT,
            place: Place::of(side, shared),
        })
    }

    /// A call that passes through a layer which is switched off.
    const fn untouched() -> Self {
        Self {
            context: None,
            head: Head::Unbounded,
            idle: Span::ENDLESS,
            watch: Watch::NONE,
            form: Form::Http,
            exempt: false,
            connect: false,
            place: Place::Alone,
        }
    }

    /// Watches the upload of the call, if the layer is on.
    pub(crate) fn wrap<B: Body>(&mut self, settings: &Settings, req: Request<B>) -> Request<Upload<B>> {
        if self.context.is_none() {
            return req.map(Upload::unwatched);
        }
        req.map(|body| {
            let (upload, progress) = Upload::new(body, settings.head_timeout(), self.idle, Instant::now());
            self.head = Head::After(progress);
            upload
        })
    }

    /// Runs a step of the inner service within the context.
    #[inline(always)]
    pub(crate) fn enter<R>(&self, step: impl FnOnce() -> R) -> R {
        if let Head::After(progress) = &self.head {
            progress.watched();
        }
        if matches!(self.place, Place::Around) {
            alarm::forget();
        }
        Context::enter_if(self.context, step)
    }

    /// Ready with the reason once the call has to end.
    pub(crate) fn poll_due(&mut self, timer: Pin<&mut Timer>, cx: &mut task::Context<'_>) -> Poll<Reason> {
        let deadline = self.context.and_then(|context| context.deadline());
        let head = match &self.head {
            Head::Unbounded => None,
            Head::At(at) => Some((*at, Reason::Head)),
            Head::After(progress) => progress.due(cx),
        };
        let (at, reason) = match (deadline, head) {
            (Some(deadline), Some(head)) if head.0 < deadline => head,
            (Some(deadline), _) => (deadline, Reason::Total),
            (None, Some(head)) => head,
            (None, None) => return Poll::Pending,
        };
        match &mut self.place {
            // It is asked again when the attempt's time is over.
            Place::Around if alarm::is_set_by(at) => return Poll::Pending,
            Place::Inside(alarm) => alarm.set(at),
            Place::Around | Place::Alone => {}
        }
        timer.poll(at, cx).map(|()| reason)
    }

    /// Ends the call before its answer came.
    #[cold]
    pub(crate) fn end(&mut self, reason: Reason) -> Refused {
        end(self.watch.release().0.as_deref(), reason)
    }

    /// Hears that the inner service failed.
    pub(crate) fn failed(&mut self) {
        self.watch.release();
    }

    /// Hands on to the body of its answer what bounds it.
    #[inline(always)]
    pub(crate) fn answered<B>(&mut self, response: &Response<B>) -> Bounds {
        let exempt = self.exempt || may_never_end(response, self.connect);
        let context = match self.context {
            Some(context) if exempt => Some(without_deadline(context)),
            context => context,
        };
        let grpc = self.form == Form::Grpc;
        let (shared, began) = self.watch.release();
        let learning = if exempt || !good(response, grpc) { Span::ENDLESS } else { began };
        Bounds::new(context, self.idle, grpc, shared, learning)
    }
}

impl Place {
    #[inline]
    fn of(side: Side, shared: &Shared) -> Self {
        match side {
            Side::Around => Self::Around,
            Side::Outgoing if shared.outer.get().is_some() => Self::Inside(Alarm::default()),
            Side::Outgoing | Side::Inbound => Self::Alone,
        }
    }
}

impl Side {
    /// The least time that must be left: on the side of a client, some that can be told to the server.
    #[inline]
    fn least(self, settings: &Settings, grpc: bool) -> Span {
        let least = settings.min_remaining();
        match self {
            Self::Inbound => least,
            Self::Outgoing | Self::Around => least.max(settings.margin().plus(said::finest(grpc))),
        }
    }
}

/// Writes the context for a layer that leaves it to one inside, which is off.
#[inline(never)]
fn tell<B>(outer: &Settings, req: &mut Request<B>) {
    let said = Said::of(req.headers());
    let given = req.extensions().get::<Context>().copied().or_else(Context::current).unwrap_or_default();
    let context = said.join(given, false, given.deadline());
    said.replace(req.headers_mut(), context, Instant::now(), outer.margin());
}

/// What runs within a stream must not inherit the deadline of its head.
const fn without_deadline(context: Context) -> Context {
    Context::new().with_priority(context.priority()).with_attempt(context.attempt())
}

#[inline]
fn may_never_end<B>(response: &Response<B>, connect: bool) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let status = response.status();
    status == StatusCode::SWITCHING_PROTOCOLS
        || connect && status.is_success()
        || !response.headers().is_empty()
            && response.headers().get(CONTENT_TYPE).is_some_and(|value| {
                value.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
            })
}

/// Whether the head lets the call be a success, from which may be learnt.
fn good<B>(response: &Response<B>, grpc: bool) -> bool {
    response.status().is_success() && (!grpc || grpc_status(response.headers()).is_none())
}
