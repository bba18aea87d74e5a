//! The last answer that was good, in a file.

use crate::file;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// More is none of ours, in bytes.
const LONGEST: u64 = 16 << 20;

/// An answer, and whose it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Kept {
    pub(super) from: String,
    pub(super) etag: Option<String>,
    pub(super) body: String,
}

/// Reads what was kept, if it was of this server.
pub(super) async fn load(path: PathBuf, from: String) -> Result<Kept, String> {
    let shown = path.display().to_string();
    let loaded =
        tokio::task::spawn_blocking(move || read(&path)).await.unwrap_or_else(|error| Err(error.to_string()));
    match loaded {
        Ok(kept) if kept.from == from => Ok(kept),
        Ok(kept) => Err(format!("{shown} is of {}", kept.from)),
        Err(error) => Err(format!("{shown} {error}")),
    }
}

fn read(path: &Path) -> Result<Kept, String> {
    serde_json::from_str(&file::content(path, LONGEST)?).map_err(|_| String::from("is damaged"))
}

/// Replaces what was kept, as a whole.
pub(super) async fn store(path: PathBuf, kept: Kept) -> io::Result<()> {
    tokio::task::spawn_blocking(move || write(&path, &kept))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    // Of two processes each writes a file of its own.
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    if written.is_err() {
        // It may not even be there.
        drop(std::fs::remove_file(&beside));
    }
    written
}
