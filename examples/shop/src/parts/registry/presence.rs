use super::super::config::{Config, Instance, Name};
use super::PATIENCE;
use axum::Router;
use axum::body::Body;
use bartizan::core::Health;
use bartizan::discover::{Registered, Registration};
use http::Request;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tower::ServiceExt;

/// How long an instance is taken for well when nothing is heard of it. A heartbeat is sent each third of it.
const TTL: Duration = Duration::from_secs(9);

/// How long the registry keeps one that is not well. Long enough for a restart.
const KEPT: Duration = Duration::from_secs(60);

/// How often an instance asks itself how it is, how long it has to say, and how often in a row it must not be well.
const EVERY: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_millis(500);
const FALL: u32 = 3;

/// An instance that the registry knows of. Dropped, it falls silent, and is out by time.
#[derive(Debug)]
pub struct Presence(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Presence {
    /// Registers an instance, and says how it is by its `/readyz`. Without a registry, and for what stands beside the
    /// services, it does nothing.
    pub fn new(config: &Config, instance: Instance, address: SocketAddr, routes: &Router) -> Self {
        let beside = matches!(instance.service, Name::Ops | Name::Registry | Name::Config);
        let registry = config.registry.as_ref().filter(|_| !beside);
        let registration = registry.and_then(|url| {
            Registration::try_new(url.as_str(), instance.service.as_str(), config.at(&address)).ok()
        });
        Self(registration.map(|registration| {
            let registration = match config.tls.each() {
                Some(client) => registration.client(client),
                None => registration,
            };
            let registration = registration.ttl(TTL).deregister_after(KEPT).time_out(PATIENCE);
            let registration = registration.meta("instance", instance.to_string());
            let (leave, leaves) = oneshot::channel();
            (leave, tokio::spawn(keep(registration.start(), routes.clone(), leaves)))
        }))
    }

    /// Takes the registration back, if the registry is there to hear it.
    pub async fn leave(self) {
        let Some((leave, left)) = self.0 else { return };
        if leave.send(()).is_ok() {
            let _ = timeout(PATIENCE, left).await;
        }
    }
}

async fn keep(registered: Registered, routes: Router, mut leaves: oneshot::Receiver<()>) {
    let mut beats = interval(EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    let leaves = loop {
        tokio::select! {
            leaves = &mut leaves => break leaves,
            _ = beats.tick() => {}
        }
        failures = if is_ready(&routes).await { 0 } else { FALL.min(failures + 1) };
        match failures {
            0 => registered.set_health(Health::Up),
            FALL.. => registered.set_health(Health::Down),
            _ => {}
        }
    };
    if leaves.is_ok()
        && let Err(error) = registered.leave().await
    {
        tracing::debug!(%error, "the registry was not told");
    }
}

async fn is_ready(routes: &Router) -> bool {
    let Ok(request) = Request::get("/readyz").body(Body::empty()) else { return false };
    let answer = timeout(ANSWER, routes.clone().oneshot(request)).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()))
}
