//! The 64 customers of the page. Each goes from journey to journey as long as somebody watches, by dice of its own, and rests
//! else.

use super::super::load::gateway::{Answer, Gateway, Request, Said, send};
use super::cells::{Cell, Cells, Journey};
use super::outcome::Outcome;
use crate::contracts::product::Products;
use crate::contracts::user::Session;
use crate::parts::clock::now_ms;
use crate::parts::id;
use crate::stage::traces::Kept;
use http::StatusCode;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

/// Between two journeys of a customer. All of them together make 25 to 30 a second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1300), Duration::from_millis(3300));

/// So many sign up at a time: a password keeps a core busy for a moment.
const AT_ONCE: usize = 2;

/// How many who come for another thing order, ask for their order, look at the account and at the payment; in percent. The
/// others look around.
const SHARES: [(u32, Errand); 4] =
    [(16, Errand::Order), (10, Errand::Ask), (8, Errand::Account), (8, Errand::Pay)];

/// Of the orders, those that are cancelled later, so that there is always something left to sell.
const CANCELLED: f64 = 0.5;

/// In which trace the gateway answered.
const TRACE_ID: &str = "x-trace-id";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Errand {
    SignUp,
    List,
    Product,
    Order,
    Ask,
    Cancel,
    Account,
    Pay,
}

impl Errand {
    fn journey(self) -> Journey {
        match self {
            Self::List | Self::Product => Journey::Browse,
            Self::Order | Self::Ask | Self::Cancel => Journey::Order,
            Self::Pay => Journey::Pay,
            Self::SignUp | Self::Account => Journey::Account,
        }
    }
}

/// Where they shop.
#[derive(Debug)]
pub(super) struct Place {
    gateway: Gateway,
    /// The traces of the gateway, where they are in this process.
    kept: Option<Kept>,
    cells: Arc<Cells>,
    desk: Semaphore,
    /// What there was to be had when somebody last looked.
    shelf: Mutex<Vec<String>>,
}

impl Place {
    pub(super) fn new(gateway: Gateway, kept: Option<Kept>, cells: Arc<Cells>) -> Self {
        Self { gateway, kept, cells, desk: Semaphore::new(AT_ONCE), shelf: Mutex::default() }
    }

    fn shelf(&self, dice: &mut fastrand::Rng) -> Option<String> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        (!shelf.is_empty()).then(|| shelf[dice.usize(..shelf.len())].clone())
    }

    fn looked(&self, products: Products) {
        let left = products.products.into_iter().filter(|product| product.stock > 0);
        *self.shelf.lock().unwrap_or_else(PoisonError::into_inner) = left.map(|product| product.id).collect();
    }
}

/// Shops while somebody watches.
///
/// # Cancel safety
///
/// Dropped, the journey under way is given up.
pub(super) async fn shops(place: Arc<Place>, n: usize, mut watched: watch::Receiver<u32>) {
    let mut customer = Customer::new(n);
    loop {
        place.cells.rests(n);
        if watched.wait_for(|readers| *readers > 0).await.is_err() {
            return;
        }
        // They do not come all at once.
        sleep(PAUSE.1.mul_f64(customer.dice.f64())).await;
        while *watched.borrow() > 0 {
            customer.walks(&place).await;
            let pause = PAUSE.0 + (PAUSE.1 - PAUSE.0).mul_f64(customer.dice.f64());
            tokio::select! {
                () = sleep(pause) => {}
                gone = watched.wait_for(|readers| *readers == 0) => {
                    if gone.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct Customer {
    n: usize,
    dice: fastrand::Rng,
    email: String,
    password: String,
    is_known: bool,
    token: Option<String>,
    order: Option<String>,
    payment: Option<String>,
    to_cancel: Option<String>,
}

impl Customer {
    fn new(n: usize) -> Self {
        Self {
            n,
            dice: fastrand::Rng::with_seed(n as u64),
            email: format!("customer-{n}-{}@example.org", id::new()),
            password: id::new(),
            is_known: false,
            token: None,
            order: None,
            payment: None,
            to_cancel: None,
        }
    }

    async fn walks(&mut self, place: &Place) {
        // Who has no account yet looks around until it is their turn at the desk.
        let turn = if self.token.is_none() { place.desk.try_acquire().ok() } else { None };
        let errand = if turn.is_some() { Errand::SignUp } else { self.next() };
        let began = Instant::now();
        let said = match errand {
            Errand::SignUp => self.signs_up(&place.gateway).await,
            errand => send(self.request(errand, place)).await,
        };
        drop(turn);
        let took = Instant::now() - began;
        let cell = self.sees(errand, place, &said, took);
        place.cells.ended(cell);
    }

    fn next(&mut self) -> Errand {
        let mut rest = self.dice.u32(..100);
        let look = if self.dice.bool() { Errand::List } else { Errand::Product };
        if self.token.is_none() {
            return look;
        }
        for (share, errand) in SHARES {
            if rest < share {
                return match errand {
                    Errand::Ask if self.to_cancel.is_some() => Errand::Cancel,
                    Errand::Ask | Errand::Pay if self.order.is_none() => Errand::Order,
                    Errand::Pay if self.payment.is_none() => Errand::Ask,
                    errand => errand,
                };
            }
            rest -= share;
        }
        look
    }

    fn request(&mut self, errand: Errand, place: &Place) -> Request {
        let gateway = &place.gateway;
        let product = place.shelf(&mut self.dice);
        let order = self.order.as_deref().unwrap_or_default();
        let own = |request: Request| request.bearer_auth(self.token.as_deref().unwrap_or_default());
        match (errand, product) {
            (Errand::Product, Some(product)) => gateway.get(&format!("/products/{product}")),
            (Errand::Order, Some(product)) => {
                let items = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
                own(gateway.post("/orders", &items)).header("idempotency-key", id::new())
            }
            (Errand::Ask, _) => own(gateway.get(&format!("/orders/{order}"))),
            (Errand::Cancel, _) => {
                let order = self.to_cancel.take().unwrap_or_default();
                own(gateway.post(&format!("/orders/{order}/cancel"), &json!({})))
            }
            (Errand::Account, _) => own(gateway.get("/users/me")),
            (Errand::Pay, _) => {
                let payment = self.payment.as_deref().unwrap_or_default();
                own(gateway.get(&format!("/payments/{payment}")))
            }
            // Nobody knows yet what there is.
            _ => gateway.get("/products"),
        }
    }

    /// Registers, unless that is done, and logs in. The answer is that of the last question.
    async fn signs_up(&mut self, gateway: &Gateway) -> Said {
        if !self.is_known {
            let user = json!({ "name": "A customer", "email": self.email, "password": self.password });
            let said = send(gateway.post("/users", &user)).await;
            // Nobody else has this email: who is told that it is taken was registered, and the answer was lost.
            self.is_known = said
                .as_ref()
                .is_ok_and(|answer| matches!(answer.status, StatusCode::CREATED | StatusCode::CONFLICT));
            if !self.is_known {
                return said;
            }
        }
        let account = json!({ "email": self.email, "password": self.password });
        let said = send(gateway.post("/sessions", &account)).await;
        let session =
            said.as_ref().ok().and_then(|answer| serde_json::from_slice::<Session>(&answer.body).ok());
        self.token = session.map(|session| session.token);
        said
    }

    /// Remembers what an answer tells, and what it was like.
    fn sees(&mut self, errand: Errand, place: &Place, said: &Said, took: Duration) -> Cell {
        let body = said.as_ref().map(Answer::json).unwrap_or_default();
        let is_good = said.as_ref().is_ok_and(|answer| answer.status.is_success());
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        match errand {
            Errand::List if is_good => {
                let products = serde_json::from_value(body).ok();
                products.into_iter().for_each(|products| place.looked(products));
            }
            Errand::Order | Errand::Ask if is_good => {
                self.payment = text("payment_id");
                if let (Errand::Order, Some(order)) = (errand, text("id")) {
                    self.to_cancel = (self.dice.f64() < CANCELLED).then(|| order.clone());
                    self.order = Some(order);
                }
            }
            _ => {}
        }
        if said.as_ref().is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED) {
            self.token = None;
        }
        let answer = said.as_ref().ok();
        let trace = answer.and_then(|answer| answer.headers.get(TRACE_ID)?.to_str().ok()).map(str::to_owned);
        let saved = place.kept.as_ref().zip(trace.as_deref()).and_then(|(kept, trace)| kept.saved(trace));
        let (outcome, why) = match Outcome::of(said, took, saved) {
            // A password takes its time, on purpose.
            (Outcome::Slow, why) if errand == Errand::SignUp => (Outcome::Ok, why),
            told => told,
        };
        Cell {
            journey: errand.journey(),
            outcome,
            ms: took.as_millis() as u64,
            at_ms: now_ms(),
            status: answer.map(|answer| answer.status.as_u16()),
            why,
            trace,
            ..Cell::resting(self.n)
        }
    }
}
