//! Row C08: layers that are switched off leave no trace.

use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_core::{Instant, Refused};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_fallback::{Fallback, FallbackLayer};
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_limit::{Limit, LimitLayer};
use bartizan_retry::{Retry, RetryLayer};
use bartizan_shed::{Shed, ShedLayer, Throttle, ThrottleLayer};
use bytes::Bytes;
use conformance::secs;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tower::{Service, ServiceBuilder};

/// What happens to a service, in order.
#[derive(Clone, Debug, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn note(&self, what: impl Debug) {
        self.0.lock().unwrap().push(format!("{what:?}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Wake for Trace {
    fn wake(self: Arc<Self>) {
        self.note("woken");
    }
}

/// Notes whatever is done to it. Nothing of it is there at the first time of asking.
#[derive(Clone, Debug)]
struct Traced {
    trace: Trace,
    polls: u32,
}

/// A future, and a body of two frames and trailers.
#[derive(Debug)]
struct Steps<T> {
    trace: Trace,
    out: Option<T>,
    polls: u32,
}

impl<T> Steps<T> {
    fn new(trace: Trace, out: T) -> Self {
        Self { trace, out: Some(out), polls: 0 }
    }
}

impl<T> Drop for Steps<T> {
    fn drop(&mut self) {
        self.trace.note(("dropped after polls", self.polls));
    }
}

impl<T: Unpin> Future for Steps<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.polls += 1;
        self.trace.note(("polled", self.polls));
        if self.polls < 3 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.out.take().unwrap())
    }
}

impl Body for Steps<()> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls += 1;
        self.trace.note(("frame", self.polls));
        Poll::Ready(match self.polls {
            1 | 2 => Some(Ok(Frame::data(Bytes::from_static(b"data")))),
            3 => Some(Ok(Frame::trailers(HeaderMap::from_iter([(
                http::header::ETAG,
                "end".parse().unwrap(),
            )])))),
            _ => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::from(2 - self.polls.min(2)) * 4)
    }
}

impl Traced {
    fn poll(&mut self) -> Poll<()> {
        self.polls += 1;
        self.trace.note(("ready", self.polls));
        if self.polls % 2 == 1 { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Service<Request<u8>> for Traced {
    type Response = Response<Steps<()>>;
    type Error = Infallible;
    type Future = Steps<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll().map(Ok)
    }

    fn call(&mut self, req: Request<u8>) -> Self::Future {
        self.trace.note(("called", &req, req.extensions().len(), bartizan_core::Context::current()));
        let body = Steps::new(self.trace.clone(), ());
        let response = Response::builder().status(503).header("x-mark", "7").extension(7u8).body(body);
        Steps::new(self.trace.clone(), Ok(response.unwrap()))
    }
}

impl Service<u8> for Traced {
    type Response = u8;
    type Error = Refused;
    type Future = Steps<Result<u8, Refused>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.poll().map(Ok)
    }

    fn call(&mut self, req: u8) -> Self::Future {
        self.trace.note(("called", req, bartizan_core::Context::current()));
        Steps::new(self.trace.clone(), Ok(req))
    }
}

/// Does the same to any service: calls to their ends on it and on clones, and calls that are dropped early.
async fn use_it<S, Req>(
    mut service: S,
    trace: &Trace,
    request: impl Fn() -> Req,
    mut look: impl AsyncFnMut(S::Response),
) where
    S: Service<Req, Error: Debug> + Clone,
{
    let waker = Waker::from(Arc::new(trace.clone()));
    let cx = &mut Context::from_waker(&waker);
    for polls in [3, 0, 1, 2, 3, 3] {
        let _: Poll<_> = service.poll_ready(cx);
        trace.note(("ready?", service.poll_ready(cx).is_ready()));
        let mut call = Box::pin(service.call(request()));
        for _ in 0..polls {
            if let Poll::Ready(out) = call.as_mut().poll(cx) {
                look(out.unwrap()).await;
            }
        }
        drop(call);
        if polls == 1 {
            service = service.clone();
        }
    }
}

async fn over_http<S, B>(service: S, trace: &Trace) -> Vec<String>
where
    S: Service<Request<u8>, Response = Response<B>, Error: Debug> + Clone,
    B: Body<Data = Bytes, Error: Debug>,
{
    let request =
        || Request::builder().uri("/x").header("x-request-timeout-ms", "0").extension("e").body(7).unwrap();
    let mut read_all = true;
    let look = async |response: Response<B>| {
        let (head, body) = response.into_parts();
        let mut body = Box::pin(body);
        trace.note((head.status, &head.headers, head.extensions.len()));
        while let Some(frame) = body.frame().await {
            trace.note((body.size_hint(), body.is_end_stream(), frame.unwrap()));
            if !read_all {
                break;
            }
        }
        read_all = !read_all;
    };
    use_it(service, trace, request, look).await;
    trace.take()
}

async fn typed<S>(service: S, trace: &Trace) -> Vec<String>
where
    S: Service<u8, Response = u8, Error: Debug> + Clone,
{
    use_it(service, trace, || 7, async |answer| trace.note(answer)).await;
    trace.take()
}

#[tokio::test(start_paused = true)]
async fn c08_pass_through_costs_nothing_semantic() {
    let (trace, start) = (Trace::default(), Instant::now());
    let bare = Traced { trace: trace.clone(), polls: 0 };
    let off = Deadline::new(secs(1.0)).head_timeout(secs(1.0)).idle_timeout(secs(1.0)).enabled(false);
    let (breaker, other) =
        (BreakerLayer::new(Breaker::new().enabled(false)), BreakerLayer::new(Breaker::new()));
    other.handle().disable();
    let rate = LimitLayer::new(Limit::per_second(1).enabled(false));
    let throttle = ThrottleLayer::new(Throttle::new().enabled(false));
    let shed = ShedLayer::new(Shed::fixed(1).enabled(false));

    let fallback = FallbackLayer::new(Fallback::new().enabled(false));

    let layers = ServiceBuilder::new()
        .layer(fallback.clone().value(Response::new("instead")))
        .layer(DeadlineLayer::new(off))
        .layer(breaker.clone())
        .layer(other.clone())
        .layer(rate.clone())
        .layer(throttle.clone())
        .layer(shed.clone())
        .layer(DeadlineLayer::new(off).outgoing());
    let ought = over_http(bare.clone(), &trace).await;
    assert_eq!(over_http(layers.service(bare.clone()), &trace).await, ought);
    assert_eq!(ought.iter().filter(|what| what.contains("Trailers")).count(), 2, "{ought:#?}");

    let layers = ServiceBuilder::new()
        .layer(fallback.typed(|_: &u8| true).value(9))
        .layer(DeadlineLayer::new(off).typed())
        .layer(RetryLayer::new(Retry::new().enabled(false)).typed(|n: &u8| Some(*n)))
        .layer(HedgeLayer::new(Hedge::new().delay(Duration::ZERO).enabled(false)).typed(|n: &u8| Some(*n)))
        .layer(breaker.typed())
        .layer(other.typed())
        .layer(rate.typed())
        .layer(throttle.typed())
        .layer(shed.typed())
        .layer(DeadlineLayer::new(off).outgoing().typed());
    let ought = typed(bare.clone(), &trace).await;
    assert_eq!(typed(layers.service(bare), &trace).await, ought);
    assert_eq!(Instant::now(), start);
}
