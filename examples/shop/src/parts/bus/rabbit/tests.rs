//! What only a broker does. These tests ask that of `SHOP_TEST_AMQP_URL`.

use super::super::{Bus, Config, Kind, is_there};
use super::*;
use lapin::options::QueueDeleteOptions;
use std::pin::pin;
use std::sync::Mutex;
use tempfile::TempDir;
use tokio::time::sleep;

const QUEUE: &str = "mail";
const BINDINGS: [(&str, &str); 1] = [(QUEUE, "order.*")];
const LONG: Duration = Duration::from_secs(60);

fn message(id: &str) -> Message {
    Message { id: id.into(), topic: "order.created".into(), payload: "{}".into(), created_at: 7 }
}

/// A broker, and the shop's bus there.
async fn bus() -> (TempDir, Rabbit, Bus) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::test(folder.path());
    let broker = config.amqp.clone().expect("SHOP_TEST_AMQP_URL says where a broker is");
    let bus = Bus::open(&config, &BINDINGS).await.unwrap();
    (folder, Rabbit::new(broker, "test", &BINDINGS), bus)
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let waits = async {
        while !is().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, waits).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Somebody takes a message, and dies with it. Whoever comes next finds out.
async fn die(rabbit: &Rabbit) {
    for dies in [true, false] {
        let (channel, mut consumer) = rabbit.subscribe(QUEUE).await.unwrap();
        let delivery = timeout(LONG, consume::next(&mut consumer)).await.expect("it comes again");
        let delivery = delivery.unwrap().unwrap();
        assert_ne!(delivery.redelivered, dies);
        if !dies {
            let untouched = |_| async { panic!("nobody touches it") };
            assert!(rabbit.deliver(&channel, QUEUE, &delivery, &untouched).await.unwrap().is_none());
        }
        channel.close(200, "dead".into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it asks the broker of SHOP_TEST_AMQP_URL"]
async fn five_deaths_make_a_dead_letter() {
    let (_folder, rabbit, bus) = bus().await;
    bus.publish(vec![message("deadly")]).await.unwrap();
    for _ in 0..DELIVERIES {
        assert_eq!(bus.dead_letters(QUEUE).await.unwrap(), []);
        die(&rabbit).await;
    }
    let letters = bus.dead_letters(QUEUE).await.unwrap();
    assert_eq!(letters[0].reason, "delivered 5 times, and nobody came to the end of it");
    assert_eq!(bus.waiting(QUEUE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it asks the broker of SHOP_TEST_AMQP_URL"]
async fn connections_and_queues_that_are_lost_come_back() {
    let (_folder, rabbit, bus) = bus().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let mail = tokio::spawn(bus.clone().consume(QUEUE, move |message| {
        sees.lock().unwrap().push(message.id);
        async { Ok(()) }
    }));
    let seen = |id: &str| seen.lock().unwrap().iter().any(|seen| seen == id);
    bus.publish(vec![message("a")]).await.unwrap();
    until("a comes", async || seen("a")).await;
    bus.ping().await.unwrap();
    // A connection dies.
    let Kind::Rabbit(own) = &bus.kind else { panic!("a broker") };
    let _ = own.link.alive().unwrap().close(320, "gone".into()).await;
    until("it is ready again", async || bus.ping().await.is_ok()).await;
    assert_eq!(bus.publish(vec![message("b")]).await.unwrap(), []);
    until("b comes", async || seen("b")).await;
    // Somebody deletes the queue.
    let channel = rabbit.channel().await.unwrap();
    channel.queue_delete(rabbit.topology.queue(QUEUE), QueueDeleteOptions::default()).await.unwrap();
    assert_eq!(bus.publish(vec![message("c")]).await.unwrap(), [], "it goes into the new one");
    until("c comes", async || seen("c")).await;
    mail.abort();
}

#[tokio::test]
#[ignore = "it asks the broker of SHOP_TEST_AMQP_URL"]
async fn who_looks_at_the_dead_waits_for_another_who_does() {
    let (_folder, rabbit, bus) = bus().await;
    let connection = rabbit.link.connection().await.unwrap();
    let alone = Alone::with(&connection, rabbit.topology.dead(QUEUE).as_str()).await.unwrap();
    let mut looks = pin!(bus.dead_letters(QUEUE));
    assert!(timeout(Duration::from_secs(1), &mut looks).await.is_err(), "it looks beside another");
    alone.leave().await.unwrap();
    assert_eq!(looks.await.unwrap(), []);
    // One who is given up without a word is not waited for forever.
    drop(Alone::with(&connection, rabbit.topology.dead(QUEUE).as_str()).await.unwrap());
    until("it is forgotten", async || bus.forget(QUEUE, None).await.is_ok()).await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::parse("amqp://me:secret@127.0.0.1:1", "shop").unwrap();
    let config = Config { amqp: Some(broker), ..Config::test(folder.path()) };
    let bus = Bus::open(&config, &BINDINGS).await.expect("a service starts without its broker");
    for trouble in [bus.publish(vec![message("a")]).await.unwrap_err(), bus.ping().await.unwrap_err()] {
        let said = format!("{trouble} {trouble:?}");
        assert!(matches!(trouble, Trouble::Broker(_)) && !said.contains("secret"), "{said}");
    }
    let sentence = is_there(&config, &BINDINGS).await.unwrap_err().to_string();
    assert!(
        sentence.contains("amqp://127.0.0.1:1 cannot be used: ") && sentence.ends_with("."),
        "{sentence}"
    );
}
