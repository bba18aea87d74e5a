//! A file that is written, replaced, moved, broken and deleted under a policy.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_policy::{Policy, PolicyClientLayer, PolicyError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// A folder of one test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("bartizan-policy-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const LONG: Duration = Duration::from_secs(3600);

fn text(retries: u32) -> String {
    format!("[clients.stock]\nretry.max_retries = {retries}\n")
}

fn open(path: &Path) -> (Policy, PolicyClientLayer) {
    let policy = Policy::open(path).unwrap();
    let stock = policy.client("stock").unwrap();
    (policy, stock)
}

fn retries(stock: &PolicyClientLayer) -> u32 {
    stock.handle().stack().retry_value().most_retries()
}

/// What is said, without the folder.
fn said(folder: &Folder, error: &PolicyError) -> String {
    error.to_string().replace(folder.0.to_str().unwrap(), "")
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_over_by_itself() {
    let folder = Folder::new();
    let path = folder.at("bartizan.toml");
    fs::write(&path, text(1)).unwrap();
    let (policy, stock) = open(&path);
    policy.watch(Duration::from_millis(50)).unwrap();
    for (change, expected) in [(text(2), 2), (text(3), 3)] {
        fs::write(folder.at("new"), change).unwrap();
        fs::rename(folder.at("new"), &path).unwrap();
        for _ in 0..1000 {
            if retries(&stock) == expected {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(retries(&stock), expected);
    }
    let snapshot = policy.handle().snapshot();
    assert_eq!(snapshot.version, 2);
    assert_eq!(snapshot.source.as_deref(), path.to_str());
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_leaves_the_old_one() {
    let folder = Folder::new();
    let path = folder.at("bartizan.toml");
    fs::write(&path, text(1)).unwrap();
    let (policy, stock) = open(&path);
    policy.watch(LONG).unwrap();

    fs::write(&path, "[clients.stock]\nretry.max_retries = \n").unwrap();
    let error = policy.refresh().await.unwrap_err();
    let expected = "/bartizan.toml, line 2: string values must be quoted, expected literal string";
    assert_eq!((said(&folder, &error).as_str(), error.at_line()), (expected, Some(2)));
    assert_eq!(retries(&stock), 1);

    // Written only in part, it is wrong for as long.
    fs::write(&path, &text(2)[..30]).unwrap();
    assert!(policy.refresh().await.is_err());
    fs::write(&path, text(2)).unwrap();
    policy.refresh().await.unwrap();
    assert_eq!((retries(&stock), policy.handle().snapshot().error), (2, None));

    fs::remove_file(&path).unwrap();
    let error = policy.refresh().await.unwrap_err();
    assert!(said(&folder, &error).starts_with("/bartizan.toml: cannot be read: "), "{error}");
    fs::create_dir(&path).unwrap();
    let error = policy.refresh().await.unwrap_err();
    assert_eq!(said(&folder, &error), "/bartizan.toml: cannot be read: it is no file");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = policy.refresh().await.unwrap_err();
    assert_eq!(said(&folder, &error), "/bartizan.toml: cannot be read: it is not UTF-8");
    assert_eq!(retries(&stock), 2);

    let snapshot = policy.handle().snapshot();
    assert_eq!((snapshot.refused, snapshot.unreachable), (2, 3));

    fs::write(&path, text(3)).unwrap();
    policy.refresh().await.unwrap();
    assert_eq!(retries(&stock), 3);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_may_be_moved() {
    use std::os::unix::fs::symlink;
    // As Kubernetes does: the file is a link through a link, which is replaced.
    let folder = Folder::new();
    for (version, retries) in [("..1", 1), ("..2", 2)] {
        fs::create_dir(folder.at(version)).unwrap();
        fs::write(folder.at(version).join("bartizan.toml"), text(retries)).unwrap();
    }
    symlink("..1", folder.at("..data")).unwrap();
    symlink("..data/bartizan.toml", folder.at("bartizan.toml")).unwrap();
    let (policy, stock) = open(&folder.at("bartizan.toml"));
    policy.watch(LONG).unwrap();
    assert_eq!(retries(&stock), 1);

    symlink("..2", folder.at("..new")).unwrap();
    fs::rename(folder.at("..new"), folder.at("..data")).unwrap();
    policy.refresh().await.unwrap();
    assert_eq!(retries(&stock), 2);
}

#[tokio::test(start_paused = true)]
async fn json_is_told_by_its_name_and_nothing_else_is_watched() {
    let folder = Folder::new();
    let path = folder.at("bartizan.JSON");
    fs::write(&path, "{ \"clients\": { \"stock\": {} } }").unwrap();
    open(&path);
    let error = Policy::open(folder.at("none.toml")).unwrap_err();
    assert!(said(&folder, &error).starts_with("/none.toml: cannot be read: "), "{error}");
    let error = Policy::empty().watch(LONG).unwrap_err();
    assert_eq!(error.to_string(), "there is no file to be watched: the policy was not opened from one");
    // Without a source there is nothing to ask.
    Policy::empty().refresh().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_policy() {
    let folder = Folder::new();
    let path = folder.at("bartizan.toml");
    fs::write(&path, text(1)).unwrap();
    let (policy, stock) = open(&path);
    policy.watch(Duration::from_millis(1)).unwrap();
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive(), 1);
    drop(policy);
    for _ in 0..1000 {
        if alive() == 0 {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((alive(), retries(&stock)), (0, 1));
}
