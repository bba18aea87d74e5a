use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// One of several places where a call can go, such as a member of a balanced set. Every one that is made is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(NonZeroU32);

/// Endpoints where a call should rather not go, as a copy of it was sent there already: up to four, the last ones.
///
/// A layer that sends a request again puts it into the extensions of the copy; a balancer then looks for another endpoint, and takes
/// one of these if it finds none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Avoid([Option<Endpoint>; 4]);

/// Says of a request that it is a copy which a hedge sent beside the first, and which.
///
/// It is in the extensions of such a copy alone, so that who watches calls can tell a hedge from a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedged(NonZeroU32);

thread_local! {
    static PICKED: Cell<Option<Endpoint>> = const { Cell::new(None) };
}

impl Endpoint {
    /// Creates an endpoint that is like no other in this process.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "two defaults of a type are equal, two endpoints never")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // After four billion of them the numbers begin anew, and no call is that old.
        Self(NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN))
    }

    /// Says, within a call, that it goes to this endpoint. A balancer says so where it calls one.
    #[inline]
    pub fn picked(self) {
        PICKED.set(Some(self));
    }

    /// Runs `call`, and returns with its result the endpoint that was [picked](Self::picked) last within it.
    #[inline(always)]
    pub fn watch<R>(call: impl FnOnce() -> R) -> (R, Option<Self>) {
        Self::forget();
        let out = call();
        (out, Self::last())
    }

    /// Forgets which endpoint was [picked](Self::picked) last, before a call is made.
    #[inline]
    pub fn forget() {
        PICKED.set(None);
    }

    /// The endpoint that was [picked](Self::picked) last, since that was [forgotten](Self::forget).
    #[inline]
    #[must_use]
    pub fn last() -> Option<Self> {
        // It stays for who watches from further out: layers that send again may be nested.
        PICKED.get()
    }
}

impl Hedged {
    /// Creates the mark of a copy. The first beside the request itself is 1.
    #[must_use]
    pub const fn new(copy: NonZeroU32) -> Self {
        Self(copy)
    }

    /// Which copy it is, from 1 on.
    #[must_use]
    pub const fn copy(self) -> u32 {
        self.0.get()
    }
}

impl Avoid {
    /// Creates a list of none.
    #[must_use]
    pub const fn new() -> Self {
        Self([None; 4])
    }

    /// Adds an endpoint, if it is not there already, in place of the oldest.
    #[must_use]
    pub fn and(mut self, endpoint: Endpoint) -> Self {
        if !self.contains(endpoint) {
            self.0.rotate_right(1);
            self.0[0] = Some(endpoint);
        }
        self
    }

    /// Whether the endpoint is to be avoided.
    #[inline]
    #[must_use]
    pub fn contains(&self, endpoint: Endpoint) -> bool {
        self.0.contains(&Some(endpoint))
    }

    /// Whether there is nothing to avoid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pick_is_seen_from_every_depth() {
        let (a, b) = (Endpoint::new(), Endpoint::new());
        assert_ne!(a, b);
        let (inner, outer) = Endpoint::watch(|| {
            a.picked();
            Endpoint::watch(|| b.picked()).1
        });
        assert_eq!((inner, outer), (Some(b), Some(b)));
        assert_eq!(Endpoint::watch(|| ()).1, None, "what was picked before is not meant");
    }

    #[test]
    fn the_oldest_of_five_is_forgotten() {
        let all: Vec<Endpoint> = (0..5).map(|_| Endpoint::new()).collect();
        let avoid = all.iter().fold(Avoid::new(), |avoid, endpoint| avoid.and(*endpoint).and(*endpoint));
        let kept: Vec<bool> = all.iter().map(|endpoint| avoid.contains(*endpoint)).collect();
        assert_eq!(kept, [false, true, true, true, true]);
        assert!(Avoid::new().is_empty() && !avoid.is_empty());
    }
}
