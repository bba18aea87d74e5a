//! `shop check`: whether money and stock are where they must be, read off the stores and the queue alone. No service is asked, and
//! nothing is written.

mod books;
#[cfg(feature = "rabbitmq")]
mod broker;
mod calm;
mod complaint;
mod hearing;
mod invariants;
mod read;
mod report;
mod snapshot;
mod watch;

pub use watch::watch;

use crate::parts::config::Config;
use crate::parts::failure::Failure;
use books::Books;
use calm::Calm;
use complaint::Findings;
use hearing::{Hearing, PROVEN};
use read::Shelf;
use report::{Report, Tally};
use std::io::Write;
use std::time::Duration;
use tokio::runtime;
use tokio::time::{Instant, sleep};

/// Between two readings.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Says it in JSON
    #[arg(long)]
    json: bool,

    /// Waits up to so long, such as 60s, until nothing is open any more; what is open then is a breach
    #[arg(long, value_name = "D", value_parser = duration)]
    wait: Option<Duration>,
}

/// Checks once and says what was found.
///
/// # Errors
///
/// When an invariant is broken, or something is open after `--wait`; when a store is missing or cannot be read.
pub fn run(config: &Config, args: &CheckArgs) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failure::new(format!("there is no runtime: {why}.")))?;
    let report = runtime.block_on(check(&Shelf::new(config), args.wait))?;
    let said = if args.json { format!("{:#}\n", report.json()) } else { report.to_string() };
    // Who closed the pipe has read enough; the exit code speaks on.
    let _ = std::io::stdout().write_all(said.as_bytes());
    report.judge()?;
    match args.wait {
        Some(wait) if !report.tally.at_rest => {
            Err(Failure::new(format!("after {wait:?} there are still things open, which the figures name.")))
        }
        _ => Ok(()),
    }
}

/// Reads until nothing is open or the time is over; then again, as long as there are complaints that may not stand.
async fn check(shelf: &Shelf, wait: Option<Duration>) -> Result<Report, Failure> {
    let (mut books, mut calm) = shelf.read().await?;
    let end = Instant::now() + wait.unwrap_or_default();
    while !is_at_rest(&books, calm) && Instant::now() < end {
        sleep(PAUSE).await;
        (books, calm) = shelf.read().await?;
    }
    let mut hearing = Hearing::default();
    let mut report = judged(&mut hearing, &books, calm);
    for _ in 1..PROVEN {
        if !report.has_doubts() {
            break;
        }
        sleep(PAUSE).await;
        let (books, calm) = shelf.read().await?;
        report = judged(&mut hearing, &books, calm);
    }
    Ok(report)
}

/// Whether nothing is on its way, and nothing is waited for that nobody can see.
fn is_at_rest(books: &Books, calm: Calm) -> bool {
    let is_open = |findings: &Findings| findings.at_work > 0 || !findings.waiting.is_empty();
    books.are_at_rest() && !invariants::examine(books, calm).iter().any(|(_, findings)| is_open(findings))
}

fn judged(hearing: &mut Hearing, books: &Books, calm: Calm) -> Report {
    let tally = Tally { at_rest: is_at_rest(books, calm), ..Tally::of(books) };
    Report { verdicts: hearing.hear(invariants::examine(books, calm)), tally }
}

/// A number with its unit: `500ms`, `60s` or `2m`. At most a day.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    match ms {
        Some(ms) if unit_ms > 0 && ms <= 86_400_000 => Ok(Duration::from_millis(ms)),
        _ => Err("it must be like 500ms, 60s or 2m, and at most a day".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn a_duration_has_its_unit() {
        for (text, ms) in [("0s", 0), ("500ms", 500), ("60s", 60_000), ("2m", 120_000), ("1440m", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
        for text in [
            "",
            "60",
            "s",
            "-1s",
            "1.5s",
            "1h",
            "60 s",
            "1441m",
            "99999999999999999999s",
            "307445734561825861m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
