use crate::allowance::Allowance;
use crate::backoff::Backoff;
use crate::retry_on::RetryOn;
use bartizan_core::Budget;
use bartizan_http::ReplayLimit;
use std::time::Duration;

/// What is retried, how often, and when.
///
/// A failure is retried if all of this holds: the request is [repeatable](bartizan_again::is_repeatable), or it is proven that it never
/// arrived; the answer is one that is [asked for](Self::on); tries and time are left; the server does not say otherwise; and the
/// [purse](crate::RetryLayer::purse) pays. A request that never arrived is sent again once at once, for free.
///
/// One tier retries. A request that came to this process as another attempt, by `x-request-attempt` or by its
/// [`Context`](bartizan_core::Context), goes out once.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    pub(crate) max_retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) throttled_backoff: Backoff,
    pub(crate) allowance: Option<Allowance>,
    pub(crate) on: RetryOn,
    pub(crate) max_hint: Duration,
    pub(crate) trust_hints: bool,
    pub(crate) budget: Budget,
    pub(crate) max_body: usize,
    pub(crate) max_bodies: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) enabled: bool,
}

impl Retry {
    /// Retries after the first try: 2.
    pub const DEFAULT_MAX_RETRIES: u32 = 2;
    /// Longest wait before a retry of what was throttled: 1 s.
    pub const DEFAULT_THROTTLED_WAIT: Duration = Duration::from_secs(1);
    /// Longest wait that a server may ask for: 60 s.
    pub const DEFAULT_MAX_HINT: Duration = Duration::from_secs(60);
    /// Bytes that are kept of one request body: 64 KiB.
    pub const DEFAULT_MAX_BODY: usize = ReplayLimit::DEFAULT_BODY;
    /// Bytes that are kept of all request bodies together: 16 MiB.
    pub const DEFAULT_MAX_BODIES: usize = ReplayLimit::DEFAULT_TOTAL;

    /// Creates a value with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_retries: Self::DEFAULT_MAX_RETRIES,
            backoff: Backoff::default(),
            throttled_backoff: Backoff::constant(Self::DEFAULT_THROTTLED_WAIT),
            allowance: None,
            on: RetryOn::default(),
            max_hint: Self::DEFAULT_MAX_HINT,
            trust_hints: false,
            budget: Budget::new(),
            max_body: Self::DEFAULT_MAX_BODY,
            max_bodies: Self::DEFAULT_MAX_BODIES,
            seed: None,
            enabled: true,
        }
    }

    /// Sets how often a request is sent again at most; zero never does, but for what never arrived. A request can ask for less by
    /// [`MaxRetries`](crate::MaxRetries), and the purse often ends it sooner: by default the second failure in a row is retried
    /// [half of the time](Budget::persistence). Default: [`DEFAULT_MAX_RETRIES`](Self::DEFAULT_MAX_RETRIES), 2.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets how long to wait before each retry. Default: [`Backoff::exponential`] from 100 ms to 1 s, with full jitter.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long to wait before each retry of what was throttled (429, `RESOURCE_EXHAUSTED`) by a server that did not say for how
    /// long. Default: up to [`DEFAULT_THROTTLED_WAIT`](Self::DEFAULT_THROTTLED_WAIT), 1 s.
    #[must_use]
    pub fn throttled_backoff(mut self, backoff: Backoff) -> Self {
        self.throttled_backoff = backoff;
        self
    }

    /// Sets by how much less retries are worth it the longer a call takes. Costs a reading of the clock for every call. Default: none,
    /// the number of retries alone counts.
    #[must_use]
    pub fn allowance(mut self, allowance: Allowance) -> Self {
        self.allowance = Some(allowance);
        self
    }

    /// Sets which answers are retried. Default: [`RetryOn::FAILURES`].
    #[must_use]
    pub fn on(mut self, on: RetryOn) -> Self {
        self.on = on;
        self
    }

    /// Sets how long a server, or a layer inside that refuses, may have the call wait before the next try. Where it asks for more the
    /// call fails at once. Default: [`DEFAULT_MAX_HINT`](Self::DEFAULT_MAX_HINT), 60 s.
    #[must_use]
    pub fn max_hint(mut self, wait: Duration) -> Self {
        self.max_hint = wait;
        self
    }

    /// Sets whether a request may name, in [`x-request-retry-on`](bartizan_again::RETRY_ON), further answers to be retried: only
    /// where its sender is trusted. The header is taken off either way. Default: false.
    #[must_use]
    pub fn trust_hints(mut self, trust: bool) -> Self {
        self.trust_hints = trust;
        self
    }

    /// Sets the budget of the layer's own purse, unless it is given [one to share](crate::RetryLayer::purse). Default:
    /// [`Budget::new`].
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets how many bytes of a request body are kept for a repetition. A longer body goes out untouched, and once. Default:
    /// [`DEFAULT_MAX_BODY`](Self::DEFAULT_MAX_BODY), 64 KiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets how many bytes are kept of all request bodies of the layer together. Default:
    /// [`DEFAULT_MAX_BODIES`](Self::DEFAULT_MAX_BODIES), 16 MiB.
    #[must_use]
    pub fn max_bodies(mut self, bytes: usize) -> Self {
        self.max_bodies = bytes;
        self
    }

    /// Sets the seed of the jitter's dice, so that a run can be repeated. Default: a random one.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether the layer does anything. Default: true.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// How often a request is sent again at most: [`max_retries`](Self::max_retries).
    #[must_use]
    pub const fn most_retries(&self) -> u32 {
        self.max_retries
    }

    /// How long to wait before each retry: [`backoff`](Self::backoff).
    #[must_use]
    pub const fn waits(&self) -> &Backoff {
        &self.backoff
    }

    /// How long to wait before each retry of what was throttled: [`throttled_backoff`](Self::throttled_backoff).
    #[must_use]
    pub const fn throttled_waits(&self) -> &Backoff {
        &self.throttled_backoff
    }

    /// Which answers are retried: [`on`](Self::on).
    #[must_use]
    pub const fn retried(&self) -> RetryOn {
        self.on
    }

    /// How long a server may have the call wait: [`max_hint`](Self::max_hint).
    #[must_use]
    pub const fn longest_hint(&self) -> Duration {
        self.max_hint
    }

    /// The [budget](Self::budget) of the layer's own purse.
    #[must_use]
    pub const fn own_budget(&self) -> Budget {
        self.budget
    }

    /// Whether the layer does anything.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

/// How often a request may be sent again, in its extensions. The lesser of this and [`Retry::max_retries`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxRetries(pub u32);
