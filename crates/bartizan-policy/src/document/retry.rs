use super::settings::settings;
use super::{Positive, Time, spelled};
use crate::tree::Fault;
use bartizan_core::Invalid;
use bartizan_retry::{Allowance, Backoff, Jitter, Retry, RetryOn};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::time::Duration;

settings! {
    /// What is retried, how often, and when.
    RetryTable for Retry;

    /// How often a request is sent again at most.
    #[schemars(extend("default" = Retry::DEFAULT_MAX_RETRIES))]
    max_retries: u32 = Retry::max_retries;
    /// How long to wait before each retry.
    backoff: BackoffTable = |retry, backoff: BackoffTable| backoff.make().map(|backoff| retry.backoff(backoff));
    /// How long to wait before each retry of what was throttled by a server that did not say for how long.
    throttled_backoff: BackoffTable = |retry, backoff: BackoffTable| {
        backoff.make().map(|backoff| retry.throttled_backoff(backoff))
    };
    /// By how much less retries are worth it the longer a call takes. Without it: the number of retries alone counts.
    allowance: AllowanceTable = |retry, allowance: AllowanceTable| {
        let AllowanceTable { most, half, steepness } = allowance;
        Allowance::try_new(most, half.0, steepness).map(|allowance| retry.allowance(allowance))
    };
    /// Which answers are retried: `failures`, `gateway`, `connect`, statuses and gRPC codes.
    #[schemars(extend("default" = ["failures"]))]
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

/// How long to wait before each retry.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = or_word)]
pub(crate) enum BackoffTable {
    /// Each wait a multiple of the one before.
    Exponential(Exponential),
    /// The same wait each time.
    Constant(Constant),
    /// Each wait longer by a step.
    Linear(Linear),
    /// Anywhere between the least and three times the wait before.
    Decorrelated(Decorrelated),
}

/// Waits that grow by a factor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exponential {
    /// The first wait.
    #[schemars(extend("default" = spelled(Backoff::DEFAULT_MIN)))]
    min: Option<Time>,
    /// The longest wait.
    #[schemars(extend("default" = spelled(Backoff::DEFAULT_MAX)))]
    max: Option<Time>,
    /// By what a wait grows.
    #[schemars(range(min = 1.0), extend("default" = Backoff::DEFAULT_FACTOR))]
    factor: Option<f64>,
    /// How waits are spread.
    jitter: Option<Spread>,
}

/// One wait for all.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constant {
    /// The wait. Zero retries at once.
    wait: Time,
    /// How waits are spread.
    jitter: Option<Spread>,
}

/// Waits that grow by a step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Linear {
    /// The first wait, and by what each is longer.
    step: Time,
    /// The longest wait.
    max: Time,
    /// How waits are spread.
    jitter: Option<Spread>,
}

/// Waits at random.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decorrelated {
    /// The least wait.
    min: Time,
    /// The longest wait.
    max: Time,
}

/// How waits are spread: `none`, `full`, or by so large a share to either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread(Jitter);

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

super::given!(BackoffTable, AllowanceTable);

/// The one whose settings all have defaults may be named without them.
fn or_word(schema: &mut Schema) {
    if let Some(forms) = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut) {
        forms.push(serde_json::json!({ "const": "exponential" }));
    }
}

impl BackoffTable {
    fn make(&self) -> Result<Backoff, Fault> {
        let within = |name: &'static str| move |invalid: Invalid| Fault::from(invalid).within(name);
        let (made, jitter, kind) = match self {
            Self::Exponential(table) => {
                let or = |time: Option<Time>, default: Duration| time.map_or(default, |Time(time)| time);
                let (min, max) = (or(table.min, Backoff::DEFAULT_MIN), or(table.max, Backoff::DEFAULT_MAX));
                let made =
                    Backoff::try_exponential(min, max).map_err(within("max")).and_then(|backoff| match table
                        .factor
                    {
                        Some(factor) => backoff.try_factor(factor).map_err(within("factor")),
                        None => Ok(backoff),
                    });
                (made, table.jitter, "exponential")
            }
            Self::Constant(table) => (Ok(Backoff::constant(table.wait.0)), table.jitter, "constant"),
            Self::Linear(table) => (Ok(Backoff::linear(table.step.0, table.max.0)), table.jitter, "linear"),
            Self::Decorrelated(table) => {
                let made = Backoff::try_decorrelated(table.min.0, table.max.0).map_err(within("max"));
                (made, None, "decorrelated")
            }
        };
        let spread = |backoff: Backoff| match jitter {
            Some(Spread(jitter)) => backoff.try_jitter(jitter).map_err(within("jitter")),
            None => Ok(backoff),
        };
        made.and_then(spread).map_err(|fault| fault.within(kind))
    }
}

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnySpread)
    }
}

struct AnySpread;

impl serde::de::Visitor<'_> for AnySpread {
    type Value = Spread;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`none`, `full` or a share within 0.0..=1.0")
    }

    fn visit_f64<E: serde::de::Error>(self, share: f64) -> Result<Spread, E> {
        Ok(Spread(Jitter::Within(share)))
    }

    fn visit_u64<E: serde::de::Error>(self, share: u64) -> Result<Spread, E> {
        self.visit_f64(share as f64)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Spread, E> {
        match text {
            "none" => Ok(Spread(Jitter::None)),
            "full" => Ok(Spread(Jitter::Full)),
            _ => match text.parse() {
                Ok(share) => self.visit_f64(share),
                Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            },
        }
    }
}

impl JsonSchema for Spread {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Jitter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How waits are spread: not at all, anywhere from nothing to the whole, or by a share to either side.",
            "anyOf": [{ "enum": ["none", "full"] }, { "type": "number", "minimum": 0, "maximum": 1 }],
        })
    }
}

/// Which answers are meant: a group of them, or a code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Group(RetryOn),
    Code(u16),
}

const ON: &[&str] = &["failures", "gateway", "connect"];

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyOn)
    }
}

struct AnyOn;

impl serde::de::Visitor<'_> for AnyOn {
    type Value = On;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`failures`, `gateway`, `connect` or a code within 1..=65535")
    }

    fn visit_u64<E: serde::de::Error>(self, code: u64) -> Result<On, E> {
        let known = u16::try_from(code).ok().filter(|code| RetryOn::try_code(*code).is_ok());
        known.map(On::Code).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(code), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<On, E> {
        Ok(On::Group(match text {
            "failures" => RetryOn::FAILURES,
            "gateway" => RetryOn::GATEWAY,
            "connect" => RetryOn::CONNECT,
            _ => return Err(E::unknown_variant(text, ON)),
        }))
    }
}

impl JsonSchema for On {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What the classifier calls a failure or throttled; 502, 503, 504 and calls without an answer; calls that never arrived; or a status or gRPC code.",
            "anyOf": [{ "enum": ON }, { "type": "integer", "minimum": 1, "maximum": u16::MAX }],
        })
    }
}

fn retry_on(on: &[On]) -> Result<RetryOn, Fault> {
    let mut codes: Vec<u16> =
        on.iter().filter_map(|on| if let On::Code(code) = on { Some(*code) } else { None }).collect();
    codes.sort_unstable();
    codes.dedup();
    // More do not fit, and there is no setter that says so without a panic.
    if codes.len() > 8 {
        return Err(Fault::new("must name at most eight codes"));
    }
    let one = |on: &On| match on {
        On::Group(group) => *group,
        On::Code(code) => RetryOn::code(*code),
    };
    on.iter().map(one).reduce(RetryOn::and).ok_or_else(|| Fault::new("must name at least one"))
}
