//! Writes what is made of the table of metrics into `docs`: the page of all metrics, the alert rules and the dashboard.

pub(crate) mod alerts;
pub(crate) mod dashboard;
mod elsewhere;
pub(crate) mod page;
mod query;

use std::io;
use std::path::Path;

/// The files, each with what is in it.
pub(crate) fn files() -> [(&'static str, String); 3] {
    [
        ("metrics.md", page::page()),
        ("alerts.yml", alerts::rules()),
        ("dashboard.json", format!("{:#}\n", dashboard::dashboard())),
    ]
}

#[allow(dead_code, reason = "the tests look at the files, and write none")]
fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    files().into_iter().try_for_each(|(name, text)| std::fs::write(docs.join(name), text))
}
