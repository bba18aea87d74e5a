use super::settings::Setting;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A rule that is there by default: its settings, or `false` to take it out.
#[derive(Clone, Debug)]
pub(crate) enum Switch<T> {
    Off,
    On(T),
}

impl<T: Clone> Setting for Switch<T> {
    type Given = Self;
    fn given(&self) -> Self {
        self.clone()
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Any<T> {
    type Value = Switch<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, true or false")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Switch<T>, E> {
        Ok(if on { Switch::On(T::default()) } else { Switch::Off })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Switch<T>, E> {
        match text.parse() {
            Ok(on) => self.visit_bool(on),
            Err(_) => Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Switch<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Switch::On)
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrNot", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [table, { "type": "boolean" }] })
    }
}
