//! The mails' rows, and the inbox: which messages have come. Both are written in one transaction, so that a message which
//! comes twice makes one mail.

use super::letters::Letter;
use crate::contracts::mail::Mail;
use crate::parts::clock::now_ms;
use crate::parts::id;
use crate::parts::store::{Store, repeated};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS mail_inbox (
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

/// How long a message is remembered. One that is delivered again later than that, which only a dead letter is, still
/// writes no second mail: there is one of each kind on each subject.
pub(super) const REMEMBERED_MS: i64 = 14 * 24 * 3_600_000;

/// How many messages are forgotten at once, so that nobody waits long behind it.
const FORGOTTEN: i64 = 500;

#[derive(Clone)]
pub(super) struct Mailbox(Store);

impl Mailbox {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Writes the mail of a message down. If the message has come before, or a mail of this kind has gone out on its
    /// subject, there is nothing left to do.
    pub(super) async fn deliver(&self, message: String, letter: Letter) -> sqlx::Result<()> {
        repeated(|| {
            let (message, letter) = (message.clone(), letter.clone());
            self.0.change(async move |mut change| {
                let known = change.sql("SELECT id FROM mail_inbox WHERE id = $1").bind(&message);
                if known.fetch_optional(&mut *change).await?.is_some() {
                    return Ok(());
                }
                let insert = change.sql("INSERT INTO mail_inbox (id, received_at) VALUES ($1, $2)");
                insert.bind(message).bind(now_ms()).execute(&mut *change).await?;
                let written = change.sql("SELECT id FROM mails WHERE subject_id = $1 AND kind = $2");
                let written = written.bind(&letter.subject_id).bind(letter.kind);
                if written.fetch_optional(&mut *change).await?.is_none() {
                    let insert = change.sql(
                        "INSERT INTO mails (id, subject_id, kind, recipient, body, created_at)
                         VALUES ($1, $2, $3, $4, $5, $6)",
                    );
                    let insert = insert.bind(id::new()).bind(letter.subject_id).bind(letter.kind);
                    let insert = insert.bind(letter.recipient).bind(letter.body).bind(now_ms());
                    insert.execute(&mut *change).await?;
                }
                change.commit().await
            })
        })
        .await
    }

    /// Forgets some of the messages that have come before a time, and returns how many.
    pub(super) async fn forget(&self, before: i64) -> sqlx::Result<usize> {
        let old = self.0.sql("SELECT id FROM mail_inbox WHERE received_at < $1 LIMIT $2");
        let old = self.0.fetch_all(old.bind(before).bind(FORGOTTEN)).await?;
        let many = old.len();
        let forget = self.0.change(async move |mut change| {
            for row in &old {
                let delete = change.sql("DELETE FROM mail_inbox WHERE id = $1");
                delete.bind(row.try_get::<String, _>(0)?).execute(&mut *change).await?;
            }
            change.commit().await
        });
        if many > 0 {
            forget.await?;
        }
        Ok(many)
    }

    /// The newest mails. Their names sort by age.
    pub(super) async fn newest(&self, most: i64) -> sqlx::Result<Vec<Mail>> {
        let rows = self.0.sql(
            "SELECT id, subject_id, kind, recipient, body, created_at FROM mails ORDER BY id DESC LIMIT $1",
        );
        self.0.fetch_all(rows.bind(most)).await?.iter().map(mail).collect()
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
