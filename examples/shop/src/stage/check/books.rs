//! What one reading found written down. The checker has words of its own for it and shares none with the services, so
//! that a wrong thought of theirs is not repeated here.

use std::collections::HashMap;
use std::fmt;

/// All that the stores, queues, journals and ledgers hold.
#[derive(Debug, Default)]
pub struct Books {
    /// By the order's id.
    pub orders: HashMap<String, Order>,
    pub payments: Vec<Payment>,
    /// None when the bank is elsewhere.
    pub bank: Option<Bank>,
    pub products: Vec<Product>,
    /// By the order's id.
    pub reservations: HashMap<String, Reservation>,
    pub users: Vec<User>,
    /// In an outbox or in the queue.
    pub letters: Vec<Letter>,
    /// Set when the queue is on a broker, which counts its messages and shows none.
    pub sealed: Option<Sealed>,
    pub dead_letters: Vec<DeadLetter>,
    pub mails: Vec<Mail>,
    /// What customers were told.
    pub told: Vec<Told>,
}

#[derive(Debug)]
pub struct Order {
    pub user: String,
    /// By this its customer names it.
    pub key: String,
    pub step: Step,
    pub items: Vec<Item>,
    pub total_cents: Option<i64>,
    pub payment_id: Option<String>,
    /// Why it was turned back.
    pub reason: Option<String>,
    pub created_at: i64,
    /// When it took its last step.
    pub updated_at: i64,
}

impl Order {
    /// Since when it should be on its way to its end: it was placed, or turned back.
    pub fn under_way_since(&self) -> i64 {
        if matches!(self.step, Step::Refunding | Step::Releasing) { self.updated_at } else { self.created_at }
    }
}

/// A step of the saga.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    Pending,
    Reserved,
    Paid,
    Confirmed,
    Refunding,
    Releasing,
    Cancelled,
}

impl Step {
    /// All steps, with their words.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Pending, "PENDING"),
        (Self::Reserved, "RESERVED"),
        (Self::Paid, "PAID"),
        (Self::Confirmed, "CONFIRMED"),
        (Self::Refunding, "REFUNDING"),
        (Self::Releasing, "RELEASING"),
        (Self::Cancelled, "CANCELLED"),
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == word).map(|(step, _)| step)
    }

    /// Whether it is on the way back, or at its end.
    pub fn is_back(self) -> bool {
        matches!(self, Self::Refunding | Self::Releasing | Self::Cancelled)
    }

    pub fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Cancelled)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize].1)
    }
}

#[derive(Debug)]
pub struct Payment {
    pub id: String,
    /// Empty when its key was used up before anything was charged.
    pub order: String,
    pub key: String,
    pub amount_cents: i64,
    pub state: PaymentState,
    pub created_at: i64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PaymentState {
    Unknown,
    Captured,
    Declined,
    Refunding,
    Refunded,
}

impl PaymentState {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "STATE_UNKNOWN" => Self::Unknown,
            "STATE_CAPTURED" => Self::Captured,
            "STATE_DECLINED" => Self::Declined,
            "STATE_REFUNDING" => Self::Refunding,
            "STATE_REFUNDED" => Self::Refunded,
            _ => return None,
        })
    }

    /// Whether it may still become another, or its money is not back yet.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Unknown | Self::Refunding)
    }
}

impl fmt::Display for PaymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "UNKNOWN",
            Self::Captured => "CAPTURED",
            Self::Declined => "DECLINED",
            Self::Refunding => "REFUNDING",
            Self::Refunded => "REFUNDED",
        })
    }
}

/// The ledger of the bank itself.
#[derive(Debug, Default)]
pub struct Bank {
    pub charges: Vec<Charge>,
    pub movements: Vec<Movement>,
}

#[derive(Debug)]
pub struct Charge {
    pub id: String,
    pub amount_cents: i64,
    /// Whether the bank says that it has the money.
    pub is_captured: bool,
}

#[derive(Debug)]
pub struct Movement {
    pub charge: String,
    /// What the charge was for: the order's id.
    pub order: String,
    /// Positive when it was taken, negative when it was given back.
    pub amount_cents: i64,
}

#[derive(Debug)]
pub struct Product {
    pub id: String,
    pub price_cents: i64,
    /// All there ever was of it.
    pub stocked: i64,
    pub stock: i64,
    pub reserved: i64,
    pub sold: i64,
}

#[derive(Debug)]
pub struct Reservation {
    pub hold: Hold,
    pub items: Vec<Item>,
    pub total_cents: i64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    Held,
    Committed,
    Released,
}

impl Hold {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "HELD" => Self::Held,
            "COMMITTED" => Self::Committed,
            "RELEASED" => Self::Released,
            _ => return None,
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "HELD",
            Self::Committed => "COMMITTED",
            Self::Released => "RELEASED",
        })
    }
}

#[derive(Debug, Eq, PartialEq, serde::Deserialize)]
pub struct Item {
    pub product_id: String,
    pub quantity: i64,
}

/// `2 tea, 1 cup`
pub fn goods(items: &[Item]) -> String {
    let goods = items.iter().map(|item| format!("{} {}", item.quantity, item.product_id));
    goods.collect::<Vec<_>>().join(", ")
}

/// A message on its way.
#[derive(Debug)]
pub struct Letter {
    pub at: Place,
    pub id: String,
    pub topic: String,
    pub payload: String,
    pub created_at: i64,
    pub tries: i64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    OrderOutbox,
    UserOutbox,
    Queue,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OrderOutbox => "the outbox of order",
            Self::UserOutbox => "the outbox of user",
            Self::Queue => "the queue",
        })
    }
}

#[derive(Debug)]
pub struct DeadLetter {
    pub id: String,
    pub topic: String,
    pub payload: String,
    pub reason: String,
}

#[derive(Debug)]
pub struct User {
    pub id: String,
    pub created_at: i64,
}

/// What a broker says of its queues.
#[derive(Debug)]
pub struct Sealed {
    /// Messages that wait, by the name of their queue.
    pub waiting: Vec<(String, usize)>,
    pub dead: usize,
}

impl Sealed {
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(|(_, count)| count).sum()
    }
}

#[derive(Debug)]
pub struct Mail {
    /// An order's id, or a user's.
    pub about: String,
    pub kind: String,
}

/// An order as its customer knows it.
#[derive(Debug)]
pub struct Told {
    pub order: String,
    /// The status that the answer named.
    pub status: String,
    /// The key by which they had asked for it, if it was noted.
    pub key: Option<String>,
}

impl Books {
    /// How many orders are in each step, in the order of [`Step::ALL`].
    pub fn orders_by_step(&self) -> [usize; 7] {
        let mut counts = [0; 7];
        for order in self.orders.values() {
            counts[order.step as usize] += 1;
        }
        counts
    }

    pub fn in_outboxes(&self) -> usize {
        self.letters.iter().filter(|letter| letter.at != Place::Queue).count()
    }

    pub fn in_queue(&self) -> usize {
        self.letters.len() - self.in_outboxes() + self.sealed.as_ref().map_or(0, Sealed::waiting)
    }

    pub fn dead(&self) -> usize {
        self.sealed.as_ref().map_or(self.dead_letters.len(), |sealed| sealed.dead)
    }

    /// When something happened last of which there is a message.
    pub fn last_told_at(&self) -> i64 {
        let orders = self.orders.values().map(|order| order.updated_at);
        orders.chain(self.users.iter().map(|user| user.created_at)).max().unwrap_or(i64::MIN)
    }

    /// Whether nothing is on its way any more, as far as the rows tell.
    pub fn are_at_rest(&self) -> bool {
        self.letters.is_empty()
            && self.in_queue() == 0
            && self.orders.values().all(|order| order.step.is_final())
            && self.payments.iter().all(|payment| !payment.state.is_open())
            && self.reservations.values().all(|reservation| reservation.hold != Hold::Held)
    }
}

/// The texts of a JSON object, or of what is in it.
pub fn words_of(payload: &str) -> Vec<String> {
    fn collect(value: serde_json::Value, words: &mut Vec<String>) {
        match value {
            serde_json::Value::String(word) => words.push(word),
            serde_json::Value::Array(values) => values.into_iter().for_each(|value| collect(value, words)),
            serde_json::Value::Object(fields) => {
                fields.into_iter().for_each(|(_, value)| collect(value, words));
            }
            _ => {}
        }
    }
    let mut words = Vec::new();
    // What is no JSON is about nothing that is known, and its mail counts as missing.
    if let Ok(value) = serde_json::from_str(payload) {
        collect(value, &mut words);
    }
    words
}
