//! `shop doctor`: what is missing or unreachable, a sentence each. It changes nothing, and shows no secret.

mod machine;
mod others;
mod ports;

use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::up::block_on;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub struct DoctorArgs {
    /// Says it in JSON
    #[arg(long)]
    json: bool,
}

/// What was found of one thing.
#[derive(Debug)]
struct Finding {
    about: String,
    /// What is well about it, or what is not.
    says: Result<String, Failure>,
}

impl Finding {
    fn new(about: impl Into<String>, says: Result<String, Failure>) -> Self {
        Self { about: about.into(), says }
    }

    fn json(&self) -> Value {
        let says = self.says.as_ref().map_or_else(ToString::to_string, Clone::clone);
        json!({ "about": self.about, "well": self.says.is_ok(), "says": says })
    }

    fn line(&self) -> String {
        match &self.says {
            Ok(says) => format!("✓ {}: {says}\n", self.about),
            Err(failure) => format!("✗ {}: {failure}\n", self.about),
        }
    }
}

/// Looks at everything, and says what it has found.
///
/// # Errors
///
/// When something is missing or unreachable.
pub fn run(args: &DoctorArgs, data_dir: PathBuf, port_base: u16) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    let config = Config::read(data_dir, port_base, &mut wrong);
    block_on(async {
        let findings = examine(&config, wrong).await;
        let ill = findings.iter().filter(|finding| finding.says.is_err()).count();
        let said = match args.json {
            true => {
                let all: Vec<_> = findings.iter().map(Finding::json).collect();
                format!("{:#}\n", json!({ "well": ill == 0, "findings": all }))
            }
            false => findings.iter().map(Finding::line).collect(),
        };
        // Who closed the pipe has read enough; the exit code speaks on.
        let _ = std::io::stdout().write_all(said.as_bytes());
        match ill {
            0 => Ok(()),
            1 => Err(Failure::new("one thing is not well.")),
            ill => Err(Failure::new(format!("{ill} things are not well."))),
        }
    })
}

async fn examine(config: &Config, wrong: Vec<Failure>) -> Vec<Finding> {
    let mut findings = settings(config, wrong);
    findings.extend(machine::examine(config));
    let config = &trusting(config);
    findings.extend(ports::examine(config).await);
    findings.extend(others::examine(config).await);
    findings
}

/// What the variables say that can be understood at once.
fn settings(config: &Config, wrong: Vec<Failure>) -> Vec<Finding> {
    let lends = cfg!(feature = "stage") && config.tls.is_in_want();
    let certificate = if lends { Ok(()) } else { config.tls.acceptor().map(drop) };
    let wrong: Vec<_> = wrong.into_iter().chain(certificate.err()).collect();
    match wrong.is_empty() {
        true => vec![Finding::new("settings", Ok("all variables that are set can be understood.".into()))],
        false => wrong.into_iter().map(|failure| Finding::new("settings", Err(failure))).collect(),
    }
}

/// Whom a shop on this folder would trust.
fn trusting(config: &Config) -> Config {
    #[cfg(feature = "stage")]
    let config = &crate::stage::tls::known(config);
    config.clone()
}
