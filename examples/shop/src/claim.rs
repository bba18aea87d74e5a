//! One shop on one data folder.

use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use std::fs::{File, TryLockError, create_dir_all};

/// The right to work on a data folder as certain instances, given up when it is dropped or the process ends.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "the files are locked as long as they are open")] Vec<File>);

impl Claim {
    /// # Errors
    ///
    /// When a shop runs on the folder that has one of the instances, or the folder cannot be written.
    pub fn take(config: &Config, instances: &[Instance]) -> Result<Self, Failure> {
        let folder = config.data_dir.join("locks");
        let failed =
            |why| Failure::new(format!("--data-dir {} cannot be used: {why}.", config.data_dir.display()));
        create_dir_all(&folder).map_err(failed)?;
        let lock = |instance: &Instance| {
            let file = File::create(folder.join(instance.to_string())).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => Ok(file),
                Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
                    "another {instance} runs on {}: stop it, or choose another --data-dir.",
                    config.data_dir.display()
                ))),
                Err(TryLockError::Error(why)) => Err(failed(why)),
            }
        };
        // Each payment that runs alone brings its bank along, and they share one ledger.
        let alone = instances.iter().filter(|instance| instance.service != Name::Bank);
        Ok(Self(alone.map(lock).collect::<Result<_, _>>()?))
    }
}
