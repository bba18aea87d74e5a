//! Incidents, written down: they outlive the shop.

use super::open::{Incident, Life};
use crate::parts::clock::now_ms;
use crate::parts::store::Store;
use sqlx::Row;
use sqlx::any::AnyRow;

pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS incidents (
    id VARCHAR(40) PRIMARY KEY,
    type VARCHAR(40) NOT NULL,
    cause VARCHAR(120) NOT NULL,
    fault VARCHAR(40),
    started BIGINT NOT NULL,
    detected BIGINT,
    resolved BIGINT,
    evidence TEXT NOT NULL
)";

/// Incidents that are kept beyond the last hour.
const KEPT: i64 = 500;
const HOUR: i64 = 3_600_000;

/// No fault lasts longer, in milliseconds.
const LONGEST: i64 = 20 * 60 * 1000;

#[derive(Clone)]
pub(super) struct Records(Store);

/// A fault, as it is written down.
pub(super) struct Set {
    pub(super) id: String,
    pub(super) target: String,
    pub(super) kind: String,
    pub(super) started: i64,
    /// None while it lasts.
    pub(super) ended: Option<i64>,
}

impl Records {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    pub(super) async fn newest(&self, limit: i64) -> sqlx::Result<Vec<Incident>> {
        let rows = self.0.sql(
            "SELECT id, type, cause, fault, started, detected, resolved, evidence FROM incidents
             ORDER BY started DESC, id DESC LIMIT $1",
        );
        self.0.fetch_all(rows.bind(limit)).await?.iter().map(incident).collect()
    }

    /// Those that are not over.
    pub(super) async fn open(&self) -> sqlx::Result<Vec<Incident>> {
        let rows = self.0.sql(
            "SELECT id, type, cause, fault, started, detected, resolved, evidence FROM incidents
             WHERE resolved IS NULL ORDER BY started, id",
        );
        self.0.fetch_all(rows).await?.iter().map(incident).collect()
    }

    /// Whether a fault is an incident already.
    pub(super) async fn has(&self, fault: &str) -> sqlx::Result<bool> {
        let rows = self.0.sql("SELECT id FROM incidents WHERE fault = $1");
        Ok(self.0.fetch_optional(rows.bind(fault.to_owned())).await?.is_some())
    }

    /// The faults that last, and those that did not long ago.
    pub(super) async fn faults(&self) -> sqlx::Result<Vec<Set>> {
        let rows = self.0.sql(
            "SELECT id, target, kind, started_at, expires_at, ended_at FROM faults WHERE started_at > $1
             ORDER BY started_at, id",
        );
        let now = now_ms();
        self.0.fetch_all(rows.bind(now - LONGEST)).await?.iter().map(|row| set(row, now)).collect()
    }

    /// Writes an incident down, in the place of what was known of it.
    pub(super) async fn keep(&self, incident: &Incident) -> sqlx::Result<()> {
        let evidence =
            serde_json::to_string(&incident.evidence).map_err(|why| sqlx::Error::Encode(why.into()))?;
        let update =
            self.0.sql("UPDATE incidents SET detected = $1, resolved = $2, evidence = $3 WHERE id = $4");
        let update = update.bind(incident.detected).bind(incident.resolved).bind(evidence.clone());
        if self.0.execute(update.bind(incident.id.clone())).await? > 0 {
            return Ok(());
        }
        let insert = self.0.sql(
            "INSERT INTO incidents (id, type, cause, fault, started, detected, resolved, evidence)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert =
            insert.bind(incident.id.clone()).bind(incident.kind.clone()).bind(incident.cause.clone());
        let insert = insert.bind(incident.fault.clone()).bind(incident.started).bind(incident.detected);
        self.0.execute(insert.bind(incident.resolved).bind(evidence)).await.map(drop)
    }

    /// Forgets what is over for long, all but the newest.
    pub(super) async fn prune(&self) -> sqlx::Result<()> {
        let delete = self.0.sql(
            "DELETE FROM incidents WHERE resolved < $1
             AND id NOT IN (SELECT id FROM incidents ORDER BY started DESC, id DESC LIMIT $2)",
        );
        self.0.execute(delete.bind(now_ms() - HOUR).bind(KEPT)).await.map(drop)
    }
}

fn set(row: &AnyRow, now: i64) -> sqlx::Result<Set> {
    let (expires, ended): (i64, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
    Ok(Set {
        id: row.try_get(0)?,
        target: row.try_get(1)?,
        kind: row.try_get(2)?,
        started: row.try_get(3)?,
        ended: ended.or((expires <= now).then_some(expires)),
    })
}

fn incident(row: &AnyRow) -> sqlx::Result<Incident> {
    let evidence: String = row.try_get(7)?;
    let evidence = serde_json::from_str(&evidence).map_err(|why| sqlx::Error::Decode(why.into()))?;
    Ok(Incident {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        cause: row.try_get(2)?,
        fault: row.try_get(3)?,
        started: row.try_get(4)?,
        detected: row.try_get(5)?,
        resolved: row.try_get(6)?,
        evidence,
        life: Life::default(),
    })
}
