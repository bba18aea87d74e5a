//! What a shop wants of the machine.

use super::Finding;
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// The room that a shop should have to begin with, in bytes.
const ROOM: u64 = 256 << 20;

/// The open files that a shop should be allowed: a socket for each customer, several for each service.
const OPEN_FILES: u64 = 1024;

/// A clock that is before it was never set: 2026, in milliseconds since 1970.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// Clocks of a network's disks differ.
const SLACK: Duration = Duration::from_secs(60);

pub(super) fn examine(config: &Config) -> [Finding; 3] {
    [
        Finding::new("data folder", folder(&config.data_dir)),
        Finding::new("open files", open_files(getrlimit(Resource::Nofile).current)),
        Finding::new("clock", clock(now_ms(), newest(&config.data_dir))),
    ]
}

/// The folder may still have to be made.
fn folder(folder: &Path) -> Result<String, Failure> {
    let failed =
        |why: io::Error| Failure::new(format!("--data-dir {} cannot be used: {why}.", folder.display()));
    let whole = std::path::absolute(folder).map_err(failed)?;
    let mut there = whole.as_path();
    while let (Err(why), Some(above)) = (there.metadata(), there.parent()) {
        if why.kind() != io::ErrorKind::NotFound {
            return Err(failed(why));
        }
        there = above;
    }
    if !there.is_dir() {
        return Err(failed(io::Error::other("Not a directory")));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|why| failed(why.into()))?;
    let room = statvfs(there).map_err(|why| failed(why.into()))?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if free < ROOM {
        return Err(failed(io::Error::other(format!("{} MiB are free, of {}", free >> 20, ROOM >> 20))));
    }
    // Some file systems count none.
    if room.f_files > 0 && room.f_favail == 0 {
        return Err(failed(io::Error::other("there is no room for another file")));
    }
    Ok(format!("{} can be written, and {} MiB are free.", folder.display(), free >> 20))
}

/// None is no limit.
fn open_files(most: Option<u64>) -> Result<String, Failure> {
    match most {
        None => Ok("there is no limit.".into()),
        Some(most) if most >= OPEN_FILES => Ok(format!("a process may have {most}.")),
        Some(most) => Err(Failure::new(format!(
            "a process may have {most}, and a shop wants {OPEN_FILES}: raise it by `ulimit -n {OPEN_FILES}`."
        ))),
    }
}

/// Keys, tokens and log-ins go by it.
fn clock(now: i64, newest: Option<(PathBuf, Duration)>) -> Result<String, Failure> {
    if now < BEGINNING_MS {
        return Err(Failure::new("it says that it is before 2026: set it."));
    }
    let time = Duration::from_millis(now.unsigned_abs());
    match newest {
        Some((file, written)) if written > time + SLACK => Err(Failure::new(format!(
            "it is behind: {} was written {} s from now.",
            file.display(),
            (written - time).as_secs()
        ))),
        _ => Ok("it goes on from when the data was written.".into()),
    }
}

/// The file of a folder that was written last, and when.
fn newest(folder: &Path) -> Option<(PathBuf, Duration)> {
    let files = std::fs::read_dir(folder).ok()?.flatten();
    let written = files.filter_map(|file| {
        let at = file.metadata().ok()?.modified().ok()?;
        Some((file.path(), at.duration_since(UNIX_EPOCH).ok()?))
    });
    written.max_by_key(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on() {
        let now = BEGINNING_MS + 10_000;
        let written = |ms: i64| Some((PathBuf::from("order.db"), Duration::from_millis(ms.unsigned_abs())));
        for newest in [None, written(now), written(now - 1), written(now + 59_000)] {
            assert!(clock(now, newest.clone()).is_ok(), "{newest:?}");
        }
        let behind = clock(now, written(now + 90_000)).unwrap_err().to_string();
        assert_eq!(behind, "it is behind: order.db was written 90 s from now.");
        assert!(clock(BEGINNING_MS - 1, None).unwrap_err().to_string().contains("2026"));
    }

    #[test]
    fn few_open_files_are_too_few() {
        assert!(open_files(None).is_ok() && open_files(Some(1024)).is_ok());
        assert!(open_files(Some(256)).unwrap_err().to_string().contains("ulimit -n 1024"));
    }

    #[test]
    fn a_folder_may_still_have_to_be_made() {
        let there = tempfile::tempdir().unwrap();
        folder(&there.path().join("a/b")).unwrap();
        assert_eq!(there.path().read_dir().unwrap().count(), 0, "and is not made");
        std::fs::write(there.path().join("file"), "").unwrap();
        for name in ["file", "file/below"] {
            let why = folder(&there.path().join(name)).unwrap_err().to_string();
            assert!(
                why.starts_with("--data-dir ") && why.to_lowercase().contains("not a directory"),
                "{why}"
            );
        }
    }
}
