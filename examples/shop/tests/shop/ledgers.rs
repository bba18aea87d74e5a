//! The stores of a small shop in which everything is in order, to be put into disorder.
//!
//! Ada (`u1`) has bought a tea (`o1`), has sent two back (`o2`), and could not pay a cup (`o3`).

use super::stores;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

macro_rules! outbox {
    ($name:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (id VARCHAR(40) PRIMARY KEY, topic VARCHAR(40) NOT NULL, payload TEXT NOT NULL,
             created_at BIGINT NOT NULL, due_at BIGINT NOT NULL, tries BIGINT NOT NULL)"
        )
    };
}

/// Tables and rows, by store.
const SHOP: &[(&str, &[&str])] = &[
    (
        "order",
        &[
            "CREATE TABLE orders (id VARCHAR(40) PRIMARY KEY, user_id VARCHAR(40) NOT NULL,
             idempotency_key VARCHAR(255) NOT NULL, step VARCHAR(40) NOT NULL, items TEXT NOT NULL,
             total_cents BIGINT, buyer VARCHAR(400), payment_id VARCHAR(40), reason VARCHAR(255),
             created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, tries BIGINT NOT NULL, due_at BIGINT NOT NULL)",
            outbox!("order_outbox"),
            r#"INSERT INTO orders VALUES
             ('o1', 'u1', 'k1', 'CONFIRMED', '[{"product_id":"tea","quantity":1}]', 590, 'Ada', 'p1', NULL, {old}, {old}, 0, {old}),
             ('o2', 'u1', 'k2', 'CANCELLED', '[{"product_id":"tea","quantity":2}]', 1180, 'Ada', 'p2', 'sent back', {old}, {old}, 0, {old}),
             ('o3', 'u1', 'k3', 'CANCELLED', '[{"product_id":"cup","quantity":1}]', 900, 'Ada', NULL, 'declined', {old}, {old}, 0, {old})"#,
        ],
    ),
    (
        "user",
        &[
            "CREATE TABLE users (id VARCHAR(40) PRIMARY KEY, name VARCHAR(400) NOT NULL, email VARCHAR(254) NOT NULL,
             password_hash VARCHAR(255) NOT NULL, created_at BIGINT NOT NULL)",
            outbox!("user_outbox"),
            "INSERT INTO users VALUES ('u1', 'Ada', 'ada@example.org', '', {old})",
        ],
    ),
    (
        "product",
        &[
            "CREATE TABLE products (id VARCHAR(40) PRIMARY KEY, name VARCHAR(255) NOT NULL, category VARCHAR(40) NOT NULL,
             price_cents BIGINT NOT NULL, stock BIGINT NOT NULL, reserved BIGINT NOT NULL, sold BIGINT NOT NULL,
             stocked BIGINT NOT NULL)",
            "CREATE TABLE reservations (id VARCHAR(40) PRIMARY KEY, state VARCHAR(40) NOT NULL, items TEXT NOT NULL,
             total_cents BIGINT NOT NULL)",
            "INSERT INTO products VALUES ('tea', 'Tea', 'tea', 590, 9, 0, 1, 10), ('cup', 'Cup', 'cup', 900, 5, 0, 0, 5)",
            r#"INSERT INTO reservations VALUES ('o1', 'COMMITTED', '[{"product_id":"tea","quantity":1}]', 590),
             ('o2', 'RELEASED', '[{"product_id":"tea","quantity":2}]', 1180), ('o3', 'RELEASED', '[]', 0)"#,
        ],
    ),
    (
        "payment",
        &[
            "CREATE TABLE payments (id VARCHAR(40) PRIMARY KEY, idempotency_key VARCHAR(40) NOT NULL UNIQUE,
             order_id VARCHAR(40) NOT NULL, user_id VARCHAR(40) NOT NULL, amount_cents BIGINT NOT NULL,
             state VARCHAR(40) NOT NULL, reason VARCHAR(255) NOT NULL, created_at BIGINT NOT NULL)",
            "INSERT INTO payments VALUES ('p1', 'o1', 'o1', 'u1', 590, 'STATE_CAPTURED', '', {old}),
             ('p2', 'o2', 'o2', 'u1', 1180, 'STATE_REFUNDED', '', {old}),
             ('p3', 'o3', 'o3', 'u1', 900, 'STATE_DECLINED', 'over the limit', {old}),
             ('p0', 'o0', '', '', 0, 'STATE_REFUNDED', '', {old})",
        ],
    ),
    (
        "bank",
        &[
            "CREATE TABLE charges (id VARCHAR(40) PRIMARY KEY, amount_cents BIGINT NOT NULL, reference VARCHAR(40) NOT NULL,
             state VARCHAR(40) NOT NULL, reason VARCHAR(255))",
            "CREATE TABLE movements (id VARCHAR(40) PRIMARY KEY, charge_id VARCHAR(40) NOT NULL,
             reference VARCHAR(40) NOT NULL, amount_cents BIGINT NOT NULL, at BIGINT NOT NULL)",
            "INSERT INTO charges VALUES ('o1', 590, 'o1', 'CAPTURED', NULL), ('o2', 1180, 'o2', 'REFUNDED', NULL),
             ('o3', 900, 'o3', 'DECLINED', 'over the limit')",
            "INSERT INTO movements VALUES ('m1', 'o1', 'o1', 590, {old}), ('m2', 'o2', 'o2', 1180, {old}),
             ('m3', 'o2', 'o2', -1180, {old})",
        ],
    ),
    (
        "bus",
        &[
            "CREATE TABLE messages (queue VARCHAR(40), id VARCHAR(40), topic VARCHAR(40), payload TEXT,
             created_at BIGINT, due_at BIGINT, tries BIGINT, PRIMARY KEY (queue, id))",
            "CREATE TABLE dead_letters (queue VARCHAR(40), id VARCHAR(40), topic VARCHAR(40), payload TEXT, reason TEXT,
             died_at BIGINT, PRIMARY KEY (queue, id))",
        ],
    ),
    (
        "mail",
        &[
            "CREATE TABLE mails (id VARCHAR(40) PRIMARY KEY, subject_id VARCHAR(40) NOT NULL, kind VARCHAR(40) NOT NULL,
             recipient VARCHAR(254) NOT NULL, body TEXT NOT NULL, created_at BIGINT NOT NULL)",
            "INSERT INTO mails VALUES ('u1', 'u1', 'user.created', '', '', {old}),
             ('o1', 'o1', 'order.created', '', '', {old}), ('o1c', 'o1', 'order.confirmed', '', '', {old}),
             ('o2', 'o2', 'order.created', '', '', {old}), ('o2c', 'o2', 'order.confirmed', '', '', {old}),
             ('o2x', 'o2', 'order.cancelled', '', '', {old}),
             ('o3', 'o3', 'order.created', '', '', {old}), ('o3x', 'o3', 'order.cancelled', '', '', {old})",
        ],
    ),
    (
        "ops",
        &["CREATE TABLE faults (id VARCHAR(40) PRIMARY KEY, target VARCHAR(80) NOT NULL, kind VARCHAR(40) NOT NULL,
           share_ppm BIGINT NOT NULL, ms BIGINT NOT NULL, started_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
           ended_at BIGINT)"],
    ),
];

/// Stores that can be written behind the shop's back.
pub struct Ledgers {
    folder: PathBuf,
    now: i64,
    open: HashMap<String, AnyConnection>,
}

impl Ledgers {
    /// The small shop.
    pub async fn new(folder: &Path) -> Self {
        let mut ledgers = Self::of(folder);
        for (store, statements) in SHOP {
            if stores::are_files() {
                ledgers.run(store, "PRAGMA journal_mode = WAL").await;
            }
            for statement in *statements {
                ledgers.run(store, statement).await;
            }
        }
        ledgers
    }

    /// Those of a folder. Whoever writes to them is waited for.
    #[allow(clippy::disallowed_types, reason = "the stores tell the time by the calendar")]
    pub fn of(folder: &Path) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap().as_millis() as i64;
        Self { folder: folder.to_owned(), now, open: HashMap::new() }
    }

    /// Runs a statement on a store; `{now}` and `{old}` stand for this moment and for two minutes ago.
    pub async fn run(&mut self, store: &str, statement: &str) {
        if !self.open.contains_key(store) {
            let mut opened = stores::connect(&self.folder, store).await;
            if stores::are_files() {
                sqlx::raw_sql("PRAGMA busy_timeout = 5000").execute(&mut opened).await.unwrap();
            }
            self.open.insert(store.to_owned(), opened);
        }
        let (now, old) = (self.now.to_string(), (self.now - 120_000).to_string());
        let statement = statement.replace("{now}", &now).replace("{old}", &old);
        let done =
            sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(self.open.get_mut(store).unwrap()).await;
        done.unwrap_or_else(|why| panic!("{store}: {statement}: {why}"));
    }

    /// What a statement counts.
    #[cfg(feature = "planted")]
    pub async fn count(&mut self, store: &str, statement: &str) -> i64 {
        self.run(store, "SELECT 1").await;
        let connection = self.open.get_mut(store).unwrap();
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(connection).await.unwrap()
    }

    /// Lets go of the stores, so that each is its file and nothing else.
    pub async fn close(self) {
        for (_, connection) in self.open {
            connection.close().await.unwrap();
        }
    }

    /// Writes the journal of what customers were told.
    pub fn tell(&self, lines: &str) {
        std::fs::write(self.folder.join("load.journal"), lines).unwrap();
    }
}
