//! Sessions are tokens, kept by those who hold them. Here are the keys that sign them, and those that have ended before
//! their time, as long as somebody may hold them.

use super::keys::{Broken, Keys};
use crate::contracts::user::Session;
use crate::parts::auth::{AUDIENCE, Claims, Ended, ISSUER, Jwks, Role};
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::id;
use crate::parts::problem::Problem;
use crate::parts::store::{Change, Store, is_taken};
use sqlx::Row;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// `epoch` is that of a user; of a session it is 0.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS ended_sessions (
    id VARCHAR(40) PRIMARY KEY,
    epoch BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL
)";

/// For those who ask what is new.
pub(super) const INDEX: &str = "CREATE INDEX IF NOT EXISTS ended_sessions_at ON ended_sessions (ended_at)";

/// So many are remembered by everybody who checks tokens. Nobody is forgotten: who comes then is told to come again.
const MOST: i64 = 100_000;

/// How often the keys are looked at, and made.
const EVERY: Duration = Duration::from_secs(1);

/// How many turns of the keys go by until what is over is thrown away.
const SWEEP: u64 = 60;

#[derive(Clone)]
pub(super) struct Sessions {
    store: Store,
    keys: Keys,
    lasts: Duration,
}

impl Sessions {
    /// Reads the keys, or makes the first, and keeps them going on the current runtime.
    pub(super) async fn open(store: &Store, config: &Config) -> Result<Self, Failure> {
        let keys = Keys::open(store.clone(), config.key_life, config.session).await;
        let keys = keys.map_err(|why| Failure::new(format!("the signing keys cannot be read: {why}.")))?;
        let sessions = Self { store: store.clone(), keys, lasts: config.session };
        tokio::spawn(sessions.clone().run());
        Ok(sessions)
    }

    /// Begins a session of a user, from now on.
    pub(super) fn begin(&self, user: String, role: Role, epoch: i64) -> Result<Session, Problem> {
        let (iat, expires_in) = (now_ms() / 1000, self.lasts.as_secs() as i64);
        let (iss, aud, jti) = (ISSUER.into(), AUDIENCE.into(), id::new());
        let claims = Claims { iss, aud, sub: user, iat, nbf: iat, exp: iat + expires_in, jti, role, epoch };
        let token = self.keys.sign(|key| key.sign(&claims));
        let token = token.ok_or_else(|| Problem::unavailable("there is no key that signs"))?;
        Ok(Session { token, expires_in })
    }

    /// Ends a session that would last until `until`, in seconds since 1970.
    pub(super) async fn end(&self, session: String, until: i64) -> Result<(), Problem> {
        self.has_room().await?;
        let insert = "INSERT INTO ended_sessions (id, epoch, ended_at, until_at) VALUES ($1, 0, $2, $3)";
        let insert = self.store.sql(insert);
        match self.store.execute(insert.bind(session).bind(now_ms()).bind(until * 1000)).await {
            Err(error) if !is_taken(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Ends all sessions of a user that have begun until now.
    pub(super) async fn end_all(&self, user: String) -> Result<(), Problem> {
        self.has_room().await?;
        let lasts = self.lasts;
        let ended = self.store.change(async move |mut change| {
            end_all(&mut change, &user, lasts).await?;
            change.commit().await
        });
        Ok(ended.await?)
    }

    /// The keys, and what has ended since a moment.
    pub(super) async fn told(&self, since: i64) -> Result<Jwks, Problem> {
        let now = now_ms();
        let rows = "SELECT id, epoch, until_at FROM ended_sessions WHERE ended_at >= $1 AND until_at > $2";
        let rows = self.store.fetch_all(self.store.sql(rows).bind(since).bind(now)).await?;
        let ended = rows
            .iter()
            .map(|row| Ok(Ended { id: row.try_get(0)?, epoch: row.try_get(1)?, until: row.try_get(2)? }));
        Ok(Jwks { keys: self.keys.public(), ended: ended.collect::<sqlx::Result<_>>()?, now })
    }

    /// Withdraws all keys, and with them what they have signed.
    pub(super) async fn withdraw_keys(&self) -> Result<(), Problem> {
        self.keys.withdraw().await.map_err(|why| {
            tracing::warn!(why, "the keys could not be withdrawn");
            Problem::unavailable("the keys could not be withdrawn")
        })
    }

    pub(super) fn lasts(&self) -> Duration {
        self.lasts
    }

    pub(super) async fn has_room(&self) -> Result<(), Problem> {
        let count = self.store.sql("SELECT COUNT(*) FROM ended_sessions");
        let count = self.store.fetch_one(count).await?;
        if count.try_get::<i64, _>(0)? < MOST {
            return Ok(());
        }
        Err(Problem::unavailable("too many sessions have ended at once").retry_after(60))
    }

    async fn run(self) {
        let mut turns = interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 1.. {
            turns.tick().await;
            let done = async {
                self.keys.turn().await?;
                if turn % SWEEP == 0 {
                    let over =
                        self.store.sql("DELETE FROM ended_sessions WHERE until_at <= $1").bind(now_ms());
                    self.store.execute(over).await?;
                }
                Ok::<_, Broken>(())
            };
            if let Err(why) = done.await {
                tracing::warn!(why, "the keys are those of a moment ago");
            }
        }
    }
}

/// Begins a new epoch of a user, as a part of a change.
pub(super) async fn end_all(change: &mut Change, user: &str, lasts: Duration) -> sqlx::Result<()> {
    let next = change.sql("UPDATE users SET epoch = epoch + 1 WHERE id = $1").bind(user);
    next.execute(&mut **change).await?;
    let epoch = change.sql("SELECT epoch FROM users WHERE id = $1").bind(user);
    let epoch: i64 = epoch.fetch_one(&mut **change).await?.try_get(0)?;
    let (now, until) = (now_ms(), now_ms() + lasts.as_millis() as i64);
    let known =
        change.sql("UPDATE ended_sessions SET epoch = $1, ended_at = $2, until_at = $3 WHERE id = $4");
    let known = known.bind(epoch).bind(now).bind(until).bind(user);
    if known.execute(&mut **change).await?.rows_affected() == 0 {
        let new =
            change.sql("INSERT INTO ended_sessions (id, epoch, ended_at, until_at) VALUES ($1, $2, $3, $4)");
        new.bind(user).bind(epoch).bind(now).bind(until).execute(&mut **change).await?;
    }
    Ok(())
}
