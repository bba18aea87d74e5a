//! Alert rules for Prometheus.

use super::query::{metric, quantile, rate, series, state};
use std::fmt::Write as _;

const HEAD: &str = "# Alerts on what every named layer tells, for Prometheus; made of the table of metrics by
# `cargo run -p bartizan-metrics --example pages`. They are on names as the exporter of the crate `metrics` writes them with
# `with_recommended_naming(true)`, and with the bounds `bartizan_metrics::BUCKETS`. Thresholds are where most begin; a copy may have others.
";

/// How much it matters.
#[derive(Clone, Copy)]
enum Severity {
    /// Callers are refused what they ask for, and somebody has to look now.
    Critical,
    /// Something is kept from getting worse, and somebody has to look today.
    Warning,
    /// Nobody is worse off, but it is not as it was meant to be.
    Info,
}

struct Alert {
    name: &'static str,
    expr: String,
    lasting: &'static str,
    severity: Severity,
    summary: &'static str,
    to_do: &'static str,
}

/// How much of it came in the last five minutes, more than so much.
fn comes(name: &str, values: &[&str], per_second: f64) -> String {
    format!("{} > {per_second}", rate(name, values, "5m"))
}

fn is_in(layer: &str, states: &[&str]) -> String {
    match states {
        [_] => format!("{} > 0", state(layer, states)),
        // Going from one to the other is no end.
        _ => format!("sum without (state) ({}) > 0", state(layer, states)),
    }
}

fn share(part: &str, whole: &str, more_than: f64) -> String {
    format!("{part} / {whole} > {more_than}")
}

use Severity::{Critical, Info, Warning};

const ON: &str = "{{ $labels.name }}";

#[rustfmt::skip]
fn alerts() -> Vec<(&'static str, Vec<Alert>)> {
    let alert = |name, expr, lasting, severity, summary, to_do| Alert { name, expr, lasting, severity, summary, to_do };
    let calls = rate("bartizan.meter.calls", &[], "5m");
    let shed = rate("bartizan.shed.refusals", &[], "5m");
    let admitted = rate("bartizan.shed.admitted", &[], "5m");
    vec![
        ("calls", vec![
            alert("BartizanCallsFail", share(&rate_sum("bartizan.meter.calls", "failure"), &calls, 0.05), "5m", Critical,
                "More than 5 % of the calls of ON fail.",
                "See which layer beneath refuses or times out, and the logs of the service behind it. If an own release began when it did, take it back."),
            alert("BartizanCallsSlow", format!("{} > 1", quantile(0.99, "bartizan.meter.duration", "5m")), "10m", Warning,
                "One call of ON in a hundred takes longer than a second.",
                "Compare with the meters of what it calls: the slow one is the innermost that is slow. A queue shows as age of the queue, a slow endpoint as ejections by slowness."),
        ]),
        ("breaker", vec![
            alert("BartizanBreakerOpen", is_in("breaker", &["open", "half-open"]), "1m", Critical,
                "The breaker ON has refused calls for a minute.",
                "The service behind it fails or is slow: look there first. The rule that tripped is in the console and in the metric of trips. Only if the service is well, `reset` the breaker."),
            alert("BartizanBreakerForced", is_in("breaker", &["forced open"]), "15m", Info,
                "The breaker ON is forced open.",
                "Somebody has opened it by hand. If that is over, `resume` it."),
            alert("BartizanBreakerFlaps", format!("sum without (rule) (increase({}[1h])) > 5", series("bartizan.breaker.trips", &[])), "0m", Warning,
                "The breaker ON has opened more than five times within an hour.",
                "The service recovers for a probe and fails under load: it is short of something. Lengthen the ramp, or shed load before it."),
        ]),
        ("retry", vec![
            alert("BartizanRetryBudgetExhausted", comes("bartizan.retry.failed", &["out_of_budget"], 0.0), "2m", Warning,
                "Calls of ON fail without another attempt, as the budget pays for none.",
                "More fails than retries can mend. Find out what fails; a larger budget would add load to what is down."),
            alert("BartizanRetriesMany", share(&rate_sum("bartizan.retry.attempts", "retry"), &rate_sum("bartizan.retry.attempts", "first"), 0.1), "5m", Warning,
                "More than a tenth of the load of ON is retries.",
                "Something fails often and recovers at once. Find it by the endpoints, and take it out."),
            alert("BartizanBudgetEmpty", is_in("budget", &["empty"]), "2m", Warning,
                "The budget ON that retries and hedges share is empty.",
                "As for retries whose budget is exhausted."),
        ]),
        ("balance", vec![
            alert("BartizanNoEndpoints", is_in("balance", &["empty"]), "1m", Critical,
                "The balancer ON has no endpoint.",
                "Look at where its endpoints come from: DNS, the file, Consul. Its errors are events."),
            alert("BartizanBalancePanic", is_in("balance", &["panic"]), "1m", Critical,
                "So few endpoints of ON are well that all are used.",
                "Most are ejected, down or draining. If all fail alike it is not the endpoints: look at what they have in common."),
            alert("BartizanEjectionsWithheld", format!("{} + {} > 0", rate("bartizan.balance.ejections_capped", &[], "5m"), rate("bartizan.balance.ejections_withheld", &[], "5m")), "5m", Warning,
                "Endpoints of ON ought to be ejected, and are not.",
                "Either as many are out as may be, or too many fail at once for the fault to be theirs. Look at what they have in common."),
            alert("BartizanBalanceRefuses", comes("bartizan.balance.refusals", &[], 0.0), "2m", Critical,
                "The balancer ON refuses calls.",
                "See the reason: without endpoints, look at discovery; if none is usable, at the endpoints; if full, at what they are slow at."),
        ]),
        ("shed", vec![
            alert("BartizanShedding", share(&shed, &format!("({shed} + {admitted})"), 0.01), "2m", Warning,
                "ON refuses more than 1 % of its calls, as it has too much to do.",
                "It works as it should; the load does not fit. Add replicas, or find who sends more than before."),
            alert("BartizanShedsCritical", comes("bartizan.shed.refused", &["critical"], 0.0), "1m", Critical,
                "ON refuses critical calls.",
                "Nothing less important is left to refuse. Add replicas, or limit the callers who can wait."),
            alert("BartizanQueueOld", format!("{} > 0.5", quantile(0.99, "bartizan.shed.queue", "5m")), "5m", Warning,
                "One call in a hundred waits for more than half a second in the queue of ON.",
                "The queue stands, and is no burst any more. Add replicas, or make the queue shorter."),
            alert("BartizanThrottling", is_in("throttle", &["throttling"]), "5m", Warning,
                "Calls through ON are refused on this side, as the server refuses too many.",
                "Look at the server: it sheds load. Send it less, or give it more."),
        ]),
        ("limit", vec![
            alert("BartizanLimitCrowded", is_in("limit", &["crowded"]), "5m", Warning,
                "The limit ON has no room for another key.",
                "New callers share one bucket. More come than was expected, or somebody makes keys up: look at what the key is made of, and raise `max_keys`."),
            alert("BartizanLimitRefuses", comes("bartizan.limit.refusals", &[], 1.0), "15m", Info,
                "The limit ON refuses more than one call in a second.",
                "Somebody asks for more than his share. Whom, the logs of the edge say; metrics have no keys."),
            alert("BartizanLimitStoreGone", format!("{} > 0", series("bartizan.limit.store_gone", &[])), "1m", Warning,
                "The limit ON does not reach the store that processes share.",
                "Each process limits alone meanwhile, so that callers get more. Look at Redis."),
        ]),
        ("deadline", vec![
            alert("BartizanDeadlineRefusals", comes("bartizan.deadline.refusals", &[], 0.1), "5m", Warning,
                "Calls reach ON with too little time left to be served.",
                "Whoever calls has spent the time already: look at what is slow before this service, or at a client whose deadline is too short."),
            alert("BartizanTimeouts", comes("bartizan.deadline.timeouts", &[], 0.1), "5m", Warning,
                "Calls of ON are cut off by their deadline.",
                "See what takes too long by reason: the head is the service, `idle` the body, `upload` and `late` the caller."),
            alert("BartizanDeadlineWithholds", is_in("deadline", &["withholding"]), "5m", Warning,
                "ON would refuse more calls than it may, by what it has learnt.",
                "What was learnt does not hold any more, or everything has become slow. Look at the time that calls take."),
        ]),
        ("fallback", vec![
            alert("BartizanFallbackUsed", comes("bartizan.fallback.failures", &["replaced"], 0.0), "5m", Warning,
                "Answers of ON are made up in place of failures.",
                "Callers see less than there is. Look at what fails behind it."),
            alert("BartizanStaleServed", comes("bartizan.stale.served", &["if_error", "spared"], 0.0), "5m", Warning,
                "ON answers with what was true earlier, as its service fails.",
                "Look at the service. For how long answers have been stale, the metric of staleness says."),
        ]),
        ("house", vec![
            alert("BartizanPolicyOutdated", is_in("policy", &["outdated"]), "5m", Warning,
                "The policy ON is not the one in its source.",
                "Its last version is wrong or cannot be read. The console and the event say where and why."),
            alert("BartizanFaultsInjected", is_in("fault", &["active"]), "30m", Info,
                "Faults have been injected into ON for half an hour.",
                "If the exercise is over, `clear` them."),
            alert("BartizanSilent", "absent(bartizan_layers)".into(), "5m", Info,
                "No process tells what its layers do.",
                "Is `bartizan_metrics::publish` called before each scrape, and is the target up?"),
        ]),
    ]
}

/// The rate of one value, without its label, so that two of them can be divided.
fn rate_sum(name: &str, value: &str) -> String {
    let label = metric(name).label().unwrap_or_default();
    format!("sum without ({label}) ({})", rate(name, &[value], "5m"))
}

pub(crate) fn rules() -> String {
    let mut rules = HEAD.to_owned();
    rules.push_str("groups:\n");
    for (group, alerts) in alerts() {
        let _ = writeln!(rules, "  - name: bartizan-{group}\n    rules:");
        for alert in alerts {
            let severity = match alert.severity {
                Critical => "critical",
                Warning => "warning",
                Info => "info",
            };
            let (summary, to_do) = (alert.summary.replace("ON", ON), alert.to_do);
            let _ = writeln!(
                rules,
                "      - alert: {}\n        expr: '{}'\n        for: {}\n        labels: {{severity: {severity}}}\n        annotations:\n          \
                 summary: '{summary}'\n          description: '{to_do}'",
                alert.name, alert.expr, alert.lasting,
            );
        }
    }
    rules
}
