//! `all`: every experiment in a process of its own, and one report of them.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    EXPERIMENTS,
    board::Board,
    experiment::{Experiment, Kind},
    plot, progress,
};

/// Options of `all`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes a Markdown report with plots into this directory.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Seed of all dice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs (seeds) the figures are taken over.
    #[arg(long, conflicts_with = "quick")]
    runs: Option<u32>,
    /// Three runs instead of twenty.
    #[arg(long)]
    quick: bool,
    /// Runs the simulated experiments alone: their figures do not depend on the machine.
    #[arg(long, conflicts_with = "timed")]
    simulated: bool,
    /// Runs the timed experiments alone.
    #[arg(long)]
    timed: bool,
    /// Counts instructions under valgrind as well, where that is installed.
    #[arg(long)]
    instructions: bool,
}

/// What one experiment prints with `--json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    /// Whether every target was met.
    pub(crate) met: bool,
    pub(crate) boards: Vec<Board>,
}

impl Outcome {
    pub(crate) fn new(id: &str, boards: Vec<Board>) -> Self {
        Self { id: id.into(), met: !boards.iter().any(Board::missed), boards }
    }
}

/// Runs the chosen experiments, prints their tables, writes the report, and says whether every target was met.
///
/// # Errors
///
/// When a process cannot be started or does not print an outcome, or the report cannot be written.
pub(crate) fn run(options: &Options) -> io::Result<bool> {
    let chosen: Vec<&Experiment> =
        EXPERIMENTS.iter().filter(|experiment| options.chooses(experiment.kind)).collect();
    let bar = progress::bar("all", chosen.len());
    let mut outcomes = Vec::new();
    for experiment in chosen {
        bar.set_message(experiment.title);
        let outcome = options.run_alone(experiment)?;
        bar.suspend(|| outcome.boards.iter().for_each(|board| progress::say(board.print())));
        outcomes.push(outcome);
        bar.inc(1);
    }
    bar.finish_and_clear();

    if let Some(directory) = &options.report {
        write(directory, &outcomes)?;
        progress::say(format_args!("report: {}", directory.join(REPORT).display()));
    }
    let met = outcomes.iter().filter(|outcome| outcome.met).count();
    progress::say(format_args!("{met} of {} experiments meet their targets", outcomes.len()));
    Ok(met == outcomes.len())
}

impl Options {
    fn chooses(&self, kind: Kind) -> bool {
        match kind {
            Kind::Timed => !self.simulated,
            Kind::Simulated => !self.timed,
        }
    }

    /// Runs one experiment in its own process: once paused, tokio's clock takes a lock in every process that it is in.
    fn run_alone(&self, experiment: &Experiment) -> io::Result<Outcome> {
        let mut command = Command::new(env::current_exe()?);
        command.args([experiment.id, "--json", "--seed", &self.seed.to_string()]);
        if let Some(runs) = self.runs {
            command.args(["--runs", &runs.to_string()]);
        }
        if self.quick {
            command.arg("--quick");
        }
        if self.instructions && experiment.instructions {
            command.arg("--instructions");
        }
        let output = command.stderr(Stdio::inherit()).output()?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            io::Error::other(format!("{} printed no outcome ({error}), {}", experiment.id, output.status))
        })
    }
}

const REPORT: &str = "REPORT.md";

fn write(directory: &Path, outcomes: &[Outcome]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut report = String::from(
        "# Report of the yardstick\n\nWritten by `cargo run --release -p yardstick -- all --report DIR`. Every figure was measured in that run.\n",
    );
    report += "\n| experiment | targets |\n| --- | --- |\n";
    for outcome in outcomes {
        let title = outcome.boards.first().map_or(outcome.id.as_str(), |board| board.title.as_str());
        report += &format!("| {title} | {} |\n", if outcome.met { "met" } else { "missed" });
    }
    for outcome in outcomes {
        for (number, board) in outcome.boards.iter().enumerate() {
            report += &format!("\n## {}\n\n{}\n", board.title, board.markdown());
            for (name, svg) in plot::plots(board) {
                let number = if number == 0 { String::new() } else { format!("-{}", number + 1) };
                let file = format!("{}{number}-{name}.svg", outcome.id);
                fs::write(directory.join(&file), svg)?;
                report += &format!("![{name}]({file})\n");
            }
        }
    }
    fs::write(directory.join(REPORT), report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Cell, Column, Judgement, Role, Unit};

    #[test]
    fn a_report_holds_tables_and_plots() {
        let mut board =
            Board::new("n0: an example", vec![Column::new("closed", Unit::Nanoseconds).plotted()]);
        board.row(Role::Ours, "ours", vec![Cell::Number(40.0)]);
        board.judge(vec![Some(Judgement::at_most(31.5, 40.0, Unit::Nanoseconds))]);
        let outcome = Outcome::new("n0", vec![board]);
        assert!(!outcome.met);

        let directory = env::temp_dir().join(format!("yardstick-report-{}", std::process::id()));
        write(&directory, &[outcome]).expect("the temporary directory takes files");
        let report = fs::read_to_string(directory.join(REPORT)).expect("the report was written");
        let plot = fs::read_to_string(directory.join("n0-closed.svg")).expect("the plot was written");
        fs::remove_dir_all(&directory).expect("what was written can be removed");
        assert!(report.contains("| n0: an example | missed |"));
        assert!(report.contains("![closed](n0-closed.svg)"));
        assert!(plot.starts_with("<svg"));
    }
}
