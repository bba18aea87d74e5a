//! One shop on one data folder.

use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use std::fs::{File, TryLockError, create_dir_all};

/// Below the data folder.
const FOLDER: &str = "locks";

/// The right to work on a data folder as certain instances, given up when it is dropped or the process ends.
#[derive(Debug)]
pub struct Claim(Vec<(Instance, File)>);

type Lock = fn(&File) -> Result<(), TryLockError>;

impl Claim {
    /// # Errors
    ///
    /// When a shop runs on the folder that has one of the instances, or the folder cannot be written.
    pub fn take(config: &Config, instances: &[Instance]) -> Result<Self, Failure> {
        Self::lock(config, instances, File::try_lock)
    }

    /// A part in the claim of who has shared it. As long as there is one, nobody else can take it.
    ///
    /// # Errors
    ///
    /// When somebody else has taken it, or the folder cannot be written.
    pub fn join(config: &Config, instances: &[Instance]) -> Result<Self, Failure> {
        Self::lock(config, instances, File::try_lock_shared)
    }

    /// Lets others join. Whoever takes it first in between has it.
    ///
    /// # Errors
    ///
    /// When somebody else has taken it.
    #[cfg_attr(not(any(feature = "stage", test)), expect(dead_code, reason = "only the stage shares"))]
    pub fn share(self, config: &Config) -> Result<Self, Failure> {
        for (instance, file) in &self.0 {
            file.unlock().map_err(|why| unusable(config, &why))?;
            locked(config, *instance, file, File::try_lock_shared)?;
        }
        Ok(self)
    }

    /// Whether a shop runs on the folder that has the instance. Nothing is written; the claim is had for an instant.
    pub fn is_held(config: &Config, instance: Instance) -> bool {
        let file = File::open(config.data_dir.join(FOLDER).join(instance.to_string()));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn lock(config: &Config, instances: &[Instance], lock: Lock) -> Result<Self, Failure> {
        let folder = config.data_dir.join(FOLDER);
        create_dir_all(&folder).map_err(|why| unusable(config, &why))?;
        let lock = |instance: &Instance| {
            let file =
                File::create(folder.join(instance.to_string())).map_err(|why| unusable(config, &why))?;
            locked(config, *instance, &file, lock)?;
            Ok((*instance, file))
        };
        // Each payment that runs alone brings its bank along, and they share one ledger.
        let alone = instances.iter().filter(|instance| instance.service != Name::Bank);
        Ok(Self(alone.map(lock).collect::<Result<_, _>>()?))
    }
}

fn locked(config: &Config, instance: Instance, file: &File, lock: Lock) -> Result<(), Failure> {
    lock(file).map_err(|error| match error {
        TryLockError::WouldBlock => Failure::new(format!(
            "another {instance} runs on {}: stop it, or choose another --data-dir.",
            config.data_dir.display()
        )),
        TryLockError::Error(why) => unusable(config, &why),
    })
}

fn unusable(config: &Config, why: &std::io::Error) -> Failure {
    Failure::new(format!("--data-dir {} cannot be used: {why}.", config.data_dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_joined_keeps_others_off_whatever_becomes_of_who_shared() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path().into(), 8080).unwrap();
        let both = [Name::Order.replica(1).unwrap(), Name::User.replica(1).unwrap()];
        let (order, user) = (&both[..1], &both[1..]);
        let all = Claim::take(&config, &both).unwrap();
        assert!(Claim::join(&config, order).is_err(), "nothing is shared yet");
        let all = all.share(&config).unwrap();
        let (old, new) = (Claim::join(&config, order).unwrap(), Claim::join(&config, order).unwrap());
        drop(all);
        let refused = Claim::take(&config, order).unwrap_err().to_string();
        assert!(refused.starts_with("another order runs on"), "{refused}");
        Claim::take(&config, user).unwrap();
        drop(old);
        assert!(Claim::take(&config, order).is_err());
        drop(new);
        Claim::take(&config, order).unwrap();
    }
}
