//! Passwords, hashed with argon2id.

use super::super::failure::Failure;
use super::super::problem::Problem;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many passwords are hashed at once. Each takes a core and 19 MiB.
const AT_ONCE: usize = 4;

/// How many more wait for it. Whoever comes then is told to come again: they would wait for longer than anybody waits for them.
const WAITING: usize = 64;

/// Hashes and checks passwords off the runtime's threads.
#[derive(Clone)]
pub struct Passwords {
    params: Params,
    gate: Arc<Semaphore>,
    /// Of those who hash or wait for it.
    places: Arc<Semaphore>,
    /// The memory of those who are not hashing. Allocators keep what a thread gives back for that thread, and there are
    /// many; so this keeps it for all.
    memory: Arc<Mutex<Vec<Memory>>>,
    /// Checked when there is no such user, so that the answer takes as long as for one that there is.
    nobody: Arc<str>,
}

type Memory = Vec<Block>;

/// What a password is to a hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Matched {
    No,
    Yes,
    /// It is the one, and was hashed in another way than passwords are now.
    Outdated,
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
        let nobody = hash(&params, b"", &mut Memory::new())
            .ok_or_else(|| Failure::new("no password can be hashed: the system gives no randomness."))?;
        let (gate, places) = (Semaphore::new(AT_ONCE), Semaphore::new(AT_ONCE + WAITING));
        let (gate, places) = (Arc::new(gate), Arc::new(places));
        Ok(Self { params, gate, places, memory: Arc::default(), nobody: nobody.into() })
    }

    /// Hashes a password into a string that names its own parameters.
    ///
    /// # Errors
    ///
    /// 503 when too many wait for the same.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing. Dropped later, the hash is finished for nobody, and its place is
    /// held until then, so that callers who give up cannot start more than four.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        let params = self.params.clone();
        let hash = self.work(move |memory| hash(&params, password.as_bytes(), memory)).await?;
        hash.ok_or_else(|| Problem::unavailable("the password could not be hashed"))
    }

    /// Whether a password is the one that was hashed; never for no hash, and not faster either.
    ///
    /// # Errors
    ///
    /// As [`hash`](Self::hash).
    ///
    /// # Cancel safety
    ///
    /// As [`hash`](Self::hash).
    pub async fn matches(&self, password: String, hash: Option<String>) -> Result<Matched, Problem> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let matched = self.work(move |memory| matches(&hash, password.as_bytes(), memory)).await?;
        Ok(match matched {
            Some(params) if known && cost(&params) == cost(&self.params) => Matched::Yes,
            Some(_) if known => Matched::Outdated,
            _ => Matched::No,
        })
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = |_| Problem::unavailable("too many passwords are checked at the moment");
        let waits = self.places.clone().try_acquire_owned().map_err(busy)?;
        let broken = "passwords are not checked any more";
        let place = self.gate.clone().acquire_owned().await.map_err(|_| Problem::unavailable(broken))?;
        let kept = self.memory.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _places = (place, waits);
            let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = kept().pop().unwrap_or_default();
            let done = work(&mut memory);
            kept().push(memory);
            done
        });
        work.await.map_err(|_| Problem::unavailable("the password could not be hashed"))
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

/// The parameters of the hash in a string, where a password gives it; none as well when it is no string of [`hash`].
fn matches(hash: &str, password: &[u8], memory: &mut Memory) -> Option<Params> {
    let hash = PasswordHash::new(hash).ok()?;
    if hash.algorithm != Algorithm::Argon2id.ident() || hash.version != Some(Version::V0x13.into()) {
        return None;
    }
    let params = Params::try_from(&hash).ok()?;
    // `Output` compares in constant time.
    (output(&params, password, &hash.salt?, memory)? == hash.hash?).then_some(params)
}

/// What makes a hash worth its time: memory, passes and lanes.
fn cost(params: &Params) -> (u32, u32, u32) {
    (params.m_cost(), params.t_cost(), params.p_cost())
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
        let hash = Some(passwords.hash("correct horse".into()).await.unwrap());
        for (password, hash, matched) in [
            ("correct horse", hash.clone(), Matched::Yes),
            ("battery staple", hash.clone(), Matched::No),
            ("correct horse", Some("no hash".into()), Matched::No),
            ("", None, Matched::No),
        ] {
            assert_eq!(passwords.matches(password.into(), hash).await.unwrap(), matched, "{password}");
        }
        let dear = Passwords::new(false).unwrap();
        assert_eq!(dear.matches("correct horse".into(), hash.clone()).await.unwrap(), Matched::Outdated);
        assert_eq!(dear.matches("battery staple".into(), hash).await.unwrap(), Matched::No);
        let nobody = PasswordHash::new(&dear.nobody).unwrap();
        assert_eq!(
            cost(&Params::try_from(&nobody).unwrap()),
            cost(&dear.params),
            "nobody takes as long as somebody"
        );
    }

    #[tokio::test]
    async fn whoever_would_wait_too_long_is_sent_away() {
        let passwords = Passwords::new(true).unwrap();
        let begin = Arc::new(Barrier::new(AT_ONCE + 1));
        let work = |_| {
            let (passwords, begin) = (passwords.clone(), begin.clone());
            tokio::spawn(async move { passwords.work(move |_| begin.wait().is_leader()).await.is_ok() })
        };
        let working: Vec<_> = (0..AT_ONCE).map(work).collect();
        while passwords.gate.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let wait = |_| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.work(|_| ()).await.is_ok() })
        };
        let waiting: Vec<_> = (0..WAITING).map(wait).collect();
        while passwords.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(passwords.work(|_| ()).await.is_err(), "there is no place left");
        waiting[0].abort();
        while passwords.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        let late = wait(0);
        tokio::task::spawn_blocking(move || begin.wait()).await.unwrap();
        for work in working.into_iter().chain(waiting.into_iter().skip(1)).chain([late]) {
            assert!(work.await.unwrap());
        }
        assert_eq!(passwords.places.available_permits(), AT_ONCE + WAITING);
    }

    #[tokio::test]
    async fn memory_is_kept_for_as_many_as_hash_at_once() {
        let passwords = Passwords::new(true).unwrap();
        let hashes = (0..32).map(|n| {
            let passwords = passwords.clone();
            async move { passwords.hash(n.to_string()).await.is_ok() }
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
