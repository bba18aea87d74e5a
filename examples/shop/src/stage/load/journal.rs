//! Which orders were promised: one line `<order id> <HTTP status> <status word> <key>` each, so that a checker can prove
//! that none was lost, and none answered by another.

use crate::parts::failure::Failure;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// In the data folder.
pub(super) const FILE: &str = "load.journal";

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    file: File,
    /// Whole lines that are not in the file yet.
    waiting: String,
    written: io::Result<()>,
}

impl Journal {
    /// Opens the journal of a data folder, to go on after its last line; none where there is no such folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, Failure> {
        if !folder.is_dir() {
            return Ok(None);
        }
        let path = folder.join(FILE);
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(|why| unwritten(&path, &why))?;
        let pages = Mutex::new(Pages { file, waiting: String::new(), written: Ok(()) });
        Ok(Some(Self { path, pages }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes an order; it is in the file after the next `flush`.
    pub(super) fn note(&self, order: &str, status: u16, word: &str, key: &str) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        _ = writeln!(pages.waiting, "{order} {status} {word} {key}");
    }

    /// Writes what waits, in one piece, so that the lines of two loads at once do not mix.
    pub(super) fn flush(&self) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut pages.waiting);
        if pages.written.is_ok() {
            pages.written = pages.file.write_all(waiting.as_bytes());
        }
    }

    /// Writes the rest, and tells whether all is written.
    ///
    /// # Errors
    ///
    /// When something is not: then the journal proves nothing.
    pub(super) fn close(&self) -> Result<(), Failure> {
        self.flush();
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.written.as_ref().map_err(|why| unwritten(&self.path, why)).copied()
    }
}

/// What was noted is not lost with a load that is cut off.
impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}

fn unwritten(path: &Path, why: &io::Error) -> Failure {
    Failure::new(format!("the journal {} cannot be written: {why}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_none_is_lost_between_two_loads() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (Journal::open(folder.path()).unwrap(), Journal::open(folder.path()).unwrap());
        let (one, two) = (one.unwrap(), two.unwrap());
        one.note("o-1", 201, "CONFIRMED", "k-1");
        two.note("o-2", 202, "PENDING", "k-2");
        one.note("o-3", 409, "CANCELLED", "k-3");
        one.flush();
        two.close().unwrap();
        one.close().unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text, "o-1 201 CONFIRMED k-1\no-3 409 CANCELLED k-3\no-2 202 PENDING k-2\n");
    }

    #[test]
    fn there_is_no_journal_without_a_folder() {
        assert!(Journal::open(Path::new("/nowhere/at/all")).unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_written_is_told_at_the_end() {
        let (path, file) =
            (PathBuf::from("/dev/full"), OpenOptions::new().append(true).open("/dev/full").unwrap());
        let pages = Mutex::new(Pages { file, waiting: String::new(), written: Ok(()) });
        let journal = Journal { path, pages };
        journal.note("o-1", 201, "CONFIRMED", "k-1");
        journal.flush();
        assert!(
            journal.close().unwrap_err().to_string().starts_with("the journal /dev/full cannot be written")
        );
    }
}
