//! Peers that retry and hedge: tower's own with the budgets that are published, and tower-resilience's.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fastrand::Rng;
use tokio::time::{Instant, Sleep, sleep};
use tower::{
    hedge::Hedge,
    retry::{
        Policy, Retry,
        budget::{Budget, TpsBudget},
    },
};
use tower_layer::Layer;
use tower_resilience_hedge::HedgeLayer;
use tower_resilience_retry::{RetryBudgetBuilder, RetryLayer};
use tower_service::Service;

use crate::ground::BoxError;

/// Waits and tries of a [`Repeat`]: full jitter, doubled from the least to the most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    pub(crate) retries: u32,
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// The policy that tower's documentation shows, with a bound of tries and with waits.
#[derive(Debug)]
pub(crate) struct Repeat<B, F> {
    budget: Arc<B>,
    tries: Tries,
    failed: F,
    dice: Arc<Mutex<Rng>>,
    done: u32,
}

impl<B, F: Clone> Clone for Repeat<B, F> {
    fn clone(&self) -> Self {
        Self {
            budget: self.budget.clone(),
            tries: self.tries,
            failed: self.failed.clone(),
            dice: self.dice.clone(),
            done: self.done,
        }
    }
}

impl<B, F, Req, Res, E> Policy<Req, Res, E> for Repeat<B, F>
where
    B: Purse,
    F: Fn(&Result<Res, E>) -> bool,
    Req: Clone,
{
    type Future = Sleep;

    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Sleep> {
        if !(self.failed)(result) {
            self.budget.succeeded();
            return None;
        }
        if self.done >= self.tries.retries || !self.budget.withdraw() {
            return None;
        }
        let longest = self.tries.least.saturating_mul(1 << self.done.min(20)).min(self.tries.most);
        self.done += 1;
        Some(sleep(longest.mul_f64(self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64())))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        if self.done == 0 {
            self.budget.called();
        }
        Some(request.clone())
    }
}

/// A budget, and when it is paid into.
pub(crate) trait Purse {
    fn called(&self) {}
    fn succeeded(&self) {}
    fn withdraw(&self) -> bool;
}

/// tower's budget, with its defaults: paid into by successes.
impl Purse for TpsBudget {
    fn succeeded(&self) {
        Budget::deposit(self);
    }

    fn withdraw(&self) -> bool {
        Budget::withdraw(self)
    }
}

/// No budget.
#[derive(Debug)]
pub(crate) struct Unlimited;

impl Purse for Unlimited {
    fn withdraw(&self) -> bool {
        true
    }
}

/// Finagle's `RetryBudget` with its defaults (`com.twitter.finagle.service.RetryBudget`): every request pays for a fifth of a retry,
/// for 10 s, and ten retries a second are free.
#[derive(Debug)]
pub(crate) struct Finagle {
    start: Instant,
    windows: Mutex<VecDeque<(u64, i64)>>,
}

impl Finagle {
    const TTL: u64 = 10;
    const FREE_PER_SECOND: i64 = 10;
    const DEPOSIT: i64 = 1000;
    const WITHDRAWAL: i64 = 5000;
    const RESERVE: i64 = Self::FREE_PER_SECOND * Self::TTL as i64 * Self::WITHDRAWAL;

    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), windows: Mutex::default() }
    }

    /// Adds `amount` if that leaves no less than nothing. Windows are of a tenth of the time that a deposit lasts.
    fn add(&self, amount: i64) -> bool {
        let now = (Instant::now() - self.start).as_secs() * 10 / Self::TTL;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        while windows.front().is_some_and(|(window, _)| window + 10 <= now) {
            windows.pop_front();
        }
        let balance = Self::RESERVE + windows.iter().map(|(_, sum)| sum).sum::<i64>();
        if balance + amount < 0 {
            return false;
        }
        match windows.back_mut() {
            Some((window, sum)) if *window == now => *sum += amount,
            _ => windows.push_back((now, amount)),
        }
        true
    }
}

impl Purse for Finagle {
    fn called(&self) {
        self.add(Self::DEPOSIT);
    }

    fn withdraw(&self) -> bool {
        self.add(-Self::WITHDRAWAL)
    }
}

/// tower's retry with such a budget around `inner`.
pub(crate) fn tower_retry<S, B, F>(
    inner: S,
    budget: B,
    tries: Tries,
    failed: F,
    seed: u64,
) -> Retry<Repeat<B, F>, S> {
    let dice = Arc::new(Mutex::new(Rng::with_seed(seed)));
    Retry::new(Repeat { budget: Arc::new(budget), tries, failed, dice, done: 0 }, inner)
}

/// tower-resilience's retry with its token bucket around `inner`.
pub(crate) fn tower_resilience_retry<S, Req, Res, E>(
    inner: S,
) -> tower_resilience_retry::Retry<S, Req, Res, E>
where
    S: Service<Req, Response = Res, Error = E>,
{
    let budget = RetryBudgetBuilder::new().token_bucket().build().expect("the defaults are valid");
    RetryLayer::builder().budget(budget).build().layer(inner)
}

/// Hedges everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Everything;

impl<Req: Clone> tower::hedge::Policy<Req> for Everything {
    fn clone_request(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }

    fn can_retry(&self, _: &Req) -> bool {
        true
    }
}

/// Calls that tower's hedge wants to have seen before it hedges.
const TOWER_POINTS: u64 = 20;

/// tower's hedge after such a percentile of the latencies of a period, around `inner`.
pub(crate) fn tower_hedge<S, Req>(inner: S, percentile: f32, period: Duration) -> Hedge<S, Everything>
where
    S: Service<Req, Error: Into<BoxError>> + Clone,
    Req: Clone,
{
    Hedge::new::<Req>(inner, Everything, TOWER_POINTS, percentile, period)
}

/// The same once it has learnt: latencies of a second, so that it arms its timer and never hedges.
pub(crate) fn tower_hedge_warm<S, Req>(inner: S, percentile: f32) -> Hedge<S, Everything>
where
    S: Service<Req, Error: Into<BoxError>> + Clone,
    Req: Clone,
{
    const FOR_GOOD: Duration = Duration::from_secs(3600);
    let learnt = [1000; TOWER_POINTS as usize];
    Hedge::new_with_mock_latencies::<Req>(inner, Everything, TOWER_POINTS, percentile, FOR_GOOD, &learnt)
}

/// tower-resilience's hedge after 100 ms, its standard, around `inner`.
pub(crate) fn tower_resilience_hedge<S>(inner: S) -> tower_resilience_hedge::Hedge<S> {
    HedgeLayer::standard().layer(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock;

    #[test]
    fn finagle_pays_for_a_fifth_beside_its_reserve() {
        clock::paused(|| {
            let budget = Finagle::new();
            let paid = || std::iter::repeat_with(|| budget.withdraw()).take_while(|paid| *paid).count();
            assert_eq!(paid(), 100);
            (0..50).for_each(|_| budget.called());
            assert_eq!(paid(), 10);
            clock::pass(Duration::from_secs(5));
            assert_eq!(paid(), 0);
            clock::pass(Duration::from_secs(5));
            assert_eq!(paid(), 100);
        });
    }
}
