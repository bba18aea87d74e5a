//! Whether `shop check` finds what is wrong, names the invariant that it breaks, and is silent when nothing is.

use super::breaches::{CASES, Case, SETTLED};
use super::customer::Customer;
use super::ledgers::Ledgers;
use super::process::{Shop, folder, program};
use super::stores;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// It asks no port, so it may be that of another shop.
const ANY: u16 = 8080;

/// Checks a folder, and returns the exit code, what it says to people, and what to programs.
async fn check(folder: &Path) -> (Option<i32>, String, Value) {
    let (mut text, mut json) = (program(&["check"], folder, ANY), program(&["check", "--json"], folder, ANY));
    let (text, json) = tokio::join!(text.output(), json.output());
    let (text, json) = (text.unwrap(), json.unwrap());
    let said = String::from_utf8([text.stdout, text.stderr].concat()).unwrap();
    assert_eq!(text.status.code(), json.status.code(), "{said}");
    (text.status.code(), said, serde_json::from_slice(&json.stdout).unwrap_or_default())
}

impl Case {
    async fn is_found(&self) {
        let (folder, name) = (folder(), self.name);
        let mut ledgers = Ledgers::new(folder.path()).await;
        for (store, statement) in self.plant {
            ledgers.run(store, statement).await;
        }
        ledgers.tell(self.journal);
        let (code, said, json) = check(folder.path()).await;
        let invariants = json["invariants"].as_array().unwrap_or_else(|| panic!("{name}: {said}"));
        assert_eq!(invariants.len(), 11, "{name}: {said}");
        let these = |state: &str| -> Vec<_> {
            let states = invariants.iter().enumerate().filter(|(_, it)| it["state"] == state);
            states.map(|(n, _)| n).collect()
        };
        assert_eq!(
            (these("broken").as_slice(), these("waiting").as_slice()),
            (self.broken, self.waiting),
            "{name}: {said}"
        );
        assert_eq!(code, Some(i32::from(!self.broken.is_empty())), "{name}: {said}");
        for text in self.says {
            assert!(said.contains(text), "{name}: no {text:?} in {said}");
        }
        for n in self.broken {
            let sentence = invariants[*n]["name"].as_str().unwrap();
            assert!(said.contains(&format!("✗ BROKEN {sentence}")), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn each_breach_is_named_by_the_invariant_that_it_breaks() {
    let (turns, mut cases) = (Arc::new(Semaphore::new(6)), JoinSet::new());
    for case in CASES {
        let turns = turns.clone();
        cases.spawn(async move {
            let _turn = turns.acquire().await;
            case.is_found().await;
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn a_clean_shop_is_said_to_be_one() {
    let folder = folder();
    Ledgers::new(folder.path()).await;
    let (code, said, json) = check(folder.path()).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("All 11 invariants hold.\n"), "{said}");
    assert!(said.contains(
        "3 orders: 0 PENDING, 0 RESERVED, 0 PAID, 1 CONFIRMED, 0 REFUNDING, 0 RELEASING, 2 CANCELLED"
    ));
    assert_eq!((&json["orders"]["CONFIRMED"], &json["orders"]["PAID"]), (&1.into(), &0.into()));
    assert_eq!(
        (&json["outbox"], &json["queue"], &json["bank_was_read"]),
        (&0.into(), &0.into(), &true.into())
    );
}

#[tokio::test]
async fn a_bank_that_is_elsewhere_is_not_verified() {
    let folder = folder();
    let mut ledgers = Ledgers::new(folder.path()).await;
    ledgers.run("bank", "DELETE FROM movements").await;
    ledgers.close().await;
    let mut process = program(&["check"], folder.path(), ANY);
    let output = process.env("BANK_URL", "http://127.0.0.1:9").output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("the bank's own ledger is elsewhere and was not read"), "{said}");
    if !stores::are_files() {
        return;
    }
    std::fs::remove_file(folder.path().join("bank.db")).unwrap();
    let (code, said, json) = check(folder.path()).await;
    assert_eq!((code, &json["bank_was_read"]), (Some(0), &false.into()), "{said}");
}

/// A database that is named is there, or is said not to be.
#[tokio::test]
async fn where_there_is_nothing_to_check_it_says_so() {
    if !stores::are_files() {
        return;
    }
    let empty = folder();
    let (code, said, _) = check(empty.path()).await;
    assert_eq!(code, Some(1));
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    let path = empty.path().display().to_string();
    assert!(said.contains("there is nothing to check") && said.contains(&path), "{said}");
    assert!(empty.path().read_dir().unwrap().next().is_none(), "nothing was written");

    let folder = folder();
    Ledgers::new(folder.path()).await.close().await;
    std::fs::remove_file(folder.path().join("mail.db")).unwrap();
    let (code, said, _) = check(folder.path()).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("mail.db is missing."), "{said}");

    std::fs::write(folder.path().join("mail.db"), "this is a letter, and no store of letters").unwrap();
    let (code, said, _) = check(folder.path()).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("mail.db cannot be read"), "{said}");
}

#[tokio::test]
async fn a_shop_that_was_closed_has_thirty_seconds_from_its_opening_on() {
    let folder = folder();
    let mut ledgers = Ledgers::new(folder.path()).await;
    ledgers.run("order", "UPDATE orders SET step = 'REFUNDING' WHERE id = 'o1'").await;
    let state = async || {
        let (code, said, json) = check(folder.path()).await;
        let state = json["invariants"][SETTLED]["state"].as_str().map(str::to_owned);
        (code, state.unwrap_or_else(|| panic!("{said}")))
    };
    assert_eq!(state().await, (Some(1), "broken".into()), "nobody knows when it was opened");
    // It leaves its token there when it is opened.
    let token = std::fs::File::create(folder.path().join("ops.token")).unwrap();
    assert_eq!(state().await, (Some(0), "waiting".into()));
    token.set_modified(token.metadata().unwrap().modified().unwrap() - Duration::from_secs(31)).unwrap();
    assert_eq!(state().await, (Some(1), "broken".into()));
}

#[tokio::test]
async fn who_waits_wants_everything_at_its_end() {
    let folder = folder();
    let mut ledgers = Ledgers::new(folder.path()).await;
    ledgers.run("order", "UPDATE orders SET step = 'REFUNDING', updated_at = {now} WHERE id = 'o1'").await;
    let check = async |wait: &str| {
        let output = program(&["check", "--wait", wait], folder.path(), ANY).output().await.unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, said) = check("600ms").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there are still things open"), "{said}");
    let confirm = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        ledgers.run("order", "UPDATE orders SET step = 'CONFIRMED' WHERE id = 'o1'").await;
    };
    let ((code, said), ()) = tokio::join!(check("20s"), confirm);
    assert_eq!(code, Some(0), "{said}");
    for wait in ["soon", "60", "-1s"] {
        assert_eq!(check(wait).await.0, Some(2), "{wait}");
    }
}

#[tokio::test]
async fn a_shop_that_sells_is_in_order_and_one_that_was_meddled_with_is_not() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let mut orders = Vec::new();
    for (key, items) in [("a", [("tea-mint", 1)]), ("b", [("tea-mint", 2)]), ("c", [("cup-bowl", 1)])] {
        let order = ada.order(key, &items).await;
        assert_eq!(order.status, 201, "{order:?}");
        orders.push(order.text("id").to_owned());
    }
    ada.cancel(&orders[1]).await;
    assert_eq!(ada.settled(&orders[1]).await["status"], "CANCELLED");
    let at_rest = program(&["check", "--wait", "20s"], folder.path(), ANY).output().await.unwrap();
    let said = String::from_utf8([at_rest.stdout, at_rest.stderr].concat()).unwrap();
    assert_eq!(at_rest.status.code(), Some(0), "{said}");
    assert!(said.contains("3 orders: 0 PENDING, 0 RESERVED, 0 PAID, 2 CONFIRMED,"), "{said}");
    assert!(said.contains("All 11 invariants hold."), "{said}");
    assert_eq!(shop.stop("TERM").await, Some(0));
    assert_eq!(check(folder.path()).await.0, Some(0), "closed, it is still in order");

    let mut ledgers = Ledgers::of(folder.path());
    let [first, second, third] = orders.as_slice() else { unreachable!() };
    let statement = format!("UPDATE payments SET state = 'STATE_REFUNDED' WHERE order_id = '{first}'");
    ledgers.run("payment", &statement).await;
    let statement = format!("UPDATE reservations SET state = 'HELD' WHERE id = '{second}'");
    ledgers.run("product", &statement).await;
    ledgers.close().await;
    let (code, said, json) = check(folder.path()).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(first) && said.contains(second) && !said.contains(third), "{said}");
    let broken = json["invariants"].as_array().unwrap().iter().filter(|it| it["state"] == "broken").count();
    assert!(broken >= 2, "{said}");
}

/// Orders are placed and sent back all the while, so that every reading meets some half-way.
#[tokio::test]
async fn a_shop_in_motion_is_not_accused() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let mut checks = 0;
    let trade = async {
        for key in 0.. {
            let order = ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await;
            ada.cancel(order.text("id")).await;
        }
    };
    let watch = async {
        while checks < 8 {
            let (code, said, _) = check(folder.path()).await;
            assert_eq!(code, Some(0), "{said}");
            checks += 1;
        }
    };
    tokio::select! {
        () = trade => {}
        () = watch => {}
    }
}
