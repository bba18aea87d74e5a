use std::time::Duration;

/// How much patience and room a listener has.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted. Default: 4096.
    pub connections: usize,
    /// From accept to the first byte. Default: 5 s.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head. Default: 10 s.
    pub header: Duration,
    /// Without a request; and within one, without a byte in either direction. Default: 60 s.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            first_byte: Duration::from_secs(5),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

impl Limits {
    pub(super) fn shortest(&self) -> Duration {
        self.first_byte.min(self.header).min(self.idle)
    }
}
