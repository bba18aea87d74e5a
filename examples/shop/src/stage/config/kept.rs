//! The protections that are switched off, written down.

use crate::parts::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// A layer of a call.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub call: String,
    pub layer: String,
}

/// A file below the data folder. It is not there while all are on.
#[derive(Debug)]
pub(super) struct Kept(PathBuf);

impl Kept {
    pub(super) fn new(file: PathBuf) -> Self {
        Self(file)
    }

    /// # Errors
    ///
    /// When the file cannot be read.
    pub(super) fn read(&self) -> Result<BTreeSet<Switch>, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(format!("the protections in {} cannot be read: {why}.", self.0.display()))
        };
        match std::fs::read(&self.0) {
            Ok(text) => serde_json::from_slice(&text).map_err(|why| failed(&why)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(why) => Err(failed(&why)),
        }
    }

    /// Writes it whole, or not at all.
    pub(super) fn write(&self, off: &BTreeSet<Switch>) -> io::Result<()> {
        if off.is_empty() {
            return match std::fs::remove_file(&self.0) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
                _ => Ok(()),
            };
        }
        let new = self.0.with_extension("new");
        std::fs::write(&new, serde_json::to_vec_pretty(off)?)?;
        std::fs::rename(new, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_off_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path().join("protections.json"));
        assert_eq!(kept.read().unwrap(), BTreeSet::new());
        let off = BTreeSet::from([Switch { call: "order->user".into(), layer: "retry".into() }]);
        kept.write(&off).unwrap();
        assert_eq!(kept.read().unwrap(), off);
        kept.write(&BTreeSet::new()).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        kept.write(&BTreeSet::new()).unwrap();
        std::fs::write(folder.path().join("protections.json"), "[{}]").unwrap();
        assert!(kept.read().unwrap_err().to_string().contains("protections.json"));
    }
}
