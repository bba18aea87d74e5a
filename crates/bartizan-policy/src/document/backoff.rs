use super::{Time, spelled};
use crate::tree::Fault;
use bartizan_core::Invalid;
use bartizan_retry::{Backoff, Jitter};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

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
    #[schemars(extend("default" = "full"))]
    jitter: Option<Spread>,
}

/// One wait for all.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constant {
    /// The wait. Zero retries at once.
    wait: Time,
    /// How waits are spread.
    #[schemars(extend("default" = "full"))]
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
    #[schemars(extend("default" = "full"))]
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

super::given!(BackoffTable);

/// The one whose settings all have defaults may be named without them.
fn or_word(schema: &mut Schema) {
    if let Some(forms) = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut) {
        forms.push(serde_json::json!({ "const": "exponential" }));
    }
}

impl BackoffTable {
    pub(super) fn make(&self) -> Result<Backoff, Fault> {
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

/// How waits are spread: `none`, `full`, or by so large a share to either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread(Jitter);

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnySpread)
    }
}

struct AnySpread;

impl Visitor<'_> for AnySpread {
    type Value = Spread;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`none`, `full` or a share within 0.0..=1.0")
    }

    fn visit_f64<E: Error>(self, share: f64) -> Result<Spread, E> {
        Ok(Spread(Jitter::Within(share)))
    }

    fn visit_u64<E: Error>(self, share: u64) -> Result<Spread, E> {
        self.visit_f64(share as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Spread, E> {
        match text {
            "none" => Ok(Spread(Jitter::None)),
            "full" => Ok(Spread(Jitter::Full)),
            _ => match text.parse() {
                Ok(share) => self.visit_f64(share),
                Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
            },
        }
    }
}

impl JsonSchema for Spread {
    fn schema_name() -> Cow<'static, str> {
        "Jitter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How waits are spread: not at all, anywhere from nothing to the whole, or by a share to either side.",
            "anyOf": [{ "enum": ["none", "full"] }, { "type": "number", "minimum": 0, "maximum": 1 }],
        })
    }
}
