use crate::ejection::Origin;
use crate::seat::Seat;
use bartizan_core::Verdict;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A call to a member, until the end of its body. Dropped before there is a verdict, it was given up by its caller.
pub struct Permit {
    seat: Arc<Seat>,
    began: u64,
    /// When the head of the answer came. Zero before that.
    answered: u64,
    origin: Origin,
    judged: bool,
    generation: u8,
    /// Whether it counts in what all members may have in flight.
    counted: bool,
}

impl Permit {
    #[inline]
    pub(crate) fn begin(seat: &Arc<Seat>, began: u64, counted: bool) -> Self {
        seat.begin();
        let generation = seat.generation();
        Self {
            seat: seat.clone(),
            began,
            answered: 0,
            origin: Origin::Server,
            judged: false,
            generation,
            counted,
        }
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The head of the answer has come, or an error. Where the call fails, it is for this reason.
    #[inline]
    pub(crate) fn heard(&mut self, origin: Origin) {
        self.origin = origin;
        self.answered = self.seat.common.now().max(1);
    }

    /// What stands before the member has refused the call. Not the member's failure, and still a reason to go elsewhere.
    #[cold]
    pub(crate) fn refused(&mut self) {
        self.judged = true;
        let common = &self.seat.common;
        let now = common.now();
        self.seat.failed(0.0, now, common.memory(), common.normal());
    }

    #[cold]
    fn failed(&self, throttled: bool) {
        let common = &self.seat.common;
        let now = self.ended();
        let normal = common.failed();
        self.seat.failed(self.until(now), now, common.memory(), normal);
        if !throttled {
            self.seat.count_failure(self.origin != Origin::Local);
            common.trouble(&self.seat, self.origin);
        }
    }

    #[cold]
    fn abandoned(&self) {
        let common = &self.seat.common;
        let now = common.now();
        self.seat.abandoned(self.until(now), now, common.memory());
    }

    /// Whether the member has begun anew since the call was made.
    #[inline]
    fn is_late(&self) -> bool {
        self.generation != self.seat.generation()
    }

    #[inline]
    fn ended(&self) -> u64 {
        if self.answered > 0 { self.answered } else { self.seat.common.now() }
    }

    fn until(&self, now: u64) -> f32 {
        now.saturating_sub(self.began) as f32 * 1e-9
    }
}

impl bartizan_core::Permit for Permit {
    #[inline]
    fn record(&mut self, verdict: Verdict) {
        if std::mem::replace(&mut self.judged, true) || self.is_late() {
            return;
        }
        match verdict {
            Verdict::Success => {
                let common = &self.seat.common;
                let now = self.ended();
                self.seat.succeeded(self.until(now), now, common.memory(), || common.normal());
            }
            Verdict::Failure => self.failed(false),
            Verdict::Throttled(_) => self.failed(true),
            _ => {}
        }
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.seat.end();
        // Once there was an answer, its reader may leave when it likes.
        if !self.judged && self.answered == 0 && !self.is_late() {
            self.abandoned();
        }
        if self.counted {
            self.seat.common.in_flight.fetch_sub(1, Relaxed);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("endpoint", &self.seat.id)
            .field("judged", &self.judged)
            .finish_non_exhaustive()
    }
}
