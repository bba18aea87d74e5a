//! Rows O29 to O32: what endpoints say of themselves.

use crate::host::{Does, OK};
use crate::town::{Town, play, play_http};
use crate::{MS, ROWS, SECOND, calm, ejecting, told};
use bartizan_balance::{Change, Choice, Health, Member};
use bartizan_discover::{Fixed, Heartbeats, Probe};
use conformance::Events;
use futures_util::StreamExt;
use http::Uri;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

type Answer = Result<Health, io::Error>;

const PASSES: Answer = Ok(Health::Up);

fn fails() -> Answer {
    Err(io::ErrorKind::ConnectionRefused.into())
}

/// Has heartbeats of `a` tell the balancer how it is, until the guard is dropped.
fn watch<P: Probe + Sync>(town: &Town, heartbeats: Heartbeats<P>) -> Watch {
    let mut changes = heartbeats.jitter(0.0).watch(Fixed::new([Uri::from_static("http://a")]));
    let handle = town.handle.clone();
    Watch(tokio::spawn(async move {
        while let Some(Ok(change)) = changes.next().await {
            if let Change::Health(_, health) = change {
                handle.change(Change::Health('a', health));
            }
        }
    }))
}

struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers by a script, and then as it ends.
fn script(answers: &'static str) -> impl Fn(Uri) -> std::future::Ready<Answer> + Clone + Send + Sync {
    let at = Arc::new(AtomicU32::new(0));
    move |_| {
        let at = at.fetch_add(1, SeqCst) as usize;
        std::future::ready(match answers.as_bytes()[at.min(answers.len() - 1)] {
            b'S' => PASSES,
            _ => fails(),
        })
    }
}

/// Looks at the end of each turn how the balancer takes it to be.
async fn states(town: &Town, turns: usize) -> String {
    let mut states = String::new();
    sleep(MS).await;
    for _ in 0..turns {
        let one = town.endpoint('a');
        assert_eq!(one.usable, one.health != Health::Down);
        states.push(match one.health {
            Health::Unknown => '?',
            Health::Up => 'H',
            Health::Down => 'U',
            Health::Draining => 'D',
        });
        sleep(SECOND).await;
    }
    states
}

#[tokio::test(start_paused = true)]
async fn o29_hysteresis() {
    play(calm(), "ab", async |town| {
        let events = Events::record();
        let heartbeats = Heartbeats::new(script("SFFSFFFSS")).every(SECOND).rise(2).fall(3);
        let _watch = watch(town, heartbeats);
        // The first one makes it healthy, as the row begins.
        assert_eq!(states(town, 9).await, "HHHHHHUUH");
        assert_eq!(told(events), ["endpoint heard a"; 3], "once for each change");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o30_first_verdict() {
    play(calm(), "ab", async |town| {
        assert_eq!((town.endpoint('a').health, town.endpoint('a').usable), (Health::Unknown, true));
        assert!(town.calls(100).await[&'a'] > 0);
        let _watch = watch(town, Heartbeats::new(script("FS")).every(SECOND).rise(2).fall(3));
        assert_eq!(states(town, 3).await, "UUH");
    })
    .await;
    play(calm(), "ab", async |town| {
        let _watch = watch(town, Heartbeats::new(script("S")).every(SECOND).rise(100).fall(3));
        assert_eq!(states(town, 1).await, "H");
        town.handle.change(Change::Insert(Member::new('c')));
        assert_eq!(town.endpoint('c').health, Health::Unknown, "nobody has asked it");
    })
    .await;
    play(calm(), "ab", async |town| {
        let _watch = watch(town, Heartbeats::new(script("F")).every(SECOND).rise(2).fall(100));
        assert_eq!(states(town, 1).await, "U");
        assert_eq!(town.calls(100).await.get(&'a'), None);
    })
    .await;
}

/// A probe that passes once and hangs from then on, with the seconds at which it was asked, and how many hang now and did at most.
#[derive(Clone, Default)]
struct Hanging {
    began: Arc<Mutex<Vec<Instant>>>,
    alive: Arc<AtomicU32>,
    peak: Arc<AtomicU32>,
}

struct Alive(Arc<AtomicU32>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Hanging {
    async fn ask(self) -> Answer {
        let first = {
            let mut began = self.began.lock().unwrap();
            began.push(Instant::now());
            began.len() == 1
        };
        self.peak.fetch_max(self.alive.fetch_add(1, SeqCst) + 1, SeqCst);
        let _alive = Alive(self.alive);
        if first { PASSES } else { pending().await }
    }

    fn times(&self) -> Vec<u128> {
        let began = self.began.lock().unwrap();
        began.iter().map(|at| (*at - began[0]).as_millis()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn o31_probe_timeout_is_failure() {
    for (time_out, times) in [(500, [0, 1000, 2000, 3000, 4000]), (1500, [0, 1000, 3000, 5000, 7000])] {
        play(calm(), "ab", async |town| {
            let hanging = Hanging::default();
            let asked = hanging.clone();
            let heartbeats = Heartbeats::new(move |_: Uri| asked.clone().ask());
            let watch = watch(town, heartbeats.every(SECOND).time_out(time_out * MS).fall(3));
            sleep(u32::try_from(times[3]).unwrap() * MS + time_out * MS - MS).await;
            assert_eq!(town.endpoint('a').health, Health::Up, "two failures so far, and one that hangs");
            sleep(2 * MS).await;
            assert_eq!(town.endpoint('a').health, Health::Down);
            assert_eq!(hanging.alive.load(SeqCst), 0, "what hangs is dropped");
            sleep(SECOND).await;
            assert_eq!(hanging.times(), times);
            assert_eq!(hanging.peak.load(SeqCst), 1);
            drop(watch);
        })
        .await;
    }
}

/// New calls go elsewhere at once, what runs ends, and it is no ejection.
async fn leaves(town: &mut Town, leave: impl AsyncFn(&mut Town)) {
    town.host('a').lasts(SECOND);
    town.aim('a');
    let running = town.hold().unwrap();
    town.spread();
    town.host('a').lasts(Duration::ZERO);
    let events = Events::record();
    leave(town).await;
    let before = town.host('a').calls();
    town.calls(100).await;
    assert_eq!(town.host('a').calls(), before, "no new calls");
    assert_eq!(running.await, "200 from a");
    let one = town.endpoint('a');
    assert_eq!((one.draining, one.usable, one.state()), (true, false, "draining"));
    assert_eq!((one.ejected_for, one.ejections, town.snapshot().ejections.total()), (None, 0, 0));
    assert_eq!(told(events).len(), 1, "{:?}", told(events));
}

#[tokio::test(start_paused = true)]
async fn o32_graceful_leave() {
    // By turns, for a call that takes a second makes its host a slow one.
    let value = || ejecting(ROWS).choice(Choice::round_robin());
    // By a heartbeat, such as NOT_SERVING; and by hand.
    play(value(), "abc", async |town| {
        leaves(town, async |town| town.handle.change(Change::Health('a', Health::Draining))).await;
        town.handle.change(Change::Health('a', Health::Up));
        assert!(town.calls(100).await[&'a'] > 0, "it has thought better of it");
        leaves(town, async |town| assert!(town.handle.drain(&'a'))).await;
        town.handle.undrain(&'a');
        assert!(town.calls(100).await[&'a'] > 0);
    })
    .await;
    // By an answer of its own.
    play_http(value(), "abc", async |town| {
        leaves(town, async |town| {
            assert_eq!(town.hit('a', Does::Leaves).await, "200 from a");
            town.spread();
        })
        .await;
        sleep(10 * SECOND).await;
        assert!(town.calls(100).await[&'a'] > 0, "it did not leave after all");
    })
    .await;
    // By discovery.
    play(value(), "abc", async |town| {
        town.hit('a', OK).await;
        town.spread();
        town.handle.change(Change::Insert(Member::new('a').draining(true)));
        assert_eq!(town.calls(100).await.get(&'a'), None);
        assert_eq!(town.endpoint('a').state(), "draining");
    })
    .await;
}
