use super::{Document, Time};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// The JSON Schema of a policy, draft 2020-12, for editors and for checks before a file is put in place.
///
/// It says what can be said so: names, types, ranges of single values, defaults. What two settings have to do with each other
/// it does not say, and it knows each setting in one spelling, with `_`; parse the text for that. It is shipped with this crate as `schema/policy.schema.json`.
#[must_use]
pub fn schema() -> String {
    let mut schema =
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<Document>();
    RecursiveTransform(bound).transform(&mut schema);
    // A schema is a JSON value, and those can be written.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Says of whole numbers how great they may be, where that is not said yet.
fn bound(schema: &mut Schema) {
    if schema.get("format").is_some_and(|format| format == "uint32") && schema.get("maximum").is_none() {
        schema.insert(String::from("maximum"), u32::MAX.into());
    }
}

/// Declares kinds of numbers that are written down as they are, for the schema alone.
macro_rules! numbers {
    ($($(#[$about:meta])* $kind:ident: $bounds:tt;)*) => {$(
        $(#[$about])*
        pub(crate) struct $kind;

        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($bounds)
            }
        }
    )*};
}

numbers! {
    /// A share, from none to all.
    Share: { "type": "number", "minimum": 0, "maximum": 1 };
    /// A share that is not nothing.
    AboveZero: { "type": "number", "exclusiveMinimum": 0, "maximum": 1 };
    /// A share that is not all.
    BelowOne: { "type": "number", "minimum": 0, "exclusiveMaximum": 1 };
    /// A share that is neither nothing nor all.
    Between: { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 };
    /// A number above zero.
    Positive: { "type": "number", "exclusiveMinimum": 0 };
    /// A number above one.
    AboveOne: { "type": "number", "exclusiveMinimum": 1 };
    /// Evidence, in nats.
    Nats: { "type": "number", "exclusiveMinimum": 0, "maximum": 1000 };
    /// A share of calls, at least half of them.
    Percentile: { "type": "number", "minimum": 0.5, "exclusiveMaximum": 1 };
}

/// A table, or its main setting in its place.
pub(crate) struct Or<A, B>(PhantomData<(A, B)>);

/// A table, or a duration in its place.
pub(crate) type TimeOr<T> = Or<Time, T>;

/// A table, or a number in its place.
pub(crate) type NumberOr<T> = Or<NonZeroU32, T>;

impl<A: JsonSchema, B: JsonSchema> JsonSchema for Or<A, B> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", A::schema_name(), B::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, other) = (generator.subschema_for::<A>(), generator.subschema_for::<B>());
        json_schema!({ "anyOf": [one, other] })
    }
}
