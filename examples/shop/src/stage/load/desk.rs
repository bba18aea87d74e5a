//! `/load`: customers who come to this shop when ops is asked for them. To look is free; to send some asks for the token.

use super::bar::Bar;
use super::crowd::{Crowd, gather};
use super::drive::{Plan, Pulse, drive};
use super::gateway::Gateway;
use super::journal::Journal;
use super::seen::Seen;
use super::series::thousandths;
use super::shopping::{Shopping, products};
use super::tally::{Latencies, ms, outcomes};
use super::wish::{Order, Wish};
use crate::contracts::object::Object;
use crate::parts::body::Input;
use crate::parts::clock::now_ms;
use crate::parts::failure::Failure;
use crate::parts::problem::Problem;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

/// How many accounts they share.
const CUSTOMERS: usize = 64;

/// While a load runs, its goodput and its latencies are those of so long.
const RECENT: Duration = Duration::from_secs(5);

/// Where loads are asked for. Clones lead to the same one.
#[derive(Clone, Debug)]
struct Desk {
    gateway: Gateway,
    /// Where the journal is.
    folder: Arc<PathBuf>,
    seen: Arc<Seen>,
    /// They register once, for all loads.
    crowd: Arc<OnceCell<Arc<Crowd>>>,
    state: Arc<Mutex<Loads>>,
}

#[derive(Debug, Default)]
struct Loads {
    running: Option<Running>,
    /// The one before.
    last: Option<Value>,
    begun: u64,
}

#[derive(Debug)]
struct Running {
    nth: u64,
    order: Order,
    since_ms: i64,
    /// None: the customers still register.
    figures: Option<Figures>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Figures {
    gone: Duration,
    in_flight: usize,
    outcomes: Map<String, Value>,
    recent: (f64, Option<Latencies>),
    whole: (f64, Option<Latencies>),
}

/// The routes that read, and those that write. The load goes to this gateway, and its journal into the folder.
pub(in crate::stage) fn routes(gateway: Gateway, folder: PathBuf) -> (Router, Router) {
    let desk = Desk {
        gateway,
        folder: Arc::new(folder),
        seen: Seen::new("customers"),
        crowd: Arc::default(),
        state: Arc::default(),
    };
    let reads = Router::new().route("/load", get(show)).with_state(desk.clone());
    let writes = Router::new().route("/load", post(send).delete(stop)).with_state(desk);
    (reads, writes)
}

async fn show(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.loads().json())
}

/// The one that runs ends with it.
async fn send(
    State(desk): State<Desk>,
    Input(Object(wish)): Input<Object<Wish>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let order = wish.grant()?;
    Ok((StatusCode::CREATED, Json(desk.begin(order))))
}

async fn stop(State(desk): State<Desk>) -> StatusCode {
    desk.loads().end("stopped", None);
    desk.seen.is_gone();
    StatusCode::NO_CONTENT
}

impl Desk {
    fn loads(&self) -> MutexGuard<'_, Loads> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, order: Order) -> Value {
        let mut loads = self.loads();
        loads.end("replaced", None);
        self.seen.is_gone();
        self.seen.comes(order.profile.mean().ceil() as u32);
        loads.begun += 1;
        let nth = loads.begun;
        let end = End { desk: self.clone(), nth, how: ("failed", Some("it fell over".into())) };
        let asked = order.clone();
        // It cannot end before it is written down below: that takes the same lock.
        let task = tokio::spawn(async move {
            let outcome = end.desk.run(nth, asked).await;
            end.came(outcome);
        });
        let task = task.abort_handle();
        loads.running = Some(Running { nth, order, since_ms: now_ms(), figures: None, task });
        loads.json()
    }

    async fn run(&self, nth: u64, order: Order) -> Result<(), Failure> {
        let gateway = self.gateway.clone();
        let products = products(&gateway).await?;
        let crowd = match order.mix.only_looks() {
            true => Arc::new(Crowd::nobody()),
            false => self.crowd.get_or_try_init(|| self.gather()).await?.clone(),
        };
        let customers = crowd.customers.len().max(1);
        let Order { profile, lasts, mix, .. } = order;
        let plan = Plan { profile, lasts, customers, products: products.len(), mix };
        let journal = Journal::open(&self.folder)?;
        let shopping = Arc::new(Shopping { gateway, crowd, products, journal, insists: false });
        self.tell(nth, |running| running.since_ms = now_ms());
        let walk = |errand| {
            let (shopping, visit) = (shopping.clone(), self.seen.visit());
            async move { visit.ended(shopping.run(errand).await) }
        };
        let pulse = |pulse: Pulse<'_>| {
            shopping.journal.iter().for_each(Journal::flush);
            let figures = Figures::of(pulse, lasts);
            self.tell(nth, |running| running.figures = Some(figures));
        };
        let course = drive(&plan, walk, pending(), pulse).await;
        let (tally, series) = (&course.tally, &course.series);
        pulse(Pulse { gone: lasts, in_flight: 0, tally, series });
        Ok(())
    }

    async fn gather(&self) -> Result<Arc<Crowd>, Failure> {
        Ok(Arc::new(gather(&self.gateway, CUSTOMERS, &Bar::new(false)).await?))
    }

    /// Writes something down of a load, if it is still the one that runs.
    fn tell(&self, nth: u64, what: impl FnOnce(&mut Running)) {
        let mut loads = self.loads();
        if let Some(running) = loads.running.as_mut().filter(|running| running.nth == nth) {
            what(running);
        }
    }
}

/// The end of a load, also of one whose task falls over.
struct End {
    desk: Desk,
    nth: u64,
    how: (&'static str, Option<String>),
}

impl End {
    /// How it ended by itself.
    fn came(mut self, outcome: Result<(), Failure>) {
        self.how = match outcome {
            Ok(()) => ("over", None),
            Err(failure) => ("failed", Some(failure.to_string())),
        };
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut loads = self.desk.loads();
        if loads.running.as_ref().is_some_and(|running| running.nth == self.nth) {
            let (how, why) = (self.how.0, self.how.1.take());
            loads.end(how, why);
            self.desk.seen.is_gone();
        }
    }
}

impl Loads {
    /// Ends the one that runs, if there is one.
    fn end(&mut self, how: &str, why: Option<String>) {
        let Some(running) = self.running.take() else { return };
        running.task.abort();
        let mut told = running.json(true);
        told.insert("ended".into(), how.into());
        told.insert("why".into(), why.into());
        self.last = Some(told.into());
    }

    fn json(&self) -> Value {
        let running = self.running.as_ref().map(|running| running.json(false));
        json!({ "running": running, "last": self.last })
    }
}

impl Running {
    /// What was asked, and how it goes; or how it went.
    fn json(&self, is_over: bool) -> Map<String, Value> {
        let mut told = self.order.told.clone();
        let figures = self.figures.as_ref();
        let gone = figures.map_or(Duration::ZERO, |figures| figures.gone);
        let (goodput, latencies) =
            figures.map_or((0.0, None), |it| if is_over { it.whole } else { it.recent });
        let more = json!({
            "state": if figures.is_some() { "running" } else { "gathering" },
            "since_ms": self.since_ms,
            "left_s": thousandths(self.order.lasts.saturating_sub(gone).as_secs_f64()),
            "in_flight": figures.map_or(0, |figures| figures.in_flight),
            "goodput": goodput,
            "p50_ms": latencies.map(|told| ms(told.p50)),
            "p99_ms": latencies.map(|told| ms(told.p99)),
            "outcomes": figures.map_or_else(|| outcomes(|_| 0), |figures| figures.outcomes.clone()),
        });
        if let Value::Object(mut more) = more {
            told.append(&mut more);
        }
        if is_over {
            told.retain(|name, _| !matches!(name.as_str(), "state" | "left_s" | "in_flight"));
        }
        told
    }
}

impl Figures {
    fn of(Pulse { gone, in_flight, tally, series }: Pulse<'_>, lasts: Duration) -> Self {
        let recent = series.recent(gone, RECENT);
        let seconds = gone.min(lasts).as_secs_f64().max(0.001);
        let whole = (thousandths(tally.good() as f64 / seconds), tally.latencies());
        let outcomes = outcomes(|outcome| tally.count(outcome));
        Self { gone, in_flight, outcomes, recent: (recent.goodput, recent.latencies), whole }
    }
}
