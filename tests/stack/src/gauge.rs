use bartizan_core::{Admit, Kind, Permit, Reason, Refused, Refusing, Verdict};
use bartizan_guard::GuardLayer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A policy of one's own: at most so many requests in flight. It keeps the verdicts.
#[derive(Clone, Debug)]
pub struct Gauge {
    limit: usize,
    seen: Arc<Mutex<Seen>>,
}

/// The layer of a [`Gauge`].
pub type GaugeLayer = GuardLayer<Gauge>;

#[derive(Debug, Default)]
struct Seen {
    in_flight: usize,
    peak: usize,
    verdicts: Vec<Verdict>,
}

const FULL: Reason = Reason::new("gauge", Kind::Exhausted, "full");

impl Gauge {
    /// Creates a policy that admits `limit` requests at a time.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, seen: Arc::default() }
    }

    /// The layer that applies it.
    #[must_use]
    pub fn layer(&self) -> GaugeLayer {
        GuardLayer::new(self.clone())
    }

    /// How many permits are out.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.seen().in_flight
    }

    /// The most permits that were out at a time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.seen().peak
    }

    /// Takes the verdicts so far, in their order. A request that was abandoned left none.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        std::mem::take(&mut self.seen().verdicts)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Req> Admit<Req> for Gauge {
    type Permit = Place;

    fn admit(&self, _: &Req) -> Result<Place, Refusing> {
        let mut seen = self.seen();
        if seen.in_flight == self.limit {
            return Err(Refusing::default());
        }
        seen.in_flight += 1;
        seen.peak = seen.peak.max(seen.in_flight);
        Ok(Place(self.clone()))
    }

    /// Half a second is to be rounded up.
    fn refuse(&self, _: Refusing) -> Refused {
        Refused::new(&FULL).with_retry_after(Duration::from_millis(1_500))
    }
}

/// Permit of a [`Gauge`].
#[derive(Debug)]
pub struct Place(Gauge);

impl Permit for Place {
    fn record(&mut self, verdict: Verdict) {
        self.0.seen().verdicts.push(verdict);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.seen().in_flight -= 1;
    }
}
