//! Trunk reservation: how many places of a limit are kept free for those who matter more.
//!
//! F. P. Kelly, "Loss networks", Annals of Applied Probability 1 (3), 1991, section 3.2. The recursion is Erlang's (A. K. Erlang, "Solution of some
//! problems in the theory of probabilities of significance in automatic telephone exchanges", 1917), with an arrival rate that
//! depends on how many are in flight.

/// Of those who matter more, as many may find no place.
const BLOCKED: f64 = 0.001;
/// So many places of the limit are looked at: those below are taken to be occupied, which they are under overload.
const DEPTH: usize = 4096;

/// Share of the limit that more important requests take between two levels that are told apart at least by a place.
const STEP: f64 = 0.25;

/// Places that are kept free of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) places: usize,
    /// The places that those above the level would take for whom the number was found.
    above: f64,
}

/// A limit, and how many places all requests together would take if they were all admitted.
#[derive(Debug)]
pub(crate) struct Trunk {
    limit: usize,
    /// The share of requests that would be blocked at a limit of `limit - n`, at place `n`.
    blocked: Vec<f64>,
}

impl Trunk {
    pub(crate) fn new(limit: usize, offered: f64) -> Self {
        let first = limit.saturating_sub(DEPTH);
        let mut share = 1.0;
        let mut blocked: Vec<f64> = (first + 1..=limit)
            .map(|places| {
                share = next(share, offered, places);
                share
            })
            .collect();
        blocked.reverse();
        Self { limit, blocked }
    }

    /// How many places are kept free from a level: so many that of those above it, who would take `above` places, one in a thousand finds
    /// none; but no more than half of what they leave, and not all. If they could take the whole limit, all is kept for them.
    ///
    /// `last` is what was said of the level above. What lies between the two, if it is much, costs a place more.
    pub(crate) fn keep_free(&self, above: f64, last: Kept) -> Kept {
        if above <= 0.0 {
            return last;
        }
        let left = self.limit as f64 - above;
        if left <= 0.0 {
            return Kept { places: self.limit, above };
        }
        let most = ((left / 2.0).ceil() as usize).min(self.limit - 1);
        let wanted =
            (last.places..most).find(|kept| self.blocked_above(above, *kept) <= BLOCKED).unwrap_or(most);
        if wanted > last.places {
            return Kept { places: wanted, above };
        }
        let is_much = above - last.above >= (self.limit as f64 * STEP).max(1.0);
        if is_much { Kept { places: (last.places + 1).min(self.limit - 1), above } } else { last }
    }

    /// How many places are kept free from keys beyond their share, for the others of their level: an eighth of the limit at most, as those
    /// are no less important.
    pub(crate) fn keep_free_within(&self, above: f64, last: Kept) -> Kept {
        let kept = self.keep_free(above, last);
        let most = (last.places + self.limit.div_ceil(8)).min(self.limit - 1).max(last.places);
        Kept { places: kept.places.min(most), ..kept }
    }

    /// The share of those above that finds no place while so many places are kept for them.
    fn blocked_above(&self, above: f64, kept: usize) -> f64 {
        let begun = self.blocked.get(kept).copied().unwrap_or(1.0);
        (self.limit - kept + 1..=self.limit).fold(begun, |share, places| next(share, above, places))
    }
}

/// Erlang's recursion: the share that is blocked with one place more.
fn next(blocked: f64, offered: f64, places: usize) -> f64 {
    let load = offered * blocked;
    load / (places as f64 + load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_reservation_it_is_erlangs_formula() {
        // B(10, 10) and B(2, 1) from the tables.
        assert!((Trunk::new(10, 10.0).blocked_above(10.0, 0) - 0.214_58).abs() < 1e-5);
        assert!((Trunk::new(2, 1.0).blocked_above(1.0, 0) - 0.2).abs() < 1e-9);
    }

    fn kept(limit: usize, offered: f64, above: f64) -> usize {
        Trunk::new(limit, offered).keep_free(above, Kept::default()).places
    }

    #[test]
    fn a_few_places_keep_the_important_from_being_blocked() {
        for (limit, above, ought) in [(10, 0.0, 0), (10, 1.0, 3), (100, 20.0, 4), (10_000, 2000.0, 4)] {
            assert_eq!(kept(limit, 2.0 * limit as f64, above), ought, "{limit} {above}");
        }
    }

    #[test]
    fn half_of_what_the_important_leave_stays_open_and_none_if_they_need_all() {
        for (limit, above, ought) in [(1, 0.4, 0), (2, 0.8, 1), (10, 4.0, 3), (10, 9.5, 1), (10, 10.0, 10)] {
            assert_eq!(kept(limit, 2.0 * limit as f64, above), ought, "{limit} {above}");
        }
    }

    #[test]
    fn who_matters_less_never_finds_more() {
        let trunk = Trunk::new(50, 120.0);
        let mut last = Kept::default();
        for above in 0..120 {
            let more = trunk.keep_free(f64::from(above), last);
            assert!(more.places >= last.places && (more.places == 50) == (above >= 50), "{above} {more:?}");
            last = more;
        }
    }
}
