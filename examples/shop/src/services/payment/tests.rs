//! Several replicas over one store, and a bank that loses answers.

use super::*;
use crate::contracts::bank::{Charge, Entry, EntryState};
use crate::contracts::payment::{ChargeRequest, Payment, State};
use crate::parts::peer::Peer;
use crate::parts::store::Contended;
use crate::parts::tls::Tls;
use axum::Json;
use axum::extract::{Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{post, put};
use bartizan::Client;
use http::StatusCode;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use till::No;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Default)]
struct FakeBank {
    entries: Mutex<HashMap<String, (EntryState, i64)>>,
    /// How often money was taken.
    taken: AtomicI64,
    /// How many answers are still to be lost, after all is done.
    loses: AtomicI64,
}

impl FakeBank {
    /// Does what is asked unless something was done under this key before, and says what there is.
    fn say(&self, key: &str, state: EntryState, cents: i64) -> Json<Entry> {
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.entry(key.to_owned()).or_insert_with(|| {
            self.taken.fetch_add(i64::from(state == EntryState::Captured), Ordering::Relaxed);
            (state, cents)
        });
        if state == EntryState::Refunded {
            entry.0 = state;
        }
        Json(Entry { key: key.into(), amount_cents: entry.1, state: entry.0, reason: None })
    }

    fn kept(&self) -> i64 {
        let entries = self.entries.lock().unwrap();
        entries.values().filter(|(state, _)| *state == EntryState::Captured).map(|(_, cents)| cents).sum()
    }

    async fn open(self: &Arc<Self>) -> String {
        let (charges, finds, refunds, loses) = (self.clone(), self.clone(), self.clone(), self.clone());
        let charge = async move |Path(key): Path<String>, Json(charge): Json<Charge>| {
            charges.say(&key, EntryState::Captured, charge.amount_cents)
        };
        let find = async move |Path(key): Path<String>| {
            let known = finds.entries.lock().unwrap().contains_key(&key);
            known.then(|| finds.say(&key, EntryState::Captured, 0)).ok_or(StatusCode::NOT_FOUND)
        };
        let refund = async move |Path(key): Path<String>| refunds.say(&key, EntryState::Refunded, 0);
        let lose = from_fn(move |request: Request, next: Next| {
            let loses = loses.clone();
            async move {
                let answer = next.run(request).await;
                let lost = loses.loses.fetch_sub(1, Ordering::Relaxed) > 0;
                if lost { StatusCode::BAD_GATEWAY.into_response() } else { answer }
            }
        });
        let routes = Router::new()
            .route("/charges/{key}", put(charge).get(find))
            .route("/charges/{key}/refund", post(refund))
            .layer(lose);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await });
        url
    }
}

struct Shop {
    bank: Arc<FakeBank>,
    replicas: Vec<Till>,
    _folder: TempDir,
}

async fn shop() -> Shop {
    let (folder, bank) = (tempfile::tempdir().unwrap(), Arc::new(FakeBank::default()));
    let url = bank.open().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let store = Store::scratch(folder.path(), "payment", &[ledger::TABLE]).await.unwrap();
        let client = Client::new(Tls::default().http()).base_url(url.parse().unwrap());
        let bank = Bank::new(Peer::new("bank", client.boxed()));
        replicas.push(Till::new(Ledger::new(store), bank));
    }
    Shop { bank, replicas, _folder: folder }
}

fn of(key: &str) -> ChargeRequest {
    ChargeRequest {
        idempotency_key: key.into(),
        order_id: key.into(),
        user_id: "u".into(),
        amount_cents: 500,
    }
}

fn state(payment: &Payment) -> State {
    payment.state()
}

/// Asks until the store had time for it; one that is locked or busy is a 503 that order takes for unknown.
async fn again<T, F: Future<Output = Result<T, No>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Ok(done) => return done,
            Err(No::Store(sqlx::Error::PoolTimedOut)) => {}
            Err(No::Store(error)) if error.to_string().contains("locked") || error.is_contended() => {}
            Err(no) => panic!("{no:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_get_one_key_at_once_charge_once() {
    let shop = shop().await;
    let mut asking = JoinSet::new();
    for n in 0..60 {
        let (till, charge) = (shop.replicas[n % 3].clone(), of(&format!("o{}", n / 6)));
        asking.spawn(async move { again(|| till.charge(&charge)).await });
    }
    let payments = asking.join_all().await;
    assert!(payments.iter().all(|payment| state(payment) == State::Captured), "{payments:?}");
    let ids: std::collections::BTreeSet<_> = payments.iter().map(|payment| &payment.id).collect();
    assert_eq!((ids.len(), shop.bank.taken.load(Ordering::Relaxed), shop.bank.kept()), (10, 10, 5000));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_another_replica_finds_out() {
    let shop = shop().await;
    shop.bank.loses.store(2, Ordering::Relaxed);
    assert_eq!(state(&shop.replicas[0].charge(&of("o1")).await.unwrap()), State::Unknown);
    assert_eq!(state(&shop.replicas[1].by_key("o1").await.unwrap().unwrap()), State::Unknown);
    assert_eq!(state(&shop.replicas[1].by_key("o1").await.unwrap().unwrap()), State::Captured);
    assert_eq!(state(&shop.replicas[2].charge(&of("o1")).await.unwrap()), State::Captured);
    assert_eq!(shop.bank.taken.load(Ordering::Relaxed), 1);
    assert!(shop.replicas[0].by_key("o2").await.unwrap().is_none());
    let other = ChargeRequest { amount_cents: 501, ..of("o1") };
    assert!(matches!(shop.replicas[2].charge(&other).await, Err(No::KeyReused)));
}

#[tokio::test]
async fn a_refund_uses_the_key_up_whether_there_was_a_charge_or_not() {
    let shop = shop().await;
    assert_eq!(state(&shop.replicas[0].refund("early").await.unwrap()), State::Refunded);
    assert_eq!(state(&shop.replicas[1].charge(&of("early")).await.unwrap()), State::Refunded);
    assert_eq!(shop.bank.taken.load(Ordering::Relaxed), 0);
    shop.replicas[1].charge(&of("o1")).await.unwrap();
    shop.bank.loses.store(1, Ordering::Relaxed);
    assert_eq!(state(&shop.replicas[0].refund("o1").await.unwrap()), State::Refunding);
    assert_eq!(state(&shop.replicas[2].refund("o1").await.unwrap()), State::Refunded);
    assert_eq!(shop.bank.kept(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_refund_meets_it_leaves_no_money_behind() {
    let shop = shop().await;
    let mut orders = JoinSet::new();
    for n in 0..30 {
        let (here, there) = (shop.replicas[n % 3].clone(), shop.replicas[(n + 1) % 3].clone());
        orders.spawn(async move {
            let (key, charge) = (format!("o{n}"), of(&format!("o{n}")));
            let (_, refunded) = tokio::join!(again(|| here.charge(&charge)), again(|| there.refund(&key)));
            (state(&refunded), state(&again(|| here.by_key(&key)).await.unwrap()))
        });
    }
    let states = orders.join_all().await;
    assert!(states.iter().all(|it| *it == (State::Refunded, State::Refunded)), "{states:?}");
    assert_eq!(shop.bank.kept(), 0);
}
