//! `shop demo`: a story of faults and layers, played on a shop of its own. Each scene says what it shows in figures, and every
//! figure has a bound.

mod customer;
mod figures;
mod house;
mod play;
mod report;
mod scenes;

use super::tls;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::up::{asked_to_stop, block_on, say};
use house::{Folder, House};
use play::Play;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

/// How long a scene is to be seen, if nothing else is said.
const SEEN: Duration = Duration::from_secs(28);

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Goes on as soon as a scene has shown its figures: less than a minute in all, instead of five
    #[arg(long)]
    fast: bool,

    /// Where the report is written [default: the data folder]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,

    /// Says each scene and its figures in a line of JSON
    #[arg(long)]
    json: bool,

    /// Stays in each scene for so long after its figures: 0 to 600
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(0..=600))]
    hold: Option<u64>,
}

impl DemoArgs {
    /// How long a scene that took so long is still to be seen.
    fn rest(&self, took: Duration) -> Duration {
        match (self.hold, self.fast) {
            (Some(seconds), _) => Duration::from_secs(seconds),
            (None, true) => Duration::ZERO,
            (None, false) => SEEN.saturating_sub(took),
        }
    }
}

/// Plays it on a data folder of its own, which is gone afterwards, or on the one that is given.
///
/// # Errors
///
/// When the shop cannot be opened, or a figure was missed.
pub fn run(args: &DemoArgs, data_dir: Option<PathBuf>, port_base: u16) -> Result<(), Failure> {
    block_on(async {
        let folder = Folder::new(data_dir)?;
        let reports = args.report.clone().unwrap_or_else(|| folder.reports());
        report::can_be_written(&reports)?;
        let config = Config::new(folder.data(), port_base)?;
        let mut stop = pin!(asked_to_stop()?);
        let mut house = House::open(&config, &reports)?;
        let played = tokio::select! {
            played = plays(args, &config, &mut house, &reports) => played,
            () = &mut stop => Err(Failure::new("the demo was stopped before its end.")),
        };
        house.close().await;
        played
    })
}

async fn plays(args: &DemoArgs, config: &Config, house: &mut House, reports: &Path) -> Result<(), Failure> {
    let token = house.opened().await?;
    let config = tls::known(&Config { ops_token: token, token_is_given: true, ..config.clone() });
    let mut play = Play::new(args, &config).await?;
    let ended = scenes::all(&mut play, house).await;
    // What was seen is worth a report, however it ended.
    let file = report::write(reports, &play)?;
    if !args.json {
        say(&[format!("The report is in {}.", file.display())]);
    }
    ended?;
    match play.missed() {
        0 => Ok(()),
        missed => Err(Failure::new(format!(
            "{missed} of {} figures were missed; {} says which.",
            play.figures(),
            file.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_seen_for_half_a_minute_unless_it_is_said() {
        let took = Duration::from_secs(8);
        let rest = |fast, hold| DemoArgs { fast, hold, report: None, json: false }.rest(took).as_secs();
        assert_eq!((rest(false, None), rest(true, None)), (20, 0));
        assert_eq!((rest(false, Some(0)), rest(true, Some(3))), (0, 3));
        let late = DemoArgs { fast: false, hold: None, report: None, json: false }.rest(SEEN * 2);
        assert_eq!(late, Duration::ZERO, "a machine that has no time");
    }
}
