//! The ops endpoint: the services, their layers, and what is done to them. It answers on loopback names alone; what
//! changes something asks for the token that was printed at the start.

use super::config::Desk;
use super::load::gateway::Gateway;
use super::load::{self, Surges};
use super::reach::Reach;
use super::redeploy::{self, Deployments};
use super::scene::{self, Backstage};
use super::services::Seen;
use super::supervisor::Supervision;
use super::traces::{self, Kept};
use super::{check, faults, incidents, local, page, protect};
use crate::host::Build;
use crate::parts::ask::ask;
use crate::parts::auth::operator;
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::problem;
use crate::parts::serve::Stop;
use crate::parts::store::Store;
use crate::parts::tls::Https;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Json, Router};
use bartizan::Client;
use bartizan::console::Console;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tower_http::catch_panic::CatchPanicLayer;

/// How long a service has to say that it is well.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often all are asked.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What ops knows of the shop that it shows.
#[derive(Clone)]
pub struct Stage {
    pub supervision: Supervision,
    pub seen: Vec<Arc<Seen>>,
    /// None: the config service is somebody else's.
    pub desk: Option<Desk>,
    /// The way to the services, where they are processes of their own.
    pub reach: Option<Reach>,
    /// What the services run, where they are processes of their own.
    pub deployments: Option<Deployments>,
    /// The last traces.
    pub kept: Kept,
}

/// Makes the routes.
pub fn build(stage: Stage) -> Build {
    Box::new(move |config, stop| Box::pin(start(stage, config, stop)))
}

#[derive(Clone)]
struct Ops {
    http: Client<Https>,
    config: Config,
    seen: Arc<[Arc<Seen>]>,
}

async fn start(stage: Stage, config: Config, stop: watch::Receiver<Stop>) -> Result<Router, Failure> {
    let http = Client::new(config.tls.http());
    let here = stage.seen.iter().map(|seen| seen.instance).collect();
    let ops = Ops { http, config: config.clone(), seen: stage.seen.into() };
    tokio::spawn(heartbeat(ops.clone()));
    tokio::spawn(check::watch(config.clone()));
    let console = console(&config.ops_token);
    tokio::spawn(close(console.clone(), stop.clone()));
    let store = Store::file(&config.data_dir, "ops", &[faults::TABLE, incidents::TABLE]).await?;
    let gateway = config.local(Name::Gateway.replica(1)?);
    let surges = Surges::new(gateway.clone(), &config.ops_token, &config.tls);
    let places = config.faults.clone();
    let shop =
        faults::Shop { config: config.clone(), supervision: stage.supervision, here, reach: stage.reach };
    let (reads, writes) = faults::start(store.clone(), places, surges, shop).await?;
    let (shown, switched) = protect::routes(stage.desk.clone());
    let (reads, writes) = (reads.merge(shown), writes.merge(switched));
    let token = HeaderValue::from_str(&config.ops_token).ok();
    let gateway = Gateway::new(gateway, token, &config.tls);
    let (shown, sent) = load::routes(gateway.clone(), config.data_dir.clone());
    let (reads, writes) = (reads.merge(shown), writes.merge(sent));
    let (kept, desk) = (Some(stage.kept.clone()), stage.desk);
    let (shown, played) = scene::start(Backstage { gateway, kept, desk, store: store.clone(), stop });
    let (reads, writes) = (reads.merge(shown), writes.merge(played));
    let writes = writes.merge(redeploy::routes(stage.deployments));
    let reads = reads.merge(incidents::routes(store.clone()));
    tokio::spawn(incidents::watch(store.clone()));
    let token: Arc<str> = config.ops_token.as_str().into();
    let writes = writes.route_layer(from_fn_with_state(token, operator));
    let reads =
        reads.route("/health", get(services).with_state(ops)).merge(console.router()).merge(page::routes());
    let reads = reads.merge(traces::routes(stage.kept));
    let routes = reads.merge(writes).layer(from_fn(local::only)).merge(health::routes(&config, Some(store)));
    Ok(problem::fallbacks(routes).layer(CatchPanicLayer::custom(problem::of_panic)))
}

/// Its page is at `/console`. Who has the token changes what it shows; one that is too short to be a secret opens nothing there.
fn console(token: &str) -> Console {
    match Console::new().writable().try_token(token) {
        Ok(console) => console,
        Err(why) => {
            tracing::warn!(%why, "the console can be read and not written");
            Console::new()
        }
    }
}

/// Ends the streams when the shop closes; they have no end of their own.
async fn close(console: Console, mut stop: watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop != Stop::Not).await;
    console.close();
}

/// Asks every service, again and again.
async fn heartbeat(ops: Ops) {
    let mut beats = interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        ops.ask().await;
    }
}

impl Ops {
    /// Asks every service at once, and notes what it answers.
    async fn ask(&self) -> Vec<(Arc<Seen>, bool)> {
        let mut asked = JoinSet::new();
        for seen in self.seen.iter().cloned() {
            let asked_for = self.http.get(format!("{}/readyz", self.config.at(&seen.address)));
            asked.spawn(async move {
                let answer = ask(asked_for, PATIENCE).await;
                let ready = answer.is_ok_and(|answer| answer.status().is_success());
                seen.answers(ready);
                (seen, ready)
            });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(seen, _)| seen.instance.to_string());
        answers
    }
}

/// 503 when one of the services is not well.
async fn services(State(ops): State<Ops>) -> (StatusCode, Json<Value>) {
    let answers = ops.ask().await;
    let well = answers.iter().all(|(_, ready)| *ready);
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let services = answers.iter().map(
        |(seen, ready)| json!({ "name": seen.instance.to_string(), "address": seen.address, "ready": ready }),
    );
    (status, Json(json!({ "ready": well, "services": services.collect::<Vec<_>>() })))
}
