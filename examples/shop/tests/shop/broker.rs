//! A shop on a RabbitMQ that dies and comes back. These tests kill it, and are run by
//!
//! ```sh
//! .ci/servers rabbitmq -- cargo test -p shop --test shop broker:: -- --ignored
//! ```
//!
//! or with an `AMQP_URL` of one's own, whose process is in `SERVERS_DIR/rabbitmq.pid` and is started again when it dies.

#![cfg(all(feature = "rabbitmq", feature = "stage"))]

use super::customer::Customer;
use super::mail::{mails, to};
use super::ops::{Ops, command};
use super::process::{LONG, Shop, folder, free_base, prefix, program, stderr};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::basic::AMQPProperties;
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// How long a broker has until it is there again.
const BACK: Duration = Duration::from_secs(90);

fn url() -> String {
    std::env::var("AMQP_URL").expect("AMQP_URL says where a server is")
}

async fn shop(folder: &Path) -> Shop {
    Shop::open_with(folder, &[("AMQP_URL", &url()), ("AMQP_PREFIX", &prefix(folder))]).await
}

async fn kill_the_broker() {
    let servers = std::env::var("SERVERS_DIR").expect("SERVERS_DIR says which processes the servers are");
    let pid = std::fs::read_to_string(Path::new(&servers).join("rabbitmq.pid")).unwrap();
    let killed = Command::new("kill").args(["-9", pid.trim()]).status().await.unwrap();
    assert!(killed.success());
}

/// Waits until an instance says that it is ready, or is not.
async fn until_ready(ops: &Ops<'_>, instance: &str, ready: bool) {
    let waits = async {
        while ops.layers("service", instance).await[0]["numbers"]["ready"].as_f64()
            != Some(f64::from(u8::from(ready)))
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BACK, waits).await.unwrap_or_else(|_| panic!("{instance} does not get ready: {ready}"));
}

/// Has a command of the shop succeed, and returns what it says.
async fn ask(args: &[&str], folder: &Path, base: u16) -> String {
    let mut asked = program(args, folder, base);
    asked.env("AMQP_URL", url()).env("AMQP_PREFIX", prefix(folder));
    let output = timeout(BACK * 3, asked.output()).await.expect("it ends in time").unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// A shop's dead letters, as who runs it sees them.
async fn dead(folder: &Path) -> Vec<String> {
    let said = ask(&["dead-letters"], folder, 8080).await;
    assert!(said.starts_with("dead letters of mail: "), "{said}");
    said.lines().skip(1).map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "it kills the server of AMQP_URL"]
async fn a_broker_that_is_killed_loses_nothing_and_writes_no_mail_twice() {
    let folder = folder();
    let shop = shop(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let mut orders = Vec::new();
    let mut order = async |round: usize, many: usize| {
        for n in 0..many {
            let order = ada.order(&format!("k{round}-{n}"), &[("tea-mint", 1)]).await;
            assert_eq!((order.status.as_u16(), order.text("status")), (201, "CONFIRMED"), "{order:?}");
            orders.push(order.text("id").to_owned());
        }
    };
    until_ready(&ops, "mail", true).await;
    for round in 0..2 {
        order(2 * round, 20).await;
        kill_the_broker().await;
        // Nobody who buys waits for a broker.
        order(2 * round + 1, 20).await;
        until_ready(&ops, "mail", false).await;
        assert!(
            ops.layers("service", "order").await[0]["numbers"]["ready"] == 1.0,
            "orders wait in the outbox"
        );
        assert!(ops.layers("service", "user").await[0]["numbers"]["ready"] == 1.0, "and so do users");
        until_ready(&ops, "mail", true).await;
    }
    // A queue of RabbitMQ 3.10 that was killed while messages waited in it may confirm nothing for a minute.
    ask(&["check", "--wait", "180s"], folder.path(), shop.base).await;
    for order in orders {
        let told = mails(folder.path(), &order, 2).await;
        assert_eq!(told, to("Ada", &["order.confirmed", "order.created"]));
    }
    assert_eq!(dead(folder.path()).await, [] as [String; 0]);
}

/// One who publishes what nobody has ordered.
async fn stranger() -> (Connection, Channel) {
    let connection = Connection::connect(&url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

async fn publish(channel: &Channel, exchange: &str, topic: &str, id: Option<&str>, payload: &[u8]) {
    let properties = AMQPProperties::default().with_delivery_mode(2);
    let properties = id.map_or(properties.clone(), |id| properties.with_message_id(id.into()));
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish(exchange.into(), topic.into(), mandatory, payload, properties).await;
    assert!(confirm.unwrap().await.unwrap().take_message().is_none(), "{topic} is bound");
}

fn event(order: &str) -> Value {
    json!({ "order_id": order, "user_id": "u", "buyer": "Ada", "items": [], "total_cents": 1, "reason": null })
}

/// What a dead letter is, without when it died.
fn what(letter: &str) -> &str {
    letter.split(" died at ").next().unwrap_or_default()
}

/// Poison: each is wrong in another way. `None` is no id.
fn poison(n: usize) -> (&'static str, Option<String>, Vec<u8>) {
    let id = format!("poison-{n}");
    let good = event("poisoned").to_string().into_bytes();
    match n % 8 {
        0 => ("order.created", Some(id), b"this is no JSON".to_vec()),
        1 => ("order.created", None, good),
        2 => ("order.eaten", Some(id), good),
        3 => ("order.created", Some(id), json!({ "order_id": 7, "items": "all" }).to_string().into_bytes()),
        4 => ("order.created", Some(id), vec![0xFF; 1 << 20]),
        5 => ("order.created", Some(format!("{id}-{}", "x".repeat(100))), good),
        6 => ("order.created", Some(id), event(&"o".repeat(1000)).to_string().into_bytes()),
        _ => ("order.created", Some(id), vec![b'x'; 1 << 20]),
    }
}

#[tokio::test]
#[ignore = "it asks the server of AMQP_URL"]
async fn a_thousand_deliveries_too_many_and_poison_make_one_mail_each() {
    const ORDERS: usize = 500;
    let folder = folder();
    let shop = shop(folder.path()).await;
    let ops = Ops(&shop);
    let (_connection, channel) = stranger().await;
    let exchange = format!("{}.events", prefix(folder.path()));
    let mut poisoned = 0;
    // Each comes three times, in another order each, and one in a hundred is poison.
    for round in 0..3 {
        for n in 0..ORDERS {
            let n = (n * [1, 7, 499][round] + round) % ORDERS;
            let (id, payload) = (format!("message-{n}"), event(&format!("order-{n}")).to_string());
            publish(&channel, &exchange, "order.created", Some(&id), payload.as_bytes()).await;
            if n.is_multiple_of(100) {
                let (topic, id, payload) = poison(poisoned);
                publish(&channel, &exchange, topic, id.as_deref(), &payload).await;
                poisoned += 1;
            }
        }
        // What mail has in its hands goes back.
        let killed = ops.set("mail", "kill", json!({ "ttl_s": 600 })).await;
        let revived = ops.request(http::Method::DELETE, &format!("/faults/{killed}"));
        assert_eq!(super::customer::say(revived.bearer_auth(super::process::TOKEN)).await.status, 204);
    }
    assert_eq!(poisoned, 15);
    // Whoever is killed after it has buried a letter, and before it has said so, buries it again.
    let different =
        |letters: &[String]| letters.iter().map(|letter| what(letter)).collect::<BTreeSet<_>>().len();
    let buried = async {
        while different(&dead(folder.path()).await) < poisoned - 1 {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(BACK, buried).await.expect("the poison is found out");
    for n in 0..ORDERS {
        assert_eq!(mails(folder.path(), &format!("order-{n}"), 1).await, to("Ada", &["order.created"]));
    }
    let letters = dead(folder.path()).await;
    assert_eq!(different(&letters), poisoned - 1, "two of them have no id: {letters:?}");
    assert!(letters.len() >= poisoned, "{letters:?}");
    assert!(letters.iter().all(|letter| !letter.starts_with("\"message-")), "{letters:?}");
    for says in
        ["payload cannot be read", "its id is not", "no mail is written about", "no text", "the subject"]
    {
        assert!(letters.iter().any(|letter| letter.contains(says)), "{says}: {letters:?}");
    }
    // Somebody looks at them, and throws them away.
    let said = ask(&["dead-letters", "drop", "--all"], folder.path(), 8080).await;
    assert_eq!(said.trim(), format!("dropped: {}", letters.len()));
    assert_eq!(dead(folder.path()).await, [] as [String; 0]);
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_told_and_its_password_is_not() {
    let folder = folder();
    for (url, says) in [
        (
            "amqp://me:secret@127.0.0.1:1",
            "AMQP_URL is set, but the RabbitMQ at amqp://127.0.0.1:1 cannot be used",
        ),
        ("http://me:secret@127.0.0.1:1", "AMQP_URL must be like"),
    ] {
        for args in [&[] as &[&str], &["run", "mail"], &["dead-letters"]] {
            let mut process = program(args, folder.path(), free_base()).env("AMQP_URL", url).spawn().unwrap();
            let status = timeout(LONG, process.wait()).await.expect("it ends in time").unwrap();
            let said = stderr(&mut process).await;
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.starts_with(&format!("shop: {says}")) && said.lines().count() == 1, "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}

#[tokio::test]
async fn dead_letters_of_a_file_are_listed_and_those_that_are_not_there_are_told() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let listed = command(&["dead-letters"], folder.path(), shop.base).await;
    assert_eq!(listed, (Some(0), "dead letters of mail: 0\n".to_owned()));
    let (code, said) = command(&["dead-letters", "redeliver", "--id", "7"], folder.path(), shop.base).await;
    assert_eq!((code, said.as_str()), (Some(1), "shop: mail has no dead letter with the id \"7\".\n"));
    let (code, said) = command(&["dead-letters", "drop"], folder.path(), shop.base).await;
    assert_eq!(code, Some(2), "it says neither which nor all: {said}");
}
