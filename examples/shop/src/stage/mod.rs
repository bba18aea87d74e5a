//! What shows the shop, and is not copied with it.

pub mod check;
pub mod command;
mod config;
pub mod demo;
mod faults;
mod incidents;
pub mod keys;
pub mod load;
mod local;
mod ops;
mod page;
pub mod protect;
mod proxy;
mod reach;
pub mod redeploy;
mod registry;
mod remote;
mod scene;
mod services;
mod supervisor;
pub mod tls;
mod token;
mod traces;

use crate::args::{At, Command};
use crate::claim::Claim;
use crate::contracts::events::BINDINGS;
use crate::host::service;
use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use crate::parts::faults::Faults;
use crate::parts::registry as asked;
use crate::parts::{self, buckets, bus, policy};
use crate::up::{self, asked_to_stop, bind_all, block_on, instances, open_at, say};
use config::Desk;
use reach::Reach;
use redeploy::Deployments;
use services::Seen;
use std::env::current_exe;
use std::pin::pin;
use supervisor::{How, Program, Supervision, Supervisor};
use traces::Kept;

/// Opens the shop and its ops, says where, and closes both on Ctrl-C or SIGTERM. The services are processes of their own, if
/// that is wanted; what stands beside them never is.
///
/// # Errors
///
/// When a service cannot start.
pub fn up(config: &Config, procs: bool, kept: Option<Kept>) -> Result<(), Failure> {
    let config = Config { faults: Faults::switched_on(), ..config.clone() };
    block_on(work(&config, procs, kept.unwrap_or_default()))
}

/// Runs one service, which can be steered if whoever starts it wants that.
///
/// # Errors
///
/// When it cannot start, or has fallen over.
pub fn run(config: Config, instance: Instance, at: &At, kept: Option<Kept>) -> Result<(), Failure> {
    let (config, beside) = reach::open(config, instance, kept.unwrap_or_default())?;
    up::run(&config, instance, at, beside)
}

/// Where the traces of a command are kept, if it has some and somebody looks at them.
pub fn kept(command: &Command) -> Option<Kept> {
    let looked_at = match command {
        Command::Up(_) => true,
        Command::Run { .. } => reach::is_steered(),
        _ => false,
    };
    looked_at.then(Kept::default)
}

async fn work(config: &Config, procs: bool, kept: Kept) -> Result<(), Failure> {
    // Whoever reads the lines may send a signal at once, so the signals are heard first.
    let stop = asked_to_stop()?;
    asked::is_there(config).await?;
    policy::is_there(config).await?;
    buckets::is_there(config).await?;
    bus::is_there(config, BINDINGS).await?;
    parts::traces::is_there(config).await?;
    // The first to come and the last to go, so that the others can say when they do.
    let embedded = config.registry.is_none().then_some(Name::Registry.replica(1)?);
    let registry = config.registry.clone().or(embedded.map(|embedded| config.local(embedded)));
    let own_config =
        (config.settings.is_none() && config.policy_file.is_none()).then_some(Name::Config.replica(1)?);
    let settings = config.settings.clone().or(own_config.map(|own| config.local(own)));
    let config = &Config { registry, settings, ..config.clone() };
    let beside = embedded.into_iter().chain(own_config);
    let instances: Vec<_> = beside.chain(instances(config)).chain(Name::Ops.instances()).collect();
    let (config, bound) = bind_all(config, &instances, None)?;
    let claim = Claim::take(&config, &instances)?;
    let claim = if procs { claim.share(&config)? } else { claim };
    token::keep(&config)?;
    let desk = own_config.map(|_| Desk::open(&config)).transpose()?;
    let reach = procs.then(|| Reach::new(&config, kept.clone()));
    if let (Some(desk), Some(reach)) = (&desk, &reach) {
        desk.tells(reach.clone());
    }
    let seen: Vec<_> = bound.iter().map(|bound| Seen::new(bound.instance, bound.address)).collect();
    let (supervision, orders) = Supervision::new();
    let program = current_exe().map_err(|why| Failure::new(format!("this program is nowhere: {why}.")))?;
    let program = Program::hold(program, 1)?;
    let services = seen.iter().map(|seen| seen.instance);
    let services =
        services.filter(|it| !matches!(it.service, Name::Ops | Name::Registry | Name::Config)).collect();
    let deployments = procs.then(|| Deployments::new(supervision.clone(), services, program.clone()));
    let stage = ops::Stage {
        supervision,
        seen: seen.iter().filter(|seen| !seen.is_of(Name::Ops)).cloned().collect(),
        desk: desk.clone(),
        reach: reach.clone(),
        deployments,
        kept,
    };
    let starter = move |instance: Instance| match instance.service {
        Name::Ops => How::Thread(ops::build(stage.clone())),
        Name::Registry => How::Thread(registry::build()),
        Name::Config => How::Thread(match &desk {
            Some(desk) => config::build(desk.clone()),
            None => service(Name::Config),
        }),
        name => match &reach {
            Some(reach) => How::Process(program.clone(), reach.clone()),
            None => How::Thread(service(name)),
        },
    };
    let mut supervisor = Supervisor::new(&config, bound, seen, orders, claim, Box::new(starter));
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
