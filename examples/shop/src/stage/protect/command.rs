//! `shop protect`: the layers of a shop that is open, from the command line.

use super::{Protection, Protections, Wish};
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::stage::config::Switch;
use crate::stage::remote::Ops;
use crate::up::{block_on, say};
use clap::{Args, ValueEnum};
use http::Method;

/// Without arguments it lists them.
#[derive(Args, Debug)]
pub struct ProtectArgs {
    /// A call ("gateway->product"), or all
    #[arg(requires = "layer")]
    call: Option<String>,

    /// A layer of the call (retry), or all
    #[arg(requires = "position")]
    layer: Option<String>,

    position: Option<Position>,

    /// Switches all layers on again
    #[arg(long, conflicts_with = "call")]
    clear: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Position {
    On,
    Off,
}

/// # Errors
///
/// When no shop is open there, or it does not do what is asked; in its own words.
pub fn run(config: &Config, args: ProtectArgs) -> Result<(), Failure> {
    block_on(async {
        let ops = Ops::of(config)?;
        if args.clear {
            return ops.ask(Method::DELETE, "/protections", None).await.map(drop);
        }
        if let (Some(call), Some(layer), Some(position)) = (args.call, args.layer, args.position) {
            let wish = Wish { call, layer, on: matches!(position, Position::On) };
            let wish = serde_json::to_value(wish).unwrap_or_default();
            return ops.ask(Method::POST, "/protections", Some(wish)).await.map(drop);
        }
        let list = ops.ask(Method::GET, "/protections", None).await?;
        let list: Protections = serde_json::from_value(list)
            .map_err(|why| Failure::new(format!("ops answered in another language: {why}.")))?;
        say(&list.protections.iter().map(line).collect::<Vec<_>>());
        Ok(())
    })
}

fn line(Protection { switch: Switch { call, layer }, on }: &Protection) -> String {
    format!("{}  {call}  {layer}", if *on { "on " } else { "off" })
}
