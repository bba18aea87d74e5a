//! The program that services run, held so that it stays what it is when another takes its place on the disk.

use crate::parts::failure::Failure;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// A program of one deployment. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Program(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    deployment: u32,
    /// Milliseconds since 1970; 0 where the disk does not say.
    built_at: u64,
    file: File,
}

impl Program {
    /// Holds what is at a path now.
    ///
    /// # Errors
    ///
    /// When there is no file that can be read.
    pub fn hold(path: PathBuf, deployment: u32) -> Result<Self, Failure> {
        let failed =
            |why: String| Failure::new(format!("the program {} cannot be used: {why}.", path.display()));
        let file = File::open(&path).map_err(|why| failed(why.to_string()))?;
        let about = file.metadata().map_err(|why| failed(why.to_string()))?;
        if !about.is_file() {
            return Err(failed("it is no file".into()));
        }
        let built = about.modified().ok().and_then(|built| built.duration_since(UNIX_EPOCH).ok());
        let built_at = built.map_or(0, |built| u64::try_from(built.as_millis()).unwrap_or_default());
        Ok(Self(Arc::new(Held { path, deployment, built_at, file })))
    }

    /// Where it was when it was held.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Counted from 1.
    pub fn deployment(&self) -> u32 {
        self.0.deployment
    }

    /// Milliseconds since 1970; 0 where the disk does not say.
    pub fn built_at(&self) -> u64 {
        self.0.built_at
    }

    /// What is to be started: the same file, whatever is at its path by now. Only Linux has a name for it.
    #[cfg(target_os = "linux")]
    pub(super) fn file(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), self.0.file.as_raw_fd()).into()
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn file(&self) -> PathBuf {
        self.0.path.clone()
    }
}
