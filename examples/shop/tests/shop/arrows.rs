//! Who may know whom, so that a folder can be copied.

use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code files below a folder, with their text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// What follows a prefix of a path, each time that it stands in the code.
fn after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let rests = code.flat_map(|line| line.match_indices(prefix).map(|(at, _)| &line[at + prefix.len()..]));
    rests
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect()
}

/// Checks that a file names nothing of the shop but what it may know.
fn knows(file: &Path, text: &str, known: &[&str]) {
    for name in after(text, "crate::") {
        assert!(known.contains(&name), "{} must not know {name:?}", file.display());
    }
}

#[test]
fn what_follows_a_prefix_is_found() {
    let code = "use crate::stage::ops;\n// crate::never\nlet x = crate::parts::id::new() + crate::{a, b};";
    assert_eq!(after(code, "crate::"), ["stage", "parts", ""]);
}

#[test]
fn services_know_contracts_parts_and_their_stacks() {
    let services = source().join("services");
    for folder in
        fs::read_dir(&services).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for (file, text) in files(&folder) {
            knows(&file, &text, &["contracts", "parts", "stacks"]);
            // A service is one folder deep: nothing climbs out of it.
            let root = file.file_name().is_some_and(|name| name == "mod.rs");
            assert!(!root || after(&text, "super::").is_empty(), "{}", file.display());
            for name in after(&text, "super::super::") {
                assert!(
                    folder.join(format!("{name}.rs")).exists(),
                    "{} must not know {name:?}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn parts_and_contracts_know_nobody() {
    for folder in ["parts", "contracts"] {
        for (file, text) in files(&source().join(folder)) {
            knows(&file, &text, &[]);
            let own = files(&source().join(folder));
            for name in after(&text, "super::super::") {
                let there = |(path, _): &(PathBuf, String)| {
                    path.with_extension("").ends_with(name) || path.ends_with(format!("{name}/mod.rs"))
                };
                assert!(own.iter().any(there), "{} must not know {name:?}", file.display());
            }
        }
    }
}

#[test]
fn stacks_know_contracts_and_parts() {
    let file = source().join("stacks.rs");
    knows(&file, &fs::read_to_string(&file).unwrap(), &["contracts", "parts"]);
    for (file, text) in files(&source().join("stacks")) {
        knows(&file, &text, &["contracts", "parts"]);
    }
}

#[test]
fn every_file_is_short_enough_to_read() {
    for (file, text) in files(&source()) {
        let generated = file.components().any(|part| part.as_os_str() == "proto");
        assert!(generated || text.lines().count() < 400, "{}", file.display());
    }
}

#[test]
fn no_dependency_is_inherited() {
    let manifest = fs::read_to_string(source().with_file_name("Cargo.toml")).unwrap();
    assert!(!manifest.contains("workspace"), "the folder must build where there is no workspace");
}
