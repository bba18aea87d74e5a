//! `all`: every experiment in a process of its own, and one report of them.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    EXPERIMENTS,
    board::Board,
    experiment::{Experiment, Kind},
    machine::Conditions,
    options::Common,
    plot::{self, Plot},
    progress,
};

/// Options of `all`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes a Markdown report with plots, and the outcomes as JSON, into this directory.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Keeps the outcomes that the report's directory holds, and runs the others alone: as after a run that was cut short.
    #[arg(long, requires = "report")]
    resume: bool,
    /// Runs these experiments alone, by name or by family: `n1,b` are n1 and all that begin with b.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = named)]
    only: Vec<String>,
    /// Seed of all dice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs (seeds) the figures are taken over.
    #[arg(long, default_value_t = Common::RUNS, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Three runs instead of twenty.
    #[arg(long, conflicts_with = "runs")]
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

/// The name of an experiment, or the letter of a family of them.
fn named(text: &str) -> Result<String, String> {
    let known = EXPERIMENTS.iter().any(|experiment| names(text, experiment.id));
    known.then(|| text.into()).ok_or_else(|| format!("no experiment is called `{text}`; `list` names them"))
}

fn names(text: &str, id: &str) -> bool {
    id == text || id.trim_end_matches(|letter: char| letter.is_ascii_digit()) == text
}

/// What one experiment prints with `--json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    /// Whether every target was met.
    pub(crate) met: bool,
    /// How long it took, where somebody waited for it.
    pub(crate) seconds: Option<f64>,
    pub(crate) boards: Vec<Board>,
}

impl Outcome {
    pub(crate) fn new(id: &str, boards: Vec<Board>) -> Self {
        Self { id: id.into(), met: !boards.iter().any(Board::missed), seconds: None, boards }
    }

    /// What it is about: the title of its first table.
    pub(crate) fn title(&self) -> &str {
        self.boards.first().map_or(&self.id, |board| &board.title)
    }
}

/// What `all` found, and under what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) conditions: Conditions,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Report {
    /// What a directory keeps a report's outcomes in.
    pub(crate) const OUTCOMES: &str = "outcomes.json";

    /// Reads the outcomes of a report.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let file = directory.join(Self::OUTCOMES);
        let text = fs::read(&file).map_err(|error| at(&file, &error))?;
        serde_json::from_slice(&text).map_err(|error| at(&file, &error))
    }

    /// The outcomes as JSON, an experiment on each line.
    fn json(&self) -> serde_json::Result<String> {
        let conditions = serde_json::to_string(&self.conditions)?;
        let outcomes: Vec<String> =
            self.outcomes.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        Ok(format!("{{\"conditions\":{conditions},\"outcomes\":[\n{}\n]}}\n", outcomes.join(",\n")))
    }

    /// The outcome of an experiment, if it has run.
    pub(crate) fn outcome(&self, id: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.id == id)
    }

    /// Takes an outcome to its place in the order of the experiments.
    fn take(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
        self.outcomes
            .sort_by_key(|outcome| EXPERIMENTS.iter().position(|experiment| experiment.id == outcome.id));
    }

    /// How many experiments meet all of their targets.
    pub(crate) fn met(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.met).count()
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join(Self::OUTCOMES), self.json()?)
    }
}

/// An error of a file, with its name.
pub(crate) fn at(file: &Path, error: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

/// Runs the chosen experiments, prints their tables, writes the report, and says whether every target was met.
///
/// # Errors
///
/// When a process cannot be started or does not print an outcome, or the report cannot be written or resumed.
pub(crate) fn run(options: &Options) -> io::Result<bool> {
    let mut report = options.begin()?;
    let chosen: Vec<&Experiment> = EXPERIMENTS
        .iter()
        .filter(|experiment| options.chooses(experiment) && report.outcome(experiment.id).is_none())
        .collect();
    let bar = progress::bar("all", chosen.len());
    for (place, experiment) in chosen.iter().enumerate() {
        bar.set_message(experiment.title);
        let outcome = options.run_alone(experiment, &format!("{} of {}", place + 1, chosen.len()))?;
        bar.suspend(|| outcome.boards.iter().for_each(|board| progress::say(board.print())));
        report.take(outcome);
        // After each, so that what is cut short can be resumed.
        options.report.as_deref().map_or(Ok(()), |directory| report.write(directory))?;
        bar.inc(1);
    }
    bar.finish_and_clear();

    if let Some(directory) = &options.report {
        write(directory, &report)?;
        progress::say(format_args!("report: {}", directory.join(REPORT).display()));
    }
    progress::say(format_args!(
        "{} of {} experiments meet their targets",
        report.met(),
        report.outcomes.len()
    ));
    Ok(report.met() == report.outcomes.len())
}

impl Options {
    fn runs(&self) -> u32 {
        if self.quick { Common::QUICK_RUNS } else { self.runs }
    }

    /// A report without outcomes, or with those that are resumed.
    fn begin(&self) -> io::Result<Report> {
        let conditions = Conditions::here(self.seed, self.runs());
        let directory = self
            .report
            .as_deref()
            .filter(|directory| self.resume && directory.join(Report::OUTCOMES).exists());
        let Some(directory) = directory else { return Ok(Report { conditions, outcomes: Vec::new() }) };
        let kept = Report::read(directory)?;
        if kept.conditions.agree(&conditions) {
            return Ok(kept);
        }
        Err(io::Error::other(format!(
            "the report was measured under other conditions and cannot be resumed\n  there: {}\n  here:  {}",
            kept.conditions.sentence(),
            conditions.sentence(),
        )))
    }

    fn chooses(&self, experiment: &Experiment) -> bool {
        let kind = match experiment.kind {
            Kind::Timed => !self.simulated,
            Kind::Simulated => !self.timed,
        };
        kind && (self.only.is_empty() || self.only.iter().any(|name| names(name, experiment.id)))
    }

    /// Runs one experiment in its own process: once paused, tokio's clock takes a lock in every process that it is in.
    fn run_alone(&self, experiment: &Experiment, place: &str) -> io::Result<Outcome> {
        let mut command = Command::new(env::current_exe()?);
        command.args([experiment.id, "--json"]).env(progress::PLACE, place);
        command.args(["--seed", &self.seed.to_string()]);
        if self.quick {
            command.arg("--quick");
        } else {
            command.args(["--runs", &self.runs.to_string()]);
        }
        if self.instructions && experiment.instructions {
            command.arg("--instructions");
        }
        let begin = Instant::now();
        let output = command.stderr(Stdio::inherit()).output()?;
        let outcome: Outcome = serde_json::from_slice(&output.stdout).map_err(|error| {
            io::Error::other(format!("{} printed no outcome ({error}), {}", experiment.id, output.status))
        })?;
        Ok(Outcome { seconds: Some((Instant::now() - begin).as_secs_f64().round()), ..outcome })
    }
}

const REPORT: &str = "REPORT.md";

/// What a plot of a report is called: the experiment, the table if it is not the first, and the figure.
pub(crate) fn plot_file(outcome: &Outcome, board: usize, plot: &Plot) -> String {
    let number = if board == 0 { String::new() } else { format!("-{}", board + 1) };
    format!("{}{number}-{}.svg", outcome.id, plot.name)
}

fn write(directory: &Path, report: &Report) -> io::Result<()> {
    report.write(directory)?;
    let mut text = format!(
        "# Report of the yardstick\n\nWritten by `cargo run --release -p yardstick -- all --report DIR`. Every figure was measured in that run: {}\n",
        report.conditions.sentence()
    );
    text += "\n| experiment | targets | seconds |\n| --- | --- | ---: |\n";
    for outcome in &report.outcomes {
        let met = if outcome.met { "met" } else { "missed" };
        text += &format!("| {} | {met} | {:.0} |\n", outcome.title(), outcome.seconds.unwrap_or_default());
    }
    for outcome in &report.outcomes {
        for (number, board) in outcome.boards.iter().enumerate() {
            text += &format!("\n## {}\n\n{}\n", board.title, board.markdown());
            for plot in plot::plots(board) {
                let file = plot_file(outcome, number, &plot);
                text += &format!("![{}]({file})\n", plot.title);
                fs::write(directory.join(&file), plot.svg)?;
            }
        }
    }
    fs::write(directory.join(REPORT), text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::board::{Cell, Column, Judgement, Role, Unit};

    fn outcome(id: &str) -> Outcome {
        let mut board =
            Board::new(format!("{id}: an example"), vec![Column::new("closed", Unit::Nanoseconds).plotted()]);
        board.row(Role::Ours, "ours", vec![Cell::Number(40.0)]);
        board.judge(vec![Some(Judgement::at_most(31.5, 40.0, Unit::Nanoseconds))]);
        Outcome::new(id, vec![board])
    }

    fn report() -> Report {
        let mut report = Report { conditions: Conditions::here(1, 3), outcomes: Vec::new() };
        ["b1", "n10", "n2"].map(outcome).into_iter().for_each(|outcome| report.take(outcome));
        report
    }

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &[&str]) -> Result<Options, clap::Error> {
        Cli::try_parse_from([&["all"], line].concat()).map(|cli| cli.options)
    }

    /// A folder of a test's own, which goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(env::temp_dir().join(format!("yardstick-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_report_holds_tables_plots_and_outcomes() {
        let folder = Folder::new("report");
        write(&folder.0, &report()).expect("the temporary directory takes files");
        let text = fs::read_to_string(folder.0.join(REPORT)).expect("the report was written");
        let plot = fs::read_to_string(folder.0.join("n2-closed.svg")).expect("the plot was written");
        assert!(text.contains("| n2: an example | missed | 0 |"));
        assert!(text.contains("![closed](n2-closed.svg)"));
        assert!(plot.starts_with("<svg"));

        let read = Report::read(&folder.0).expect("what was written can be read");
        let ids: Vec<&str> = read.outcomes.iter().map(|outcome| &*outcome.id).collect();
        assert_eq!(ids, ["n2", "n10", "b1"], "in the order of the experiments");
        assert_eq!(read.json().ok(), report().json().ok());
    }

    #[test]
    fn only_what_is_missing_is_resumed_and_under_the_same_conditions_alone() {
        let folder = Folder::new("resume");
        report().write(&folder.0).expect("the temporary directory takes files");
        let directory = folder.0.to_str().expect("the path is text");
        let begin = |more: &[&str]| {
            let options = options(&[&["--report", directory], more].concat()).expect("the line is sound");
            options.begin().map(|report| report.outcomes.len()).map_err(|error| error.to_string())
        };
        assert_eq!(begin(&["--resume", "--quick"]), Ok(3));
        assert_eq!(begin(&["--quick"]), Ok(0));
        assert!(
            begin(&["--resume"]).is_err_and(|error| error.contains("3 runs of each, first seed 1.\n  here:"))
        );
        assert!(begin(&["--resume", "--quick", "--seed", "2"]).is_err());
    }

    #[test]
    fn experiments_are_chosen_by_name_family_and_kind() {
        let chosen = |line: &[&str]| -> Vec<&str> {
            let options = options(line).expect("the line is sound");
            EXPERIMENTS.iter().filter(|one| options.chooses(one)).map(|one| one.id).collect()
        };
        assert_eq!(chosen(&[]).len(), EXPERIMENTS.len());
        assert_eq!(chosen(&["--only", "n1,c"]), ["n1", "c1", "c2"]);
        assert_eq!(chosen(&["--only", "n1,c", "--simulated"]), ["c1", "c2"]);
        assert!(
            options(&["--only", "n99"]).is_err_and(|error| error.to_string().contains("is called `n99`"))
        );
        assert!(options(&["--resume"]).is_err(), "there is nothing to resume");
    }
}
