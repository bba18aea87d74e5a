use super::*;
use crate::Limit;
use bartizan_core::Dice;
use std::collections::VecDeque;
use std::time::Duration;

const MILLI: u64 = 1_000_000;
/// Five a second.
const FIVE: Pace = Limit::per_second(5).pace();

/// A bucket that is filled by hand: it holds parts of tokens, `interval` of which are a token, and one part comes back each nanosecond.
struct Exact {
    pace: Pace,
    parts: u128,
    at: u64,
}

impl Exact {
    fn new(pace: Pace) -> Self {
        Self { pace, parts: u128::from(pace.span), at: 0 }
    }

    /// Takes tokens, or says how many parts are missing.
    fn take(&mut self, cost: u32, now: u64) -> Result<(), u128> {
        self.parts = (self.parts + u128::from(now - self.at)).min(u128::from(self.pace.span));
        self.at = now;
        let price = u128::from(cost) * u128::from(self.pace.interval);
        self.parts = self.parts.checked_sub(price).ok_or_else(|| price - self.parts)?;
        Ok(())
    }
}

/// Asks at each time, in milliseconds, for so many tokens, and expects a yes or a wait in milliseconds.
fn check(asked: &[(u64, u32, Result<(), u64>)]) {
    let mut full = 0;
    for &(millis, cost, expected) in asked {
        let out = FIVE.take(full, cost, millis * MILLI);
        assert_eq!(
            out.map(|_| ()),
            expected.map_err(|wait| Denial::over(wait * MILLI)),
            "{cost} at {millis} ms"
        );
        full = out.unwrap_or(full);
    }
}

#[test]
fn a_burst_then_one_per_interval() {
    let burst = [(0, 1, Ok(())); 5];
    check(
        &[
            &burst[..],
            &[(0, 1, Err(200)), (200, 1, Ok(())), (200, 1, Err(200)), (399, 1, Err(1)), (400, 1, Ok(()))],
        ]
        .concat(),
    );
    // After half a second two have come back, and no third.
    check(&[&burst[..], &[(500, 1, Ok(())), (500, 1, Ok(())), (500, 1, Err(100))]].concat());
    // After a year as many as ever.
    let year = 365 * 86_400_000;
    let again = [(year, 1, Ok(())); 5];
    check(&[&burst[..], &again[..], &[(year, 1, Err(200))]].concat());
}

#[test]
fn costs_are_paid_whole_or_not_at_all() {
    check(&[
        (0, 3, Ok(())),
        (0, 3, Err(200)),
        (0, 2, Ok(())),
        (0, 5, Err(1000)),
        (999, 5, Err(1)),
        (1000, 5, Ok(())),
    ]);
    assert_eq!(FIVE.take(0, 6, MILLI), Err(Denial::COSTLY));
    assert_eq!(FIVE.take(0, u32::MAX, MILLI), Err(Denial::COSTLY));
}

/// Every decision and every told wait is that of a bucket filled by hand, and no window sees more than its due.
#[test]
fn decides_as_an_exact_bucket_does() {
    for seed in 0..200 {
        let dice = Dice::new(Some(seed));
        let below = |n: u64| (dice.unit() * n as f64) as u64;
        let limit = Limit::per(1 + below(50) as u32, Duration::from_nanos(1 + below(3_000)));
        let pace = limit.burst(1 + below(20) as u32).pace();
        let (mut exact, mut full, mut now) = (Exact::new(pace), 0, 0);
        let mut admitted: VecDeque<(u64, u64)> = VecDeque::new();
        for _ in 0..2_000 {
            now += match below(8) {
                0 => 0,
                1 => pace.interval,
                2 => pace.interval - 1,
                3 => pace.span,
                4 => below(5 * pace.span),
                5 => below(3),
                _ => below(2 * pace.interval),
            };
            let cost = 1 + below(3) as u32;
            let ours = pace.take(full, cost, now);
            match exact.take(cost, now) {
                Ok(()) => {
                    full = ours.expect("there are enough tokens");
                    assert_eq!(u128::from(now + pace.span - full), exact.parts);
                    admitted.push_back((now, u64::from(cost)));
                }
                Err(_) if u64::from(cost) * pace.interval > pace.span => {
                    assert_eq!(ours, Err(Denial::COSTLY));
                }
                Err(missing) => {
                    let wait = u64::try_from(missing).expect("small");
                    assert_eq!(ours, Err(Denial::over(wait)));
                    assert!(pace.take(full, cost, now + wait - 1).is_err());
                    assert!(pace.take(full, cost, now + wait).is_ok());
                }
            }
            if admitted.len() > 64 {
                admitted.pop_front();
            }
            let mut sum = 0;
            for &(at, cost) in admitted.iter().rev() {
                sum += cost;
                assert!(
                    sum * pace.interval <= pace.span + (now - at),
                    "{sum} in {} ns of {pace:?}",
                    now - at
                );
            }
        }
    }
}

#[test]
fn a_charge_takes_what_is_there() {
    let left = |full: u64, now: u64| FIVE.left(full.saturating_sub(now));
    let full = FIVE.charge(0, 3, 0);
    assert_eq!(left(full, 0), 2);
    let full = FIVE.charge(full, 100, 0);
    assert_eq!((left(full, 0), full), (0, FIVE.span));
    assert_eq!(FIVE.charge(full, u32::MAX, 0), full);
    assert_eq!(left(full, 399 * MILLI), 1);
}

#[test]
fn waits_count_tokens_beyond_the_burst() {
    assert_eq!(FIVE.wait(0, 5, 0), 0);
    assert_eq!(FIVE.wait(0, 6, 0), 200 * MILLI);
    assert_eq!(FIVE.wait(FIVE.span, 10, 0), 2000 * MILLI);
    assert_eq!(FIVE.wait(0, u64::MAX, 0), u64::MAX - FIVE.span);
}

#[test]
fn a_change_gives_no_token_away_and_takes_none() {
    let ten = Limit::per_second(10).pace();
    let left = |pace: Pace, full: u64, now: u64| pace.left(full.saturating_sub(now));
    // Two and a half tokens are left: they stay, and come back twice as fast.
    let full = FIVE.take(0, 3, 0).expect("a full bucket");
    let now = 100 * MILLI;
    let carried = FIVE.carry(full, now, ten);
    assert_eq!(left(ten, carried, now), 2);
    assert_eq!(left(ten, carried, now + 50 * MILLI - 1), 2);
    assert_eq!(left(ten, carried, now + 50 * MILLI), 3);
    // Full at five is not full at ten; and the other way round it is cut.
    assert_eq!(left(ten, FIVE.carry(0, now, ten), now), 5);
    assert_eq!(left(FIVE, ten.carry(0, now, FIVE), now), 5);
    // Empty stays empty.
    assert_eq!(left(ten, FIVE.carry(FIVE.span + now, now, ten), now), 0);
    assert_eq!(FIVE.carry(full, now, FIVE), full);
    // A limit that was off begins with a full bucket.
    assert_eq!(left(FIVE, Pace::OFF.carry(0, now, FIVE), now), 5);
    // The extremes neither wrap nor panic.
    let slow = Limit::per(1, Limit::MAX_REFILL).pace();
    let fast = Limit::per_second(u32::MAX).burst(u32::MAX).pace();
    assert_eq!(left(fast, slow.carry(0, now, fast), now), 1);
    assert_eq!(left(slow, fast.carry(0, now, slow), now), 1);
}
