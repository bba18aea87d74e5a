//! Rows O16 to O20, O24 and O27: who is out, and for how long.

use crate::host::{BAD, OK};
use crate::town::{Town, play};
use crate::{MS, ROWS, SECOND, ejecting, told};
use bartizan_balance::{Cause, Change, Health};
use conformance::Events;
use std::time::Duration;
use tokio::time::sleep;

/// Ejects a host by failures, and returns for how long.
async fn trip(town: &mut Town, key: char) -> Duration {
    town.hits(key, BAD, 5).await;
    town.endpoint(key).ejected_for.unwrap()
}

/// Ejects a host, waits until it is back, and returns how many seconds it was out.
async fn serve(town: &mut Town, key: char) -> u64 {
    let pause = trip(town, key).await;
    sleep(pause).await;
    assert_eq!(town.endpoint(key).ejected_for, None);
    pause.as_secs()
}

/// Has a host work well for so many intervals.
async fn work(town: &mut Town, key: char, intervals: u64) {
    for _ in 0..intervals * 5 {
        town.hit(key, OK).await;
        sleep(2 * SECOND).await;
    }
    town.snapshot();
}

#[tokio::test(start_paused = true)]
async fn o16_return_time() {
    play(ejecting(ROWS), "abc", async |town| {
        trip(town, 'a').await;
        town.spread();
        let events = Events::record();
        sleep(9_999 * MS).await;
        assert_eq!(town.calls(100).await.get(&'a'), None);
        assert_eq!((town.out().as_str(), told(events).len()), ("a", 0));
        sleep(MS).await;
        // It is calls that let it back in, and nobody needs to look.
        assert!(town.calls(100).await[&'a'] > 0);
        assert_eq!((town.out().as_str(), told(events)), ("", vec![String::from("endpoint back a")]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o17_pause_grows_and_shrinks() {
    play(ejecting(ROWS), "abc", async |town| {
        for seconds in [10, 20, 30] {
            assert_eq!(serve(town, 'a').await, seconds);
        }
        work(town, 'a', 2).await;
        assert_eq!(serve(town, 'a').await, 20);
        work(town, 'a', 50).await;
        assert_eq!(serve(town, 'a').await, 10);
        assert_eq!(serve(town, 'a').await, 20);
        // Time alone makes nothing good.
        sleep(1_000 * SECOND).await;
        assert_eq!(serve(town, 'a').await, 30);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o18_pause_is_capped() {
    play(ejecting(ROWS), "abc", async |town| {
        for n in 1..=40 {
            assert_eq!(serve(town, 'a').await, (10 * n).min(300));
        }
    })
    .await;
    // The cap need not be so many times the pause.
    play(ejecting(ROWS.max_pause(25 * SECOND)), "abc", async |town| {
        for seconds in [10, 20, 25, 25] {
            assert_eq!(serve(town, 'a').await, seconds);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o19_share_cap_at_least_one() {
    play(ejecting(ROWS.max_ejected(0.01)), "ab", async |town| {
        trip(town, 'a').await;
        town.hits('b', BAD, 5).await;
        assert_eq!(town.out(), "a");
        let ejections = town.snapshot().ejections;
        assert_eq!((ejections.total(), ejections.overflow(Cause::Consecutive)), (1, 1));
        town.spread();
        assert_eq!(town.calls(10).await[&'b'], 10);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o20_cap_zero() {
    play(ejecting(ROWS.max_ejected(0.0)), "abc", async |town| {
        let events = Events::record();
        town.hits('a', BAD, 100).await;
        assert_eq!(told(events), ["endpoint not ejected a: failures in a row"], "once");
        let ejections = town.snapshot().ejections;
        assert_eq!((town.out().as_str(), ejections.total()), ("", 0));
        assert_eq!(ejections.overflow(Cause::Consecutive), 20);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o24_watch_only() {
    play(ejecting(ROWS.enforcing(0.0)), "abc", async |town| {
        let events = Events::record();
        town.hits('a', BAD, 5).await;
        assert_eq!(told(events), ["endpoint would be ejected a: failures in a row"]);
        let ejections = town.snapshot().ejections;
        assert_eq!((ejections.watched(Cause::Consecutive), ejections.total()), (1, 0));
        assert_eq!((town.out().as_str(), town.endpoint('a').ejections), ("", 0));
        assert_eq!(town.hit('a', OK).await, "200 from a");
        // While it would be out, no more is told.
        town.hits('a', BAD, 5).await;
        assert_eq!((told(events).len(), town.snapshot().ejections.watched(Cause::Consecutive)), (1, 1));
        sleep(10 * SECOND).await;
        town.hits('a', BAD, 5).await;
        assert_eq!((told(events).len(), town.snapshot().ejections.watched(Cause::Consecutive)), (2, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o27_active_check_pardons() {
    play(ejecting(ROWS), "abc", async |town| {
        assert_eq!(trip(town, 'a').await, 10 * SECOND);
        sleep(SECOND).await;
        let events = Events::record();
        town.handle.change(Change::Health('a', Health::Up));
        assert_eq!(town.out(), "");
        assert_eq!(told(events), ["endpoint heard a", "endpoint back a"]);
        assert_eq!(town.hit('a', OK).await, "200 from a");
        assert_eq!(trip(town, 'a').await, 20 * SECOND, "a repeat");
        // A heartbeat that says nothing new pardons as well, and one that fails does not.
        town.handle.change(Change::Health('a', Health::Up));
        assert_eq!(town.out(), "");
        trip(town, 'a').await;
        town.handle.change(Change::Health('a', Health::Down));
        assert_eq!(town.out(), "a");
    })
    .await;
    play(ejecting(ROWS.pardon(false)), "abc", async |town| {
        trip(town, 'a').await;
        town.handle.change(Change::Health('a', Health::Up));
        assert_eq!(town.out(), "a");
    })
    .await;
}
