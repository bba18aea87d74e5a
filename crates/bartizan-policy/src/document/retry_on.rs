use super::grpc;
use crate::tree::Fault;
use bartizan_retry::RetryOn;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Which answers are meant: a group of them, or a code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Group(RetryOn),
    Code(u16),
}

const ON: &[&str] = &["failures", "gateway", "connect"];

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyOn)
    }
}

struct AnyOn;

impl Visitor<'_> for AnyOn {
    type Value = On;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`failures`, `gateway`, `connect` or a code within 1..=65535")
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<On, E> {
        let known = u16::try_from(code).ok().filter(|code| RetryOn::try_code(*code).is_ok());
        known.map(On::Code).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(code), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<On, E> {
        if let Some(code) = grpc::code(text) {
            return Ok(On::Code(code));
        }
        Ok(On::Group(match text {
            "failures" => RetryOn::FAILURES,
            "gateway" => RetryOn::GATEWAY,
            "connect" => RetryOn::CONNECT,
            _ => return Err(grpc::unknown(text, ON)),
        }))
    }
}

impl JsonSchema for On {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What the classifier calls a failure or throttled; 502, 503, 504 and calls without an answer; calls that never arrived; or a status or gRPC code.",
            "anyOf": [{ "enum": ON }, grpc::schema(), { "type": "integer", "minimum": 1, "maximum": u16::MAX }],
        })
    }
}

pub(super) fn retry_on(on: &[On]) -> Result<RetryOn, Fault> {
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
