//! Reads the books, without asking any service and without writing.
//!
//! Each store is read in one transaction, so what stands in one is seen as of one instant. They are read one after
//! another while the shop goes on, in the direction in which things move: what customers were told, orders,
//! users, money, stock, the queue, mails. A message leaves one place only when it is in the next, so a reader who walks
//! with it meets it at least once and never finds it missing. The clock is read first and the faults last: both can
//! only make the judgement milder. What a step taken between two files makes look wrong, [`hearing`](super::hearing) sorts out.

use super::books::{
    Bank, Books, Charge, DeadLetter, Hold, Mail, Movement, Order, Payment, PaymentState, Place as At,
    Product, Reservation, Step, Told, User,
};
#[cfg(feature = "rabbitmq")]
use super::broker;
use super::calm::{Calm, Fault};
use super::snapshot::Snapshot;
use crate::parts::clock::now_ms;
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::store::Place;
use crate::stage::token::FILE;
use std::time::UNIX_EPOCH;

/// Where the books are.
#[derive(Clone, Debug)]
pub struct Shelf(Config);

impl Shelf {
    pub fn new(config: &Config) -> Self {
        Self(config.clone())
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
        let token = std::fs::metadata(self.0.data_dir.join(FILE)).and_then(|token| token.modified()).ok();
        let opened = token.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        opened.map_or(i64::MIN, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }

    /// Files that are missing are told of at once; what a server does not have, it says itself.
    fn check_whole(&self) -> Result<(), Failure> {
        // The bank may be somebody else's.
        let own = Name::stores().filter(|name| *name != Name::Bank.as_str());
        let mut needed: Vec<_> = own.map(|name| self.place(name)).collect();
        if self.0.amqp.is_none() {
            needed.push(self.file("bus"));
        }
        let missing: Vec<_> = needed.iter().filter(|place| !is_there(place)).collect();
        let folder = self.0.data_dir.display();
        if missing.len() == needed.len() {
            return Err(Failure::new(format!(
                "there is nothing to check: no store of a shop is in {folder}; --data-dir names another folder."
            )));
        }
        let files: Vec<_> = missing.iter().map(ToString::to_string).collect();
        match files.as_slice() {
            [] => Ok(()),
            [one] => {
                Err(Failure::new(format!("nothing can be said of the shop in {folder}: {one} is missing.")))
            }
            several => Err(Failure::new(format!(
                "nothing can be said of the shop in {folder}: {} are missing.",
                several.join(", ")
            ))),
        }
    }

    fn place(&self, name: &str) -> Place {
        Place::of(&self.0, name)
    }

    /// Of what is always a file.
    fn file(&self, name: &str) -> Place {
        Place::file(&self.0.data_dir, name)
    }

    /// The journal of the customers. The last line may be half written; it counts once it has its end.
    fn told(&self) -> Result<Vec<Told>, Failure> {
        let file = self.0.data_dir.join("load.journal");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(Failure::new(format!("{} cannot be read: {why}.", file.display()))),
        };
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let told = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            let (order, _, status) = (words.next()?, words.next()?, words.next()?);
            let key = words.next().map(str::to_owned);
            Some(Told { order: order.to_owned(), status: status.to_owned(), key })
        });
        Ok(told.collect())
    }

    /// Orders and outbox, which change together.
    async fn orders(&self, books: &mut Books) -> Result<(), Failure> {
        type Named = Option<String>;
        type Row = (String, String, String, String, String, Option<i64>, Named, Named, i64, i64);
        let mut store = Snapshot::open(self.place("order")).await?;
        let query =
            "SELECT id, user_id, idempotency_key, step, items, total_cents, payment_id, reason, created_at,
                     updated_at FROM orders";
        for (id, user, key, step, items, total_cents, payment_id, reason, created_at, updated_at) in
            store.rows::<Row>("orders", query).await?
        {
            let step = Step::parse(&step).ok_or_else(|| store.unknown("step of an order", &step))?;
            let items = store.items("an order", &items)?;
            let order =
                Order { user, key, step, items, total_cents, payment_id, reason, created_at, updated_at };
            books.orders.insert(id, order);
        }
        let query = "SELECT id, topic, payload, created_at, tries FROM order_outbox";
        store.letters(At::OrderOutbox, "order_outbox", query, books).await
    }

    async fn users(&self, books: &mut Books) -> Result<(), Failure> {
        let mut store = Snapshot::open(self.place("user")).await?;
        let users = store.rows::<(String, i64)>("users", "SELECT id, created_at FROM users").await?;
        books.users = users.into_iter().map(|(id, created_at)| User { id, created_at }).collect();
        let query = "SELECT id, topic, payload, created_at, tries FROM user_outbox";
        store.letters(At::UserOutbox, "user_outbox", query, books).await
    }

    async fn payments(&self, books: &mut Books) -> Result<(), Failure> {
        type Row = (String, String, String, i64, String, i64);
        let mut store = Snapshot::open(self.place("payment")).await?;
        let query = "SELECT id, order_id, idempotency_key, amount_cents, state, created_at FROM payments";
        for (id, order, key, amount_cents, state, created_at) in store.rows::<Row>("payments", query).await? {
            let state =
                PaymentState::parse(&state).ok_or_else(|| store.unknown("state of a payment", &state))?;
            books.payments.push(Payment { id, order, key, amount_cents, state, created_at });
        }
        Ok(())
    }

    async fn bank(&self, books: &mut Books) -> Result<(), Failure> {
        let place = self.place("bank");
        if self.0.bank_url.is_some() || !is_there(&place) {
            return Ok(());
        }
        let mut store = Snapshot::open(place).await?;
        let query = "SELECT id, amount_cents, state FROM charges";
        let charges = store.rows_if_any::<(String, i64, String)>("charges", query).await?;
        let Some(charges) = charges else { return Ok(()) };
        let charges = charges.into_iter().map(|(id, amount_cents, state)| Charge {
            id,
            amount_cents,
            is_captured: state == "CAPTURED",
        });
        let query = "SELECT charge_id, reference, amount_cents FROM movements";
        let movements = store.rows::<(String, String, i64)>("movements", query).await?;
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
        type Row = (String, i64, i64, i64, i64, i64);
        let mut store = Snapshot::open(self.place("product")).await?;
        let query = "SELECT id, price_cents, stocked, stock, reserved, sold FROM products ORDER BY id";
        let products = store.rows::<Row>("products", query).await?.into_iter();
        let product = |(id, price_cents, stocked, stock, reserved, sold)| Product {
            id,
            price_cents,
            stocked,
            stock,
            reserved,
            sold,
        };
        books.products = products.map(product).collect();
        let query = "SELECT id, state, items, total_cents FROM reservations";
        let rows = store.rows::<(String, String, String, i64)>("reservations", query).await?;
        for (id, state, items, total_cents) in rows {
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
        #[cfg(feature = "rabbitmq")]
        if let Some(broker) = &self.0.amqp {
            return broker::read(broker, books).await;
        }
        let mut store = Snapshot::open(self.file("bus")).await?;
        let query = "SELECT id, topic, payload, created_at, tries FROM messages";
        store.letters(At::Queue, "messages", query, books).await?;
        let query = "SELECT id, topic, payload, reason FROM dead_letters";
        let dead = store.rows::<(String, String, String, String)>("dead_letters", query).await?;
        let dead = dead.into_iter();
        books.dead_letters =
            dead.map(|(id, topic, payload, reason)| DeadLetter { id, topic, payload, reason }).collect();
        Ok(())
    }

    /// Not every copy of the shop writes any.
    async fn mails(&self, books: &mut Books) -> Result<(), Failure> {
        if !Name::stores().any(|name| name == "mail") {
            return Ok(());
        }
        let mut store = Snapshot::open(self.place("mail")).await?;
        let mails = store.rows::<(String, String)>("mails", "SELECT subject_id, kind FROM mails").await?;
        books.mails = mails.into_iter().map(|(about, kind)| Mail { about, kind }).collect();
        Ok(())
    }

    /// A shop without ops has had none.
    async fn faults(&self) -> Result<Vec<Fault>, Failure> {
        let place = self.file("ops");
        if !is_there(&place) {
            return Ok(Vec::new());
        }
        let mut store = Snapshot::open(place).await?;
        let query = "SELECT ended_at, expires_at FROM faults";
        let faults = store.rows::<(Option<i64>, i64)>("faults", query).await?;
        Ok(faults.into_iter().map(|(ended_at, expires_at)| Fault { ended_at, expires_at }).collect())
    }
}

/// Whether it may be asked.
fn is_there(place: &Place) -> bool {
    match place {
        Place::File(file) => file.is_file(),
        Place::Server(_) => true,
    }
}
