//! The layers of another process, as if they were in this one.

use bartizan::core::registry::{self, Observed, UNKNOWN_SETTING, UNKNOWN_VERB};
use bartizan::core::{Invalid, TimesSnapshot};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use url::Url;

/// How long the other process has to do what it is told.
const PATIENCE: Duration = Duration::from_secs(2);

const NO_ANSWER: Invalid = Invalid::new("process", "process of this layer does not answer");

/// What a layer is told to do: as its console takes it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) path: String,
    pub(super) body: String,
    /// Who has asked waits here.
    pub(super) done: SyncSender<Result<(), String>>,
}

/// The layers of one process. They leave when this is dropped.
#[derive(Debug)]
pub(super) struct Mirrors {
    orders: mpsc::Sender<Order>,
    mirrors: Vec<Arc<Mirror>>,
}

impl Mirrors {
    pub(super) fn new(orders: mpsc::Sender<Order>) -> Self {
        Self { orders, mirrors: Vec::new() }
    }

    /// Shows what the process has just told of all its layers.
    pub(super) fn show(&mut self, told: &[u8]) {
        let told: Vec<Told> = match serde_json::from_slice(told) {
            Ok(told) => told,
            Err(error) => return tracing::debug!(%error, "a process tells of its layers in another language"),
        };
        let mut before = std::mem::take(&mut self.mirrors);
        for Told { layer: Text(layer), name, picture } in told {
            let twin = self.mirrors.iter().filter(|it| it.layer == layer && it.name == name).count();
            let known = before.iter().position(|it| it.layer == layer && it.name == name);
            let mirror = match known.map(|known| before.remove(known)) {
                Some(mirror) => {
                    *mirror.picture() = picture;
                    mirror
                }
                None => Mirror::new(layer, name, twin, picture, self.orders.clone()),
            };
            self.mirrors.push(mirror);
        }
    }
}

/// One layer, as it was a moment ago.
#[derive(Debug)]
struct Mirror {
    layer: &'static str,
    name: String,
    /// How many of the same name come before it.
    twin: usize,
    orders: mpsc::Sender<Order>,
    picture: Mutex<Picture>,
}

/// What a process tells of a layer.
#[derive(Deserialize)]
struct Told {
    layer: Text,
    name: String,
    #[serde(flatten)]
    picture: Picture,
}

#[derive(Debug, Deserialize)]
struct Picture {
    state: Text,
    note: Option<String>,
    numbers: Entries<Option<f64>>,
    times: Entries<Times>,
    verbs: Verbs,
    settings: Entries<Option<f64>>,
}

#[derive(Debug)]
struct Text(&'static str);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(kept(&text)))
    }
}

#[derive(Debug, Deserialize)]
#[serde(from = "Buckets")]
struct Times(TimesSnapshot);

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<(Option<f64>, u64)>,
}

impl From<Buckets> for Times {
    fn from(told: Buckets) -> Self {
        let end = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Self(told.buckets.into_iter().map(|(seconds, count)| (seconds.map(end), count)).collect())
    }
}

#[derive(Debug, Deserialize)]
#[serde(from = "Vec<String>")]
struct Verbs(&'static [&'static str]);

impl From<Vec<String>> for Verbs {
    fn from(verbs: Vec<String>) -> Self {
        Self(kept_lists(verbs.iter().map(|verb| kept(verb)).collect()))
    }
}

impl Mirror {
    fn new(
        layer: &'static str,
        name: String,
        twin: usize,
        picture: Picture,
        orders: mpsc::Sender<Order>,
    ) -> Arc<Self> {
        let mirror = Arc::new(Self { layer, name, twin, orders, picture: Mutex::new(picture) });
        let observed: Arc<dyn Observed> = mirror.clone();
        registry::register(&observed);
        mirror
    }

    fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the process do it. Who asks is a request, and waits.
    fn order(&self, body: &Value, field: &'static str) -> Result<(), Invalid> {
        let (done, outcome) = sync_channel(1);
        let order = Order { path: self.path(), body: body.to_string(), done };
        self.orders.try_send(order).map_err(|_| NO_ANSWER)?;
        let outcome = block_in_place(|| outcome.recv_timeout(PATIENCE)).map_err(|_| NO_ANSWER)?;
        outcome.map_err(|why| {
            let why = why.trim_end_matches(" Nothing was changed.").trim_end_matches('.');
            Invalid::new(field, kept(why))
        })
    }

    /// Where the console of the process has it.
    fn path(&self) -> String {
        let Ok(mut url) = Url::parse("http://process/") else { return String::new() };
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["layers", self.layer, &self.name]);
        }
        format!("{}?twin={}", url.path(), self.twin)
    }
}

impl Observed for Mirror {
    fn layer(&self) -> &'static str {
        self.layer
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> &'static str {
        self.picture().state.0
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        self.picture().note.clone().map(Cow::Owned)
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.picture().numbers.0.iter().for_each(|(name, number)| show(name, number.unwrap_or(f64::NAN)));
    }

    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        self.picture().times.0.iter().for_each(|(name, times)| show(name, times.0));
    }

    fn verbs(&self) -> &'static [&'static str] {
        self.picture().verbs.0
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        if !self.verbs().contains(&verb) {
            return Err(UNKNOWN_VERB);
        }
        self.order(&json!({ "verb": verb }), "verb")
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.picture().settings.0.iter().for_each(|(name, number)| show(name, number.unwrap_or(f64::NAN)));
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        if !self.picture().settings.0.iter().any(|(known, _)| *known == setting) {
            return Err(UNKNOWN_SETTING);
        }
        self.order(&json!({ "set": { setting: value } }), "setting")
    }
}

/// What is told by name, in the order in which it is told.
#[derive(Debug)]
struct Entries<V>(Vec<(&'static str, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entry<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names and what they stand for")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text, V>()? {
                    entries.push((name.0, value));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Entry(PhantomData))
    }
}

/// The same text for as long as this process lives. They come from closed sets of this program's layers, and so are few.
fn kept(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = texts.get(text) {
        return text;
    }
    let text: &'static str = Box::leak(text.into());
    texts.insert(text);
    text
}

/// The same for the verbs of a layer.
fn kept_lists(list: Vec<&'static str>) -> &'static [&'static str] {
    static LISTS: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(list) = lists.get(&*list) {
        return list;
    }
    let list: &'static [&'static str] = list.leak();
    lists.insert(list);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(layer: &str) -> Vec<Arc<dyn Observed>> {
        registry::handles().into_iter().filter(|handle| handle.layer() == layer).collect()
    }

    fn told(layer: &str, names: &[(&str, &str)]) -> Vec<u8> {
        let of = |(name, state): &(&str, &str)| {
            json!({
                "layer": layer, "name": name, "state": state, "note": null,
                "numbers": { "rate": 0.5, "absent": null, "calls": 3 },
                "times": { "seconds": { "count": 3, "p50": 0.1, "buckets": [[0.000_001_024, 2], [null, 1]] } },
                "verbs": ["reset"], "settings": { "open_seconds": 2 },
            })
        };
        serde_json::to_vec(&names.iter().map(of).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_told_is_shown_and_what_is_told_no_more_leaves() {
        let (sender, _orders) = mpsc::channel(1);
        let mut mirrors = Mirrors::new(sender);
        mirrors.show(&told("lamp", &[("hall", "lit"), ("hall", "dark"), ("a->b/http://c/", "lit")]));
        let before = mine("lamp");
        let states: Vec<_> = before.iter().map(|it| (it.name().to_owned(), it.state())).collect();
        assert_eq!(
            states,
            [("hall".into(), "lit"), ("hall".into(), "dark"), ("a->b/http://c/".into(), "lit")]
        );
        let mut numbers = Vec::new();
        before[0].numbers(&mut |name, number| numbers.push((name, number.to_string())));
        // How a JSON object is ordered is the choice of whoever builds `serde_json` for all.
        numbers.sort_unstable();
        let ought = [("absent", "NaN"), ("calls", "3"), ("rate", "0.5")];
        assert_eq!(numbers, ought.map(|(name, number)| (name, number.to_owned())));
        before[0].times(&mut |name, times| assert_eq!((name, times.count()), ("seconds", 3)));
        mirrors.show(&told("lamp", &[("hall", "dark"), ("hall", "lit")]));
        assert_eq!(mine("lamp").len(), 3, "somebody holds it");
        assert_eq!((before[0].state(), before[1].state()), ("dark", "lit"), "they are the same ones");
        drop(before);
        assert_eq!(mine("lamp").len(), 2);
        mirrors.show(b"[{}]");
        assert_eq!(mine("lamp").len(), 2, "what makes no sense changes nothing");
        drop(mirrors);
        assert_eq!(mine("lamp").len(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_layer_is_told_is_told_to_its_process() {
        let (sender, mut orders) = mpsc::channel(1);
        let mut mirrors = Mirrors::new(sender);
        mirrors.show(&told("bell", &[("hall", "on"), ("hall", "on"), ("a->b/http://c/", "on")]));
        let bells = mine("bell");
        assert_eq!(
            (bells[0].act("ring"), bells[0].set("volume", 1.0)),
            (Err(UNKNOWN_VERB), Err(UNKNOWN_SETTING))
        );
        let process = tokio::spawn(async move {
            let mut said = Vec::new();
            for outcome in [Ok(()), Err("it is locked. Nothing was changed.".to_owned())] {
                let order = orders.recv().await.unwrap();
                said.push((order.path, order.body));
                order.done.send(outcome).unwrap();
            }
            said
        });
        assert_eq!(bells[1].act("reset"), Ok(()));
        let refused = bells[2].set("open_seconds", 1.5).unwrap_err();
        assert_eq!((refused.field(), refused.message()), ("setting", "it is locked"));
        let said = process.await.unwrap();
        assert_eq!(said[0], ("/layers/bell/hall?twin=1".into(), r#"{"verb":"reset"}"#.into()));
        assert_eq!(said[1].0, "/layers/bell/a-%3Eb%2Fhttp:%2F%2Fc%2F?twin=0");
        assert_eq!(bells[0].act("reset"), Err(NO_ANSWER), "the process is gone");
    }
}
