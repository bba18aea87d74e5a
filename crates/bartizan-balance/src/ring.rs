use crate::choice::RingHash;
use crate::pool::Lane;
use bartizan_core::Endpoint;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The points of all members on a circle of hashes. A request belongs to the first member from its own hash on.
#[derive(Debug)]
pub(crate) struct Ring(Box<[(u64, u32)]>);

/// So that a typing error in a weight does not eat up the memory.
const MOST_POINTS: f32 = (1 << 20) as f32;

impl Ring {
    pub(crate) fn new(lanes: &[Lane], settings: RingHash, hash: impl Fn(&Lane) -> u64) -> Self {
        let shares: f32 = lanes.iter().map(|lane| 1.0 / lane.handicap).sum();
        let wanted = settings.points.get() as f32;
        let each = wanted.min(MOST_POINTS / shares.max(1.0));
        let points = lanes.iter().enumerate().flat_map(|(place, lane)| {
            let points = (each / lane.handicap).round().max(1.0) as u32;
            let hash = hash(lane);
            (0..points).map(move |point| (hash_of(&(hash, point)), place as u32))
        });
        let mut points: Vec<(u64, u32)> = points.collect();
        points.sort_unstable();
        Self(points.into())
    }

    /// The first member from this hash on that is not passed over and has less than `bound` times its share of the calls in flight.
    pub(crate) fn choose<'a>(
        &self,
        lanes: &'a [Lane],
        hash: u64,
        bound: f64,
        pass: impl Fn(Endpoint) -> bool,
    ) -> Option<&'a Lane> {
        let calls: f64 = lanes.iter().map(|lane| f64::from(lane.seat.in_flight())).sum::<f64>() + 1.0;
        let shares: f64 = lanes.iter().map(|lane| 1.0 / f64::from(lane.handicap)).sum();
        let has_room = |lane: &Lane| {
            let most = (bound * calls / shares / f64::from(lane.handicap)).ceil();
            f64::from(lane.seat.in_flight()) + 1.0 <= most.max(1.0)
        };
        let (before, after) = self.0.split_at(self.0.partition_point(|(point, _)| *point < hash));
        let mut allowed = after
            .iter()
            .chain(before)
            .map(|(_, place)| &lanes[*place as usize])
            .filter(|lane| !pass(lane.seat.id));
        let own = allowed.next()?;
        if has_room(own) { Some(own) } else { allowed.find(|lane| has_room(lane)).or(Some(own)) }
    }
}

/// The same in every process of one build.
pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
