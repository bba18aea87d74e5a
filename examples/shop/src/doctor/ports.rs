//! The ports of a shop: free, or its own.

use super::Finding;
use crate::claim::Claim;
use crate::host::bind;
use crate::parts::ask::ask;
use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use bartizan::Client;
use http::StatusCode;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an instance has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let (mut findings, mut own, mut free) = (Vec::new(), Vec::new(), 0);
    for instance in table(config) {
        match Claim::is_held(config, instance) {
            true if listens(config, instance).await => own.push(instance),
            true => findings.push(Finding::new("ports", Err(gone(config, instance)))),
            false => match bind(config, instance) {
                Ok(_) => free += 1,
                Err(failure) => findings.push(Finding::new("ports", Err(failure))),
            },
        }
    }
    if findings.is_empty() {
        let says = format!("{free} are free, and {} are those of a shop on this data folder.", own.len());
        findings.push(Finding::new("ports", Ok(says)));
    }
    if own.is_empty() {
        return findings;
    }
    let ops = own.iter().find(|instance| instance.service == Name::Ops);
    findings.push(Finding::new(
        "shop",
        match ops {
            Some(ops) => whole(config, *ops).await,
            None => each(config, &own).await,
        },
    ));
    findings
}

/// The instances that have a port of their own.
fn table(config: &Config) -> impl Iterator<Item = Instance> {
    let stage = cfg!(feature = "stage");
    let ops = stage.then_some(Name::Ops);
    let registry = (stage && config.registry.is_none()).then_some(Name::Registry);
    let own = stage && config.settings.is_none() && config.policy_file.is_none();
    let beside = ops.into_iter().chain(registry).chain(own.then_some(Name::Config));
    let services = Name::services().filter(|service| service.port().is_some());
    services.chain(beside).flat_map(Name::instances)
}

async fn listens(config: &Config, instance: Instance) -> bool {
    let there = TcpStream::connect((Ipv4Addr::LOCALHOST, config.port(instance)));
    timeout(PATIENCE, there).await.is_ok_and(|there| there.is_ok())
}

fn gone(config: &Config, instance: Instance) -> Failure {
    let (port, folder) = (config.port(instance), config.data_dir.display());
    Failure::new(format!(
        "{instance} belongs to a shop on {folder}, but nobody listens at port {port}: it was killed, or listens \
         elsewhere, by another --port-base or by --listen."
    ))
}

/// What ops says of all.
async fn whole(config: &Config, ops: Instance) -> Result<String, Failure> {
    let at = format!("{}/health", config.local(ops));
    let answer = ask(Client::new(config.tls.http()).get(&at), PATIENCE).await;
    let answer = answer.map_err(|why| Failure::new(format!("{at} cannot be asked: {why}.")))?;
    let told: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let services = told["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ill = services.iter().filter(|it| it["ready"] != true).filter_map(|it| it["name"].as_str());
    let ill: Vec<_> = ill.collect();
    match (answer.status(), ill.as_slice()) {
        (StatusCode::OK, []) => Ok(format!("it is open, and says that all {} are ready.", services.len())),
        (status, []) => Err(Failure::new(format!("{at} answers {}.", status.as_u16()))),
        (_, ill) => Err(Failure::new(format!("{at} says that these are not ready: {}.", ill.join(", ")))),
    }
}

/// What each says of itself.
async fn each(config: &Config, own: &[Instance]) -> Result<String, Failure> {
    for instance in own {
        is_ready(config, &config.local(*instance)).await.map_err(|why| {
            Failure::new(format!("{instance} at {} is not ready: {why}.", config.local(*instance)))
        })?;
    }
    Ok(format!("{} of its services run here, and all are ready.", own.len()))
}

/// Asks whom a URL names whether it is ready.
pub(super) async fn is_ready(config: &Config, url: &str) -> Result<(), String> {
    match ask(Client::new(config.tls.http()).get(format!("{url}/readyz")), PATIENCE).await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
        Err(why) => Err(why.to_string()),
    }
}
