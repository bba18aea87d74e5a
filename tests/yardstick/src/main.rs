//! The yardstick: measures our layers beside their peers, and says whether they meet their targets.

mod board;
mod compare;
mod contest;
mod experiment;
mod floor;
mod ground;
mod instructions;
mod loopback;
mod machine;
mod nano;
mod options;
mod ours;
mod peers;
mod plot;
mod primitives;
mod progress;
mod race;
mod readme;
mod report;
mod sim;
mod stats;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    board::Board,
    contest::Contest,
    experiment::{Experiment, Kind},
    nano::{n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14},
    options::Timing,
    progress::say,
    report::Outcome,
    sim::{b1, b2, b3, b4, b5, b6, c1, c2, h1, h2, h3, l1, l2, o1, o2, o3, r1, r2, r3},
};

/// Every experiment, in the order in which `all` runs them.
const EXPERIMENTS: [Experiment; 33] = [
    Experiment::timed("n1", n1::TITLE),
    Experiment::timed("n2", n2::TITLE),
    Experiment::timed("n3", n3::TITLE),
    Experiment::timed("n4", n4::TITLE),
    Experiment::timed("n5", n5::TITLE),
    Experiment::timed("n6", n6::TITLE),
    Experiment::timed("n7", n7::TITLE),
    Experiment::timed("n8", n8::TITLE),
    Experiment::timed("n9", n9::TITLE),
    Experiment::timed("n10", n10::TITLE),
    Experiment::timed("n11", n11::TITLE),
    Experiment::timed("n12", n12::TITLE),
    Experiment::weighed("n13", n13::TITLE),
    Experiment::weighed("n14", n14::TITLE),
    Experiment::simulated("b1", b1::TITLE),
    Experiment::simulated("b2", b2::TITLE),
    Experiment::simulated("b3", b3::TITLE),
    Experiment::simulated("b4", b4::TITLE),
    Experiment::simulated("b5", b5::TITLE),
    Experiment::simulated("b6", b6::TITLE),
    Experiment::simulated("h1", h1::TITLE),
    Experiment::simulated("h2", h2::TITLE),
    Experiment::simulated("h3", h3::TITLE),
    Experiment::simulated("o1", o1::TITLE),
    Experiment::simulated("o2", o2::TITLE),
    Experiment::simulated("o3", o3::TITLE),
    Experiment::simulated("r1", r1::TITLE),
    Experiment::simulated("r2", r2::TITLE),
    Experiment::simulated("r3", r3::TITLE),
    Experiment::simulated("c1", c1::TITLE),
    Experiment::simulated("c2", c2::TITLE),
    Experiment::simulated("l1", l1::TITLE),
    Experiment::simulated("l2", l2::TITLE),
];

/// Measures Bartizan's layers beside their peers. Exits with 1 when ours miss a target, with 2 on errors.
#[derive(Debug, Parser)]
#[command(name = "yardstick", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Names the experiments.
    List,
    /// What a call costs through a closed breaker.
    N1(n1::Options),
    /// What a call costs that an open breaker refuses.
    N2(n2::Options),
    /// What a call costs that could be shed.
    N3(n3::Options),
    /// What a call costs under a rate limit.
    N4(n4::Options),
    /// What a call costs that could be retried.
    N5(n5::Options),
    /// What a call costs that could be hedged.
    N6(n6::Options),
    /// What a call costs under a deadline.
    N7(n7::Options),
    /// What a call costs that is balanced by latency.
    N8(n8::Options),
    /// What a call costs that could get a fallback.
    N9(n9::Options),
    /// What the whole client stack costs.
    N10(n10::Options),
    /// What the HTTP flavour costs.
    N11(n11::Options),
    /// What layers cost that threads share.
    N12(n12::Options),
    /// What both standard stacks cost over a real connection.
    N13(n13::Options),
    /// What a breaker, an endpoint and a key weigh.
    N14(n14::Options),
    /// Balancing over hosts that differ and change.
    B1(b1::Options),
    /// Balancing past hosts that fail at once.
    B2(b2::Options),
    /// Balancing past hosts that become slow.
    B3(b3::Options),
    /// Balancing through a rolling restart.
    B4(b4::Options),
    /// Telling a bad host from bad luck.
    B5(b5::Options),
    /// Balancing over few hosts of which one is ill.
    B6(b6::Options),
    /// Hedging a tail without a queue.
    H1(h1::Options),
    /// Hedging a wide fan-out.
    H2(h2::Options),
    /// Hedging under load.
    H3(h3::Options),
    /// Goodput under overload.
    O1(o1::Options),
    /// Back to full goodput after a step of the load.
    O2(o2::Options),
    /// Priorities under overload.
    O3(o3::Options),
    /// Recovery from a retry storm.
    R1(r1::Options),
    /// Contention for one row.
    R2(r2::Options),
    /// Retries in three tiers.
    R3(r3::Options),
    /// Calls until a breaker trips, and calls between false trips.
    C1(c1::Options),
    /// The return to a cold backend.
    C2(c2::Options),
    /// A rate limit beside an exact token bucket.
    L1(l1::Options),
    /// A flood of keys.
    L2(l2::Options),
    /// Runs the experiments one after another, each in a process of its own.
    All(report::Options),
    /// Writes what the READMEs and the page `docs/how-we-compare.md` say of a report.
    Readme(readme::Options),
}

const FAILED: u8 = 2;

fn main() -> ExitCode {
    let verdict = |met: bool| if met { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match Cli::parse().command {
        Command::List => {
            list();
            ExitCode::SUCCESS
        }
        Command::All(options) => report::run(&options).map_or_else(|error| broken(&error), verdict),
        Command::Readme(options) => {
            readme::run(&options).map_or_else(|error| broken(&error), |()| ExitCode::SUCCESS)
        }
        Command::N1(options) => verdict(timed("n1", &options.timing, || n1::contest(&options))),
        Command::N2(options) => verdict(timed("n2", &options.timing, || n2::contest(&options))),
        Command::N3(options) => verdict(timed("n3", &options.timing, || n3::contest(&options))),
        Command::N4(options) => verdict(timed("n4", &options.timing, || n4::contest(&options))),
        Command::N5(options) => verdict(timed("n5", &options.timing, || n5::contest(&options))),
        Command::N6(options) => verdict(timed("n6", &options.timing, || n6::contest(&options))),
        Command::N7(options) => verdict(timed("n7", &options.timing, || n7::contest(&options))),
        Command::N8(options) => verdict(timed("n8", &options.timing, || n8::contest(&options))),
        Command::N9(options) => verdict(timed("n9", &options.timing, || n9::contest(&options))),
        Command::N10(options) => verdict(timed("n10", &options.timing, || n10::contest(&options))),
        Command::N11(options) => verdict(timed("n11", &options.timing, || n11::contest(&options))),
        Command::N12(options) => verdict(timed("n12", &options.timing, || n12::contest(&options))),
        Command::N13(options) => verdict(show("n13", options.common.json, n13::run(&options))),
        Command::N14(options) => verdict(show("n14", options.common.json, inside(|| n14::run(&options)))),
        Command::B1(options) => verdict(show("b1", options.common.json, b1::run(&options))),
        Command::B2(options) => verdict(show("b2", options.common.json, b2::run(&options))),
        Command::B3(options) => verdict(show("b3", options.common.json, b3::run(&options))),
        Command::B4(options) => verdict(show("b4", options.common.json, b4::run(&options))),
        Command::B5(options) => verdict(show("b5", options.common.json, b5::run(&options))),
        Command::B6(options) => verdict(show("b6", options.common.json, b6::run(&options))),
        Command::H1(options) => verdict(show("h1", options.common.json, h1::run(&options))),
        Command::H2(options) => verdict(show("h2", options.common.json, h2::run(&options))),
        Command::H3(options) => verdict(show("h3", options.common.json, h3::run(&options))),
        Command::O1(options) => verdict(show("o1", options.common.json, o1::run(&options))),
        Command::O2(options) => verdict(show("o2", options.common.json, o2::run(&options))),
        Command::O3(options) => verdict(show("o3", options.common.json, o3::run(&options))),
        Command::R1(options) => verdict(show("r1", options.common.json, r1::run(&options))),
        Command::R2(options) => verdict(show("r2", options.common.json, r2::run(&options))),
        Command::R3(options) => verdict(show("r3", options.common.json, r3::run(&options))),
        Command::C1(options) => verdict(show("c1", options.common.json, c1::run(&options))),
        Command::C2(options) => verdict(show("c2", options.common.json, c2::run(&options))),
        Command::L1(options) => verdict(show("l1", options.common.json, l1::run(&options))),
        Command::L2(options) => verdict(show("l2", options.common.json, l2::run(&options))),
    }
}

fn broken(error: &io::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(FAILED)
}

fn list() {
    for Experiment { title, kind, .. } in EXPERIMENTS {
        let (id, title) = title.split_once(": ").unwrap_or(("", title));
        let kind = match kind {
            Kind::Timed => "timed",
            Kind::Simulated => "simulated",
        };
        say(format_args!("{id:<4}  {kind:<9}  {title}"));
    }
}

fn timed(id: &str, timing: &Timing, contest: impl FnOnce() -> Contest) -> bool {
    let boards = inside(|| contest().run(timing));
    timing.turn.is_some() || show(id, timing.common.json, boards)
}

/// Runs `work` inside a runtime with timers, on this thread.
fn inside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without I/O asks nothing of the system");
    let _inside = runtime.enter();
    work()
}

/// Prints the tables, and says whether every target was met.
fn show(id: &str, json: bool, boards: Vec<Board>) -> bool {
    let outcome = Outcome::new(id, boards);
    if json {
        say(serde_json::to_string(&outcome).expect("an outcome is plain data"));
    } else {
        outcome.boards.iter().for_each(|board| say(board.print()));
    }
    outcome.met
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_experiment_is_a_command() {
        let commands = Cli::command();
        for experiment in EXPERIMENTS {
            assert!(commands.find_subcommand(experiment.id).is_some(), "{}", experiment.id);
            assert!(experiment.title.starts_with(&format!("{}: ", experiment.id)));
        }
    }
}
