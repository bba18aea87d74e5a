use super::Time;
use bartizan_breaker::Window;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How far back a ratio looks: a duration, or a number of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Calls(u32),
    Past(Time),
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnySpan)
    }
}

struct AnySpan;

impl Visitor<'_> for AnySpan {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a duration as text, such as "10s", or a number of calls"#)
    }

    fn visit_u64<E: Error>(self, calls: u64) -> Result<Span, E> {
        Ok(Span::Calls(u32::try_from(calls).unwrap_or(u32::MAX)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        match (text.parse(), humantime::parse_duration(text)) {
            (Ok(calls), _) => Ok(Span::Calls(calls)),
            (_, Ok(past)) => Ok(Span::Past(Time(past))),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<Time>();
        json_schema!({
            "description": "How far back a ratio looks: a duration, or a number of calls.",
            "anyOf": [time, { "type": "integer", "minimum": 1, "maximum": Window::MAX_CALLS }],
        })
    }
}
