use crate::choice::Choice;
use crate::ring::Ring;
use crate::seat::Seat;
use crate::turns::Turn;
use bartizan_core::Endpoint;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The members of one tier that can take calls.
#[derive(Debug)]
pub(crate) struct Pool {
    lanes: Box<[Lane]>,
    /// The sum of the weights up to each of them, and its own; where that is asked for.
    upto: Box<[f32]>,
    ring: Option<Box<Ring>>,
}

/// A member, as it is seen by who chooses.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) seat: Arc<Seat>,
    /// Its place in the set.
    pub(crate) place: u32,
    /// What its score is multiplied by: one divided by its share, beside an even one.
    pub(crate) handicap: f32,
}

/// What is asked for: in this turn, by a request of this hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) turn: Turn,
    pub(crate) hash: Option<u64>,
    pub(crate) choice: Choice,
}

/// Up to so many lanes are all looked at.
const ALL: usize = 64;

impl Pool {
    /// `hash` is what the points of a lane on a ring are made of.
    pub(crate) fn new(lanes: Vec<Lane>, choice: Choice, hash: impl Fn(&Lane) -> u64) -> Self {
        let add = |sum: &mut f32, lane: &Lane| {
            *sum += 1.0 / lane.handicap;
            Some(*sum)
        };
        let upto =
            if choice == Choice::Weighted { lanes.iter().scan(0.0, add).collect() } else { Box::default() };
        let ring = if let Choice::RingHash(settings) = choice {
            Some(Box::new(Ring::new(&lanes, settings, hash)))
        } else {
            None
        };
        Self { lanes: lanes.into(), upto, ring }
    }

    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Chooses one that is not passed over. `None` if all are.
    #[inline(always)]
    pub(crate) fn choose(&self, ask: Ask, pass: impl Fn(Endpoint) -> bool) -> Option<&Lane> {
        match ask.choice {
            Choice::Latency => self.least(ask, pass, |lane| lane.seat.score() * lane.handicap),
            Choice::LeastRequests => {
                self.least(ask, pass, |lane| (lane.seat.in_flight() as f32 + 1.0) * lane.handicap)
            }
            Choice::P2c => self.better_of_two(ask, pass),
            Choice::RoundRobin => {
                // The turns go on where they were when the set is another.
                let round = self.lanes.first()?.seat.common.round.fetch_add(1, Relaxed);
                self.from(round % self.lanes.len(), pass)
            }
            Choice::Random => self.from(ask.turn.dice().below(self.lanes.len()), pass),
            Choice::Weighted => self.weighted(ask, pass),
            Choice::RingHash(settings) => match &self.ring {
                Some(ring) => {
                    let hash = ask.hash.unwrap_or_else(|| ask.turn.count());
                    ring.choose(&self.lanes, hash, settings.bound, pass)
                }
                None => self.from(ask.turn.dice().below(self.lanes.len()), pass),
            },
        }
    }

    /// Of equals another one at every turn.
    #[inline(always)]
    fn least(
        &self,
        ask: Ask,
        pass: impl Fn(Endpoint) -> bool,
        score: impl Fn(&Lane) -> f32,
    ) -> Option<&Lane> {
        let mut dice = ask.turn.dice();
        if self.lanes.len() > ALL {
            let sample = dice.sample(self.lanes.len()).map(|place| &self.lanes[place]);
            let best = least_of(sample.filter(|lane| !pass(lane.seat.id)), score);
            return best.or_else(|| self.from(dice.below(self.lanes.len()), pass));
        }
        // The first in the order of score, and of those that are equal in an order that begins somewhere else at every turn. As one
        // number, so that no comparison waits for the one before.
        let (all, from) = (self.lanes.len() as u32, dice.below(self.lanes.len()) as u32);
        let mut least = u64::MAX;
        for (place, lane) in self.lanes.iter().enumerate() {
            if !pass(lane.seat.id) {
                let turned = place as u32 + from;
                let turned = if turned < all { turned } else { turned - all };
                least = least.min(u64::from(score(lane).to_bits()) << 32 | u64::from(turned));
            }
        }
        if least == u64::MAX {
            return None;
        }
        let place = least as u32 + all - from;
        self.lanes.get((if place < all { place } else { place - all }) as usize)
    }

    fn better_of_two(&self, ask: Ask, pass: impl Fn(Endpoint) -> bool) -> Option<&Lane> {
        let mut dice = ask.turn.dice();
        let all = self.lanes.len();
        let first = dice.below(all);
        let second = if all > 1 { (first + 1 + dice.below(all - 1)) % all } else { first };
        let pair = [first, second].map(|place| &self.lanes[place]);
        let score = |lane: &Lane| lane.seat.score() * lane.handicap;
        let best = least_of(pair.into_iter().filter(|lane| !pass(lane.seat.id)), score);
        best.or_else(|| self.from(first, pass))
    }

    fn weighted(&self, ask: Ask, pass: impl Fn(Endpoint) -> bool) -> Option<&Lane> {
        let sum = *self.upto.last()?;
        let mut dice = ask.turn.dice();
        // Thrown again for one that is passed over, so that its share goes to the others by their weights.
        let mut throw = || {
            let point = dice.unit() * sum;
            self.upto.partition_point(|upto| *upto <= point).min(self.lanes.len() - 1)
        };
        let thrown = (0..8).map(|_| &self.lanes[throw()]).find(|lane| !pass(lane.seat.id));
        thrown.or_else(|| self.from(0, pass))
    }

    /// The first one from this place on, round to it.
    fn from(&self, place: usize, pass: impl Fn(Endpoint) -> bool) -> Option<&Lane> {
        let (before, after) = self.lanes.split_at(place.min(self.lanes.len()));
        after.iter().chain(before).find(|lane| !pass(lane.seat.id))
    }
}

#[inline(always)]
fn least_of<'a>(lanes: impl Iterator<Item = &'a Lane>, score: impl Fn(&Lane) -> f32) -> Option<&'a Lane> {
    let (mut best, mut least) = (None, f32::INFINITY);
    for lane in lanes {
        let score = score(lane);
        if score < least {
            (best, least) = (Some(lane), score);
        }
    }
    best
}
