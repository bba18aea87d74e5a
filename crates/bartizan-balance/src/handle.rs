use crate::balance::Balance;
use crate::book::Record;
use crate::ejection::{Cause, Ejections};
use crate::fleet::{Fleet, Key};
use crate::reason::Why;
use crate::sight;
use bartizan_core::{Change, Endpoint, Health, Instant};
use std::fmt;
use std::sync::Arc;
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

    /// Has members be chosen by what is known of them, as [`enabled`](Balance::enabled) does.
    pub fn enable(&self) {
        self.fleet.switch(true);
    }

    /// Has members have their turns, ill or well.
    pub fn disable(&self) {
        self.fleet.switch(false);
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
    /// How often that began.
    pub panics: u64,
    /// What the ejection has done.
    pub ejections: Ejections,
    /// Good answers, those of endpoints that have left among them.
    pub successes: u64,
    /// Bad answers, likewise.
    pub failures: u64,
    /// Calls without an answer, likewise.
    pub unanswered: u64,
    /// Calls that were refused, for whichever of the next three reasons.
    pub refused: u64,
    /// Calls that were refused as there were no endpoints.
    pub refused_no_endpoints: u64,
    /// Calls that were refused as none of the endpoints is usable.
    pub refused_none_usable: u64,
    /// Calls that were refused as [as many as may be](Balance::max_in_flight) were in flight.
    pub refused_full: u64,
    /// Calls that the first choice could not take, and another endpoint did.
    pub moved: u64,
    /// Calls that wait for an endpoint.
    pub waiting: usize,
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
        let among =
            |is: fn(&EndpointSnapshot<K>) -> bool| self.endpoints.iter().filter(|one| is(one)).count();
        for (name, gauge) in [
            ("endpoints", self.endpoints.len()),
            ("usable", self.usable),
            ("ejected", among(|one| one.ejected_for.is_some())),
            ("draining", among(|one| one.draining)),
            ("down", among(|one| one.health == Health::Down)),
            ("broken", among(|one| one.broken)),
            ("warming", among(|one| one.warming)),
            ("in_flight", self.endpoints.iter().map(|one| one.in_flight as usize).sum()),
            ("waiting", self.waiting),
        ] {
            show(name, gauge as f64);
        }
        for (name, count) in [
            ("successes", self.successes),
            ("failures", self.failures),
            ("unanswered", self.unanswered),
            ("refused", self.refused),
            ("refused_no_endpoints", self.refused_no_endpoints),
            ("refused_none_usable", self.refused_none_usable),
            ("refused_full", self.refused_full),
            ("moved", self.moved),
            ("panics", self.panics),
        ] {
            show(name, count as f64);
        }
        self.ejections.each(show);
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
        show("latency_seconds", self.latency.unwrap_or_default().as_secs_f64());
        show("penalty_seconds", self.penalty.as_secs_f64());
        show("successes", f64::from(self.successes));
        show("failures", f64::from(self.failures));
        show("unanswered", f64::from(self.unanswered));
        show("ejections", f64::from(self.ejections));
        show("ejected_for_seconds", self.ejected_for.unwrap_or_default().as_secs_f64());
        if let Some(age) = self.heartbeat_age {
            show("heartbeat_age_seconds", age.as_secs_f64());
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
    fn switch(&self, enabled: bool);
    /// For how long an endpoint is ejected first.
    fn pause(&self) -> Duration;
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
        let counts = &self.common.counts;
        self.look(|book, now| {
            let [successes, failures, unanswered] = book.ends();
            Snapshot {
                endpoints: book.records.iter().map(|record| self.show(record, now)).collect(),
                usable: book.records.iter().filter(|record| record.is_usable()).count(),
                panic: book.is_panic(),
                panics: book.panics,
                ejections: book.ejections,
                successes,
                failures,
                unanswered,
                refused: Why::ALL.into_iter().map(|why| counts.refusals(why)).sum(),
                refused_no_endpoints: counts.refusals(Why::NoEndpoints),
                refused_none_usable: counts.refusals(Why::NoneUsable),
                refused_full: counts.refusals(Why::Full),
                moved: counts.moves(),
                waiting: counts.waiting(),
            }
        })
    }

    fn endpoint(&self, key: &K) -> Option<EndpointSnapshot<K>> {
        self.look(|book, now| book.find(key).map(|at| self.show(&book.records[at], now)))
    }

    fn update(&self, value: Balance) {
        let _always = self.change_value(|_| Ok(value));
    }

    fn switch(&self, enabled: bool) {
        let _always = self.change_value(|value| Ok(value.clone().enabled(enabled)));
    }

    fn pause(&self) -> Duration {
        self.look(|book, _| book.value.ejection.pause)
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
