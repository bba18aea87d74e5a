//! The open loop: customers come by the clock, and nobody is waited for.

use super::errand::{Errand, Errands, Mix};
use super::profile::Profile;
use super::schedule::Schedule;
use super::series::Series;
use super::shopping::Done;
use super::tally::Tally;
use std::panic::resume_unwind;
use std::pin::pin;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Of the schedule and of the errands, so that every load of the same plan is the same.
const SEED: u64 = 0x0005_ca1e;

/// Who comes when so many are in the shop is not sent, and counted.
const MOST_IN_FLIGHT: usize = 4096;

/// How often the pulse is taken. The journal is written then, and must never be more than a second behind.
const TICK: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Arrivals a second, on average.
    pub(super) profile: Profile,
    pub(super) lasts: Duration,
    pub(super) customers: usize,
    pub(super) products: usize,
    pub(super) mix: Mix,
}

/// How a load went.
#[derive(Debug)]
pub(super) struct Course {
    /// Shorter than planned when somebody stopped it.
    pub(super) lasted: Duration,
    pub(super) sent: u64,
    pub(super) not_sent: u64,
    /// The longest time from the moment at which a customer was to come to that at which they were sent.
    pub(super) worst_lag: Duration,
    pub(super) tally: Tally,
    pub(super) series: Series,
}

/// How a load goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse<'a> {
    /// Since the start.
    pub(super) gone: Duration,
    pub(super) in_flight: usize,
    pub(super) tally: &'a Tally,
    pub(super) series: &'a Series,
}

/// Sends customers until the plan is over or `stop` ends, and waits for those who are on their way then: each has their
/// own patience, so that this ends.
pub(super) async fn drive<F: Future<Output = Done> + Send + 'static>(
    plan: &Plan,
    walk: impl Fn(Errand) -> F,
    stop: impl Future<Output = ()>,
    pulse: impl Fn(Pulse<'_>),
) -> Course {
    let mut schedule = Schedule::new(&plan.profile, plan.lasts, SEED).peekable();
    let mut errands = Errands::new(plan.mix, plan.customers, plan.products, SEED);
    let mut walking = JoinSet::new();
    let (mut tally, mut series) = (Tally::new(), Series::new(plan.lasts));
    let (mut sent, mut not_sent, mut worst_lag) = (0, 0, Duration::ZERO);
    let mut stop = pin!(stop);
    let mut stopped = None;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = Instant::now();
    loop {
        let next = schedule.peek().filter(|_| stopped.is_none()).map(|at| start + *at);
        if next.is_none() && walking.is_empty() {
            break;
        }
        tokio::select! {
            () = &mut stop, if stopped.is_none() => stopped = Some(Instant::now() - start),
            () = sleep_until(next.unwrap_or(start)), if next.is_some() => {
                let now = Instant::now();
                while let Some(at) = schedule.next_if(|at| start + *at <= now) {
                    let (due, errand) = (start + at, errands.next());
                    worst_lag = worst_lag.max(now - due);
                    let has_room = walking.len() < MOST_IN_FLIGHT;
                    series.come(at, has_room);
                    if !has_room {
                        not_sent += 1;
                        continue;
                    }
                    sent += 1;
                    let walk = walk(errand);
                    walking.spawn(async move {
                        let done = walk.await;
                        let now = Instant::now();
                        (done, now - start, now - due)
                    });
                }
            }
            Some(walked) = walking.join_next() => {
                let (done, at, latency) = walked.unwrap_or_else(|fell| resume_unwind(fell.into_panic()));
                tally.note(done, latency);
                series.end(at, done.outcome, latency);
            }
            now = tick.tick() => {
                let gone = now.saturating_duration_since(start);
                pulse(Pulse { gone, in_flight: walking.len(), tally: &tally, series: &series });
            }
        }
    }
    let lasted = stopped.map_or(plan.lasts, |stopped| stopped.min(plan.lasts));
    Course { lasted, sent, not_sent, worst_lag, tally, series }
}

#[cfg(test)]
mod tests {
    use super::super::errand::Journey;
    use super::super::outcome::Outcome;
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::{advance, sleep};

    fn plan(rate: u32, lasts: Duration) -> Plan {
        Plan {
            profile: Profile::Steady(rate),
            lasts,
            customers: 8,
            products: 24,
            mix: Mix::only(&Journey::ALL),
        }
    }

    fn planned(plan: &Plan) -> u64 {
        Schedule::new(&plan.profile, plan.lasts, SEED).count() as u64
    }

    fn done(journey: Journey) -> Done {
        Done { journey, outcome: Outcome::Ok, again: 0, acknowledged: false }
    }

    /// Everybody is in the shop for so long.
    async fn with_service_time(plan: &Plan, takes: Duration) -> Course {
        let walk = move |errand: Errand| async move {
            sleep(takes).await;
            done(errand.journey)
        };
        drive(plan, walk, pending(), |_| ()).await
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for() {
        let plan = plan(100, Duration::from_secs(5));
        // Longer than the whole load: a closed loop would send a handful.
        let course = with_service_time(&plan, Duration::from_secs(60)).await;
        assert_eq!((course.sent, course.not_sent), (planned(&plan), 0));
        let all = course.tally.of(&Journey::ALL);
        assert_eq!((all.ended(), all.good()), (course.sent, course.sent));
        assert_eq!(course.lasted, plan.lasts);
    }

    #[tokio::test(start_paused = true)]
    async fn those_for_whom_is_no_room_are_counted() {
        let plan = plan(10_000, Duration::from_secs(1));
        let course = with_service_time(&plan, Duration::from_secs(60)).await;
        assert_eq!(course.sent, MOST_IN_FLIGHT as u64);
        assert_eq!(course.sent + course.not_sent, planned(&plan));
        assert_eq!(course.tally.of(&Journey::ALL).ended(), course.sent);
    }

    #[tokio::test(start_paused = true)]
    async fn latency_counts_from_when_somebody_was_to_come() {
        let plan = plan(1000, Duration::from_secs(1));
        let driven = tokio::spawn(async move {
            drive(&plan, |errand| ready(done(errand.journey)), pending(), |_| ()).await
        });
        tokio::task::yield_now().await;
        // The load stands still for a second. All come at its end, and those who were due first have waited longest.
        advance(Duration::from_secs(1)).await;
        let course = driven.await.unwrap();
        let told = course.tally.of(&Journey::ALL).latencies().unwrap();
        assert!(told.p50.abs_diff(Duration::from_millis(500)) < Duration::from_millis(50), "{told:?}");
        assert!(told.p999 > Duration::from_millis(950) && course.worst_lag >= told.p999, "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_the_shop_when_it_is_stopped_is_waited_for() {
        let plan = plan(100, Duration::from_secs(60));
        let walk = |errand: Errand| async move {
            sleep(Duration::from_secs(1)).await;
            done(errand.journey)
        };
        let course = drive(&plan, walk, sleep(Duration::from_secs(10)), |_| ()).await;
        assert_eq!(course.lasted.as_secs(), 10);
        let due = Schedule::new(&plan.profile, course.lasted, SEED).count() as u64;
        assert!(course.sent.abs_diff(due) <= 1, "{} of {due}", course.sent);
        assert_eq!(course.tally.of(&Journey::ALL).ended(), course.sent);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pulse_is_taken_more_than_once_a_second() {
        let beats = std::cell::RefCell::new(Vec::new());
        let plan = plan(100, Duration::from_secs(2));
        let walk = |errand: Errand| async move {
            sleep(Duration::from_secs(5)).await;
            done(errand.journey)
        };
        let beat = |pulse: Pulse<'_>| (pulse.in_flight as u64, pulse.tally.good());
        drive(&plan, walk, pending(), |pulse| beats.borrow_mut().push(beat(pulse))).await;
        let beats = beats.into_inner();
        // To the end of the last, not of the load.
        assert!(beats.len() >= 4 * 6, "{}", beats.len());
        assert!(beats.iter().all(|(in_flight, good)| in_flight + good <= planned(&plan)));
        assert!(beats.last().is_some_and(|(_, good)| *good > 0));
    }

    /// What stands still is seen in the seconds in which it did, by those who came meanwhile.
    #[tokio::test(start_paused = true)]
    async fn the_series_shows_a_stall_and_adds_up() {
        let plan = plan(100, Duration::from_secs(10));
        let opens = Instant::now() + Duration::from_secs(6);
        let stall = opens - Duration::from_secs(3);
        let walk = |errand: Errand| async move {
            if Instant::now() > stall {
                sleep_until(opens).await;
            }
            done(errand.journey)
        };
        let course = drive(&plan, walk, pending(), |_| ()).await;
        let told = course.series.json();
        let told = told.as_array().unwrap();
        let rate = |nth: usize, name: &str| told[nth][name].as_f64().unwrap();
        assert!(
            [3, 4, 5].into_iter().all(|nth| rate(nth, "served") < 10.0 && rate(nth, "asked") > 60.0),
            "{told:#?}"
        );
        assert!(rate(6, "served") > 300.0 && rate(6, "p99_ms") > 2500.0 && rate(6, "p50_ms") > 500.0);
        assert!(rate(9, "p99.9_ms") < 5.0);
        let sum = |name| told.iter().map(|point| point[name].as_f64().unwrap()).sum::<f64>() as u64;
        assert_eq!((sum("asked"), sum("served")), (course.sent, course.sent));
    }
}
