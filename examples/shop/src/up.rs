//! `shop up`: every service in this process.

use crate::host::{self, Around, Running, bind};
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::run::block_on;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::signal::unix::{SignalKind, signal};

/// In the order in which they are started. They are stopped in the other, so that nobody loses one it is asking.
const SERVICES: [Name; 5] = [Name::Payment, Name::Product, Name::User, Name::Order, Name::Gateway];

/// Opens the shop, says where, and closes it on Ctrl-C or SIGTERM.
///
/// # Errors
///
/// When a service cannot start, or has fallen over.
pub fn up(config: &Config) -> Result<(), Failure> {
    let mut services = SERVICES.to_vec();
    if config.bank_url.is_none() {
        services.insert(0, Name::Bank);
    }
    if cfg!(feature = "stage") {
        services.push(Name::Ops);
    }
    block_on(async {
        let mut running = open(config, &services).await?;
        println!("shop is open at {}", config.local(Name::Gateway));
        if cfg!(feature = "stage") {
            println!("ops is open at {} with token {}", config.local(Name::Ops), config.ops_token);
        }
        let outcome = tokio::select! {
            done = asked_to_stop() => done,
            name = first_ended(&mut running) => Err(Failure::new(format!("{name} has fallen over."))),
        };
        close(running).await;
        outcome
    })
}

/// Takes all ports before it starts the first service, so that a taken one changes nothing.
pub async fn open(config: &Config, services: &[Name]) -> Result<Vec<Running>, Failure> {
    let bound = services.iter().map(|name| bind(config, *name)).collect::<Result<Vec<_>, _>>()?;
    let watched: Vec<_> = bound.iter().map(|bound| (bound.name, bound.address)).collect();
    let bank = watched.iter().find(|(name, _)| *name == Name::Bank).map(|(_, address)| *address);
    let mut running = Vec::new();
    for bound in bound {
        match host::start(bound, config, Around { bank, watched: watched.clone() }).await {
            Ok(service) => running.push(service),
            Err(failure) => {
                close(running).await;
                return Err(failure);
            }
        }
    }
    Ok(running)
}

/// Drains the services, the one that was started last first.
pub async fn close(mut running: Vec<Running>) {
    while let Some(service) = running.pop() {
        service.drain().await;
    }
}

/// Returns on the first Ctrl-C or SIGTERM. The second ends the process at once.
pub async fn asked_to_stop() -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|why| Failure::new(format!("signals cannot be heard: {why}.")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    tokio::spawn(async move {
        next().await;
        std::process::exit(130);
    });
    Ok(())
}

/// The first service that has ended without being told to.
pub async fn first_ended(running: &mut [Running]) -> Name {
    let mut ends: Vec<_> = running.iter_mut().map(|service| Box::pin(service.ended())).collect();
    poll_fn(|cx| {
        let name = ends.iter_mut().find_map(|end| match pin!(end).poll(cx) {
            Poll::Ready(name) => Some(name),
            Poll::Pending => None,
        });
        name.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
