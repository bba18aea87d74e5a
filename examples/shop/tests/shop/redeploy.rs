//! Another version of the program is put in the place of the one that runs.

use super::customer::{Customer, say};
use super::fare::Fare;
use super::ops::{Ops, check, command};
use super::process::{LONG, Shop, TOKEN, folder};
use super::procs::{hit, pids};
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What the processes of the services run.
fn programs(folder: &Path) -> Vec<PathBuf> {
    pids(folder).values().filter_map(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok()).collect()
}

fn program() -> PathBuf {
    std::env::var_os("SHOP_BIN").unwrap_or(env!("CARGO_BIN_EXE_shop").into()).into()
}

#[tokio::test]
async fn a_new_version_takes_over_and_nobody_notices_and_a_bad_one_changes_nothing() {
    let (home, elsewhere) = (folder(), folder());
    let copy = elsewhere.path().join("shop-next");
    fs::copy(program(), &copy).unwrap();
    let shop = Shop::open_procs(home.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let redeploy =
        async |binary: &str| command(&["redeploy", "--binary", binary], home.path(), shop.base).await;
    let (before, fare) = (pids(home.path()), Fare::default());
    let (code, said) = tokio::select! {
        never = fare.shop(&ada) => never,
        done = redeploy(copy.to_str().unwrap()) => done,
    };
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("deployment 2: 10 instances run ") && said.contains("shop-next"), "{said}");
    let after = pids(home.path());
    assert_eq!(after.len(), 10);
    assert!(after.iter().all(|(name, pid)| before[name] != *pid), "{before:?} {after:?}");
    let copied = fs::canonicalize(&copy).unwrap();
    assert_eq!(programs(home.path()), vec![copied.clone(); 10]);
    let deployments = async || {
        let services = ops.layers("service", "").await;
        let numbers = services.into_iter().map(|it| it["numbers"].clone());
        numbers.filter(|it| it["pid"].is_number()).collect::<Vec<_>>()
    };
    let shown = deployments().await;
    assert!(shown.iter().all(|it| it["deployment"] == 2 && it["built_at"].as_f64() > Some(0.0)), "{shown:?}");

    // Neither what cannot start nor what is not there changes anything.
    let running = pids(home.path());
    for (binary, why) in [("/bin/false", "bank did not start"), ("/nowhere/shop", "cannot be used")] {
        let (code, said) = redeploy(binary).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("422") && said.contains(why), "{said}");
    }
    assert_eq!(pids(home.path()), running);

    // Those that took over before one could not start go back, and nobody notices that either.
    let picky = elsewhere.path().join("picky");
    fs::write(
        &picky,
        format!("#!/bin/sh\n[ \"$2\" = user ] && exit 7\nexec '{}' \"$@\"\n", program().display()),
    )
    .unwrap();
    fs::set_permissions(&picky, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = tokio::select! {
        never = fare.shop(&ada) => never,
        done = redeploy(picky.to_str().unwrap()) => done,
    };
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("user did not start: it ended with exit code 7; all run what they"), "{said}");
    let running = pids(home.path());
    assert_eq!(programs(home.path()), vec![copied; 10]);

    // Who falls over runs what was deployed last, even when that is gone from the disk.
    fs::remove_file(&copy).unwrap();
    assert!(hit(home.path(), "user", "KILL").await);
    let back = async {
        while pids(home.path()).get("user").is_none_or(|pid| *pid == running["user"]) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, back).await.expect("it is there again");
    ops.until("service", "user", "up").await;
    let shown = deployments().await;
    assert!(shown.len() == 10 && shown.iter().all(|it| it["deployment"] == 2), "{shown:?}");
    fare.is_good();
    check(home.path(), shop.base).await;
}

#[tokio::test]
async fn who_may_not_or_cannot_redeploy_is_told_so() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let post = |wish: Value| Ops(&shop).request(Method::POST, "/redeploy").json(&wish);
    say(post(json!({}))).await.is_problem(401);
    say(post(json!({ "program": "/bin/true" })).bearer_auth(TOKEN)).await.is_problem(422);
    let said = say(post(json!({})).bearer_auth(TOKEN)).await;
    said.is_problem(409);
    assert!(said.text("detail").contains("--procs"), "{said:?}");
}
