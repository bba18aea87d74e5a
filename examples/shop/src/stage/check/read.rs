//! Reads the books, without asking any service and without writing.
//!
//! Each store is read in one transaction, so what stands in one file is seen as of one instant. The files are read one
//! after another while the shop goes on, in the direction in which things move: what customers were told, orders,
//! users, money, stock, the queue, mails. A message leaves one place only when it is in the next, so a reader who walks
//! with it meets it at least once and never finds it missing. The clock is read first and the faults last: both can
//! only make the judgement milder. What a step taken between two files makes look wrong, [`hearing`](super::hearing) sorts out.

use super::books::{
    Bank, Books, Charge, DeadLetter, Hold, Item, Letter, Mail, Movement, Order, Payment, PaymentState, Place,
    Product, Reservation, Step, Told,
};
use super::calm::{Calm, Fault};
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::store::escape;
use crate::stage::token::FILE;
use sqlx::any::{AnyRow, install_default_drivers};
use sqlx::{AnyConnection, Connection, FromRow};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The stores without which nothing can be said.
const NEEDED: [&str; 6] = ["order", "user", "payment", "product", "bus", "mail"];

/// Where the books are.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
    bank_is_elsewhere: bool,
}

impl Shelf {
    pub fn new(config: &Config) -> Self {
        Self { folder: config.data_dir.clone(), bank_is_elsewhere: config.bank_url.is_some() }
    }

    /// Reads everything once.
    ///
    /// # Errors
    ///
    /// When a store is missing, cannot be read, or holds a word that nobody knows.
    pub async fn read(&self) -> Result<(Books, Calm), Failure> {
        self.check_whole()?;
        let now = now_ms();
        let mut books = Books { told: self.told()?, ..Books::default() };
        self.orders(&mut books).await?;
        self.users(&mut books).await?;
        self.payments(&mut books).await?;
        self.bank(&mut books).await?;
        self.products(&mut books).await?;
        self.queue(&mut books).await?;
        self.mails(&mut books).await?;
        Ok((books, Calm::new(now, &self.faults().await?).but_from(self.opened())))
    }

    /// When the shop was opened last. Before that it was closed, and nothing could come to its end. Not known of
    /// services that run alone.
    fn opened(&self) -> i64 {
        let token = std::fs::metadata(self.folder.join(FILE)).and_then(|token| token.modified()).ok();
        let opened = token.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        opened.map_or(i64::MIN, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }

    fn check_whole(&self) -> Result<(), Failure> {
        let missing: Vec<_> = NEEDED.into_iter().filter(|name| !self.has(name)).collect();
        let folder = self.folder.display();
        if missing.len() == NEEDED.len() {
            return Err(Failure::new(format!(
                "there is nothing to check: no store of a shop is in {folder}; --data-dir names another folder."
            )));
        }
        if !missing.is_empty() {
            let files: Vec<_> = missing.iter().map(|name| format!("{name}.db")).collect();
            return Err(Failure::new(format!(
                "nothing can be said of the shop in {folder}: {} missing there.",
                match files.as_slice() {
                    [one] => format!("{one} is"),
                    several => format!("{} are", several.join(", ")),
                }
            )));
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.db"))
    }

    fn has(&self, name: &str) -> bool {
        self.file(name).is_file()
    }

    /// The journal of the customers. The last line may be half written; it counts once it has its end.
    fn told(&self) -> Result<Vec<Told>, Failure> {
        let file = self.folder.join("load.journal");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(Failure::new(format!("{} cannot be read: {why}.", file.display()))),
        };
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let told = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            let (order, _, status) = (words.next()?, words.next()?, words.next()?);
            Some(Told { order: order.to_owned(), status: status.to_owned() })
        });
        Ok(told.collect())
    }

    /// Orders and outbox, which change together.
    async fn orders(&self, books: &mut Books) -> Result<(), Failure> {
        type Row = (String, String, String, Option<i64>, Option<String>, i64, i64);
        let mut store = Snapshot::open(self.file("order")).await?;
        let query = "SELECT id, step, items, total_cents, payment_id, created_at, updated_at FROM orders";
        for (id, step, items, total_cents, payment_id, created_at, updated_at) in
            store.rows::<Row>(query).await?
        {
            let step = Step::parse(&step).ok_or_else(|| store.unknown("step of an order", &step))?;
            let items = store.items("an order", &items)?;
            let order = Order { step, items, total_cents, payment_id, created_at, updated_at };
            books.orders.insert(id, order);
        }
        store.outbox(Place::OrderOutbox, books).await
    }

    async fn users(&self, books: &mut Books) -> Result<(), Failure> {
        let mut store = Snapshot::open(self.file("user")).await?;
        let users = store.rows::<(String,)>("SELECT id FROM users").await?;
        books.users = users.into_iter().map(|(id,)| id).collect();
        store.outbox(Place::UserOutbox, books).await
    }

    async fn payments(&self, books: &mut Books) -> Result<(), Failure> {
        type Row = (String, String, i64, String, i64);
        let mut store = Snapshot::open(self.file("payment")).await?;
        let query = "SELECT id, order_id, amount_cents, state, created_at FROM payments";
        for (id, order, amount_cents, state, created_at) in store.rows::<Row>(query).await? {
            let state =
                PaymentState::parse(&state).ok_or_else(|| store.unknown("state of a payment", &state))?;
            books.payments.push(Payment { id, order, amount_cents, state, created_at });
        }
        Ok(())
    }

    async fn bank(&self, books: &mut Books) -> Result<(), Failure> {
        if self.bank_is_elsewhere || !self.has("bank") {
            return Ok(());
        }
        let mut store = Snapshot::open(self.file("bank")).await?;
        let charges =
            store.rows::<(String, i64, String)>("SELECT id, amount_cents, state FROM charges").await?;
        let charges = charges.into_iter().map(|(id, amount_cents, state)| Charge {
            id,
            amount_cents,
            is_captured: state == "CAPTURED",
        });
        let query = "SELECT charge_id, reference, amount_cents FROM movements";
        let movements = store.rows::<(String, String, i64)>(query).await?;
        let movements = movements.into_iter().map(|(charge, order, amount_cents)| Movement {
            charge,
            order,
            amount_cents,
        });
        books.bank = Some(Bank { charges: charges.collect(), movements: movements.collect() });
        Ok(())
    }

    /// Products and reservations, which change together.
    async fn products(&self, books: &mut Books) -> Result<(), Failure> {
        type Row = (String, i64, i64, i64, i64);
        let mut store = Snapshot::open(self.file("product")).await?;
        let query = "SELECT id, stocked, stock, reserved, sold FROM products ORDER BY id";
        let products = store.rows::<Row>(query).await?.into_iter();
        let product = |(id, stocked, stock, reserved, sold)| Product { id, stocked, stock, reserved, sold };
        books.products = products.map(product).collect();
        let query = "SELECT id, state, items, total_cents FROM reservations";
        for (id, state, items, total_cents) in store.rows::<(String, String, String, i64)>(query).await? {
            let hold = Hold::parse(&state).ok_or_else(|| store.unknown("state of a reservation", &state))?;
            let items = match hold {
                // Nothing is on hold for it, whatever it once was.
                Hold::Released => Vec::new(),
                _ => store.items("a reservation", &items)?,
            };
            books.reservations.insert(id, Reservation { hold, items, total_cents });
        }
        Ok(())
    }

    async fn queue(&self, books: &mut Books) -> Result<(), Failure> {
        let mut store = Snapshot::open(self.file("bus")).await?;
        store
            .letters(Place::Queue, "SELECT id, topic, payload, created_at, tries FROM messages", books)
            .await?;
        let dead = store
            .rows::<(String, String, String, String)>("SELECT id, topic, payload, reason FROM dead_letters")
            .await?;
        let dead = dead.into_iter();
        books.dead_letters =
            dead.map(|(id, topic, payload, reason)| DeadLetter { id, topic, payload, reason }).collect();
        Ok(())
    }

    async fn mails(&self, books: &mut Books) -> Result<(), Failure> {
        let mut store = Snapshot::open(self.file("mail")).await?;
        let mails = store.rows::<(String, String)>("SELECT subject_id, kind FROM mails").await?;
        books.mails = mails.into_iter().map(|(about, kind)| Mail { about, kind }).collect();
        Ok(())
    }

    /// A shop without ops has had none.
    async fn faults(&self) -> Result<Vec<Fault>, Failure> {
        if !self.has("ops") {
            return Ok(Vec::new());
        }
        let mut store = Snapshot::open(self.file("ops")).await?;
        let faults = store.rows::<(Option<i64>, i64)>("SELECT ended_at, expires_at FROM faults").await?;
        Ok(faults.into_iter().map(|(ended_at, expires_at)| Fault { ended_at, expires_at }).collect())
    }
}

/// One file, as it was when the first of its tables was read.
struct Snapshot {
    file: PathBuf,
    connection: AnyConnection,
}

impl Snapshot {
    async fn open(file: PathBuf) -> Result<Self, Failure> {
        install_default_drivers();
        let path = std::path::absolute(&file)
            .map_err(|why| Failure::new(format!("{} has no path: {why}.", file.display())))?;
        let begin = async {
            let mut connection =
                AnyConnection::connect(&format!("sqlite://{}?mode=ro", escape(&path))).await?;
            sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
            Ok(connection)
        };
        let connection = begin.await.map_err(|why| unread(&file, &why))?;
        Ok(Self { file, connection })
    }

    async fn rows<T>(&mut self, query: &'static str) -> Result<Vec<T>, Failure>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let rows = sqlx::query_as(query).fetch_all(&mut self.connection).await;
        rows.map_err(|why| unread(&self.file, &why))
    }

    async fn outbox(&mut self, at: Place, books: &mut Books) -> Result<(), Failure> {
        self.letters(at, "SELECT id, topic, payload, created_at, tries FROM outbox", books).await
    }

    async fn letters(&mut self, at: Place, query: &'static str, books: &mut Books) -> Result<(), Failure> {
        type Row = (String, String, String, i64, i64);
        let rows = self.rows::<Row>(query).await?.into_iter();
        books.letters.extend(rows.map(|(id, topic, payload, created_at, tries)| Letter {
            at,
            id,
            topic,
            payload,
            created_at,
            tries,
        }));
        Ok(())
    }

    fn items(&self, of: &str, items: &str) -> Result<Vec<Item>, Failure> {
        serde_json::from_str(items).map_err(|_| self.unknown(&format!("list of items in {of}"), items))
    }

    fn unknown(&self, what: &str, word: &str) -> Failure {
        Failure::new(format!("the store {} holds no {what}: {word}.", self.file.display()))
    }
}

fn unread(file: &Path, why: &sqlx::Error) -> Failure {
    Failure::new(format!("the store {} cannot be read: {why}.", file.display()))
}
