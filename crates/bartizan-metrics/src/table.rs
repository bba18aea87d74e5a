//! The one table of all metrics: what each number of the registry is called, and what it says.

use crate::metric::{Kind, LayerMetrics, Many, Metric, Unit};

/// The metrics of every kind of layer, in alphabetical order.
///
/// Beside the label of the metric itself, each has the label `name`: what the layer was named, up to a slash. Endpoints have none of their
/// own: the balancer of which they are tells how many are in which state.
pub const LAYERS: &[LayerMetrics] = &[
    BALANCE, BREAKER, BUDGET, DEADLINE, FALLBACK, FAULT, HEDGE, LIMIT, METER, POLICY, RETRY, SHED, STALE,
    THROTTLE, TRACE,
];

/// The table of a layer; none of one that is not ours.
pub(crate) fn table_of(layer: &str) -> Option<&'static LayerMetrics> {
    LAYERS.iter().find(|table| table.layer == layer)
}

const fn counter(name: &'static str, thing: &'static str) -> Metric {
    Metric::new(Kind::Counter, name, Unit::Of(thing))
}

/// A gauge of things, of which those of several layers add up.
const fn gauge(name: &'static str, thing: &'static str) -> Metric {
    Metric::new(Kind::Gauge(Many::Sum), name, Unit::Of(thing))
}

/// A gauge without a unit, of which the largest counts.
const fn ratio(name: &'static str) -> Metric {
    Metric::new(Kind::Gauge(Many::Most), name, Unit::Ratio)
}

/// A gauge of a length of time, of which the longest counts.
const fn time(name: &'static str) -> Metric {
    Metric::new(Kind::Gauge(Many::Most), name, Unit::Seconds)
}

const fn histogram(name: &'static str) -> Metric {
    Metric::new(Kind::Histogram, name, Unit::Seconds)
}

const BALANCE: LayerMetrics = LayerMetrics {
    layer: "balance",
    states: &["ready", "panic", "empty", "disabled"],
    metrics: &[
        counter("bartizan.balance.calls", "call")
            .by("outcome", &[("successes", "success"), ("failures", "failure"), ("unanswered", "unanswered")])
            .says("Calls that an endpoint has ended, by how: well, with a failure, or without an answer."),
        gauge("bartizan.balance.in_flight", "call").of("in_flight").says("Calls that endpoints are at work on."),
        gauge("bartizan.balance.endpoints", "endpoint").of("endpoints").says("Endpoints that are members."),
        gauge("bartizan.balance.usable", "endpoint").of("usable").says("Endpoints that calls go to."),
        gauge("bartizan.balance.unusable", "endpoint")
            .by(
                "state",
                &[
                    ("ejected", "ejected"),
                    ("draining", "draining"),
                    ("down", "down"),
                    ("broken", "broken"),
                    ("warming", "warming"),
                ],
            )
            .says("Endpoints that calls do not go to, or not as many, by why. One may be in several of these states."),
        gauge("bartizan.balance.waiting", "call").of("waiting").says("Calls that wait for an endpoint."),
        histogram("bartizan.balance.wait").of("wait_seconds").says("How long calls waited that found no endpoint at once."),
        counter("bartizan.balance.ejections", "ejection")
            .by(
                "cause",
                &[
                    ("ejections_consecutive", "consecutive"),
                    ("ejections_consecutive_gateway", "consecutive_gateway"),
                    ("ejections_consecutive_local", "consecutive_local"),
                    ("ejections_excess", "excess"),
                    ("ejections_excess_local", "excess_local"),
                    ("ejections_success_rate", "success_rate"),
                    ("ejections_failure_ratio", "failure_ratio"),
                    ("ejections_slowness", "slowness"),
                    ("ejections_manual", "manual"),
                ],
            )
            .says("Ejections that were enforced, by cause."),
        counter("bartizan.balance.ejections_watched", "ejection")
            .by("cause", &[("watched_consecutive", "consecutive"), ("watched_consecutive_gateway", "consecutive_gateway"), ("watched_consecutive_local", "consecutive_local"), ("watched_excess", "excess"), ("watched_excess_local", "excess_local"), ("watched_success_rate", "success_rate"), ("watched_failure_ratio", "failure_ratio"), ("watched_slowness", "slowness")])
            .says("Ejections that would have been, were their rule enforced, by cause."),
        counter("bartizan.balance.ejections_capped", "ejection")
            .by("cause", &[("overflow_consecutive", "consecutive"), ("overflow_consecutive_gateway", "consecutive_gateway"), ("overflow_consecutive_local", "consecutive_local"), ("overflow_excess", "excess"), ("overflow_excess_local", "excess_local"), ("overflow_success_rate", "success_rate"), ("overflow_failure_ratio", "failure_ratio"), ("overflow_slowness", "slowness")])
            .says("Ejections that were not, as as many endpoints as may be were out, by cause."),
        counter("bartizan.balance.ejections_withheld", "ejection")
            .by("cause", &[("withheld_consecutive", "consecutive"), ("withheld_consecutive_gateway", "consecutive_gateway"), ("withheld_consecutive_local", "consecutive_local"), ("withheld_excess", "excess"), ("withheld_excess_local", "excess_local"), ("withheld_success_rate", "success_rate"), ("withheld_failure_ratio", "failure_ratio"), ("withheld_slowness", "slowness")])
            .says("Ejections that were not, as too many other endpoints failed as well, by cause."),
        counter("bartizan.balance.refusals", "call")
            .by(
                "reason",
                &[
                    ("refused_no_endpoints", "no_endpoints"),
                    ("refused_none_usable", "none_usable"),
                    ("refused_full", "full"),
                ],
            )
            .says("Calls that were refused, by reason."),
        counter("bartizan.balance.moved", "call")
            .of("moved")
            .says("Calls that went to another endpoint than the first choice, as that one was not ready or refused."),
        counter("bartizan.balance.panics", "panic")
            .of("panics")
            .says("Times that so few endpoints were well that ejections were set aside."),
    ],
    left_out: &["refused", "ejections", "watched", "overflow", "withheld"],
};

const BREAKER: LayerMetrics = LayerMetrics {
    layer: "breaker",
    states: &["closed", "open", "half-open", "forced open", "disabled"],
    metrics: &[
        counter("bartizan.breaker.calls", "call")
            .by("outcome", &[("successes", "success"), ("failures", "failure"), ("throttled", "throttled")])
            .says("Calls that the circuit judged, by how they ended."),
        counter("bartizan.breaker.slow", "call")
            .of("slow")
            .says("Calls that took longer than is slow, however they ended."),
        counter("bartizan.breaker.refusals", "call")
            .by(
                "reason",
                &[
                    ("refused_start", "start"),
                    ("refused_evidence", "evidence"),
                    ("refused_failure_ratio", "failure_ratio"),
                    ("refused_slow_ratio", "slow_ratio"),
                    ("refused_consecutive", "consecutive"),
                    ("refused_probe", "probe"),
                    ("refused_forced", "forced"),
                    ("refused_probing", "probing"),
                    ("refused_recovering", "recovering"),
                ],
            )
            .says(
                "Calls that were refused, by reason: why the circuit is open, or that it probes or recovers.",
            ),
        counter("bartizan.breaker.shadowed", "call")
            .of("shadowed")
            .says("Calls that would have been refused, in shadow."),
        counter("bartizan.breaker.trips", "trip")
            .by(
                "rule",
                &[
                    ("trips_evidence", "evidence"),
                    ("trips_failure_ratio", "failure_ratio"),
                    ("trips_slow_ratio", "slow_ratio"),
                    ("trips_consecutive", "consecutive"),
                ],
            )
            .says("Times that a rule has opened the circuit, by rule."),
        counter("bartizan.breaker.probes", "call")
            .of("probes")
            .says("Calls that were let through as probes."),
        counter("bartizan.breaker.probes_failed", "call").of("probes_failed").says("Probes that were bad."),
        counter("bartizan.breaker.probing", "round")
            .by("outcome", &[("recovered", "closed"), ("reopened", "reopened")])
            .says("Rounds of probes, by what came of them: the circuit closed, or opened again."),
        ratio("bartizan.breaker.evidence")
            .of("evidence")
            .says("Evidence of failure, of which the threshold of its rule trips."),
        ratio("bartizan.breaker.failure_ratio")
            .of("failure_ratio")
            .says("Share of failures in the window of that rule."),
        ratio("bartizan.breaker.slow_ratio")
            .of("slow_ratio")
            .says("Share of slow calls in the window of that rule."),
        Metric::new(Kind::Gauge(Many::Least), "bartizan.breaker.admitted_share", Unit::Ratio)
            .of("share")
            .says("Share of calls that is admitted: less than one while a closed circuit recovers."),
        time("bartizan.breaker.open_left")
            .of("retry_after_seconds")
            .says("What is left of the pause of an open circuit."),
        gauge("bartizan.breaker.keys", "key").of("keys").says("Keys that have a circuit of their own."),
        gauge("bartizan.breaker.max_keys", "key").of("max_keys").says("Keys that may have one."),
        gauge("bartizan.breaker.keys_open", "key").of("open").says("Keys whose circuit is not closed."),
    ],
    left_out: &["refused", "trips"],
};

const BUDGET: LayerMetrics = LayerMetrics {
    layer: "budget",
    states: &["ample", "low", "empty"],
    metrics: &[
        gauge("bartizan.budget.tokens", "token").of("tokens").says("Tokens that are left."),
        gauge("bartizan.budget.cap", "token").of("cap").says("Tokens that there can be."),
        counter("bartizan.budget.deposits", "deposit").of("deposits").says("Successes that have paid in."),
        counter("bartizan.budget.withdrawals", "token")
            .by("kind", &[("retries", "retry"), ("hedges", "hedge")])
            .says("Tokens that were granted, those that came back among them, by what for."),
        counter("bartizan.budget.returned", "token")
            .of("returned")
            .says("Tokens that came back, as what they had paid for was not sent."),
        counter("bartizan.budget.unpaid", "call")
            .by("kind", &[("unpaid_retries", "retry"), ("unpaid_hedges", "hedge")])
            .says("Calls that were not sent again as there was no token, by what for."),
        counter("bartizan.budget.given_up", "call")
            .of("given_up")
            .says("Retries that were not paid for, as too many calls had failed in a row."),
        gauge("bartizan.budget.failures_in_a_row", "call")
            .of("failures_in_a_row")
            .says("Calls that have failed since the last success."),
    ],
    left_out: &[],
};

const DEADLINE: LayerMetrics = LayerMetrics {
    layer: "deadline",
    states: &["enabled", "withholding", "disabled"],
    metrics: &[
        counter("bartizan.deadline.refusals", "call")
            .by("reason", &[("refused_expired", "expired"), ("refused_too_little", "too_little"), ("refused_hopeless", "hopeless")])
            .says("Calls that were refused before they began, by reason: their time was up, too little of it was left, or less than calls took lately."),
        histogram("bartizan.deadline.left")
            .of("left_seconds")
            .says("How much time was left to calls that were refused. To one whose time was up, none."),
        counter("bartizan.deadline.timeouts", "call")
            .by("reason", &[("ended_total", "total"), ("ended_head", "head"), ("ended_idle", "idle"), ("ended_upload", "upload"), ("ended_late", "late")])
            .says("Calls that were cut off, by reason: the whole took too long, the head did, a body stood still on the way out or in, or it was read too late."),
        counter("bartizan.deadline.withheld", "call")
            .of("withheld")
            .says("Calls that would have been refused, and were not, as too large a share was refused already."),
        counter("bartizan.deadline.malformed", "call").of("malformed").says("Calls whose header said no deadline that could be read."),
        counter("bartizan.deadline.abandoned", "call").of("abandoned").says("Calls whose caller left before the answer."),
        time("bartizan.deadline.bound").of("total_seconds").says("Time that a whole call may take."),
        time("bartizan.deadline.learnt").of("learnt_seconds").says("Time that calls take, as it was learnt."),
    ],
    left_out: &["refused", "ended"],
};

const FALLBACK: LayerMetrics = LayerMetrics {
    layer: "fallback",
    states: &["enabled", "degraded", "disabled"],
    metrics: &[
        counter("bartizan.fallback.failures", "call")
            .by(
                "outcome",
                &[
                    ("used", "replaced"),
                    ("passed", "passed"),
                    ("declined", "declined"),
                    ("full", "full"),
                    ("failed", "failed"),
                ],
            )
            .says("Failures, by what became of them."),
        gauge("bartizan.fallback.in_flight", "call").of("in_flight").says("Fallbacks that are at work."),
    ],
    left_out: &[],
};

const FAULT: LayerMetrics = LayerMetrics {
    layer: "fault",
    states: &["off", "idle", "active"],
    metrics: &[
        gauge("bartizan.fault.faults", "fault").of("faults").says("Faults that are injected now."),
        counter("bartizan.fault.injected", "call")
            .by(
                "kind",
                &[
                    ("delayed", "delay"),
                    ("errors", "error"),
                    ("hung", "hang"),
                    ("reset", "reset"),
                    ("panicked", "panic"),
                    ("replies_lost", "lost_reply"),
                    ("truncated", "truncated"),
                    ("dripped", "drip"),
                ],
            )
            .says("Calls that were harmed on purpose, by how."),
    ],
    left_out: &[],
};

const HEDGE: LayerMetrics = LayerMetrics {
    layer: "hedge",
    states: &["enabled", "learning", "disabled"],
    metrics: &[
        counter("bartizan.hedge.calls", "call").of("calls").says("Calls, whether they may be hedged or not."),
        counter("bartizan.hedge.hedged", "call").of("hedged").says("Calls of which a copy was sent."),
        counter("bartizan.hedge.hedges", "copy").of("hedges").says("Copies that were sent beside the first."),
        counter("bartizan.hedge.won", "call").of("won").says("Calls that were answered by such a copy."),
        counter("bartizan.hedge.superseded", "copy")
            .of("superseded")
            .says("Copies that were dropped when another had won."),
        counter("bartizan.hedge.failed", "copy")
            .of("failed")
            .says("Copies that were sent beside the first, and failed."),
        counter("bartizan.hedge.not_sent", "copy")
            .by(
                "reason",
                &[
                    ("unready", "unready"),
                    ("told", "told"),
                    ("unpaid", "unpaid"),
                    ("useless", "useless"),
                    ("hopeless", "hopeless"),
                    ("too_large", "too_large"),
                ],
            )
            .says("Copies that were due and not sent, by reason; of `told`, each call once whose server asked to be left alone, whether a copy was left to send or not."),
        time("bartizan.hedge.delay").of("delay_seconds").says("After how long a second copy is sent."),
        time("bartizan.hedge.median").of("median_seconds").says("Time within which half of the calls end."),
        ratio("bartizan.hedge.win_share").of("win_share").says("Share of the latest copies that have won."),
        gauge("bartizan.hedge.tokens", "token")
            .of("budget_left")
            .says("Tokens of its own limit of extra load."),
        gauge("bartizan.hedge.cap", "token").of("budget_cap").says("Tokens that there can be."),
        Metric::new(Kind::Gauge(Many::Sum), "bartizan.hedge.kept", Unit::Bytes)
            .of("bytes_kept")
            .says("Bodies that are kept to be sent again."),
    ],
    left_out: &["budget_deposits"],
};

const LIMIT: LayerMetrics = LayerMetrics {
    layer: "limit",
    states: &["open", "spent", "crowded", "off"],
    metrics: &[
        counter("bartizan.limit.refusals", "call")
            .by("reason", &[("refused_limit", "limit"), ("refused_costly", "costly"), ("refused_queue_full", "queue_full"), ("refused_too_long", "too_long")])
            .says("Calls that were refused, by reason: over the limit, dearer than the whole burst, or the queue was full or too slow."),
        counter("bartizan.limit.shadowed", "call")
            .of("shadowed")
            .says("Calls that would have been refused, in shadow."),
        gauge("bartizan.limit.remaining", "call").of("remaining").says("Calls that may come at once now."),
        gauge("bartizan.limit.burst", "call").of("burst").says("Calls that may come at once after a pause."),
        time("bartizan.limit.interval")
            .of("interval_seconds")
            .says("Time after which one more call may come."),
        gauge("bartizan.limit.waiting", "call").of("waiting").says("Calls that wait for their turn."),
        histogram("bartizan.limit.queue").of("queue_seconds").says("How long calls waited for their turn, those that gave up among them."),
        gauge("bartizan.limit.keys", "key").of("keys").says("Keys that have a bucket of their own."),
        gauge("bartizan.limit.max_keys", "key").of("max_keys").says("Keys that may have one."),
        counter("bartizan.limit.overflowed", "call")
            .of("overflowed")
            .says("Calls whose key had no bucket of its own."),
        gauge("bartizan.limit.store_gone", "store").of("store_gone").says("One while the store that processes share does not answer, and each limits alone."),
        counter("bartizan.limit.store_unanswered", "question").of("store_unanswered").says("Questions to the store without an answer."),
    ],
    left_out: &["refused"],
};

const METER: LayerMetrics = LayerMetrics {
    layer: "meter",
    states: &["enabled", "disabled"],
    metrics: &[
        counter("bartizan.meter.calls", "call")
            .by(
                "outcome",
                &[
                    ("successes", "success"),
                    ("failures", "failure"),
                    ("throttled", "throttled"),
                    ("ignored", "ignored"),
                    ("abandoned", "abandoned"),
                ],
            )
            .says("Calls that have ended, by how. `ignored` says nothing about the service; `abandoned` has been left by its caller."),
        gauge("bartizan.meter.in_flight", "call").of("in_flight").says("Calls that have begun and not ended."),
        histogram("bartizan.meter.duration")
            .of("duration_seconds")
            .says("How long calls took, from the head of the request to the end of the body, however they ended."),
    ],
    left_out: &[],
};

const POLICY: LayerMetrics = LayerMetrics {
    layer: "policy",
    states: &["current", "outdated"],
    metrics: &[
        gauge("bartizan.policy.version", "version")
            .of("version")
            .says("Version that is in force, counted from one."),
        time("bartizan.policy.age").of("age_seconds").says("Time since it was taken over."),
        counter("bartizan.policy.refused", "version")
            .of("refused")
            .says("Versions that were wrong and not taken over."),
        counter("bartizan.policy.unreachable", "look")
            .of("unreachable")
            .says("Times that its source could not be read."),
        gauge("bartizan.policy.unused", "table")
            .of("unused")
            .says("Tables of the policy that no code asks for."),
        gauge("bartizan.policy.stacks", "stack")
            .by("kind", &[("servers", "server"), ("clients", "client")])
            .says("Stacks that follow the policy."),
    ],
    left_out: &[],
};

const RETRY: LayerMetrics = LayerMetrics {
    layer: "retry",
    states: &["enabled", "exhausted", "disabled"],
    metrics: &[
        counter("bartizan.retry.calls", "call").of("calls").says("Calls."),
        counter("bartizan.retry.attempts", "attempt")
            .by(
                "kind",
                &[("calls", "first"), ("retries", "retry"), ("resent", "resent"), ("waited", "waited")],
            )
            .says("Attempts, by kind."),
        counter("bartizan.retry.recovered", "call")
            .of("recovered")
            .says("Calls that failed first, and were answered by another attempt."),
        counter("bartizan.retry.failed", "call")
            .by(
                "reason",
                &[
                    ("not_asked", "not_asked"),
                    ("not_repeatable", "not_repeatable"),
                    ("told", "told"),
                    ("refused", "refused"),
                    ("out_of_tries", "out_of_tries"),
                    ("out_of_time", "out_of_time"),
                    ("out_of_budget", "out_of_budget"),
                    ("too_large", "too_large"),
                ],
            )
            .says("Calls that have failed, by why there was no further attempt."),
        histogram("bartizan.retry.wait").of("wait_seconds").says("How long attempts were waited for."),
        gauge("bartizan.retry.tokens", "token").of("budget_left").says("Tokens that its budget has left."),
        gauge("bartizan.retry.cap", "token").of("budget_cap").says("Tokens that there can be."),
        Metric::new(Kind::Gauge(Many::Sum), "bartizan.retry.kept", Unit::Bytes)
            .of("bytes_kept")
            .says("Bodies that are kept to be sent again."),
    ],
    left_out: &["attempts", "failed", "budget_deposits"],
};

const SHED: LayerMetrics = LayerMetrics {
    layer: "shed",
    states: &["admitting", "shedding", "shadow", "disabled"],
    metrics: &[
        counter("bartizan.shed.admitted", "call")
            .by(
                "priority",
                &[
                    ("admitted_critical", "critical"),
                    ("admitted_normal", "normal"),
                    ("admitted_sheddable", "sheddable"),
                ],
            )
            .says("Calls that were admitted, by priority."),
        counter("bartizan.shed.refusals", "call")
            .by(
                "reason",
                &[
                    ("refused_limit", "limit"),
                    ("refused_wait", "wait"),
                    ("refused_ceiling", "ceiling"),
                    ("refused_share", "share"),
                    ("refused_cpu", "cpu"),
                    ("refused_not_ready", "not_ready"),
                    ("refused_queue_full", "queue_full"),
                    ("refused_too_long", "too_long"),
                    ("refused_late", "late"),
                ],
            )
            .says("Calls that were refused, by reason."),
        counter("bartizan.shed.refused", "call")
            .by(
                "priority",
                &[
                    ("refused_critical", "critical"),
                    ("refused_normal", "normal"),
                    ("refused_sheddable", "sheddable"),
                ],
            )
            .says("Calls that were refused, by priority."),
        counter("bartizan.shed.shadowed", "call")
            .by(
                "priority",
                &[
                    ("shadowed_critical", "critical"),
                    ("shadowed_normal", "normal"),
                    ("shadowed_sheddable", "sheddable"),
                ],
            )
            .says("Calls that would have been refused, in shadow, by priority."),
        gauge("bartizan.shed.in_flight", "call").of("in_flight").says("Calls that are at work."),
        gauge("bartizan.shed.limit", "call").of("limit").says("Calls that may be at work at once."),
        gauge("bartizan.shed.queued", "call").of("queued").says("Calls that wait for a place."),
        gauge("bartizan.shed.queue_places", "call")
            .of("queue_places")
            .says("Calls that may wait for a place."),
        histogram("bartizan.shed.queue")
            .of("queue_seconds")
            .says("How long calls waited for a place, those that gave up or were refused among them."),
        time("bartizan.shed.queue_age")
            .of("queue_age_seconds")
            .says("How long the call has waited that waits longest."),
        Metric::new(Kind::Gauge(Many::Sum), "bartizan.shed.throughput", Unit::Ratio)
            .of("throughput")
            .says("Calls per second that get done, as the rule sees it."),
        time("bartizan.shed.service_time")
            .of("service_seconds")
            .says("Time that a call takes when nobody waits."),
        time("bartizan.shed.predicted_wait")
            .of("predicted_wait_seconds")
            .says("Time that a call which came now would wait."),
        ratio("bartizan.shed.cpu").of("cpu").says("Share of the processors that is in use."),
    ],
    left_out: &["admitted", "refused", "shadowed"],
};

const STALE: LayerMetrics = LayerMetrics {
    layer: "stale",
    states: &["enabled", "degraded", "disabled"],
    metrics: &[
        counter("bartizan.stale.reads", "read").of("reads").says("Reads that may be kept or answered from what is kept."),
        counter("bartizan.stale.served", "read")
            .by("kind", &[("hits", "fresh"), ("coalesced", "coalesced"), ("stale_if_error", "if_error"), ("spared", "spared"), ("stale_while_revalidate", "while_revalidate")])
            .says("Reads that were answered without an answer to a call of their own, by kind: fresh, the answer to an equal read, or stale: in place of a failure, while the service is spared after one, or while it is asked again."),
        histogram("bartizan.stale.staleness").of("stale_seconds").says("For how long the stale answers that were served had been stale."),
        counter("bartizan.stale.unanswered", "read").of("unanswered").says("Reads that failed and for which nothing was kept that could be served."),
        counter("bartizan.stale.refusals", "read")
            .by("reason", &[("refused_not_kept", "not_kept")])
            .says("Of these, reads that asked only for what is kept."),
        counter("bartizan.stale.stored", "answer").of("stored").says("Answers that were kept."),
        counter("bartizan.stale.revalidated", "answer").of("revalidated").says("Answers that hold still, as their service said."),
        counter("bartizan.stale.refreshes", "refresh").of("refreshes").says("Refreshes that began in the background."),
        counter("bartizan.stale.refreshes_failed", "refresh")
            .by("reason", &[("refreshes_failed", "failed"), ("refreshes_late", "late")])
            .says("Refreshes that came to nothing, by reason."),
        gauge("bartizan.stale.entries", "answer").of("entries").says("Answers that are kept."),
        Metric::new(Kind::Gauge(Many::Sum), "bartizan.stale.kept", Unit::Bytes).of("bytes").says("What these take."),
        Metric::new(Kind::Gauge(Many::Sum), "bartizan.stale.recording", Unit::Bytes).of("recording").says("Bodies that are being copied."),
        gauge("bartizan.stale.in_flight", "read").of("in_flight").says("Reads whose answer has not come, or is still being copied."),
        gauge("bartizan.stale.waiting", "read").of("waiting").says("Reads that wait for the answer to an equal one."),
        gauge("bartizan.stale.refreshing", "refresh").of("refreshing").says("Refreshes under way in the background."),
    ],
    left_out: &[],
};

const THROTTLE: LayerMetrics = LayerMetrics {
    layer: "throttle",
    states: &["passing", "throttling", "disabled"],
    metrics: &[
        counter("bartizan.throttle.refusals", "call").of("refused").says("Calls that were refused here."),
        counter("bartizan.throttle.shadowed", "call")
            .of("shadowed")
            .says("Calls that would have been refused here, in shadow."),
        counter("bartizan.throttle.throttled", "call").of("throttled").says("Calls that the server refused."),
        ratio("bartizan.throttle.rejection")
            .of("rejection")
            .says("The largest share of a class of calls that is refused now."),
        gauge("bartizan.throttle.requests", "call")
            .of("requests")
            .says("Calls of the window that have ended, those refused here among them."),
        gauge("bartizan.throttle.accepts", "call")
            .of("accepts")
            .says("Of these, calls that the server accepted."),
    ],
    left_out: &[],
};

const TRACE: LayerMetrics = LayerMetrics {
    layer: "trace",
    states: &["enabled", "disabled"],
    metrics: &[counter("bartizan.trace.malformed", "request")
        .of("malformed")
        .says("Requests whose `traceparent` did not follow its grammar, each of which began a trace anew.")],
    left_out: &[],
};
