//! How the calls are shared out to the tiers.

/// What is left of a tier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tier {
    /// Its place in the order of tiers.
    pub(crate) rank: u64,
    pub(crate) members: usize,
    pub(crate) usable: usize,
    /// How many times its share a member can serve. Without, the tier keeps all calls while one is usable.
    pub(crate) headroom: Option<f64>,
}

impl Tier {
    fn left(&self) -> f64 {
        if self.members == 0 { 0.0 } else { self.usable as f64 / self.members as f64 }
    }

    /// How much of the calls it can serve.
    fn capacity(&self) -> f64 {
        match self.headroom {
            _ if self.usable == 0 => 0.0,
            Some(headroom) => (headroom * self.left()).min(1.0),
            None => 1.0,
        }
    }
}

/// Whether every tier has lost so much that it is better to use all members.
pub(crate) fn is_panic(tiers: &[Tier], threshold: f64) -> bool {
    !tiers.is_empty() && tiers.iter().all(|tier| tier.left() < threshold)
}

/// The part of the calls of each of the tiers, which are in their order: each takes what those before it cannot serve.
pub(crate) fn shares(tiers: &[Tier]) -> Vec<f64> {
    let mut rest = 1.0;
    let mut shares: Vec<f64> = tiers
        .iter()
        .map(|tier| {
            let share = tier.capacity().min(rest);
            rest -= share;
            share
        })
        .collect();
    let served = 1.0 - rest;
    if served > 0.0 {
        shares.iter_mut().for_each(|share| *share /= served);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(rank: u64, usable: usize, members: usize, headroom: Option<f64>) -> Tier {
        Tier { rank, members, usable, headroom }
    }

    #[test]
    fn a_tier_keeps_all_while_one_is_usable() {
        assert_eq!(shares(&[tier(0, 1, 2, None), tier(1, 2, 2, None)]), [1.0, 0.0]);
        assert_eq!(shares(&[tier(0, 0, 2, None), tier(1, 2, 2, None)]), [0.0, 1.0]);
        assert_eq!(shares(&[tier(0, 0, 2, None), tier(1, 0, 2, None)]), [0.0, 0.0]);
    }

    #[test]
    fn a_gentle_one_gives_up_what_it_cannot_serve() {
        let shared = shares(&[tier(0, 1, 4, Some(1.4)), tier(1, 3, 3, None)]);
        assert!((shared[0] - 0.35).abs() < 1e-9 && (shared[1] - 0.65).abs() < 1e-9, "{shared:?}");
        assert_eq!(shares(&[tier(0, 3, 4, Some(1.4)), tier(1, 3, 3, None)]), [1.0, 0.0]);
        // Nobody has room: what there is is shared by what each can do.
        let shared = shares(&[tier(0, 1, 4, Some(1.4)), tier(1, 1, 4, Some(1.4))]);
        assert_eq!(shared, [0.5, 0.5]);
    }

    #[test]
    fn panic_is_when_every_tier_is_below_the_threshold() {
        assert!(is_panic(&[tier(0, 4, 10, None)], 0.5));
        assert!(!is_panic(&[tier(0, 5, 10, None)], 0.5));
        assert!(!is_panic(&[tier(0, 0, 2, None), tier(1, 2, 2, None)], 0.5));
        assert!(!is_panic(&[], 0.5));
        assert!(!is_panic(&[tier(0, 0, 2, None)], 0.0));
    }
}
