use super::backoff::BackoffTable;
use super::retry_on::{On, retry_on};
use super::settings::settings;
use super::{Positive, Time, spelled};
use bartizan_retry::{Allowance, Retry};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

settings! {
    /// What is retried, how often, and when.
    RetryTable for Retry;

    /// How often a request is sent again at most.
    #[schemars(extend("default" = Retry::DEFAULT_MAX_RETRIES))]
    max_retries: u32 = Retry::max_retries;
    /// How long to wait before each retry.
    #[schemars(extend("default" = "exponential"))]
    backoff: BackoffTable = |retry, backoff: BackoffTable| backoff.make().map(|backoff| retry.backoff(backoff));
    /// How long to wait before each retry of what was throttled by a server that did not say for how long.
    #[schemars(extend("default" = json!({ "constant": { "wait": spelled(Retry::DEFAULT_THROTTLED_WAIT) } })))]
    throttled_backoff: BackoffTable = |retry, backoff: BackoffTable| {
        backoff.make().map(|backoff| retry.throttled_backoff(backoff))
    };
    /// By how much less retries are worth it the longer a call takes. Without it: the number of retries alone counts.
    allowance: AllowanceTable = |retry, allowance: AllowanceTable| {
        let AllowanceTable { most, half, steepness } = allowance;
        Allowance::try_new(most, half.0, steepness).map(|allowance| retry.allowance(allowance))
    };
    /// Which answers are retried: `failures`, `gateway`, `connect`, statuses, and gRPC codes by number or name.
    #[schemars(length(min = 1), extend("default" = ["failures"]))]
    on: Vec<On> = |retry, on: Vec<On>| retry_on(&on).map(|on| retry.on(on));
    /// How long a server may have the call wait before the next try.
    #[schemars(extend("default" = spelled(Retry::DEFAULT_MAX_HINT)))]
    max_hint: Time = Retry::max_hint;
    /// Whether a request may name further answers to be retried, by `x-request-retry-on`.
    #[schemars(extend("default" = false))]
    trust_hints: bool = Retry::trust_hints;
    /// How many bytes of a request body are kept for a repetition.
    #[schemars(extend("default" = Retry::DEFAULT_MAX_BODY))]
    max_body: usize = Retry::max_body;
    /// How many bytes are kept of all request bodies together.
    #[schemars(extend("default" = Retry::DEFAULT_MAX_BODIES))]
    max_bodies: usize = Retry::max_bodies;
    /// The seed of the jitter, for runs that repeat.
    seed: u64 = Retry::seed;
    /// Whether the layer does anything.
    #[schemars(extend("default" = true))]
    enabled: bool = Retry::enabled;
}

/// By how much less retries are worth it the longer a call takes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowanceTable {
    /// Retries in the beginning.
    #[schemars(with = "Positive")]
    most: f64,
    /// After how long half of them are left.
    half: Time,
    /// How fast they fall there, per second.
    #[schemars(with = "Positive")]
    steepness: f64,
}

super::given!(AllowanceTable);
