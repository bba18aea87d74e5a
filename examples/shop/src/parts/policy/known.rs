//! What a config service told last, on disk.

use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Below the data folder.
const FOLDER: &str = "config";

/// A file that all replicas of a service share. The last one that was told something has written it.
#[derive(Debug)]
pub(super) struct Known {
    file: PathBuf,
    url: String,
}

#[derive(Deserialize, Serialize)]
struct Written {
    /// Another config service may know another shop.
    url: String,
    policy: String,
}

impl Known {
    pub(super) fn new(data_dir: &Path, url: &str, service: &str) -> Self {
        Self { file: data_dir.join(FOLDER).join(format!("{service}.json")), url: url.to_owned() }
    }

    /// None when this service has not told anything yet, or what was written cannot be read.
    pub(super) fn read(&self) -> Option<String> {
        let written: Written = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        (written.url == self.url).then_some(written.policy)
    }

    /// Writes a small file where another was, whole or not at all. It is not worth a thread of its own.
    pub(super) fn keep(&self, policy: &str) {
        let written = Written { url: self.url.clone(), policy: policy.to_owned() };
        if let Err(error) = self.write(&serde_json::to_vec(&written).unwrap_or_default()) {
            tracing::warn!(%error, file = %self.file.display(), "the policy cannot be written down");
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        // Replicas of this process, and of others, may write at the same time.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (mine, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let new = self.file.with_extension(format!("{mine}-{next}.new"));
        std::fs::create_dir_all(self.file.parent().unwrap_or(&self.file))?;
        std::fs::write(&new, text)?;
        std::fs::rename(new, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_service_has_told_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let known = |url| Known::new(folder.path(), url, "order");
        assert_eq!(known("http://one").read(), None);
        known("http://one").keep("{}");
        assert_eq!((known("http://one").read(), known("http://two").read()), (Some("{}".into()), None));
        std::fs::write(folder.path().join("config/order.json"), "half").unwrap();
        assert_eq!(known("http://one").read(), None);
    }
}
