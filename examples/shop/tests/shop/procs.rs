//! `up --procs`: services that are processes of their own.

use super::customer::{Customer, say};
use super::fare::Fare;
use super::ops::{Ops, check, until};
use super::process::{LONG, Shop, folder, free_base, program, stderr};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use tokio::process::Command;
use tokio::time::timeout;

const INSTANCES: [&str; 10] = [
    "bank",
    "gateway",
    "mail",
    "order",
    "payment-1",
    "payment-2",
    "payment-3",
    "product-1",
    "product-2",
    "user",
];

/// The processes of the services, by instance.
pub fn pids(folder: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(folder.join("pids")).unwrap().map(Result::unwrap);
    let pid = |file: fs::DirEntry| {
        let pid = fs::read_to_string(file.path()).ok().filter(|pid| !pid.is_empty())?;
        Some((file.file_name().into_string().unwrap(), pid))
    };
    files.filter_map(pid).collect()
}

/// Sends a signal to an instance; false when it is not there at the moment.
pub async fn hit(folder: &Path, instance: &str, signal: &str) -> bool {
    let Some(pid) = pids(folder).remove(instance) else { return false };
    let killed = Command::new("kill").args([&format!("-{signal}"), &pid]).output().await;
    killed.expect("there is a kill").status.success()
}

/// How the system says that a process is: R, S, T and so on; none when there is no such process.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next().filter(|state| *state != 'Z')
}

#[tokio::test]
async fn a_service_that_is_killed_is_there_again_and_nothing_is_lost() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let before = pids(folder.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), INSTANCES.iter().collect::<Vec<_>>());
    assert_eq!(ada.order("before", &[("tea-mint", 1)]).await.status, 201);
    for instance in INSTANCES {
        assert!(hit(folder.path(), instance, "KILL").await, "{instance}");
        until("another process", async || {
            pids(folder.path()).get(instance).is_some_and(|pid| *pid != before[instance])
        })
        .await;
        ops.until("service", instance, "up").await;
    }
    for service in ops.layers("service", "").await {
        let name = service["name"].as_str().unwrap();
        let child = INSTANCES.contains(&name);
        assert_eq!(service["numbers"]["restarts"], u8::from(child), "{service}");
        assert_eq!(
            service["note"].as_str().is_some_and(|note| note.contains("signal 9")),
            child,
            "{service}"
        );
        let pid = pids(folder.path()).get(name).map(|pid| pid.parse::<f64>().unwrap());
        assert_eq!(service["numbers"]["pid"].as_f64(), pid, "{service}");
    }
    let order = super::survives::insist(&ada, "after", "tea-mint").await;
    assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
    check(folder.path(), shop.base).await;
    assert_eq!(shop.stop("TERM").await, Some(0));
    assert_eq!(pids(folder.path()), BTreeMap::new());
    assert!(before.values().all(|pid| state(pid).is_none()));
}

/// Who connects while nobody is there waits, and is answered.
#[tokio::test]
async fn a_crash_loop_is_told_and_keeps_its_port() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let ops = Ops(&shop);
    until("a crash loop", async || {
        hit(folder.path(), "gateway", "KILL").await;
        ops.states("service", "gateway").await == ["crash loop"]
    })
    .await;
    let taken = TcpListener::bind(("127.0.0.1", shop.base));
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
    let note = ops.layers("service", "gateway").await.remove(0)["note"].as_str().unwrap().to_owned();
    assert!(note.contains("times in a row: ") && note.contains("signal 9"), "{note}");
    let said = say(shop.http.get(shop.url("/api/v1/products"))).await;
    assert_eq!(said.status, 200, "{said:?}");
    assert_eq!(ops.states("service", "").await, vec!["up"; 13]);
}

#[tokio::test]
async fn faults_of_processes_are_done_to_processes() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let pid = pids(folder.path())["product-1"].clone();
    ops.set("product-1", "pause", json!({ "ttl_s": 600 })).await;
    until("it is held", async || state(&pid) == Some('T')).await;
    assert_eq!(ops.states("service", "product-1").await, ["paused"]);
    ops.clear().await;
    until("it goes on", async || state(&pid).is_some_and(|state| state != 'T')).await;
    ops.set("product-1", "kill", json!({ "ttl_s": 600 })).await;
    assert_eq!((state(&pid), ops.states("service", "product-1").await), (None, vec!["killed".to_owned()]));
    assert!(!pids(folder.path()).contains_key("product-1"));
    assert_eq!(ada.get("/api/v1/products").await.status, 200, "the other one answers");
    ops.clear().await;
    assert_eq!(ops.states("service", "product").await, ["up", "up"]);
    for (target, kind) in [("registry", "registry_down"), ("config", "config_down")] {
        ops.set(target, kind, json!({ "ttl_s": 600 })).await;
        assert_eq!(ops.states("service", target).await, ["killed"]);
        assert!(hit(folder.path(), "user", "KILL").await);
        until("who starts meanwhile is well", async || {
            ops.layers("service", "user").await[0]["numbers"]["ready"] == 1
        })
        .await;
        let order = super::survives::insist(&ada, kind, "tea-mint").await;
        assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED", "{kind}");
        ops.clear().await;
    }
    check(folder.path(), shop.base).await;
}

/// Customers browse and order while processes are replaced.
#[tokio::test]
async fn nobody_notices_a_new_process() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let before = pids(folder.path());
    let restarts = async {
        for (target, kind) in [
            ("gateway", "restart"),
            ("order", "restart"),
            ("user", "restart"),
            ("product", "rolling"),
            ("payment", "rolling"),
        ] {
            ops.set(target, kind, json!({})).await;
        }
    };
    let fare = Fare::default();
    tokio::select! {
        never = fare.shop(&ada) => never,
        () = restarts => {}
    }
    fare.is_good();
    super::survives::insist(&ada, "after", "tea-mint").await;
    let after = pids(folder.path());
    let same: Vec<_> = INSTANCES.into_iter().filter(|it| after.get(*it) == before.get(*it)).collect();
    assert_eq!(same, ["bank", "mail"]);
    until("the old ones leave", async || {
        before.iter().all(|(name, pid)| after[name] == *pid || state(pid).is_none())
    })
    .await;
    check(folder.path(), shop.base).await;
}

#[tokio::test]
async fn children_end_with_the_shop_however_it_ends() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let children = pids(folder.path());
    assert_eq!(children.len(), INSTANCES.len());
    let mut another = program(&["run", "mail"], folder.path(), free_base()).spawn().unwrap();
    let said = stderr(&mut another).await;
    assert!(said.contains("another mail runs on"), "{said}");
    assert_eq!(shop.stop("KILL").await, None);
    until("all end", async || children.values().all(|pid| state(pid).is_none())).await;
    let again = Shop::open_procs(folder.path()).await;
    assert_eq!(again.stop("INT").await, Some(0));
}

#[tokio::test]
async fn who_cannot_start_says_why() {
    let folder = folder();
    // What they are told about their layers is kept in a folder of this name.
    fs::write(folder.path().join("config"), "").unwrap();
    let mut process = program(&["up", "--procs"], folder.path(), free_base()).spawn().unwrap();
    let said = stderr(&mut process).await;
    assert_eq!(
        timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(),
        Some(1),
        "{said}"
    );
    assert!(
        said.starts_with("shop: bank did not start: ") && said.contains("config cannot be used"),
        "{said}"
    );
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[tokio::test]
async fn a_socket_that_is_none_is_a_sentence() {
    for (value, why) in [("stdin", "is no listening socket"), ("fd3", "SHOP_LISTENER must be stdin")] {
        let folder = folder();
        let mut user = program(&["run", "user"], folder.path(), free_base());
        let said = stderr(&mut user.env("SHOP_LISTENER", value).spawn().unwrap()).await;
        assert!(said.starts_with("shop: ") && said.contains(why), "{said}");
    }
}
