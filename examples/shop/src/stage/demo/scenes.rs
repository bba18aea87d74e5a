//! The story.

use super::customer::Placed;
use super::figures::{Figure, Seen, of, seen};
use super::house::House;
use super::play::{Play, Stage};
use crate::parts::failure::Failure;
use serde_json::{Value, json};
use std::time::Duration;

/// How many scenes there are.
pub(super) const COUNT: usize = 10;

/// Orders that are placed at once, and how many of them may have bad luck on a machine that has no time.
const WAVE: usize = 8;
const MOST: usize = WAVE - 1;

/// For so long an order lets its customer wait for the saga, before it says that it goes on later.
const A_SECOND: Duration = Duration::from_millis(1000);

/// An order that waits for payment-2 takes longer, though payment gives up by itself what takes 800 ms; others take a fraction of it.
const SLOW: Duration = Duration::from_millis(700);

/// The layers that bound how long one waits, and how many do.
const BOUNDS: [&str; 3] = ["deadline", "attempt", "bulkhead"];
const CHANCES: [&str; 4] = ["retry", "balance", "ejection", "hedge"];

/// Of the greatest crowd, a share that comes 270 times a second: the customers make about 27 journeys.
const CROWD: f64 = 0.054;

/// What the later scenes are measured by.
#[derive(Clone, Copy, Debug, Default)]
struct Calm {
    /// How long nine in ten who looked around waited at most, in milliseconds.
    looks: u64,
    /// And the slowest order.
    order: Duration,
}

/// Plays all of it.
///
/// # Errors
///
/// When the shop cannot be asked any more. A figure that was missed is none.
pub(super) async fn all(play: &mut Play, house: &House) -> Result<(), Failure> {
    let calm = green(play).await?;
    unprotected(play).await?;
    bounded(play, calm).await?;
    again(play).await?;
    let orders = killed(play).await?;
    back(play, &orders).await?;
    lost(play).await?;
    crowd(play).await?;
    alone(play).await?;
    books(play, house).await?;
    play.stage.curtain().await
}

async fn green(play: &mut Play) -> Result<Calm, Failure> {
    play.scene("All is well", "64 customers look around, order, pay and cancel.").await?;
    play.until("customers who are served", "at least 90 % of 30 or more", async |stage| {
        let (all, served) = stage.served(None);
        Ok(seen(percent(served, all), all >= 30 && served * 10 >= all * 9))
    })
    .await?;
    let mut order = A_SECOND;
    play.until("orders confirmed at once", least(MOST), async |stage| {
        let orders = stage.customer.orders(WAVE).await;
        order = slowest(&orders);
        Ok(of(orders.iter().filter(|order| order.status == 201).count(), WAVE, MOST))
    })
    .await?;
    play.until("the verdict", "good", async |stage| Ok(seen(stage.tone(), stage.tone() == "good"))).await?;
    let looks = play.stage.waited("browse");
    play.ends().await?;
    Ok(Calm { looks, order })
}

async fn unprotected(play: &mut Play) -> Result<(), Failure> {
    let caption =
        "All protections are off. Half of what payment-2 is asked fails, the rest takes two seconds.";
    play.scene("Nothing protects", caption).await?;
    play.stage.switch("all", "all", false).await?;
    play.stage.fault("payment-2", "error", json!({ "share": 0.5 })).await?;
    play.stage.fault("payment-2", "delay", json!({ "ms": 2000 })).await?;
    let (mut late, mut slow) = (0, Duration::ZERO);
    play.until("the slowest order", format!("{} or longer", ms(SLOW)), async |stage| {
        let orders = stage.customer.orders(WAVE).await;
        late += orders.iter().filter(|order| order.status != 201).count();
        slow = slow.max(slowest(&orders));
        Ok(seen(ms(slow), slow >= SLOW && late > 0))
    })
    .await?;
    play.until("orders not confirmed at once", "at least 1", async |_| Ok(seen(late, late > 0))).await?;
    play.until("the verdict finds", "payment-2", async |stage| {
        stage.customer.orders(WAVE / 2).await;
        Ok(seen(stage.failing().join(", "), stage.failing().contains(&"payment-2")))
    })
    .await?;
    play.ends().await
}

async fn bounded(play: &mut Play, calm: Calm) -> Result<(), Failure> {
    let caption = "Deadlines and bulkheads are on: nobody waits for payment-2 any longer, and looking around is as ever.";
    play.scene("Deadline and bulkhead", caption).await?;
    for layer in BOUNDS {
        play.stage.switch("all", layer, true).await?;
    }
    let most = calm.looks * 3;
    let most = most.max(500);
    play.until("nine in ten who look around wait", format!("at most {most} ms"), async |stage| {
        let ((all, served), waited) = (stage.served(Some("browse")), stage.waited("browse"));
        Ok(seen(format!("{waited} ms"), all >= 10 && waited <= most && served * 10 >= all * 9))
    })
    .await?;
    let most = SLOW.max(calm.order * 2);
    play.until("the slowest order", format!("less than {}", ms(most)), async |stage| {
        let slowest = slowest(&stage.customer.orders(WAVE).await);
        Ok(seen(ms(slowest), slowest < most))
    })
    .await?;
    play.ends().await
}

async fn again(play: &mut Play) -> Result<(), Failure> {
    let caption = "Retries, balancer, ejection and hedges are on: what payment-2 fails is asked of another, and payment-2 is left alone.";
    play.scene("Retry and ejection", caption).await?;
    let before = spared(&play.stage).await?;
    for layer in CHANCES {
        play.stage.switch("all", layer, true).await?;
    }
    play.until("orders confirmed at once", least(MOST), async |stage| {
        let orders = stage.customer.orders(WAVE).await;
        Ok(of(orders.iter().filter(|order| order.status == 201).count(), WAVE, MOST))
    })
    .await?;
    play.until("charges made again, or kept from payment-2", "at least 1", async |stage| {
        stage.customer.orders(WAVE).await;
        let spared = spared(stage).await?.saturating_sub(before);
        Ok(seen(spared, spared >= 1))
    })
    .await?;
    play.ends().await
}

/// How often a charge was saved by another attempt, or payment was ejected.
async fn spared(stage: &Stage) -> Result<u64, Failure> {
    let retried = stage.sum("retry", "order->payment", "recovered").await?;
    Ok(retried + stage.sum("balance", "order->payment", "ejections").await?)
}

async fn killed(play: &mut Play) -> Result<Vec<String>, Failure> {
    let caption =
        "Everything protects again, and all three payments are killed. Breakers open, and orders wait.";
    play.scene("Payment is gone", caption).await?;
    play.stage.heal().await?;
    play.stage.fault("payment", "kill", json!({})).await?;
    let mut waiting = Vec::new();
    play.until("orders that are taken, and wait", format!("{WAVE} of {WAVE}"), async |stage| {
        let orders = stage.customer.orders(WAVE).await;
        waiting.extend(orders.iter().filter(|order| order.is_taken()).filter_map(|order| order.id.clone()));
        Ok(of(orders.iter().filter(|order| order.is_taken() && order.status == 202).count(), WAVE, WAVE))
    })
    .await?;
    play.until("breakers before payment that are open", "at least 1", async |stage| {
        waiting.extend(stage.customer.orders(WAVE).await.into_iter().filter_map(|order| order.id));
        let (all, open) = stage.states("breaker", "order->payment", "open").await?;
        Ok(of(open, all, 1))
    })
    .await?;
    play.until("the verdict finds", "3 payments", async |stage| {
        let failing = stage.failing().into_iter().filter(|name| name.starts_with("payment-")).count();
        Ok(seen(format!("{failing} payments"), failing == 3))
    })
    .await?;
    play.ends().await?;
    Ok(waiting)
}

async fn back(play: &mut Play, orders: &[String]) -> Result<(), Failure> {
    let caption =
        "Payment is started again. Breakers probe and close, and every order that waited is charged.";
    play.scene("Payment is back", caption).await?;
    play.stage.heal().await?;
    let all = orders.len();
    play.until("orders that waited and are confirmed", format!("{all} of {all}"), async |stage| {
        Ok(of(stage.customer.confirmed(orders).await, all, all))
    })
    .await?;
    play.until(
        "breakers before payment that refuse nobody any more",
        "all, and one at least is closed",
        async |stage| {
            // A breaker closes when somebody asks; one whose pause is over lets the next one through.
            stage.customer.orders(WAVE).await;
            let (all, closed) = stage.states("breaker", "order->payment", "closed").await?;
            let refuses = |it: &Value| {
                it["state"] == "open" && it["numbers"]["retry_after_seconds"].as_f64() > Some(0.0)
            };
            let refusing =
                stage.layers("breaker", "order->payment").await?.iter().filter(|it| refuses(it)).count();
            let still = of(all.saturating_sub(refusing), all, all.max(1));
            Ok(Seen { is_met: still.is_met && closed > 0, ..still })
        },
    )
    .await?;
    holds(play).await?;
    play.ends().await
}

async fn lost(play: &mut Play) -> Result<(), Failure> {
    let caption =
        "Half of the answers of payment are lost, after the money was taken. Nobody is charged twice.";
    play.scene("Answers are lost", caption).await?;
    play.stage.fault("payment", "reply_lost", json!({ "share": 0.5 })).await?;
    let before = play.stage.sum("fault", "payment", "replies_lost").await?;
    let mut keys = Vec::new();
    play.until("answers that were lost", "at least 5", async |stage| {
        keys.extend(stage.customer.orders(WAVE).await.into_iter().filter(Placed::is_taken));
        let lost = stage.sum("fault", "payment", "replies_lost").await?.saturating_sub(before);
        Ok(seen(lost, lost >= 5))
    })
    .await?;
    play.stage.heal().await?;
    let all = keys.len();
    play.until(
        "orders that are the same when they are asked for again",
        format!("{all} of {all}"),
        async |stage| {
            let mut same = 0;
            for order in &keys {
                same += usize::from(stage.customer.place(order.key.clone()).await.id == order.id);
            }
            Ok(of(same, all, all))
        },
    )
    .await?;
    let ids: Vec<_> = keys.iter().filter_map(|order| order.id.clone()).collect();
    play.until("orders that are confirmed", format!("{all} of {all}"), async |stage| {
        Ok(of(stage.customer.confirmed(&ids).await, all, all))
    })
    .await?;
    holds(play).await?;
    play.ends().await
}

async fn crowd(play: &mut Play) -> Result<(), Failure> {
    let caption = "Products are slow, and ten times as many come as before, to look. Who orders goes first.";
    play.scene("A crowd comes", caption).await?;
    // The bulkhead alone is on, so that who is refused sees that, and no older page; and 64 in flight are a hundred a second, so that
    // what is seen does not depend on the machine.
    play.stage.switch("gateway->product", "all", false).await?;
    play.stage.switch("gateway->product", "bulkhead", true).await?;
    play.stage.fault("gateway->product", "latency", json!({ "ms": 600 })).await?;
    play.stage.fault("gateway", "load", json!({ "share": CROWD })).await?;
    play.until("who looks around is refused, and told when to come again", "at least 1", async |stage| {
        let (refused, _) = stage.customer.looks(WAVE).await;
        Ok(of(refused, WAVE, 1))
    })
    .await?;
    play.until("of the crowd, refused", "at least 100", async |stage| {
        let refused = stage.sum("load", "gateway", "refused").await?;
        Ok(seen(refused, refused >= 100))
    })
    .await?;
    play.until("orders that are taken meanwhile", "5 of 5", async |stage| {
        let mut taken = 0;
        for _ in 0..5 {
            taken += usize::from(stage.customer.insists().await.is_taken());
        }
        Ok(of(taken, 5, 5))
    })
    .await?;
    let looks = play.stage.sum("load", "gateway", "refused").await?;
    let orders = play.stage.sum("shed", "gateway", "refused_critical").await?;
    let (value, bound) = (orders.to_string(), format!("at most a tenth of the {looks} of the crowd"));
    play.shows(Figure { what: "orders that were refused", bound, value, is_met: orders * 10 <= looks });
    play.ends().await?;
    play.stage.heal().await
}

async fn alone(play: &mut Play) -> Result<(), Failure> {
    let caption = "The registry and the config service are down. Whom one knew is asked, as one was told to.";
    play.scene("Registry and config are down", caption).await?;
    play.until("who looks around is served again", least(MOST), async |stage| {
        let (_, served) = stage.customer.looks(WAVE).await;
        Ok(of(served, WAVE, MOST))
    })
    .await?;
    play.stage.fault("registry", "registry_down", json!({})).await?;
    play.stage.fault("config", "config_down", json!({})).await?;
    play.until("the verdict finds", "registry, config; and the shop still sells", async |stage| {
        let failing = stage.failing();
        let is_found = failing.contains(&"registry") && failing.contains(&"config");
        Ok(seen(failing.join(", "), is_found && stage.verdict().contains("the shop still sells")))
    })
    .await?;
    play.until("orders confirmed at once", least(MOST), async |stage| {
        let orders = stage.customer.orders(WAVE).await;
        Ok(of(orders.iter().filter(|order| order.status == 201).count(), WAVE, MOST))
    })
    .await?;
    play.until("customers who are served", "at least 90 % of 30 or more", async |stage| {
        let (all, served) = stage.served(None);
        Ok(seen(percent(served, all), all >= 30 && served * 10 >= all * 9))
    })
    .await?;
    play.ends().await?;
    play.stage.heal().await
}

async fn books(play: &mut Play, house: &House) -> Result<(), Failure> {
    play.scene("The books", "All that was sold is paid once, and all that was paid is sold: `shop check`.")
        .await?;
    play.until("who fails", "nobody", async |stage| {
        let failing = stage.failing().join(", ");
        Ok(seen(if failing.is_empty() { "nobody" } else { &failing }, failing.is_empty()))
    })
    .await?;
    // Of those who go on shopping something is always on its way, on a bus that takes its time.
    play.stage.customers(false).await?;
    let (is_met, value) = house.check().await?;
    play.stage.customers(true).await?;
    play.shows(Figure { what: "shop check", bound: "exit code 0".into(), value, is_met });
    play.ends().await
}

/// Every tick is green.
async fn holds(play: &mut Play) -> Result<(), Failure> {
    play.until("invariants that hold", "all", async |stage| {
        let (all, holding) = stage.states("invariant", "", "holds").await?;
        Ok(of(holding, all, all.max(1)))
    })
    .await
}

fn slowest(orders: &[Placed]) -> Duration {
    orders.iter().map(|order| order.took).max().unwrap_or_default()
}

fn least(some: usize) -> String {
    format!("at least {some} of {WAVE}")
}

fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn percent(some: usize, all: usize) -> String {
    format!("{} % of {all}", (some * 100).checked_div(all).unwrap_or_default())
}
