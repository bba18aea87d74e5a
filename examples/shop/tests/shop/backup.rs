//! A shop that is copied while it sells, and what is made of the copy.

use super::customer::Customer;
use super::process::{LONG, Shop, folder, free_base, program};
use super::stores;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::time::timeout;

/// It asks no port, so it may be that of another shop.
const ANY: u16 = 8080;

/// Runs a command on a data folder, and returns the exit code and what it says.
async fn run(args: &[&str], folder: &Path) -> (Option<i32>, String) {
    let output =
        timeout(3 * LONG, program(args, folder, ANY).output()).await.expect("it ends in time").unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn done(args: &[&str], folder: &Path) -> String {
    let (code, said) = run(args, folder).await;
    assert_eq!(code, Some(0), "{args:?}: {said}");
    said
}

/// Checks that a command is refused in one sentence, which says this.
async fn refused(args: &[&str], folder: &Path, says: &str) {
    let (code, said) = run(args, folder).await;
    assert_eq!((code, said.trim_end().lines().count()), (Some(1), 1), "{args:?}: {said}");
    assert!(said.contains(says) && !said.contains("panicked"), "{args:?}: {said}");
}

/// The names of everything below a folder.
fn everything(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(everything(&entry.path()).iter().map(|below| format!("{name}/{below}")));
        }
        found.insert(name);
    }
    found
}

/// The orders of customers, in every state, all the while.
#[tokio::test]
async fn a_shop_that_sells_is_copied_whole() {
    if !stores::are_files() {
        return;
    }
    let (folder, copies) = (folder(), folder());
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let mut told = Vec::new();
    for key in 0..3 {
        let order = ada.order(&format!("early-{key}"), &[("tea-mint", 1)]).await;
        assert_eq!(order.status, 201, "{order:?}");
        told.push(order.text("id").to_owned());
    }
    // They come whether or not the shop keeps up, and write down what they are told.
    let load = ["load", "--rps", "40", "--for", "8s", "--orders", "0.6"];
    let load = program(&load, folder.path(), shop.base).spawn().unwrap();
    let journal = folder.path().join("load.journal");
    let begun = async {
        while fs::metadata(&journal).map_or(0, |journal| journal.len()) < 1000 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, begun).await.expect("somebody orders");
    let backups = ["first", "second", "third"].map(|name| copies.path().join(name));
    for backup in &backups {
        let said = done(&["backup", backup.to_str().unwrap()], folder.path()).await;
        assert!(said.starts_with("8 stores and 2 other files"), "{said}");
        assert_eq!(fs::metadata(backup.join("user.db")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(shop.http.get(shop.url("/readyz")).send().await.unwrap().status(), 200);
    drop(load);
    let email = ada.email.clone();
    assert_eq!(shop.stop("TERM").await, Some(0));

    for backup in &backups {
        let restored = copies.path().join("restored");
        done(&["restore", backup.to_str().unwrap(), "--force"], &restored).await;
        // What was half-way then goes on now.
        let shop = Shop::open(&restored).await;
        let said = done(&["check", "--wait", "40s"], &restored).await;
        assert!(said.contains("All 11 invariants hold."), "{said}");
        let ada = Customer::log_in(&shop, email.clone()).await;
        for order in &told {
            assert_eq!(ada.get(&format!("/api/v1/orders/{order}")).await.text("status"), "CONFIRMED");
        }
        assert_eq!(shop.stop("TERM").await, Some(0));
    }
}

#[tokio::test]
async fn nothing_is_restored_over_something() {
    if !stores::are_files() {
        return;
    }
    let (folder, copies) = (folder(), folder());
    let shop = Shop::open(folder.path()).await;
    let backup = copies.path().join("backup");
    let backup = backup.to_str().unwrap();
    done(&["backup", backup], folder.path()).await;
    refused(&["backup", backup], folder.path(), "it is not empty").await;
    for args in [&["restore", backup][..], &["restore", backup, "--force"]] {
        refused(args, folder.path(), "a shop is open on ").await;
    }
    assert_eq!(shop.stop("TERM").await, Some(0));
    refused(&["restore", backup], folder.path(), "is not empty: ").await;

    let other = copies.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine"), "mine").unwrap();
    let said = done(&["restore", backup, "--force"], &other).await;
    let aside = said.lines().nth(1).and_then(|line| line.strip_prefix("what was there is in ")).expect(&said);
    assert_eq!(fs::read_to_string(Path::new(aside).join("mine")).unwrap(), "mine");
    assert!(!other.join("mine").exists() && other.join("order.db").exists());
    done(&["check"], &other).await;
}

#[tokio::test]
async fn what_is_torn_is_not_restored() {
    if !stores::are_files() {
        return;
    }
    let (folder, copies) = (folder(), folder());
    let shop = Shop::open(folder.path()).await;
    assert_eq!(shop.stop("TERM").await, Some(0));
    let backup = copies.path().join("backup");
    done(&["backup", backup.to_str().unwrap()], folder.path()).await;
    let (args, fresh) = (["restore", backup.to_str().unwrap()], copies.path().join("fresh"));
    let before = everything(copies.path());
    for name in ["payment.db", "manifest.json"] {
        let file = backup.join(name);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        refused(&args, &fresh, name).await;
        fs::remove_file(&file).unwrap();
        refused(&args, &fresh, name).await;
        fs::write(&file, &whole).unwrap();
    }
    // A byte of a page that nobody looks at.
    let mut store = fs::read(backup.join("order.db")).unwrap();
    *store.last_mut().unwrap() ^= 1;
    fs::write(backup.join("order.db"), &store).unwrap();
    refused(&args, &fresh, "order.db").await;
    // Somebody else's manifest names a file of somebody else's.
    let manifest = fs::read_to_string(backup.join("manifest.json")).unwrap();
    fs::write(backup.join("manifest.json"), manifest.replace("order.db", "../order.db")).unwrap();
    refused(&args, &fresh, "is no name of a file in it").await;
    assert_eq!(everything(copies.path()), before, "nothing is left behind");
}

#[tokio::test]
async fn what_is_not_in_files_is_not_copied_in_part() {
    let (folder, backup) = (folder(), folder());
    let there = backup.path().join("backup");
    for (name, url, says) in [
        ("ORDER_DATABASE_URL", "postgres://shop:s3cret@127.0.0.1:5432/shop", "by pg_dump or mariadb-dump"),
        ("AMQP_URL", "amqp://shop:s3cret@127.0.0.1", "AMQP_URL is set: "),
    ] {
        let mut process = program(&["backup", there.to_str().unwrap()], folder.path(), free_base());
        let process = process.env_remove("DATABASE_URL").env_remove("AMQP_URL").env(name, url);
        let output = process.output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && !said.contains("s3cret"), "{said}");
    }
    if stores::are_files() {
        refused(&["backup", there.to_str().unwrap()], folder.path(), "there is nothing to back up").await;
    }
    assert_eq!(backup.path().read_dir().unwrap().count(), 0, "nothing was written");
}
