//! `shop fault`: the faults of a shop that is open, from the command line.

use super::faults::{Kind, List, Wish};
use super::remote::Ops;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::faults::SCOPE;
use crate::up::{block_on, say};
use clap::Subcommand;
use http::Method;

#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Sets a fault, and says its id
    Set {
        /// A service, a replica (payment-2), a hop ("order->payment"), or what stands beside them: bus, registry, config
        target: String,
        kind: Kind,
        /// The share of the calls that it is done to: above 0, up to 1 [default: 1]
        #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = share)]
        share: Option<f64>,
        /// How long it takes, where it takes time: 1 to 60000 [default: 300]
        #[arg(long, value_name = "MILLISECONDS", allow_negative_numbers = true)]
        ms: Option<i64>,
        /// How long it lasts: 1 to 900 [default: 60]
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        ttl: Option<i64>,
        /// Only requests with this header, and what is asked for them: "x-shop-fault: VALUE" [default: all]
        #[arg(long, value_name = "HEADER")]
        header: Option<String>,
    },
    /// Lists the faults that last
    List,
    /// Clears a fault, or all
    Clear { id: Option<String> },
}

/// What JSON has no number for would be left out, and stand for all calls.
fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|share: &f64| share.is_finite());
    number.ok_or_else(|| "it must be a number above 0, up to 1".into())
}

/// # Errors
///
/// When no shop is open there, or it does not do what is asked; in its own words.
pub fn run(config: &Config, command: FaultCommand) -> Result<(), Failure> {
    block_on(async {
        let ops = Ops::of(config)?;
        match command {
            FaultCommand::Set { target, kind, share, ms, ttl, header } => {
                let wish = Wish { target, kind: kind.as_str().into(), share, ms, ttl_s: ttl, header };
                let set =
                    ops.ask(Method::POST, "/faults", Some(serde_json::to_value(wish).unwrap_or_default()));
                say(&[set.await?["id"].as_str().unwrap_or_default().to_owned()]);
            }
            FaultCommand::List => {
                let list = ops.ask(Method::GET, "/faults", None).await?;
                let list: List = serde_json::from_value(list)
                    .map_err(|why| Failure::new(format!("ops answered in another language: {why}.")))?;
                let now = crate::parts::clock::now_ms();
                let line = |fault: &super::faults::Fault| {
                    let (share, left) = (fault.share * 100.0, (fault.expires_at - now).max(0) / 1000);
                    let scope =
                        fault.header.as_ref().map(|value| format!("  {SCOPE}: {value}")).unwrap_or_default();
                    format!(
                        "{}  {}  {}  {share} %  {} ms  {left} s left{scope}",
                        fault.id,
                        fault.target,
                        fault.kind.as_str(),
                        fault.ms
                    )
                };
                say(&list.faults.iter().map(line).collect::<Vec<_>>());
            }
            FaultCommand::Clear { id } => {
                let path = id.map_or_else(|| "/faults".to_owned(), |id| format!("/faults/{id}"));
                ops.ask(Method::DELETE, &path, None).await?;
            }
        }
        Ok(())
    })
}
