//! `shop up`: every service in this process. `shop run <service>`: one of them.

use crate::host::{self, Running, bind};
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;
use std::task::Poll;
use tokio::runtime;
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
    block_on(work(config, &services, |_| {
        let mut lines = vec![format!("shop is open at {}", config.local(Name::Gateway))];
        if cfg!(feature = "stage") {
            let (ops, token) = (config.local(Name::Ops), &config.ops_token);
            lines.push(format!("ops is open at {ops} with token {token}"));
        }
        lines
    }))
}

/// Runs one service, which finds the others by `<SERVICE>_URL` or by their ports. Payments bring the simulated bank
/// along, unless `BANK_URL` names one.
///
/// # Errors
///
/// When it cannot start, or has fallen over.
pub fn run(config: &Config, name: Name) -> Result<(), Failure> {
    let services = match name {
        Name::Payment if config.bank_url.is_none() => vec![Name::Bank, Name::Payment],
        name => vec![name],
    };
    block_on(work(config, &services, |running| {
        running.last().map(|it| format!("{} is open at http://{}", it.name, it.address)).into_iter().collect()
    }))
}

/// The runtime that starts and stops the others; it serves nobody.
fn block_on<F: Future<Output = Result<(), Failure>>>(work: F) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|why| Failure::new(format!("there is no runtime: {why}.")))?.block_on(work)
}

async fn work(
    config: &Config,
    services: &[Name],
    lines: impl FnOnce(&[Running]) -> Vec<String>,
) -> Result<(), Failure> {
    // Whoever reads the lines may send a signal at once, so the signals are heard first.
    let asked_to_stop = asked_to_stop()?;
    let mut running = open(config, services).await?;
    for line in lines(&running) {
        // Nobody may be reading, and the shop is open all the same.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    let outcome = tokio::select! {
        () = asked_to_stop => Ok(()),
        name = first_ended(&mut running) => Err(Failure::new(format!("{name} has fallen over."))),
    };
    close(running).await;
    outcome
}

/// Takes all ports before it starts the first service, so that a taken one changes nothing.
async fn open(config: &Config, services: &[Name]) -> Result<Vec<Running>, Failure> {
    let bound = services.iter().map(|name| bind(config, *name)).collect::<Result<Vec<_>, _>>()?;
    let neighbours: Vec<_> = bound.iter().map(|bound| (bound.name, bound.address)).collect();
    let mut running = Vec::new();
    for bound in bound {
        match host::start(bound, config, neighbours.clone()).await {
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
async fn close(mut running: Vec<Running>) {
    while let Some(service) = running.pop() {
        service.drain().await;
    }
}

/// Listens from now on, and ends on the first Ctrl-C or SIGTERM. The second ends the process at once.
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|why| Failure::new(format!("signals cannot be heard: {why}.")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move {
            next().await;
            std::process::exit(130);
        });
    })
}

/// The first service that has ended without being told to.
async fn first_ended(running: &mut [Running]) -> Name {
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
