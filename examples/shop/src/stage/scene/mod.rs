//! `/stage`: the shop as its page shows it: the verdict, the customers, and what happened in the last five minutes.

mod cells;
mod customers;
mod outcome;
mod pins;
mod shield;
mod sight;
mod stream;
mod timeline;
mod trouble;
mod verdict;

use super::config::Desk;
use super::faults;
use super::incidents;
use super::load::gateway::Gateway;
use super::traces::Kept;
use crate::contracts::object::Object;
use crate::parts::body::Input;
use crate::parts::clock::now_ms;
use crate::parts::problem::Problem;
use crate::parts::serve::Stop;
use crate::parts::store::Store;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use cells::{CUSTOMERS, Cells};
use customers::Place;
use http::StatusCode;
use pins::{Facts, Pins};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sight::{Glance, Sight};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often the layers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The newest seconds of the timeline, which a stream tells.
const NEWEST: usize = 2;

/// What is shown of.
pub struct Backstage {
    pub gateway: Gateway,
    pub kept: Option<Kept>,
    pub desk: Option<Desk>,
    pub store: Store,
    pub stop: watch::Receiver<Stop>,
}

/// `PUT /scene`: what is played at the moment.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Playing {
    pub n: u32,
    pub of: u32,
    pub title: String,
    pub caption: String,
}

/// `POST /customers`
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Come {
    pub on: bool,
}

/// Clones show the same shop.
#[derive(Clone)]
struct Scene(Arc<Inner>);

struct Inner {
    cells: Arc<Cells>,
    /// Those who watch: readers of the stream, and whoever asked for customers.
    watched: watch::Sender<u32>,
    state: Mutex<Shown>,
    stop: watch::Receiver<Stop>,
}

#[derive(Default)]
struct Shown {
    layers: Vec<Glance>,
    pins: Pins,
    scene: Option<Playing>,
    /// Whether customers were asked for, whoever watches.
    on: bool,
}

/// Has the customers come, and looks at the layers. Returns the routes that read, and those that write.
pub fn start(stage: Backstage) -> (Router, Router) {
    let cells = Arc::new(Cells::new());
    let (watched, watching) = watch::channel(0);
    let place = Arc::new(Place::new(stage.gateway, stage.kept, cells.clone()));
    for n in 0..CUSTOMERS {
        tokio::spawn(customers::shops(place.clone(), n, watching.clone()));
    }
    let inner = Inner { cells, watched, state: Mutex::default(), stop: stage.stop };
    let scene = Scene(Arc::new(inner));
    tokio::spawn(looks(scene.clone(), stage.desk, stage.store));
    let reads = Router::new().route("/stage", get(whole)).route("/stage/stream", get(stream));
    let writes = Router::new().route("/customers", post(come)).route("/scene", put(play).delete(curtain));
    (reads.with_state(scene.clone()), writes.with_state(scene))
}

async fn whole(State(scene): State<Scene>) -> Json<Value> {
    Json(scene.show(None))
}

async fn stream(State(scene): State<Scene>) -> Response {
    stream::answer(scene).into_response()
}

/// They come, and stay until they are told to go; who reads the stream has them all the same.
async fn come(State(scene): State<Scene>, Input(Object(come)): Input<Object<Come>>) -> Json<Come> {
    let before = std::mem::replace(&mut scene.lock().on, come.on);
    scene.0.watched.send_modify(|watched| *watched = *watched + u32::from(come.on) - u32::from(before));
    Json(come)
}

async fn play(
    State(scene): State<Scene>,
    Input(Object(playing)): Input<Object<Playing>>,
) -> Result<StatusCode, Problem> {
    let texts = [&playing.title, &playing.caption];
    if !(1..=99).contains(&playing.of) || !(1..=playing.of).contains(&playing.n) {
        return Err(Problem::invalid("`of` must be 1 to 99, and `n` 1 to `of`"));
    }
    if texts.iter().any(|text| !(1..=500).contains(&text.len())) {
        return Err(Problem::invalid("`title` and `caption` must be texts of 1 to 500 bytes"));
    }
    let mut shown = scene.lock();
    shown.pins.pin(now_ms(), "scene", format!("{}. {}", playing.n, playing.title));
    shown.scene = Some(playing);
    Ok(StatusCode::NO_CONTENT)
}

async fn curtain(State(scene): State<Scene>) -> StatusCode {
    scene.lock().scene = None;
    StatusCode::NO_CONTENT
}

/// Looks again and again, as long as ops runs.
async fn looks(scene: Scene, desk: Option<Desk>, store: Store) {
    let mut sight = Sight::default();
    let mut beats = interval(LOOK);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let layers = sight.look();
        let mut facts = Facts::of(&layers);
        if let Some(desk) = &desk {
            facts.off = desk.off().iter().map(|switch| format!("{} {}", switch.call, switch.layer)).collect();
        }
        let (lasting, open) = (faults::lasting(&store).await, incidents::open(&store).await);
        let mut shown = scene.lock();
        shown.layers = layers;
        // What could not be read is no news.
        let (Ok(lasting), Ok(open)) = (lasting, open) else { continue };
        facts.faults = lasting.iter().map(|fault| (fault.id.clone(), pins::words(fault))).collect();
        let incident =
            |(id, kind, cause): (String, String, String)| (id, format!("{kind}: {}", trouble::title(&cause)));
        facts.incidents = open.into_iter().map(incident).collect();
        shown.pins.look(facts, now_ms());
    }
}

impl Scene {
    /// The whole document; of the timeline, only the newest seconds if that is wanted.
    fn show(&self, newest: Option<usize>) -> Value {
        let crowd = self.0.cells.crowd();
        let mut document = json!({ "at_ms": now_ms() });
        {
            let shown = self.lock();
            document["verdict"] = json!(verdict::verdict(&shown.layers, crowd));
            document["pins"] = json!(shown.pins.all());
            document["scene"] = json!(shown.scene);
        }
        for (name, value) in self.0.cells.show(newest) {
            document[name] = value;
        }
        document
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
