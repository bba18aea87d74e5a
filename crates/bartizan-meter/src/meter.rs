use std::fmt;

/// What a [`MeterLayer`](crate::MeterLayer) is made of: whether it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    enabled: bool,
}

impl Meter {
    /// Creates a meter that counts.
    #[must_use]
    pub const fn new() -> Self {
        Self { enabled: true }
    }

    /// Switches the meter on, or off with `false`: then it reads no clock and counts nothing. Default: on.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

/// One word: `on`, or `off`.
impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.enabled { "on" } else { "off" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_what_was_set() {
        assert_eq!(Meter::default().to_string(), "on");
        assert_eq!(Meter::new().enabled(false).to_string(), "off");
    }
}
