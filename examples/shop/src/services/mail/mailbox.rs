//! The mails' rows, and the inbox: which messages have come. Both are written in one transaction, so that a message which
//! comes twice makes one mail.

use super::letters::Letter;
use crate::contracts::mail::Mail;
use crate::parts::clock::now_ms;
use crate::parts::id;
use crate::parts::store::Store;
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS inbox (
        id VARCHAR(40) PRIMARY KEY,
        received_at BIGINT
    )",
    "CREATE TABLE IF NOT EXISTS mails (
        id VARCHAR(40) PRIMARY KEY,
        subject_id VARCHAR(40) NOT NULL,
        kind VARCHAR(40) NOT NULL,
        recipient VARCHAR(400) NOT NULL,
        body TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        UNIQUE (subject_id, kind)
    )",
];

#[derive(Clone)]
pub(super) struct Mailbox(Store);

impl Mailbox {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Writes the mail of a message down. If the message has come before, or a mail of this kind has gone out on its
    /// subject, there is nothing left to do.
    pub(super) async fn deliver(&self, message: String, letter: Letter) -> sqlx::Result<()> {
        let deliver = self.0.change(async move |mut change| {
            let known = sqlx::query("SELECT id FROM inbox WHERE id = $1").bind(&message);
            if known.fetch_optional(&mut *change).await?.is_some() {
                return Ok(());
            }
            let insert = sqlx::query("INSERT INTO inbox (id, received_at) VALUES ($1, $2)");
            insert.bind(message).bind(now_ms()).execute(&mut *change).await?;
            let written = sqlx::query("SELECT id FROM mails WHERE subject_id = $1 AND kind = $2");
            let written = written.bind(&letter.subject_id).bind(letter.kind);
            if written.fetch_optional(&mut *change).await?.is_none() {
                let insert = sqlx::query(
                    "INSERT INTO mails (id, subject_id, kind, recipient, body, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6)",
                );
                let insert = insert.bind(id::new()).bind(letter.subject_id).bind(letter.kind);
                let insert = insert.bind(letter.recipient).bind(letter.body).bind(now_ms());
                insert.execute(&mut *change).await?;
            }
            change.commit().await
        });
        deliver.await
    }

    /// The newest mails. Their names sort by age.
    pub(super) async fn newest(&self, most: i64) -> sqlx::Result<Vec<Mail>> {
        let rows = sqlx::query(
            "SELECT id, subject_id, kind, recipient, body, created_at FROM mails ORDER BY id DESC LIMIT $1",
        );
        rows.bind(most).fetch_all(self.0.pool()).await?.iter().map(mail).collect()
    }
}

fn mail(row: &AnyRow) -> sqlx::Result<Mail> {
    Ok(Mail {
        id: row.try_get(0)?,
        subject_id: row.try_get(1)?,
        kind: row.try_get(2)?,
        recipient: row.try_get(3)?,
        body: row.try_get(4)?,
        created_at: row.try_get(5)?,
    })
}
