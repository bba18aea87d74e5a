//! What a backup consists of, so that one that is torn, or was changed, is found out before anything is made of it.

use crate::parts::clock::now_ms;
use crate::parts::failure::Failure;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

/// In the folder of the backup; written last.
const FILE: &str = "manifest.json";

/// What this version writes and reads.
const FORMAT: u32 = 1;

/// The longest manifest, in bytes.
const LONGEST: u64 = 1 << 20;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// Of the shop that was backed up.
    version: String,
    /// Milliseconds since 1970.
    created_at: i64,
    files: Vec<Kept>,
}

/// A file, below the folder.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// What these files of a folder are now.
    pub(super) fn of(folder: &Path, names: Vec<String>) -> io::Result<Self> {
        let kept = |name: String| {
            let (bytes, sha256) = sum(&folder.join(&name))?;
            Ok(Kept { name, bytes, sha256 })
        };
        let files = names.into_iter().map(kept).collect::<io::Result<_>>()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { format: FORMAT, version, created_at: now_ms(), files })
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        super::write(&folder.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// The manifest of a backup all of whose files are what it says.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or one of them is missing or another.
    pub(super) fn checked(folder: &Path) -> Result<Self, Failure> {
        let no_good = |why: &dyn fmt::Display| {
            Failure::new(format!("{} is no backup that can be restored: {why}.", folder.display()))
        };
        let mut text = Vec::new();
        let opened = File::open(folder.join(FILE)).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
        opened.map_err(|why| no_good(&format_args!("{FILE}: {why}")))?;
        let this: Self =
            serde_json::from_slice(&text).map_err(|why| no_good(&format_args!("{FILE}: {why}")))?;
        if this.format != FORMAT {
            return Err(no_good(&format_args!(
                "it is of format {}, and this version reads {FORMAT}",
                this.format
            )));
        }
        for Kept { name, .. } in &this.files {
            let below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            if !below || name.is_empty() {
                return Err(no_good(&format_args!("{name:?} is no name of a file in it")));
            }
        }
        this.check(folder)?;
        Ok(this)
    }

    /// Fails unless each file, in whatever folder, is what it was when it was backed up.
    ///
    /// # Errors
    ///
    /// When one of them is missing or another.
    pub(super) fn check(&self, folder: &Path) -> Result<(), Failure> {
        for Kept { name, bytes, sha256 } in &self.files {
            let why = match sum(&folder.join(name)) {
                Ok(there) if there == (*bytes, sha256.clone()) => continue,
                Ok(_) => "it is not what was backed up".into(),
                Err(why) => why.to_string(),
            };
            return Err(Failure::new(format!("{name} in {} cannot be restored: {why}.", folder.display())));
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// How old it is.
    pub(super) fn age(&self) -> std::time::Duration {
        std::time::Duration::from_secs(now_ms().saturating_sub(self.created_at).max(0).unsigned_abs() / 1000)
    }
}

/// `8 stores and 2 other files, 1 MiB`
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stores = self.names().filter(|name| name.ends_with(".db")).count();
        let bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        write!(
            f,
            "{stores} stores and {} other files of {} KiB",
            self.files.len() - stores,
            bytes.div_ceil(1024)
        )
    }
}

/// The length of a file and its SHA-256.
fn sum(file: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut sum, mut bytes) = (File::open(file)?, Sha256::new(), 0);
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => {
                sum.update(&chunk[..read]);
                bytes += read as u64;
            }
        }
    }
    Ok((bytes, sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Has the disk know of the names in a folder.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
