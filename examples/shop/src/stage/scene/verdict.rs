//! How the shop is, in one sentence: found by looking at its layers and its customers, and not by knowing what was done to it.

use super::cells::{CUSTOMERS, Crowd};
use super::shield::{Shield, shield};
use super::sight::Glance;
use super::trouble::{Grade, Trouble, percent, title, troubles};
use serde::Serialize;

/// So few may be hurt at a time on any busy day.
const FEW: usize = 3;

/// The share of customers who are hurt that makes it bad, whatever the reason.
const BAD: f64 = 0.1;

/// So many orders under way at a time are more than an order takes to be placed.
const MANY: f64 = 3.0;

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tone {
    Good,
    Wait,
    Bad,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) tone: Tone,
    pub(super) sentence: String,
    /// Instances, services or hops, the worst first.
    pub(super) failing: Vec<String>,
    pub(super) hurt: Hurt,
    /// A layer and its call: the one that spares the customers the most.
    pub(super) protected_by: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Hurt {
    pub(super) customers: usize,
    pub(super) of: usize,
    pub(super) share: f64,
}

/// The verdict on what the layers show and how the customers fare. The sentence has no number that changes while nothing happens, for
/// it is read aloud when it changes.
pub(super) fn verdict(layers: &[Glance], crowd: Crowd) -> Verdict {
    let hurt = Hurt {
        customers: crowd.hurt,
        of: CUSTOMERS,
        share: (crowd.hurt as f64 / CUSTOMERS as f64 * 1000.0).round() / 1000.0,
    };
    if layers.is_empty() {
        let sentence = "There is nothing to see yet.".to_owned();
        return Verdict { tone: Tone::Wait, sentence, failing: Vec::new(), hurt, protected_by: None };
    }
    let troubles = troubles(layers);
    let is_hurt = crowd.hurt > FEW;
    let is_off = layers.iter().any(|it| it.layer == "config" && it.now("switched_off") > 0.0);
    let refused = layers.iter().find(|it| it.layer == "config" && it.state == "refused");
    let in_trouble = is_hurt || troubles.iter().any(|trouble| trouble.grade != Grade::Beside);
    let mut failing = Vec::new();
    for name in troubles.iter().flat_map(|trouble| &trouble.names) {
        if !failing.contains(name) {
            failing.push(name.clone());
        }
    }
    let shield = shield(layers, &failing).filter(|_| in_trouble && crowd.hurt + crowd.degraded > 0);

    let mut said = Vec::new();
    if !troubles.is_empty() {
        said.push(first(&troubles, in_trouble));
    } else if is_hurt && crowd.shed * 2 > crowd.hurt {
        said.push("More is asked for than there is".into());
    } else if is_hurt {
        said.push("The shop is not well, and no service shows why".into());
    }
    if in_trouble && crowd.shopping > 0 {
        said.extend(harm(crowd, shield.as_ref()));
    }
    if in_trouble && under_way(layers) > MANY {
        let is_broken = layers.iter().any(|it| it.layer == "invariant" && it.state == "broken");
        said.push(if is_broken { "Orders wait" } else { "Orders wait, none is lost" }.into());
    }
    if let Some(refused) = refused {
        said.push(format!("What {} says is no good, and changes nothing", refused.name));
    }
    if is_off {
        said.push("Protections are off".into());
    }
    let tone = match () {
        () if hurt.share >= BAD || troubles.iter().any(|trouble| trouble.grade == Grade::Gone) => Tone::Bad,
        () if !said.is_empty() => Tone::Wait,
        () => Tone::Good,
    };
    let sentence = if said.is_empty() { "All is well.".into() } else { format!("{}.", said.join(". ")) };
    let protected_by = shield.map(|shield| format!("{} {}", shield.layer, shield.name));
    Verdict { tone, sentence, failing, hurt, protected_by }
}

/// What is wrong, the worst first. What stands beside the shop and is gone, it can do without.
fn first(troubles: &[Trouble], in_trouble: bool) -> String {
    let said = troubles.iter().map(|trouble| match trouble.grade {
        Grade::Beside if !in_trouble => format!("{}, and the shop still sells", trouble.words),
        _ => trouble.words.clone(),
    });
    capital(&said.collect::<Vec<_>>().join("; "))
}

fn harm(crowd: Crowd, shield: Option<&Shield>) -> Vec<String> {
    let share = crowd.hurt as f64 / CUSTOMERS as f64;
    let by =
        |whom: &str| shield.map(|it| format!("the {} of {} protects {whom}", it.title(), title(&it.name)));
    if crowd.hurt == 0 {
        let by = by("them").map(|by| format!(": {by}")).unwrap_or_default();
        return vec![format!("No customer is hurt{by}")];
    }
    let hurt = capital(&format!("{} of the customers are hurt", percent(share)));
    [Some(hurt), by("the others").map(|by| capital(&by))].into_iter().flatten().collect()
}

fn under_way(layers: &[Glance]) -> f64 {
    const STEPS: [&str; 5] = ["PENDING", "RESERVED", "PAID", "REFUNDING", "RELEASING"];
    let orders = layers.iter().filter(|it| it.layer == "orders");
    orders.map(|orders| STEPS.iter().map(|step| orders.now(step)).sum::<f64>()).sum()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
