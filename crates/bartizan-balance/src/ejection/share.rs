use super::Ejection;

/// The endpoints among which one is to be ejected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// All of them, but those that are about to leave.
    pub(crate) members: usize,
    /// How many of these are out already.
    pub(crate) out: usize,
    /// How many of these that are not out have failed their last call, not counting the one that is judged.
    pub(crate) failing: usize,
}

/// Whether one more may be ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Free,
    /// As many are out as may be.
    Full,
    /// The others do not do any better.
    Failing,
}

impl Crowd {
    pub(crate) fn room(self, ejection: &Ejection) -> Room {
        if self.out >= most(ejection.max_ejected, self.members) {
            return Room::Full;
        }
        let others = self.members.saturating_sub(self.out + 1);
        if self.failing as f64 > ejection.max_failing * others as f64 { Room::Failing } else { Room::Free }
    }
}

/// How many of so many may be out: a share, at least one, never all.
fn most(share: f64, members: usize) -> usize {
    if share == 0.0 {
        return 0;
    }
    // A share such as 0.29 is stored as a little less; its hundredfold is 29 all the same.
    let most = (share * members as f64 + 1e-9) as usize;
    most.max(1).min(members.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(ejection: Ejection, members: usize, out: usize, failing: usize) -> Room {
        Crowd { members, out, failing }.room(&ejection)
    }

    #[test]
    fn the_share_is_at_least_one_and_never_all() {
        let most: Vec<usize> = [1, 2, 9, 19, 20, 100].map(|members| most(0.1, members)).to_vec();
        assert_eq!(most, [0, 1, 1, 1, 2, 10]);
        assert_eq!((super::most(0.3, 10), super::most(0.29, 100)), (3, 29));
        assert_eq!((super::most(1.0, 5), super::most(1.0, 1), super::most(1.0, 0)), (4, 0, 0));
        let hundredth = Ejection::new().max_ejected(0.01);
        assert_eq!((room(hundredth, 2, 0, 0), room(hundredth, 2, 1, 0)), (Room::Free, Room::Full));
    }

    #[test]
    fn none_is_ejected_at_zero() {
        assert_eq!(room(Ejection::new().max_ejected(0.0), 100, 0, 0), Room::Full);
    }

    #[test]
    fn none_is_ejected_while_the_others_fail_too() {
        let ejection = Ejection::new().max_ejected(0.5);
        assert_eq!(room(ejection, 10, 0, 3), Room::Free);
        assert_eq!(room(ejection, 10, 0, 4), Room::Failing);
        assert_eq!(room(ejection, 9, 0, 3), Room::Failing, "three of eight others");
        assert_eq!(room(ejection, 10, 3, 2), Room::Free, "those that are out are not asked");
        assert_eq!(room(ejection, 10, 3, 3), Room::Failing);
        assert_eq!(room(ejection, 2, 0, 1), Room::Failing);
        assert_eq!(room(ejection.max_failing(1.0), 2, 0, 1), Room::Free);
    }
}
