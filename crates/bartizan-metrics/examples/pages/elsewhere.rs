//! What other sets of metrics have, and which of ours says it.

/// A set, and what it is of.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) of: &'static str,
    pub(crate) metrics: &'static [Theirs],
}

/// One metric of another set.
pub(crate) struct Theirs {
    pub(crate) name: &'static str,
    /// Ours that say the same, by name; a state as `bartizan.<layer>.state`.
    pub(crate) ours: &'static [&'static str],
    /// What differs, or why there is none.
    pub(crate) note: &'static str,
}

const fn same(name: &'static str, ours: &'static [&'static str]) -> Theirs {
    Theirs { name, ours, note: "" }
}

const fn but(name: &'static str, ours: &'static [&'static str], note: &'static str) -> Theirs {
    Theirs { name, ours, note }
}

pub(crate) const SETS: &[Set] = &[
    Set {
        name: "gRPC",
        of: "gRFC A66 (calls), A96 (retries and hedges), A91 (outlier detection), A78 (balancing)",
        metrics: &[
            same("grpc.client.call.duration", &["bartizan.meter.duration"]),
            same("grpc.client.attempt.started", &["bartizan.retry.attempts"]),
            but(
                "grpc.client.attempt.duration",
                &["bartizan.meter.duration"],
                "of a meter inside of the retry",
            ),
            same("grpc.server.call.started", &["bartizan.meter.calls", "bartizan.meter.in_flight"]),
            same("grpc.server.call.duration", &["bartizan.meter.duration"]),
            but(
                "grpc.*.sent_total_compressed_message_size, …rcvd…",
                &[],
                "none: bytes are the transport's to count",
            ),
            same("grpc.client.call.retries", &["bartizan.retry.attempts"]),
            but(
                "grpc.client.call.transparent_retries",
                &["bartizan.retry.attempts"],
                "`kind=\"resent\"`: what had not reached a server is sent again at once",
            ),
            same("grpc.client.call.hedges", &["bartizan.hedge.hedges"]),
            same("grpc.client.call.retry_delay", &["bartizan.retry.wait"]),
            same("grpc.lb.outlier_detection.ejections_enforced", &["bartizan.balance.ejections"]),
            but(
                "grpc.lb.outlier_detection.ejections_unenforced",
                &[
                    "bartizan.balance.ejections_watched",
                    "bartizan.balance.ejections_capped",
                    "bartizan.balance.ejections_withheld",
                ],
                "`enforcement_percentage` is the first, `max_ejection_overflow` the second",
            ),
            but(
                "grpc.lb.wrr.endpoint_weight_not_yet_usable",
                &["bartizan.balance.unusable"],
                "`state=\"warming\"`",
            ),
        ],
    },
    Set {
        name: "Polly",
        of: "Polly 8: `resilience.polly.strategy.events` by event, and two durations",
        metrics: &[
            same("OnRetry", &["bartizan.retry.attempts"]),
            same("OnHedging", &["bartizan.hedge.hedges"]),
            same("OnTimeout", &["bartizan.deadline.timeouts"]),
            same("OnFallback", &["bartizan.fallback.failures", "bartizan.stale.served"]),
            same("OnCircuitOpened", &["bartizan.breaker.trips", "bartizan.breaker.probing"]),
            same("OnCircuitClosed", &["bartizan.breaker.probing"]),
            same("OnCircuitHalfOpened", &["bartizan.breaker.state", "bartizan.breaker.probes"]),
            same("OnRateLimiterRejected", &["bartizan.limit.refusals", "bartizan.shed.refusals"]),
            same("Chaos.OnFault, OnOutcome, OnLatency, OnBehavior", &["bartizan.fault.injected"]),
            but(
                "resilience.polly.strategy.attempt.duration",
                &["bartizan.meter.duration"],
                "of a meter inside of the retry",
            ),
            but("resilience.polly.pipeline.duration", &["bartizan.meter.duration"], "of a meter outermost"),
        ],
    },
    Set {
        name: "resilience4j",
        of: "resilience4j 2 with Micrometer",
        metrics: &[
            same("resilience4j.circuitbreaker.state", &["bartizan.breaker.state"]),
            same("resilience4j.circuitbreaker.calls", &["bartizan.breaker.calls"]),
            same("resilience4j.circuitbreaker.not.permitted.calls", &["bartizan.breaker.refusals"]),
            same("resilience4j.circuitbreaker.slow.calls", &["bartizan.breaker.slow"]),
            but(
                "resilience4j.circuitbreaker.buffered.calls",
                &["bartizan.breaker.evidence"],
                "what the window holds is weighed, not counted",
            ),
            same("resilience4j.circuitbreaker.failure.rate", &["bartizan.breaker.failure_ratio"]),
            same("resilience4j.circuitbreaker.slow.call.rate", &["bartizan.breaker.slow_ratio"]),
            same(
                "resilience4j.retry.calls",
                &["bartizan.retry.calls", "bartizan.retry.recovered", "bartizan.retry.failed"],
            ),
            but(
                "resilience4j.bulkhead.available.concurrent.calls",
                &["bartizan.shed.in_flight"],
                "what is taken, not what is left",
            ),
            same("resilience4j.bulkhead.max.allowed.concurrent.calls", &["bartizan.shed.limit"]),
            same("resilience4j.bulkhead.queue.depth", &["bartizan.shed.queued"]),
            same("resilience4j.bulkhead.queue.capacity", &["bartizan.shed.queue_places"]),
            same("resilience4j.ratelimiter.available.permissions", &["bartizan.limit.remaining"]),
            same("resilience4j.ratelimiter.waiting.threads", &["bartizan.limit.waiting"]),
            same("resilience4j.timelimiter.calls", &["bartizan.deadline.timeouts"]),
        ],
    },
    Set {
        name: "OpenTelemetry",
        of: "semantic conventions of HTTP and RPC",
        metrics: &[
            but(
                "http.server.request.duration, http.client.request.duration, rpc.*.duration",
                &["bartizan.meter.duration"],
                "a layer knows no route; who knows them names a meter for each, or takes the instrumentation of the framework",
            ),
            same("http.server.active_requests, http.client.active_requests", &["bartizan.meter.in_flight"]),
        ],
    },
];
