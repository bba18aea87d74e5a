//! The future of a [`StaleService`](crate::stale::StaleService). Dropped before it is done, it gives back what it took: its place among
//! those who wait, or the lease for which they wait.

use super::body::StaleBody;
use super::lease::Seat;
use super::plan::Plan;
use super::read::Read;
use super::refresh::refresh;
use super::write::Write;
use bartizan_core::Instant;
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{Request, Response};
use bartizan_http::http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::Service;

pin_project! {
    /// Future of a [`StaleService`](crate::stale::StaleService).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S: Service<Request<B>>, B> {
        // Dropped first: the call is over before its place is given to another.
        #[pin]
        stage: Stage<S, S::Future, B>,
        read: Option<Box<Read>>,
        write: Option<Write>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, F, B> {
        Waiting { seat: Seat, held: Option<Held<S, B>> },
        Entering { held: Option<Held<S, B>> },
        Calling { #[pin] future: F },
        Served { answer: Option<Response<Bytes>> },
    }
}

/// What it takes to go out.
struct Held<S, B> {
    service: S,
    req: Request<B>,
}

const DONE: &str = "a future is not polled after it is done";

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    /// Has gone out with a request that is not looked at.
    #[inline]
    pub(crate) const fn calling(future: S::Future) -> Self {
        Self { stage: Stage::Calling { future }, read: None, write: None }
    }

    /// Goes out with a request that is not looked at.
    #[inline]
    pub(crate) const fn passing(service: S, req: Request<B>, write: Option<Write>) -> Self {
        Self { stage: Stage::Entering { held: Some(Held { service, req }) }, read: None, write }
    }
}

impl<S, B, RB> ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
    S::Error: Send + Sync + 'static,
    S::Future: Send,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    /// Answers a read, or goes out with it.
    pub(crate) fn reading(service: S, req: Request<B>, mut read: Box<Read>) -> Self {
        let now = Instant::now();
        let plan = read.plan(now, true);
        let (stage, read) = Self::begin(plan, Held { service, req }, read, now);
        Self { stage, read, write: None }
    }

    /// Puts a plan into practice.
    fn begin(
        plan: Plan,
        mut held: Held<S, B>,
        mut read: Box<Read>,
        now: Instant,
    ) -> (Stage<S, S::Future, B>, Option<Box<Read>>) {
        match plan {
            Plan::Serve(answer) => (Stage::Served { answer: Some(answer) }, None),
            Plan::Refresh(answer, refreshing) => {
                refresh(held.service, held.req, read, refreshing);
                (Stage::Served { answer: Some(answer) }, None)
            }
            Plan::Wait(seat) => (Stage::Waiting { seat, held: Some(held) }, Some(read)),
            Plan::Go => {
                read.ask(&mut held.req, now);
                (Stage::Entering { held: Some(held) }, Some(read))
            }
        }
    }
}

impl<S, B, RB> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
    S::Error: Send + Sync + 'static,
    S::Future: Send,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    type Output = Result<Response<StaleBody<RB>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProj::Served { answer } => {
                    return Poll::Ready(Ok(answer.take().expect(DONE).map(StaleBody::kept)));
                }
                StageProj::Waiting { seat, held } => {
                    let turn = ready!(seat.poll(cx));
                    let (held, mut read) = held.take().zip(this.read.take()).expect(DONE);
                    let now = Instant::now();
                    let plan = read.turn(turn, now);
                    let (stage, read) = Self::begin(plan, held, read, now);
                    *this.read = read;
                    this.stage.set(stage);
                }
                StageProj::Entering { held } => {
                    if let Err(error) = ready!(held.as_mut().expect(DONE).service.poll_ready(cx)) {
                        return Poll::Ready(answered(this.read.take(), Err(error), false));
                    }
                    let Held { mut service, req } = held.take().expect(DONE);
                    this.stage.set(Stage::Calling { future: service.call(req) });
                }
                StageProj::Calling { future } => {
                    let out = ready!(future.poll(cx));
                    if let (Some(write), Ok(response)) = (this.write.take(), &out) {
                        write.answered(response.status());
                    }
                    let answer = answered(this.read.take(), out, true);
                    return Poll::Ready(answer.map(|answer| answer.map(|body| body.ahead(cx))));
                }
            }
        }
    }
}

/// Finds the answer to the end of a call.
fn answered<B, E>(
    read: Option<Box<Read>>,
    out: Result<Response<B>, E>,
    is_ready: bool,
) -> Result<Response<StaleBody<B>>, E>
where
    B: Body<Data = Bytes>,
    E: Send + Sync + 'static,
{
    let pass = |out: Result<Response<B>, E>| out.map(|response| response.map(StaleBody::passing));
    let Some(mut read) = read else { return pass(out) };
    let now = Instant::now();
    if read.has_failed(&out, is_ready) {
        return match read.failed(out, now) {
            Ok(answer) => Ok(answer.map(StaleBody::kept)),
            Err(out) => pass(out),
        };
    }
    match out {
        Ok(response) => Ok(read.succeeded(response, now)),
        Err(error) => {
            read.release();
            Err(error)
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Waiting { .. } => "waiting",
            Stage::Entering { .. } => "entering",
            Stage::Calling { .. } => "calling",
            Stage::Served { .. } => "served",
        };
        f.debug_struct("ResponseFuture").field("stage", &stage).finish_non_exhaustive()
    }
}
