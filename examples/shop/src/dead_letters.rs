//! `shop dead-letters`: what nobody could handle, to look at, to deliver once more, or to throw away.

use crate::contracts::events::BINDINGS;
use crate::parts::bus::{self, Bus, DeadLetter, Trouble};
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::up::{block_on, say};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use std::collections::BTreeSet;

#[derive(Args, Debug)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// Whose they are [default: the first]
    #[arg(long, global = true, value_parser = PossibleValuesParser::new(queues()))]
    queue: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Shows them, the oldest first (the default)
    List,
    /// Puts them back into their queue, as if they had never been delivered
    Redeliver(Which),
    /// Throws them away
    Drop(Which),
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The one of this id
    #[arg(long)]
    id: Option<String>,

    /// All of them
    #[arg(long)]
    all: bool,
}

/// The queues that the shop has.
fn queues() -> BTreeSet<&'static str> {
    BINDINGS.iter().map(|(queue, _)| *queue).collect()
}

/// Does what is asked for, on the bus that is configured, whether the shop is open or not.
///
/// # Errors
///
/// When the bus cannot be used, or there is no such letter.
pub fn run(config: &Config, args: &DeadLettersArgs) -> Result<(), Failure> {
    block_on(async {
        bus::is_there(config, BINDINGS).await?;
        let bus = Bus::open(config, BINDINGS).await?;
        let failed = |trouble: Trouble| Failure::new(format!("the bus has failed: {trouble}."));
        let queue = args.queue.as_deref().or_else(|| queues().first().copied());
        let queue = queue.ok_or_else(|| Failure::new("this shop has no queue, and so no dead letters."))?;
        let (which, many, done) = match args.verb.as_ref().unwrap_or(&Verb::List) {
            Verb::List => {
                list(queue, &bus.dead_letters(queue).await.map_err(failed)?);
                return Ok(());
            }
            Verb::Redeliver(which) => {
                (which, bus.redeliver(queue, which.id.as_deref()).await.map_err(failed)?, "delivered again")
            }
            Verb::Drop(which) => {
                (which, bus.forget(queue, which.id.as_deref()).await.map_err(failed)?, "dropped")
            }
        };
        match &which.id {
            Some(id) if many == 0 => {
                Err(Failure::new(format!("{queue} has no dead letter with the id {id:?}.")))
            }
            _ => {
                say(&[format!("{done}: {many}")]);
                Ok(())
            }
        }
    })
}

fn list(queue: &str, letters: &[DeadLetter]) {
    let mut lines = vec![format!("dead letters of {queue}: {}", letters.len())];
    lines.extend(letters.iter().map(|DeadLetter { id, topic, payload, reason, died_at }| {
        let payload: String = payload.chars().take(200).collect();
        format!("{id:?} {topic:?} died at {died_at}: {reason:?}, of {payload:?}")
    }));
    say(&lines);
}
