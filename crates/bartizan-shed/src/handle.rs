use crate::Mode;
use crate::refusals::Refusals;
use crate::shared::Shared;
use crate::shed::Shed;
use crate::waiting::Waiting;
use bartizan_core::{Instant, Name};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Watches and steers one layer. Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Shared>);

/// A count for each class of priorities. Levels that have no name count for the nearest one that has: up to 63, up to 191, from 192 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByPriority {
    /// Those near [`Priority::CRITICAL`](bartizan_core::Priority::CRITICAL).
    pub critical: u64,
    /// Those near [`Priority::NORMAL`](bartizan_core::Priority::NORMAL).
    pub normal: u64,
    /// Those near [`Priority::SHEDDABLE`](bartizan_core::Priority::SHEDDABLE).
    pub sheddable: u64,
}

impl ByPriority {
    const fn of([critical, normal, sheddable]: [u64; 3]) -> Self {
        Self { critical, normal, sheddable }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.critical + self.normal + self.sheddable
    }
}

/// Plain numbers of one layer at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What the layer does with what it knows.
    pub mode: Mode,
    /// Requests in flight, without those that are exempt or wait.
    pub in_flight: usize,
    /// How many might be in flight for a normal request to be admitted now; for an adaptive limit one with the assumed deadline, and
    /// [`usize::MAX`] while it knows of no bound.
    pub limit: usize,
    /// Requests that wait for their turn.
    pub queued: usize,
    /// Requests admitted so far, in shadow mode all of them.
    pub admitted: ByPriority,
    /// Requests refused so far.
    pub refused: ByPriority,
    /// The same by their reasons.
    pub refusals: Refusals,
    /// Requests so far that would have been refused, had the layer not been in shadow mode.
    pub shadowed: ByPriority,
    /// For how long the one who waits longest has waited. Zero if nobody does.
    pub queue_age: Duration,
    /// Answers per second, as the prediction knows them. 0 under a fixed limit.
    pub throughput: f64,
    /// How long an answer takes that waits for nothing, as the prediction knows it. Zero under a fixed limit.
    pub service_time: Duration,
    /// How long a request would wait that came now. Zero under a fixed limit.
    pub predicted_wait: Duration,
    /// Whether requests were refused lately.
    pub saturated: bool,
    /// The share of its CPUs that this process uses; `None` without the [gate](Shed::cpu).
    pub cpu: Option<f64>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).field("snapshot", &self.snapshot()).finish()
    }
}

impl Handle {
    /// The name given with [`ShedLayer::named`](crate::ShedLayer::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name().map(Name::as_str)
    }

    /// All numbers of the layer now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// What the layer is set to, from which a part is changed:
    ///
    /// ```
    /// use bartizan_shed::{Mode, Shed, ShedLayer};
    ///
    /// let layer = ShedLayer::new(Shed::fixed(32).mode(Mode::Shadow));
    /// let handle = layer.handle();
    /// // Later, when `snapshot().shadowed` shows that it would refuse whom it should:
    /// handle.update(handle.value().mode(Mode::Normal));
    /// assert_eq!(handle.value(), Shed::fixed(32));
    /// ```
    #[must_use]
    pub fn value(&self) -> Shed {
        self.0.value()
    }

    /// Takes over new settings. Who is in flight stays, also if they are more than the new limit; who waits and has room now
    /// is woken. From a fixed limit to an adaptive one, the prediction sees those who come from then on. The dice go on as they were.
    pub fn update(&self, value: Shed) {
        let _always = self.0.change(|_| Ok(value));
    }

    /// Sets what the layer does with what it knows.
    pub fn set_mode(&self, mode: Mode) {
        let _always = self.0.change(|value| Ok(value.mode(mode)));
    }

    /// Admits everything and counts nothing from now on: [`Mode::Disabled`].
    pub fn disable(&self) {
        self.set_mode(Mode::Disabled);
    }

    /// Runs on and refuses nothing from now on: [`Mode::Shadow`].
    pub fn shadow(&self) {
        self.set_mode(Mode::Shadow);
    }

    /// Goes back to [`Mode::Normal`].
    pub fn resume(&self) {
        self.set_mode(Mode::Normal);
    }

    /// Forgets what was learnt, as if the layer were new. Who is in flight or waits stays, and counts of the past.
    pub fn reset(&self) {
        self.0.reset();
    }
}

impl Shared {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let look = self.predictor.look();
        let is_adaptive = self.settings().limit().is_none();
        let [refused, shadowed] = self.counts.by_class();
        Snapshot {
            mode: self.settings().mode(),
            in_flight: self.gate.in_flight() as usize,
            limit: self.limit(look.limit),
            queued: self.waiting().map_or(0, Waiting::len),
            admitted: ByPriority::of(self.gate.admitted()),
            refused: ByPriority::of(refused),
            refusals: Refusals::from(&self.counts),
            shadowed: ByPriority::of(shadowed),
            queue_age: self.waiting().map_or(Duration::ZERO, |waiting| waiting.age(Instant::now())),
            throughput: if is_adaptive { look.throughput } else { 0.0 },
            service_time: if is_adaptive { look.service_time } else { Duration::ZERO },
            predicted_wait: if is_adaptive { look.predicted_wait } else { Duration::ZERO },
            saturated: self.is_shedding(),
            cpu: self.cpu(),
        }
    }
}
