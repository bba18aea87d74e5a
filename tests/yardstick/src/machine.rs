//! What figures depend on, as far as the machine can tell: so that a report says where it comes from.

use std::{fs, thread};

use serde::{Deserialize, Serialize};

/// Under what a report was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    /// The day on which the first experiment ran, as in `2026-11-22`.
    pub(crate) date: String,
    /// Bartizan's version.
    pub(crate) version: String,
    pub(crate) rustc: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    /// The first seed; run `n` has the n-th after it.
    pub(crate) seed: u64,
    pub(crate) runs: u32,
}

impl Conditions {
    /// Those of this process, today.
    pub(crate) fn here(seed: u64, runs: u32) -> Self {
        Self {
            date: today(),
            version: env!("CARGO_PKG_VERSION").into(),
            rustc: env!("YARDSTICK_RUSTC").into(),
            cpu: cpu().unwrap_or_else(|| "an unknown processor".into()),
            cores: thread::available_parallelism().map_or(1, Into::into),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            seed,
            runs,
        }
    }

    /// Whether figures of both may stand in one report.
    pub(crate) fn agree(&self, other: &Self) -> bool {
        *self == Self { date: self.date.clone(), ..other.clone() }
    }

    /// All of it in one sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self { date, version, rustc, cpu, cores, system, seed, runs } = self;
        format!(
            "Bartizan {version}, {date}, {cpu} ({cores} cores, {system}), {rustc}, {runs} runs of each, first seed {seed}."
        )
    }
}

#[expect(clippy::disallowed_types, reason = "a reader wants the date, and nothing is decided by it")]
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().into()
}

/// The processor by the name that Linux gives it.
fn cpu() -> Option<String> {
    let known = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = known.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_date_may_differ() {
        let here = Conditions::here(1, 20);
        assert!(here.agree(&Conditions { date: "2000-01-01".into(), ..here.clone() }));
        assert!(!here.agree(&Conditions { runs: 3, ..here.clone() }));
        assert!(!here.agree(&Conditions { cpu: "another".into(), ..here.clone() }));
    }

    #[test]
    fn the_sentence_tells_all() {
        let sentence = Conditions::here(7, 20).sentence();
        assert!(
            sentence.contains("rustc ") && sentence.ends_with("20 runs of each, first seed 7."),
            "{sentence}"
        );
        assert_eq!(today().len(), "2026-11-22".len());
    }
}
