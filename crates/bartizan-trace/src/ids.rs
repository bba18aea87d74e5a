use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::{NonZeroU64, NonZeroU128};

/// Which trace a span belongs to: 16 bytes, not all of them zero. Reads as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// Which span of a trace it is: 8 bytes, not all of them zero. Reads as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// Creates the id of a number, none of zero.
    #[must_use]
    pub const fn new(id: u128) -> Option<Self> {
        match NonZeroU128::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number, its first byte the uppermost.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0.get()
    }

    pub(crate) fn random() -> Self {
        loop {
            if let Some(id) = Self::new(u128::from(draw()) << 64 | u128::from(draw())) {
                return id;
            }
        }
    }
}

impl SpanId {
    /// Creates the id of a number, none of zero.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        match NonZeroU64::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number, its first byte the uppermost.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn random() -> Self {
        loop {
            if let Some(id) = Self::new(draw()) {
                return id;
            }
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

thread_local! {
    /// A hasher's keys are from the system's source of randomness, and every thread has some of its own.
    static KEYS: RandomState = RandomState::new();
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// Draws 64 bits: a number that counts up, hashed under a secret. Seeded dice would not do: with one word of state, two processes of a
/// fleet that meet in one id go on with the same ids.
fn draw() -> u64 {
    let drawn = DRAWN.get();
    DRAWN.set(drawn.wrapping_add(1));
    // While a thread ends its keys may be gone already.
    KEYS.try_with(|keys| keys.hash_one(drawn)).unwrap_or_else(|_| RandomState::new().hash_one(drawn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn they_read_as_they_travel() {
        let (trace, span) = (TraceId::new(0xa0), SpanId::new(0xb));
        assert_eq!(trace.map(|id| id.to_string()).as_deref(), Some("000000000000000000000000000000a0"));
        assert_eq!(span.map(|id| format!("{id:?}")).as_deref(), Some("000000000000000b"));
        assert_eq!((TraceId::new(0), SpanId::new(0)), (None, None));
    }

    #[test]
    fn no_two_are_equal_on_any_thread() {
        let draw = || (0..5000).map(|_| (TraceId::random(), SpanId::random())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let drawn: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect();
        assert_eq!(drawn.iter().map(|ids| ids.0).collect::<HashSet<_>>().len(), 20_000);
        assert_eq!(drawn.iter().map(|ids| ids.1).collect::<HashSet<_>>().len(), 20_000);
        // Every bit is set in about half of them; six standard deviations of the count are 424.
        for bit in 0..128 {
            let set = drawn.iter().filter(|ids| ids.0.get() >> bit & 1 == 1).count();
            assert!(set.abs_diff(10_000) < 424, "bit {bit}: {set}");
        }
    }
}
