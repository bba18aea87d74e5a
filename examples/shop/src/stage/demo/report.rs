//! What was played and seen, as a text to be kept.

use super::play::Play;
use crate::parts::failure::Failure;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const FILE: &str = "report.md";

/// Makes the folder, if it is not there.
///
/// # Errors
///
/// When nothing can be written there.
pub(super) fn can_be_written(folder: &Path) -> Result<(), Failure> {
    let failed = |why| Failure::new(format!("no report can be written to {}: {why}.", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(folder.join(FILE), "").map_err(failed)
}

/// Writes it, and returns where.
///
/// # Errors
///
/// When it cannot be written.
pub(super) fn write(folder: &Path, play: &Play) -> Result<PathBuf, Failure> {
    let file = folder.join(FILE);
    let failed = |why| Failure::new(format!("{} cannot be written: {why}.", file.display()));
    std::fs::write(&file, text(play)).map_err(failed)?;
    Ok(file)
}

fn text(play: &Play) -> String {
    let (all, missed) = (play.figures(), play.missed());
    let mut text = format!("# The shop under fire\n\n{} of {all} figures are right.\n", all - missed);
    for (nth, scene) in play.scenes.iter().enumerate() {
        let _ = write!(text, "\n## {}. {}\n\n{}\n\n", nth + 1, scene.title, scene.caption);
        text.push_str("| figure | value | bound | |\n|---|---|---|---|\n");
        for figure in &scene.figures {
            let mark = if figure.is_met { "✓" } else { "✗" };
            let _ = writeln!(text, "| {} | {} | {} | {mark} |", figure.what, figure.value, figure.bound);
        }
        let _ = write!(text, "\n> {}\n", scene.verdict);
    }
    text.push_str("\n## The customers, second by second\n\n");
    text.push_str(
        "| second | scene | good | degraded | bad | p50 ms | p99 ms |\n|---|---|---|---|---|---|---|\n",
    );
    let began = play.scenes.first().map_or(0, |scene| scene.began_ms);
    for second in &play.seconds {
        let at = second["at_ms"].as_i64().unwrap_or_default();
        let scene = play.scenes.iter().filter(|scene| scene.began_ms <= at).count();
        let number = |name: &str| match &second[name] {
            Value::Null => "–".to_owned(),
            number => number.to_string(),
        };
        let [good, degraded, bad, p50, p99] = ["good", "degraded", "bad", "p50_ms", "p99_ms"].map(number);
        let from = (at - began).div_euclid(1000);
        let _ = writeln!(text, "| {from} | {scene} | {good} | {degraded} | {bad} | {p50} | {p99} |");
    }
    text
}
