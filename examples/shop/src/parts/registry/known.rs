//! Who was known last, on disk.

use super::super::config::Name;
use bartizan::core::Member;
use http::Uri;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Below the data folder.
const FOLDER: &str = "registry";

/// A file that all instances share. The last one that was told something has written it.
#[derive(Debug)]
pub(super) struct Known {
    file: PathBuf,
    registry: String,
}

#[derive(Deserialize, Serialize)]
struct Written {
    /// Another registry may know another shop.
    registry: String,
    members: Vec<WrittenMember>,
}

#[derive(Deserialize, Serialize)]
struct WrittenMember {
    url: String,
    weight: u32,
    zone: Option<String>,
}

impl Known {
    pub(super) fn new(data_dir: &Path, registry: &str, service: Name) -> Self {
        Self { file: data_dir.join(FOLDER).join(format!("{service}.json")), registry: registry.to_owned() }
    }

    /// None when this registry has not told anybody yet, or what was written cannot be read.
    pub(super) fn read(&self) -> Option<Vec<Member<Uri>>> {
        let written = std::fs::read(&self.file).ok()?;
        let written: Written = serde_json::from_slice(&written).ok()?;
        let members = written.members.iter().map(WrittenMember::read).collect::<Option<Vec<_>>>()?;
        (written.registry == self.registry && !members.is_empty()).then_some(members)
    }

    /// Writes a small file where another was, whole or not at all. It is not worth a thread of its own.
    pub(super) fn keep(&self, members: &[Member<Uri>]) {
        let members = members.iter().map(WrittenMember::new).collect();
        let written = Written { registry: self.registry.clone(), members };
        if let Err(error) = self.write(&serde_json::to_vec(&written).unwrap_or_default()) {
            tracing::warn!(%error, file = %self.file.display(), "who is known cannot be written down");
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        // Instances of this process, and of others, may write at the same time.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (mine, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let new = self.file.with_extension(format!("{mine}-{next}.new"));
        std::fs::create_dir_all(self.file.parent().unwrap_or(&self.file))?;
        std::fs::write(&new, text)?;
        std::fs::rename(new, &self.file)
    }
}

impl WrittenMember {
    fn new(member: &Member<Uri>) -> Self {
        let zone = member.zone.as_ref().map(|zone| zone.as_str().to_owned());
        Self { url: member.key.to_string(), weight: member.weight, zone }
    }

    fn read(&self) -> Option<Member<Uri>> {
        let url: Uri = self.url.parse().ok().filter(|url: &Uri| url.scheme().is_some())?;
        let member = Member::new(url).weight(self.weight);
        Some(match &self.zone {
            Some(zone) => member.zone(zone.as_str()),
            None => member,
        })
    }
}
