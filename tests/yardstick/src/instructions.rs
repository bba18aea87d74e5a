//! Instructions per call, counted by callgrind: the same program is run twice under valgrind with different numbers of
//! calls, and the difference is divided by the difference. Repeatable where nanoseconds are not.

use std::{
    env,
    process::{Command, Stdio},
};

use crate::progress;

const FEW: u64 = 2_000;
const MANY: u64 = 12_000;

/// The instructions per call of each of `lanes` lanes. `None` where valgrind is missing.
pub(crate) fn count(lanes: usize) -> Vec<Option<f64>> {
    let bar = progress::bar("instructions", lanes);
    let counts = (0..lanes).map(|lane| {
        let per_call = collected(lane, FEW).zip(collected(lane, MANY)).map(|(few, many)| per_call(few, many));
        bar.inc(1);
        per_call
    });
    let counts = counts.collect();
    bar.finish_and_clear();
    counts
}

fn per_call(few: u64, many: u64) -> f64 {
    many.saturating_sub(few) as f64 / (MANY - FEW) as f64
}

/// Runs this program anew under callgrind, with its own arguments and one lane to run.
fn collected(lane: usize, calls: u64) -> Option<u64> {
    let arguments = env::args_os().skip(1).filter(|argument| argument != "--instructions");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().ok()?)
        .args(arguments)
        .arg(format!("--turn={lane}:{calls}"))
        .stdout(Stdio::null())
        .output()
        .ok()?;
    read(&String::from_utf8_lossy(&output.stderr))
}

/// Reads the sum out of callgrind's last words, `==123== Collected : 456`.
fn read(words: &str) -> Option<u64> {
    words.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_callgrinds_last_words() {
        let words =
            "==7== Events    : Ir\n==7== Collected : 2345678\n==7== \n==7== I   refs:      2,345,678\n";
        assert_eq!(read(words), Some(2_345_678));
        assert_eq!(read("valgrind: not today"), None);
    }

    #[test]
    fn what_both_runs_share_falls_out() {
        assert_eq!(per_call(1_000_000, 1_000_000 + 50 * (MANY - FEW)), 50.0);
    }
}
