//! One incident, from when it starts to when it is over.

use super::cause::Place;
use super::signs::Seen;
use crate::parts::id;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Events that are kept of an incident; of the others only the count is.
const EVENTS: usize = 40;

/// How long nothing may be seen before something is over, in milliseconds: a breaker that probes in vain is not.
pub(super) const QUIET: i64 = 5000;

/// What went wrong, and who saw it. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Incident {
    pub(super) id: String,
    /// The kind of the fault, or of what was seen.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The target of the fault, or where it was seen.
    pub(super) cause: String,
    /// The fault, where it is one.
    pub(super) fault: Option<String>,
    pub(super) started: i64,
    pub(super) detected: Option<i64>,
    pub(super) resolved: Option<i64>,
    pub(super) evidence: Evidence,
    #[serde(skip)]
    pub(super) life: Life,
}

/// What was seen.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Evidence {
    pub(super) events: Vec<Event>,
    /// Events that are not kept.
    pub(super) more: u64,
    /// The most orders that were under way at a time.
    pub(super) orders_under_way: u64,
}

/// A layer, a service or the checker has changed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Event {
    pub(super) at: i64,
    pub(super) layer: String,
    pub(super) name: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) note: Option<String>,
}

/// What is known of an incident that is not over.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// When its fault was over.
    pub(super) ended: Option<i64>,
    /// What shows it at the moment, and in which state.
    shown: BTreeMap<(&'static str, String), String>,
    /// When something of it was seen last.
    pub(super) last: Option<i64>,
    /// Whether it is not written down as it is.
    pub(super) is_news: bool,
}

impl Incident {
    pub(super) fn new(kind: &str, cause: &str, fault: Option<&str>, started: i64) -> Self {
        Self {
            id: id::new(),
            kind: kind.to_owned(),
            cause: cause.to_owned(),
            fault: fault.map(str::to_owned),
            started,
            detected: None,
            resolved: None,
            evidence: Evidence::default(),
            life: Life { is_news: true, ..Life::default() },
        }
    }

    /// Whether it may be why something is wrong at a place.
    pub(super) fn explains(&self, place: Place<'_>) -> bool {
        match self.kind.as_str() {
            // Who is too many is too many for all.
            "load" => true,
            "dead_letters" | "invariant_broken" => false,
            _ => Place::parse(&self.cause).explains(place),
        }
    }

    /// Something shows it.
    pub(super) fn sees(&mut self, sign: (&'static str, &str), before: Option<&Seen>, seen: &Seen, now: i64) {
        self.life.last = Some(now);
        let shown = self.life.shown.insert((sign.0, sign.1.to_owned()), seen.state.clone());
        if shown.as_ref() == Some(&seen.state) {
            return;
        }
        let from = shown.or_else(|| before.map(|before| before.state.clone()));
        // It was wrong before it was known why.
        let from = from.filter(|from| *from != seen.state);
        self.detected.get_or_insert(now);
        self.tell(sign, from, Some(seen.state.clone()), seen.note.clone(), now);
    }

    /// Notes what shows it no more: `seen` says how a layer is now, if it is still there, and whether it is well.
    pub(super) fn looks_again(
        &mut self,
        seen: impl Fn(&(&'static str, String)) -> Option<(String, bool)>,
        now: i64,
    ) {
        let gone: Vec<_> = self.life.shown.keys().map(|sign| (sign.clone(), seen(sign))).collect();
        for (sign, state) in gone {
            let to = match state {
                Some((_, false)) => continue,
                Some((state, true)) => Some(state),
                None => None,
            };
            let from = self.life.shown.remove(&sign);
            self.life.last = Some(now);
            self.tell((sign.0, &sign.1), from, to, None, now);
        }
    }

    pub(super) fn counts(&mut self, orders: u64) {
        if orders > self.evidence.orders_under_way {
            self.evidence.orders_under_way = orders;
            self.life.is_news = true;
        }
    }

    /// Ends it, when its fault is over and nothing has shown it for a while.
    pub(super) fn settle(&mut self, now: i64) {
        let is_over = self.fault.is_none() || self.life.ended.is_some();
        let since = self.life.last.max(self.life.ended).unwrap_or(self.started);
        if is_over && self.life.shown.is_empty() && now - since >= QUIET {
            self.resolved = Some(since.max(self.started));
            self.life.is_news = true;
        }
    }

    fn tell(
        &mut self,
        (layer, name): (&str, &str),
        from: Option<String>,
        to: Option<String>,
        note: Option<String>,
        at: i64,
    ) {
        self.life.is_news = true;
        if self.evidence.events.len() >= EVENTS {
            self.evidence.more += 1;
            return;
        }
        let (layer, name) = (layer.to_owned(), name.to_owned());
        self.evidence.events.push(Event { at, layer, name, from, to, note });
    }
}
