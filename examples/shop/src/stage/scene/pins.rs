//! What happened, for the timeline: found by comparing how things are with how they were.

use super::sight::Glance;
use crate::stage::faults::Fault;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many are kept.
const KEPT: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Pin {
    pub(super) at_ms: i64,
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// How things are, as far as pins tell of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// By id.
    pub(super) faults: BTreeMap<String, String>,
    pub(super) incidents: BTreeMap<String, String>,
    /// The layers that are switched off.
    pub(super) off: BTreeSet<String>,
    /// The calls whose breakers let not all through.
    breakers: BTreeSet<String>,
    crowds: BTreeSet<String>,
    restarts: BTreeMap<String, u64>,
}

impl Facts {
    pub(super) fn of(layers: &[Glance]) -> Self {
        let mut facts = Self::default();
        for it in layers {
            match (it.layer, it.state) {
                ("breaker", "open" | "half-open" | "forced open") if it.name.contains("->") => {
                    facts.breakers.insert(it.name.replace("->", " → "));
                }
                ("load", "here") => {
                    facts.crowds.insert(format!("{} a second", it.now("a_second")));
                }
                ("service", _) => {
                    let count = it.now("restarts") + it.now("falls");
                    facts.restarts.insert(it.name.clone(), count as u64);
                }
                _ => {}
            }
        }
        facts
    }

    /// What has changed since `before`, in the order of the causes.
    fn since(&self, before: &Self) -> Vec<(&'static str, String)> {
        let mut news = Vec::new();
        let mut sets = |kind, now: &BTreeSet<String>, then: &BTreeSet<String>, words: fn(&str) -> String| {
            news.extend(now.difference(then).map(|name| (kind, words(name))));
        };
        let values = |map: &BTreeMap<String, String>| map.values().cloned().collect::<BTreeSet<_>>();
        let faults = (values(&self.faults), values(&before.faults));
        sets("fault", &faults.0, &faults.1, str::to_owned);
        sets("cleared", &faults.1, &faults.0, |name| format!("{name} is over"));
        sets("protection", &self.off, &before.off, |name| format!("{name} is off"));
        sets("protection", &before.off, &self.off, |name| format!("{name} is on"));
        sets("load", &self.crowds, &before.crowds, |rate| format!("a crowd comes, {rate}"));
        sets("load", &before.crowds, &self.crowds, |_| "the crowd is gone".into());
        sets("breaker", &self.breakers, &before.breakers, |name| format!("{name} opens"));
        sets("breaker", &before.breakers, &self.breakers, |name| format!("{name} closes"));
        let incidents = (values(&self.incidents), values(&before.incidents));
        sets("incident", &incidents.0, &incidents.1, str::to_owned);
        for (name, count) in &self.restarts {
            if before.restarts.get(name).is_some_and(|before| before < count) {
                news.push(("restart", format!("{name} is started again")));
            }
        }
        news
    }
}

/// A fault, for people.
pub(super) fn words(fault: &Fault) -> String {
    let Fault { target, kind, share, ms, .. } = fault;
    let kind = kind.as_str();
    let share = if *share < 1.0 { format!(" of {} %", (share * 100.0).round()) } else { String::new() };
    let ms = match kind {
        "latency" | "delay" | "drip" => format!(" by {ms} ms"),
        _ => String::new(),
    };
    format!("{}: {kind}{share}{ms}", target.replace("->", " → "))
}

/// The last pins, and how things were when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pins: VecDeque<Pin>,
    before: Option<Facts>,
}

impl Pins {
    /// Compares. What was there at the first look is no news.
    pub(super) fn look(&mut self, facts: Facts, at_ms: i64) {
        let news = self.before.as_ref().map(|before| facts.since(before)).unwrap_or_default();
        self.before = Some(facts);
        // Many at once are one to look at: all layers of all calls can be switched by a word.
        let mut of = BTreeMap::<_, Vec<_>>::new();
        for (nth, (kind, text)) in news.into_iter().enumerate() {
            let word = text.rsplit(' ').next().unwrap_or_default().to_owned();
            of.entry((kind, word)).or_insert_with(Vec::new).push((nth, text));
        }
        let mut pins: Vec<_> = of.into_iter().map(|((kind, word), texts)| (kind, word, texts)).collect();
        pins.sort_by_key(|(_, _, texts)| texts.first().map(|(nth, _)| *nth));
        for (kind, word, texts) in pins {
            match texts.len() {
                many @ 5.. if kind == "protection" => {
                    self.pin(at_ms, kind, format!("{many} layers are {word}"));
                }
                _ => texts.into_iter().for_each(|(_, text)| self.pin(at_ms, kind, text)),
            }
        }
    }

    pub(super) fn pin(&mut self, at_ms: i64, kind: &'static str, text: String) {
        self.pins.push_back(Pin { at_ms, kind, text });
        if self.pins.len() > KEPT {
            self.pins.pop_front();
        }
    }

    pub(super) fn all(&self) -> Vec<Pin> {
        self.pins.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(layer: &'static str, name: &str, state: &'static str, restarts: f64) -> Glance {
        Glance {
            layer,
            name: name.into(),
            state,
            numbers: [("restarts", restarts)].into(),
            ..Glance::default()
        }
    }

    #[test]
    fn what_changes_is_pinned_once() {
        let mut pins = Pins::default();
        let calm = || {
            Facts::of(&[
                layer("breaker", "order->payment-1", "closed", 0.0),
                layer("service", "order", "up", 1.0),
            ])
        };
        pins.look(Facts { faults: [("1".into(), "bank: hang".into())].into(), ..calm() }, 1);
        assert_eq!(pins.all(), [], "what was there is no news");
        let mut hit = Facts::of(&[
            layer("breaker", "order->payment-1", "open", 0.0),
            layer("service", "order", "up", 2.0),
        ]);
        hit.faults = [("2".into(), "payment: kill".into())].into();
        hit.off = ["order->payment retry".into()].into();
        pins.look(hit.clone(), 2);
        pins.look(hit, 3);
        pins.look(calm(), 4);
        let told: Vec<_> = pins.all().into_iter().map(|pin| (pin.at_ms, pin.kind, pin.text)).collect();
        let told: Vec<_> = told.iter().map(|(at, kind, text)| (*at, *kind, text.as_str())).collect();
        let expected = [
            (2, "fault", "payment: kill"),
            (2, "cleared", "bank: hang is over"),
            (2, "protection", "order->payment retry is off"),
            (2, "breaker", "order → payment-1 opens"),
            (2, "restart", "order is started again"),
            (4, "cleared", "payment: kill is over"),
            (4, "protection", "order->payment retry is on"),
            (4, "breaker", "order → payment-1 closes"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn many_switches_at_once_are_one_pin_and_the_oldest_pins_go() {
        let mut pins = Pins::default();
        pins.look(Facts::default(), 1);
        let off = (0..60).map(|n| format!("call {n}")).collect();
        pins.look(Facts { off, ..Facts::default() }, 2);
        assert_eq!(pins.all()[0].text, "60 layers are off");
        (0..200).for_each(|n| pins.pin(n, "scene", n.to_string()));
        assert_eq!((pins.all().len(), pins.all()[0].at_ms), (KEPT, 100));
    }
}
