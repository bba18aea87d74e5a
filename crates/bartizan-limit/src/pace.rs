use crate::denial::Denial;

/// A limit in nanoseconds, and the decision: no clock, no lock.
///
/// Of a bucket one thing is known: when it is, or was, full again. That time lies `interval` further in the future for every token that
/// is missing, and at most `span`, the time in which an empty bucket refills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) interval: u64,
    pub(crate) span: u64,
}

impl Pace {
    /// Of a limit that is switched off.
    pub(crate) const OFF: Self = Self { interval: 0, span: 0 };

    #[inline]
    pub(crate) const fn is_off(self) -> bool {
        self.interval == 0
    }

    /// Takes tokens at `now` out of a bucket that is full at `full`. Returns when it will be full then.
    #[inline]
    pub(crate) fn take(self, full: u64, cost: u32, now: u64) -> Result<u64, Denial> {
        let price = self.price(u64::from(cost));
        if price > self.span {
            return Err(Denial::COSTLY);
        }
        let next = full.max(now) + price;
        let latest = now + self.span;
        if next <= latest { Ok(next) } else { Err(Denial::over(next - latest)) }
    }

    /// Takes as many of the tokens as there are.
    pub(crate) fn charge(self, full: u64, cost: u32, now: u64) -> u64 {
        let next = full.max(now).saturating_add(self.price(u64::from(cost)));
        next.min(now + self.span).max(full)
    }

    /// Gives tokens back, to a bucket that is said not to be full before `told`.
    pub(crate) fn learn(self, full: u64, back: u32, told: u64) -> u64 {
        full.saturating_sub(self.price(u64::from(back))).max(told)
    }

    /// How long it takes until so many tokens more have come than a bucket needs to be as full as it can be: zero if they are there.
    pub(crate) fn wait(self, full: u64, tokens: u64, now: u64) -> u64 {
        let next = full.max(now).saturating_add(self.price(tokens));
        next.saturating_sub(now + self.span)
    }

    /// The whole tokens that are left in a bucket that needs so long to be full.
    pub(crate) fn left(self, debt: u64) -> u32 {
        let tokens = self.span.saturating_sub(debt).checked_div(self.interval).unwrap_or(0);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// Carries a bucket over to another limit: it keeps the tokens that are in it, as far as they find room, to the fraction of one, and
    /// is given none.
    pub(crate) fn carry(self, full: u64, now: u64, to: Self) -> u64 {
        if self.is_off() || to.is_off() {
            return now;
        }
        let left = (now + self.span).saturating_sub(full.max(now));
        // Less than `span`, as is the product divided by the former interval times the new one, or it is cut to the new span.
        let left = u128::from(left) * u128::from(to.interval) / u128::from(self.interval);
        now + to.span - u64::try_from(left).unwrap_or(u64::MAX).min(to.span)
    }

    const fn price(self, tokens: u64) -> u64 {
        self.interval.saturating_mul(tokens)
    }
}

#[cfg(test)]
mod tests;
