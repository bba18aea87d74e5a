//! `shop backup` and `shop restore`: a shop in a folder, as it was at one instant.
//!
//! What is copied has to fit together: an order whose payment is missing is money that was lost, and a payment without its
//! order one that nobody gives back. No order of copying one store after another would do. Orders first, and the last
//! payments belong to nobody; orders last, and the last orders were never paid. So all stores are looked at in
//! [one instant](cut), and what is restored is a shop that fell over then: the sweeper, the relay and the queue go on
//! with what was under way, as they do after any crash, by the same keys. What a customer was told before that instant
//! was on the disk before it was told.

mod cut;
mod manifest;
mod restore;

use crate::claim::Claim;
use crate::parts::config::{AMQP, Config, Instance, Name};
use crate::parts::failure::Failure;
use crate::parts::store::Place;
use crate::up::{block_on, say};
use cut::Cut;
use manifest::{Manifest, sync};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a shop keeps beside its stores, if it has it: the CA of development, the policy, what is switched off.
const KEPT: [&str; 4] = ["tls/ca.pem", "tls/ca.key", "policy.toml", "protections.json"];

/// Orders that customers were told of.
const JOURNAL: &str = "load.journal";

#[derive(clap::Args, Debug)]
pub struct BackupArgs {
    /// Where it is put; a folder that is not there yet, or is empty
    dir: PathBuf,
}

#[derive(clap::Args, Debug)]
pub struct RestoreArgs {
    /// Where the backup is
    dir: PathBuf,

    /// Moves a data folder that is not empty aside
    #[arg(long)]
    force: bool,
}

/// Copies a shop, which may be open, and says what was copied.
///
/// # Errors
///
/// When there is no shop in files, or something cannot be read or written; nothing is left behind then.
pub fn run(config: &Config, args: &BackupArgs) -> Result<(), Failure> {
    let (stores, folder) = (in_files(config)?, &args.dir);
    let failed = |why: io::Error| Failure::new(format!("{} cannot be written: {why}.", folder.display()));
    if !is_vacant(folder).map_err(failed)? {
        return Err(failed(io::Error::other("it is not empty")));
    }
    let new = Unfinished::beside(folder).map_err(failed)?;
    block_on(async {
        let mut names = copy_kept(&config.data_dir, &new.0).map_err(failed)?;
        names.extend(Cut::of(&config.data_dir, &stores, &new.0).await?.copy().await?);
        let manifest = Manifest::of(&new.0, names).map_err(failed)?;
        manifest.write(&new.0).map_err(failed)?;
        new.becomes(folder).map_err(failed)?;
        say(&[format!("{manifest} are in {}", folder.display())]);
        Ok(())
    })
}

/// Restores a shop, which must not be open, and says from when it is.
///
/// # Errors
///
/// When the backup is not whole, the data folder is in use or not empty, or cannot be written; nothing is changed then.
pub fn restore(config: &Config, args: &RestoreArgs) -> Result<(), Failure> {
    restore::run(config, &args.dir, args.force)
}

/// The stores of a shop that keeps all of them in files.
fn in_files(config: &Config) -> Result<Vec<&'static str>, Failure> {
    for name in Name::stores() {
        if let Place::Server(server) = Place::of(config, name) {
            return Err(Failure::new(format!(
                "the store of {name} is {server}, on a server: back it up, all databases in one go, by pg_dump or \
                 mariadb-dump --single-transaction while the shop is closed."
            )));
        }
    }
    if config.amqp.is_some() {
        return Err(Failure::new(format!(
            "{AMQP} is set: what is in the queues of a RabbitMQ cannot be copied with the stores; unset it for a \
             shop whose queue is a file."
        )));
    }
    let stores = Name::stores().chain(["bus", "ops"]);
    let there: Vec<_> = stores.filter(|name| config.data_dir.join(format!("{name}.db")).is_file()).collect();
    match there.contains(&"order") {
        true => Ok(there),
        false => Err(Failure::new(format!(
            "there is nothing to back up: no shop is in {}; --data-dir names another folder.",
            config.data_dir.display()
        ))),
    }
}

/// Every instance that may have claimed a data folder.
fn everybody() -> impl Iterator<Item = Instance> {
    Name::services().chain([Name::Ops, Name::Registry, Name::Config]).flat_map(Name::instances)
}

/// Who has claimed the data folder, if anybody has.
fn open_on(config: &Config) -> Option<Instance> {
    everybody().find(|instance| Claim::is_held(config, *instance))
}

/// What is no store, before the stores: an order that the journal knows is then in the store that is copied.
fn copy_kept(from: &Path, to: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for name in KEPT.into_iter().chain([JOURNAL]) {
        let mut bytes = match std::fs::read(from.join(name)) {
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            read => read?,
        };
        if name == JOURNAL {
            // The last line may be half written.
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        }
        write(&to.join(name), &bytes)?;
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Writes a file for this user alone, and the folder that it is in.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        private(folder)?;
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder for this user alone, if it is missing: there are keys in it.
fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether nothing is there, or a folder with nothing in it.
fn is_vacant(folder: &Path) -> io::Result<bool> {
    match folder.read_dir() {
        Ok(mut files) => Ok(files.next().is_none()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(why) => Err(why),
    }
}

/// A folder that is removed, unless it becomes one that is finished.
struct Unfinished(PathBuf);

impl Unfinished {
    /// In the same folder as another one, so that it can take its place.
    fn beside(folder: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
            return Err(io::Error::other("it has no name"));
        };
        std::fs::create_dir_all(parent)?;
        let name = format!("{}.unfinished-{}", name.to_string_lossy(), std::process::id());
        let this = Self(parent.join(name));
        DirBuilder::new().mode(0o700).create(&this.0)?;
        Ok(this)
    }

    /// Takes a place where nothing is.
    fn becomes(self, folder: &Path) -> io::Result<()> {
        sync(&self.0)?;
        std::fs::rename(&self.0, folder)?;
        std::path::absolute(folder)?.parent().map_or(Ok(()), sync)
    }
}

impl Drop for Unfinished {
    /// Finished, it is not there any more.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
