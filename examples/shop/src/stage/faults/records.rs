//! Faults, written down: what lasts is put in again after a restart, and what was is evidence.

use super::kind::Kind;
use super::wish::Fault;
use crate::parts::clock::now_ms;
use crate::parts::store::Store;
use sqlx::Row;
use sqlx::any::AnyRow;

pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS faults (
    id VARCHAR(40) PRIMARY KEY,
    target VARCHAR(80) NOT NULL,
    kind VARCHAR(40) NOT NULL,
    share_ppm BIGINT NOT NULL,
    ms BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    header VARCHAR(80)
)";

#[derive(Clone)]
pub(super) struct Records(Store);

impl Records {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    pub(super) async fn add(&self, fault: &Fault) -> sqlx::Result<()> {
        let insert = self.0.sql(
            "INSERT INTO faults (id, target, kind, share_ppm, ms, started_at, expires_at, header)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(fault.id.clone()).bind(fault.target.clone()).bind(fault.kind.as_str());
        // The smallest share is one, too: none at all would be no fault.
        let share = (fault.share * 1e6).round().max(1.0) as i64;
        let insert = insert.bind(share).bind(fault.ms);
        let insert = insert.bind(fault.started_at).bind(fault.expires_at);
        self.0.execute(insert.bind(fault.header.clone())).await.map(drop)
    }

    /// Notes that a fault has ended.
    pub(super) async fn end(&self, id: &str) -> sqlx::Result<()> {
        let update = self.0.sql("UPDATE faults SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL");
        self.0.execute(update.bind(now_ms()).bind(id.to_owned())).await.map(drop)
    }

    /// Those that have neither ended nor expired.
    pub(super) async fn lasting(&self) -> sqlx::Result<Vec<Fault>> {
        let rows = self.0.sql(
            "SELECT id, target, kind, share_ppm, ms, started_at, expires_at, header FROM faults
             WHERE ended_at IS NULL AND expires_at > $1 ORDER BY started_at, id",
        );
        self.0.fetch_all(rows.bind(now_ms())).await?.iter().map(fault).collect()
    }
}

fn fault(row: &AnyRow) -> sqlx::Result<Fault> {
    let kind: String = row.try_get(2)?;
    let kind = Kind::parse(&kind)
        .ok_or_else(|| sqlx::Error::Decode(format!("no kind of a fault: {kind}").into()))?;
    Ok(Fault {
        id: row.try_get(0)?,
        target: row.try_get(1)?,
        kind,
        share: row.try_get::<i64, _>(3)? as f64 / 1e6,
        ms: row.try_get(4)?,
        started_at: row.try_get(5)?,
        expires_at: row.try_get(6)?,
        header: row.try_get(7)?,
    })
}
