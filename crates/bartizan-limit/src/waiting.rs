mod layer;

pub use layer::{WaitingLayer, WaitingService};

use crate::admit::{Buckets, Limiting, Single};
use crate::denial::Denial;
use crate::line::{Call, Claim, Entry, Terms};
use crate::pass::Pass;
use crate::price::{One, Price};
use crate::shelf::Shelf;
use bartizan_core::{Admit, Queue, Refused, Refusing, Turn};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep_until};

/// Policy of a limit under which requests wait for their tokens.
#[derive(Clone, Debug)]
pub struct Waiting<B = Single, P = One> {
    pub(crate) limiting: Limiting<B, P>,
    pub(crate) terms: Terms,
}

impl<Req, B: Buckets<Req>, P: Price<Req>> Admit<Req> for Waiting<B, P> {
    type Permit = Pass;

    /// Without waiting, and past those who wait: as the handle does.
    fn admit(&self, req: &Req) -> Result<Pass, Refusing> {
        self.limiting.admit(req)
    }

    fn refuse(&self, refusing: Refusing) -> Refused {
        Admit::<Req>::refuse(&self.limiting, refusing)
    }

    fn fields(&self, refusing: Refusing, say: &mut dyn FnMut(&'static str, &str)) {
        Admit::<Req>::fields(&self.limiting, refusing, say);
    }
}

impl<Req, B: Buckets<Req>, P: Price<Req>> Queue<Req> for Waiting<B, P> {
    type Wait = Wait;

    fn queue(&self, req: &Req) -> Turn<Pass, Wait> {
        let cost = self.limiting.price.price(req);
        if cost == 0 {
            return Turn::Admitted(Pass::default());
        }
        let (shelf, announce) = (self.limiting.buckets.shelf(), self.limiting.announce);
        let number = self.limiting.buckets.number(req);
        match shelf.waiters().enter(&**shelf, number, cost, self.terms) {
            Ok(Entry::Through(debt)) => Turn::Admitted(shelf.pass(debt, announce)),
            Ok(Entry::Waits(claim)) => {
                let since = claim.since;
                Turn::Waiting(Wait { shelf: shelf.clone(), claim: Some(claim), since, announce, timer: None })
            }
            Err(denial) => match enforce(&**shelf, denial, announce) {
                Ok(pass) => Turn::Admitted(pass),
                Err(refusing) => Turn::Refused(refusing),
            },
        }
    }
}

fn enforce(shelf: &dyn Shelf, denial: Denial, announce: bool) -> Result<Pass, Refusing> {
    shelf.common().enforce(denial)?;
    Ok(shelf.pass(u64::MAX, announce))
}

/// A request's place in the line for its tokens.
///
/// # Cancel safety
///
/// Dropped, it gives its place back: it has taken nothing, and those behind it come sooner.
pub struct Wait {
    shelf: Arc<dyn Shelf>,
    /// None when it is done.
    claim: Option<Claim>,
    /// When it came.
    since: u64,
    announce: bool,
    /// Rings when its tokens are there, or its patience is over.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Future for Wait {
    type Output = Result<Pass, Refusing>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let claim = this.claim.expect("a wait is not polled after it is done");
        loop {
            let out = match this.shelf.waiters().ask(&*this.shelf, claim, cx.waker()) {
                Call::Behind(u64::MAX) => return Poll::Pending,
                Call::At(time) | Call::Behind(time) => {
                    let time = this.shelf.common().instant(time);
                    let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(time)));
                    if timer.deadline() != time {
                        timer.as_mut().reset(time);
                    }
                    ready!(timer.as_mut().poll(cx));
                    continue;
                }
                Call::Through(debt) => Ok(this.shelf.pass(debt, this.announce)),
                Call::No(denial) => enforce(&*this.shelf, denial, this.announce),
            };
            this.claim = None;
            return Poll::Ready(out);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.shelf.waiters().gone(self.since, self.shelf.common().now());
        if let Some(claim) = self.claim.take() {
            self.shelf.waiters().leave(claim);
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("claim", &self.claim).finish_non_exhaustive()
    }
}
