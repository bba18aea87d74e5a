//! What every scene does: it has a caption, waits until its figures are right, tells them, and stays a while.

use super::super::load::gateway::Gateway;
use super::DemoArgs;
use super::customer::Customer;
use super::figures::{Figure, Seen};
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::stage::remote::Ops;
use crate::up::say;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the shop has for a figure. It is there much sooner, but on a machine that has no time.
const PATIENCE: Duration = Duration::from_secs(45);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What was seen of the customers in so many milliseconds is what they are like now.
const NOW_MS: i64 = 5000;

/// A scene that was played.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) caption: &'static str,
    pub(super) figures: Vec<Figure>,
    pub(super) began_ms: i64,
    pub(super) verdict: String,
}

pub(super) struct Play {
    pub(super) stage: Stage,
    pub(super) scenes: Vec<Scene>,
    pub(super) seconds: Vec<Value>,
    args: Args,
    began: Instant,
}

struct Args {
    json: bool,
    rest: Box<dyn Fn(Duration) -> Duration>,
}

/// The shop, as it is seen from outside.
pub(super) struct Stage {
    ops: Ops,
    url: String,
    token: String,
    pub(super) customer: Customer,
    /// The latest document of the page.
    document: Value,
    /// The journeys that were seen to end, by when they did and whose they were.
    journeys: BTreeMap<(i64, i64), Value>,
}

impl Play {
    /// Has the customers come.
    pub(super) async fn new(args: &DemoArgs, config: &Config) -> Result<Self, Failure> {
        let ops = Ops::of(config)?;
        ops.ask(Method::POST, "/customers", Some(json!({ "on": true }))).await?;
        let gateway = Gateway::new(config.local(Name::Gateway.replica(1)?), None, &config.tls);
        let stage = Stage {
            ops,
            url: config.local(Name::Ops.replica(1)?),
            token: config.ops_token.clone(),
            customer: Customer::new(gateway).await?,
            document: Value::Null,
            journeys: BTreeMap::new(),
        };
        let (fast, hold) = (args.fast, args.hold);
        let rest = move |took| DemoArgs { fast, report: None, json: false, hold }.rest(took);
        let args = Args { json: args.json, rest: Box::new(rest) };
        if !args.json {
            say(&[format!("The shop shows itself at {} with token {}", stage.url, stage.token)]);
        }
        Ok(Self { stage, scenes: Vec::new(), seconds: Vec::new(), args, began: Instant::now() })
    }

    /// A new scene begins.
    pub(super) async fn scene(&mut self, title: &'static str, caption: &'static str) -> Result<(), Failure> {
        let n = self.scenes.len() + 1;
        let scene = json!({ "n": n, "of": super::scenes::COUNT, "title": title, "caption": caption });
        self.stage.ops.ask(Method::PUT, "/scene", Some(scene)).await?;
        self.stage.look().await?;
        let began_ms = self.stage.document["at_ms"].as_i64().unwrap_or_default();
        self.scenes.push(Scene { title, caption, figures: Vec::new(), began_ms, verdict: String::new() });
        self.began = Instant::now();
        if !self.args.json {
            say(&[format!("\n{n}. {title}"), format!("   {caption}")]);
        }
        Ok(())
    }

    /// Looks until a figure is as it has to be, or the shop has had its time.
    pub(super) async fn until(
        &mut self,
        what: &'static str,
        bound: impl Into<String>,
        mut look: impl AsyncFnMut(&mut Stage) -> Result<Seen, Failure>,
    ) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        let seen = loop {
            self.stage.look().await?;
            let seen = look(&mut self.stage).await?;
            if seen.is_met || Instant::now() > end {
                break seen;
            }
            sleep(PAUSE).await;
        };
        let Seen { value, is_met } = seen;
        self.shows(Figure { what, bound: bound.into(), value, is_met });
        Ok(())
    }

    pub(super) fn shows(&mut self, figure: Figure) {
        if !self.args.json {
            say(&[figure.to_string()]);
        }
        if let Some(scene) = self.scenes.last_mut() {
            scene.figures.push(figure);
        }
    }

    /// All figures of the scene have been shown.
    pub(super) async fn ends(&mut self) -> Result<(), Failure> {
        self.stage.look().await?;
        let verdict = self.stage.verdict().to_owned();
        let n = self.scenes.len();
        if let Some(scene) = self.scenes.last_mut() {
            scene.verdict = verdict;
            let figures: Vec<_> = scene.figures.iter().map(Figure::json).collect();
            let (url, token) = (&self.stage.url, &self.stage.token);
            let line =
                json!({ "scene": n, "title": scene.title, "ops": url, "token": token, "figures": figures });
            say(&[if self.args.json { line.to_string() } else { format!("    {}", scene.verdict) }]);
        }
        let end = Instant::now() + (self.args.rest)(Instant::now() - self.began);
        while Instant::now() < end {
            sleep(PAUSE.min(end - Instant::now())).await;
            self.stage.look().await?;
        }
        self.seconds = self.stage.document["timeline"]["seconds"].as_array().cloned().unwrap_or_default();
        Ok(())
    }

    pub(super) fn figures(&self) -> usize {
        self.scenes.iter().map(|scene| scene.figures.len()).sum()
    }

    pub(super) fn missed(&self) -> usize {
        self.scenes.iter().flat_map(|scene| &scene.figures).filter(|figure| !figure.is_met).count()
    }
}

impl Stage {
    /// Looks at the page, and remembers whose journey has ended how.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        self.document = self.ops.ask(Method::GET, "/stage", None).await?;
        let cells = self.document["customers"].as_array().cloned().unwrap_or_default();
        for cell in cells.into_iter().filter(|cell| cell["outcome"] != "idle") {
            let key = (cell["at_ms"].as_i64().unwrap_or_default(), cell["n"].as_i64().unwrap_or_default());
            self.journeys.insert(key, cell);
        }
        let long_ago = self.document["at_ms"].as_i64().unwrap_or_default() - NOW_MS;
        self.journeys = self.journeys.split_off(&(long_ago, 0));
        Ok(())
    }

    /// Of the journeys that ended a moment ago: all of them, or those with this aim.
    fn now<'a>(&'a self, journey: Option<&'a str>) -> impl Iterator<Item = &'a Value> {
        self.journeys.values().filter(move |it| journey.is_none_or(|wanted| it["journey"] == wanted))
    }

    /// How many customers came a moment ago, and how many of them were served: as usual, or less well.
    pub(super) fn served(&self, journey: Option<&str>) -> (usize, usize) {
        let is_hurt = |it: &&Value| matches!(it["outcome"].as_str(), Some("shed" | "failed" | "slow"));
        let all = self.now(journey).count();
        (all, all - self.now(journey).filter(is_hurt).count())
    }

    /// How long nine in ten of them waited at most, in milliseconds.
    pub(super) fn waited(&self, journey: &str) -> u64 {
        let mut took: Vec<_> = self.now(Some(journey)).filter_map(|it| it["ms"].as_u64()).collect();
        took.sort_unstable();
        took.get(took.len().saturating_sub(1) * 9 / 10).copied().unwrap_or_default()
    }

    pub(super) fn verdict(&self) -> &str {
        self.document["verdict"]["sentence"].as_str().unwrap_or_default()
    }

    pub(super) fn tone(&self) -> &str {
        self.document["verdict"]["tone"].as_str().unwrap_or_default()
    }

    /// Who fails, as far as the verdict has found.
    pub(super) fn failing(&self) -> Vec<&str> {
        let failing = self.document["verdict"]["failing"].as_array().into_iter().flatten();
        failing.filter_map(Value::as_str).collect()
    }

    /// Sets a fault that lasts as long as the scene.
    pub(super) async fn fault(&self, target: &str, kind: &str, more: Value) -> Result<(), Failure> {
        let mut wish = json!({ "target": target, "kind": kind, "ttl_s": 900 });
        if let (Some(wish), Value::Object(more)) = (wish.as_object_mut(), more) {
            wish.extend(more);
        }
        self.ops.ask(Method::POST, "/faults", Some(wish)).await.map(drop)
    }

    pub(super) async fn switch(&self, call: &str, layer: &str, on: bool) -> Result<(), Failure> {
        let wish = json!({ "call": call, "layer": layer, "on": on });
        self.ops.ask(Method::POST, "/protections", Some(wish)).await.map(drop)
    }

    /// Has the customers come, or go.
    pub(super) async fn customers(&self, on: bool) -> Result<(), Failure> {
        self.ops.ask(Method::POST, "/customers", Some(json!({ "on": on }))).await.map(drop)
    }

    /// Clears all faults, and switches every layer on.
    pub(super) async fn heal(&self) -> Result<(), Failure> {
        self.ops.ask(Method::DELETE, "/faults", None).await?;
        self.ops.ask(Method::DELETE, "/protections", None).await.map(drop)
    }

    pub(super) async fn curtain(&self) -> Result<(), Failure> {
        self.ops.ask(Method::DELETE, "/scene", None).await.map(drop)
    }

    /// The layers of a kind whose names begin so.
    pub(super) async fn layers(&self, layer: &str, name: &str) -> Result<Vec<Value>, Failure> {
        let Value::Array(all) = self.ops.ask(Method::GET, "/layers", None).await? else {
            return Ok(Vec::new());
        };
        let is =
            |it: &Value| it["layer"] == layer && it["name"].as_str().is_some_and(|it| it.starts_with(name));
        Ok(all.into_iter().filter(is).collect())
    }

    /// A number of them, summed up.
    pub(super) async fn sum(&self, layer: &str, name: &str, number: &str) -> Result<u64, Failure> {
        let layers = self.layers(layer, name).await?;
        Ok(layers.iter().filter_map(|it| it["numbers"][number].as_f64()).sum::<f64>() as u64)
    }

    /// How many of them there are, and how many are in this state.
    pub(super) async fn states(
        &self,
        layer: &str,
        name: &str,
        state: &str,
    ) -> Result<(usize, usize), Failure> {
        let layers = self.layers(layer, name).await?;
        Ok((layers.len(), layers.iter().filter(|it| it["state"] == state).count()))
    }
}
