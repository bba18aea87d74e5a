//! The copies of one request beside the first.

use crate::shared::Tokens;
use bartizan_again::{Heard, Outcome, Signs, Way};
use bartizan_core::{Avoid, Context, Endpoint, Refused};
use std::pin::Pin;
use std::task::{self, Poll, ready};

pub(crate) type Answer<S, W, Req> = Result<<W as Way<S, Req>>::Response, <W as Way<S, Req>>::Error>;

/// What there is of a call once it is more than its first copy.
pub(crate) struct Race<S, W: Way<S, Req>, Req> {
    pub(crate) copies: Vec<Copy<S, W::Sent, W::Try>>,
    /// Copies that were made so far, and may not have been sent yet.
    pub(crate) made: u32,
    /// The first of them was made because the call took long.
    pub(crate) timed: bool,
    /// No further ones are to be made.
    pub(crate) stopped: bool,
    pub(crate) avoid: Avoid,
    /// The failure that is the answer if all copies fail, and how the others ended. It has an outcome if its copy was sent.
    pub(crate) last: Option<(Answer<S, W, Req>, Option<Outcome>)>,
    pub(crate) failures: Vec<Outcome>,
}

/// One of them, with what is entered around each step of it.
pub(crate) struct Copy<S, Q, T> {
    pub(crate) context: Context,
    pub(crate) stage: Stage<S, Q, T>,
}

pub(crate) enum Stage<S, Q, T> {
    /// Waits for a service of its own to be ready. Dropped then, it has cost nothing.
    Readying(Option<Box<(S, Q, Tokens)>>),
    Running(Pin<Box<T>>),
}

/// What a step of a copy came to.
pub(crate) enum Step<R, E> {
    Sent(Option<Endpoint>),
    Unready(E),
    Heard(Heard<R, E>),
}

impl<S, W: Way<S, Req>, Req> Race<S, W, Req> {
    pub(crate) fn new(primary: Option<Endpoint>) -> Self {
        let avoid = primary.map_or(Avoid::new(), |endpoint| Avoid::new().and(endpoint));
        Self {
            copies: Vec::new(),
            made: 0,
            timed: false,
            stopped: false,
            avoid,
            last: None,
            failures: Vec::new(),
        }
    }

    /// Keeps the failure that came last, but an answer says more than that nobody was asked: who sees that alone takes it for proof
    /// that nothing was sent.
    pub(crate) fn ended(&mut self, answer: Answer<S, W, Req>, signs: &Signs) {
        let asked = !signs.never_arrived && signs.refused.as_ref().is_none_or(Refused::reached);
        let outcome = Some(signs.outcome);
        let other = match &self.last {
            Some(_) if !asked => outcome,
            _ => self.last.replace((answer, outcome)).and_then(|(_, outcome)| outcome),
        };
        self.failures.extend(other);
    }

    /// The copies that were sent and have not ended.
    pub(crate) fn running(&self) -> u64 {
        self.copies.iter().filter(|copy| matches!(copy.stage, Stage::Running(_))).count() as u64
    }
}

impl<S, Q, T> Copy<S, Q, T> {
    pub(crate) fn poll<W, Req>(
        &mut self,
        way: &W,
        kept: Option<&W::Kept>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Step<W::Response, W::Error>>
    where
        W: Way<S, Req, Sent = Q, Try = T>,
    {
        let (context, stage) = (self.context, &mut self.stage);
        context.enter(|| match stage {
            Stage::Running(copy) => way.poll_try(copy.as_mut(), kept, cx).map(Step::Heard),
            Stage::Readying(waiting) => {
                let (service, ..) = &mut **waiting.as_mut().expect("it waits until it is sent");
                if let Err(error) = ready!(W::poll_ready(service, cx)) {
                    return Poll::Ready(Step::Unready(error));
                }
                let (mut service, sent, (own, shared)) = *waiting.take().expect("it was there a moment ago");
                own.spend();
                if let Some(token) = shared {
                    token.spend();
                }
                let (copy, endpoint) = way.send(&mut service, sent);
                *stage = Stage::Running(Box::pin(copy));
                Poll::Ready(Step::Sent(endpoint))
            }
        })
    }
}
