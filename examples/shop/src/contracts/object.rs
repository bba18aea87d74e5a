//! A JSON object, and nothing that could pass for one: serde's derived types take an array of their fields as well.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// What an object says. Around what is read from outside.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// A list of objects, for `#[serde(deserialize_with = "objects")]`.
pub fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(object)| object).collect())
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Point {
        x: i64,
        y: i64,
    }

    #[test]
    fn an_array_is_no_object() {
        let point = |json| serde_json::from_str::<Object<Point>>(json).map(|Object(point)| point);
        assert_eq!(point(r#"{"x": 1, "y": 2}"#).unwrap(), Point { x: 1, y: 2 });
        for json in ["[1, 2]", "null", "1", r#""x""#] {
            let why = point(json).unwrap_err().to_string();
            assert!(why.contains("expected an object"), "{json}: {why}");
        }
        assert!(point(r#"{"x": 1}"#).unwrap_err().to_string().contains("missing field `y`"));
    }
}
