//! Who was known last, on disk.

use super::super::config::Name;
use bartizan::core::Member;
use http::Uri;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Below the data folder.
const FOLDER: &str = "registry";

const UNREAD: &str = "who was known last cannot be read, and is asked for anew";

/// How many are written down at most, and how long a file is at most that is read.
const MOST: usize = 1000;
const LONGEST: u64 = 1 << 20;

/// A file that all instances share. The last one that was told something has written it.
#[derive(Debug)]
pub(super) struct Known {
    file: PathBuf,
    registry: String,
    /// Whether it was told that the file is no good.
    warned: bool,
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
        let file = data_dir.join(FOLDER).join(format!("{service}.json"));
        Self { file, registry: registry.to_owned(), warned: false }
    }

    /// None when this registry has not told anybody yet, or what was written cannot be read, which is told once.
    pub(super) fn read(&mut self) -> Option<Vec<Member<Uri>>> {
        match read(&self.file) {
            Ok(written) if written.registry == self.registry => {
                let members = written.members();
                if members.is_none() {
                    self.warn(&io::ErrorKind::InvalidData.into(), UNREAD);
                }
                members
            }
            // Another registry may know another shop.
            Ok(_) => None,
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.warn(&error, UNREAD);
                None
            }
        }
    }

    /// Writes a small file where another was, whole or not at all. It is not worth a thread of its own, nor the wait for the
    /// disk: one that a power cut has torn is not believed, and what the configuration has is called then.
    pub(super) fn keep(&mut self, members: &[Member<Uri>]) {
        let members = members.iter().take(MOST).map(WrittenMember::new).collect();
        let written = Written { registry: self.registry.clone(), members };
        match self.write(&serde_json::to_vec(&written).unwrap_or_default()) {
            Ok(()) => self.warned = false,
            Err(error) => self.warn(&error, "who is known cannot be written down"),
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        // Instances of this process, and of others, may write at the same time.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (mine, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let new = self.file.with_extension(format!("{mine}-{next}.new"));
        std::fs::create_dir_all(self.file.parent().unwrap_or(&self.file))?;
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.file));
        if written.is_err() {
            let _ = std::fs::remove_file(new);
        }
        written
    }

    fn warn(&mut self, error: &io::Error, what: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(%error, file = %self.file.display(), "{what}");
        }
    }
}

/// Whether a registry has told anybody of somebody.
pub(super) fn is_known(data_dir: &Path, registry: &str) -> bool {
    let Ok(files) = std::fs::read_dir(data_dir.join(FOLDER)) else { return false };
    let mut written = files.flatten().filter_map(|file| read(&file.path()).ok());
    written.any(|written| written.registry == registry && written.members().is_some())
}

/// Reads a file of ours, which is never long.
fn read(file: &Path) -> io::Result<Written> {
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(serde_json::from_slice(&text)?)
}

impl Written {
    /// None when there is nobody, or somebody who cannot be called.
    fn members(&self) -> Option<Vec<Member<Uri>>> {
        let members = self.members.iter().map(WrittenMember::read).collect::<Option<Vec<_>>>()?;
        (!members.is_empty()).then_some(members)
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
