//! Passwords, hashed with argon2id.

use super::super::failure::Failure;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many passwords are hashed at once. Each takes a core and 19 MiB.
const AT_ONCE: usize = 4;

/// Hashes and checks passwords off the runtime's threads.
#[derive(Clone)]
pub struct Passwords {
    params: Params,
    gate: Arc<Semaphore>,
    /// The memory of those who are not hashing. Allocators keep what a thread gives back for that thread, and there are
    /// many; so this keeps it for all.
    memory: Arc<Mutex<Vec<Memory>>>,
    /// Checked when there is no such user, so that the answer takes as long as for one that there is.
    nobody: Arc<str>,
}

type Memory = Vec<Block>;

impl Passwords {
    /// `cheap` is for tests alone: it makes a stolen hash worth guessing.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn new(cheap: bool) -> Result<Self, Failure> {
        let params = if cheap { Params::new(Params::MIN_M_COST, 1, 1, None) } else { Ok(Params::DEFAULT) };
        let params = params.map_err(|why| Failure::new(format!("argon2 refuses its parameters: {why}.")))?;
        let nobody = hash(&params, b"", &mut Memory::new())
            .ok_or_else(|| Failure::new("no password can be hashed: the system gives no randomness."))?;
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { params, gate, memory: Arc::default(), nobody: nobody.into() })
    }

    /// Hashes a password into a string that names its own parameters; `None` when it cannot be hashed.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing. Dropped later, the hash is finished for nobody, and its place is
    /// held until then, so that callers who give up cannot start more than four.
    pub async fn hash(&self, password: String) -> Option<String> {
        let params = self.params.clone();
        self.work(move |memory| hash(&params, password.as_bytes(), memory)).await?
    }

    /// Whether a password is the one that was hashed; never true for no hash, and not faster either.
    pub async fn matches(&self, password: String, hash: Option<String>) -> bool {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let matches = self.work(move |memory| matches(&hash, password.as_bytes(), memory));
        matches.await == Some(Some(true)) && known
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.gate).acquire_owned().await.ok()?;
        let kept = self.memory.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = kept().pop().unwrap_or_default();
            let done = work(&mut memory);
            kept().push(memory);
            done
        });
        work.await.ok()
    }
}

/// A string in the PHC format: algorithm, parameters, salt and hash.
fn hash(params: &Params, password: &[u8], memory: &mut Memory) -> Option<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).ok()?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).ok()?,
        salt: Some(Salt::new(&salt).ok()?),
        hash: Some(output(params, password, &salt, memory)?),
    };
    Some(hash.to_string())
}

/// Whether a password gives the hash in a string; none when it is no string of [`hash`].
fn matches(hash: &str, password: &[u8], memory: &mut Memory) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    if hash.algorithm != Algorithm::Argon2id.ident() || hash.version != Some(Version::V0x13.into()) {
        return None;
    }
    let params = Params::try_from(&hash).ok()?;
    // `Output` compares in constant time.
    Some(output(&params, password, &hash.salt?, memory)? == hash.hash?)
}

fn output(params: &Params, password: &[u8], salt: &[u8], memory: &mut Memory) -> Option<Output> {
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2.hash_password_into_with_memory(password, salt, &mut output, memory.as_mut_slice()).ok()?;
    Output::new(&output).ok()
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
    async fn memory_is_kept_for_as_many_as_hash_at_once() {
        let passwords = Passwords::new(true).unwrap();
        let hashes = (0..32).map(|n| {
            let passwords = passwords.clone();
            async move { passwords.hash(n.to_string()).await.is_some() }
        });
        let hashed = tokio::task::JoinSet::from_iter(hashes).join_all().await;
        assert_eq!(hashed, [true; 32]);
        assert!((1..=AT_ONCE).contains(&passwords.memory.lock().unwrap().len()));
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
