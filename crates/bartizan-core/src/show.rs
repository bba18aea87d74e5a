//! How settings read: what the `Display` of a layer's value is made of.
//!
//! A value is one line of what matters, in the terms of its fields; a layer that is switched off is `off`. What is as it was by default, and
//! tells nothing, stays out.
//!
//! ```
//! use bartizan_core::Budget;
//! use bartizan_core::show::{Bytes, Count, Line, Percent, Time};
//! use std::fmt;
//! use std::time::Duration;
//!
//! struct Cache { entries: u64, bytes: usize, age: Duration, spare: f64, budget: Option<Budget> }
//!
//! impl fmt::Display for Cache {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         Line::new(f)
//!             .add(format_args!("{}", Count(self.entries, "entry", "entries")))
//!             .add(format_args!("{}", Bytes(self.bytes)))
//!             .add(format_args!("for {}", Time(self.age)))
//!             .when(self.spare != 0.0, format_args!("{} spare", Percent(self.spare)))
//!             .some("budget", self.budget)
//!             .finish()
//!     }
//! }
//!
//! let budget = Some(Budget::new().min_tokens(20));
//! let cache = Cache { entries: 1, bytes: 16 << 20, age: Duration::from_secs(600), spare: 0.0, budget };
//! assert_eq!(cache.to_string(), "1 entry, 16 MiB, for 10 min, budget 10 % and at least 20");
//! ```

use std::fmt;
use std::time::Duration;

/// A row of terms with a comma between them. In the alternate form, `{:#}`, it is an `and`, so that a value can be a term of another.
pub struct Line<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    result: fmt::Result,
    has_terms: bool,
}

impl<'a, 'f> Line<'a, 'f> {
    /// Creates a line without any term.
    #[must_use = "a line is written by its methods"]
    pub fn new(f: &'a mut fmt::Formatter<'f>) -> Self {
        Self { f, result: Ok(()), has_terms: false }
    }

    /// Adds a term.
    pub fn add(&mut self, term: fmt::Arguments<'_>) -> &mut Self {
        let between = match (self.has_terms, self.f.alternate()) {
            (false, _) => "",
            (true, false) => ", ",
            (true, true) => " and ",
        };
        self.has_terms = true;
        self.result =
            self.result.and_then(|()| self.f.write_str(between)).and_then(|()| self.f.write_fmt(term));
        self
    }

    /// Adds a term if there is reason to.
    pub fn when(&mut self, is_told: bool, term: fmt::Arguments<'_>) -> &mut Self {
        if is_told { self.add(term) } else { self }
    }

    /// Adds a term of a name and a value if there is one. A value that is a line itself reads as one term.
    pub fn some(&mut self, name: &str, value: Option<impl fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.add(format_args!("{name} {value:#}")),
            None => self,
        }
    }

    /// Ends the line.
    ///
    /// # Errors
    ///
    /// When one of its terms could not be written.
    pub fn finish(&mut self) -> fmt::Result {
        self.result
    }
}

impl fmt::Debug for Line<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("has_terms", &self.has_terms).finish_non_exhaustive()
    }
}

/// A setting, if it is not what it is by default.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "a default is a constant")]
pub fn changed<T: PartialEq>(setting: T, default: T) -> Option<T> {
    (setting != default).then_some(setting)
}

/// A length of time in the largest unit that suits it: `250 ms`, `1.5 s`, `10 min`. It is exact, and [`Duration::MAX`] is `for ever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        match (seconds, nanos) {
            _ if self.0 == Duration::MAX => f.write_str("for ever"),
            // A minute is rather sixty seconds, beside others that are less.
            (61.., 0) if seconds % 86_400 == 0 => write!(f, "{} d", seconds / 86_400),
            (61.., 0) if seconds % 3600 == 0 => write!(f, "{} h", seconds / 3600),
            (61.., 0) if seconds % 60 == 0 => write!(f, "{} min", seconds / 60),
            (1.., _) | (0, 0) => decimal(f, seconds, nanos, 9, "s"),
            (_, 1_000_000..) => decimal(f, u64::from(nanos / 1_000_000), nanos % 1_000_000, 6, "ms"),
            (_, 1000..) => decimal(f, u64::from(nanos / 1000), nanos % 1000, 3, "µs"),
            _ => write!(f, "{nanos} ns"),
        }
    }
}

/// A number with so many digits behind the point, without zeros at its end.
fn decimal(f: &mut fmt::Formatter<'_>, whole: u64, part: u32, digits: usize, unit: &str) -> fmt::Result {
    if part == 0 {
        return write!(f, "{whole} {unit}");
    }
    let part = format!("{part:0digits$}");
    write!(f, "{whole}.{} {unit}", part.trim_end_matches('0'))
}

/// A share in percent: `10 %`, `0.5 %`; with at most seven digits behind the point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A product is not as exact as its factors: 0.07 × 100 is 7.000000000000001.
        let percent = self.0 * 100.0;
        let rounded = (percent * 1e7).round() / 1e7;
        write!(f, "{} %", if rounded == 0.0 { percent } else { rounded })
    }
}

/// A number of bytes in the largest unit of which it is a multiple: `64 KiB`, `1000 B`. [`usize::MAX`] is `any size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            usize::MAX => f.write_str("any size"),
            0 => f.write_str("0 B"),
            bytes if bytes % (1 << 30) == 0 => write!(f, "{} GiB", bytes >> 30),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} B"),
        }
    }
}

/// A number of things, with their name for one of them and for any other number: `1 retry`, `2 retries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<'a>(pub u64, pub &'a str, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = *self;
        write!(f, "{count} {}", if count == 1 { one } else { many })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        for (nanos, shown) in [
            (0, "0 s"),
            (1, "1 ns"),
            (1500, "1.5 µs"),
            (250_000_000, "250 ms"),
            (1_000_001, "1.000001 ms"),
            (1_500_000_000, "1.5 s"),
            (1_000_000_001, "1.000000001 s"),
            (60_000_000_000, "60 s"),
            (90_000_000_000, "90 s"),
            (120_000_000_000, "2 min"),
            (120_500_000_000, "120.5 s"),
            (3_600_000_000_000, "1 h"),
            (5_400_000_000_000, "90 min"),
            (172_800_000_000_000, "2 d"),
        ] {
            assert_eq!(Time(Duration::from_nanos(nanos)).to_string(), shown);
        }
        assert_eq!(Time(Duration::MAX).to_string(), "for ever");
        let almost = Duration::MAX - Duration::from_nanos(1);
        assert_eq!(Time(almost).to_string(), "18446744073709551615.999999998 s");
    }

    #[test]
    fn shares_are_told_as_they_were_written() {
        for (share, shown) in [
            (0.0, "0 %"),
            (0.07, "7 %"),
            (0.1, "10 %"),
            (0.2875, "28.75 %"),
            (1.0 / 3.0, "33.3333333 %"),
            (1.0, "100 %"),
            (1e-12, "0.0000000001 %"),
        ] {
            assert_eq!(Percent(share).to_string(), shown);
        }
    }

    #[test]
    fn bytes_and_counts() {
        let shown = [0, 1000, 1 << 10, 16 << 20, 3 << 30, usize::MAX].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(shown, ["0 B", "1000 B", "1 KiB", "16 MiB", "3 GiB", "any size"]);
        let shown = [0, 1, 2].map(|count| Count(count, "retry", "retries").to_string());
        assert_eq!(shown, ["0 retries", "1 retry", "2 retries"]);
    }

    #[test]
    fn what_is_as_by_default_stays_out() {
        assert_eq!((changed(1, 1), changed(2, 1)), (None, Some(2)));
    }

    #[test]
    fn a_line_joins_what_there_is_to_tell() {
        struct Two(bool);
        impl fmt::Display for Two {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Line::new(f).when(self.0, format_args!("a")).add(format_args!("b")).finish()
            }
        }
        assert_eq!(format!("{} {:#} {}", Two(true), Two(true), Two(false)), "a, b a and b b");
    }
}
