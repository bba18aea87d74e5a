//! The list of rows and the tests agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The ids in `rows.txt` that must hold.
fn listed() -> BTreeSet<String> {
    include_str!("../rows.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(String::from)
        .collect()
}

/// The id that a test's name begins with: `B07` for `b07_slow_failure_counts_on_both_axes`.
fn id(name: &str) -> Option<String> {
    let (id, _) = name.split_once('_')?;
    let (letter, number) = id.split_at_checked(1)?;
    let is_id = letter.chars().all(|c| c.is_ascii_lowercase())
        && number.len() == 2
        && number.chars().all(|c| c.is_ascii_digit());
    is_id.then(|| id.to_uppercase())
}

/// Collects the ids of the functions below a folder that are marked as tests, and are not ignored.
fn collect(folder: &Path, tested: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, tested);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let (mut is_test, mut is_ignored) = (false, false);
        for line in text.lines() {
            if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                is_ignored |= line.starts_with("#[ignore") || line.starts_with("#[cfg");
                continue;
            }
            let name =
                line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            if let (Some(name), true, false) = (name, is_test, is_ignored) {
                tested.extend(id(name));
            }
            (is_test, is_ignored) = (false, false);
        }
    }
}

#[test]
fn every_row_has_a_test() {
    let mut tested = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut tested);
    let listed = listed();
    assert_eq!(listed.len(), 49 + 42 + 25 + 22 + 42 + 25 + 23 + 10 + 10);
    let without: Vec<_> = listed.difference(&tested).collect();
    assert!(without.is_empty(), "rows without a test: {without:?}");
    let unlisted: Vec<_> = tested.difference(&listed).collect();
    assert!(unlisted.is_empty(), "tests of rows that are not listed: {unlisted:?}");
}
