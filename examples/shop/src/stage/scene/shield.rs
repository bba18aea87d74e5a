//! Which layer now spares the customers the most.

use super::sight::Glance;
use super::trouble::service;
use std::collections::BTreeMap;

/// A layer, where it stands, and how many calls of the last seconds it has spared something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shield {
    pub(super) layer: &'static str,
    pub(super) name: String,
    effect: f64,
}

impl Shield {
    /// For people.
    pub(super) fn title(&self) -> &'static str {
        match self.layer {
            "balance" => "balancer",
            "stale" => "last good answer",
            layer => layer,
        }
    }
}

/// The one with the most effect against what fails, or at all, where nobody does; of deadlines only where there is nothing else,
/// for they end what would fail anyway.
pub(super) fn shield(layers: &[Glance], failing: &[String]) -> Option<Shield> {
    let mut effects = BTreeMap::<(bool, &'static str, &str), f64>::new();
    for it in layers {
        if let Some((layer, effect)) = effect(it, layers) {
            let call = if layer == "outbox" { "order->bus" } else { call(&it.name) };
            if !is_against(call, failing) {
                continue;
            }
            *effects.entry((layer != "deadline", layer, call)).or_default() += effect;
        }
    }
    let most = effects.into_iter().filter(|(_, effect)| *effect >= 1.0);
    let most = most.max_by(|((first, ..), a), ((other, ..), b)| first.cmp(other).then(a.total_cmp(b)));
    most.map(|((_, layer, name), effect)| Shield { layer, name: name.to_owned(), effect })
}

/// Whether a layer stands before one of these, or keeps out what is too much for it.
fn is_against(call: &str, failing: &[String]) -> bool {
    let to = |name: &str| service(name.rsplit_once("->").map_or(name, |(_, to)| to)).to_owned();
    failing.is_empty() || failing.iter().any(|name| to(name) == to(call))
}

fn effect(it: &Glance, layers: &[Glance]) -> Option<(&'static str, f64)> {
    let is_call = it.name.contains("->");
    Some(match (it.layer, it.state) {
        // What it did before it was switched off, it does not do now.
        (_, "disabled") => return None,
        ("endpoint", _) if is_asked_all_the_same(it, layers) => return None,
        ("breaker", _) if is_call => ("breaker", it.grown("refused")),
        ("endpoint", "ejected") => ("ejection", spared(it, layers)),
        ("endpoint", "down") => ("balance", spared(it, layers)),
        ("stale", _) => ("stale", it.grown("stale_if_error") + it.grown("spared")),
        ("fallback", _) => ("fallback", it.grown("used")),
        ("retry", _) => ("retry", it.grown("recovered")),
        ("hedge", _) => ("hedge", it.grown("won")),
        ("shed", _) if is_call => ("bulkhead", it.grown("refused")),
        ("shed", _) => ("shed", it.grown("refused")),
        ("limit", _) => ("limit", it.grown("refused")),
        ("deadline", _) => ("deadline", it.grown("ended")),
        // What waits there would be lost.
        ("orders", _) if layers.iter().any(|it| it.name.ends_with("->bus") && it.state == "open") => {
            ("outbox", it.now("outbox"))
        }
        _ => return None,
    })
}

/// Whether those who are out have their turns as well, for the balancer before them is off.
fn is_asked_all_the_same(out: &Glance, layers: &[Glance]) -> bool {
    let mut off = layers.iter().filter(|it| it.layer == "balance" && it.state == "disabled");
    off.any(|it| call(&it.name) == call(&out.name))
}

/// The calls that others answered in the place of one that is left out: its share of them.
fn spared(out: &Glance, layers: &[Glance]) -> f64 {
    let beside = layers.iter().filter(|it| it.layer == "endpoint" && call(&it.name) == call(&out.name));
    let (count, answered) =
        beside.fold((0.0, 0.0), |(count, sum), it| (count + 1.0, sum + it.grown("successes")));
    if answered > 0.0 { (answered / count).max(1.0) } else { 0.0 }
}

/// The call, without the replica, the endpoint and what else there is.
fn call(name: &str) -> &str {
    let name = name.split(['/', ',']).next().unwrap_or(name);
    match name.rsplit_once('-') {
        Some((call, number))
            if !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && call.contains("->") =>
        {
            call
        }
        _ => name,
    }
}
