//! What is wrong, by what the services, their meters and those who call them show. What follows from something deeper down is
//! not told: who calls a payment that fails does not fail by itself.

use super::sight::{Glance, TOOK_LONG};
use std::collections::{BTreeMap, BTreeSet};

/// Of the calls of the last seconds, the share and the number that must go wrong until somebody fails.
const FAILS: f64 = 0.3;
const FEW: f64 = 2.0;

/// The same, of those whom a caller cannot reach: it may have been the caller who had no time.
const SOME: f64 = 4.0;

/// Whose calls may take long: passwords do.
const PATIENT: [&str; 2] = ["gateway", "user"];

/// Who is expected to answer so late is slow, in seconds.
const LATE: f64 = 0.8;

/// So many that were refused in the last seconds are too many.
const REFUSED: f64 = 5.0;

/// No call waits for these.
const BESIDE: [(&str, &str); 2] = [("registry", "the registry"), ("config", "the config service")];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Grade {
    /// Nobody needs it to sell.
    Beside,
    /// Others stand in for it, or it does its best.
    Ill,
    /// There is none of it left, or what must hold does not.
    Gone,
}

/// Somebody in trouble.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// Instances, a service or a hop.
    pub(super) names: Vec<String>,
    pub(super) words: String,
    pub(super) grade: Grade,
}

/// Everything that is wrong, the worst first.
pub(super) fn troubles(layers: &[Glance]) -> Vec<Trouble> {
    let shop = Shop::of(layers);
    let mut found: Vec<_> = shop.broken().into_iter().chain(shop.away()).collect();
    found.extend(shop.failing());
    found.extend(shop.hops());
    found.extend(shop.refusing());
    found.extend(shop.dead_letters());
    found.sort_by_key(|trouble| match trouble.grade {
        Grade::Gone => 0,
        Grade::Ill => 1,
        Grade::Beside => 2,
    });
    found
}

/// `payment` of `payment-2`, and of `payment POST`.
pub(super) fn service(name: &str) -> &str {
    let name = name.split(' ').next().unwrap_or(name);
    match name.rsplit_once('-') {
        Some((service, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => service,
        _ => name,
    }
}

/// For people.
pub(super) fn title(name: &str) -> String {
    name.replace("->", " → ")
}

struct Shop<'a> {
    layers: &'a [Glance],
    /// Which services each service asks.
    asks: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The instances that go wrong by their own meters, and how.
    ill: BTreeMap<&'a str, String>,
    /// The hops and instances that go wrong for those who call them, and for nobody else; with the service that is called.
    unheard: Vec<(String, &'a str)>,
    /// The services to whom all that is.
    troubled: BTreeSet<&'a str>,
}

impl<'a> Shop<'a> {
    fn of(layers: &'a [Glance]) -> Self {
        let mut asks = BTreeMap::<_, BTreeSet<_>>::new();
        let calls = layers.iter().filter(|it| matches!(it.layer, "meter" | "breaker"));
        for (from, to) in calls.filter_map(|it| it.name.split_once("->")) {
            asks.entry(service(from)).or_default().insert(service(to));
        }
        let mut shop =
            Self { layers, asks, ill: BTreeMap::new(), unheard: Vec::new(), troubled: BTreeSet::new() };
        let up = shop.instances().filter(|it| !is_away(it));
        shop.ill = up.filter_map(|it| Some((it.name.as_str(), shop.illness(&it.name)?))).collect();
        shop.unheard = shop.unheard();
        let away = shop.instances().filter(|it| is_away(it)).map(|it| service(&it.name));
        let bus =
            shop.all("breaker").filter(|it| it.name.ends_with("->bus") && it.state == "open").map(|_| "bus");
        let ill = shop.ill.keys().map(|name| service(name));
        shop.troubled = away.chain(bus).chain(ill).chain(shop.unheard.iter().map(|(_, to)| *to)).collect();
        shop
    }

    fn all(&self, layer: &'static str) -> impl Iterator<Item = &'a Glance> {
        self.layers.iter().filter(move |it| it.layer == layer)
    }

    fn instances(&self) -> impl Iterator<Item = &'a Glance> {
        self.all("service").filter(|it| BESIDE.iter().all(|(name, _)| *name != it.name))
    }

    /// Whether somebody further down is in trouble, so that this one cannot help it.
    fn is_explained(&self, from: &str) -> bool {
        let (mut known, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(one) = next.pop() {
            for to in self.asks.get(one).into_iter().flatten().filter(|to| **to != from) {
                if self.troubled.contains(to) {
                    return true;
                }
                if known.insert(*to) {
                    next.push(to);
                }
            }
        }
        false
    }

    fn illness(&self, instance: &str) -> Option<String> {
        let meter = self.all("meter").find(|it| it.name == instance)?;
        let [good, bad, given_up] = meter.grown_lately(["successes", "failures", "abandoned"]);
        let all = good + bad + given_up;
        let is_many = |some: f64| some >= FEW && some >= all * FAILS;
        let [long, _, _, _] = meter.grown_lately([TOOK_LONG, "successes", "failures", "abandoned"]);
        let is_late = self.is_late(instance) || is_many(long);
        let is_slow = is_late && all > 0.0 && !PATIENT.contains(&service(instance));
        match is_many(bad) {
            true if is_slow => {
                Some(format!("is slow, and fails: {} of its calls go wrong", percent(bad / all)))
            }
            true => Some(format!("fails: {} of its calls go wrong", percent(bad / all))),
            false if is_many(given_up) => Some("is so slow that its callers give up".into()),
            false if is_slow => Some("is slow: its calls take about a second, or longer".into()),
            false => None,
        }
    }

    /// Whether those who call it expect it to be late.
    fn is_late(&self, instance: &str) -> bool {
        self.all("endpoint").any(|it| {
            let at = it.name.split_once('/').and_then(|(_, at)| self.at(at));
            let is_asked = it.grown("successes") + it.grown("failures") + it.grown("unanswered") >= 1.0;
            at.is_some_and(|at| at.name == instance) && is_asked && it.now("latency_seconds") >= LATE
        })
    }

    /// What those who call see go wrong, where who is called has not even heard of it.
    fn unheard(&self) -> Vec<(String, &'a str)> {
        let mut calls = BTreeMap::<_, Vec<_>>::new();
        for it in self.all("endpoint") {
            if let Some((call, at)) = it.name.split_once('/') {
                calls.entry(call).or_default().push((it, self.at(at)));
            }
        }
        let mut found = Vec::new();
        for (call, endpoints) in calls {
            let Some((from, to)) = call.split_once("->") else { continue };
            let counts = |it: &Glance| {
                let [good, bad, none] = it.grown_lately(["successes", "failures", "unanswered"]);
                (bad + none, bad + none + good)
            };
            let used: Vec<_> = endpoints.iter().filter(|(it, _)| counts(it).1 >= FEW).collect();
            let fails = |it: &Glance| {
                let (bad, all) = counts(it);
                bad >= SOME && bad >= all * FAILS
            };
            let is_heard = |instance: &Option<&Glance>| {
                instance.is_some_and(|it| is_away(it) || self.ill.contains_key(it.name.as_str()))
            };
            let failing: Vec<_> = used.iter().filter(|(it, at)| fails(it) && !is_heard(at)).collect();
            let hop = || format!("{}->{}", service(from), service(to));
            match failing.as_slice() {
                [] => {}
                // Whose breakers are open is not asked.
                _ if self.is_open(call) => found.push((hop(), service(to))),
                [(_, Some(at))] if used.len() > 1 => found.push((at.name.clone(), service(to))),
                some if some.len() == used.len() => found.push((hop(), service(to))),
                some => {
                    let names = some.iter().map(|(_, at)| at.map_or_else(hop, |at| at.name.clone()));
                    found.extend(names.map(|name| (name, service(to))));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn is_open(&self, call: &str) -> bool {
        self.all("breaker").any(|it| it.name.starts_with(call) && matches!(it.state, "open" | "half-open"))
    }

    /// Who listens at a URL.
    fn at(&self, url: &str) -> Option<&'a Glance> {
        let port: f64 = url.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()?;
        self.all("service").find(|it| it.now("port") == port)
    }

    fn broken(&self) -> Option<Trouble> {
        let broken: Vec<_> =
            self.all("invariant").filter(|it| it.state == "broken").map(|it| it.name.as_str()).collect();
        let words = format!("it does not hold that {}", broken.join(", and that "));
        (!broken.is_empty()).then(|| Trouble { names: Vec::new(), words, grade: Grade::Gone })
    }

    fn away(&self) -> Vec<Trouble> {
        let mut services = Vec::<(&str, Vec<&Glance>)>::new();
        for it in self.all("service") {
            match services.iter_mut().find(|(name, _)| *name == service(&it.name)) {
                Some((_, all)) => all.push(it),
                None => services.push((service(&it.name), vec![it])),
            }
        }
        let (mut found, mut beside) = (Vec::new(), Vec::new());
        for (name, all) in services {
            let away: Vec<_> = all.iter().filter(|it| is_away(it)).collect();
            let Some(first) = away.first() else { continue };
            let how = if away.iter().all(|it| how(it) == how(first)) { how(first) } else { "is down" };
            let names = away.iter().map(|it| it.name.clone()).collect();
            if let Some((_, title)) = BESIDE.iter().find(|(beside, _)| *beside == name) {
                beside.push((name, *title, how));
                continue;
            }
            let replicas = format!("{} of {} replicas", away.len(), all.len());
            let (words, grade) = match all.len() {
                // Nobody waits for a mail.
                1 => (format!("{name} {how}"), if name == "mail" { Grade::Ill } else { Grade::Gone }),
                some if away.len() == some => (format!("{name} {how}: {replicas}"), Grade::Gone),
                _ => {
                    let names: Vec<_> = away.iter().map(|it| it.name.as_str()).collect();
                    (format!("{}, {replicas}", sentence(&names, how)), Grade::Ill)
                }
            };
            found.push(Trouble { names, words, grade });
        }
        found.extend(stands_beside(&beside));
        found
    }

    fn failing(&self) -> Vec<Trouble> {
        let blamed = self.ill.iter().filter(|(name, _)| !self.is_explained(service(name)));
        let trouble = |(name, how): (&&str, &String)| Trouble {
            names: vec![(*name).to_owned()],
            words: format!("{name} {how}"),
            grade: Grade::Ill,
        };
        blamed.map(trouble).collect()
    }

    fn hops(&self) -> Vec<Trouble> {
        let mut found: Vec<_> = self.unheard.iter().filter(|(_, to)| !self.is_explained(to)).collect();
        found.dedup();
        let mut troubles: Vec<_> = found
            .into_iter()
            .map(|(name, _)| Trouble {
                names: vec![name.clone()],
                words: match name.split_once("->") {
                    Some((from, to)) if self.is_open(name) => {
                        format!("{from} → {to} fails, and its breakers are open")
                    }
                    Some(_) => format!("{} fails: what is sent there is not answered well", title(name)),
                    None => format!("{name} fails those who call it"),
                },
                grade: Grade::Ill,
            })
            .collect();
        if self.troubled.contains("bus") {
            troubles.push(Trouble {
                names: vec!["bus".into()],
                words: "the bus is away".into(),
                grade: Grade::Ill,
            });
        }
        troubles
    }

    fn refusing(&self) -> Option<Trouble> {
        let refused = |it: &Glance| {
            let [refused, _] = it.grown_lately(["refused", "admitted"]);
            refused
        };
        let much = |it: &&Glance| refused(it) >= REFUSED && !self.is_explained(service(&it.name));
        let worst = self.all("shed").filter(much).max_by(|a, b| refused(a).total_cmp(&refused(b)))?;
        let words = format!("{} refuses what is too much", title(&worst.name));
        Some(Trouble { names: vec![worst.name.clone()], words, grade: Grade::Ill })
    }

    fn dead_letters(&self) -> Option<Trouble> {
        let dead = self.all("orders").map(|it| it.now("dead_letters")).sum::<f64>();
        let words = if dead > 1.0 { "there are dead letters" } else { "there is a dead letter" };
        (dead > 0.0).then(|| Trouble { names: Vec::new(), words: words.into(), grade: Grade::Ill })
    }
}

fn is_away(instance: &Glance) -> bool {
    instance.state != "up" || instance.now("ready") == 0.0
}

fn how(instance: &Glance) -> &'static str {
    match instance.state {
        "killed" => "is down",
        "down" => "is restarting",
        "paused" => "hangs",
        "crash loop" => "falls over again and again",
        _ => "does not answer",
    }
}

/// What no call waits for, and is not there.
fn stands_beside(away: &[(&str, &str, &str)]) -> Option<Trouble> {
    let (_, _, how) = away.first()?;
    let how = if away.iter().all(|(_, _, other)| other == how) { how } else { "is down" };
    let titles: Vec<_> = away.iter().map(|(_, title, _)| *title).collect();
    let names = away.iter().map(|(name, _, _)| (*name).to_owned()).collect();
    Some(Trouble { names, words: sentence(&titles, how), grade: Grade::Beside })
}

fn sentence(who: &[&str], how: &str) -> String {
    let how = if who.len() == 1 { how.to_owned() } else { plural(how) };
    format!("{} {how}", who.join(" and "))
}

fn plural(how: &str) -> String {
    let (verb, rest) = how.split_once(' ').unwrap_or((how, ""));
    let verb = match verb {
        "is" => "are",
        "does" => "do",
        "falls" => "fall",
        _ => "hang",
    };
    format!("{verb} {rest}").trim_end().to_owned()
}

/// To the nearest 5 %, so that it does not change all the time: it is read aloud.
pub(super) fn percent(share: f64) -> String {
    match (share * 20.0).round() * 5.0 {
        none if none < 5.0 => "under 5 %".into(),
        percent => format!("{percent} %"),
    }
}
