use crate::failure::Failure;
use crate::future::{Answer, Heard, Kept};
use crate::give::Give;
use crate::lost::{Lost, Offer, Place, Want, settle};
use crate::way::{Begun, Way};
use bartizan_core::Context;
use bartizan_http::Form;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tower::Service;

pin_project! {
    /// What is not on the way of a good call.
    #[project = LaterProj]
    pub(crate) enum Later<S: Service<Req>, W: Way<S, Req>, Req> {
        // For an inner service that is not ready. Without `kept` the request gets no fallback, and waits for as long as it takes.
        Waiting { service: S, req: Option<Req>, kept: Option<Kept<S, W, Req>>, patience: Patience },
        // For an inner service that was waited for.
        Called { #[pin] future: S::Future, kept: Option<Kept<S, W, Req>> },
        // For an asynchronous function.
        Giving {
            #[pin]
            given: <W::Give as Give<W::Key, W::Given, S::Error>>::Later,
            failure: Arc<Failure>,
            place: Place<W>,
            form: Form,
            context: Option<Context>,
        },
    }
}

/// How long a request waits that would get a fallback.
pub(crate) enum Patience {
    None,
    Until(Pin<Box<Sleep>>),
}

/// How it goes on.
enum Next<S: Service<Req>, W: Way<S, Req>, Req> {
    Done(Answer<S, W, Req>),
    Later(Later<S, W, Req>),
}

const WAITS: &str = "who waits for an inner service has a request for it";

impl<S: Service<Req>, W: Way<S, Req>, Req> Later<S, W, Req> {
    /// Waits for the inner service.
    pub(crate) fn wait(service: S, req: Req, kept: Option<Kept<S, W, Req>>, wait: Duration) -> Self {
        let patience = match &kept {
            Some(_) if !wait.is_zero() => Patience::Until(Box::pin(sleep(wait))),
            _ => Patience::None,
        };
        Self::Waiting { service, req: Some(req), kept, patience }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Next<S, W, Req>> {
        match self.project() {
            LaterProj::Giving { given, failure, place, form, context } => {
                let given = ready!(match context {
                    Some(context) => context.enter(|| given.poll(cx)),
                    None => given.poll(cx),
                });
                let shared = Some(&*place.0.shared);
                Poll::Ready(Next::Done(settle::<S, W, Req>(given, failure.clone(), *form, shared)))
            }
            LaterProj::Called { future, kept } => {
                let heard = ready!(future.poll(cx));
                Poll::Ready(Next::heard(kept.take(), heard))
            }
            LaterProj::Waiting { service, req, kept, patience } => loop {
                // Who has no patience does not ask.
                if kept.is_none() || matches!(patience, Patience::Until(_)) {
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {
                            let future = service.call(req.take().expect(WAITS));
                            return Poll::Ready(Next::Later(Self::Called { future, kept: kept.take() }));
                        }
                        Poll::Ready(Err(error)) => return Poll::Ready(Next::heard(kept.take(), Err(error))),
                        Poll::Pending => {}
                    }
                }
                let Some(kept) = kept.take_if(|_| patience.is_over(cx)) else { return Poll::Pending };
                let Begun { key, form, context, .. } = kept.begun;
                match (Want { tie: kept.tie, key, form, context }).offer(Failure::unready(), None) {
                    Offer::Now(answer) => return Poll::Ready(Next::Done(answer)),
                    Offer::Later(later) => return Poll::Ready(Next::Later(later)),
                    // It waits after all.
                    Offer::Declined(..) => {}
                }
            },
        }
    }
}

impl<S: Service<Req>, W: Way<S, Req>, Req> Future for Later<S, W, Req> {
    type Output = Answer<S, W, Req>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        loop {
            match ready!(self.as_mut().poll_next(cx)) {
                Next::Done(answer) => return Poll::Ready(answer),
                Next::Later(later) => self.set(later),
            }
        }
    }
}

impl Patience {
    fn is_over(&mut self, cx: &mut task::Context<'_>) -> bool {
        match self {
            Self::None => true,
            Self::Until(sleep) => sleep.as_mut().poll(cx).is_ready(),
        }
    }
}

impl<S: Service<Req>, W: Way<S, Req>, Req> Next<S, W, Req> {
    /// How it goes on once the inner service was heard.
    fn heard(kept: Option<Kept<S, W, Req>>, heard: Heard<S, Req>) -> Self {
        let Some(kept) = kept else { return Self::Done(heard.map(W::pass)) };
        match kept.judge(heard).map_err(Lost::replace) {
            Ok(answer) | Err(Err(answer)) => Self::Done(answer),
            Err(Ok(later)) => Self::Later(later),
        }
    }
}
