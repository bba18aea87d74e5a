//! Whether a call is tried again, and when. No clock, no purse, no I/O.

use crate::retry::Retry;
use bartizan_again::{Hint, Signs};
use bartizan_core::{Avoid, Context, Dice, Endpoint, Instant, Kind, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// By how much at most a wait is longer than the server asked for, so that those who were told the same do not come back together.
const MOST_BEYOND_HINT: Duration = Duration::from_secs(5);

/// The course of one call from its first failure on.
#[derive(Debug)]
pub(crate) struct Course {
    settings: Arc<Retry>,
    /// Where the call has been.
    avoid: Avoid,
    /// The retries that count.
    retries: u32,
    /// It was sent again for free.
    resent: bool,
    /// How far up the back-off has gone since the last hint, and its last wait.
    climbed: u32,
    previous: Duration,
    /// What is entered around every attempt but the first.
    pub(crate) context: Option<Context>,
}

/// What a failure was, and what bounds another try.
pub(crate) struct Failure<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) signs: &'a Signs,
    /// The answers on which the request itself wants to be sent again.
    pub(crate) asked: &'a [u16],
    pub(crate) repeatable: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) now: Instant,
    /// How long the call has taken, if that matters.
    pub(crate) spent: Option<Duration>,
}

/// The next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once, for free.
    Resend,
    /// After a wait, for free: a layer on this side had refused.
    Wait(Duration),
    /// After a wait, for a token.
    Retry(Duration),
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nothing failed, or nothing that is to be retried.
    NotAsked,
    NotRepeatable,
    /// The server said so, or wants to be left alone for too long.
    Told,
    /// A layer on this side refuses, and will go on refusing.
    Refused,
    Tries,
    Time,
    TooLarge,
    Budget,
}

impl Why {
    /// Whether the failure would have been retried, had there been enough of everything: then the purse hears of it.
    pub(crate) const fn is_want(self) -> bool {
        matches!(self, Self::Told | Self::Tries | Self::Time | Self::TooLarge)
    }
}

impl Course {
    pub(crate) fn new(settings: Arc<Retry>) -> Self {
        Self {
            settings,
            avoid: Avoid::new(),
            retries: 0,
            resent: false,
            climbed: 0,
            previous: Duration::ZERO,
            context: None,
        }
    }

    /// Which attempt the next try is. What is resent for free is the same attempt again.
    pub(crate) const fn attempt(&self) -> u32 {
        self.retries
    }

    pub(crate) const fn avoid(&self) -> Avoid {
        self.avoid
    }

    pub(crate) fn failed_at(&mut self, endpoint: Option<Endpoint>) {
        if let Some(endpoint) = endpoint {
            self.avoid = self.avoid.and(endpoint);
        }
    }

    /// Decides what follows a failure. The try that it decides on counts.
    pub(crate) fn next(&mut self, failure: &Failure<'_>, dice: &Dice) -> Result<Next, Why> {
        let signs = failure.signs;
        if let Some(refused) = signs.refused.as_ref().filter(|refused| !refused.reached()) {
            let wait = refused.retry_after().filter(|_| refused.kind() != Kind::DeadlineExceeded);
            let wait = self.told(wait.ok_or(Why::Refused)?, dice)?;
            self.count(failure)?;
            return self.within(failure, wait).map(Next::Wait);
        }
        if signs.never_arrived && !self.resent {
            self.resent = true;
            return Ok(Next::Resend);
        }
        let asked = if self.settings.trust_hints { failure.asked } else { &[] };
        if !self.settings.on.matches(failure.verdict, signs, asked) {
            return Err(Why::NotAsked);
        }
        if !failure.repeatable && !signs.never_arrived {
            return Err(Why::NotRepeatable);
        }
        if signs.overloaded || signs.hint == Hint::Never {
            return Err(Why::Told);
        }
        self.count(failure)?;
        let wait = match (signs.hint, failure.verdict) {
            (Hint::After(told), _) | (Hint::None, Verdict::Throttled(Some(told))) => self.told(told, dice)?,
            (_, verdict) => self.climb(matches!(verdict, Verdict::Throttled(_)), dice)?,
        };
        self.within(failure, wait).map(Next::Retry)
    }

    /// Counts a try, if there is one left.
    fn count(&mut self, failure: &Failure<'_>) -> Result<(), Why> {
        let most =
            failure.max_retries.map_or(self.settings.max_retries, |most| most.min(self.settings.max_retries));
        if self.retries >= most {
            return Err(Why::Tries);
        }
        if let (Some(allowance), Some(spent)) = (&self.settings.allowance, failure.spent) {
            if !allowance.allows(self.retries, spent) {
                return Err(Why::Time);
            }
        }
        self.retries += 1;
        Ok(())
    }

    /// The wait that was asked for and a little more. The back-off begins anew.
    fn told(&mut self, told: Duration, dice: &Dice) -> Result<Duration, Why> {
        if told > self.settings.max_hint {
            return Err(Why::Told);
        }
        (self.climbed, self.previous) = (0, Duration::ZERO);
        let more = self.settings.backoff.wait(1, Duration::ZERO, dice).unwrap_or_default();
        // What is cut is spread anew, or all who wait long would come back at once.
        let more = if more > MOST_BEYOND_HINT { MOST_BEYOND_HINT.mul_f64(dice.unit()) } else { more };
        Ok(told.saturating_add(more))
    }

    fn climb(&mut self, throttled: bool, dice: &Dice) -> Result<Duration, Why> {
        let backoff = if throttled { &self.settings.throttled_backoff } else { &self.settings.backoff };
        self.climbed += 1;
        self.previous = backoff.wait(self.climbed, self.previous, dice).ok_or(Why::Tries)?;
        Ok(self.previous)
    }

    /// No wait goes beyond the deadline.
    fn within(&self, failure: &Failure<'_>, wait: Duration) -> Result<Duration, Why> {
        let late =
            failure.deadline.is_some_and(|deadline| deadline.saturating_duration_since(failure.now) <= wait);
        if late { Err(Why::Time) } else { Ok(wait) }
    }
}
