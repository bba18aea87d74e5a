//! n10: the whole client stack, seven layers around a service that answers at once.

use std::{hint::black_box, time::Duration};

use clap::Args;
use tower::{load_shed::LoadShed, retry::budget::TpsBudget};
use tower_service::Service;

use crate::{
    contest::{Case, Contest},
    floor::{A, Floor, R, T},
    ground::{BoxError, Echo, drive},
    nano::{n3, n8},
    options::{Timing, positive},
    ours::{
        self,
        again::{self, Backoff, HedgeSettings, RetrySettings},
        balance::{BalanceSettings, balance},
        fallback,
        scraped::{self, Scrapes},
    },
    peers::{
        self,
        again::{Tries, tower_resilience_retry, tower_retry},
    },
    race::{Lane, Place},
};

/// Options of n10.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Endpoints between which is balanced, each with a breaker and a time-out of its own.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    endpoints: usize,
    /// Requests in flight of the four layers' limit.
    #[arg(long, default_value_t = 100, value_parser = positive)]
    in_flight: usize,
    /// Seconds until a deadline, which is never hit.
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
}

pub(crate) const TITLE: &str = "n10: the whole client stack";

const SEVEN: usize = 0;
const FOUR: usize = 1;
const SCRAPED: usize = 2;

/// What a fallback by a mere function costs that is not used, and a deadline of the layer's own.
const FALLBACK: Floor = Floor::nanos(2.0);
const DEADLINE: Floor = Floor::nanos(5.0);
const HEDGE: Floor = A;

/// What a meter costs: two clock readings, and two counts.
fn meter() -> Floor {
    A + 2.0 * R + 2.0 * T
}

/// What a retry costs with its budget.
fn retry() -> Floor {
    A + R
}

/// What a breaker costs with its evidence.
fn breaker() -> Floor {
    A + R
}

/// Of what tower-resilience takes for the same four layers, ours may take so much.
const PART: f64 = 1.0 / 6.0;
/// So many times what the seven layers take may they take while Prometheus asks for their metrics.
const TIMES: f64 = 1.5;

/// Fallback, deadline, retry, hedge and balancer, and around each endpoint a breaker and the time-out of an attempt.
fn seven(options: Options, timeout: Duration) -> impl Service<u64, Response = u64, Error = BoxError> {
    let settings = BalanceSettings::new().seed(options.timing.common.seed);
    let balanced =
        balance(settings, options.endpoints, move |_| ours::breaker(ours::deadline(Echo, timeout)));
    let hedged = again::hedge::<_, u64>(balanced, HedgeSettings::new());
    let retried = again::retry::<_, u64>(hedged, RetrySettings::new());
    fallback::function(ours::deadline(retried, timeout))
}

/// The seven with names, within a meter.
fn scraped(options: Options, timeout: Duration) -> impl Service<u64, Response = u64, Error = BoxError> {
    let settings = BalanceSettings::new().seed(options.timing.common.seed);
    scraped::stack(settings, options.endpoints, timeout)
}

/// Deadline, retry, breaker and limit.
fn four(options: Options, timeout: Duration) -> impl Service<u64, Response = u64, Error = BoxError> {
    let guarded = ours::breaker(ours::shed::fixed(Echo, options.in_flight));
    ours::deadline(again::retry::<_, u64>(guarded, RetrySettings::new()), timeout)
}

/// The same of tower-resilience.
fn tower_resilience_four(options: Options, timeout: Duration) -> impl Service<u64, Response = u64> {
    let guarded = peers::tower_resilience(peers::shed::bulkhead(Echo, options.in_flight));
    peers::tower_resilience_timeout(tower_resilience_retry(guarded), timeout)
}

/// Of tower, which has no breaker: time-out, retry, limit, and the layer that refuses what the limit is not ready for.
fn tower_four(options: Options, timeout: Duration) -> impl Service<u64, Response = u64> {
    let failed = |answer: &Result<u64, BoxError>| answer.is_err();
    let tries = Tries {
        retries: RetrySettings::DEFAULT_MAX_RETRIES,
        least: Backoff::DEFAULT_MIN,
        most: Backoff::DEFAULT_MAX,
    };
    let limited = LoadShed::new(peers::shed::tower(Echo, options.in_flight));
    peers::tower_timeout(tower_retry(limited, TpsBudget::default(), tries, failed, 1), timeout)
}

/// A lane at `place` that calls `service` with numbers.
fn lane<S: Service<u64> + Send + 'static>(place: Place, mut service: S) -> Lane {
    Lane::new(place, move |i| drop(black_box(drive(&mut service, black_box(i)))))
}

/// The same as long as something else goes on.
fn lane_while<S: Service<u64> + Send + 'static>(place: Place, goes_on: Scrapes, mut service: S) -> Lane {
    Lane::new(place, move |i| {
        let _ = &goes_on;
        drop(black_box(drive(&mut service, black_box(i))));
    })
}

/// Sets the lanes up.
pub(crate) fn contest(&options: &Options) -> Contest {
    let timeout = Duration::from_secs(options.timeout);
    let lanes = vec![
        lane(Place::Bare(SEVEN), Echo),
        lane(Place::Bare(FOUR), Echo),
        lane(Place::Peer(FOUR, peers::TOWER), tower_four(options, timeout)),
        lane(Place::Peer(FOUR, peers::TOWER_RESILIENCE), tower_resilience_four(options, timeout)),
        lane(Place::Ours(SEVEN), seven(options, timeout)),
        lane(Place::Ours(FOUR), four(options, timeout)),
        lane(Place::Bare(SCRAPED), Echo),
        lane_while(Place::Ours(SCRAPED), Scrapes::begin(), scraped(options, timeout)),
    ];
    let whole = FALLBACK + DEADLINE + retry() + HEDGE + n8::floor() + breaker() + DEADLINE;
    let same = DEADLINE + retry() + breaker() + n3::fixed_floor();
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("seven layers", whole),
            Case::new("four layers", same).at_most(PART, peers::TOWER_RESILIENCE),
            Case::new("seven and a meter, scraped", whole + meter()).at_most_times(TIMES, SEVEN),
        ],
        teams: vec![lanes],
        notes: vec![
            format!(
                "Seven: fallback, deadline, retry, hedge and balancer over {} endpoints, each with a breaker and a time-out. No peer has them all.",
                options.endpoints,
            ),
            "Four: deadline, retry, breaker and fixed limit. tower has no breaker: there stands its LoadShed before the limit.".into(),
            format!(
                "Scraped: the seven, each with a name, within a meter, while another thread publishes and renders all metrics for Prometheus every 10 ms. It may take {TIMES} times what the seven take."
            ),
        ],
    }
}
