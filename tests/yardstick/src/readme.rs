//! `readme`: what the documents say of the figures is written from the outcomes of one run, and never by hand.

use std::{
    fs, io,
    iter::{once, repeat},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    EXPERIMENTS,
    board::{Board, Unit},
    compare::{Judged, Standing, behind, judged, last_of_ours},
    experiment::Kind,
    plot,
    progress::say,
    report::{Outcome, Report, at, plot_file},
};

/// Options of `readme`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The report that `all` wrote; its outcomes are kept beside the yardstick. By default the ones that are kept.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// How the documents are written anew.
const COMMAND: &str = "cargo run --release -p yardstick -- readme";
/// Where the outcomes are kept from which the documents are written.
const KEPT: &str = "tests/yardstick";
const PAGE: &str = "docs/how-we-compare.md";
/// Plots of the page. Nothing else is in there.
const PLOTS: &str = "docs/plots";
/// A README, and what stands in it between the lines [`BEGIN`] and [`END`].
type Block = (&'static str, fn(&Report) -> String);
const READMES: [Block; 2] = [("README.md", headlines), ("tests/yardstick/README.md", experiments)];
/// Before and after what a README shows of the outcomes.
const BEGIN: &str = "<!-- yardstick -->\n";
const END: &str = "<!-- /yardstick -->\n";

/// Writes what the documents say of the outcomes.
///
/// # Errors
///
/// When the outcomes cannot be read, a document has no place for them, or cannot be written.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let kept = root().join(KEPT);
    if let Some(directory) = &options.report {
        // First read, so that nothing is kept that cannot be.
        Report::read(directory)?;
        fs::copy(directory.join(Report::OUTCOMES), kept.join(Report::OUTCOMES))?;
    }
    let plots = root().join(PLOTS);
    if plots.exists() {
        fs::remove_dir_all(&plots)?;
    }
    fs::create_dir_all(&plots)?;
    for (file, text) in documents(&Report::read(&kept)?)? {
        fs::write(root().join(&file), text)?;
        say(file);
    }
    Ok(())
}

/// The workspace that this program was built in.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Every document by its path in the workspace, as it must be.
fn documents(report: &Report) -> io::Result<Vec<(String, String)>> {
    let mut documents = vec![(PAGE.to_owned(), page(report))];
    documents.extend(plots(report).map(|(name, _, svg)| (format!("{PLOTS}/{name}"), svg)));
    for (file, block) in READMES {
        let path = root().join(file);
        let text = fs::read_to_string(&path)?;
        let Some((before, rest)) = text.split_once(BEGIN) else {
            return Err(at(&path, &io::Error::other(format!("there is no line {BEGIN:?}"))));
        };
        let Some((_, after)) = rest.split_once(END) else {
            return Err(at(&path, &io::Error::other(format!("there is no line {END:?}"))));
        };
        documents.push((file.to_owned(), format!("{before}{BEGIN}{}{END}{after}", block(report))));
    }
    Ok(documents)
}

/// A figure for the README: of which experiment, of which of its tables, which column, and what it is.
const HEADLINES: [(&str, usize, &str, &str); 15] = [
    ("n1", 0, "evidence rule", "a call through a closed breaker"),
    ("n2", 0, "refusing, with retry_after", "a call that an open breaker refuses"),
    ("n10", 0, "four layers", "deadline, retry, breaker and limit around a call"),
    ("n13", 0, "throughput of bare", "throughput with both standard stacks, of that without"),
    ("b1", 0, "p99", "p99 over servers that differ and change"),
    ("b2", 0, "failed, 40 ms", "failed calls when two of twenty servers fail at once"),
    ("h1", 0, "p99.9", "p99.9 of a tail, hedged"),
    ("o1", 0, "worst", "goodput at its worst under overload"),
    ("o3", 0, "critical served", "critical requests served at three times the capacity"),
    ("r1", 0, "recovered after", "until calls succeed again after a server was slow"),
    ("r3", 0, "in the worst second", "what a dead leaf behind three tiers is asked"),
    ("c1", 0, "to trip, 50 %", "calls until a breaker trips when half of them fail"),
    ("c2", 0, "failed", "failed calls when a cold server comes back"),
    ("l1", 0, "1000/s, burst 100: decisions that differ", "decisions of a rate limit that are not exact"),
    ("l2", 0, "at once: bytes at worst, by the cap", "bytes for each key in a flood of keys"),
];

/// The block of the workspace's README: a figure of each kind.
fn headlines(report: &Report) -> String {
    let mut text = String::from("| what | without | best of the others | ours |\n|---|---:|---:|---:|\n");
    for (id, board, figure, what) in HEADLINES {
        let board = report.outcome(id).and_then(|outcome| outcome.boards.get(board));
        if let Some(found) = board.and_then(|board| last_of_ours(board, figure)) {
            let which = found.figure.which();
            text += &format!("| {what}{which} | {} | {} | {} |\n", found.bare, found.peer, found.ours);
        }
    }
    text += &format!("\n{} {}\n", count(report), report.conditions.sentence());
    text += &format!("[How we compare]({PAGE}) begins with every figure in which a peer is ahead.\n");
    text
}

/// The block of the yardstick's README: every experiment.
fn experiments(report: &Report) -> String {
    let mut text = String::from("| | experiment | figures | targets | seconds |\n|---|---|---|---|---:|\n");
    for experiment in EXPERIMENTS {
        let (id, title) = experiment.title.split_once(": ").unwrap_or_default();
        let kind = match experiment.kind {
            Kind::Timed => "timed",
            Kind::Simulated => "simulated",
        };
        let (met, seconds) = match report.outcome(id) {
            Some(outcome) => {
                let seconds = outcome.seconds.map_or_else(String::new, |seconds| format!("{seconds:.0}"));
                (if outcome.met { "met" } else { "missed" }, seconds)
            }
            None => ("not run", String::new()),
        };
        text += &format!("| {id} | {title} | {kind} | {met} | {seconds} |\n");
    }
    text + &format!("\n{} {}\n", count(report), report.conditions.sentence())
}

fn count(report: &Report) -> String {
    format!("{} of {} experiments meet all of their targets.", report.met(), report.outcomes.len())
}

/// A family of experiments on the page, and the plots that stand there: of which experiment, table and title.
struct Family {
    letter: &'static str,
    title: &'static str,
    /// What a reader must know of its figures.
    note: &'static str,
    plots: &'static [(&'static str, usize, &'static str)],
}

const FAMILIES: [Family; 7] = [
    Family {
        letter: "n",
        title: "What a call costs",
        note: "Nanoseconds of CPU time for each call. A target is 1.5 × the floor, what safe Rust must pay for the same, beyond what the inner\n\
               service takes (*without*); and a call allocates nothing but what the floor allocates.",
        plots: &[("n1", 0, "evidence rule"), ("n10", 0, "four layers")],
    },
    Family { letter: "b", title: "Balancing", note: "", plots: &[("b1", 0, "p99")] },
    Family { letter: "h", title: "Hedging", note: "", plots: &[("h1", 0, "p99.9")] },
    Family { letter: "o", title: "Overload", note: "", plots: &[("o1", 0, "worst")] },
    Family { letter: "r", title: "Retries", note: "", plots: &[("r1", 0, "over time")] },
    Family { letter: "c", title: "Breaker", note: "", plots: &[("c2", 0, "over time")] },
    Family { letter: "l", title: "Rate limit", note: "", plots: &[] },
];

impl Family {
    fn holds(&self, id: &str) -> bool {
        id.starts_with(self.letter)
    }

    /// The family's plots that the report has: file, title and content.
    fn plots<'a>(&'a self, report: &'a Report) -> impl Iterator<Item = (String, String, String)> + 'a {
        self.plots.iter().filter_map(|(id, number, title)| {
            let outcome = report.outcome(id)?;
            let board = outcome.boards.get(*number)?;
            let plot = plot::plots(board).into_iter().find(|plot| plot.title == *title)?;
            Some((plot_file(outcome, *number, &plot), format!("{}: {}", board.title, plot.title), plot.svg))
        })
    }
}

fn plots(report: &Report) -> impl Iterator<Item = (String, String, String)> {
    FAMILIES.iter().flat_map(|family| family.plots(report))
}

fn page(report: &Report) -> String {
    let mut text = format!(
        "# How we compare\n\n\
         <!-- Written by `{COMMAND}` from {KEPT}/{}. -->\n\n\
         Every figure here was measured in one run of [the yardstick](../{KEPT}), which says how: {}\n\
         Peers are the published crates with the settings of their documentation, and published rules rebuilt where they exist only\n\
         outside Rust. What is simulated has the same figures on every machine; nanoseconds and bytes are this machine's. {}\n",
        Report::OUTCOMES,
        report.conditions.sentence(),
        count(report),
    );
    let missing: Vec<&str> =
        EXPERIMENTS.iter().map(|one| one.id).filter(|id| report.outcome(id).is_none()).collect();
    if !missing.is_empty() {
        text += &format!("Not in this run: {}.\n", missing.join(", "));
    }
    text += &where_behind(report);
    text += &where_missed(report);
    for family in &FAMILIES {
        text += &all_of(family, report);
    }
    text
}

fn where_behind(report: &Report) -> String {
    let mut text = String::from(
        "\n## Where a peer is ahead\n\n\
         Each figure in which a peer is better than ours, whether a target asks for it or not. Some are the price of another: fewer copies are\n\
         cheap where the tail stays long, and a breaker that trips at once trips on bad luck too.\n\n",
    );
    let found = rows_of(&report.outcomes, |board| {
        let rows = behind(board).into_iter();
        rows.map(|row| format!("{} | {} | {}", row.figure, row.ours, row.ahead.join(", "))).collect()
    });
    if found.is_empty() {
        return text + "Nowhere in this run.\n";
    }
    text += "| experiment | figure | ours | ahead of it |\n|---|---|---:|---|\n";
    text + &found.concat()
}

fn where_missed(report: &Report) -> String {
    let mut text = String::from("\n## Where we miss a target\n\n");
    let found = rows_of(&report.outcomes, |board| {
        let rows = judged(board).into_iter();
        let rows = rows.filter_map(|row| {
            let missed = row.missed?;
            Some(format!("{} | {} | {}, {missed}", row.standing.figure, row.standing.ours, row.target))
        });
        rows.collect()
    });
    if found.is_empty() {
        return text + "Nowhere in this run.\n";
    }
    text += "| experiment | figure | ours | target, and what was judged |\n|---|---|---:|---|\n";
    text + &found.concat()
}

/// Every figure of a family that has a target. What is allocated stands above where it is not as it should be.
fn all_of(family: &Family, report: &Report) -> String {
    let mut text = format!("\n## {}\n\n", family.title);
    let outcomes = report.outcomes.iter().filter(|outcome| family.holds(&outcome.id));
    let found = rows_of(outcomes, |board| {
        let rows = judged(board).into_iter().filter(|row| row.standing.figure.unit != Unit::Allocations);
        let rows = rows.map(|Judged { standing: Standing { figure, bare, peer, ours }, target, missed }| {
            let missed = if missed.is_some() { ", missed" } else { "" };
            format!("{figure} | {bare} | {peer} | {ours} | {target}{missed}")
        });
        rows.collect()
    });
    if found.is_empty() {
        return text + "Not in this run.\n";
    }
    if !family.note.is_empty() {
        text += &format!("{}\n\n", family.note);
    }
    for (file, title, _) in family.plots(report) {
        text += &format!("![{title}](plots/{file})\n\n");
    }
    text += "| experiment | figure | without | best of the others | ours | target |\n|---|---|---:|---:|---:|---:|\n";
    text + &found.concat()
}

/// The rows that each table gives, one after another. The first of a table begins with its title.
fn rows_of<'a>(
    outcomes: impl IntoIterator<Item = &'a Outcome>,
    rows: impl Fn(&Board) -> Vec<String>,
) -> Vec<String> {
    let boards = outcomes.into_iter().flat_map(|outcome| &outcome.boards);
    let titled = |board: &Board| {
        let titles = once(board.title.clone()).chain(repeat(String::new()));
        rows(board)
            .into_iter()
            .zip(titles)
            .map(|(row, title)| format!("| {title} | {row} |\n"))
            .collect::<Vec<_>>()
    };
    boards.flat_map(titled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Report {
        Report::read(&root().join(KEPT)).expect("the outcomes are kept")
    }

    #[test]
    fn the_documents_say_what_the_outcomes_say() {
        let documents = documents(&kept()).expect("the documents have a place for them");
        for (file, text) in &documents {
            let stands = fs::read_to_string(root().join(file)).unwrap_or_default();
            assert!(stands == *text, "{file} is not as `{COMMAND}` writes it");
        }
        for plot in fs::read_dir(root().join(PLOTS)).expect("there are plots") {
            let name = plot.expect("the folder can be read").file_name();
            let known = documents.iter().any(|(file, _)| Path::new(file).file_name() == Some(&name));
            assert!(known, "{PLOTS}/{} is written by nothing", name.display());
        }
    }

    #[test]
    fn every_headline_and_every_plot_is_found() {
        let report = kept();
        for (id, board, figure, _) in HEADLINES {
            let Some(outcome) = report.outcome(id) else { continue };
            assert!(last_of_ours(&outcome.boards[board], figure).is_some(), "{id} has no `{figure}`");
        }
        for family in &FAMILIES {
            let there = family.plots.iter().filter(|(id, ..)| report.outcome(id).is_some()).count();
            assert_eq!(family.plots(&report).count(), there, "{}", family.title);
        }
    }

    #[test]
    fn every_experiment_has_a_family() {
        for experiment in EXPERIMENTS {
            assert_eq!(
                FAMILIES.iter().filter(|family| family.holds(experiment.id)).count(),
                1,
                "{}",
                experiment.id
            );
        }
    }
}
