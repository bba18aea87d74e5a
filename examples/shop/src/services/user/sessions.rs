//! Sessions are tokens, kept by those who hold them; here is only the key that signs them.

use crate::contracts::user::Session;
use crate::parts::auth::{Claims, Jwks, Key};
use crate::parts::clock::now_ms;
use crate::parts::failure::Failure;
use crate::parts::store::Store;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::sync::Arc;
use std::time::Duration;

/// The key lives as long as the store, so that a restart logs nobody out.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS signing_keys (
    id VARCHAR(40) PRIMARY KEY,
    seed VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL
)";

/// Why there is no key.
type Broken = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
pub(super) struct Sessions {
    key: Arc<Key>,
    lasts: Duration,
}

impl Sessions {
    /// Reads the key, or makes one.
    pub(super) async fn open(store: &Store, lasts: Duration) -> Result<Self, Failure> {
        let key = key(store)
            .await
            .map_err(|why| Failure::new(format!("the signing key cannot be read: {why}.")))?;
        Ok(Self { key: Arc::new(key), lasts })
    }

    /// Begins a session of a user, from now on.
    pub(super) fn begin(&self, user: String) -> Session {
        let (iat, expires_in) = (now_ms() / 1000, self.lasts.as_secs() as i64);
        let token = self.key.sign(&Claims { sub: user, iat, exp: iat + expires_in });
        Session { token, expires_in }
    }

    pub(super) fn keys(&self) -> Jwks {
        Jwks { keys: vec![self.key.public()] }
    }
}

const FIND: &str = "SELECT id, seed FROM signing_keys ORDER BY created_at";

async fn key(store: &Store) -> Result<Key, Broken> {
    if let Some(row) = sqlx::query(FIND).fetch_optional(store.pool()).await? {
        return read(&row);
    }
    let key = store.change(async |mut change| {
        if let Some(row) = sqlx::query(FIND).fetch_optional(&mut *change).await? {
            return read(&row);
        }
        let (id, mut seed) = (crate::parts::id::new(), [0; 32]);
        getrandom::fill(&mut seed)?;
        let insert = sqlx::query("INSERT INTO signing_keys (id, seed, created_at) VALUES ($1, $2, $3)");
        insert.bind(&id).bind(STANDARD.encode(seed)).bind(now_ms()).execute(&mut *change).await?;
        change.commit().await?;
        Ok(Key::from_seed(id, &seed))
    });
    key.await
}

fn read(row: &AnyRow) -> Result<Key, Broken> {
    let seed: String = row.try_get(1)?;
    let seed = STANDARD.decode(seed)?.try_into().map_err(|_| "it has not 32 bytes")?;
    Ok(Key::from_seed(row.try_get(0)?, &seed))
}
