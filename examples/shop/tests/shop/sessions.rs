//! Sessions that end before their time, passwords that change, keys that take turns, and what an admin may do.

use super::customer::{Customer, PASSWORD, Said, say};
use super::process::{LONG, Shop, TOKEN, folder};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const ADMIN: &str = "boss@example.org";

async fn with_admin(folder: &Path) -> Shop {
    Shop::open_with(folder, &[("SHOP_ADMIN_EMAIL", ADMIN), ("SHOP_ADMIN_PASSWORD", PASSWORD)]).await
}

/// The services that check tokens, by their offsets, each with a path that asks for one.
const DOORS: [(u16, &str); 2] = [(0, "/api/v1/orders"), (4, "/orders")];

async fn knock(shop: &Shop, (offset, path): (u16, &str), token: &str) -> u16 {
    let url = format!("{}{path}", shop.at(offset));
    say(shop.http.get(url).bearer_auth(token)).await.status.as_u16()
}

/// Waits until a token is refused by all services.
async fn refused(shop: &Shop, token: &str) {
    let asked = async {
        for door in DOORS {
            while knock(shop, door, token).await != 401 {
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    timeout(LONG, asked).await.expect("every service hears of it");
}

async fn log_out(who: &Customer<'_>, path: &str) -> Said {
    say(who.request(Method::DELETE, path)).await
}

#[tokio::test]
async fn who_logs_out_is_out_and_stays_out() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let phone = Customer::log_in(&shop, ada.email.clone()).await;
    let bob = Customer::new(&shop).await;
    for who in [&ada, &phone, &bob] {
        for door in DOORS {
            assert_eq!(knock(&shop, door, &who.token).await, 200);
        }
    }
    assert_eq!(log_out(&ada, "/api/v1/sessions/current").await.status, 204);
    let said = say(ada.request(Method::GET, "/api/v1/users/me")).await;
    said.is_problem(401);
    assert!(said.text("detail").contains("ended"), "the gateway knows at once: {said:?}");
    refused(&shop, &ada.token).await;
    assert_eq!(log_out(&ada, "/api/v1/sessions/current").await.status, 401);
    assert_eq!(knock(&shop, DOORS[1], &phone.token).await, 200, "another session of the same customer");

    let laptop = Customer::log_in(&shop, ada.email.clone()).await;
    assert_eq!(log_out(&phone, "/api/v1/sessions").await.status, 204);
    for gone in [&phone, &laptop] {
        refused(&shop, &gone.token).await;
    }
    let again = Customer::log_in(&shop, ada.email.clone()).await;
    for door in DOORS {
        assert_eq!(knock(&shop, door, &again.token).await, 200, "who logs in after it is in");
        assert_eq!(knock(&shop, door, &bob.token).await, 200);
    }
    let gone = [ada.token, phone.token, laptop.token];
    let (again, bob) = (again.token, bob.token);
    assert_eq!(shop.stop("TERM").await, Some(0));

    let shop = Shop::open(folder.path()).await;
    for door in DOORS {
        for token in &gone {
            assert_eq!(knock(&shop, door, token).await, 401, "a restart lets nobody in again");
        }
        for token in [&again, &bob] {
            assert_eq!(knock(&shop, door, token).await, 200);
        }
    }
}

async fn change(who: &Customer<'_>, old: &str, new: &str) -> Said {
    let body = json!({ "old_password": old, "password": new });
    say(who.request(Method::PUT, "/api/v1/users/me/password").json(&body)).await
}

#[tokio::test]
async fn a_password_changes_and_all_sessions_end() {
    const NEW: &str = "battery staple";
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let phone = Customer::log_in(&shop, ada.email.clone()).await;
    change(&ada, "wrong", NEW).await.is_problem(403);
    change(&ada, &"x".repeat(2000), NEW).await.is_problem(403);
    change(&ada, PASSWORD, "short").await.is_problem(422);
    change(&ada, PASSWORD, &"x".repeat(129)).await.is_problem(422);
    let body = json!({ "old_password": PASSWORD, "password": NEW });
    say(shop.http.put(shop.url("/api/v1/users/me/password")).json(&body)).await.is_problem(401);
    assert_eq!(knock(&shop, DOORS[0], &phone.token).await, 200, "nothing has changed yet");

    assert_eq!(change(&ada, PASSWORD, NEW).await.status, 204);
    for gone in [&ada, &phone] {
        refused(&shop, &gone.token).await;
    }
    let log_in = async |password: &str| {
        let body = json!({ "email": ada.email, "password": password });
        say(shop.http.post(shop.url("/api/v1/sessions")).json(&body)).await
    };
    log_in(PASSWORD).await.is_problem(401);
    let session = log_in(NEW).await;
    assert_eq!(session.status, 200, "{session:?}");
    for door in DOORS {
        assert_eq!(knock(&shop, door, session.text("token")).await, 200);
    }
}

#[tokio::test]
async fn old_passwords_are_guessed_no_more_often_than_at_the_log_in() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    for _ in 0..30 {
        let said = change(&ada, "wrong", "battery staple").await;
        if said.status == 429 {
            said.is_problem(429);
            return assert!(said.headers.contains_key("retry-after"));
        }
        said.is_problem(403);
    }
    panic!("nobody said that it is too much");
}

#[tokio::test]
async fn two_hundred_who_log_in_at_once_hold_up_nobody_else() {
    let folder = folder();
    // Passwords that cost as much as they do in earnest.
    let shop = Shop::open_with(folder.path(), &[("SHOP_CHEAP_PASSWORDS", "0")]).await;
    let ada = Customer::new(&shop).await;
    let log_in = || {
        let body = json!({ "email": ada.email, "password": PASSWORD });
        // The ops token, so that it is not the address that is limited.
        say(shop.http.post(shop.url("/api/v1/sessions")).header("x-shop-token", TOKEN).json(&body))
    };
    let coming: Vec<_> = (0..200).map(|_| tokio::spawn(log_in())).collect();
    let mut looked = 0;
    while !coming.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(ada.get("/api/v1/products/tea-mint").await.status, 200);
        looked += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(looked > 0);
    let mut answers = BTreeSet::new();
    for one in coming {
        let said = one.await.unwrap();
        match said.status.as_u16() {
            200 => {}
            429 | 503 => assert!(said.headers.contains_key("retry-after"), "{said:?}"),
            504 => {}
            status => panic!("{status}: {said:?}"),
        }
        answers.insert(said.status.as_u16());
    }
    assert!(
        answers.contains(&200) && answers.len() > 1,
        "some are served, and the others are told: {answers:?}"
    );
    timeout(LONG, async {
        while log_in().await.status != 200 {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("after it everything is as before");
}

#[tokio::test]
async fn an_admin_reads_all_and_restocks_and_a_customer_does_not() {
    let folder = folder();
    let shop = with_admin(folder.path()).await;
    let (ada, bob) = (Customer::new(&shop).await, Customer::new(&shop).await);
    let boss = Customer::log_in(&shop, ADMIN.into()).await;
    let order = ada.order("k", &[("tea-mint", 3)]).await;
    let order_path = format!("/api/v1/orders/{}", order.text("id"));
    let payment_path = format!("/api/v1/payments/{}", order.text("payment_id"));
    for path in [&order_path, &payment_path] {
        assert_eq!(boss.get(path).await.body, ada.get(path).await.body);
        bob.get(path).await.is_problem(404);
    }
    boss.cancel(order.text("id")).await.is_problem(404);
    assert_eq!(boss.get("/api/v1/orders").await.body, json!({ "orders": [] }), "an admin's own");

    let path = "/api/v1/products/tea-mint/stock";
    let restock = async |who: &Customer<'_>, path: &str, body: Value| {
        say(who.request(Method::POST, path).json(&body)).await
    };
    restock(&ada, path, json!({ "add": 5 })).await.is_problem(403);
    say(shop.http.post(shop.url(path)).json(&json!({ "add": 5 }))).await.is_problem(401);
    for (body, status) in [
        (json!({ "add": 0 }), 422),
        (json!({ "add": -5 }), 422),
        (json!({ "add": 1_000_001 }), 422),
        (json!({ "add": 1.5 }), 422),
        (json!({ "add": "5" }), 422),
        (json!({}), 422),
        (json!([5]), 422),
    ] {
        restock(&boss, path, body).await.is_problem(status);
    }
    restock(&boss, "/api/v1/products/nothing/stock", json!({ "add": 5 })).await.is_problem(404);
    assert_eq!(ada.stock("tea-mint").await, 997);
    // The product service checks the token itself: nobody gets past the gateway's check by going around it.
    let inside = format!("{}/products/tea-mint/stock", shop.at(2));
    let around = shop.http.post(&inside).header("x-role", "admin").json(&json!({ "add": 5 }));
    say(around.bearer_auth(&ada.token)).await.is_problem(403);
    say(shop.http.post(&inside).json(&json!({ "add": 5 }))).await.is_problem(401);

    let said = restock(&boss, path, json!({ "add": 5 })).await;
    assert_eq!((said.status.as_u16(), &said.body["stock"]), (200, &json!(1002)), "{said:?}");
    assert_eq!(ada.stock("tea-mint").await, 1002);
    let more = ada.order("more", &[("tea-mint", 1000)]).await;
    assert_eq!(ada.settled(more.text("id")).await["status"], "CONFIRMED", "what was put there is sold");
    assert_eq!(shop.stop("TERM").await, Some(0));
    let shop = with_admin(folder.path()).await;
    let boss = Customer::log_in(&shop, ADMIN.into()).await;
    assert_eq!(boss.stock("tea-mint").await, 2, "it is made once");
    #[cfg(feature = "stage")]
    {
        let checked = super::process::program(&["check"], folder.path(), shop.base).output().await.unwrap();
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{said}");
    }
}

#[tokio::test]
async fn nobody_becomes_an_admin_by_being_there_first() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let user = json!({ "name": "Mallory", "email": ADMIN, "password": "mine, all mine", "role": "admin" });
    let said = say(shop.http.post(shop.url("/api/v1/users")).json(&user)).await;
    assert_eq!(said.status, 201);
    let said = say(shop.http.post(shop.url("/api/v1/sessions")).json(&user)).await;
    let restock = shop.http.post(shop.url("/api/v1/products/tea-mint/stock")).json(&json!({ "add": 1 }));
    say(restock.bearer_auth(said.text("token"))).await.is_problem(403);
    assert_eq!(shop.stop("TERM").await, Some(0));
    for (variables, why) in [
        (&[("SHOP_ADMIN_EMAIL", ADMIN), ("SHOP_ADMIN_PASSWORD", PASSWORD)][..], "a customer has this email"),
        (&[("SHOP_ADMIN_EMAIL", ADMIN)], "go together"),
        (&[("SHOP_ADMIN_EMAIL", "nobody"), ("SHOP_ADMIN_PASSWORD", PASSWORD)], "email address"),
        (&[("SHOP_ADMIN_EMAIL", ADMIN), ("SHOP_ADMIN_PASSWORD", "x")], "6 to 128"),
    ] {
        let mut shop = super::process::program(&[], folder.path(), super::process::free_base());
        let said = timeout(LONG, shop.envs(variables.iter().copied()).output()).await.unwrap().unwrap();
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert!(!said.status.success() && stderr.contains(why), "{why}: {stderr}");
    }
}

/// The name of the key that signed a token.
fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("JWT")));
    header["kid"].as_str().unwrap().to_owned()
}

async fn published(shop: &Shop) -> BTreeSet<String> {
    let url = format!("{}/.well-known/jwks.json", shop.at(1));
    let jwks = say(shop.http.get(url)).await.body;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_take_turns_and_nobody_notices() {
    let folder = folder();
    let shop =
        Shop::open_with(folder.path(), &[("SHOP_KEY_SECONDS", "2"), ("SHOP_SESSION_SECONDS", "600")]).await;
    let first = Customer::new(&shop).await;
    let (mut signed, mut known) = (BTreeSet::from([kid(&first.token)]), published(&shop).await);
    let turns = async {
        while signed.len() < 3 {
            let now = Customer::log_in(&shop, first.email.clone()).await;
            let kid = kid(&now.token);
            assert!(signed.contains(&kid) || known.contains(&kid), "a key is known before it signs");
            signed.insert(kid);
            for door in DOORS {
                assert_eq!(knock(&shop, door, &now.token).await, 200);
                assert_eq!(knock(&shop, door, &first.token).await, 200);
            }
            known = published(&shop).await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, turns).await.expect("keys take turns");
    assert!(known.is_superset(&signed), "as long as their tokens live: {known:?} {signed:?}");
}

#[tokio::test]
async fn keys_are_thrown_away_when_their_tokens_are_over() {
    let folder = folder();
    let shop =
        Shop::open_with(folder.path(), &[("SHOP_KEY_SECONDS", "2"), ("SHOP_SESSION_SECONDS", "1")]).await;
    let first = published(&shop).await;
    let gone = async {
        while !published(&shop).await.is_disjoint(&first) {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(LONG * 2, gone).await.expect("the first key goes");
    assert!(!published(&shop).await.is_empty());
}

#[cfg(feature = "stage")]
#[tokio::test]
async fn a_stolen_key_is_withdrawn() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    assert_eq!(knock(&shop, DOORS[1], &ada.token).await, 200);
    let url = format!("{}/keys", shop.at(1));
    for token in ["", "wrong", &ada.token] {
        say(shop.http.post(&url).bearer_auth(token)).await.is_problem(401);
    }
    say(shop.http.post(&url)).await.is_problem(401);
    assert_eq!(knock(&shop, DOORS[1], &ada.token).await, 200);

    let rotated =
        super::process::program(&["keys", "rotate"], folder.path(), shop.base).output().await.unwrap();
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    refused(&shop, &ada.token).await;
    let again = Customer::log_in(&shop, ada.email.clone()).await;
    assert_ne!(kid(&again.token), kid(&ada.token));
    assert_eq!(published(&shop).await, BTreeSet::from([kid(&again.token)]));
    for door in DOORS {
        assert_eq!(knock(&shop, door, &again.token).await, 200);
    }
}
