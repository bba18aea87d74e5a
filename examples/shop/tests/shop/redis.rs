//! Gateways that share their limits in Redis. These tests ask a real one, and are run by
//!
//! ```sh
//! .ci/servers redis -- cargo test -p shop --test shop redis -- --include-ignored
//! ```
//!
//! or with a `REDIS_URL` of one's own.

use super::customer::{Customer, Said, say};
use super::limits::{flood, is_too_much};
use super::process::{LONG, Shop, at, folder, free_base, program};
use http::Method;
use serde_json::json;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// The Redis of `REDIS_URL`.
fn url() -> String {
    std::env::var("REDIS_URL").expect("REDIS_URL says where a server is")
}

async fn shop(folder: &Path) -> Shop {
    Shop::open_with(folder, &[("REDIS_URL", &url())]).await
}

/// One more gateway before the services of a shop.
async fn gateway(shop: &Shop, folder: &Path) -> Shop {
    let base = free_base();
    let mut gateway = program(&["run", "gateway"], folder, base);
    for (name, offset) in [("USER_URL", 1), ("PRODUCT_URL", 2), ("ORDER_URL", 4), ("PAYMENT_URL", 5)] {
        gateway.env(name, shop.at(offset));
    }
    let mut process = gateway.env("REDIS_URL", url()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
    assert_eq!(line, Some(format!("gateway is open at {}", at(base))));
    Shop::of(process, base)
}

/// Tries to log in with a wrong password.
async fn guess(shop: &Shop, email: &str) -> Said {
    let body = json!({ "email": email, "password": "guess" });
    say(shop.http.post(shop.url("/api/v1/sessions")).json(&body)).await
}

/// An account that nobody has tried before.
fn nobody() -> String {
    format!("nobody-{:016x}@example.org", RandomState::new().hash_one(()))
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn gateways_share_what_a_customer_may_ask_for() {
    let (here, there) = (folder(), folder());
    let shop = shop(here.path()).await;
    let gateway = gateway(&shop, there.path()).await;
    let ada = Customer::new(&shop).await;
    let elsewhere = Customer { shop: &gateway, email: ada.email.clone(), token: ada.token.clone() };
    let path = "/api/v1/orders/no-such-order";
    // A token comes back every 20 ms, and the other gateway may be the one who gives it away; but not so often. If it had
    // buckets of its own, it would never refuse one who asks so little.
    for _ in 0..100 {
        is_too_much(&flood(404, |_| ada.request(Method::GET, path)).await);
        let said = say(elsewhere.request(Method::GET, path)).await;
        if said.status == 429 {
            return is_too_much(&said);
        }
        assert_eq!(said.status, 404, "{said:?}");
    }
    panic!("the other gateway knows nothing of what the customer has had");
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn shops_share_the_guesses_of_passwords() {
    let (here, there) = (folder(), folder());
    let (here, there) = tokio::join!(shop(here.path()), shop(there.path()));
    let (email, mut guesses) = (nobody(), 0);
    for shop in [&here, &there] {
        loop {
            let said = guess(shop, &email).await;
            if said.status == 429 {
                break is_too_much(&said);
            }
            said.is_problem(401);
            guesses += 1;
        }
    }
    // One more comes back every six seconds.
    assert!((10..=15).contains(&guesses), "{guesses} guesses");
}

/// What stands between a shop and the Redis, until it is stopped.
struct Line {
    url: String,
    passes: JoinHandle<()>,
}

impl Line {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let passes = tokio::spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let there = there.clone();
                passing.spawn(async move {
                    let mut far = TcpStream::connect(there).await.unwrap();
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Self { url, passes }
    }
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn without_redis_a_gateway_limits_for_itself() {
    let (folder, line) = (folder(), Line::open().await);
    let shop = Shop::open_with(folder.path(), &[("REDIS_URL", &line.url)]).await;
    let ada = Customer::new(&shop).await;
    line.passes.abort();
    assert!(line.passes.await.unwrap_err().is_cancelled());
    for key in 0..8 {
        assert_eq!(ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await.status, 201);
    }
    let email = nobody();
    let limited = async { while guess(&shop, &email).await.status != 429 {} };
    timeout(LONG, limited).await.expect("its own limits hold");
}
