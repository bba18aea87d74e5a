//! A JSON object, and nothing that could pass for one: serde's derived types take an array of their fields as well.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
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

/// A whole number, in any of the ways in which JSON can write it, for `#[serde(deserialize_with = "whole")]`.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_i64(Whole)
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// Those beyond are not all whole that look so.
    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        let whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
        if whole { Ok(number as i64) } else { Err(E::invalid_value(Unexpected::Float(number), &self)) }
    }
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
    fn a_whole_number_may_be_written_with_a_point() {
        let number = |json: &str| whole(&mut serde_json::Deserializer::from_str(json)).ok();
        for (json, read) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("7e2", Some(700)),
            ("-7.0", Some(-7)),
            ("7.5", None),
            ("1e300", None),
            ("18446744073709551615", None),
            ("\"7\"", None),
            ("null", None),
        ] {
            assert_eq!(number(json), read, "{json}");
        }
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
