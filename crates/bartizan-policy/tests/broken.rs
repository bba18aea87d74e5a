//! What is said of texts that are wrong, word by word.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_policy::{Format, Policy};

const TOML: &[(&str, &str)] = &[
    // Syntax.
    ("[clients.stock\n", "line 1: unclosed table, expected `]`"),
    ("\n[clients.stock]\nretry = \n", "line 3: string values must be quoted, expected literal string"),
    ("[clients.stock]\n[clients.stock]\n", "line 2: duplicate key `stock`"),
    (
        "[clients.stock]\nretry.max_retries = 1\nretry.max_retries = 2\n",
        "line 3: duplicate key `max_retries`",
    ),
    // Names.
    ("[server.shop]\n", "line 1, server: unknown setting, did you mean `servers`?"),
    (
        "[clients.stock]\n\nretires = {}\n",
        "line 3, clients.stock.retires: unknown setting, known are `endpoints`, `stale`, `deadline`, `retry`, `hedge`, `budget`, `balance`, `breaker`, `attempt`",
    ),
    (
        "[clients.stock.retry]\nmax_retires = 3\n",
        "line 2, clients.stock.retry.max_retires: unknown setting, did you mean `max_retries`?",
    ),
    (
        "[clients.stock.retry]\nattempts = 3\n",
        "line 2, clients.stock.retry.attempts: unknown setting, known are `max_retries`, `backoff`, `throttled_backoff`, `allowance`, `on`, `max_hint`, `trust_hints`, `max_body`, `max_bodies`, `seed`, `enabled`",
    ),
    (
        "[clients.stock.breaker.evidence.shares]\nnormal = 0.1\noutage = 0.3\nthreshold = 1\n",
        "line 4, clients.stock.breaker.evidence.shares.threshold: unknown setting, known are `normal`, `outage`",
    ),
    (
        "[clients.stock.retry]\nmax-retries = 1\nmax_retries = 2\n",
        "line 3, clients.stock.retry.max_retries: is given twice, in two spellings",
    ),
    // Types.
    ("clients = 5\n", "line 1, clients: must be a table, not 5"),
    ("[servers]\nshop = \"2s\"\n", "line 2, servers.shop: must be a table, not the text \"2s\""),
    ("[clients.stock]\nretry = 3\n", "line 2, clients.stock.retry: must be a table, true or false, not 3"),
    ("[clients.stock]\nbudget = true\n", "line 2, clients.stock.budget: must be a table, not true"),
    (
        "[clients.stock]\nretry.max_retries = \"two\"\n",
        "line 2, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not the text \"two\"",
    ),
    (
        "[clients.stock]\nretry.max_retries = -1\n",
        "line 2, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not -1",
    ),
    (
        "[clients.stock]\nretry.max_retries = 5_000_000_000\n",
        "line 2, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not 5000000000",
    ),
    (
        "[clients.stock]\nretry.max_retries = 1.5\n",
        "line 2, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not 1.5",
    ),
    (
        "[clients.stock]\nretry.enabled = \"yes\"\n",
        "line 2, clients.stock.retry.enabled: must be true or false, not the text \"yes\"",
    ),
    ("[clients.stock]\nbalance.zone = 7\n", "line 2, clients.stock.balance.zone: must be text, not 7"),
    (
        "[clients.stock]\nendpoints = \"http://10.0.0.1\"\n",
        "line 2, clients.stock.endpoints: must be a list, not the text \"http://10.0.0.1\"",
    ),
    (
        "[clients.stock]\nbreaker.consecutive = []\n",
        "line 2, clients.stock.breaker.consecutive.failures: must be a whole number within 1..=4294967295, not a list",
    ),
    (
        "[clients.stock]\nbreaker.evidence = 3\n",
        "line 2, clients.stock.breaker.evidence: must be a table, true or false, not 3",
    ),
    // Numbers, each with its own range.
    (
        "[servers.shop]\nlimit.rate = \"50\"\n",
        "line 2, servers.shop.limit.rate: must be a whole number within 1..=4294967295, not the text \"50\"",
    ),
    (
        "[clients.stock]\nbreaker.probes = 1.5\n",
        "line 2, clients.stock.breaker.probes: must be a whole number within 1..=1000, not 1.5",
    ),
    (
        "[servers.shop]\nshed.max_in_flight = -1\n",
        "line 2, servers.shop.shed.max_in_flight: must be a whole number from 1 on, not -1",
    ),
    (
        "[clients.stock]\nendpoints = [{ uri = \"http://a\", weight = -1 }]\n",
        "line 2, clients.stock.endpoints[0].weight: must be a whole number within 0..=4294967295, not -1",
    ),
    (
        "[clients.default]\nbudget.ratio = \"10 %\"\n",
        "line 2, clients.default.budget.ratio: must be a number within 0.0..=1.0, not the text \"10 %\"",
    ),
    (
        "[clients.stock]\nbreaker.failure_ratio.ratio = true\n",
        "line 2, clients.stock.breaker.failure_ratio.ratio: must be a number above 0.0 and at most 1.0, not true",
    ),
    (
        "[clients.stock]\nhedge.percentile = []\n",
        "line 2, clients.stock.hedge.percentile: must be a number from 0.5 on and below 1.0, not a list",
    ),
    (
        "[clients.stock]\nbalance.choice.ring_hash.bound = \"much\"\n",
        "line 2, clients.stock.balance.choice.ring_hash.bound: must be a number from 1.0 on, not the text \"much\"",
    ),
    // Durations.
    (
        "[servers.shop]\ndeadline = \"0s\"\n",
        "line 2, servers.shop.deadline.total: must be above zero, which refuses every call: `enabled = false` switches it off",
    ),
    (
        "[clients.stock]\nattempt = { total = \"0\", enabled = true }\n",
        "line 2, clients.stock.attempt.total: must be above zero, which refuses every call: `enabled = false` switches it off",
    ),
    (
        "[clients.stock]\ndeadline.head_timeout = \"0s\"\n",
        "line 2, clients.stock.deadline.head_timeout: head_timeout must be longer than zero",
    ),
    (
        "[clients.stock]\nbalance.max_in_flight = 0\n",
        "line 2, clients.stock.balance.max_in_flight: max_in_flight must be at least 1: zero refuses every call",
    ),
    (
        "[servers.shop]\ndeadline = 2\n",
        "line 2, servers.shop.deadline.total: must be a duration as text with its unit, such as \"250ms\" or \"1m 30s\", not 2",
    ),
    (
        "[servers.shop]\ndeadline = \"2 sec ago\"\n",
        "line 2, servers.shop.deadline.total: must be a duration as text with its unit, such as \"250ms\" or \"1m 30s\", not the text \"2 sec ago\"",
    ),
    (
        "[servers.shop]\ndeadline.total = \"2\"\n",
        "line 2, servers.shop.deadline.total: must be a duration as text with its unit, such as \"250ms\" or \"1m 30s\", not the text \"2\"",
    ),
    (
        "[servers.shop]\ndeadline = \"-2s\"\n",
        "line 2, servers.shop.deadline.total: must be a duration as text with its unit, such as \"250ms\" or \"1m 30s\", not the text \"-2s\"",
    ),
    (
        "[servers.shop]\ndeadline = 2026-01-01\n",
        "line 2, servers.shop.deadline.total: must be a duration as text with its unit, such as \"250ms\" or \"1m 30s\", not the text \"2026-01-01\"",
    ),
    // Words.
    (
        "[clients.stock]\nbalance.choice = \"raound robin\"\n",
        "line 2, clients.stock.balance.choice: unknown word `raound_robin`, did you mean `round_robin`?",
    ),
    (
        "[clients.stock]\nbalance.choice = { random = { points = 3 } }\n",
        "line 2, clients.stock.balance.choice.random: takes no settings",
    ),
    (
        "[clients.stock]\nbreaker.mode = \"off\"\n",
        "line 2, clients.stock.breaker.mode: unknown word `off`, known are `normal`, `shadow`, `forced_open`, `disabled`",
    ),
    (
        "[clients.stock]\nretry.on = [\"failures\", \"timeouts\"]\n",
        "line 2, clients.stock.retry.on[1]: unknown word `timeouts`, known are `failures`, `gateway`, `connect`, and gRPC's codes, such as `UNAVAILABLE`",
    ),
    (
        "[clients.stock]\nretry.on = [\"UNAVALABLE\"]\n",
        "line 2, clients.stock.retry.on[0]: unknown word `UNAVALABLE`, did you mean `UNAVAILABLE`?",
    ),
    (
        "[clients.stock]\nretry.backoff = \"exponentail\"\n",
        "line 2, clients.stock.retry.backoff: unknown word `exponentail`, did you mean `exponential`?",
    ),
    (
        "[clients.stock]\nretry.backoff = { constant.wait = \"1s\", linear.step = \"1s\" }\n",
        "line 2, clients.stock.retry.backoff: must have one entry, not 2",
    ),
    (
        "[clients.stock]\nretry.backoff = \"constant\"\n",
        "line 2, clients.stock.retry.backoff: `wait` is missing",
    ),
    (
        "[clients.stock]\nretry.backoff.exponential.jitter = \"half\"\n",
        "line 2, clients.stock.retry.backoff.exponential.jitter: must be `none`, `full` or a share within 0.0..=1.0, not the text \"half\"",
    ),
    // Ranges.
    (
        "[clients.stock]\nbreaker.probes = 0\n",
        "line 2, clients.stock.breaker.probes: probes must be within 1..=1000",
    ),
    (
        "[clients.stock.breaker]\nconsecutive = 0\n",
        "line 2, clients.stock.breaker.consecutive.failures: failures in a row must be at least 1",
    ),
    (
        "[clients.stock.breaker]\nfailure_ratio.ratio = 1.5\n",
        "line 2, clients.stock.breaker.failure_ratio.ratio: ratio must be above 0.0 and at most 1.0",
    ),
    (
        "[clients.stock.breaker]\nfailure_ratio = { ratio = 0.5, window = 10, min_requests = 11 }\n",
        "line 2, clients.stock.breaker.failure_ratio.min_requests: min_requests must not exceed the window of calls",
    ),
    (
        "[clients.stock.breaker]\nfailure_ratio = { window = 10 }\n",
        "line 2, clients.stock.breaker.failure_ratio: `ratio` is missing",
    ),
    (
        "[clients.stock.breaker.pause]\nlist = []\n",
        "line 2, clients.stock.breaker.pause.list: list must have one to eight pauses",
    ),
    (
        "[clients.stock.breaker.evidence.pause]\njitter = nan\n",
        "line 2, clients.stock.breaker.evidence.pause.jitter: jitter must be within 0.0..=1.0",
    ),
    (
        "[clients.stock]\nendpoints = [\"http://a\",\n  \"10.0.0.1:80\"]\n",
        "line 3, clients.stock.endpoints[1]: must be a URI such as \"http://10.0.0.1:8080\", not \"10.0.0.1:80\"",
    ),
    ("[clients.stock]\nendpoints = []\n", "line 2, clients.stock.endpoints: must name at least one"),
    (
        "[clients.stock]\nendpoints = [{ uri = \"http://a\", wieght = 3 }]\n",
        "line 2, clients.stock.endpoints[0].wieght: unknown setting, did you mean `weight`?",
    ),
    (
        "[clients.stock]\nbalance.ejection.interval = \"0s\"\n",
        "line 2, clients.stock.balance.ejection.interval: interval must be above zero",
    ),
    (
        "[clients.stock]\nbalance.choice.ring_hash.points = 0\n",
        "line 2, clients.stock.balance.choice.ring_hash.points: points must be at least 1",
    ),
    (
        "[clients.stock]\nhedge.budget.min_tokens = 0\n",
        "line 2, clients.stock.hedge.budget.min_tokens: min_tokens must be within 1..=1000",
    ),
    (
        "[clients.stock]\nretry.on = [0]\n",
        "line 2, clients.stock.retry.on[0]: must be `failures`, `gateway`, `connect` or a code within 1..=65535, not 0",
    ),
    ("[clients.stock]\nretry.on = []\n", "line 2, clients.stock.retry.on: must name at least one"),
    (
        "[clients.stock]\nretry.backoff.exponential = { min = \"2s\", max = \"1s\" }\n",
        "line 2, clients.stock.retry.backoff.exponential.max: backoff: max must not be less than min",
    ),
    (
        "[clients.stock]\nretry.allowance = { most = 0, half = \"1s\", steepness = 1 }\n",
        "line 2, clients.stock.retry.allowance: allowance: most must be finite, and above zero",
    ),
    ("[servers.shop]\nlimit.rate = 0\n", "line 2, servers.shop.limit.rate: rate must be at least 1"),
    (
        "[servers.shop]\nlimit.per = \"1s\"\n",
        "line 2, servers.shop.limit.per: a period needs a `rate` beside it",
    ),
    (
        "[servers.shop]\nlimit = { rate = 5, per = \"0s\" }\n",
        "line 2, servers.shop.limit.per: period must be above zero and at most 2^59 ns, 18 years",
    ),
    ("[servers.shop]\nshed.fixed = 0\n", "line 2, servers.shop.shed.fixed: fixed must be within 1..=8388607"),
    (
        "[servers.shop]\nshed.ceiling = { factor = 0.5, hold = \"10s\" }\n",
        "line 2, servers.shop.shed.ceiling: ceiling must have a factor of at least 1 and hold for at least 1 s",
    ),
    (
        "[servers.default]\nshed.normal = 0\n[servers.a]\n",
        "line 2, servers.default.shed.normal: normal must be above 0 and at most 1",
    ),
    (
        "[clients.stock]\nretry.on = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n",
        "line 2, clients.stock.retry.on: must name at most eight codes",
    ),
    (
        "[clients.stock]\nstale.lease = \"0s\"\n",
        "line 2, clients.stock.stale.lease: lease must be above zero",
    ),
    (
        "[clients.stock]\nstale.on = [\"time-outs\"]\n",
        "line 2, clients.stock.stale.on[0]: unknown word `time-outs`, did you mean `timeouts`?",
    ),
    (
        "[clients.stock]\nstale.refresh_backoff = { min = \"2s\", max = \"1s\" }\n",
        "line 2, clients.stock.stale.refresh_backoff: refresh_backoff: max must not be less than min",
    ),
    // Two that do not fit.
    (
        "[servers.shop.deadline]\ntotal = \"1s\"\nmargin = \"1s\"\n",
        "line 3, servers.shop.deadline.margin: margin must be shorter than the total",
    ),
    (
        "[clients.stock.breaker]\nopen_for = \"10s\"\nmax_open_for = \"5s\"\n",
        "line 3, clients.stock.breaker.max_open_for: max_open_for must not be shorter than open_for",
    ),
    (
        "[servers.shop.shed]\nmin_in_flight = 9\nmax_in_flight = 8\n",
        "line 2, servers.shop.shed.min_in_flight: min_in_flight must be at least 1 and at most max_in_flight",
    ),
    (
        "[clients.stock]\ndeadline = \"2s\"\n\nattempt = \"3s\"\n",
        "line 4, clients.stock.attempt.total: attempt.total (3 s) is longer than deadline.total (2 s): no attempt can take as long",
    ),
    (
        "[clients.default]\ndeadline = \"2s\"\n\n[clients.stock]\nattempt = \"3s\"\n",
        "line 5, clients.stock.attempt.total: attempt.total (3 s) is longer than deadline.total (2 s): no attempt can take as long",
    ),
];

const JSON: &[(&str, &str)] = &[
    ("", "line 1: EOF while parsing a value"),
    ("{\n  \"clients\": {\n", "line 3: EOF while parsing an object"),
    ("{\n  \"clients\": {},\n}", "line 3: trailing comma"),
    ("{}\n{}", "line 2: trailing characters"),
    ("[]", "line 1: must be a table, not a list"),
    (
        "{ \"clients\": { \"stock\": {\n  \"retry\": { \"max_retries\": 1,\n  \"max_retries\": 2 } } } }",
        "line 3: `max_retries` is given twice",
    ),
    (
        "{ \"clients\": { \"stock\": {\n  \"retry\": {\n    \"max_retires\": 1 } } } }",
        "line 3, clients.stock.retry.max_retires: unknown setting, did you mean `max_retries`?",
    ),
    (
        "{ \"clients\": { \"stock\": {\n  \"retry\": {\n    \"max_retries\":\n -1\n } } } }",
        "line 3, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not -1",
    ),
    (
        "{ \"clients\": { \"stock\": {\n  \"endpoints\": [\n    \"http://a\",\n    7\n] } } }",
        "line 4, clients.stock.endpoints[1]: must be a URI as text, or a table with `uri`, not 7",
    ),
    (
        "{ \"clients\": { \"stock\": {\n  \"attempt\": \"4 fortnights\" } } }",
        "line 2, clients.stock.attempt.total: must be a duration as text with its unit, such as \"250ms\" or \"1m 30s\", not the text \"4 fortnights\"",
    ),
    (
        "{ \"clients\": { \"stock\": {\n  \"deadline\": \"2s\",\n  \"attempt\": \"3s\" } } }",
        "line 3, clients.stock.attempt.total: attempt.total (3 s) is longer than deadline.total (2 s): no attempt can take as long",
    ),
    (
        "{ \"servers\": { \"shop\": {\n  \"shed\": {\n    \"critical\": 1e999 } } } }",
        "line 3: number out of range",
    ),
    (
        "{ \"clients\": { \"stock\": {\n  \"breaker\": {\n    \"probes\": 1001 } } } }",
        "line 3, clients.stock.breaker.probes: probes must be within 1..=1000",
    ),
];

#[test]
fn each_is_told_with_its_line_and_its_field() {
    let mut wrong = 0;
    for (format, cases) in [(Format::Toml, TOML), (Format::Json, JSON)] {
        for (text, expected) in cases {
            let said = Policy::parse(format, text)
                .map_or_else(|error| error.to_string(), |policy| format!("{policy:?}"));
            if said != *expected {
                wrong += 1;
                eprintln!("{text:?}\n   {said:?}");
            }
        }
    }
    assert_eq!(wrong, 0, "texts of which something else is said");
}

#[test]
fn what_is_nested_without_end_is_refused() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + "1" + &close.repeat(100_000);
    for (format, text) in [
        (Format::Json, deep("[", "]")),
        (Format::Json, deep("{\"a\":", "}")),
        (Format::Toml, format!("a = {}", deep("[", "]"))),
        (Format::Toml, format!("a = {}", deep("{ a = ", "}"))),
        (Format::Toml, format!("{} = 1", vec!["a"; 100_000].join("."))),
        (Format::Toml, format!("[{}]", vec!["a"; 100_000].join("."))),
        (Format::Toml, format!("[{}]\n", vec!["clients"; 90].join("."))),
    ] {
        // Some parsers say where, some do not; but all of them come back.
        assert!(Policy::parse(format, &text).unwrap_err().at_line().is_none_or(|line| line == 1));
    }
}

#[test]
fn what_is_meant_by_whom_is_told() {
    for (format, text, expected) in [
        // Names that could be taken for several stand in quotes.
        (Format::Toml, "[clients.'a.b c'.retry]\nx = 1\n", "line 2, clients.\"a.b c\".retry.x: unknown"),
        (Format::Toml, "[clients.''.retry]\nx = 1\n", "line 2, clients.\"\".retry.x: unknown"),
        (Format::Toml, "[clients.'größe']\n'x.y' = 1\n", "line 2, clients.größe.\"x.y\": unknown"),
        // As it was written.
        (Format::Toml, "[clients.a]\nretry.max_retries = 1.0\n", "not 1.0"),
        (Format::Toml, "[clients.a]\nretry.max_retries = 1e300\n", "not 1e300"),
        (
            Format::Toml,
            "[clients.a]\nbreaker.mode = true\n",
            "must be one of `normal`, `shadow`, `forced_open`, `disabled`, not true",
        ),
        // Of two equal names the second one is wrong, and not what ends last.
        (Format::Json, "{\"clients\": {},\n\"clients\": {\n\n\n}}", "line 2: `clients` is given twice"),
        (Format::Json, "\u{feff}{\n\"client\": {}}", "line 2, client: unknown setting"),
        // Places are no more than that.
        (
            Format::Toml,
            "[clients.a]\nendpoints = ['http://b/api']\n",
            "such as \"http://10.0.0.1:8080\", not \"http://b/api\": it has a path, which is the call's",
        ),
        (
            Format::Toml,
            "[clients.a]\nendpoints = ['http://b?c=d']\n",
            "not \"http://b?c=d\": it has a query, which is the call's",
        ),
        (Format::Toml, "[clients.a]\nendpoints = ['http://u:p@b']\n", "not \"http://u:p@b\": it has a user"),
        (
            Format::Toml,
            "[clients.a]\nendpoints = ['http://b:99999']\n",
            "not \"http://b:99999\": it has no such port",
        ),
        (
            Format::Toml,
            "[clients.a]\nendpoints = ['ftp://b/c']\n",
            "endpoints[0]: must be a URI such as \"http://10.0.0.1:8080\", not \"ftp://b/c\"",
        ),
        (
            Format::Toml,
            "[clients.a]\nendpoints = ['http://b',\n 'http://c', \n'http://b/']\n",
            "line 4, clients.a.endpoints[2]: is named twice",
        ),
        // Two that do not fit, of which one stands elsewhere.
        (
            Format::Toml,
            "[clients.a]\nattempt = '1s'\nbreaker.slow_ratio = { ratio = 0.5, slow_after = '2s' }\n",
            "line 3, clients.a.breaker.slow_ratio.slow_after: breaker.slow_after (2 s) is not shorter than",
        ),
        // Each says the whole of the same thing.
        (
            Format::Toml,
            "[clients.a.breaker]\nmode = 'normal'\nenabled = false\n",
            "line 2, clients.a.breaker.mode: cannot stand beside `enabled`",
        ),
        (
            Format::Toml,
            "[servers.a]\nshed = { fixed = 3, adaptive = true }\n",
            "line 2, servers.a.shed.adaptive: cannot stand beside `fixed`",
        ),
    ] {
        let said = Policy::parse(format, text).unwrap_err().to_string();
        assert!(said.contains(expected), "{text:?}\n   {said:?}");
    }
    // Whole is what is, however JSON writes it.
    for whole in ["1", "1.0", "1e0", "10e-1"] {
        let text = format!("{{ \"clients\": {{ \"a\": {{ \"retry\": {{ \"max_retries\": {whole} }} }} }} }}");
        Policy::parse(Format::Json, &text).unwrap();
    }
}
