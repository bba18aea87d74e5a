use bartizan_core::Invalid;
use std::time::Duration;

/// How long the circuit stays open after a trip, and after every failed round of probes that follows.
///
/// The first pause is [`min`](Self::min); each further one doubles the one before, up to [`max`](Self::max); or a
/// [list](Self::list) names them one by one, and its last value stays. Jitter spreads the probes of many callers that
/// tripped at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pause {
    pub(crate) steps: Steps,
    pub(crate) jitter: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Steps {
    Doubling { min: Duration, max: Duration },
    List { pauses: [Duration; Pause::MAX_LIST], len: usize },
}

impl Pause {
    /// First pause of a doubling row: 5 s.
    pub const DEFAULT_MIN: Duration = Duration::from_secs(5);
    /// Longest pause of a doubling row: 60 s.
    pub const DEFAULT_MAX: Duration = Duration::from_secs(60);
    /// Share by which a pause is made longer or shorter at random: 0.2.
    pub const DEFAULT_JITTER: f64 = 0.2;
    /// Most entries of a [list](Self::list): 8.
    pub const MAX_LIST: usize = 8;

    /// Creates a pause that doubles from [`DEFAULT_MIN`](Self::DEFAULT_MIN) to [`DEFAULT_MAX`](Self::DEFAULT_MAX) with
    /// [`DEFAULT_JITTER`](Self::DEFAULT_JITTER).
    #[must_use]
    pub const fn new() -> Self {
        let steps = Steps::Doubling { min: Self::DEFAULT_MIN, max: Self::DEFAULT_MAX };
        Self { steps, jitter: Self::DEFAULT_JITTER }
    }

    /// Sets the first pause, and the longest to the same where that was shorter. Replaces a list. Zero probes at once. Default: 5 s.
    #[must_use]
    pub const fn min(mut self, min: Duration) -> Self {
        let max = match self.steps {
            Steps::Doubling { max, .. } => max,
            Steps::List { .. } => Self::DEFAULT_MAX,
        };
        let max = if max.as_nanos() < min.as_nanos() { min } else { max };
        self.steps = Steps::Doubling { min, max };
        self
    }

    /// Sets the longest pause. Replaces a list. Default: 60 s.
    ///
    /// # Panics
    ///
    /// If it is shorter than the first pause.
    #[must_use]
    #[track_caller]
    pub const fn max(self, max: Duration) -> Self {
        expect(self.try_max(max))
    }

    /// As [`max`](Self::max), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is shorter than the first pause.
    pub const fn try_max(mut self, max: Duration) -> Result<Self, Invalid> {
        let min = match self.steps {
            Steps::Doubling { min, .. } => min,
            Steps::List { .. } => Self::DEFAULT_MIN,
        };
        if max.as_nanos() < min.as_nanos() {
            return Err(Invalid::new("max", "max must not be shorter than min, the first pause"));
        }
        self.steps = Steps::Doubling { min, max };
        Ok(self)
    }

    /// Sets the pauses one by one; the last one stays.
    ///
    /// # Panics
    ///
    /// If the list is empty or has more than [`MAX_LIST`](Self::MAX_LIST) entries.
    #[must_use]
    #[track_caller]
    pub const fn list(self, pauses: &[Duration]) -> Self {
        expect(self.try_list(pauses))
    }

    /// As [`list`](Self::list), for a value from outside.
    ///
    /// # Errors
    ///
    /// If the list is empty or has more than [`MAX_LIST`](Self::MAX_LIST) entries.
    pub const fn try_list(mut self, pauses: &[Duration]) -> Result<Self, Invalid> {
        let len = pauses.len();
        if len == 0 || len > Self::MAX_LIST {
            return Err(Invalid::new("list", "list must have one to eight pauses"));
        }
        let mut list = [Duration::ZERO; Self::MAX_LIST];
        let mut at = 0;
        while at < len {
            list[at] = pauses[at];
            at += 1;
        }
        self.steps = Steps::List { pauses: list, len };
        Ok(self)
    }

    /// Sets the share, in `0.0..=1.0`, by which a pause is made longer or shorter at random. Zero is exact. A pause with
    /// jitter is never longer than the longest one. Default: 0.2.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub const fn jitter(self, jitter: f64) -> Self {
        expect(self.try_jitter(jitter))
    }

    /// As [`jitter`](Self::jitter), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not within `0.0..=1.0`.
    pub const fn try_jitter(mut self, jitter: f64) -> Result<Self, Invalid> {
        if !(jitter >= 0.0 && jitter <= 1.0) {
            return Err(Invalid::new("jitter", "jitter must be within 0.0..=1.0"));
        }
        self.jitter = jitter;
        Ok(self)
    }

    /// The first pause.
    #[must_use]
    pub const fn first(&self) -> Duration {
        match self.steps {
            Steps::Doubling { min, .. } => min,
            Steps::List { pauses, .. } => pauses[0],
        }
    }

    /// The longest pause; the last one of a list.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        match self.steps {
            Steps::Doubling { max, .. } => max,
            Steps::List { pauses, len } => pauses[len - 1],
        }
    }

    /// The pause at a level, the first being 0. `dice` is uniform in `0.0..1.0`.
    pub(crate) fn at(&self, level: u32, dice: f64) -> Duration {
        let (pause, max) = match self.steps {
            Steps::Doubling { min, max } => {
                (min.saturating_mul(1u32.checked_shl(level).unwrap_or(u32::MAX)).min(max), max)
            }
            Steps::List { pauses, len } => {
                let pause = pauses[(level as usize).min(len - 1)];
                (pause, pause.saturating_mul(2))
            }
        };
        if self.jitter == 0.0 {
            return pause;
        }
        let factor = 1.0 + self.jitter * (2.0 * dice - 1.0);
        Duration::try_from_secs_f64(pause.as_secs_f64() * factor).unwrap_or(Duration::MAX).min(max)
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self::new()
    }
}

/// Unwraps a setting in a constant, with the field's message.
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

    fn seconds(pause: &Pause, levels: u32) -> Vec<u64> {
        (0..levels).map(|level| pause.at(level, 0.5).as_secs()).collect()
    }

    #[test]
    fn doubles_up_to_the_cap_or_walks_a_list() {
        assert_eq!(seconds(&Pause::new().jitter(0.0), 6), [5, 10, 20, 40, 60, 60]);
        let list = Pause::new().jitter(0.0).list(&[Duration::from_secs(5), Duration::from_secs(20)]);
        assert_eq!(seconds(&list, 4), [5, 20, 20, 20]);
        assert_eq!(Pause::new().at(u32::MAX, 0.5), Duration::from_secs(60));
        let endless = Pause::new().min(Duration::MAX);
        assert_eq!((endless.at(0, 0.99), endless.at(9, 0.99)), (Duration::MAX, Duration::MAX));
    }

    #[test]
    fn jitter_stays_in_its_band_and_below_the_cap() {
        let pause = Pause::new();
        assert_eq!(pause.at(0, 0.0), Duration::from_secs(4));
        assert_eq!(pause.at(0, 1.0), Duration::from_secs(6));
        assert_eq!(pause.at(9, 1.0), Duration::from_secs(60));
    }

    #[test]
    fn nonsense_is_refused_with_its_field() {
        let field = |result: Result<Pause, Invalid>| result.map_err(|invalid| invalid.field()).err();
        assert_eq!(field(Pause::new().try_max(Duration::from_secs(4))), Some("max"));
        assert_eq!(field(Pause::new().try_list(&[])), Some("list"));
        assert_eq!(field(Pause::new().try_list(&[Duration::ZERO; 9])), Some("list"));
        for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(field(Pause::new().try_jitter(jitter)), Some("jitter"));
        }
        assert_eq!(Pause::new().min(Duration::from_secs(90)).at(3, 0.5), Duration::from_secs(90));
    }
}
