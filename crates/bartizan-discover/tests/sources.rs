//! DNS and files, which know how to keep the last good set.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Change, Instant, Member};
use bartizan_discover::{Dns, Error, File, Fixed};
use futures_util::{FutureExt, Stream, StreamExt};
use http::Uri;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answers = VecDeque<io::Result<Vec<SocketAddr>>>;

/// A source that is given these answers, the last of them for ever, and the times at which it asked.
fn dns(answers: Answers) -> (Dns, Arc<Mutex<Vec<Duration>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (times, answers, start) = (asked.clone(), Mutex::new(answers), Instant::now());
    let resolver = move |host: String, port| {
        assert_eq!((host.as_str(), port), ("product.internal", 8080));
        times.lock().unwrap().push(Instant::now() - start);
        let mut answers = answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            Ok(answers[0].as_ref().unwrap().clone())
        };
        async move { answer }
    };
    let source = Dns::new("http://product.internal:8080").resolver(resolver).jitter(0.0).seed(7);
    (source, asked)
}

fn at(addresses: &[&str]) -> io::Result<Vec<SocketAddr>> {
    Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

fn set(uris: &[&'static str]) -> Change<Uri> {
    Change::set(uris.iter().map(|uri| Uri::from_static(uri)))
}

async fn change<S: Stream<Item = Result<Change<Uri>, Error>> + Unpin>(source: &mut S) -> Change<Uri> {
    source.next().await.unwrap().unwrap()
}

async fn error<S: Stream<Item = Result<Change<Uri>, Error>> + Unpin>(source: &mut S) -> String {
    source.next().await.unwrap().unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn dns_tells_all_addresses_and_only_what_is_new() {
    let (mut dns, asked) = dns(VecDeque::from([
        at(&["10.0.0.2:8080", "10.0.0.1:8080", "[::1]:8080", "10.0.0.2:8080"]),
        at(&["10.0.0.1:8080", "[::1]:8080", "10.0.0.2:8080"]),
        at(&["10.0.0.1:8080"]),
    ]));
    let (one, two, six) = ("http://10.0.0.1:8080", "http://10.0.0.2:8080", "http://[::1]:8080");
    assert_eq!(change(&mut dns).await, set(&[one, two, six]));
    assert_eq!(change(&mut dns).await, set(&[one]));
    assert_eq!(*asked.lock().unwrap(), [0, 30, 60].map(Duration::from_secs), "the second answer is no news");
}

#[tokio::test(start_paused = true)]
async fn dns_that_fails_is_asked_sooner_and_tells_no_empty_set() {
    let (mut dns, asked) = dns(VecDeque::from([
        at(&["10.0.0.1:8080"]),
        Err(io::Error::other("no server")),
        at(&[]),
        at(&["10.0.0.1:0"]),
        at(&["10.0.0.1:8080"]),
        at(&["10.0.0.2:8080"]),
    ]));
    change(&mut dns).await;
    let failed = dns.next().await.unwrap().unwrap_err();
    assert_eq!(failed.to_string(), "dns product.internal: cannot be resolved");
    assert_eq!(std::error::Error::source(&failed).unwrap().to_string(), "no server");
    assert_eq!(error(&mut dns).await, "dns product.internal: has no address");
    assert_eq!(error(&mut dns).await, "dns product.internal: has no address");
    assert_eq!(change(&mut dns).await, set(&["http://10.0.0.2:8080"]), "the set from before is no news");
    let asked = asked.lock().unwrap();
    let waits: Vec<_> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    for (wait, most) in waits.iter().zip([30.0, 1.0, 2.0, 4.0, 30.0]) {
        let least = if most == 30.0 { most } else { most / 2.0 };
        // Timers are rounded up to whole milliseconds.
        assert!((least..=most + 0.002).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dns_whose_resolver_panics_is_asked_again() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let mut dns = Dns::new("http://product:80").resolver(move |_, port| {
        let first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        assert!(!first, "as told");
        async move { Ok(vec![([10, 0, 0, 1], port).into()]) }
    });
    assert!(error(&mut dns).await.contains("cannot be resolved"));
    assert_eq!(change(&mut dns).await, set(&["http://10.0.0.1:80"]));
}

#[tokio::test(start_paused = true)]
async fn dns_that_hangs_is_an_error_each_time() {
    let start = Instant::now();
    let mut dns =
        Dns::new("http://a").resolver(|_, _| std::future::pending()).time_out(Duration::from_secs(3));
    assert_eq!(error(&mut dns).await, "dns a: did not resolve in time");
    assert!(start.elapsed_by(Duration::from_secs(3)));
    assert_eq!(error(&mut dns).await, "dns a: did not resolve in time");
}

trait ElapsedBy {
    fn elapsed_by(&self, time: Duration) -> bool;
}

impl ElapsedBy for Instant {
    /// Whether it is that long ago, give or take the milliseconds of a timer.
    fn elapsed_by(&self, time: Duration) -> bool {
        let gone = Instant::now() - *self;
        (time..time + Duration::from_millis(5)).contains(&gone)
    }
}

#[tokio::test]
async fn dns_asks_the_system() {
    let mut dns = Dns::new("http://localhost:8080/base");
    let Change::Set(members) = change(&mut dns).await else { panic!("no set") };
    let of_loopback = ["http://127.0.0.1:8080/base", "http://[::1]:8080/base"].map(Uri::from_static);
    assert!(
        !members.is_empty() && members.iter().all(|member| of_loopback.contains(&member.key)),
        "{members:?}"
    );
    let mut literal = Dns::new("http://[::1]:8080");
    assert_eq!(change(&mut literal).await, set(&["http://[::1]:8080"]));
}

#[test]
fn what_is_no_place_is_refused() {
    for wrong in ["product", "product:8080", "/product", ""] {
        assert!(Dns::try_new(wrong).is_err(), "{wrong}");
    }
    assert!(format!("{:?}", Dns::new("http://a")).contains("http://a"));
}

#[tokio::test]
async fn a_fixed_set_is_told_once() {
    let mut fixed = Fixed::new([Member::new(Uri::from_static("http://a")).tier(1)]);
    assert!(matches!(fixed.next().await, Some(Ok(Change::Set(set))) if set.len() == 1));
    assert!(fixed.next().now_or_never().is_none());
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bartizan-discover-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Replaces a file as a whole.
    fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.path("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn file(path: &Path) -> File {
    File::new(path).every(Duration::from_millis(5))
}

#[tokio::test]
async fn a_file_is_read_again_when_it_is_replaced() {
    let folder = Folder::new("replaced");
    let mut file = file(&folder.path("members"));
    assert!(
        error(&mut file).await.ends_with("members: cannot be read: No such file or directory (os error 2)")
    );
    folder.replace("members", "http://b weight=3\nhttp://a\n");
    let (a, b) = (Uri::from_static("http://a"), Uri::from_static("http://b"));
    assert_eq!(
        change(&mut file).await,
        Change::set([Member::new(a.clone()), Member::new(b.clone()).weight(3)])
    );
    // The same in another order is no news, so the next is what is told.
    folder.replace("members", "http://a # first\nhttp://b weight=3");
    assert!(tokio::time::timeout(Duration::from_millis(100), file.next()).await.is_err());
    folder.replace("members", "http://b draining");
    assert_eq!(change(&mut file).await, Change::set([Member::new(b).draining(true)]));
    assert_ne!(set(&["http://a"]), Change::set([Member::new(a).draining(true)]));
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_once_and_the_last_set_holds() {
    let folder = Folder::new("wrong");
    folder.replace("members", "http://a\n");
    let mut file = file(&folder.path("members"));
    assert_eq!(change(&mut file).await, set(&["http://a"]));
    let long = "#".repeat((4 << 20) + 1);
    for (content, what) in [
        (
            &b"http://a\nhttp://b weight=many\n"[..],
            "members: line 2: weight=many is no whole number from 0 on",
        ),
        (b"# nobody\n", "members: names no member"),
        (b"", "members: names no member"),
        (b"http://a\n\xff", "members: line 2: is not in UTF-8"),
        (long.as_bytes(), "members: cannot be read: it is longer than 4 MiB"),
    ] {
        folder.replace("members", content);
        let told = error(&mut file).await;
        assert!(told.starts_with("file /") && told.ends_with(what), "{told}");
    }
    assert!(tokio::time::timeout(Duration::from_millis(60), file.next()).await.is_err(), "it is told once");
    std::fs::remove_file(folder.path("members")).unwrap();
    assert!(error(&mut file).await.contains("cannot be read"));
    std::fs::create_dir(folder.path("members")).unwrap();
    assert!(error(&mut file).await.ends_with("it is no file"));
    std::fs::remove_dir(folder.path("members")).unwrap();
    assert!(error(&mut file).await.contains("No such file"));
    folder.replace("members", "http://a\n");
    assert!(tokio::time::timeout(Duration::from_millis(60), file.next()).await.is_err(), "it is what it was");
    folder.replace("members", "http://c\n");
    assert_eq!(change(&mut file).await, set(&["http://c"]));
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_may_move_by_its_link_as_a_config_map_does() {
    let folder = Folder::new("linked");
    for (version, content) in [("..v1", "http://a"), ("..v2", "http://b")] {
        std::fs::create_dir(folder.path(version)).unwrap();
        std::fs::write(folder.path(version).join("members"), content).unwrap();
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, folder.path("..new")).unwrap();
        std::fs::rename(folder.path("..new"), folder.path("..data")).unwrap();
    };
    link("..v1");
    std::os::unix::fs::symlink("..data/members", folder.path("members")).unwrap();
    let mut file = file(&folder.path("members"));
    assert_eq!(change(&mut file).await, set(&["http://a"]));
    link("..v2");
    assert_eq!(change(&mut file).await, set(&["http://b"]));
}
