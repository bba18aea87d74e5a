//! Minutes of chaos: services are killed under load, and nothing that was promised is lost.
//!
//! `CHAOS_SECONDS` says for how long, 30 if it does not; `CHAOS_SEED` who is hit. `SHOP_BIN` names another build of the program:
//! one that is not optimized gets a tenth of the load, for it has hardly the time for more. With the servers as well:
//!
//! ```sh
//! .ci/servers postgres rabbitmq -- sh -c 'SHOP_TEST_DATABASE_URL=$POSTGRES_URL SHOP_TEST_AMQP_URL=$AMQP_URL \
//!     cargo test -p shop --test shop -- --ignored chaos::'
//! ```

use super::ops::{Ops, check};
use super::process::{Shop, folder, prefix, program};
use super::procs::{hit, pids};
use futures_core::Stream;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::Value;
use std::env::{var, var_os};
use std::future::{pending, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// How often somebody is killed.
const EVERY: Duration = Duration::from_secs(2);

/// How long those who insist may take when the load is over.
const LATE: Duration = Duration::from_secs(120);

/// How often Postgres is killed, or RabbitMQ, in turn.
const EVERY_SERVER: Duration = Duration::from_secs(15);

/// The share of reads that are answered. Who kills the gateway breaks the connections to it, which is all that is lost; in a short
/// time it may be hit more often than others. While a database is away, nobody reads what only it knows: nothing is asked then.
const READS: f64 = 0.999;
const READS_IN_SHORT: f64 = 0.995;

/// How many messages are given back to the broker, and how often there is poison: of a hundred messages, one.
const BACK: usize = 1000;
const POISON: Duration = Duration::from_secs(1);

fn number(name: &str, otherwise: u64) -> u64 {
    var(name).map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
    })
}

fn seconds() -> Duration {
    Duration::from_secs(number("CHAOS_SECONDS", 30))
}

/// Sends nine reads to each order, and returns the figures.
async fn load(shop: &Shop, folder: &Path) -> Value {
    let rps = if var_os("SHOP_BIN").is_some() { 500 } else { 50 };
    let (rps, lasts) = (rps.to_string(), format!("{}s", seconds().as_secs()));
    let args = ["load", "--rps", &rps, "--orders", "0.1", "--insist", "--for", &lasts, "--json"];
    let output = timeout(seconds() + LATE, program(&args, folder, shop.base).output()).await;
    let output = output.expect("the load ends in time").unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    eprintln!("{figures:#}");
    figures
}

/// Kills one after another as soon as the load has begun, for ever; all the same ones with the same seed.
async fn kills(folder: &Path) {
    while !folder.join("load.journal").exists() {
        sleep(Duration::from_millis(50)).await;
    }
    let mut dice = fastrand::Rng::with_seed(number("CHAOS_SEED", 1));
    let mut kills = interval(EVERY);
    kills.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = Instant::now();
    loop {
        kills.tick().await;
        let there = pids(folder);
        let Some(victim) = dice.choice(there.keys()) else { continue };
        let dead = hit(folder, victim, "KILL").await;
        let when = (Instant::now() - begin).as_millis();
        eprintln!("{when:>7} ms: {victim} {}", if dead { "is killed" } else { "was gone already" });
    }
}

/// What a load must show, whatever happened meanwhile.
fn kept(figures: &Value, reads: Option<f64>) {
    let share = |what: &str| figures[what]["share"].as_f64().unwrap();
    assert!(reads.is_none_or(|reads| share("reads") >= reads), "reads: {}", figures["reads"]);
    assert_eq!(share("orders_placed"), 1.0, "{}", figures["orders_placed"]);
    assert_eq!(figures["not_sent"], 0);
}

/// Runs a load while somebody else does harm, and returns its figures when all is in order again.
async fn through(shop: &Shop, folder: &Path, harm: impl Future<Output = ()>) -> Value {
    let harm = async {
        harm.await;
        pending().await
    };
    let figures = tokio::select! {
        figures = load(shop, folder) => figures,
        never = harm => never,
    };
    // The last who was hit takes his time.
    let well = async {
        while Ops(shop).get("/health").await.status != 200 {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(LATE, well).await.expect("all are well again");
    check(folder, shop.base).await;
    figures
}

#[tokio::test]
#[ignore = "takes minutes, and the machine for itself"]
async fn a_service_is_killed_every_two_seconds_and_nothing_is_lost() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let figures = through(&shop, folder.path(), kills(folder.path())).await;
    let reads = if seconds() < Duration::from_secs(300) { READS_IN_SHORT } else { READS };
    kept(&figures, Some(reads));
    assert_eq!(shop.stop("TERM").await, Some(0));
}

/// Kills the servers in turn, for ever. Who runs them starts them again.
async fn server_kills(servers: &Path) {
    for server in ["postgres", "rabbitmq"].into_iter().cycle() {
        sleep(EVERY_SERVER).await;
        let Ok(pid) = std::fs::read_to_string(servers.join(format!("{server}.pid"))) else { continue };
        let killed = Command::new("kill").args(["-9", pid.trim()]).output().await.unwrap();
        eprintln!("{server} {}", if killed.status.success() { "is killed" } else { "was gone already" });
    }
}

/// Gives a thousand messages back to the broker that mail should have, and tells how many it was.
async fn gives_back(url: &str, queue: &str) -> usize {
    let mut given = 0;
    while given < BACK {
        // The broker dies now and then, and with it who asks it.
        let _ = give_back(url, queue, &mut given).await;
        sleep(Duration::from_millis(500)).await;
    }
    given
}

async fn give_back(url: &str, queue: &str, given: &mut usize) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(10, BasicQosOptions::default()).await?;
    let (options, fields) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut messages = channel.basic_consume(queue.into(), "thief".into(), options, fields).await?;
    while let Some(message) = poll_fn(|cx| Pin::new(&mut messages).poll_next(cx)).await {
        message?.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
        *given += 1;
        if *given >= BACK {
            break;
        }
    }
    connection.close(200, "enough".into()).await
}

/// Publishes what nobody can read, for ever.
async fn poisons(url: &str, exchange: &str) {
    loop {
        let poisoned: lapin::Result<()> = async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            loop {
                let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
                let properties = properties.with_delivery_mode(2);
                channel
                    .basic_publish(exchange.into(), "order.created".into(), options, b"poison", properties)
                    .await?;
                sleep(POISON).await;
            }
        }
        .await;
        let _ = poisoned;
        sleep(POISON).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes, and kills the servers of SERVERS_DIR"]
async fn postgres_and_rabbitmq_are_killed_as_well_and_nothing_is_lost() {
    let named = |name: &str| var(name).unwrap_or_else(|_| panic!("{name} is set"));
    let (servers, url) = (named("SERVERS_DIR"), named("SHOP_TEST_AMQP_URL"));
    named("SHOP_TEST_DATABASE_URL");
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (exchange, queue) =
        (format!("{}.events", prefix(folder.path())), format!("{}.mail", prefix(folder.path())));
    let mut given = 0;
    let harm = async {
        let stolen = async { given = gives_back(&url, &queue).await };
        tokio::join!(kills(folder.path()), server_kills(servers.as_ref()), poisons(&url, &exchange), stolen);
    };
    let figures = through(&shop, folder.path(), harm).await;
    kept(&figures, None);
    assert_eq!(given, BACK);
    assert_eq!(shop.stop("TERM").await, Some(0));
}
