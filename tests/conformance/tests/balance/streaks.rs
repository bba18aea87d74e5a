//! Rows O12 to O15 and O25: failures in a row.

use crate::host::{BAD, Does, OK};
use crate::town::{play, play_http};
use crate::{ROWS, SECOND, ejecting, told};
use bartizan_balance::Cause;
use conformance::Events;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn o12_consecutive_rule() {
    play(ejecting(ROWS), "abc", async |town| {
        let events = Events::record();
        for does in [BAD, OK, BAD, BAD, BAD, BAD] {
            town.hit('a', does).await;
        }
        assert_eq!((town.out().as_str(), told(events).len()), ("", 0));
        town.hit('a', BAD).await;
        assert_eq!(town.out(), "a");
        let one = town.endpoint('a');
        assert_eq!(
            (one.cause, one.ejected_for, one.usable),
            (Some(Cause::Consecutive), Some(10 * SECOND), false)
        );
        assert_eq!(told(events), ["endpoint ejected a: failures in a row"]);
        town.spread();
        let calls = town.calls(100).await;
        assert_eq!((calls.get(&'a'), town.snapshot().ejections.total()), (None, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o13_gateway_rule_is_separate() {
    let rule = ROWS.consecutive(0).consecutive_gateway(5);
    play_http(ejecting(rule), "abc", async |town| {
        for code in [503, 500, 503, 502, 504, 503] {
            town.hit('a', Does::Status(code)).await;
        }
        assert_eq!(town.out(), "", "four in a row since the 500");
        town.hits('a', BAD, 20).await;
        assert_eq!(town.out(), "", "500 is no gateway's");
        town.hit('a', OK).await;
        town.hits('b', Does::Status(503), 4).await;
        assert_eq!(town.out(), "");
        town.hit('b', Does::Status(503)).await;
        assert_eq!((town.out().as_str(), town.endpoint('b').cause), ("b", Some(Cause::ConsecutiveGateway)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o14_connect_errors_separate() {
    let rule = ROWS.split_local(true).consecutive_local(5).pause(20 * SECOND).max_ejected(0.9);
    play_http(ejecting(rule), "abc", async |town| {
        town.hits('a', OK, 50).await;
        town.hits('a', Does::Lost, 4).await;
        assert_eq!(town.out(), "");
        town.hit('a', Does::Lost).await;
        let one = town.endpoint('a');
        assert_eq!((town.out().as_str(), one.cause), ("a", Some(Cause::ConsecutiveLocal)));
        assert_eq!((one.successes, one.failures, one.unanswered), (50, 0, 5));
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(town.endpoint('a').success_rate, Some(1.0), "of those that were answered");

        // Those that got no answer are in no row of answers, and do not end it.
        town.hits('b', BAD, 4).await;
        town.hits('b', Does::Lost, 4).await;
        assert_eq!(town.out(), "a");
        town.hit('b', BAD).await;
        assert_eq!((town.out().as_str(), town.endpoint('b').cause), ("ab", Some(Cause::Consecutive)));
    })
    .await;
    // Counted together, they are failures as others are.
    let rule = ROWS.consecutive(5);
    play_http(ejecting(rule), "abc", async |town| {
        for does in [Does::Lost, BAD, Does::Lost, BAD, Does::Lost] {
            assert_eq!(town.out(), "");
            town.hit('a', does).await;
        }
        assert_eq!((town.out().as_str(), town.endpoint('a').cause), ("a", Some(Cause::Consecutive)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o15_success_cancels() {
    for split in [false, true] {
        let rule = ROWS.consecutive(2).consecutive_local(2).split_local(split);
        play(ejecting(rule), "abc", async |town| {
            for _ in 0..100 {
                assert_eq!(town.hit('a', OK).await, "200 from a");
                assert_eq!(town.hit('a', Does::Lost).await, "lost in a");
            }
            assert_eq!((town.out().as_str(), town.snapshot().ejections.total()), ("", 0));
            town.hit('a', Does::Lost).await;
            assert_eq!(town.out(), "a", "the second in a row");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn o25_already_out() {
    play(ejecting(ROWS), "abc", async |town| {
        let events = Events::record();
        town.aim('a');
        town.host('a').does(BAD);
        town.host('a').lasts(SECOND);
        // No multiple of five, so that what is not forgotten would show.
        town.load(107, Duration::ZERO).await;
        assert_eq!(town.host('a').calls(), 107);
        assert_eq!(town.settle().await["500 from a"], 107);
        let one = town.endpoint('a');
        assert_eq!((one.ejections, one.failures, town.snapshot().ejections.total()), (1, 107, 1));
        let ejections = town.snapshot().ejections;
        let cause = Cause::Consecutive;
        assert_eq!(
            (ejections.overflow(cause), ejections.withheld(cause)),
            (0, 0),
            "nor is it held back again"
        );
        assert!(one.ejected_for <= Some(10 * SECOND), "{one:?}");
        assert_eq!(told(events), ["endpoint ejected a: failures in a row"]);
        // Nor are they held against it when it is back.
        town.host('a').lasts(Duration::ZERO);
        tokio::time::sleep(10 * SECOND).await;
        town.hits('a', BAD, 4).await;
        assert_eq!(town.out(), "");
        town.hit('a', BAD).await;
        assert_eq!(town.out(), "a");
    })
    .await;
}
