use super::{Document, Time};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// The JSON Schema of a policy, draft 2020-12, for editors and for checks before a file is put in place.
///
/// It says what can be said so: names, types, ranges of single values, defaults. What two settings have to do with each other
/// it does not say; it knows each setting in one spelling, with `_`, and no `null`, which JSON may have for what is not named; parse the text for
/// all that. It is shipped with this crate as `schema/policy.schema.json`.
#[must_use]
pub fn schema() -> String {
    // A schema is a JSON value, and those can be written.
    let mut text = serde_json::to_string_pretty(&generated()).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn generated() -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<Document>();
    for mend in [bound, give, spell] {
        RecursiveTransform(mend).transform(&mut schema);
    }
    schema
}

/// Takes out that what need not be named may be null. Nobody writes that, and editors tell of the form that nobody meant.
fn give(schema: &mut Schema) {
    let is_none = |of: &Value| of == "null" || of.is_null() || of["type"] == "null";
    for several in ["type", "enum", "anyOf"] {
        let Some(all) = schema.get_mut(several).and_then(Value::as_array_mut) else { continue };
        all.retain(|of| !is_none(of));
        let [one] = &**all else { continue };
        let one = one.clone();
        match (several, one) {
            ("type", one) => drop(schema.insert(String::from("type"), one)),
            ("anyOf", Value::Object(one)) => {
                schema.remove(several);
                for (name, value) in one {
                    if schema.get(&name).is_none() {
                        schema.insert(name, value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Lets words be written with a dash or a space as well.
fn spell(schema: &mut Schema) {
    let spellings = |of: &Value| -> Vec<Value> {
        match of.as_str() {
            Some(word) if word.contains('_') => {
                ["_", "-", " "].map(|between| word.replace('_', between).into()).to_vec()
            }
            _ => vec![of.clone()],
        }
    };
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        *words = words.iter().flat_map(spellings).collect();
    }
    let word = schema.get("const").map(spellings).filter(|all| all.len() > 1);
    if let Some(word) = word {
        schema.remove("const");
        schema.insert(String::from("enum"), word.into());
    }
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

/// One of two, in the place of each other.
pub(crate) struct Or<A, B>(PhantomData<(A, B)>);

/// A table, or whether it is on.
pub(crate) type Switched<T> = Or<T, bool>;

/// A table, or a duration in its place, or whether it is on.
pub(crate) type TimeOr<T> = Or<Time, Switched<T>>;

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
        let both = [generator.subschema_for::<A>(), generator.subschema_for::<B>()];
        let forms = both.into_iter().flat_map(|of| match of.get("anyOf").and_then(Value::as_array) {
            Some(all) => all.clone(),
            None => vec![of.to_value()],
        });
        json_schema!({ "anyOf": forms.collect::<Vec<_>>() })
    }
}
