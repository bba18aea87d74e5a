//! How much one customer, one address and one account may ask for.

use super::customer::{Customer, PASSWORD, Said, say};
use super::process::{Request, Shop, TOKEN, folder};
use http::Method;
use serde_json::{Value, json};

/// So many are sent at most until somebody is refused. A machine that is too slow for that fails the test.
const MOST: usize = 4000;
const AT_ONCE: usize = 16;

/// Sends the same again and again, some at once, until one is refused for being too much; the others are answered with `usual`.
pub async fn flood(usual: u16, request: impl Fn(usize) -> Request) -> Said {
    for round in 0..MOST / AT_ONCE {
        let asked: Vec<_> =
            (0..AT_ONCE).map(|nth| tokio::spawn(say(request(round * AT_ONCE + nth)))).collect();
        for said in asked {
            let said = said.await.unwrap();
            if said.status == 429 {
                return said;
            }
            assert_eq!(said.status, usual, "{said:?}");
        }
    }
    panic!("nobody was refused among {MOST}");
}

/// Checks that it says when another try is worth it.
pub fn is_too_much(said: &Said) {
    said.is_refusal(429);
    let seconds = said.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&seconds), "{said:?}");
}

#[tokio::test]
async fn a_customer_who_asks_too_often_is_refused_and_nobody_else() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ada, bob) = (Customer::new(&shop).await, Customer::new(&shop).await);
    // Neither a place in a proxy's list nor another priority is worth anything.
    let ask = |nth: usize| {
        let request = ada.request(Method::GET, "/api/v1/orders/no-such-order");
        request.header("x-forwarded-for", format!("10.0.{}.{}", nth / 256, nth % 256))
    };
    let said =
        flood(404, |nth| ask(nth).header("x-request-priority", "0").header("x-shop-token", "guess")).await;
    is_too_much(&said);
    assert!(
        said.headers.contains_key("ratelimit") && said.headers.contains_key("ratelimit-policy"),
        "{said:?}"
    );
    let mut said = ada.order("too-much", &[("tea-mint", 1)]).await;
    while said.status != 429 {
        // Its share comes back with every moment.
        flood(404, ask).await;
        said = ada.order("too-much", &[("tea-mint", 1)]).await;
    }
    is_too_much(&said);
    assert_eq!(bob.order("fair", &[("tea-mint", 1)]).await.status, 201);
    assert_eq!(bob.get("/api/v1/orders").await.body["orders"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn log_ins_of_an_address_are_limited_whatever_it_says_it_is() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let log_in = |nth: usize| {
        let request = shop.http.post(shop.url("/api/v1/sessions")).header("content-type", "application/json");
        request.header("x-forwarded-for", format!("10.0.0.{nth}")).header("forwarded", "for=10.0.0.1")
    };
    is_too_much(&flood(400, |nth| log_in(nth).body("{")).await);
    // By the ops token the shop knows its own load.
    let body = json!({ "email": ada.email, "password": PASSWORD });
    for _ in 0..5 {
        let said = say(log_in(0).header("x-shop-token", TOKEN).json(&body)).await;
        assert_eq!(said.status, 200, "{said:?}");
    }
    assert_eq!(ada.get("/api/v1/users/me").await.status, 200, "nothing else is limited");
}

#[tokio::test]
async fn passwords_of_an_account_cannot_be_guessed_for_long() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ada, bob) = (Customer::new(&shop).await, Customer::new(&shop).await);
    let log_in = async |email: &str, password: &str| {
        let body: Value = json!({ "email": email, "password": password });
        say(shop.http.post(shop.url("/api/v1/sessions")).json(&body)).await
    };
    // Who makes no mistake may come as often as they like.
    for _ in 0..15 {
        assert_eq!(log_in(&bob.email, PASSWORD).await.status, 200);
    }
    for unknown in [false, true] {
        let email = if unknown { "nobody@example.org" } else { &ada.email };
        let mut guesses = 0;
        let said = loop {
            let said = log_in(email, "guess").await;
            if said.status == 429 {
                break said;
            }
            said.is_problem(401);
            guesses += 1;
        };
        is_too_much(&said);
        // One more comes back every six seconds.
        assert!((10..=15).contains(&guesses), "{guesses} guesses");
    }
    let loud = ada.email.to_uppercase();
    is_too_much(&log_in(&loud, "guess").await);
    assert_eq!(log_in(&bob.email, PASSWORD).await.status, 200);
    assert_eq!(ada.get("/api/v1/users/me").await.status, 200, "who is logged in stays so");
}
