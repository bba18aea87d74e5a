//! What shows the shop, and is not copied with it.

pub mod check;
pub mod command;
mod config;
mod faults;
pub mod load;
mod local;
mod ops;
mod page;
pub mod protect;
mod registry;
mod remote;
mod services;
mod supervisor;
mod token;

use crate::claim::Claim;
use crate::host::{Build, service};
use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use crate::parts::faults::Faults;
use crate::parts::registry as asked;
use crate::parts::{buckets, policy};
use crate::up::{asked_to_stop, bind_all, block_on, instances, open_at, say};
use config::Desk;
use services::Seen;
use std::pin::pin;
use supervisor::{Supervision, Supervisor};

/// Opens the shop and its ops, says where, and closes both on Ctrl-C or SIGTERM.
///
/// # Errors
///
/// When a service cannot start.
pub fn up(config: &Config) -> Result<(), Failure> {
    let config = Config { faults: Faults::switched_on(), ..config.clone() };
    block_on(work(&config))
}

async fn work(config: &Config) -> Result<(), Failure> {
    // Whoever reads the lines may send a signal at once, so the signals are heard first.
    let stop = asked_to_stop()?;
    asked::is_there(config).await?;
    policy::is_there(config).await?;
    buckets::is_there(config).await?;
    // The first to come and the last to go, so that the others can say when they do.
    let embedded = config.registry.is_none().then_some(Name::Registry.replica(1)?);
    let registry = config.registry.clone().or(embedded.map(|embedded| config.local(embedded)));
    let own_config = config.settings.is_none().then_some(Name::Config.replica(1)?);
    let settings = config.settings.clone().or(own_config.map(|own| config.local(own)));
    let config = &Config { registry, settings, ..config.clone() };
    let beside = embedded.into_iter().chain(own_config);
    let instances: Vec<_> = beside.chain(instances(config)).chain(Name::Ops.instances()).collect();
    let (config, bound) = bind_all(config, &instances)?;
    let claim = Claim::take(&config, &instances)?;
    token::keep(&config)?;
    let desk = own_config.map(|_| Desk::open(&config)).transpose()?;
    let seen: Vec<_> = bound.iter().map(|bound| Seen::new(bound.instance, bound.address)).collect();
    let (supervision, orders) = Supervision::new();
    let stage = ops::Stage {
        supervision,
        seen: seen.iter().filter(|seen| !seen.is_of(Name::Ops)).cloned().collect(),
        desk: desk.clone(),
    };
    let builder = move |instance: Instance| -> Build {
        match instance.service {
            Name::Ops => ops::build(stage.clone()),
            Name::Registry => registry::build(),
            Name::Config => match &desk {
                Some(desk) => config::build(desk.clone()),
                None => service(Name::Config),
            },
            name => service(name),
        }
    };
    let mut supervisor = Supervisor::new(&config, bound, seen, orders, claim, Box::new(builder));
    let mut stop = pin!(stop);
    let opened = tokio::select! {
        opened = supervisor.open() => opened.map(|()| true)?,
        () = &mut stop => false,
    };
    if !opened {
        supervisor.close().await;
        return Ok(());
    }
    let ops = config.local(Name::Ops.replica(1)?);
    say(&[open_at(&config), format!("ops is open at {ops} with token {}", config.ops_token)]);
    tokio::select! {
        () = &mut stop => {}
        () = supervisor.run() => {}
    }
    supervisor.close().await;
    Ok(())
}
