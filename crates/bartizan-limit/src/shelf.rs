use crate::common::Common;
use crate::denial::Denial;
use crate::fields::Fields;
use crate::line::Waiters;
use crate::pass::Pass;
use bartizan_core::Refused;
use std::fmt::Debug;

/// Where buckets stand, each under a number: its key's hash.
pub(crate) trait Shelf: Debug + Send + Sync + 'static {
    /// What the buckets have in common.
    fn common(&self) -> &Common;

    /// Who waits for tokens of them.
    fn waiters(&self) -> &Waiters;

    /// Takes tokens, and returns the bucket's debt: after how many nanoseconds it will be full again.
    fn take(&self, key: u64, cost: u32, now: u64) -> Result<u64, Denial>;

    /// Says whether tokens would be refused; takes none.
    fn peek(&self, key: u64, cost: u32, now: u64) -> Result<(), Denial>;

    /// Takes as many of the tokens as there are.
    fn charge(&self, key: u64, cost: u32, now: u64);

    /// Gives tokens back that were taken here, and takes it from elsewhere that the bucket is not full before `full`.
    fn learn(&self, key: u64, back: u32, full: u64);

    /// Whether a key has a bucket of its own.
    fn knows(&self, key: u64) -> bool;

    /// The nanoseconds until so many tokens, which may be more than the burst, could have been taken one after another.
    fn wait(&self, key: u64, tokens: u64, now: u64) -> u64;

    /// Takes tokens as a request does: some of the refusals are only counted.
    #[inline]
    fn admit(&self, key: u64, cost: u32) -> Result<u64, Denial> {
        let now = self.common().now();
        match self.take(key, cost, now) {
            Ok(debt) => Ok(debt),
            Err(denial) => self.common().enforce(denial).map(|()| u64::MAX),
        }
    }

    /// The permit of a request that was let through; its bucket needs so long to be full.
    #[inline]
    fn pass(&self, debt: u64, announce: bool) -> Pass {
        if announce { telling(self.common(), debt) } else { Pass::default() }
    }

    /// As [`take`](Self::take), now, for a handle.
    fn check(&self, key: u64, cost: u32) -> Result<(), Refused> {
        if cost == 0 {
            return Ok(());
        }
        self.admit(key, cost).map(|_| ()).map_err(|denial| self.common().refuse(denial))
    }

    /// As [`peek`](Self::peek), now, for a handle.
    fn ask(&self, key: u64, cost: u32) -> Result<(), Refused> {
        let common = self.common();
        self.peek(key, cost, common.now()).map_err(|denial| common.refuse(denial))
    }
}

#[cold]
fn telling(common: &Common, debt: u64) -> Pass {
    Pass::telling(Fields::admitted(common.name().cloned(), common.limit(), debt))
}
