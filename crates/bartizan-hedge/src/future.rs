//! The future of a [`HedgeService`](crate::HedgeService). Dropped before it is done, it drops all copies and its timer, and tokens of
//! copies that were not sent go back.

use crate::counts::Count;
use crate::events;
use crate::race::{Answer, Copy, Race, Stage, Step};
use crate::shared::Shared;
use crate::watch::Watch;
use bartizan_again::{Heard, Hint, Outcome, Spare, Way};
use bartizan_core::{Endpoint, Hedged, Instant, Verdict};
use pin_project_lite::pin_project;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::Sleep;

pin_project! {
    /// Future of a [`HedgeService`](crate::HedgeService).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S, W: Way<S, Req>, Req> {
        // Gone once it has failed.
        #[pin]
        primary: Option<W::Try>,
        #[pin]
        timer: Option<Sleep>,
        call: Call<S, W, Req>,
    }
}

/// One call, whatever its copies.
struct Call<S, W: Way<S, Req>, Req> {
    way: W,
    watch: Watch<S>,
    /// None if there are no copies to be sent.
    kept: Option<W::Kept>,
    /// Where the first copy went.
    endpoint: Option<Endpoint>,
    due: Due,
    race: Option<Box<Race<S, W, Req>>>,
}

/// When the next copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Nobody has asked yet: the first copy may answer at once.
    Unasked,
    Now,
    WithTimer,
    Never,
}

/// How the other calls ended, in the extensions of an answer that is a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCopies(pub Vec<Outcome>);

/// The longest pause before the next copy that a server may ask for, as long as what a retry waits for by default.
const MOST_HINT: Duration = Duration::from_secs(60);

impl<S, W: Way<S, Req>, Req> ResponseFuture<S, W, Req> {
    #[inline(always)]
    pub(crate) fn new(
        primary: W::Try,
        endpoint: Option<Endpoint>,
        spare: Arc<Spare<S, Shared>>,
        way: W,
        kept: Option<W::Kept>,
    ) -> Self {
        let watch = Watch::new(spare);
        let call = Call { way, watch, kept, endpoint, due: Due::Unasked, race: None };
        Self { primary: Some(primary), timer: None, call }
    }
}

impl<S: Clone, W: Way<S, Req>, Req> Future for ResponseFuture<S, W, Req> {
    type Output = Answer<S, W, Req>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(primary) = this.primary.as_mut().as_pin_mut() {
            match this.call.way.poll_try(primary, this.call.kept.as_ref(), cx) {
                Poll::Ready(heard) if heard.verdict == Verdict::Success || this.call.kept.is_none() => {
                    this.call.primary_answered(heard.verdict == Verdict::Success);
                    return Poll::Ready(heard.answer);
                }
                Poll::Ready(heard) => {
                    this.primary.set(None);
                    this.call.watch.ended(false);
                    let others = this.call.race.as_ref().is_some_and(|race| !race.copies.is_empty());
                    this.call.failed(heard, this.timer.as_mut(), others);
                }
                Poll::Pending if this.call.kept.is_none() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        let running = this.primary.is_some();
        let polled = this.call.poll_race(running, this.timer, cx);
        if polled.is_ready() {
            // Losers go at once, and not when somebody drops this.
            this.primary.set(None);
        }
        polled
    }
}

impl<S, W: Way<S, Req>, Req> Call<S, W, Req> {
    /// The first copy is the answer.
    #[inline(always)]
    fn primary_answered(&mut self, good: bool) {
        if self.watch.ended(good) && good && self.kept.is_some() {
            self.watch.spare.own.deposit();
        }
        if let Some(race) = self.race.take() {
            let running = race.running();
            self.watch.spare.counts.count(Count::Superseded, running);
            if good && race.timed && running > 0 {
                self.watch.spare.wins.decided(false);
            }
        }
        // Nothing is kept of the body from here on.
        self.kept = None;
    }

    fn race(&mut self) -> &mut Race<S, W, Req> {
        let endpoint = self.endpoint;
        self.race.get_or_insert_with(|| Box::new(Race::new(endpoint)))
    }

    /// Hears of a copy that has failed, the first or another.
    #[cold]
    fn failed(&mut self, heard: Heard<W::Response, W::Error>, timer: Pin<&mut Option<Sleep>>, others: bool) {
        let Heard { answer, verdict } = heard;
        let signs = W::signs(&answer);
        self.race().ended(answer, &signs);
        if signs.overloaded || signs.hint == Hint::Never {
            self.stop();
        }
        match (signs.hint, verdict) {
            (Hint::After(wait), _) | (Hint::None, Verdict::Throttled(Some(wait))) if wait <= MOST_HINT => {
                self.wait(Instant::now(), wait, timer);
            }
            // Who is asked to slow down does not send another at once, and nobody waits in here for long: a retry outside knows better.
            (Hint::After(_), _) | (_, Verdict::Throttled(_)) => {
                self.stop();
                self.due = Due::Never;
            }
            (_, Verdict::Failure) => self.due = Due::Now,
            // There is no sense in another where no server was asked.
            _ if !others => self.due = Due::Never,
            _ => {}
        }
    }

    /// A server asks to be left alone.
    fn stop(&mut self) {
        if !std::mem::replace(&mut self.race().stopped, true) {
            self.watch.spare.counts.count(Count::Told, 1);
        }
    }

    /// Sets when the next copy is due, if it would come before the deadline.
    fn wait(&mut self, now: Instant, wait: Duration, mut timer: Pin<&mut Option<Sleep>>) {
        let at = now.checked_add(wait).filter(|at| self.deadline().is_none_or(|deadline| *at < deadline));
        self.due = match (wait, at) {
            (Duration::ZERO, _) => Due::Now,
            (_, None) => Due::Never,
            (_, Some(at)) => {
                match timer.as_mut().as_pin_mut() {
                    Some(sleep) => sleep.reset(at),
                    None => timer.set(Some(tokio::time::sleep_until(at))),
                }
                Due::WithTimer
            }
        };
    }

    fn deadline(&self) -> Option<Instant> {
        let given = self.kept.as_ref().and_then(W::context);
        given.and_then(|context| context.deadline())
    }
}

impl<S: Clone, W: Way<S, Req>, Req> Call<S, W, Req> {
    /// Polls all copies but the first, and sends those that are due.
    #[inline(never)]
    fn poll_race(
        &mut self,
        primary: bool,
        mut timer: Pin<&mut Option<Sleep>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Answer<S, W, Req>> {
        if self.due == Due::Unasked {
            let now = Instant::now();
            self.watch.begin(now);
            self.due = Due::Never;
            self.set_next(now, timer.as_mut());
        }
        loop {
            if let Some(answer) = self.poll_copies(primary, timer.as_mut(), cx) {
                return Poll::Ready(answer);
            }
            let (due, timed) = match self.due {
                Due::Now => (true, false),
                Due::WithTimer => {
                    (timer.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready()), true)
                }
                Due::Unasked | Due::Never => (false, false),
            };
            if due {
                self.due = Due::Never;
                if self.make_copy(timed) {
                    self.set_next(Instant::now(), timer.as_mut());
                    continue;
                }
            }
            if !primary && self.is_over() {
                return Poll::Ready(self.give_up());
            }
            return Poll::Pending;
        }
    }

    /// Whether all copies that were sent have failed, and there is nothing to wait for. Not for a service to be ready: what it takes
    /// may be held by the very failure that waits here.
    #[cold]
    fn is_over(&self) -> bool {
        match &self.race {
            Some(race) if race.running() > 0 => false,
            Some(race) if !race.copies.is_empty() => true,
            _ => self.due == Due::Never || self.was_last(),
        }
    }

    /// Whether no further copy will be sent, so that nobody has to wait for when it would be due.
    #[cold]
    fn was_last(&self) -> bool {
        let most = self.watch.spare.settings().max_hedges;
        self.race.as_ref().is_some_and(|race| race.stopped || race.made >= most)
    }

    fn set_next(&mut self, now: Instant, timer: Pin<&mut Option<Sleep>>) {
        if let Some(delay) = self.watch.spare.delay() {
            self.wait(now, delay, timer);
        }
    }

    /// Polls the copies until none of them has news. Returns the answer of one that has won.
    fn poll_copies(
        &mut self,
        primary: bool,
        mut timer: Pin<&mut Option<Sleep>>,
        cx: &mut task::Context<'_>,
    ) -> Option<Answer<S, W, Req>> {
        let mut i = 0;
        while let Some(copy) = self.race.as_mut().and_then(|race| race.copies.get_mut(i)) {
            let step = match copy.poll(&self.way, self.kept.as_ref(), cx) {
                Poll::Pending => {
                    i += 1;
                    continue;
                }
                Poll::Ready(step) => step,
            };
            match step {
                Step::Sent(endpoint) => {
                    self.watch.spare.counts.count(Count::Hedges, 1);
                    let race = self.race();
                    race.avoid = endpoint.map_or(race.avoid, |endpoint| race.avoid.and(endpoint));
                }
                Step::Heard(heard) if heard.verdict == Verdict::Success => {
                    self.won(primary);
                    return Some(heard.answer);
                }
                Step::Heard(heard) => {
                    self.watch.spare.counts.count(Count::Failed, 1);
                    let race = self.race();
                    race.copies.remove(i);
                    let others = primary || !race.copies.is_empty();
                    self.failed(heard, timer.as_mut(), others);
                }
                Step::Unready(error) => {
                    self.watch.spare.counts.count(Count::Unready, 1);
                    let race = self.race();
                    race.copies.remove(i);
                    race.stopped = true;
                    race.last.get_or_insert((Err(error), None));
                }
            }
        }
        None
    }

    /// A copy that is not the first is the answer.
    fn won(&mut self, primary: bool) {
        self.watch.cut();
        let shared = &*self.watch.spare;
        shared.own.deposit();
        shared.counts.count(Count::Won, 1);
        if let Some(race) = self.race.take() {
            shared.counts.count(Count::Superseded, race.running() - 1 + u64::from(primary));
            if primary && race.timed {
                shared.wins.decided(true);
            }
        }
        self.kept = None;
    }

    /// Makes a copy, if all that it takes is there. Its turn comes when the copies are polled next.
    #[cold]
    fn make_copy(&mut self, timed: bool) -> bool {
        let settings = self.watch.spare.settings();
        let race = self.race();
        if race.stopped || race.made >= settings.max_hedges || !settings.enabled {
            return false;
        }
        let (mark, avoid) = (Hedged::new(NonZeroU32::MIN.saturating_add(race.made)), race.avoid);
        let number = mark.copy();
        let now = Instant::now();
        let Some(kept) = self.kept.as_ref().filter(|kept| W::is_first(kept)) else { return false };
        if W::is_spoilt(kept) {
            return false;
        }
        let given = W::context(kept).unwrap_or_default();
        let shared = &*self.watch.spare;
        let hopeless = shared.median().zip(given.remaining(now)).is_some_and(|(median, left)| left < median);
        if hopeless {
            shared.counts.count(Count::Hopeless, 1);
            return false;
        }
        if timed && !shared.is_useful() {
            shared.counts.count(Count::Useless, 1);
            return false;
        }
        let Some(mut sent) = self.way.copy(kept, number, avoid) else {
            shared.counts.count(Count::TooLarge, 1);
            return false;
        };
        W::mark(&mut sent, mark);
        let Some(tokens) = shared.withdraw(now) else {
            shared.counts.count(Count::Unpaid, 1);
            return false;
        };
        events::hedged(shared.name(), number);
        if number == 1 {
            shared.counts.count(Count::Hedged, 1);
        }
        let stage = Stage::Readying(Some(Box::new((shared.service(), sent, tokens))));
        let race = self.race();
        race.timed |= timed && number == 1;
        race.made = number;
        race.copies.push(Copy { context: given.with_attempt(number), stage });
        true
    }

    /// Returns the failure that came last, with what the others were.
    #[cold]
    fn give_up(&mut self) -> Answer<S, W, Req> {
        let mut race = self.race.take().expect("a call whose copies have all ended has a last answer");
        self.kept = None;
        let (mut answer, _) = race.last.take().expect("a call whose copies have all ended has a last answer");
        if let (Ok(response), false) = (&mut answer, race.failures.is_empty()) {
            W::tell(response, FailedCopies(race.failures));
        }
        answer
    }
}

impl<S, W: Way<S, Req>, Req> fmt::Debug for ResponseFuture<S, W, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copies = self.call.race.as_ref().map_or(0, |race| race.made);
        f.debug_struct("ResponseFuture").field("copies", &copies).finish_non_exhaustive()
    }
}
