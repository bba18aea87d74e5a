//! The keys that sign, in the store. Processes that share it share them: a generation is made once. Seeds are there as
//! they are; whoever can read the store can sign, until the keys are withdrawn.

use super::ring::{Generation, Ring, Wanted};
use crate::parts::auth::{Jwk, Key};
use crate::parts::clock::now_ms;
use crate::parts::id;
use crate::parts::store::{Change, Store, is_taken, patiently};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS signing_keys (
    id VARCHAR(40) PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    seed VARCHAR(64) NOT NULL,
    signs_from BIGINT NOT NULL
)";

const READ: &str = "SELECT number, id, seed, signs_from FROM signing_keys";

/// How often it is tried again when somebody else has made the same generation.
const TRIES: u32 = 3;

/// Why there are no keys.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Clones share the store, and what was read of it last.
#[derive(Clone)]
pub(super) struct Keys {
    store: Store,
    ring: Arc<Mutex<Ring>>,
    /// How long a key signs, and how long a token lives, in milliseconds.
    life: i64,
    token: i64,
}

impl Keys {
    /// Reads the keys, and makes the first.
    pub(super) async fn open(store: Store, life: Duration, token: Duration) -> Result<Self, Broken> {
        let (life, token) = (life.as_millis() as i64, token.as_millis() as i64);
        let keys = Self { store, ring: Arc::default(), life, token };
        patiently(|| keys.turn()).await?;
        Ok(keys)
    }

    /// Reads the keys, makes the next one when it is time, and throws away those that nobody needs.
    pub(super) async fn turn(&self) -> Result<(), Broken> {
        let mut ring = self.read().await?;
        if let Some(wanted) = ring.wanted(now_ms(), self.life) {
            match self.store.change(async move |change| make(change, wanted, false).await).await {
                Err(error) if !is_taken(&error) => return Err(error.into()),
                // Somebody else has made it.
                _ => ring = self.read().await?,
            }
        }
        for over in ring.split(now_ms(), self.token).1 {
            let delete = self.store.sql("DELETE FROM signing_keys WHERE id = $1").bind(over.id.clone());
            self.store.execute(delete).await?;
        }
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    /// Puts a new key in the place of all others. What they have signed is refused wherever that is heard of.
    pub(super) async fn withdraw(&self) -> Result<(), Broken> {
        for left in (0..TRIES).rev() {
            let wanted = self.read().await?.next(now_ms());
            match self.store.change(async move |change| make(change, wanted, true).await).await {
                Err(error) if left > 0 && is_taken(&error) => {}
                made => {
                    made?;
                    break;
                }
            }
        }
        self.turn().await
    }

    /// Signs by the key whose time it is.
    pub(super) fn sign<T>(&self, sign: impl FnOnce(&Key) -> T) -> Option<T> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).signer(now_ms()).map(sign)
    }

    pub(super) fn public(&self) -> Vec<Jwk> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.split(now_ms(), self.token).0.into_iter().map(|generation| generation.key.public()).collect()
    }

    async fn read(&self) -> Result<Ring, Broken> {
        let rows = self.store.fetch_all(self.store.sql(READ)).await?;
        Ok(Ring::new(rows.iter().map(generation).collect::<Result<_, _>>()?))
    }
}

/// Makes a key; in the place of all that are older, if it is to be alone.
async fn make(mut change: Change, Wanted { number, signs_from }: Wanted, alone: bool) -> sqlx::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|why| sqlx::Error::Io(std::io::Error::other(why)))?;
    let insert =
        change.sql("INSERT INTO signing_keys (id, number, seed, signs_from) VALUES ($1, $2, $3, $4)");
    let insert = insert.bind(id::new()).bind(number).bind(STANDARD.encode(seed)).bind(signs_from);
    insert.execute(&mut *change).await?;
    if alone {
        let delete = change.sql("DELETE FROM signing_keys WHERE number < $1").bind(number);
        delete.execute(&mut *change).await?;
    }
    change.commit().await
}

fn generation(row: &AnyRow) -> Result<Generation, Broken> {
    let (id, seed): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let seed = STANDARD.decode(seed)?.try_into().map_err(|_| "it has not 32 bytes")?;
    let key = Arc::new(Key::from_seed(id.clone(), &seed));
    Ok(Generation { number: row.try_get(0)?, id, signs_from: row.try_get(3)?, key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    async fn keys(folder: &std::path::Path, life: u64) -> Keys {
        let store = Store::scratch(folder, "user", &[TABLE]).await.unwrap();
        Keys::open(store, Duration::from_millis(life), Duration::from_secs(600)).await.unwrap()
    }

    fn known(keys: &Keys) -> BTreeSet<String> {
        keys.public().into_iter().map(|key| key.kid).collect()
    }

    #[tokio::test]
    async fn processes_that_share_a_store_share_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = tokio::join!(keys(folder.path(), 86_400_000), keys(folder.path(), 86_400_000));
        assert_eq!(known(&one), known(&two));
        assert_eq!(known(&one).len(), 1);
        let first = known(&one);
        one.withdraw().await.unwrap();
        two.turn().await.unwrap();
        assert_eq!(known(&one), known(&two));
        assert!(known(&one).is_disjoint(&first));
        let (a, b) = tokio::join!(one.withdraw(), two.withdraw());
        a.and(b).unwrap();
        one.turn().await.unwrap();
        two.turn().await.unwrap();
        assert_eq!((known(&one), known(&one).len()), (known(&two), 1));
        assert_eq!(one.sign(|key| key.public().kid), two.sign(|key| key.public().kid));
    }

    #[tokio::test]
    async fn a_generation_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (keys(folder.path(), 1).await, keys(folder.path(), 1).await);
        for _ in 0..20 {
            let (a, b) = tokio::join!(one.turn(), two.turn());
            a.and(b).unwrap();
        }
        let rows = one.store.sql("SELECT number FROM signing_keys ORDER BY number");
        let rows = one.store.fetch_all(rows).await.unwrap();
        let numbers: Vec<i64> = rows.iter().map(|row| row.try_get(0).unwrap()).collect();
        assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
        assert!(numbers.len() > 5, "{numbers:?}");
    }
}
