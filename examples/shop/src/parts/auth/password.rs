//! Passwords, hashed with argon2id.

use super::super::failure::Failure;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many passwords are hashed at once. Each takes a core and 19 MiB.
const AT_ONCE: usize = 4;

/// Hashes and checks passwords off the runtime's threads.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    gate: Arc<Semaphore>,
    /// Checked when there is no such user, so that the answer takes as long as for one that there is.
    nobody: Arc<str>,
}

impl Passwords {
    /// `cheap` is for tests alone: it makes a stolen hash worth guessing.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn new(cheap: bool) -> Result<Self, Failure> {
        let params = if cheap { Params::new(Params::MIN_M_COST, 1, 1, None) } else { Ok(Params::DEFAULT) };
        let params = params.map_err(|why| Failure::new(format!("argon2 refuses its parameters: {why}.")))?;
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let nobody = argon2
            .hash_password(b"")
            .map_err(|why| Failure::new(format!("no password can be hashed: {why}.")))?;
        let nobody = nobody.to_string().into();
        Ok(Self { argon2, gate: Arc::new(Semaphore::new(AT_ONCE)), nobody })
    }

    /// Hashes a password into a string that names its own parameters; `None` when it cannot be hashed.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing. Dropped later, the hash is finished for nobody, and its place is
    /// held until then, so that callers who give up cannot start more than four.
    pub async fn hash(&self, password: String) -> Option<String> {
        self.work(move |argon2| argon2.hash_password(password.as_bytes()).ok().map(|hash| hash.to_string()))
            .await?
    }

    /// Whether a password is the one that was hashed; never true for no hash, and not faster either.
    pub async fn matches(&self, password: String, hash: Option<String>) -> bool {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let matches = self.work(move |argon2| {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok())
        });
        matches.await == Some(true) && known
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.gate).acquire_owned().await.ok()?;
        let argon2 = self.argon2.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&argon2)
        });
        work.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_alone() {
        let passwords = Passwords::new(true).unwrap();
        let hash = passwords.hash("correct horse".into()).await;
        assert!(passwords.matches("correct horse".into(), hash.clone()).await);
        assert!(!passwords.matches("battery staple".into(), hash).await);
        assert!(!passwords.matches(String::new(), None).await, "nobody has a password");
    }

    #[tokio::test]
    async fn those_who_gave_up_still_hold_their_place() {
        let passwords = Passwords::new(true).unwrap();
        let finish = Arc::new(Barrier::new(AT_ONCE + 1));
        let hash = || {
            let (passwords, finish) = (passwords.clone(), Arc::clone(&finish));
            tokio::spawn(async move { passwords.work(move |_| finish.wait().is_leader()).await })
        };
        let begun: Vec<_> = (0..AT_ONCE).map(|_| hash()).collect();
        while passwords.gate.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for hash in begun {
            hash.abort();
            assert!(hash.await.unwrap_err().is_cancelled());
        }
        assert_eq!(passwords.gate.available_permits(), 0, "the threads are still at work");
        tokio::task::spawn_blocking(move || finish.wait()).await.unwrap();
        while passwords.gate.available_permits() < AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}
