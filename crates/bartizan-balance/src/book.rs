//! Who the members of a set are, and how they are. It knows no clock and no lock, and is not on the way of a call.

use crate::Choice;
use crate::balance::Balance;
use crate::common::Common;
use crate::ejection::{
    Cause, Crowd, Ejections, Memory, Origin, Room, Ruling, Sample, Sentence, Tally, outliers,
};
use crate::pool::{Lane, Pool};
use crate::ring::hash_of;
use crate::seat::Seat;
use crate::set::{Entry, Set};
use crate::tiers::{self, Tier};
use bartizan_core::{Change, Dice, Endpoint, Health, Instant, Member};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// The truth about a set, of which [`Set`] is the part that calls see.
pub(crate) struct Book<K, M> {
    pub(crate) value: Balance,
    pub(crate) records: Vec<Record<K, M>>,
    pub(crate) ejections: Ejections,
    common: Arc<Common>,
    dice: Dice,
    /// When the interval of the ejection began.
    began: Instant,
    /// Whether there ever were members: those that a set begins with start at once.
    started: bool,
    panic: bool,
    /// How often it was so.
    pub(crate) panics: u64,
    /// Whether nobody can take a call.
    empty: bool,
    /// For want of what room ejections are withheld, if they are, and whether one was within this interval.
    withheld: Option<Room>,
    withheld_lately: bool,
}

/// One member. What most never need is in a box of its own.
pub(crate) struct Record<K, M> {
    pub(crate) member: Member<K>,
    pub(crate) entry: Arc<Entry<K, M>>,
    /// When a heartbeat said how it is, on the clock of the set.
    pub(crate) heard: Option<NonZeroU64>,
    rare: Option<Box<Rare>>,
    memory: Memory,
    /// How its calls had ended at the end of the last interval.
    tally: [u32; 3],
    /// The share of good answers in the last interval that had any; no number before that.
    success_rate: f32,
    pub(crate) health: Health,
    pub(crate) cause: Option<Cause>,
}

/// What is out of the common with a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rare {
    pub(crate) drained: Drained,
    pub(crate) sentence: Sentence,
    pub(crate) ejections: u32,
    /// Its service was found to be broken, and is made anew then.
    broken: Option<Instant>,
    breaks: u32,
    /// Since when its share grows.
    warms: Option<Instant>,
}

impl Rare {
    const NOTHING: &Self = &Self {
        drained: Drained::No,
        sentence: Sentence::new(),
        ejections: 0,
        broken: None,
        breaks: 0,
        warms: None,
    };
}

/// Why a member drains, beside what discovery and heartbeats say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    No,
    ByHand,
    /// Its answers said so.
    Until(Instant),
}

/// What is told of a change, outside of all locks.
#[derive(Clone, Debug)]
pub(crate) enum Told<K> {
    Joined(K),
    Left(K),
    Ejected { key: K, cause: Cause, pause: Duration, times: u32 },
    Watched { key: K, cause: Cause },
    Withheld { key: K, cause: Cause, room: Room },
    Ejects,
    Returned(K),
    Health(K, Health),
    Draining(K),
    Undrained(K),
    Broken(K),
    Mended(K),
    Panic(bool),
    Empty(bool),
    Changed { old: Box<Balance>, new: Box<Balance> },
}

/// How long a member that says that it drains, in its answers, is not asked again.
const DRAIN: Duration = Duration::from_secs(10);
/// After how long a broken service is made anew, doubled each time up to [`LONGEST_BREAK`].
const BREAK: Duration = Duration::from_secs(1);
const LONGEST_BREAK: Duration = Duration::from_secs(30);
/// So often within their memory what is held against idle members is looked at.
const FADES: u32 = 64;
/// In so many steps the share of a member grows.
const STEPS: u32 = 10;

impl<K: Clone + Eq + Hash, M> Book<K, M> {
    pub(crate) fn new(value: Balance, common: Arc<Common>, now: Instant) -> Self {
        let dice = Dice::new(value.seed);
        Self {
            value,
            records: Vec::new(),
            ejections: Ejections::default(),
            common,
            dice,
            began: now,
            started: false,
            panic: false,
            panics: 0,
            empty: true,
            withheld: None,
            withheld_lately: false,
        }
    }

    /// The keys for which a change needs services that are not made yet.
    pub(crate) fn lacks(&self, change: &Change<K>, made: &HashMap<K, M>) -> Vec<K> {
        match change {
            Change::Set(members) => {
                let known = self.records.iter().map(|record| &record.member.key).chain(made.keys());
                let mut known: HashSet<&K> = known.collect();
                let keys = members.iter().map(|member| &member.key);
                keys.filter(|key| known.insert(key)).cloned().collect()
            }
            Change::Insert(Member { key, .. }) if self.find(key).is_none() && !made.contains_key(key) => {
                vec![key.clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Makes a change, with the services that it [lacks](Self::lacks). False if there was nothing to do.
    pub(crate) fn change(
        &mut self,
        change: Change<K>,
        made: &mut HashMap<K, M>,
        now: Instant,
        told: &mut Vec<Told<K>>,
    ) -> bool {
        match change {
            Change::Set(members) => self.set(members, made, now, told),
            Change::Insert(member) => match self.find(&member.key) {
                Some(at) => std::mem::replace(&mut self.records[at].member, member.clone()) != member,
                None => made.remove(&member.key).is_some_and(|service| {
                    self.join(member, service, now, told);
                    true
                }),
            },
            Change::Remove(key) => match self.find(&key) {
                Some(at) => {
                    self.records.remove(at).take_tally(&self.common);
                    told.push(Told::Left(key));
                    true
                }
                None => false,
            },
            Change::Health(key, health) => match self.find(&key) {
                Some(at) => self.heartbeat(at, health, now, told),
                None => false,
            },
        }
    }

    fn set(
        &mut self,
        members: Vec<Member<K>>,
        made: &mut HashMap<K, M>,
        now: Instant,
        told: &mut Vec<Told<K>>,
    ) -> bool {
        let mut old: HashMap<K, Record<K, M>> =
            self.records.drain(..).map(|record| (record.member.key.clone(), record)).collect();
        let (before, mut changed) = (old.len(), false);
        let (mut kept, mut seen) = (0, HashSet::new());
        for member in members {
            if !seen.insert(member.key.clone()) {
                continue;
            }
            match old.remove(&member.key) {
                Some(mut record) => {
                    kept += 1;
                    changed |= record.member != member;
                    record.member = member;
                    self.records.push(record);
                }
                None => {
                    if let Some(service) = made.remove(&member.key) {
                        changed = true;
                        self.join(member, service, now, told);
                    }
                }
            }
        }
        for (key, mut record) in old {
            record.take_tally(&self.common);
            told.push(Told::Left(key));
        }
        self.started |= !self.records.is_empty();
        changed || kept != before
    }

    fn join(&mut self, member: Member<K>, service: M, now: Instant, told: &mut Vec<Told<K>>) {
        let seat = Arc::new(Seat::new(self.common.clone(), self.common.at(now)));
        let entry = Entry { key: member.key.clone(), service, seat };
        told.push(Told::Joined(member.key.clone()));
        let warms = self.started.then_some(now);
        self.records.push(Record {
            member,
            entry: Arc::new(entry),
            heard: None,
            rare: warms.map(|_| Box::new(Rare { warms, ..*Rare::NOTHING })),
            memory: Memory::default(),
            tally: [0; 3],
            success_rate: f32::NAN,
            health: Health::Unknown,
            cause: None,
        });
    }

    fn heartbeat(&mut self, at: usize, health: Health, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let (common, pardons) = (&self.common, self.value.ejection.pardon);
        let record = &mut self.records[at];
        record.heard = NonZeroU64::new(common.at(now).max(1));
        let before = std::mem::replace(&mut record.health, health);
        let mut changed = before != health;
        if changed {
            told.push(Told::Health(record.member.key.clone(), health));
        }
        if health == Health::Up {
            if matches!(before, Health::Down | Health::Draining) {
                record.entry.seat.forget(common.at(now));
                record.rare_mut().warms = Some(now);
            }
            if pardons && record.cause != Some(Cause::Manual) && record.pardon(now) {
                record.come_back(common, now);
                told.push(Told::Returned(record.member.key.clone()));
                changed = true;
            }
            if matches!(record.rare().drained, Drained::Until(_)) && changed {
                record.rare_mut().drained = Drained::No;
                told.push(Told::Undrained(record.member.key.clone()));
            }
        }
        changed
    }

    /// Rules whether a member that is in trouble is ejected now.
    pub(crate) fn trouble(
        &mut self,
        id: Endpoint,
        origin: Origin,
        now: Instant,
        told: &mut Vec<Told<K>>,
    ) -> bool {
        let Some(at) = self.records.iter().position(|record| record.entry.seat.id == id) else {
            return false;
        };
        let seat = &self.records[at].entry.seat;
        match seat.streaks.failure(origin, &self.value.ejection) {
            Some(cause) => self.rule(at, cause, now, told),
            None => false,
        }
    }

    fn rule(&mut self, at: usize, cause: Cause, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let counted = |record: &&Record<K, M>| !record.is_broken() && !record.leaves();
        let out = |record: &Record<K, M>| record.rare().sentence.is_out() || record.health == Health::Down;
        let failing = |(n, record): (usize, &Record<K, M>)| {
            n != at && !record.leaves() && !out(record) && record.entry.seat.streaks.failed_last()
        };
        let crowd = Crowd {
            members: self
                .records
                .iter()
                .filter(counted)
                .filter(|record| record.health != Health::Down)
                .count(),
            out: self.records.iter().filter(counted).filter(|record| record.rare().sentence.is_out()).count(),
            failing: self.records.iter().enumerate().filter(|one| failing(*one)).count(),
        };
        let record = &mut self.records[at];
        let key = record.member.key.clone();
        let ruling = self.value.ejection.rule(
            cause,
            &mut record.rare_mut().sentence,
            crowd,
            &mut self.ejections,
            &self.dice,
            now,
        );
        match ruling {
            Ruling::Ejected { until, times } => {
                record.cause = Some(cause);
                record.rare_mut().ejections += 1;
                let pause = until.saturating_duration_since(now);
                told.push(Told::Ejected { key, cause, pause, times });
                true
            }
            Ruling::Watched => {
                told.push(Told::Watched { key, cause });
                false
            }
            Ruling::Withheld(room) => {
                self.withheld_lately = true;
                if self.withheld.replace(room) != Some(room) {
                    told.push(Told::Withheld { key, cause, room });
                }
                false
            }
            Ruling::Dropped => false,
        }
    }

    /// Does what is due: lets members back in, ends an interval. True if calls have to see it.
    pub(crate) fn tick(&mut self, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let mut changed = false;
        // Who comes after there were calls has to grow warm.
        self.started |= !self.records.is_empty();
        let (since, memory) = (self.common.at(now), self.common.memory());
        for record in &mut self.records {
            record.entry.seat.fade(since, memory);
            if record.rare().sentence.is_out() && record.rare_mut().sentence.release(now) {
                record.come_back(&self.common, now);
                told.push(Told::Returned(record.member.key.clone()));
                changed = true;
            }
            if matches!(record.rare().drained, Drained::Until(until) if now >= until) {
                let rare = record.rare_mut();
                (rare.drained, rare.warms) = (Drained::No, Some(now));
                told.push(Told::Undrained(record.member.key.clone()));
                changed = true;
            }
            changed |= record.is_warming();
        }
        let interval = self.value.ejection.interval;
        if now.saturating_duration_since(self.began) >= interval {
            changed |= self.end_interval(now, told);
            self.began = now;
        }
        changed
    }

    fn end_interval(&mut self, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let (began, ejection) = (self.began, self.value.ejection);
        if !std::mem::take(&mut self.withheld_lately) && self.withheld.take().is_some() {
            told.push(Told::Ejects);
        }
        let mut judged = Vec::with_capacity(self.records.len());
        let mut samples = Vec::with_capacity(self.records.len());
        for (at, record) in self.records.iter_mut().enumerate() {
            let tally = record.take_tally(&self.common);
            if let Some(rate) = tally.success_rate(ejection.split_local) {
                record.success_rate = rate as f32;
            }
            if let Some(rare) = record.rare.as_mut().filter(|_| tally.is_well()) {
                rare.breaks = 0;
            }
            if record.rare().sentence.is_out() || record.leaves() {
                continue;
            }
            judged.push((at, tally.is_well()));
            samples.push(Sample { tally, memory: std::mem::take(&mut record.memory) });
        }
        let found = outliers(&ejection, &mut samples);
        let mut changed = false;
        for ((at, _), sample) in judged.iter().zip(samples) {
            self.records[*at].memory = sample.memory;
        }
        let ill: Vec<usize> = found.iter().map(|(sample, _)| judged[*sample].0).collect();
        for (sample, cause) in found {
            changed |= self.rule(judged[sample].0, cause, now, told);
        }
        for (at, well) in judged {
            if well && !ill.contains(&at) {
                if let Some(rare) = &mut self.records[at].rare {
                    rare.sentence.healthy_interval(began);
                }
            }
        }
        self.remember();
        changed
    }

    /// Has the members' averages remember for as long as they are to.
    pub(crate) fn remember(&self) {
        self.common.remember(self.value.tau, self.value.choice == Choice::P2c);
    }

    /// The members whose services are to be made anew now. They are not named again for a while, as making one may panic.
    pub(crate) fn torn(&mut self, now: Instant) -> Vec<(Endpoint, K)> {
        let torn = |record: &mut Record<K, M>| {
            let broken = &mut record.rare.as_mut()?.broken;
            (*broken).filter(|until| now >= *until)?;
            *broken = Some(now + BREAK);
            Some((record.entry.seat.id, record.member.key.clone()))
        };
        self.records.iter_mut().filter_map(torn).collect()
    }

    /// Gives a member another service. Gives it back if nobody needs it any more.
    pub(crate) fn mend(
        &mut self,
        id: Endpoint,
        service: M,
        now: Instant,
        told: &mut Vec<Told<K>>,
    ) -> Option<M> {
        let mut records = self.records.iter_mut();
        let Some(record) = records.find(|record| record.entry.seat.id == id && record.is_broken()) else {
            return Some(service);
        };
        let (key, seat) = (record.member.key.clone(), record.entry.seat.clone());
        record.entry = Arc::new(Entry { service, key, seat });
        let rare = record.rare_mut();
        (rare.broken, rare.warms) = (None, Some(now));
        told.push(Told::Mended(record.member.key.clone()));
        None
    }

    /// Puts another value in place.
    pub(crate) fn update(&mut self, value: Balance, now: Instant, told: &mut Vec<Told<K>>) {
        let old = std::mem::replace(&mut self.value, value);
        if old != self.value {
            told.push(Told::Changed { old: Box::new(old), new: Box::new(self.value.clone()) });
        }
        if !self.value.ejection.enabled {
            self.withheld = None;
            for record in self.records.iter_mut().filter(|record| record.cause != Some(Cause::Manual)) {
                if record.pardon(now) {
                    record.come_back(&self.common, now);
                    told.push(Told::Returned(record.member.key.clone()));
                }
            }
        }
        self.remember();
    }

    /// A member's service has said that it will never be ready again.
    pub(crate) fn broken(&mut self, id: Endpoint, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let Some(record) = self.records.iter_mut().find(|record| record.entry.seat.id == id) else {
            return false;
        };
        let rare = record.rare_mut();
        if rare.broken.is_some() {
            return false;
        }
        let pause = BREAK.saturating_mul(1 << rare.breaks.min(5)).min(LONGEST_BREAK);
        rare.breaks += 1;
        rare.broken = Some(now + pause);
        told.push(Told::Broken(record.member.key.clone()));
        true
    }

    /// An answer of a member has said that it drains.
    pub(crate) fn drains(&mut self, id: Endpoint, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let Some(record) = self.records.iter_mut().find(|record| record.entry.seat.id == id) else {
            return false;
        };
        let before = record.rare().drained;
        if before == Drained::ByHand {
            return false;
        }
        record.rare_mut().drained = Drained::Until(now + DRAIN);
        if before == Drained::No {
            told.push(Told::Draining(record.member.key.clone()));
        }
        before == Drained::No
    }

    /// Has a member drain by hand, or no longer. False if there is none of this key.
    pub(crate) fn drain(&mut self, key: &K, drain: bool, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let Some(at) = self.find(key) else { return false };
        let record = &mut self.records[at];
        if drain && record.rare().drained != Drained::ByHand {
            told.push(Told::Draining(key.clone()));
        } else if !drain && record.rare().drained != Drained::No {
            record.rare_mut().warms = Some(now);
            told.push(Told::Undrained(key.clone()));
        }
        record.rare_mut().drained = if drain { Drained::ByHand } else { Drained::No };
        true
    }

    /// Ejects a member by hand. False if there is none of this key.
    pub(crate) fn eject(&mut self, key: &K, pause: Duration, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let Some(at) = self.find(key) else { return false };
        let record = &mut self.records[at];
        record.rare_mut().sentence.hold(now, pause);
        record.cause = Some(Cause::Manual);
        record.rare_mut().ejections += 1;
        self.ejections.count_ejected(Cause::Manual);
        told.push(Told::Ejected { key: key.clone(), cause: Cause::Manual, pause, times: 0 });
        true
    }

    /// Ends the ejection of a member, and forgets what is held against it. False if there is none of this key.
    pub(crate) fn pardon(&mut self, key: &K, now: Instant, told: &mut Vec<Told<K>>) -> bool {
        let Some(at) = self.find(key) else { return false };
        let record = &mut self.records[at];
        if record.pardon(now) {
            record.come_back(&self.common, now);
            told.push(Told::Returned(key.clone()));
        }
        record.entry.seat.forgive();
        true
    }

    /// Makes the set that calls see from now on, and says when there is something to do next.
    pub(crate) fn publish(&mut self, now: Instant, told: &mut Vec<Told<K>>) -> Set<K, M> {
        let value = &self.value;
        for record in &mut self.records {
            let warm = |since: Instant| now.saturating_duration_since(since) < value.slow_start;
            if let Some(rare) = &mut record.rare {
                rare.warms = rare.warms.filter(|since| warm(*since));
            }
            record.entry.seat.set_warming(record.is_warming());
        }
        let tiers = self.tiers();
        let panic = value.enabled && tiers::is_panic(&tiers, value.panic_threshold);
        if panic != self.panic {
            self.panic = panic;
            self.panics += u64::from(panic);
            told.push(Told::Panic(panic));
        }
        let choice = if value.enabled { value.choice } else { Choice::RoundRobin };
        let everybody = panic || !value.enabled;
        let mut pools = Vec::new();
        if everybody {
            pools.push((1.0, self.lanes(now, |record| record.calls() && !record.leaves())));
        } else {
            let mut upto = 0.0;
            for (tier, share) in tiers.iter().zip(tiers::shares(&tiers)) {
                upto += share;
                if share > 0.0 {
                    let lanes =
                        self.lanes(now, |record| record.is_usable() && self.rank(record) == tier.rank);
                    pools.push((upto as f32, lanes));
                }
            }
        }
        pools.retain(|(_, lanes)| !lanes.is_empty());
        if pools.is_empty() && tiers.is_empty() {
            // They all are about to leave, and there is nobody else: they still answer.
            let lanes = self.lanes(now, Record::calls);
            if !lanes.is_empty() {
                pools.push((1.0, lanes));
            }
        }
        let empty = pools.is_empty();
        if empty != std::mem::replace(&mut self.empty, empty) {
            told.push(Told::Empty(empty));
        }
        let entries: Box<[_]> = self.records.iter().map(|record| record.entry.clone()).collect();
        let hash = |lane: &Lane| entries.get(lane.place as usize).map_or(0, |entry| hash_of(&entry.key));
        let pools = pools.into_iter().map(|(upto, lanes)| (upto, Pool::new(lanes, choice, hash))).collect();
        let Balance { enabled, max_in_flight, wait, .. } = *value;
        Set { entries, pools, choice, panic, enabled, max_in_flight, wait }
    }

    /// When there is something to do next.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let value = &self.value;
        // Whether or not it ejects: how calls end is counted in few bits.
        let interval =
            (!self.records.is_empty()).then(|| self.began.checked_add(value.ejection.interval)).flatten();
        let step = (value.slow_start / STEPS).max(Duration::from_millis(1));
        let each = self.records.iter().flat_map(|record| {
            let rare = record.rare();
            let drained = if let Drained::Until(until) = rare.drained { Some(until) } else { None };
            let warmer = rare.warms.map(|_| now + step);
            [rare.sentence.until(), rare.broken, drained, warmer]
        });
        let faded = (self.records.len() > 1).then(|| now + self.value.tau / FADES);
        each.flatten().chain(interval).chain(faded).min()
    }

    /// How calls have ended: successes, failures, and those without an answer.
    pub(crate) fn ends(&self) -> [u64; 3] {
        let mut ends = self.common.counts.past();
        for record in &self.records {
            let Tally { successes, failures, local, .. } = record.tally();
            ends.iter_mut().zip([successes, failures, local]).for_each(|(all, more)| *all += u64::from(more));
        }
        ends
    }

    pub(crate) const fn is_panic(&self) -> bool {
        self.panic
    }

    fn tiers(&self) -> Vec<Tier> {
        let mut tiers: Vec<Tier> = Vec::new();
        for record in self.records.iter().filter(|record| record.calls() && !record.leaves()) {
            let rank = self.rank(record);
            let at = tiers.binary_search_by_key(&rank, |tier| tier.rank).unwrap_or_else(|at| {
                let own_zone = self.value.zone.is_some() && rank % 2 == 0;
                let zones = own_zone.then_some(Balance::DEFAULT_HEADROOM);
                let headroom = self.value.gentle.or(zones);
                tiers.insert(at, Tier { rank, members: 0, usable: 0, headroom });
                at
            });
            tiers[at].members += 1;
            tiers[at].usable += usize::from(record.is_usable());
        }
        tiers
    }

    /// The place of a member's tier: of each, those of our own zone come first.
    fn rank(&self, record: &Record<K, M>) -> u64 {
        let away = self.value.zone.is_some() && record.member.zone != self.value.zone;
        u64::from(record.member.tier) * 2 + u64::from(away)
    }

    fn lanes(&self, now: Instant, which: impl Fn(&Record<K, M>) -> bool) -> Vec<Lane> {
        let lanes = self.records.iter().enumerate().filter(|(_, record)| which(record));
        let lane = |(place, record): (usize, &Record<K, M>)| {
            let warm = record.rare().warms.map_or(1.0, |since| {
                let gone = now.saturating_duration_since(since).as_secs_f64();
                (gone / self.value.slow_start.as_secs_f64()).clamp(1.0 / f64::from(STEPS), 1.0)
            });
            let handicap = (1.0 / (f64::from(record.member.weight) * warm)) as f32;
            let seat = record.entry.seat.clone();
            Lane { seat, place: place as u32, handicap }
        };
        lanes.map(lane).collect()
    }

    pub(crate) fn find(&self, key: &K) -> Option<usize> {
        self.records.iter().position(|record| record.member.key == *key)
    }
}

impl<K, M> Record<K, M> {
    /// What is out of the common with it.
    pub(crate) fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(Rare::NOTHING)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| Box::new(*Rare::NOTHING))
    }

    pub(crate) fn success_rate(&self) -> Option<f64> {
        Some(f64::from(self.success_rate)).filter(|rate| !rate.is_nan())
    }

    /// Lets it back in, if it is out.
    fn pardon(&mut self, now: Instant) -> bool {
        self.rare.as_mut().is_some_and(|rare| rare.sentence.pardon(now))
    }

    /// How its calls have ended since the tally was last taken.
    pub(crate) fn tally(&self) -> Tally {
        let [successes, failures, local] = self.tally;
        self.entry.seat.tally().since(Tally { successes, failures, local, latency: Duration::ZERO })
    }

    /// Takes the tally, which then begins anew.
    fn take_tally(&mut self, common: &Common) -> Tally {
        let tally = self.tally();
        for (taken, more) in self.tally.iter_mut().zip([tally.successes, tally.failures, tally.local]) {
            *taken = taken.wrapping_add(more);
        }
        common.counts.keep(tally);
        tally
    }

    /// Whether it is about to leave, by whoever says so.
    pub(crate) fn leaves(&self) -> bool {
        self.member.draining || self.rare().drained != Drained::No || self.health == Health::Draining
    }

    /// Whether it takes calls at all.
    fn calls(&self) -> bool {
        self.member.weight > 0 && !self.is_broken()
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.member.weight > 0 && !self.leaves() && !self.is_out()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.rare().broken.is_some()
    }

    fn is_out(&self) -> bool {
        self.health == Health::Down || self.rare().sentence.is_out() || self.is_broken()
    }

    pub(crate) fn is_warming(&self) -> bool {
        self.rare().warms.is_some()
    }

    fn come_back(&mut self, common: &Common, now: Instant) {
        self.rare_mut().warms = Some(now);
        (self.cause, self.memory) = (None, Memory::default());
        self.take_tally(common);
        self.entry.seat.streaks.reset();
        self.entry.seat.forget(common.at(now));
    }
}
