//! What a shop wants of others: each that a variable names must be there.

use super::Finding;
use super::ports::is_ready;
use crate::parts::ask::ask;
use crate::parts::config::{AMQP, CONFIG, CONSUL, Config, Name, REDIS};
use crate::parts::failure::Failure;
use crate::parts::store::{self, Place};
use crate::parts::traces::OTLP;
use crate::parts::{buckets, bus, policy, registry, traces};
use bartizan::Client;
use bartizan::policy::Policy;
use std::time::Duration;

/// How long somebody else's bank has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where nothing is known from earlier, so that who is away is told of.
const NOWHERE: &str = "/dev/null";

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = stores(config).await;
    let fresh = &Config { data_dir: NOWHERE.into(), ..config.clone() };
    let is_set = [
        (AMQP, config.amqp.is_some()),
        (CONSUL, config.registry.is_some()),
        (CONFIG, config.settings.is_some() || config.policy_file.is_some()),
        (REDIS, config.redis.is_some()),
        (OTLP, config.collector.is_some()),
    ];
    for (name, _) in is_set.into_iter().filter(|(_, is_set)| *is_set) {
        let there = match name {
            AMQP => bus::answers(config).await,
            CONSUL => registry::is_there(fresh).await,
            CONFIG => policy::is_there(fresh).await,
            REDIS => buckets::answers(config).await,
            _ => traces::is_there(config).await,
        };
        findings.push(Finding::new(name, there.map(|()| "it answers as it should.".into())));
    }
    findings.extend(own_policy(config));
    for service in Name::ASKED.into_iter().filter(|service| config.is_named(*service)) {
        findings.push(peer(config, service).await);
    }
    if let Some(url) = &config.bank_url {
        findings.push(Finding::new("BANK_URL", bank(config, url).await));
    }
    findings
}

/// The stores of all services; one finding for each server, and one for all files.
async fn stores(config: &Config) -> Vec<Finding> {
    let mut places: Vec<Place> = Vec::new();
    let bus = config.amqp.is_none().then(|| Place::file(&config.data_dir, "bus"));
    for place in Name::stores().map(|name| Place::of(config, name)).chain(bus) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let (mut findings, mut files) = (Vec::new(), 0);
    for place in places {
        match (store::is_there(&place).await, &place) {
            (Err(failure), _) => findings.push(Finding::new("store", Err(failure))),
            (Ok(()), Place::Server(server)) => {
                findings.push(Finding::new("store", Ok(format!("{server} lets this shop in."))));
            }
            (Ok(()), Place::File(_)) => files += 1,
        }
    }
    if files > 0 {
        let says = format!("{files} are files of the data folder, or will be.");
        findings.push(Finding::new("stores", Ok(says)));
    }
    findings
}

/// The policy of the data folder, where nobody else has one.
fn own_policy(config: &Config) -> Option<Finding> {
    let file = config.data_dir.join("policy.toml");
    if config.settings.is_some() || config.policy_file.is_some() || !file.is_file() {
        return None;
    }
    let read = Policy::open(&file).map(|_| "it can be followed.".into());
    Some(Finding::new("policy.toml", read.map_err(|why| Failure::new(format!("{why}.")))))
}

/// The replicas of a service that a variable names.
async fn peer(config: &Config, service: Name) -> Finding {
    let (variable, urls) = (format!("{}_URL", service.as_str().to_uppercase()), config.urls(service));
    for url in &urls {
        if let Err(why) = is_ready(config, url).await {
            let failure = Failure::new(format!("no {service} can be used at {url}: {why}."));
            return Finding::new(variable, Err(failure));
        }
    }
    Finding::new(variable, Ok(format!("{} answer, and are ready.", urls.len())))
}

/// Whatever it answers of a charge that nobody has made: it is there.
async fn bank(config: &Config, url: &str) -> Result<String, Failure> {
    let question = Client::new(config.tls.http()).get(format!("{url}/charges/doctor"));
    match ask(question, PATIENCE).await {
        Ok(answer) if !answer.status().is_server_error() => Ok("it answers.".into()),
        Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
        Err(why) => Err(why.to_string()),
    }
    .map_err(|why| Failure::new(format!("no bank can be used at {url}: {why}.")))
}
