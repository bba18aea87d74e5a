use super::grpc;
use super::settings::settings;
use super::{Time, spelled};
use crate::tree::Fault;
use bartizan_fallback::{FallbackOn, Stale};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde_json::json;
use std::borrow::Cow;
use std::fmt;

settings! {
    /// When the last good answer takes the place of a failure.
    StaleTable for Stale;

    /// For how long beyond its freshness an answer may take the place of a failure. Without it: only as long as answers say.
    if_error: Time = Stale::if_error;
    /// For how long beyond its freshness an answer may be served while a new one is fetched. Without it: only as long as answers say.
    while_revalidate: Time = Stale::while_revalidate;
    /// Whether an answer is served without a call as long as it is fresh: an HTTP cache.
    #[schemars(extend("default" = false))]
    fresh: bool = Stale::fresh;
    /// Whether of equal reads at once one goes out, and the others wait for it.
    #[schemars(extend("default" = false))]
    coalesce: bool = Stale::coalesce;
    /// How long one may keep others waiting, and a refresh in the background may take. Above zero.
    #[schemars(extend("default" = spelled(Stale::DEFAULT_LEASE)))]
    lease: Time = Stale::try_lease;
    /// How many reads may wait for others at once.
    #[schemars(extend("default" = Stale::DEFAULT_MAX_WAITING))]
    max_waiting: usize = Stale::max_waiting;
    /// How many answers are kept.
    #[schemars(extend("default" = Stale::DEFAULT_MAX_ENTRIES))]
    max_entries: usize = Stale::max_entries;
    /// How many bytes are kept of all of them.
    #[schemars(extend("default" = Stale::DEFAULT_MAX_BYTES))]
    max_bytes: usize = Stale::max_bytes;
    /// How large a body is kept.
    #[schemars(extend("default" = Stale::DEFAULT_MAX_BODY))]
    max_body: usize = Stale::max_body;
    /// For how long a service is spared after failures.
    #[schemars(extend("default" = json!({
        "min": spelled(Stale::DEFAULT_MIN_BACKOFF), "max": spelled(Stale::DEFAULT_MAX_BACKOFF),
    })))]
    refresh_backoff: Spared = |stale, spared: Spared| stale.try_refresh_backoff(spared.min.0, spared.max.0);
    /// How many refreshes may go on in the background.
    #[schemars(extend("default" = Stale::DEFAULT_MAX_REFRESHES))]
    max_refreshes: usize = Stale::max_refreshes;
    /// Which failures a stale answer takes the place of: `failures`, `errors`, `refusals`, `timeouts`, `server errors`, `throttled`, statuses,
    /// and gRPC codes by number or name.
    #[schemars(length(min = 1), extend("default" = ["failures"]))]
    on: Vec<Failing> = |stale, on: Vec<Failing>| fallback_on(&on).map(|on| stale.on(on));
    /// The seed of the dice, for runs that repeat.
    seed: u64 = Stale::seed;
    /// Whether the layer does anything.
    #[schemars(extend("default" = true))]
    enabled: bool = Stale::enabled;
}

/// For how long a service is spared after failures.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spared {
    /// After the first.
    min: Time,
    /// At most. Not less than after the first.
    max: Time,
}

super::given!(Spared);

/// Which failures are meant: a group of them, or a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing(FallbackOn);

const GROUPS: [(&str, FallbackOn); 6] = [
    ("failures", FallbackOn::FAILURES),
    ("errors", FallbackOn::ERRORS),
    ("refusals", FallbackOn::REFUSALS),
    ("timeouts", FallbackOn::TIMEOUTS),
    ("server_errors", FallbackOn::SERVER_ERRORS),
    ("throttled", FallbackOn::THROTTLED),
];

fn words() -> [&'static str; 6] {
    GROUPS.map(|(word, _)| word)
}

impl<'de> Deserialize<'de> for Failing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl Visitor<'_> for Any {
    type Value = Failing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word such as `timeouts`, or a code within 1..=65535")
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<Failing, E> {
        let on = u16::try_from(code).ok().and_then(|code| FallbackOn::try_code(code).ok());
        on.map(Failing).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(code), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Failing, E> {
        let word = crate::tree::one_word(text);
        let known = GROUPS.into_iter().find(|(name, _)| *name == word);
        let code = || grpc::code(text).and_then(|code| FallbackOn::try_code(code).ok());
        let on = known.map(|(_, on)| on).or_else(code);
        on.map(Failing).ok_or_else(|| grpc::unknown(text, &words()))
    }
}

impl JsonSchema for Failing {
    fn schema_name() -> Cow<'static, str> {
        "FallbackOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A group of failures, or a status or gRPC code.",
            "anyOf": [{ "enum": words() }, grpc::schema(), { "type": "integer", "minimum": 1, "maximum": u16::MAX }],
        })
    }
}

fn fallback_on(on: &[Failing]) -> Result<FallbackOn, Fault> {
    let mut on = on.iter().map(|Failing(on)| *on);
    let Some(first) = on.next() else { return Err(Fault::new("must name at least one")) };
    on.try_fold(first, FallbackOn::try_and).map_err(|_| Fault::new("must name at most eight codes"))
}
