use crate::shed::expect;
use bartizan_core::Invalid;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The shares of a limit that belong to classes of requests.
///
/// A class may use what others leave; and whatever they took of it, a class whose share is not used up is admitted at once. For as long
/// as those who took it are in flight, more than the limit are: at worst the limit and all shares together. They owe
/// nothing, and are not ended; but none of their class enters before it is back within its share or the limit has room.
///
/// A request of a class that has no share here is admitted while the limit has room.
///
/// ```
/// use bartizan_shed::{Shares, Shed, ShedLayer};
///
/// let is_batch = |head: &bartizan_http::Head<'_>| usize::from(head.headers.contains_key("x-batch"));
/// let layer = ShedLayer::new(Shed::fixed(10)).class(is_batch, Shares::new([0.7, 0.3]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    shares: [f64; Self::MAX],
    count: usize,
}

impl Shares {
    /// Most classes: 16.
    pub const MAX: usize = 16;

    /// Creates the shares of the classes 0, 1, 2 and so on.
    ///
    /// # Panics
    ///
    /// If there is none or more than [`MAX`](Self::MAX), one is not above 0, or they make more than 1 together.
    #[must_use]
    #[track_caller]
    pub const fn new<const N: usize>(shares: [f64; N]) -> Self {
        expect(Self::try_new(&shares))
    }

    /// As [`new`](Self::new), for values from outside.
    ///
    /// # Errors
    ///
    /// If there is none or more than [`MAX`](Self::MAX), one is not above 0, or they make more than 1 together.
    pub const fn try_new(shares: &[f64]) -> Result<Self, Invalid> {
        const WRONG: Invalid =
            Invalid::new("shares", "shares must be 1 to 16 numbers above 0 that make at most 1 together");
        if shares.is_empty() || shares.len() > Self::MAX {
            return Err(WRONG);
        }
        let mut all = Self { shares: [0.0; Self::MAX], count: shares.len() };
        let (mut at, mut sum) = (0, 0.0);
        while at < shares.len() {
            if !(shares[at] > 0.0 && shares[at] <= 1.0) {
                return Err(WRONG);
            }
            sum += shares[at];
            all.shares[at] = shares[at];
            at += 1;
        }
        // Ten tenths make a little more than one.
        if sum > 1.0 + 1e-9 { Err(WRONG) } else { Ok(all) }
    }

    pub(crate) fn as_slice(&self) -> &[f64] {
        &self.shares[..self.count]
    }

    /// How many places of a limit are a class's own: at least one of a share.
    fn places(&self, class: usize, limit: u64) -> u64 {
        match self.as_slice().get(class) {
            Some(share) => ((share * limit as f64).round() as u64).max(1),
            None => 0,
        }
    }
}

/// The shares, and how many of each class are in flight.
#[derive(Debug)]
pub(crate) struct Classes {
    shares: Shares,
    in_flight: [AtomicU64; Shares::MAX],
}

impl Classes {
    pub(crate) fn new(shares: Shares) -> Self {
        Self { shares, in_flight: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Enters one of a class within its own places, if there is one left.
    pub(crate) fn enter_within(&self, class: usize, limit: u64) -> bool {
        let places = self.shares.places(class, limit);
        let enter = |count: u64| (count < places).then_some(count + 1);
        self.in_flight.get(class).is_some_and(|count| count.fetch_update(Relaxed, Relaxed, enter).is_ok())
    }

    pub(crate) fn enter(&self, class: usize) {
        if let Some(count) = self.in_flight.get(class) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn leave(&self, class: usize) {
        if let Some(count) = self.in_flight.get(class) {
            count.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_with_the_limit() {
        let shares = Shares::new([0.7, 0.3]);
        assert_eq!([0, 1, 2].map(|class| shares.places(class, 10)), [7, 3, 0]);
        assert_eq!([0, 1, 99].map(|class| shares.places(class, 20)), [14, 6, 0]);
        assert_eq!(shares.places(1, 1), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [&[][..], &[0.0], &[1.1], &[0.6, 0.5], &[f64::NAN], &[-0.1], &[0.01; 17]] {
            assert_eq!(
                Shares::try_new(wrong).err().map(|invalid| invalid.field()),
                Some("shares"),
                "{wrong:?}"
            );
        }
        assert!(Shares::try_new(&[0.1; 10]).is_ok());
    }
}
