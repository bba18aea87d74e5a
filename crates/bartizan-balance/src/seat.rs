use crate::common::Common;
use crate::ejection::{Streaks, Tally};
use crate::float::Float;
use bartizan_core::Endpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the calls to one member have shown of it. It outlives the snapshots that it is in, and is written without a lock: of two
/// answers in the same instant one may be missed by the averages.
///
/// All times are seconds, but instants, which are nanoseconds on the clock of the set. What is read of every member at every call
/// comes first, within one line of the cache.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Seat {
    in_flight: AtomicU32,
    /// Latency and penalty together; less than that while the member is idle.
    cost: Float,
    /// As long as nothing was heard it is what is expected, below zero.
    latency: Float,
    penalty: Float,
    suspicion: Float,
    good: AtomicU32,
    /// When something was heard of it last.
    touched: AtomicU64,
    pub(crate) streaks: Streaks,
    bad: AtomicU32,
    /// Calls without an answer.
    lost: AtomicU32,
    pub(crate) id: Endpoint,
    warming: AtomicBool,
    /// Another one each time that the member begins anew. What a call of an earlier one has shown is of no interest any more.
    generation: AtomicU8,
    pub(crate) common: Arc<Common>,
}

/// What a rule needs to know beside the seat itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// One divided by the seconds over which latencies are averaged.
    pub(crate) per_second: f32,
    /// Whether a latency above the average becomes it at once.
    pub(crate) peak: bool,
}

/// What is normal for the caller of a set, as the failures of its members show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normal {
    /// Mean latency over the members.
    pub(crate) latency: f32,
    /// The share of failures that says nothing against a member.
    pub(crate) failures: f32,
}

/// What a member costs that is being asked for the first time: one call asks it, and the rest wait for its answer.
const UNHEARD: f32 = 1e6;
/// Below ten microseconds latencies are alike.
const LEAST: f32 = 1e-5;
const MAX_SUSPICION: f32 = 20.0;
/// What an answer of a member that grows warm counts for in its average.
const WARMING: f32 = 0.25;

impl Seat {
    pub(crate) fn new(common: Arc<Common>, now: u64) -> Self {
        let seat = Self {
            in_flight: AtomicU32::new(0),
            cost: Float::default(),
            latency: Float::default(),
            penalty: Float::default(),
            suspicion: Float::default(),
            good: AtomicU32::new(0),
            touched: AtomicU64::new(now),
            streaks: Streaks::default(),
            bad: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            id: Endpoint::new(),
            warming: AtomicBool::new(false),
            generation: AtomicU8::new(0),
            common,
        };
        seat.forget(now);
        seat
    }

    /// How long a call that begins now is expected to take, as a number to be compared: less is better.
    #[inline]
    pub(crate) fn score(&self) -> f32 {
        self.cost.get() * (self.in_flight.load(Relaxed) as f32 + 1.0)
    }

    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    #[inline]
    pub(crate) fn generation(&self) -> u8 {
        self.generation.load(Relaxed)
    }

    #[inline]
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        // It is idle no longer, and costs what it costs.
        let full = if self.latency.get() > 0.0 { self.full() } else { UNHEARD };
        if self.cost.get() != full {
            self.cost.set(full);
        }
    }

    #[inline]
    pub(crate) fn end(&self) {
        let last = self.in_flight.fetch_sub(1, Relaxed) == 1;
        if last && self.latency.get() <= 0.0 {
            self.cost.set(self.full());
        }
    }

    /// Has what was held against it fade while it is idle. Called every now and then.
    pub(crate) fn fade(&self, now: u64, memory: Memory) {
        if self.in_flight.load(Relaxed) == 0 {
            self.cost.set(self.full() * fade(self.idle(now) * memory.per_second));
        }
    }

    #[inline]
    fn full(&self) -> f32 {
        self.latency.get().abs() + self.penalty.get()
    }

    /// A call was answered well.
    #[inline]
    pub(crate) fn succeeded(&self, took: f32, now: u64, memory: Memory, normal: impl FnOnce() -> Normal) {
        let idle = self.idle(now) * memory.per_second;
        let good = self.good.load(Relaxed);
        // The first few are averaged evenly: one alone says little, and would for ten seconds.
        let least = 1.0 / (good as f32 + 1.0);
        let least = if self.warming.load(Relaxed) { least.max(WARMING) } else { least };
        self.average(took, least, idle, memory);
        self.good.store(good.wrapping_add(1), Relaxed);
        self.streaks.success();
        if self.suspicion.get() > 0.0 || self.penalty.get() > 0.0 {
            self.relieve(fade(idle), normal());
        }
        self.heard(now);
    }

    /// A call was given up by its caller after so long: it would have taken at least that.
    #[cold]
    pub(crate) fn abandoned(&self, after: f32, now: u64, memory: Memory) {
        let latency = self.latency.get();
        if latency > 0.0 && after > latency {
            self.average(after, 0.0, self.idle(now) * memory.per_second, memory);
            self.heard(now);
        } else if latency <= 0.0 && after > -latency {
            // The first that is known of it. Nothing good was heard, and still others must not be put behind it. But a caller who has
            // left before others would have answered has not shown anything.
            self.latency.set(after.max(LEAST));
            self.heard(now);
        } else {
            // Nothing was heard, and it is as idle as it was.
            self.fade(now, memory);
        }
    }

    /// A call failed, or was refused by what stands before the member.
    ///
    /// The suspicion is the log-likelihood ratio of a member that fails every other call to one that fails as calls do here, and the
    /// penalty the time that a call is expected to lose there.
    #[cold]
    pub(crate) fn failed(&self, after: f32, now: u64, memory: Memory, normal: Normal) {
        let fade = fade(self.idle(now) * memory.per_second);
        let suspicion = (self.suspicion.get() * fade + (0.5 / normal.failures).ln()).min(MAX_SUSPICION);
        let doubt = if self.latency.get() > 0.0 { 6.0 } else { 2.0 };
        let ill = 1.0 / (1.0 + (doubt - suspicion).exp());
        let lost = ill * after.max(1.0).max(10.0 * normal.latency);
        self.suspicion.set(suspicion);
        self.penalty.set(lost.max(self.penalty.get() * fade));
        self.heard(now);
    }

    /// What was held against it is forgotten.
    pub(crate) fn forgive(&self) {
        self.penalty.set(0.0);
        self.suspicion.set(0.0);
        self.cost.set(self.full());
    }

    /// Whether its share still grows: what it is like changes quickly then.
    pub(crate) fn set_warming(&self, warming: bool) {
        self.warming.store(warming, Relaxed);
    }

    /// It begins anew: nothing is known of how it is now, and it is taken for like the others.
    pub(crate) fn forget(&self, now: u64) {
        self.generation.fetch_add(1, Relaxed);
        self.latency.set(-self.common.normal().latency);
        self.forgive();
        self.touched.store(now, Relaxed);
    }

    /// Average latency of good answers, if there were any.
    pub(crate) fn latency(&self) -> Option<f32> {
        Some(self.latency.get()).filter(|latency| *latency > 0.0)
    }

    pub(crate) fn penalty(&self, now: u64, memory: Memory) -> f32 {
        self.penalty.get() * fade(self.idle(now) * memory.per_second)
    }

    /// Counts a failure. Those that are no fault of the member's are not.
    #[cold]
    pub(crate) fn count_failure(&self, answered: bool) {
        let counter = if answered { &self.bad } else { &self.lost };
        counter.fetch_add(1, Relaxed);
    }

    /// How its calls have ended so far. The counters begin anew after four billion.
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            successes: self.good.load(Relaxed),
            failures: self.bad.load(Relaxed),
            local: self.lost.load(Relaxed),
            latency: Duration::try_from_secs_f32(self.latency.get()).unwrap_or_default(),
        }
    }

    #[inline]
    fn heard(&self, now: u64) {
        let first = self.latency.get() <= 0.0 && self.in_flight.load(Relaxed) > 0;
        self.cost.set(if first { UNHEARD } else { self.full() });
        self.touched.store(now, Relaxed);
    }

    #[inline]
    fn idle(&self, now: u64) -> f32 {
        now.saturating_sub(self.touched.load(Relaxed)) as f32 * 1e-9
    }

    #[inline]
    fn average(&self, took: f32, least: f32, idle: f32, memory: Memory) {
        let old = self.latency.get();
        let share = match old > 0.0 {
            true if memory.peak && took > old => 1.0,
            true => idle.min(1.0).max(least),
            false => 1.0,
        };
        self.latency.set((old + share * (took - old)).max(LEAST));
    }

    #[cold]
    fn relieve(&self, fade: f32, normal: Normal) {
        let well = ((1.0 - normal.failures) / 0.5).ln();
        self.suspicion.set((self.suspicion.get() * fade - well).max(0.0));
        let penalty = self.penalty.get() * fade * 0.3;
        self.penalty.set(if penalty < LEAST { 0.0 } else { penalty });
    }
}

/// Falls from one to zero about as e^-x does, and is zero from 16 on: (1 − x/16)^16, which takes four multiplications.
#[inline]
fn fade(x: f32) -> f32 {
    let mut left = (1.0 - x * (1.0 / 16.0)).max(0.0);
    for _ in 0..4 {
        left *= left;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MEMORY: Memory = Memory { per_second: 0.1, peak: false };
    const NORMAL: Normal = Normal { latency: 0.04, failures: 0.0005 };

    fn heard(latency: f32) -> Seat {
        let seat = Seat::new(Arc::new(Common::new(None)), 0);
        seat.succeeded(latency, 0, MEMORY, || NORMAL);
        seat
    }

    #[test]
    fn a_busy_member_costs_more_and_one_of_which_nothing_was_heard_is_asked_once() {
        let (seat, new) = (heard(0.04), Seat::new(Arc::new(Common::new(None)), 0));
        assert_eq!(seat.score(), 0.04);
        seat.begin();
        assert_eq!(seat.score(), 0.08);
        assert_eq!(new.score(), 0.0);
        new.begin();
        assert!(new.score() > 1000.0);
    }

    #[test]
    fn one_failure_of_many_calls_weighs_little_and_of_few_much() {
        let (rare, often) = (heard(0.04), heard(0.04));
        rare.failed(0.001, 0, MEMORY, NORMAL);
        often.failed(0.001, 0, MEMORY, Normal { failures: 0.075, ..NORMAL });
        assert!(rare.score() > 0.5, "{}", rare.score());
        assert!(often.score() < 0.1, "{}", often.score());
    }

    #[test]
    fn what_was_held_against_it_fades_and_good_answers_lift_it() {
        let seat = heard(0.04);
        seat.failed(0.001, 0, MEMORY, NORMAL);
        let first = seat.score();
        seat.fade(20 * SECOND, MEMORY);
        assert!(seat.score() < first * 0.15);
        seat.begin();
        assert_eq!(seat.score(), 2.0 * first, "it is idle no longer");
        seat.end();
        let before = seat.penalty(0, MEMORY);
        seat.succeeded(0.04, 0, MEMORY, || NORMAL);
        assert!((seat.penalty(0, MEMORY) / before - 0.3).abs() < 1e-3);
        for _ in 0..30 {
            seat.succeeded(0.04, 0, MEMORY, || NORMAL);
        }
        assert_eq!(seat.penalty(0, MEMORY), 0.0);
    }

    #[test]
    fn the_average_is_one_of_ten_seconds() {
        let seat = heard(0.01);
        for n in 1..=1000_u64 {
            seat.succeeded(0.01, n * SECOND / 100, MEMORY, || NORMAL);
        }
        for n in 1..=1000_u64 {
            seat.succeeded(0.02, 10 * SECOND + n * SECOND / 100, MEMORY, || NORMAL);
        }
        let latency = seat.latency().expect("answers were heard");
        assert!((0.0155..0.0170).contains(&latency), "1 − 1/e of the way: {latency}");
    }

    #[test]
    fn a_call_that_was_given_up_took_at_least_so_long() {
        let seat = heard(0.01);
        seat.abandoned(0.005, SECOND, MEMORY);
        assert_eq!(seat.latency(), Some(0.01));
        seat.abandoned(1.0, SECOND, MEMORY);
        assert!(seat.latency() > Some(0.05));
        for (after, latency) in [(0.01, None), (1.0, Some(1.0))] {
            let common = Arc::new(Common::new(None));
            common.set_mean_latency(0.04);
            let new = Seat::new(common, 0);
            new.abandoned(after, SECOND, MEMORY);
            assert_eq!(new.latency(), latency, "it is known when it has shown to be slower than others");
        }
    }

    #[test]
    fn a_fade_is_close_to_exponential() {
        for x in [0.0_f32, 0.1, 0.5, 1.0, 2.0] {
            assert!((fade(x) - (-x).exp()).abs() < 0.02, "{x}");
        }
        assert_eq!(fade(17.0), 0.0);
    }
}
