//! Who limits rates in a simulation: ours and the peers, asked in the same words.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{RateLimiter, clock::Clock};

use crate::{
    board::Role,
    ground::{Door, Fault, drive},
    ours,
    peers::{
        self,
        limit::{Direct, Tokio, quota},
    },
};

/// What a limiter says: yes, or after how long another try makes sense, if it tells.
pub(crate) type Answer = Result<(), Option<Duration>>;

/// One caller's hold of a limiter: asks for so many tokens.
pub(crate) type Hand = Box<dyn FnMut(u32) -> Answer + Send>;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Governor,
    /// tower-resilience with its default, a fixed window.
    Window,
    /// The same with a token bucket.
    TokenBucket,
    Ours,
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [Self::Governor, Self::Window, Self::TokenBucket, Self::Ours];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Governor => peers::limit::GOVERNOR,
            Self::Window => peers::limit::WINDOW,
            Self::TokenBucket => peers::limit::BUCKET,
            Self::Ours => "ours",
        }
    }

    pub(crate) fn role(self) -> Role {
        if self == Self::Ours { Role::Ours } else { Role::Peer }
    }

    /// Whether a call can cost more than one token.
    pub(crate) fn knows_cost(self) -> bool {
        matches!(self, Self::Governor | Self::Ours)
    }

    /// Makes a limiter, full, and returns what makes its hands. Must be called inside a runtime; the hands too.
    pub(crate) fn make(self, rate: Rate) -> Box<dyn Fn() -> Hand> {
        match self {
            Self::Governor => {
                let limiter: Arc<Direct<Tokio>> =
                    Arc::new(RateLimiter::direct_with_clock(quota(rate.interval(), rate.burst), Tokio));
                Box::new(move || {
                    let limiter = limiter.clone();
                    Box::new(move |cost| ask_governor(&limiter, cost))
                })
            }
            Self::Window | Self::TokenBucket => {
                let period = rate.interval() * rate.burst;
                let limiter = peers::limit::strict(Door, rate.burst, period, self == Self::Window);
                Box::new(move || {
                    let mut limiter = limiter.clone();
                    Box::new(move |_| drive(&mut limiter, 0).map(|_| ()).map_err(|_| None))
                })
            }
            Self::Ours => {
                let limiter = ours::limit::costly(Door, rate.per_second, rate.burst);
                Box::new(move || {
                    let mut limiter = limiter.clone();
                    Box::new(move |cost| match drive(&mut limiter, u64::from(cost)) {
                        Ok(_) => Ok(()),
                        Err(Fault::Refused(refused)) => Err(refused.retry_after()),
                        Err(Fault::Down) => Err(None),
                    })
                })
            }
        }
    }
}

fn ask_governor(limiter: &Direct<Tokio>, cost: u32) -> Answer {
    let cost = NonZeroU32::new(cost).expect("a call costs a token at least");
    match limiter.check_n(cost) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(not_until)) => Err(Some(not_until.wait_time_from(limiter.clock().now()))),
        Err(_) => Err(None),
    }
}

/// Tokens in a second, and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

impl Rate {
    /// The time in which a token comes, in whole nanoseconds, never too short.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_nanos(1_000_000_000_u64.div_ceil(u64::from(self.per_second)))
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/s, burst {}", self.per_second, self.burst)
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(rate, burst)| {
            let (per_second, burst) = (rate.parse().ok()?, burst.parse().ok()?);
            (0 < per_second && per_second <= 1_000_000_000 && 0 < burst).then_some(Self { per_second, burst })
        });
        parsed.ok_or_else(|| format!("`{text}` is not RATE/BURST, both above 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{bucket::Bucket, clock};

    #[test]
    fn a_rate_is_read_and_never_too_fast() {
        assert_eq!("3/7".parse(), Ok(Rate { per_second: 3, burst: 7 }));
        assert_eq!("3/7".parse::<Rate>().map(Rate::interval), Ok(Duration::from_nanos(333_333_334)));
        assert!("0/7".parse::<Rate>().is_err());
        assert!("7".parse::<Rate>().is_err());
    }

    #[test]
    fn all_admit_the_burst_and_no_more() {
        clock::paused(|| {
            for who in Who::ALL {
                let mut hand = who.make(Rate { per_second: 5, burst: 5 })();
                assert_eq!((0..20).filter(|_| hand(1).is_ok()).count(), 5, "{who:?}");
            }
        });
    }

    #[test]
    fn governor_tells_the_wait_that_the_bucket_tells() {
        clock::paused(|| {
            let rate = Rate { per_second: 5, burst: 5 };
            let mut bucket = Bucket::new(rate.interval(), rate.burst);
            let mut governor = Who::Governor.make(rate)();
            for cost in [5, 3, 6] {
                assert_eq!(governor(cost), bucket.take(Duration::ZERO, cost));
            }
        });
    }
}
