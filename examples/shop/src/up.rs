//! `shop up`: every service in this process. `shop run <service>`: one of them.

use crate::args::At;
use crate::claim::Claim;
use crate::contracts::events::BINDINGS;
use crate::handed::{self, Giver, Word};
use crate::host::{self, Bound, Running, bind, service};
use crate::listen;
use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use crate::parts::{buckets, bus, policy, registry, traces};
use std::future::{pending, poll_fn};
use std::io::Write;
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// In the order in which they are started. They are stopped in the other, so that nobody loses one it is asking.
const SERVICES: &[Name] = &[Name::Payment, Name::User, Name::Product, Name::Mail, Name::Order, Name::Gateway];

/// Opens the shop, says where, and closes it on Ctrl-C or SIGTERM.
///
/// # Errors
///
/// When a service cannot start, or has fallen over.
#[cfg_attr(feature = "stage", expect(dead_code, reason = "the stage opens a shop that can be watched"))]
pub fn up(config: &Config) -> Result<(), Failure> {
    block_on(work(config, &instances(config), None, None, None, |_| vec![open_at(config)]))
}

/// Everything that a shop is made of, but what shows it.
pub fn instances(config: &Config) -> Vec<Instance> {
    let bank = config.bank_url.is_none().then_some(Name::Bank);
    bank.into_iter().chain(SERVICES.iter().copied()).flat_map(Name::instances).collect()
}

/// The line that says that the shop is open.
pub fn open_at(config: &Config) -> String {
    format!("shop is open at {}", config.at(&format!("127.0.0.1:{}", config.port_base)))
}

/// Runs one service, which finds the others by `<SERVICE>_URL` or by their ports. Payments bring the simulated bank
/// along, unless `BANK_URL` names one. Its socket may be handed down by who starts it, and something may be done beside it.
///
/// # Errors
///
/// When it cannot start, or has fallen over.
pub fn run(config: &Config, instance: Instance, at: &At, beside: Option<Beside>) -> Result<(), Failure> {
    let handed = handed::bound(instance)?;
    let own = if handed.is_none() { listen::bound(config, instance, at)? } else { None };
    let bank = instance.service == Name::Payment && config.bank_url.is_none();
    let instances: Vec<_> =
        bank.then_some(Name::Bank).into_iter().flat_map(Name::instances).chain([instance]).collect();
    block_on(work(config, &instances, handed, own, beside, |running| {
        running
            .last()
            .map(|it| format!("{} is open at {}", it.instance, config.at(&it.address)))
            .into_iter()
            .collect()
    }))
}

/// What is done as long as a service runs, and knows nothing of it.
pub struct Beside {
    /// Said before anything else.
    pub says: String,
    pub work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The runtime that starts and stops the others; no customer is served by it.
pub fn block_on<F: Future<Output = Result<(), Failure>>>(work: F) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|why| Failure::new(format!("there is no runtime: {why}.")))?.block_on(work)
}

async fn work(
    config: &Config,
    instances: &[Instance],
    handed: Option<Bound>,
    own: Option<Bound>,
    beside: Option<Beside>,
    lines: impl FnOnce(&[Running]) -> Vec<String>,
) -> Result<(), Failure> {
    // Whoever reads the lines may send a signal at once, so the signals are heard first.
    let asked_to_stop = asked_to_stop()?;
    let mut giver = handed.is_some().then(Giver::new).transpose()?;
    // Who hands a socket down has seen that all is there; who takes over later goes on without it.
    if giver.is_none() {
        registry::is_there(config).await?;
        policy::is_there(config).await?;
        traces::is_there(config).await?;
        if instances.iter().any(|instance| instance.service == Name::Gateway) {
            buckets::is_there(config).await?;
        }
        if instances.iter().any(|instance| instance.service.is_on_the_bus()) {
            bus::is_there(config, BINDINGS).await?;
        }
    }
    let (config, bound) = bind_all(config, instances, handed.or(own))?;
    let _claim =
        if giver.is_some() { Claim::join(&config, instances) } else { Claim::take(&config, instances) }?;
    if let Some(Beside { says, work }) = beside {
        tokio::spawn(work);
        say(&[says]);
    }
    let mut asked_to_stop = pin!(asked_to_stop);
    let mut running = tokio::select! {
        opened = open(&config, bound) => opened?,
        () = &mut asked_to_stop => return Ok(()),
        _ = says(&mut giver) => return Ok(()),
    };
    say(&lines(&running));
    let word = tokio::select! {
        () = &mut asked_to_stop => Ok(Word::Gone),
        word = says(&mut giver) => Ok(word),
        instance = first_ended(&mut running) => Err(Failure::new(format!("{instance} has fallen over."))),
    };
    if word.as_ref().is_ok_and(|word| *word == Word::HandOver) {
        tokio::select! {
            () = &mut asked_to_stop => {}
            () = handed::hand_over(&mut running) => {}
        }
    }
    close(running).await;
    word.map(drop)
}

async fn says(giver: &mut Option<Giver>) -> Word {
    match giver {
        Some(giver) => giver.says().await,
        None => pending().await,
    }
}

/// Tells them to whoever reads. Nobody may be reading, and the shop is open all the same.
pub fn say(lines: &[String]) {
    for line in lines {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Takes all ports before the first service is started, so that a taken one changes nothing; all but that of who is
/// handed down. When the bank is among them, the configuration that is returned knows where.
///
/// # Errors
///
/// When a port is taken.
pub fn bind_all(
    config: &Config,
    instances: &[Instance],
    mut handed: Option<Bound>,
) -> Result<(Config, Vec<Bound>), Failure> {
    let mut bound = |instance: &Instance| match handed.take_if(|handed| handed.instance == *instance) {
        Some(handed) => Ok(handed),
        None => bind(config, *instance),
    };
    let bound = instances.iter().map(&mut bound).collect::<Result<Vec<_>, _>>()?;
    let mut config = config.clone();
    if let Some(bank) = bound.iter().find(|bound| bound.instance.service == Name::Bank) {
        config.bank_url = Some(config.at(&bank.address));
    }
    Ok((config, bound))
}

/// Starts the services, each when the one before can be asked.
///
/// # Errors
///
/// When one cannot start; the others are closed then.
pub async fn open(config: &Config, bound: Vec<Bound>) -> Result<Vec<Running>, Failure> {
    let mut running = Vec::new();
    for bound in bound {
        let service = service(bound.instance.service);
        match host::start(bound, config, service).await {
            Ok(instance) => running.push(instance),
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
    while let Some(instance) = running.pop() {
        instance.drain().await;
    }
}

/// Listens from now on, and ends on the first Ctrl-C or SIGTERM. The second ends the process at once.
pub fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
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
async fn first_ended(running: &mut [Running]) -> Instance {
    let mut ends: Vec<_> = running.iter_mut().map(|service| Box::pin(service.ended())).collect();
    poll_fn(|cx| {
        let ended = ends.iter_mut().find_map(|end| match pin!(end).poll(cx) {
            Poll::Ready(instance) => Some(instance),
            Poll::Pending => None,
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
