use bartizan_core::Invalid;
use std::num::NonZeroU32;

/// How one of the members that can take a call is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Choice {
    /// The one that is expected to answer soonest: the least (latency + penalty) × (calls in flight + 1). All members are looked at, or
    /// sixteen of them at random where there are more than 64.
    ///
    /// The latency is an average over the last ten seconds, of good answers alone. A failure makes a penalty, the larger the less it can
    /// be chance, so that who fails at once is not taken for fast. See the crate's documentation for the rule.
    #[default]
    Latency,
    /// One after the other, whatever their weights.
    RoundRobin,
    /// Any of them, whatever their weights.
    Random,
    /// Member i with the probability W(i) / ΣW.
    Weighted,
    /// The one with the fewest calls in flight for its weight.
    LeastRequests,
    /// Of two at random the one with the lower peak-sensitive latency × (calls in flight + 1), as Finagle and tower do; with the
    /// penalties of [`Latency`](Self::Latency), which they lack.
    P2c,
    /// By a hash of the request, so that the same goes to the same member while it can: consistent hashing with bounded loads.
    ///
    /// D. Karger et al., "Consistent Hashing and Random Trees", STOC 1997; V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent
    /// Hashing with Bounded Loads", 2016.
    RingHash(RingHash),
}

impl Choice {
    /// See [`Choice::Latency`], the default.
    #[must_use]
    pub const fn latency() -> Self {
        Self::Latency
    }

    /// See [`Choice::RoundRobin`].
    #[must_use]
    pub const fn round_robin() -> Self {
        Self::RoundRobin
    }

    /// See [`Choice::Random`].
    #[must_use]
    pub const fn random() -> Self {
        Self::Random
    }

    /// See [`Choice::Weighted`].
    #[must_use]
    pub const fn weighted() -> Self {
        Self::Weighted
    }

    /// See [`Choice::LeastRequests`].
    #[must_use]
    pub const fn least_requests() -> Self {
        Self::LeastRequests
    }

    /// See [`Choice::P2c`].
    #[must_use]
    pub const fn p2c() -> Self {
        Self::P2c
    }

    /// See [`Choice::RingHash`], with the defaults of [`RingHash`].
    #[must_use]
    pub const fn ring_hash() -> Self {
        Self::RingHash(RingHash::new())
    }

    /// The choice in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Weighted => "weighted",
            Self::LeastRequests => "least_requests",
            Self::P2c => "p2c",
            Self::RingHash(_) => "ring_hash",
        }
    }
}

/// The settings of [`Choice::RingHash`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RingHash {
    pub(crate) points: NonZeroU32,
    pub(crate) bound: f64,
}

impl RingHash {
    /// Points of a member of weight 1 on the ring: 100.
    pub const DEFAULT_POINTS: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
    /// Most calls in flight of a member, as a multiple of the mean: 1.25.
    pub const DEFAULT_BOUND: f64 = 1.25;

    /// Creates settings with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { points: Self::DEFAULT_POINTS, bound: Self::DEFAULT_BOUND }
    }

    /// Sets how many points a member of weight 1 has on the ring: more share more evenly, and take 16 bytes each. A ring has at most a
    /// million. Default: [`DEFAULT_POINTS`](Self::DEFAULT_POINTS), 100.
    #[must_use]
    pub const fn points(mut self, points: NonZeroU32) -> Self {
        self.points = points;
        self
    }

    /// Sets how many calls a member may have in flight, as a multiple of the mean, before its calls go on to the next on the ring.
    /// From 1; infinity never moves a call. Default: [`DEFAULT_BOUND`](Self::DEFAULT_BOUND), 1.25.
    ///
    /// # Panics
    ///
    /// If it is below 1 or no number.
    #[must_use]
    #[track_caller]
    pub const fn bound(self, bound: f64) -> Self {
        match self.try_bound(bound) {
            Ok(value) => value,
            Err(_) => panic!("bound must be at least 1"),
        }
    }

    /// As [`bound`](Self::bound).
    ///
    /// # Errors
    ///
    /// If it is below 1 or no number.
    pub const fn try_bound(mut self, bound: f64) -> Result<Self, Invalid> {
        if bound.is_nan() || bound < 1.0 {
            return Err(Invalid::new("bound", "bound must be at least 1"));
        }
        self.bound = bound;
        Ok(self)
    }
}

impl Default for RingHash {
    fn default() -> Self {
        Self::new()
    }
}
