//! Who hedges in the simulations: ours, tower's, and rules that are published elsewhere.

use std::{cell::RefCell, future::poll_fn, rc::Rc, task::Poll, time::Duration};

use tower_service::Service;

use super::{
    call::{Call, Caller, through},
    stage::{Stage, within},
};
use crate::{
    board::Role,
    ground::Fault,
    ours::again::{self, HedgeSettings},
    peers,
};

/// Whose hedges a simulation looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hedger {
    None,
    /// tower's hedge after this percentile, as many as it likes.
    Tower(f32),
    /// A copy after so long, always: J. Dean and L. A. Barroso, "The Tail at Scale" (Communications of the ACM 56, 2013).
    After(Duration),
    /// github.com/bhope/hedge with its defaults, told how many requests a second to expect.
    Adaptive {
        per_second: f64,
    },
    Ours,
}

impl Hedger {
    pub(crate) fn name(self) -> String {
        match self {
            Self::None => "no hedging".into(),
            Self::Tower(percentile) => format!("tower hedge, p{:.0}, no budget", percentile * 100.0),
            Self::After(delay) => format!("after {} ms (The Tail at Scale)", delay.as_millis()),
            Self::Adaptive { .. } => "bhope/hedge".into(),
            Self::Ours => "ours".into(),
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::None => Role::Bare,
            Self::Ours => Role::Ours,
            _ => Role::Peer,
        }
    }

    /// Hedges around `inner`. `settings` are of ours; their times are those of the stage.
    pub(crate) fn around<S>(self, inner: S, stage: &Stage, settings: HedgeSettings) -> Caller
    where
        S: Service<Call, Response = (), Error = Fault, Future: 'static> + Clone + 'static,
    {
        /// Over which tower's hedge learns.
        const PERIOD: Duration = Duration::from_secs(10);
        match self {
            Self::None => through(inner),
            Self::Tower(percentile) => {
                through(peers::again::tower_hedge(inner, percentile, stage.stretched(PERIOD)))
            }
            Self::After(delay) => ruled(inner, stage, Fixed(delay)),
            Self::Adaptive { per_second } => ruled(inner, stage, Adaptive::new(per_second)),
            Self::Ours => through(again::hedge(inner, settings)),
        }
    }
}

/// A published rule: when to send the one copy, and whether.
trait Rule {
    fn delay(&mut self) -> Duration;
    fn pays(&mut self, now: Duration) -> bool;
    fn learn(&mut self, took: Duration);
}

fn ruled<S>(inner: S, stage: &Stage, rule: impl Rule + 'static) -> Caller
where
    S: Service<Call, Response = (), Error = Fault, Future: 'static> + Clone + 'static,
{
    let (stage, rule) = (stage.clone(), Rc::new(RefCell::new(rule)));
    Box::new(move |call| {
        let (stage, rule, mut inner) = (stage.clone(), rule.clone(), inner.clone());
        Box::pin(async move {
            let began = stage.now();
            let delay = rule.borrow_mut().delay();
            let mut first = Box::pin(inner.call(call.clone()));
            let mut answer = within(&stage, delay, &mut first).await;
            if answer.is_none() && rule.borrow_mut().pays(stage.now()) {
                let mut second = Box::pin(inner.call(call));
                let either = poll_fn(|cx| match first.as_mut().poll(cx) {
                    Poll::Pending => second.as_mut().poll(cx),
                    answered => answered,
                });
                answer = Some(either.await);
            }
            let answer = match answer {
                Some(answer) => answer,
                None => first.await,
            };
            rule.borrow_mut().learn(stage.now() - began);
            answer.is_ok()
        })
    })
}

struct Fixed(Duration);

impl Rule for Fixed {
    fn delay(&mut self) -> Duration {
        self.0
    }

    fn pays(&mut self, _: Duration) -> bool {
        true
    }

    fn learn(&mut self, _: Duration) {}
}

/// The delay is the 90th percentile of a sketch with 1 % of error, and 10 ms for the first 20 calls; a bucket that holds 2 s pays for 10 % of the calls that
/// it was told to expect. Its window of 30 s is longer than the runs are.
struct Adaptive {
    rate: f64,
    tokens: f64,
    filled: Duration,
    sketch: Vec<u32>,
    seen: u32,
    asked: u32,
}

impl Adaptive {
    const PERCENTILE: f64 = 0.9;
    const SHARE: f64 = 0.1;
    const BURST_SECONDS: f64 = 2.0;
    const WARM_UP: u32 = 20;
    const WARM_UP_DELAY: Duration = Duration::from_millis(10);
    const LEAST_DELAY: Duration = Duration::from_millis(1);
    const GROWTH: f64 = 1.01 / 0.99;

    fn new(per_second: f64) -> Self {
        let rate = per_second * Self::SHARE;
        let tokens = (rate * Self::BURST_SECONDS).max(1.0);
        Self { rate, tokens, filled: Duration::ZERO, sketch: Vec::new(), seen: 0, asked: 0 }
    }
}

impl Rule for Adaptive {
    fn delay(&mut self) -> Duration {
        self.asked += 1;
        if self.asked <= Self::WARM_UP || self.seen == 0 {
            return Self::WARM_UP_DELAY;
        }
        let rank = Self::PERCENTILE * f64::from(self.seen - 1);
        let mut below = 0;
        let bucket = self.sketch.iter().position(|count| {
            below += count;
            f64::from(below) > rank
        });
        let nanos = 2.0 * Self::GROWTH.powi(bucket.unwrap_or_default() as i32) / (1.0 + Self::GROWTH);
        Duration::from_nanos(nanos as u64).max(Self::LEAST_DELAY)
    }

    fn pays(&mut self, now: Duration) -> bool {
        let earned = (now - self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + earned).min((self.rate * Self::BURST_SECONDS).max(1.0));
        self.filled = now;
        let pays = self.tokens >= 1.0;
        self.tokens -= if pays { 1.0 } else { 0.0 };
        pays
    }

    fn learn(&mut self, took: Duration) {
        let bucket = ((took.as_nanos().max(1) as f64).ln() / Self::GROWTH.ln()).ceil() as usize;
        self.sketch.resize(self.sketch.len().max(bucket + 1), 0);
        self.sketch[bucket] += 1;
        self.seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adaptive_rule_learns_its_percentile_and_keeps_its_budget() {
        let mut rule = Adaptive::new(100.0);
        assert_eq!(rule.delay(), Adaptive::WARM_UP_DELAY);
        (1..=1000).for_each(|millis| rule.learn(Duration::from_millis(millis)));
        rule.asked = Adaptive::WARM_UP;
        let delay = rule.delay().as_secs_f64();
        assert!((0.88..0.92).contains(&delay), "{delay}");
        assert_eq!((0..100).filter(|_| rule.pays(Duration::ZERO)).count(), 20);
        assert_eq!((0..100).filter(|_| rule.pays(Duration::from_secs(1))).count(), 10);
    }
}
