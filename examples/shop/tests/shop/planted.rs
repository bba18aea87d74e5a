//! Each planted bug is found by `shop check`, by the invariant that it breaks; and the same customers break none of a
//! shop that has no bug.

use super::acts::{Act, Play};
use super::process::{LONG, Shop, folder, program};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many shops are open at a time.
const AT_ONCE: usize = 4;

/// How the sentences of the invariants begin.
const STOCK: &str = "stock, reserved and sold add up";
const PAID: &str = "an order is CONFIRMED exactly when";
const CANCELLED: &str = "a CANCELLED order keeps no money";
const MAILS: &str = "there is one mail per order and kind";
const SETTLED: &str = "no order, payment or reservation is open";
const ACKNOWLEDGED: &str = "every order that a customer was told about";
const KEYS: &str = "a customer has one order of a key";
const PRICES: &str = "an order costs the sum of the prices";
const TURNED: &str = "an order that was turned back";

/// A bug, what brings it to light, and what must complain.
struct Case {
    bug: &'static str,
    acts: &'static [Act],
    broken: &'static [&'static str],
    /// How long it takes until somebody may complain.
    wait: &'static str,
}

const fn case(bug: &'static str, acts: &'static [Act], broken: &'static [&'static str]) -> Case {
    Case { bug, acts, broken, wait: "4s" }
}

const CASES: &[Case] = &[
    case("key_not_unique", &[Act::Again], &[KEYS]),
    case("step_not_compared", &[Act::Turn], &[TURNED]),
    case("confirmed_too_early", &[Act::Buy], &[STOCK, MAILS]),
    case("refund_skipped", &[Act::Cancel], &[CANCELLED]),
    Case { wait: "40s", ..case("sweeper_asleep", &[Act::PaymentLost], &[SETTLED]) },
    case("acknowledged_unasked", &[Act::OrderGone], &[ACKNOWLEDGED]),
    case("another_order", &[Act::Buy], &[ACKNOWLEDGED]),
    case("oversold", &[Act::Last], &[STOCK]),
    case("released_twice", &[Act::GiveBack], &[STOCK]),
    case("goods_not_sold", &[Act::Buy], &[STOCK]),
    case("goods_kept", &[Act::Cancel], &[CANCELLED]),
    case("sale_not_moved", &[Act::Buy], &[STOCK]),
    case("half_reserved", &[Act::Buy], &[STOCK, PRICES]),
    case("a_cent_less", &[Act::Buy], &[PRICES]),
    case("payment_key_not_unique", &[Act::PaymentLost], &[KEYS]),
    case("charged_twice", &[Act::BankLost], &[PAID]),
    case("silence_is_no", &[Act::BankLost], &[CANCELLED]),
    case("charge_forgotten", &[Act::Buy], &[PAID]),
    case("refund_forgotten", &[Act::Cancel], &[CANCELLED]),
    case("refund_is_a_charge", &[Act::Cancel], &[CANCELLED, PAID]),
    case("outbox_row_dropped", &[Act::Buy], &[MAILS]),
    case("told_before_commit", &[Act::Buy], &[MAILS]),
    case("inbox_ignored", &[Act::Redeliver], &[MAILS]),
    case("acknowledged_unread", &[Act::Buy], &[MAILS]),
    case("failure_forgotten", &[Act::MailLocked], &[MAILS]),
    case("confirm_not_awaited", &[Act::BusLocked], &[MAILS]),
    case("acknowledged_before_commit", &[Act::Buy, Act::Buy], &[MAILS]),
];

/// Opens a shop with this bug or with none, has customers come, and returns what the check says to it.
async fn checked(bug: &str, acts: &[Act], wait: &str) -> (Option<i32>, String, Vec<String>) {
    let folder = folder();
    let shop = Shop::open_with(folder.path(), &[("SHOP_PLANTED", bug)]).await;
    let mut play = Play::new(&shop, folder.path()).await;
    for act in acts {
        play.act(*act).await;
    }
    play.tell().await;
    let check = program(&["check", "--json", "--wait", wait], folder.path(), shop.base).output();
    let output = tokio::time::timeout(LONG * 5, check).await.expect("it ends in time").unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{bug}: {output:?}"));
    let broken = json["invariants"].as_array().unwrap().iter().filter(|it| it["state"] == "broken");
    let broken = broken.map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), broken)
}

impl Case {
    async fn is_found(&self) {
        let (bug, (code, said, broken)) = (self.bug, checked(self.bug, self.acts, self.wait).await);
        assert_eq!(code, Some(1), "{bug}: {said}");
        for sentence in self.broken {
            assert!(
                broken.iter().any(|name| name.starts_with(sentence)),
                "{bug} breaks {broken:?} and not {sentence:?}: {said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bug_is_found_by_the_invariant_that_it_breaks() {
    let (turns, mut cases) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    // The longest first.
    let (long, short): (Vec<_>, Vec<_>) = CASES.iter().partition(|case| case.wait != "4s");
    for case in long.into_iter().chain(short) {
        let turns = turns.clone();
        cases.spawn(async move {
            let _turn = turns.acquire().await;
            case.is_found().await;
        });
    }
    let mut missed = Vec::new();
    while let Some(found) = cases.join_next().await {
        missed.extend(found.err().map(|fell| match fell.into_panic().downcast::<String>() {
            Ok(said) => *said,
            Err(_) => "a case fell over".into(),
        }));
    }
    assert!(missed.is_empty(), "{} of {} were missed:\n{}", missed.len(), CASES.len(), missed.join("\n"));
}

#[tokio::test]
async fn without_a_bug_the_same_customers_find_everything_in_order() {
    let (code, said, broken) = checked("", &Act::ALL, "40s").await;
    assert_eq!((code, broken), (Some(0), Vec::new()), "{said}");
}

/// The shop knows their names, and no other.
#[tokio::test]
async fn every_bug_has_its_case() {
    let mut check = program(&["check"], Path::new("nowhere"), 8080);
    let output = check.env("SHOP_PLANTED", "none-of-them").output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let known = said.split("must be one of ").nth(1).and_then(|rest| rest.split(", not").next());
    let known: BTreeSet<_> = known.unwrap_or_else(|| panic!("{said}")).split(", ").collect();
    assert_eq!(known, CASES.iter().map(|case| case.bug).collect());
    assert!(known.len() >= 20, "{known:?}");
}
