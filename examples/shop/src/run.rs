//! `shop run <service>`: one service alone in this process.

use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::up::{asked_to_stop, close, first_ended, open};
use tokio::runtime;

/// Runs a service until Ctrl-C or SIGTERM. Payments bring the simulated bank along, unless `BANK_URL` names one.
///
/// # Errors
///
/// When it cannot start, or has fallen over.
pub fn run(config: &Config, name: Name) -> Result<(), Failure> {
    let services = match name {
        Name::Payment if config.bank_url.is_none() => vec![Name::Bank, Name::Payment],
        name => vec![name],
    };
    block_on(async {
        let mut running = open(config, &services).await?;
        println!("{name} is open at {}", config.local(name));
        let outcome = tokio::select! {
            done = asked_to_stop() => done,
            name = first_ended(&mut running) => Err(Failure::new(format!("{name} has fallen over."))),
        };
        close(running).await;
        outcome
    })
}

/// The runtime that starts and stops the others; it serves nobody.
pub fn block_on<F: Future<Output = Result<(), Failure>>>(work: F) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|why| Failure::new(format!("there is no runtime: {why}.")))?.block_on(work)
}
