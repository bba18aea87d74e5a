use crate::choice::Choice;
use crate::pool::{Ask, Lane, Pool};
use crate::seat::Seat;
use crate::turns::Turn;
use bartizan_core::Endpoint;
use std::sync::Arc;
use std::time::Duration;

/// The members as calls see them: a snapshot, in the place of which another is put when something has changed.
#[derive(Debug)]
pub(crate) struct Set<K, M> {
    pub(crate) entries: Box<[Arc<Entry<K, M>>]>,
    /// By tiers, the first one first, each with the share of the calls up to it.
    pub(crate) pools: Box<[(f32, Pool)]>,
    pub(crate) choice: Choice,
    pub(crate) panic: bool,
    pub(crate) enabled: bool,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) wait: Duration,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Entry<K, M> {
    pub(crate) key: K,
    pub(crate) service: M,
    pub(crate) seat: Arc<Seat>,
}

impl<K, M> Set<K, M> {
    /// Whether nobody can take a call.
    pub(crate) const fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// Chooses a member that is not passed over, of another tier if need be.
    #[inline(always)]
    pub(crate) fn choose(
        &self,
        turn: Turn,
        hash: Option<u64>,
        pass: impl Fn(Endpoint) -> bool,
    ) -> Option<&Arc<Entry<K, M>>> {
        let ask = Ask { turn, hash, choice: self.choice };
        let lane = match &*self.pools {
            [] => None,
            [(_, pool)] => pool.choose(ask, pass),
            several => Self::of_several(several, ask, pass),
        }?;
        self.entries.get(lane.place as usize)
    }

    fn of_several(pools: &[(f32, Pool)], ask: Ask, pass: impl Fn(Endpoint) -> bool) -> Option<&Lane> {
        let point = ask.turn.dice().unit();
        let chosen = pools.iter().find(|(upto, _)| point < *upto).or(pools.last());
        let lane = chosen.and_then(|(_, pool)| pool.choose(ask, &pass));
        lane.or_else(|| pools.iter().find_map(|(_, pool)| pool.choose(ask, &pass)))
    }
}
