//! Who is there, and how they are. Every change has a number, and numbers only grow.

use super::definition::{Definition, Terms};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How many services there can be.
pub(super) const MOST: usize = 512;

/// How much of what is said of a check is kept, as Consul has it.
const LONGEST_OUTPUT: usize = 4096;

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Passing,
    Warning,
    Critical,
}

impl Status {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "passing" => Some(Self::Passing),
            "warning" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// Shares of the calls, by how the service is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Weights {
    pub passing: u16,
    pub warning: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// A service that is there.
#[derive(Debug)]
pub(super) struct Entry {
    pub definition: Definition,
    pub check: Option<Check>,
    pub created: u64,
    pub modified: u64,
}

/// How a service is, by what it has said.
#[derive(Debug)]
pub(super) struct Check {
    pub status: Status,
    pub output: String,
    ttl: Duration,
    leaves_after: Option<Duration>,
    /// When it has been silent for too long. None when it has been, or never will.
    expires: Option<Instant>,
    critical_since: Option<Instant>,
}

/// There are as many as there can be.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct Book {
    entries: BTreeMap<String, Entry>,
    /// The last change of each name that somebody has.
    names: BTreeMap<String, u64>,
    /// The last change that left nobody of a name. It stands for every name that nobody has.
    extinction: u64,
    index: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), names: BTreeMap::new(), extinction: 1, index: 1 }
    }
}

impl Book {
    /// The number of the last change.
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// The number of the last change of a name. One may be told of a change that is another name's.
    pub(super) fn index_of(&self, name: &str) -> u64 {
        self.names.get(name).copied().unwrap_or(self.extinction)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.all().filter(move |entry| entry.definition.name == name)
    }

    /// Puts a service in, or in the place of the one with its id: that one's health goes over, and what has not
    /// changed is no change.
    pub(super) fn register(&mut self, definition: Definition, now: Instant) -> Result<(), Full> {
        let old = self.entries.remove(&definition.id);
        if old.is_none() && self.entries.len() >= MOST {
            return Err(Full);
        }
        let before = old.as_ref().and_then(|old| old.check.as_ref());
        let check = definition.check.as_ref().map(|terms| Check::new(terms, before, now));
        let same = old.as_ref().is_some_and(|old| {
            let status = |check: Option<&Check>| check.map(|check| check.status);
            old.definition == definition && status(before) == status(check.as_ref())
        });
        if !same {
            self.index += 1;
        }
        let (created, modified) = match &old {
            Some(old) if same => (old.created, old.modified),
            Some(old) => (old.created, self.index),
            None => (self.index, self.index),
        };
        let (id, name) = (definition.id.clone(), definition.name.clone());
        self.entries.insert(id, Entry { definition, check, created, modified });
        if !same {
            if let Some(old) = old.filter(|old| old.definition.name != name) {
                self.lost_one(&old.definition.name);
            }
            self.names.insert(name, self.index);
        }
        Ok(())
    }

    /// Takes a service out; false when there is none with this id.
    pub(super) fn deregister(&mut self, id: &str) -> bool {
        let Some(gone) = self.entries.remove(id) else { return false };
        self.index += 1;
        self.lost_one(&gone.definition.name);
        true
    }

    /// A service has said how it is; false when there is none with this id that says so.
    pub(super) fn says(&mut self, id: &str, status: Status, output: &str, now: Instant) -> bool {
        let Some(check) = self.entries.get_mut(id).and_then(|entry| entry.check.as_mut()) else {
            return false;
        };
        check.expires = now.checked_add(check.ttl);
        self.becomes(id, status, output, now);
        true
    }

    /// Has those be critical who have been silent for too long, and those gone who have been critical for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let silent = |check: &Check| check.expires.is_some_and(|at| at <= now);
        for id in self.ids(silent) {
            if let Some(check) = self.entries.get_mut(&id).and_then(|entry| entry.check.as_mut()) {
                check.expires = None;
            }
            self.becomes(&id, Status::Critical, "TTL expired", now);
        }
        for id in self.ids(|check| check.leaves().is_some_and(|at| at <= now)) {
            self.deregister(&id);
        }
    }

    /// When there is next somebody to expire.
    pub(super) fn due(&self) -> Option<Instant> {
        let checks = self.all().filter_map(|entry| entry.check.as_ref());
        checks.flat_map(|check| [check.expires, check.leaves()]).flatten().min()
    }

    fn ids(&self, which: impl Fn(&Check) -> bool) -> Vec<String> {
        let wanted = self.entries.iter().filter(|(_, entry)| entry.check.as_ref().is_some_and(&which));
        wanted.map(|(id, _)| id.clone()).collect()
    }

    fn becomes(&mut self, id: &str, status: Status, output: &str, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(check) = &mut entry.check else { return };
        check.output = output[..output.floor_char_boundary(LONGEST_OUTPUT)].to_owned();
        if check.status != status {
            check.turns(status, now);
            self.index += 1;
            entry.modified = self.index;
            self.names.insert(entry.definition.name.clone(), self.index);
        }
    }

    /// The last change took one away from a name.
    fn lost_one(&mut self, name: &str) {
        if self.of(name).next().is_some() {
            self.names.insert(name.to_owned(), self.index);
        } else {
            self.names.remove(name);
            self.extinction = self.index;
        }
    }
}

impl Check {
    /// A new one is critical until it says otherwise.
    fn new(terms: &Terms, before: Option<&Self>, now: Instant) -> Self {
        let status = terms.status.or(before.map(|before| before.status)).unwrap_or(Status::Critical);
        let mut check = Self {
            status,
            output: before.map(|before| before.output.clone()).unwrap_or_default(),
            ttl: terms.ttl,
            leaves_after: terms.leaves_after,
            expires: now.checked_add(terms.ttl),
            critical_since: before.and_then(|before| before.critical_since),
        };
        check.turns(status, now);
        check
    }

    fn turns(&mut self, status: Status, now: Instant) {
        self.status = status;
        self.critical_since = match status {
            Status::Critical => self.critical_since.or(Some(now)),
            _ => None,
        };
    }

    /// When it has been critical for too long.
    fn leaves(&self) -> Option<Instant> {
        self.critical_since?.checked_add(self.leaves_after?)
    }
}

#[cfg(test)]
mod tests;
