use crate::Mode;
use bartizan_core::{Invalid, Priority};
use std::time::Duration;

/// When requests are refused because there are too many of them.
///
/// [`Shed::new`] adapts: it predicts how long a request would wait, from how many are in flight and how fast they have been answered
/// lately, and refuses it when that is more than a share of the time to its deadline. [`Shed::fixed`] admits so many at a time.
///
/// ```
/// use bartizan_shed::Shed;
/// use std::time::Duration;
///
/// const GATEWAY: Shed = Shed::new().assumed_deadline(Duration::from_millis(500)).max_in_flight(10_000);
/// const PAYMENT: Shed = Shed::fixed(32);
/// ```
///
/// # Who is refused first
///
/// A request has a [`Priority`] from 0, refused last, to 255, refused first. While nobody is refused, it does not matter. Once somebody
/// is, the layer watches how the requests of the last second or so are spread over the levels, and moves its threshold over that
/// distribution, as the overload control of WeChat does (DAGOR: H. Zhou, M. Chen, Q. Lin, Y. Wang, X. She, S. Liu, R. Gu, B. C. Ooi,
/// J. Yang, "Overload Control for Scaling WeChat Microservices", SoCC 2018). What that means for each kind of limit:
///
/// - *adaptive*: levels that fit into what can be served may be predicted to wait longer than is said for them, the level at the threshold
///   as long as is said, and levels beyond it less.
/// - *fixed*: of the limit, as many places are kept free of a level as all more important levels need to find one in 999 cases of 1000. It is
///   trunk reservation (F. P. Kelly, "Loss networks", Annals of Applied Probability 1, 1991), and how many that are follows from
///   Erlang's recursion. No more than half of what the more important levels leave is kept free, so that a small limit does not stand
///   idle for their sake; and where they need all of it, an eighth of the limit, from 8 on, serves all while no more is in use.
///
/// No level starves: of one that was refused 128 times, the next request is judged as the most important.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shed {
    pub(crate) fixed: Option<u32>,
    pub(crate) critical: f64,
    pub(crate) normal: f64,
    pub(crate) sheddable: f64,
    pub(crate) assumed_deadline: Duration,
    pub(crate) min_in_flight: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) ceiling: Option<(f64, Duration)>,
    pub(crate) count_bodies: bool,
    pub(crate) trusted_edge: bool,
    pub(crate) mode: Mode,
    pub(crate) cpu: Option<f64>,
    pub(crate) retry_after: Duration,
    pub(crate) seed: Option<u64>,
}

impl Shed {
    /// Share of the time to its deadline that a critical request may be predicted to wait: 0.5.
    pub const DEFAULT_CRITICAL: f64 = 0.5;
    /// The same for a normal request: 0.25.
    pub const DEFAULT_NORMAL: f64 = 0.25;
    /// The same for a sheddable request: 0.15.
    pub const DEFAULT_SHEDDABLE: f64 = 0.15;
    /// The time to its deadline that a request has which has none: 100 ms.
    pub const DEFAULT_ASSUMED_DEADLINE: Duration = Duration::from_millis(100);
    /// After how long a refused request may come again, at the earliest: 1 s.
    pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
    /// The largest fixed limit: 2²³ − 1.
    pub const MAX_FIXED: usize = (1 << 23) - 1;

    /// Creates an adaptive limit.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            fixed: None,
            critical: Self::DEFAULT_CRITICAL,
            normal: Self::DEFAULT_NORMAL,
            sheddable: Self::DEFAULT_SHEDDABLE,
            assumed_deadline: Self::DEFAULT_ASSUMED_DEADLINE,
            min_in_flight: 1,
            max_in_flight: usize::MAX,
            ceiling: None,
            count_bodies: true,
            trusted_edge: false,
            mode: Mode::Normal,
            cpu: None,
            retry_after: Self::DEFAULT_RETRY_AFTER,
            seed: None,
        }
    }

    /// Creates a fixed limit of requests in flight, a bulkhead.
    ///
    /// # Panics
    ///
    /// If it is zero or above [`MAX_FIXED`](Self::MAX_FIXED).
    #[must_use]
    #[track_caller]
    pub const fn fixed(limit: usize) -> Self {
        expect(Self::try_fixed(limit))
    }

    /// As [`fixed`](Self::fixed), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero or above [`MAX_FIXED`](Self::MAX_FIXED).
    pub const fn try_fixed(limit: usize) -> Result<Self, Invalid> {
        if limit == 0 || limit > Self::MAX_FIXED {
            return Err(Invalid::new("fixed", "fixed must be within 1..=8388607"));
        }
        let mut shed = Self::new();
        shed.fixed = Some(limit as u32);
        Ok(shed)
    }

    /// Sets the share of the time to its deadline that a request of level 0 may be predicted to wait. Levels between those that are named
    /// have shares between theirs. Of an adaptive limit alone. Default: 0.5.
    ///
    /// # Panics
    ///
    /// If it is not above 0 and at most 1.
    #[must_use]
    #[track_caller]
    pub const fn critical(self, tolerance: f64) -> Self {
        expect(self.try_critical(tolerance))
    }

    /// As [`critical`](Self::critical), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not above 0 and at most 1.
    pub const fn try_critical(mut self, tolerance: f64) -> Result<Self, Invalid> {
        if !is_share(tolerance) {
            return Err(Invalid::new("critical", "critical must be above 0 and at most 1"));
        }
        self.critical = tolerance;
        Ok(self)
    }

    /// Sets the share of the time to its deadline that a request of level 128 may be predicted to wait. Default: 0.25.
    ///
    /// # Panics
    ///
    /// If it is not above 0 and at most 1.
    #[must_use]
    #[track_caller]
    pub const fn normal(self, tolerance: f64) -> Self {
        expect(self.try_normal(tolerance))
    }

    /// As [`normal`](Self::normal), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not above 0 and at most 1.
    pub const fn try_normal(mut self, tolerance: f64) -> Result<Self, Invalid> {
        if !is_share(tolerance) {
            return Err(Invalid::new("normal", "normal must be above 0 and at most 1"));
        }
        self.normal = tolerance;
        Ok(self)
    }

    /// Sets the share of the time to its deadline that a request of level 255 may be predicted to wait. Default: 0.15.
    ///
    /// # Panics
    ///
    /// If it is not above 0 and at most 1.
    #[must_use]
    #[track_caller]
    pub const fn sheddable(self, tolerance: f64) -> Self {
        expect(self.try_sheddable(tolerance))
    }

    /// As [`sheddable`](Self::sheddable), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not above 0 and at most 1.
    pub const fn try_sheddable(mut self, tolerance: f64) -> Result<Self, Invalid> {
        if !is_share(tolerance) {
            return Err(Invalid::new("sheddable", "sheddable must be above 0 and at most 1"));
        }
        self.sheddable = tolerance;
        Ok(self)
    }

    /// Sets the time to its deadline that a request has which has none. Default: 100 ms.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub const fn assumed_deadline(self, assumed_deadline: Duration) -> Self {
        expect(self.try_assumed_deadline(assumed_deadline))
    }

    /// As [`assumed_deadline`](Self::assumed_deadline), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub const fn try_assumed_deadline(mut self, assumed_deadline: Duration) -> Result<Self, Invalid> {
        if assumed_deadline.is_zero() {
            return Err(Invalid::new("assumed_deadline", "assumed_deadline must be above zero"));
        }
        self.assumed_deadline = assumed_deadline;
        Ok(self)
    }

    /// Sets how many an adaptive limit admits at least. Default: 1.
    ///
    /// # Panics
    ///
    /// If it is zero, or above [`max_in_flight`](Self::max_in_flight).
    #[must_use]
    #[track_caller]
    pub const fn min_in_flight(self, min_in_flight: usize) -> Self {
        expect(self.try_min_in_flight(min_in_flight))
    }

    /// As [`min_in_flight`](Self::min_in_flight), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero, or above [`max_in_flight`](Self::max_in_flight).
    pub const fn try_min_in_flight(mut self, min_in_flight: usize) -> Result<Self, Invalid> {
        if min_in_flight == 0 || min_in_flight > self.max_in_flight {
            return Err(Invalid::new(
                "min_in_flight",
                "min_in_flight must be at least 1 and at most max_in_flight",
            ));
        }
        self.min_in_flight = min_in_flight;
        Ok(self)
    }

    /// Sets how many an adaptive limit admits at most. Default: no such bound.
    ///
    /// # Panics
    ///
    /// If it is below [`min_in_flight`](Self::min_in_flight).
    #[must_use]
    #[track_caller]
    pub const fn max_in_flight(self, max_in_flight: usize) -> Self {
        expect(self.try_max_in_flight(max_in_flight))
    }

    /// As [`max_in_flight`](Self::max_in_flight), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is below [`min_in_flight`](Self::min_in_flight).
    pub const fn try_max_in_flight(mut self, max_in_flight: usize) -> Result<Self, Invalid> {
        if max_in_flight < self.min_in_flight {
            return Err(Invalid::new("max_in_flight", "max_in_flight must be at least min_in_flight"));
        }
        self.max_in_flight = max_in_flight;
        Ok(self)
    }

    /// Bounds an adaptive limit by what was in flight lately: no more than `factor` times the most of any second within `hold`, the
    /// running one left out. A service that was asked little for longer than that is then asked for more step by step, by `factor` a second at most.
    /// Default: no such bound.
    ///
    /// # Panics
    ///
    /// If `factor` is below 1 or not finite, or `hold` is below 1 s.
    #[must_use]
    #[track_caller]
    pub const fn ceiling(self, factor: f64, hold: Duration) -> Self {
        expect(self.try_ceiling(factor, hold))
    }

    /// As [`ceiling`](Self::ceiling), for values from outside.
    ///
    /// # Errors
    ///
    /// If `factor` is below 1 or not finite, or `hold` is below 1 s.
    pub const fn try_ceiling(mut self, factor: f64, hold: Duration) -> Result<Self, Invalid> {
        if !(factor >= 1.0 && factor.is_finite()) || hold.as_secs() == 0 {
            return Err(Invalid::new(
                "ceiling",
                "ceiling must have a factor of at least 1 and hold for at least 1 s",
            ));
        }
        self.ceiling = Some((factor, hold));
        Ok(self)
    }

    /// Sets until when a request is in flight: to the end of its answer's body, or with `false` to the head, for streams that may
    /// never end. Default: `true`.
    #[must_use]
    pub const fn count_bodies(mut self, count_bodies: bool) -> Self {
        self.count_bodies = count_bodies;
        self
    }

    /// Lets the header `x-request-priority` raise the priority of a request; otherwise it can only lower it. For servers that only
    /// trusted callers reach. Default: off.
    #[must_use]
    pub const fn trusted_edge(mut self, trusted_edge: bool) -> Self {
        self.trusted_edge = trusted_edge;
        self
    }

    /// Sets the mode. Default: [`Mode::Normal`].
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Switches the layer on, or off with `false`: [`Mode::Normal`] or [`Mode::Disabled`]. Default: on.
    #[must_use]
    pub const fn enabled(self, enabled: bool) -> Self {
        self.mode(if enabled { Mode::Normal } else { Mode::Disabled })
    }

    /// Refuses requests as well while this process uses more than a share of the CPUs that it may use: from `share` on those that matter less
    /// than normal ones, from halfway between it and all on those that matter less than critical ones. It is looked at every
    /// 250 ms, by a request that comes, in `/proc/self/stat`; where there is no such file, this has no effect. Default: off.
    ///
    /// # Panics
    ///
    /// If it is not above 0 and at most 1.
    #[must_use]
    #[track_caller]
    pub const fn cpu(self, share: f64) -> Self {
        expect(self.try_cpu(share))
    }

    /// As [`cpu`](Self::cpu), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not above 0 and at most 1.
    pub const fn try_cpu(mut self, share: f64) -> Result<Self, Invalid> {
        if !is_share(share) {
            return Err(Invalid::new("cpu", "cpu must be above 0 and at most 1"));
        }
        self.cpu = Some(share);
        Ok(self)
    }

    /// Sets after how long a refused request may come again, as it is told in `Retry-After`: a random time between this and twice
    /// this, so that those who were refused together do not come back together. Default: 1 s.
    #[must_use]
    pub const fn retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Sets the seed of the dice that spread `Retry-After` and keys, so that a run can be repeated. Default: a random one.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The fixed limit, if it is one.
    #[must_use]
    pub const fn fixed_limit(&self) -> Option<usize> {
        match self.fixed {
            Some(limit) => Some(limit as usize),
            None => None,
        }
    }

    /// The time to its deadline that a request has which has none: [`assumed_deadline`](Self::assumed_deadline).
    #[must_use]
    pub const fn deadline_assumed(&self) -> Duration {
        self.assumed_deadline
    }

    /// How many an adaptive limit admits at least: [`min_in_flight`](Self::min_in_flight).
    #[must_use]
    pub const fn least_in_flight(&self) -> usize {
        self.min_in_flight
    }

    /// How many an adaptive limit admits at most: [`max_in_flight`](Self::max_in_flight).
    #[must_use]
    pub const fn most_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// The [mode](Self::mode).
    #[must_use]
    pub const fn in_mode(&self) -> Mode {
        self.mode
    }

    /// Whether it is on: in any mode but [`Mode::Disabled`].
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.mode, Mode::Disabled)
    }

    /// The share of its time that a request of a level may be predicted to wait.
    pub(crate) fn tolerance(&self, priority: Priority) -> f64 {
        let normal = Priority::NORMAL.level();
        let level = priority.level();
        let (from, to, way) = if level <= normal {
            (self.critical, self.normal, f64::from(level) / f64::from(normal))
        } else {
            (self.normal, self.sheddable, f64::from(level - normal) / f64::from(u8::MAX - normal))
        };
        from + (to - from) * way
    }
}

impl Default for Shed {
    fn default() -> Self {
        Self::new()
    }
}

const fn is_share(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}

#[track_caller]
pub(crate) const fn expect<T: Copy>(setting: Result<T, Invalid>) -> T {
    match setting {
        Ok(setting) => setting,
        Err(invalid) => panic!("{}", invalid.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_between_two_names_has_a_share_between_theirs() {
        let shares = [0, 64, 128, 255].map(|level| Shed::new().tolerance(Priority::new(level)));
        assert_eq!(shares, [0.5, 0.375, 0.25, 0.15]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        let field = |tried: Result<Shed, Invalid>| tried.err().map(|invalid| invalid.field());
        let shed = Shed::new().max_in_flight(8);
        for wrong in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(field(shed.try_critical(wrong)), Some("critical"), "{wrong}");
            assert_eq!(field(shed.try_normal(wrong)), Some("normal"), "{wrong}");
            assert_eq!(field(shed.try_sheddable(wrong)), Some("sheddable"), "{wrong}");
            assert_eq!(field(shed.try_cpu(wrong)), Some("cpu"), "{wrong}");
        }
        for wrong in [0.99, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(field(shed.try_ceiling(wrong, Duration::from_secs(9))), Some("ceiling"), "{wrong}");
        }
        assert_eq!(field(shed.try_ceiling(1.5, Duration::from_millis(999))), Some("ceiling"));
        assert_eq!(field(Shed::try_fixed(0)), Some("fixed"));
        assert_eq!(field(Shed::try_fixed(Shed::MAX_FIXED + 1)), Some("fixed"));
        assert_eq!(field(shed.try_min_in_flight(0)), Some("min_in_flight"));
        assert_eq!(field(shed.try_min_in_flight(9)), Some("min_in_flight"));
        assert_eq!(field(shed.min_in_flight(4).try_max_in_flight(3)), Some("max_in_flight"));
        assert_eq!(field(shed.try_assumed_deadline(Duration::ZERO)), Some("assumed_deadline"));
        assert_eq!(field(shed.try_ceiling(1.0, Duration::from_secs(1))), None);
    }
}
