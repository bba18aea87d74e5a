//! Rows O21 to O23: the comparison of the endpoints at the end of an interval.

use crate::host::{BAD, OK};
use crate::town::{Town, play};
use crate::{ROWS, SECOND, ejecting};
use bartizan_balance::{Cause, Ejection, Excess, FailureRatio, SuccessRate};
use tokio::time::sleep;

/// What an interval finds and nothing else does.
const RULES: Ejection = ROWS.consecutive(0).max_ejected(0.9);

/// Has an interval pass with these calls: host, how many fail, and how many do not.
async fn interval(town: &mut Town, calls: &[(char, u64, u64)]) {
    for (key, bad, good) in calls {
        town.hits(*key, BAD, *bad).await;
        town.hits(*key, OK, *good).await;
    }
    assert_eq!(town.out(), "", "nothing is judged before its end");
    sleep(10 * SECOND).await;
}

const ONE_OF_FIVE: [(char, u64, u64); 5] =
    [('a', 0, 200), ('b', 0, 200), ('c', 100, 100), ('d', 0, 200), ('e', 0, 200)];

/// By default the others together are the measure, and one bad interval is an accident. By rate of success the mean is 90 %, and the
/// threshold 1.9 deviations below it at 52 %.
#[tokio::test(start_paused = true)]
async fn o21_success_rate_outlier() {
    play(ejecting(RULES.excess(Excess::new())), "abcde", async |town| {
        interval(town, &ONE_OF_FIVE).await;
        interval(town, &ONE_OF_FIVE).await;
        let snapshot = town.snapshot();
        assert_eq!((town.out().as_str(), town.endpoint('c').cause), ("c", Some(Cause::Excess)));
        assert_eq!(snapshot.ejections.total(), 1);
        assert_eq!(town.endpoint('c').success_rate, Some(0.5));
    })
    .await;
    play(ejecting(RULES.success_rate(SuccessRate::new())), "abcde", async |town| {
        interval(town, &ONE_OF_FIVE).await;
        assert_eq!((town.out().as_str(), town.endpoint('c').cause), ("c", Some(Cause::SuccessRate)));
    })
    .await;
    // It is two deviations below the mean, and not further.
    play(ejecting(RULES.success_rate(SuccessRate::new().factor(2.1))), "abcde", async |town| {
        interval(town, &ONE_OF_FIVE).await;
        assert_eq!((town.out().as_str(), town.endpoint('c').success_rate), ("", Some(0.5)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o22_too_little_evidence() {
    let rule = RULES
        .success_rate(SuccessRate::new())
        .failure_ratio(FailureRatio::new().ratio(0.4).min_requests(100));
    play(ejecting(rule), "abcd", async |town| {
        interval(town, &[('a', 0, 200), ('b', 0, 200), ('c', 100, 100), ('d', 0, 200)]).await;
        assert_eq!((town.out().as_str(), town.endpoint('c').success_rate), ("", Some(0.5)), "four hosts");
    })
    .await;
    play(ejecting(rule), "abcde", async |town| {
        let with = |bad, good| [('a', 0, 100), ('b', 0, 100), ('c', bad, good), ('d', 0, 100), ('e', 0, 100)];
        interval(town, &with(66, 33)).await;
        let rate = town.endpoint('c').success_rate.unwrap();
        assert_eq!((town.out().as_str(), (rate * 99.0).round()), ("", 33.0), "99 calls");
        interval(town, &with(67, 33)).await;
        assert_eq!(town.out(), "c");
    })
    .await;
    // And where there are no calls, there is no rate.
    play(ejecting(rule), "abcde", async |town| {
        sleep(10 * SECOND).await;
        assert_eq!((town.out().as_str(), town.endpoint('c').success_rate), ("", None));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o23_failure_percentage() {
    play(ejecting(RULES.failure_ratio(FailureRatio::new())), "abcde", async |town| {
        interval(town, &[('a', 50, 10), ('b', 60, 10), ('c', 0, 60), ('d', 0, 60), ('e', 0, 60)]).await;
        assert_eq!((town.out().as_str(), town.endpoint('b').cause), ("b", Some(Cause::FailureRatio)));
    })
    .await;
}
