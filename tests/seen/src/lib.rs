//! What tests of layers ask of what the registry shows. Whatever is not there, or there twice, fails the test.

use bartizan_core::TimesSnapshot;
use bartizan_core::registry::{self, Observed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The only handle of this name.
///
/// # Panics
///
/// If there is none, or another one.
#[must_use]
pub fn find(name: &str) -> Arc<dyn Observed> {
    let mut all = registry::handles().into_iter().filter(|of| of.name() == name);
    let found = all.next().unwrap_or_else(|| panic!("there is no {name}"));
    assert!(all.next().is_none(), "{name} is there twice");
    found
}

/// What it shows of its numbers.
///
/// # Panics
///
/// If one is shown twice.
#[must_use]
pub fn numbers(of: &dyn Observed) -> BTreeMap<&'static str, f64> {
    let mut numbers = BTreeMap::new();
    of.numbers(&mut |name, number| assert_eq!(numbers.insert(name, number), None, "{name} is shown twice"));
    numbers
}

/// What it shows of its settings.
///
/// # Panics
///
/// If one is shown twice.
#[must_use]
pub fn settings(of: &dyn Observed) -> BTreeMap<&'static str, f64> {
    let mut settings = BTreeMap::new();
    of.settings(&mut |name, value| assert_eq!(settings.insert(name, value), None, "{name} is shown twice"));
    settings
}

/// The lengths of time of this name, the only ones that it shows.
///
/// # Panics
///
/// If there are others, or none.
#[must_use]
pub fn times(of: &dyn Observed, ought: &str) -> TimesSnapshot {
    let mut found = None;
    of.times(&mut |name, times| assert!(name == ought && found.replace(times).is_none(), "{name}"));
    found.unwrap_or_else(|| panic!("{ought} are not shown"))
}

/// The numbers and times of which nothing has come yet.
#[must_use]
pub fn dead(of: &dyn Observed) -> Vec<&'static str> {
    let mut dead = Vec::new();
    of.numbers(&mut |name, number| dead.extend((number == 0.0).then_some(name)));
    of.times(&mut |name, times| dead.extend((times.count() == 0).then_some(name)));
    dead
}

/// The largest value that was seen of each number, of all handles that were looked at.
#[derive(Debug, Default)]
pub struct Seen(pub BTreeMap<&'static str, f64>);

impl Seen {
    /// Looks at the numbers of the handle of this name.
    pub fn look(&mut self, name: &str) {
        find(name).numbers(&mut |name, number| {
            let most = self.0.entry(name).or_default();
            *most = most.max(number);
        });
    }

    /// Fails the test if one was never above zero, or none was seen.
    ///
    /// # Panics
    ///
    /// Then.
    pub fn assert_alive(&self) {
        let dead: Vec<_> = self.0.iter().filter(|(_, most)| **most <= 0.0).collect();
        assert!(!self.0.is_empty() && dead.is_empty(), "{dead:?}");
    }
}
