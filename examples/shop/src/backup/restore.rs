//! A data folder from a backup: the whole of it, or nothing.

use super::manifest::Manifest;
use super::{Unfinished, everybody, is_vacant, open_on, private};
use crate::claim::Claim;
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::up::say;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub(super) fn run(config: &Config, from: &Path, force: bool) -> Result<(), Failure> {
    let folder = &config.data_dir;
    let failed = |why: io::Error| {
        Failure::new(format!("--data-dir {} cannot be restored to: {why}.", folder.display()))
    };
    if let Some(instance) = open_on(config) {
        return Err(Failure::new(format!(
            "a shop is open on {} ({instance} runs): stop it, or choose another --data-dir.",
            folder.display()
        )));
    }
    let vacant = is_vacant(folder).map_err(failed)?;
    if !vacant && !force {
        return Err(Failure::new(format!(
            "{} is not empty: choose another --data-dir, or have what is there moved aside by --force.",
            folder.display()
        )));
    }
    let manifest = Manifest::checked(from)?;
    let new = Unfinished::beside(folder).map_err(failed)?;
    manifest.names().try_for_each(|name| copy(&from.join(name), &new.0.join(name))).map_err(failed)?;
    manifest.check(&new.0)?;
    let mut aside = None;
    // Nobody opens it from here on until it is moved.
    let _claim = (!vacant).then(|| Claim::take(config, &everybody().collect::<Vec<_>>())).transpose()?;
    if !vacant {
        aside = Some(moved(folder).map_err(failed)?);
    }
    if let Err(why) = new.becomes(folder) {
        // What was there is there again.
        let back = aside.as_ref().map_or(Ok(()), |aside| std::fs::rename(aside, folder));
        let left = back.err().and(aside).map(|aside| format!("; what was there is {}", aside.display()));
        return Err(failed(io::Error::other(format!("{why}{}", left.unwrap_or_default()))));
    }
    let mut lines =
        vec![format!("{manifest} are in {}, as they were {:?} ago", folder.display(), manifest.age())];
    lines.extend(aside.map(|aside| format!("what was there is in {}", aside.display())));
    say(&lines);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        private(folder)?;
    }
    std::fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Moves a folder aside, and returns where it is.
fn moved(folder: &Path) -> io::Result<PathBuf> {
    let mut name = std::path::absolute(folder)?.into_os_string();
    name.push(format!(".before-{}", now_ms()));
    std::fs::rename(folder, &name)?;
    Ok(name.into())
}
