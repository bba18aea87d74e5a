//! What safe Rust must pay for a call: a sum of primitives whose prices are measured in the same run.

use std::{
    fmt,
    ops::{Add, Mul},
};

/// The letters of the primitives, in the order of [`Prices`].
pub(crate) const SYMBOLS: [char; 8] = ['A', 'R', 'T', 'S', 'W', 'H', 'C', 'M'];

/// One `Arc` clone and drop.
pub(crate) const A: Floor = Floor::one(0);
/// One read-modify-write.
pub(crate) const R: Floor = Floor::one(1);
/// One clock read.
pub(crate) const T: Floor = Floor::one(2);
/// One arc-swap load.
pub(crate) const S: Floor = Floor::one(3);
/// One timer registered and dropped.
pub(crate) const W: Floor = Floor::one(4);
/// One header written: a number that becomes a value in a map with room for it.
pub(crate) const H: Floor = Floor::one(5);
/// One head of a request copied.
pub(crate) const C: Floor = Floor::one(6);
/// One allocation, and its end.
pub(crate) const M: Floor = Floor::one(7);

/// What each primitive costs on this machine, in nanoseconds, in the order of [`SYMBOLS`].
pub(crate) type Prices = [f64; SYMBOLS.len()];

/// How many of each primitive a call cannot do without, and the nanoseconds that its row grants beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Floor {
    counts: [f64; SYMBOLS.len()],
    nanos: f64,
}

impl Floor {
    const fn one(primitive: usize) -> Self {
        let mut counts = [0.0; SYMBOLS.len()];
        counts[primitive] = 1.0;
        Self { counts, nanos: 0.0 }
    }

    /// A floor of so many nanoseconds and no primitive.
    pub(crate) const fn nanos(nanos: f64) -> Self {
        Self { counts: [0.0; SYMBOLS.len()], nanos }
    }

    /// How many of each primitive it has, in the order of [`SYMBOLS`].
    pub(crate) fn counts(&self) -> [f64; SYMBOLS.len()] {
        self.counts
    }

    /// The floor in nanoseconds at these prices.
    pub(crate) fn at(&self, prices: &Prices) -> f64 {
        self.nanos + self.counts.iter().zip(prices).map(|(count, price)| count * price).sum::<f64>()
    }
}

impl Add for Floor {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, more)| *mine += more);
        self.nanos += other.nanos;
        self
    }
}

impl Mul<Floor> for f64 {
    type Output = Floor;

    fn mul(self, mut floor: Floor) -> Floor {
        floor.counts.iter_mut().for_each(|count| *count *= self);
        floor.nanos *= self;
        floor
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.counts.iter().zip(SYMBOLS).filter(|(count, _)| **count > 0.0);
        let mut terms: Vec<String> = counted
            .map(
                |(count, symbol)| if *count == 1.0 { symbol.to_string() } else { format!("{count}{symbol}") },
            )
            .collect();
        if self.nanos > 0.0 || terms.is_empty() {
            terms.push(format!("{} ns", self.nanos));
        }
        f.write_str(&terms.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Prices = [14.0, 7.0, 18.0, 13.0, 127.0, 40.0, 90.0, 20.0];

    #[test]
    fn sums_at_the_prices_of_the_run() {
        assert_eq!((A + R).at(&READ), 21.0);
        assert_eq!((A + R + 2.0 * T).at(&READ), 57.0);
        assert_eq!((T + R + Floor::nanos(5.0)).at(&READ), 30.0);
        assert_eq!((T + W).at(&READ), 145.0);
        assert_eq!(Floor::nanos(5.0).at(&READ), 5.0);
    }

    #[test]
    fn reads_as_in_the_list_of_experiments() {
        assert_eq!((A + R + 2.0 * T).to_string(), "A+R+2T");
        assert_eq!((T + R + Floor::nanos(5.0)).to_string(), "R+T+5 ns");
        assert_eq!(Floor::nanos(5.0).to_string(), "5 ns");
        assert_eq!(Floor::default().to_string(), "0 ns");
    }
}
