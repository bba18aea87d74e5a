//! The state machine of one circuit: no clock, no lock, no atomics. Time is nanoseconds since the circuit was born.

mod steer;

use crate::breaker::{Breaker, Mode};
use crate::evidence::{Cusum, Sign};
use crate::extra::Extra;
use crate::nanos;
use crate::pause::Pause;
use crate::probes::Probes;
use crate::ramp::Ramp;
use crate::state::{Cause, Change, State};
use crate::window::Counts;
use bartizan_core::Verdict;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Machine {
    value: Arc<Breaker>,
    phase: Phase,
    mode: Mode,
    /// One failed probe opens the circuit again, and there is a threshold for slow calls: [`STRICT`] and [`TIMED`] in one byte,
    /// as a circuit must stay small.
    switches: u8,
    /// The rule of the last trip, whose pauses hold until the circuit has recovered, and why it is open.
    rule: Option<Cause>,
    cause: Option<Cause>,
    /// Failed rounds of probes, and trips during recovery, since the circuit was last well.
    level: u8,
    ramp_trips: u8,
    generation: u64,
    cusum: Option<Cusum>,
    extra: Option<Box<Extra>>,
    /// Until when callers were asked to wait.
    wait_until: u64,
    pub(crate) failures: u64,
    pub(crate) throttled: u64,
    pub(crate) slow: u64,
    dice: fastrand::Rng,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Recovering(Box<Ramp>),
    Open { until: u64 },
    HalfOpen(Box<Probes>),
}

/// What the machine says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    Probe(u16),
    /// Open until then.
    Open(Cause, u64),
    /// All probes are under way.
    Probing,
    Recovering,
    ForcedOpen,
    Disabled,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) generation: u64,
    pub(crate) probe: Option<u16>,
    pub(crate) verdict: Verdict,
    pub(crate) slow: bool,
    /// Good calls so far, this one included where it was good.
    pub(crate) successes: u64,
}

impl Outcome {
    /// Whether it is that of a probe which failed, was throttled or slow.
    pub(crate) fn is_bad_probe(&self) -> bool {
        let is_bad = matches!(self.verdict, Verdict::Failure | Verdict::Throttled(_));
        self.probe.is_some() && (is_bad || self.slow && self.verdict == Verdict::Success)
    }
}

const STRICT: u8 = 1;
const TIMED: u8 = 1 << 1;

impl Machine {
    pub(crate) fn new(value: &Arc<Breaker>) -> Self {
        let mut machine = Self {
            value: value.clone(),
            phase: Phase::Closed,
            mode: value.mode,
            switches: 0,
            rule: None,
            cause: None,
            level: 0,
            ramp_trips: 0,
            generation: 0,
            cusum: None,
            extra: None,
            wait_until: 0,
            failures: 0,
            throttled: 0,
            slow: 0,
            dice: dice(value.seed),
        };
        machine.update(value, 0);
        if value.start_open {
            let until = machine.open(0, Cause::Start);
            machine.phase = Phase::Open { until };
        }
        machine
    }

    /// Takes over new settings. What the rules have seen stays, and so does the state.
    pub(crate) fn update(&mut self, value: &Arc<Breaker>, now: u64) {
        self.value = value.clone();
        let switch = |switch: u8, is: bool| if is { switch } else { 0 };
        self.switches = switch(STRICT, value.strict_probes) | switch(TIMED, value.slow_after.is_some());
        self.cusum = value.evidence.map(|rule| match self.cusum.take() {
            Some(mut cusum) => {
                cusum.update(&rule);
                cusum
            }
            None => Cusum::new(&rule),
        });
        self.extra = Extra::new(value, self.extra.take().map(|extra| *extra), now).map(Box::new);
    }

    /// What it was made of, or was changed to last, with the mode that it is in.
    pub(crate) fn in_force(&self) -> Breaker {
        Breaker { mode: self.mode, ..*self.value }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the verdict of a call still counts.
    pub(crate) fn hears(&self, outcome: &Outcome) -> bool {
        let in_time = match &self.phase {
            Phase::HalfOpen(probes) => outcome.probe.is_some_and(|probe| probes.has(probe)),
            _ => true,
        };
        in_time && outcome.generation == self.generation
    }

    pub(crate) fn is_timed(&self) -> bool {
        self.switches & TIMED != 0
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    pub(crate) fn state(&self) -> State {
        match (self.mode, &self.phase) {
            (Mode::ForcedOpen, _) => State::ForcedOpen,
            (Mode::Disabled, _) => State::Disabled,
            (_, Phase::Closed | Phase::Recovering(_)) => State::Closed,
            (_, Phase::Open { .. }) => State::Open,
            (_, Phase::HalfOpen(_)) => State::HalfOpen,
        }
    }

    /// Closed, and all traffic is back.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Closed) && self.state() == State::Closed
    }

    /// A good call would change nothing but the count of good calls.
    pub(crate) fn is_quiet(&self) -> bool {
        let rules = self.extra.as_ref().is_some_and(|extra| extra.has_rules());
        self.is_free() && !rules && self.cusum.as_ref().is_none_or(Cusum::is_zero)
    }

    /// Until when nothing is admitted, as far as is known now.
    pub(crate) fn refusing_until(&self) -> Option<u64> {
        match (&self.phase, self.state()) {
            (Phase::Open { until }, State::Open) => Some(*until),
            (Phase::HalfOpen(probes), State::HalfOpen) => probes.full_until(self.probes()),
            _ => None,
        }
    }

    fn probes(&self) -> u32 {
        self.value.probes
    }

    /// Makes the changes that time alone brings: an open circuit turns half-open, leases expire, a ramp ends.
    pub(crate) fn settle(&mut self, now: u64) -> Option<Change> {
        match (self.state(), &mut self.phase) {
            (State::Open, Phase::Open { until }) if *until <= now => {
                Some(self.change(|machine| machine.phase = Phase::HalfOpen(Box::default())))
            }
            (State::HalfOpen, Phase::HalfOpen(probes)) => {
                probes.expire(now);
                self.judge(now)
            }
            (State::Closed, Phase::Recovering(ramp)) => {
                if ramp.share(now) >= 1.0 {
                    self.recovered();
                }
                None
            }
            _ => None,
        }
    }

    /// Admits a request or says why not. The machine must have been [settled](Self::settle) at `now`.
    pub(crate) fn admit(&mut self, now: u64) -> Admission {
        match self.mode {
            Mode::ForcedOpen => return Admission::ForcedOpen,
            Mode::Disabled => return Admission::Disabled,
            Mode::Normal | Mode::Shadow => {}
        }
        let (all, expires) = (self.probes(), now.saturating_add(nanos(self.value.probe_lease)));
        match &mut self.phase {
            Phase::Closed => Admission::Admitted,
            Phase::Recovering(ramp) => {
                if ramp.has_drained(now) {
                    self.generation += 1;
                    self.cusum.iter_mut().for_each(Cusum::clear);
                }
                if ramp.admits(now) { Admission::Admitted } else { Admission::Recovering }
            }
            Phase::Open { until } => Admission::Open(self.cause.unwrap_or(Cause::Forced), *until),
            Phase::HalfOpen(probes) => {
                probes.lease(all, expires).map_or(Admission::Probing, Admission::Probe)
            }
        }
    }

    /// Hears that the answer to a probe has begun.
    pub(crate) fn answered(&mut self, generation: u64, probe: u16) {
        if let (true, Phase::HalfOpen(probes)) = (generation == self.generation, &mut self.phase) {
            probes.answered(probe);
        }
    }

    /// Takes the place of a probe back that was dropped.
    pub(crate) fn abandon(&mut self, generation: u64, probe: u16) {
        if let (true, Phase::HalfOpen(probes)) = (generation == self.generation, &mut self.phase) {
            probes.give_back(probe);
        }
    }

    /// Counts a call that has ended, unless it was admitted in another generation.
    pub(crate) fn record(&mut self, outcome: Outcome, now: u64) -> Option<Change> {
        if outcome.generation != self.generation {
            return None;
        }
        let (bad, hint) = match outcome.verdict {
            Verdict::Success => (false, None),
            Verdict::Failure => (true, None),
            Verdict::Throttled(hint) => (true, hint),
            _ => {
                outcome.probe.into_iter().for_each(|probe| self.abandon(outcome.generation, probe));
                return None;
            }
        };
        if let Phase::HalfOpen(probes) = &mut self.phase {
            if !outcome.probe.is_some_and(|probe| probes.give_back(probe)) {
                return None;
            }
            probes.end(bad, outcome.slow);
        }
        self.count(&outcome);
        if let Some(hint) = hint {
            let hint = nanos(hint.min(Breaker::MAX_RETRY_AFTER));
            self.wait_until = self.wait_until.max(now.saturating_add(hint));
        }
        match self.phase {
            Phase::HalfOpen(_) => self.judge(now),
            Phase::Closed | Phase::Recovering(_) => self.weigh(&outcome, now),
            Phase::Open { .. } => None,
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        self.failures += u64::from(outcome.verdict == Verdict::Failure);
        self.throttled += u64::from(matches!(outcome.verdict, Verdict::Throttled(_)));
        self.slow += u64::from(outcome.slow);
    }

    /// Shows a call to every rule, and trips on those that fire; the one with the longest pause names the cause.
    fn weigh(&mut self, outcome: &Outcome, now: u64) -> Option<Change> {
        let sign = match outcome.verdict {
            Verdict::Failure => Sign::Bad,
            Verdict::Success if !outcome.slow => Sign::Good,
            _ => Sign::Doubtful,
        };
        let calls = outcome.successes + self.failures + self.throttled;
        let evidence = self.cusum.as_mut().is_some_and(|cusum| cusum.add(sign, now, calls));
        let mut fired = [None; 3];
        if let Some(extra) = &mut self.extra {
            fired = extra.fired(outcome.verdict, outcome.slow, now);
        }
        let fired = evidence.then_some(Cause::Evidence).into_iter().chain(fired.into_iter().flatten());
        let level = self.next_level();
        let longest = fired.rev().max_by_key(|cause| self.pause_of(*cause).at(level.into(), 0.5));
        if longest.is_none() {
            self.watch_recovery(sign, now);
        }
        longest.map(|cause| self.trip(now, cause))
    }

    /// Cuts the share of a recovering circuit when there is evidence of failure. What was admitted before a cut says nothing
    /// of the load after it, so it is of another generation; so is what was admitted before the queues had drained.
    fn watch_recovery(&mut self, sign: Sign, now: u64) {
        let Phase::Recovering(ramp) = &mut self.phase else { return };
        ramp.hear(sign != Sign::Good, now);
        let alarming =
            sign != Sign::Good && self.cusum.as_ref().is_some_and(|cusum| cusum.share() > 1.0 / 3.0);
        if alarming && ramp.cut(now) {
            self.generation += 1;
            self.cusum.iter_mut().for_each(Cusum::clear);
        }
    }

    /// A trip on the way back counts as one more failed round.
    fn next_level(&self) -> u8 {
        match self.phase {
            Phase::Recovering(_) => self.level.saturating_add(1),
            _ => self.level,
        }
    }

    fn trip(&mut self, now: u64, cause: Cause) -> Change {
        if matches!(self.phase, Phase::Recovering(_)) {
            self.ramp_trips = self.ramp_trips.saturating_add(1);
        }
        self.level = self.next_level();
        self.rule = Some(cause);
        self.change(|machine| {
            let until = machine.open(now, cause);
            machine.phase = Phase::Open { until };
        })
        .pausing(self.refusing_until(), now)
    }

    /// Judges a round of probes once all have ended, or at the first bad one where that is asked for.
    fn judge(&mut self, now: u64) -> Option<Change> {
        let Phase::HalfOpen(probes) = &self.phase else { return None };
        let strict = self.switches & STRICT != 0 && probes.bad + probes.slow > 0;
        if !strict && probes.ended() < self.probes() {
            return None;
        }
        let ratios = self.extra.as_deref().map_or([None; 2], Extra::ratios);
        let [bad, slow] = [(probes.bad, ratios[0]), (probes.slow, ratios[1])].map(|(count, ratio)| {
            f64::from(count) / f64::from(probes.ended().max(1)) >= ratio.unwrap_or(0.5)
        });
        if !(strict || bad || slow) {
            return Some(self.change(|machine| machine.close(now)));
        }
        self.level = self.level.saturating_add(1);
        let change = self.change(|machine| {
            let until = machine.open(now, Cause::Probe);
            machine.phase = Phase::Open { until };
        });
        Some(change.pausing(self.refusing_until(), now))
    }

    /// The end of the pause that begins now.
    fn open(&mut self, now: u64, cause: Cause) -> u64 {
        self.cause = Some(cause);
        let dice = self.dice.f64();
        let pause = self.pause_of(self.rule.unwrap_or(cause));
        let mut until = now.saturating_add(nanos(pause.at(self.level.into(), dice)));
        if self.wait_until > now {
            let spread = Duration::from_nanos(self.wait_until - now).mul_f64(1.0 + pause.jitter * dice);
            until = until.max(now.saturating_add(nanos(spread.min(Breaker::MAX_RETRY_AFTER))));
        }
        until
    }

    /// The pause of the rule that fired, or the breaker's.
    fn pause_of(&self, cause: Cause) -> Pause {
        let value = &*self.value;
        let own = match cause {
            Cause::Evidence => value.evidence.and_then(|rule| rule.pause),
            Cause::FailureRatio => value.failure_ratio.and_then(|rule| rule.pause),
            Cause::SlowRatio => value.slow_ratio.and_then(|rule| rule.pause),
            Cause::Consecutive => value.consecutive.and_then(|rule| rule.pause),
            Cause::Start | Cause::Probe | Cause::Forced => None,
        };
        own.unwrap_or(value.pause)
    }

    fn close(&mut self, now: u64) {
        self.forget();
        let length = nanos(self.value.ramp).saturating_mul(1 << self.ramp_trips.min(16));
        if length == 0 {
            self.recovered();
        } else {
            self.phase = Phase::Recovering(Box::new(Ramp::new(now, length)));
        }
    }

    fn recovered(&mut self) {
        self.phase = Phase::Closed;
        (self.level, self.ramp_trips, self.rule) = (0, 0, None);
    }

    fn forget(&mut self) {
        self.wait_until = 0;
        if let Some(cusum) = &mut self.cusum {
            cusum.clear();
        }
        if let Some(extra) = &mut self.extra {
            extra.clear();
        }
    }

    /// Makes a change of state: a new generation, and one event.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Change {
        let from = self.state();
        change(self);
        self.generation += 1;
        let to = self.state();
        let cause = match to {
            State::Open => self.cause,
            State::ForcedOpen => Some(Cause::Forced),
            _ => None,
        };
        Change { from, to, cause, pause: None, generation: self.generation }
    }

    /// The evidence as a share of its threshold; zero where the rule is off.
    pub(crate) fn evidence(&self) -> f64 {
        self.cusum.as_ref().map_or(0.0, Cusum::share)
    }

    /// The share of requests that is admitted.
    pub(crate) fn share(&self, now: u64) -> f64 {
        match (self.state(), &self.phase) {
            (State::Closed, Phase::Recovering(ramp)) => ramp.share(now),
            (State::Closed | State::Disabled, _) => 1.0,
            _ => 0.0,
        }
    }

    /// What the windows of the failure and the slow ratio hold, each with whether that is enough for a verdict.
    pub(crate) fn windows(&mut self, now: u64) -> [Option<(Counts, bool)>; 2] {
        self.extra.as_deref_mut().map_or([None; 2], |extra| extra.windows(now))
    }
}

impl Change {
    fn pausing(mut self, until: Option<u64>, now: u64) -> Self {
        self.pause = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
        self
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "without a seed every breaker has dice of its own, so that callers do not probe in step"
)]
fn dice(seed: Option<u64>) -> fastrand::Rng {
    seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)
}
