use crate::balance::Balance;
use crate::book::Record;
use crate::ejection::{Cause, Ejections};
use crate::fleet::{Fleet, Key};
use crate::sight;
use bartizan_core::{Change, Endpoint, Health, Instant};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Watches and steers a balancer from outside. Its clones, and the balancer, see the same set.
#[derive(Clone)]
pub struct Handle<K> {
    fleet: Arc<dyn Steer<K>>,
}

impl<K: Key> Handle<K> {
    pub(crate) fn new(fleet: Arc<dyn Steer<K>>) -> Self {
        Self { fleet }
    }

    /// The name that the balancer was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.fleet.name()
    }

    /// What is known of the set and of each endpoint.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<K> {
        self.fleet.snapshot()
    }

    /// Puts a new value in place, the whole of it: to change one setting, change it in the value that the balancer was made of. What was
    /// learnt of the endpoints stays, and so do ejections, unless the new value has none.
    pub fn update(&self, value: Balance) {
        self.fleet.update(value);
    }

    /// Makes a change in the set, as a stream of discovery does.
    pub fn change(&self, change: Change<K>) {
        self.fleet.clone().change(change);
    }

    /// Has an endpoint end what it has begun and gives it no new calls, until [`undrain`](Self::undrain). Where all drain, they are called
    /// nevertheless: they still answer. False if there is none of this key.
    pub fn drain(&self, key: &K) -> bool {
        self.fleet.drain(key, true)
    }

    /// Gives calls to an endpoint that drained by hand, or because its answers said so. False if there is none of this key.
    pub fn undrain(&self, key: &K) -> bool {
        self.fleet.drain(key, false)
    }

    /// Ejects an endpoint for so long, whatever others do. False if there is none of this key.
    pub fn eject(&self, key: &K, pause: Duration) -> bool {
        self.fleet.eject(key, pause)
    }

    /// Lets an ejected endpoint back in, and forgets what is held against it. False if there is none of this key.
    pub fn pardon(&self, key: &K) -> bool {
        self.fleet.pardon(key)
    }
}

impl<K> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.fleet.name()).finish_non_exhaustive()
    }
}

/// A set at one instant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot<K> {
    /// The endpoints, in the order of discovery.
    pub endpoints: Vec<EndpointSnapshot<K>>,
    /// How many of them calls can go to, were there no panic.
    pub usable: usize,
    /// Whether so few are usable that all are used.
    pub panic: bool,
    /// What the ejection has done.
    pub ejections: Ejections,
    /// Calls that were refused, as there was nobody or too much in flight.
    pub refused: u64,
    /// Calls that the first choice could not take, and another endpoint did.
    pub moved: u64,
}

/// One endpoint at one instant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointSnapshot<K> {
    /// Its key.
    pub key: K,
    /// What retries and hedges know it by.
    pub id: Endpoint,
    /// Whether calls can go to it, were there no panic.
    pub usable: bool,
    /// What heartbeats say.
    pub health: Health,
    /// How long ago the last one was heard.
    pub heartbeat_age: Option<Duration>,
    /// Whether it ends what it has begun, and gets no new calls.
    pub draining: bool,
    /// For how much longer it is ejected, if it is.
    pub ejected_for: Option<Duration>,
    /// Why.
    pub cause: Option<Cause>,
    /// How often it was.
    pub ejections: u32,
    /// The share of good answers in the last interval of the ejection in which it was called.
    pub success_rate: Option<f64>,
    /// Whether its share still grows.
    pub warming: bool,
    /// Whether its service has failed, and will be made anew.
    pub broken: bool,
    /// Its weight.
    pub weight: u32,
    /// Its tier.
    pub tier: u32,
    /// Calls in flight.
    pub in_flight: u32,
    /// Mean latency of good answers over the [memory](Balance::memory). `None` before the first.
    pub latency: Option<Duration>,
    /// What is added to it for failures.
    pub penalty: Duration,
    /// Good answers. Begins anew after four billion.
    pub successes: u32,
    /// Bad answers. Begins anew after four billion.
    pub failures: u32,
    /// Calls without an answer. Begins anew after four billion.
    pub unanswered: u32,
}

impl<K> Snapshot<K> {
    /// Shows every number under its name.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let sum =
            |of: fn(&EndpointSnapshot<K>) -> u32| self.endpoints.iter().map(|one| f64::from(of(one))).sum();
        show("endpoints", self.endpoints.len() as f64);
        show("usable", self.usable as f64);
        show("ejected", self.endpoints.iter().filter(|one| one.ejected_for.is_some()).count() as f64);
        show("ejections", self.ejections.total() as f64);
        show("in_flight", sum(|one| one.in_flight));
        show("successes", sum(|one| one.successes));
        show("failures", sum(|one| one.failures));
        show("unanswered", sum(|one| one.unanswered));
        show("refused", self.refused as f64);
        show("moved", self.moved as f64);
    }
}

impl<K> EndpointSnapshot<K> {
    /// Its state in one word: `up`, `ejected`, `draining`, `down`, `broken` or `warming`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.draining {
            "draining"
        } else if self.broken {
            "broken"
        } else if self.ejected_for.is_some() {
            "ejected"
        } else if self.health == Health::Down {
            "down"
        } else if self.warming {
            "warming"
        } else {
            "up"
        }
    }

    /// Shows every number under its name.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("in_flight", f64::from(self.in_flight));
        show("latency_ms", self.latency.unwrap_or_default().as_secs_f64() * 1e3);
        show("penalty_ms", self.penalty.as_secs_f64() * 1e3);
        show("successes", f64::from(self.successes));
        show("failures", f64::from(self.failures));
        show("unanswered", f64::from(self.unanswered));
        show("ejections", f64::from(self.ejections));
        show("ejected_for_s", self.ejected_for.unwrap_or_default().as_secs_f64());
        if let Some(age) = self.heartbeat_age {
            show("heartbeat_age_s", age.as_secs_f64());
        }
        show("weight", f64::from(self.weight));
        show("tier", f64::from(self.tier));
    }
}

/// What a handle does with a set, whatever its services are.
pub(crate) trait Steer<K>: Send + Sync {
    fn name(&self) -> Option<&str>;
    fn snapshot(&self) -> Snapshot<K>;
    fn endpoint(&self, key: &K) -> Option<EndpointSnapshot<K>>;
    fn update(&self, value: Balance);
    fn change(self: Arc<Self>, change: Change<K>);
    fn drain(&self, key: &K, drain: bool) -> bool;
    fn eject(&self, key: &K, pause: Duration) -> bool;
    fn pardon(&self, key: &K) -> bool;
}

impl<K: Key, M: Send + Sync + 'static> Fleet<K, M> {
    /// Makes a change in the set.
    pub(crate) fn change(self: &Arc<Self>, change: Change<K>) {
        let of_members = !matches!(change, Change::Health(..));
        if self.make_change(change) && of_members {
            sight::refresh(self);
        }
    }

    fn show(&self, record: &Record<K, M>, now: Instant) -> EndpointSnapshot<K> {
        let (seat, memory) = (&record.entry.seat, self.common.memory());
        let tally = seat.tally();
        let since = self.common.at(now);
        let penalty = seat.penalty(since, memory);
        EndpointSnapshot {
            key: record.member.key.clone(),
            id: seat.id,
            usable: record.is_usable(),
            health: record.health,
            heartbeat_age: record.heard.map(|heard| Duration::from_nanos(since.saturating_sub(heard.get()))),
            draining: record.leaves(),
            ejected_for: record.rare().sentence.until().map(|until| until.saturating_duration_since(now)),
            cause: record.cause,
            ejections: record.rare().ejections,
            success_rate: record.success_rate(),
            warming: record.is_warming(),
            broken: record.is_broken(),
            weight: record.member.weight,
            tier: record.member.tier,
            in_flight: seat.in_flight(),
            latency: seat.latency().and_then(|latency| Duration::try_from_secs_f32(latency).ok()),
            penalty: Duration::try_from_secs_f32(penalty).unwrap_or_default(),
            successes: tally.successes,
            failures: tally.failures,
            unanswered: tally.local,
        }
    }
}

impl<K: Key, M: Send + Sync + 'static> Steer<K> for Fleet<K, M> {
    fn name(&self) -> Option<&str> {
        Self::name(self)
    }

    fn snapshot(&self) -> Snapshot<K> {
        self.look(|book, now| Snapshot {
            endpoints: book.records.iter().map(|record| self.show(record, now)).collect(),
            usable: book.records.iter().filter(|record| record.is_usable()).count(),
            panic: book.is_panic(),
            ejections: book.ejections,
            refused: self.common.refused.load(Relaxed),
            moved: self.common.moved.load(Relaxed),
        })
    }

    fn endpoint(&self, key: &K) -> Option<EndpointSnapshot<K>> {
        self.look(|book, now| book.find(key).map(|at| self.show(&book.records[at], now)))
    }

    fn update(&self, value: Balance) {
        self.act(|book, now, told| {
            book.update(value, now, told);
            (true, ())
        });
    }

    fn change(self: Arc<Self>, change: Change<K>) {
        Self::change(&self, change);
    }

    fn drain(&self, key: &K, drain: bool) -> bool {
        self.act(|book, now, told| (true, book.drain(key, drain, now, told)))
    }

    fn eject(&self, key: &K, pause: Duration) -> bool {
        self.act(|book, now, told| (true, book.eject(key, pause, now, told)))
    }

    fn pardon(&self, key: &K) -> bool {
        self.act(|book, now, told| (true, book.pardon(key, now, told)))
    }
}
