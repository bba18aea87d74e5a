//! A service that is seen and steered by who has started it.

use super::Steering;
use crate::contracts::object::Object;
use crate::parts::auth::operator;
use crate::parts::body::Input;
use crate::parts::config::{self, Config, Instance};
use crate::parts::failure::Failure;
use crate::parts::faults::Faults;
use crate::parts::health::Health;
use crate::parts::problem;
use crate::parts::serve::{Limits, Stop, serve};
use crate::stage::traces::Kept;
use crate::stage::{config as values, faults, local};
use crate::up::Beside;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, put};
use axum::{Json, Router};
use bartizan::console::Console;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

/// What is done to the service from its start on, in JSON: who sets it sees and steers it later.
pub const VARIABLE: &str = "SHOP_STEERED";

/// The first line that it says then, with the URL behind it.
pub const SAYS: &str = "steered at ";

/// Whether somebody wants to see and steer this process.
pub fn is_steered() -> bool {
    config::set(VARIABLE).is_ok_and(|text| text.is_some())
}

/// Lets a service be steered, where somebody wants to.
///
/// # Errors
///
/// When the variable makes no sense, or there is no port.
pub fn open(config: Config, instance: Instance, kept: Kept) -> Result<(Config, Option<Beside>), Failure> {
    let Some(text) = config::set(VARIABLE)? else { return Ok((config, None)) };
    let steering = serde_json::from_str(&text)
        .map_err(|why| Failure::new(format!("{VARIABLE} is set, and makes no sense: {why}.")))?;
    let config = Config { faults: Faults::switched_on(), health: Health::told(), ..config };
    let no_port = |why| Failure::new(format!("{instance} has no port to be steered at: {why}."));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(no_port)?;
    listener.set_nonblocking(true).map_err(no_port)?;
    let says = format!("{SAYS}{}", config.at(&listener.local_addr().map_err(no_port)?));
    let steered = Steered { instance, config: config.clone(), put: Arc::default() };
    steered.steer(steering);
    let tls = config.tls.acceptor()?;
    let routes = routes(steered, kept);
    let work = async move {
        // It ends with its process, and not before.
        let (_going, stop) = watch::channel(Stop::Not);
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => serve(listener, tls, routes, Limits::default(), stop).await,
            Err(error) => tracing::warn!(%error, "nobody can steer this service"),
        }
    };
    Ok((config, Some(Beside { says, work: Box::pin(work) })))
}

fn routes(steered: Steered, kept: Kept) -> Router {
    let token: Arc<str> = steered.config.ops_token.as_str().into();
    let health = steered.config.health.clone();
    let steering = Router::new().route("/steering", put(steer)).with_state(steered);
    let steering = steering.route("/readyz", get(async move || health.ready().await));
    let steering = steering.route("/spans", get(async move || Json(kept.take())));
    let routes = steering.merge(Console::new().writable().router());
    let routes = problem::fallbacks(routes).layer(from_fn_with_state(token, operator));
    routes.layer(from_fn(local::only)).layer(CatchPanicLayer::custom(problem::of_panic))
}

async fn steer(
    State(steered): State<Steered>,
    Input(Object(steering)): Input<Object<Steering>>,
) -> Json<Value> {
    steered.steer(steering);
    Json(json!({ "status": "ok" }))
}

#[derive(Clone)]
struct Steered {
    instance: Instance,
    config: Config,
    /// What is put in; it leaves when it is dropped.
    put: Arc<Mutex<Vec<In>>>,
}

/// A fault that is in, and where.
type In = (faults::Fault, Vec<faults::Put>);

impl Steered {
    /// Does all of this, and nothing else any more. What was done and is to be done further goes on without a gap.
    fn steer(&self, Steering { faults, off }: Steering) {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.retain(|(fault, _)| faults.contains(fault));
        for fault in faults {
            if !put.iter().any(|(known, _)| *known == fault) {
                let put_in = faults::put_in(&self.config.faults, self.instance, &fault);
                put.push((fault, put_in));
            }
        }
        values::turn_all(&self.config.switches, &off);
    }
}
