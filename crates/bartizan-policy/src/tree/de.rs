use super::{Fault, Node, Value, one_word};
use crate::words::listed;
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::collections::btree_map;
use std::convert::Infallible;
use std::fmt;

/// Reads a value out of a tree. A fault has its path from the node on.
pub(crate) fn read<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, Fault> {
    T::deserialize(De(node))
}

/// The same, as an enum reads a word without more: all that the variant takes is missing.
static NOTHING: Node =
    Node { at: super::At::Line(1), value: Value::Table(std::collections::BTreeMap::new()) };

#[derive(Clone, Copy)]
struct De<'de>(&'de Node);

impl<'de> De<'de> {
    /// Text of properties that stands for something else. What it does not stand for stays text, and is refused as such.
    #[cfg(feature = "http")]
    fn loose(self) -> Option<&'de str> {
        match &self.0.value {
            Value::Loose(text) => Some(text.trim()),
            _ => None,
        }
    }

    #[cfg(not(feature = "http"))]
    #[expect(clippy::unused_self, reason = "there is no such text without a server of properties")]
    fn loose(self) -> Option<&'de str> {
        None
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $number:ty,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.loose().and_then(|text| text.parse::<$number>().ok()) {
                Some(number) => visitor.$visit(number),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => Err(Error::invalid_value(Unexpected::Other("a number beyond all bounds"), &visitor)),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            #[cfg(feature = "http")]
            Value::Loose(text) => visitor.visit_borrowed_str(text),
            Value::List(list) => visitor.visit_seq(Items { list, index: 0 }),
            Value::Table(table) => visitor.visit_map(Entries { table: table.iter(), value: None }),
        }
    }

    numbers! {
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_f64 visit_f64 f64,
        deserialize_bool visit_bool bool,
    }

    /// A list of values without names is none of settings, whatever serde would make of it.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::List(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_enum(Variant { name: text, inner: &NOTHING, alone: true }),
            #[cfg(feature = "http")]
            Value::Loose(text) => visitor.visit_enum(Variant { name: text, inner: &NOTHING, alone: true }),
            Value::Table(table) => match table.first_key_value() {
                Some((name, inner)) if table.len() == 1 => {
                    visitor.visit_enum(Variant { name, inner, alone: false })
                }
                _ => Err(Fault::new(format!("must have one entry, not {}", table.len()))),
            },
            _ => self.deserialize_any(OneOf(words)).map(|never| match never {}),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.loose() {
            Some("") => visitor.visit_seq(Items { list: &[], index: 0 }),
            #[cfg(feature = "http")]
            Some(text) => {
                let part =
                    |part: &str| Node { at: self.0.at.clone(), value: Value::Loose(part.trim().into()) };
                visitor.visit_seq(Parts(text.split(',').map(part).collect::<Vec<_>>().into_iter()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map identifier ignored_any
    }
}

/// Takes nothing, and says which words are taken.
struct OneOf(&'static [&'static str]);

impl Visitor<'_> for OneOf {
    type Value = Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", listed(self.0))
    }
}

struct Items<'de> {
    list: &'de [Node],
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.list.get(self.index) else { return Ok(None) };
        self.index += 1;
        seed.deserialize(De(node)).map(Some).map_err(|fault| fault.at(self.index - 1))
    }
}

/// The items of a list that is written as one text.
#[cfg(feature = "http")]
struct Parts(std::vec::IntoIter<Node>);

#[cfg(feature = "http")]
impl<'de> SeqAccess<'de> for Parts {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        // They live no longer than this call, so nothing can be borrowed of them.
        let Some(Value::Loose(text)) = self.0.next().map(|node| node.value) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) => seed.deserialize(number.into_deserializer()).map(Some),
            Err(_) => seed.deserialize((&*text).into_deserializer()).map(Some),
        }
    }
}

struct Entries<'de> {
    table: btree_map::Iter<'de, String, Node>,
    value: Option<(&'de str, &'de Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, node)) = self.table.next() else { return Ok(None) };
        self.value = Some((name, node));
        let key: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|fault| fault.within(name))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((name, node)) = self.value.take() else { return Err(Fault::new("a value without a key")) };
        seed.deserialize(De(node)).map_err(|fault| fault.within(name))
    }
}

/// One of a closed set: a word, or a table with one entry.
struct Variant<'de> {
    name: &'de str,
    inner: &'de Node,
    alone: bool,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let word = one_word(self.name);
        let name: StrDeserializer<'_, Fault> = word.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|fault| self.inside(fault))?;
        Ok((variant, self))
    }
}

impl Variant<'_> {
    fn inside(&self, fault: Fault) -> Fault {
        if self.alone { fault } else { fault.within(self.name) }
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if self.alone { Ok(()) } else { Err(self.inside(Fault::new("takes no settings"))) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(De(self.inner)).map_err(|fault| self.inside(fault))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        De(self.inner).deserialize_any(visitor).map_err(|fault| self.inside(fault))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        De(self.inner).deserialize_any(visitor).map_err(|fault| self.inside(fault))
    }
}
