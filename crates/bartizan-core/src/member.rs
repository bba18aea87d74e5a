use crate::Name;
use std::fmt;

/// What discovery says of one place where a call can go. Whether it is well is told apart from that, by a [`Health`].
///
/// Two are equal when all of this is: a balancer that is given an equal member again has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member<K> {
    /// Where it is, such as a `Uri`. A set holds each key once.
    pub key: K,
    /// Its share of the calls, beside the other members' weights. Zero gets none.
    pub weight: u32,
    /// Calls go to the lowest tier that can serve them.
    pub tier: u32,
    /// Where it runs. A balancer that is told its own zone prefers members of it.
    pub zone: Option<Name>,
    /// Whether it is about to leave: it ends what it has begun and gets no new calls.
    pub draining: bool,
}

impl<K> Member<K> {
    /// Weight of a member for which none was set: 1.
    pub const DEFAULT_WEIGHT: u32 = 1;

    /// Creates a member of tier 0, in no zone, with [`DEFAULT_WEIGHT`](Self::DEFAULT_WEIGHT).
    #[must_use]
    pub const fn new(key: K) -> Self {
        Self { key, weight: Self::DEFAULT_WEIGHT, tier: 0, zone: None, draining: false }
    }

    /// Sets the weight. Zero: it gets no calls.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the tier. Zero comes first.
    #[must_use]
    pub fn tier(mut self, tier: u32) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the zone.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<Name>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Sets whether it is about to leave.
    #[must_use]
    pub fn draining(mut self, draining: bool) -> Self {
        self.draining = draining;
        self
    }

    /// The same under another key.
    #[must_use]
    pub fn map_key<L>(self, map: impl FnOnce(K) -> L) -> Member<L> {
        let Self { key, weight, tier, zone, draining } = self;
        Member { key: map(key), weight, tier, zone, draining }
    }
}

impl<K> From<K> for Member<K> {
    fn from(key: K) -> Self {
        Self::new(key)
    }
}

/// A change in a set of members, as a stream of discovery or of heartbeats yields it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<K> {
    /// These are all the members. Those that were there before keep their state.
    Set(Vec<Member<K>>),
    /// This one is a member, with these facts.
    Insert(Member<K>),
    /// This one is a member no longer.
    Remove(K),
    /// A heartbeat has found a member to be so. Nothing happens if there is none of this key.
    Health(K, Health),
}

impl<K> Change<K> {
    /// All the members, by their keys.
    #[must_use]
    pub fn set<M: Into<Member<K>>>(members: impl IntoIterator<Item = M>) -> Self {
        Self::Set(members.into_iter().map(Into::into).collect())
    }
}

/// How a member is, as it says itself when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Health {
    /// It was not asked yet. It is taken for well.
    #[default]
    Unknown,
    /// It is well.
    Up,
    /// It is not, or does not say.
    Down,
    /// It is, and does not want new calls: `NOT_SERVING` over gRPC, say.
    Draining,
}

impl Health {
    /// The health in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_made_of_keys_and_of_members() {
        let keys = Change::set(["a", "b"]);
        let members = Change::set([Member::new("a"), Member::new("b")]);
        assert_eq!(keys, members);
        assert_ne!(keys, Change::set([Member::new("a"), Member::new("b").weight(2)]));
        assert_eq!(Member::new(7).zone("eu").map_key(|key| key + 1), Member::new(8).zone("eu"));
    }
}
