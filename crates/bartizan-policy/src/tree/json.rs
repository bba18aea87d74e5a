use super::{At, Node, Value};
use crate::PolicyError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

pub(super) fn parse(text: &str) -> Result<Node, PolicyError> {
    let line = Cell::new(Line::default());
    let mut reader = serde_json::Deserializer::from_reader(Counted { text: text.as_bytes(), line: &line });
    let node = Seed(&line).deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    node.map_err(|error| {
        let text = error.to_string();
        // It says where at its end; that is told apart.
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        PolicyError::new(message).line(error.line().max(1))
    })
}

/// The line of the byte that was read last.
#[derive(Clone, Copy, Default)]
struct Line {
    number: usize,
    ended: bool,
}

/// Hands out bytes one by one and counts the lines, as serde_json tells them of errors alone.
struct Counted<'a> {
    text: &'a [u8],
    line: &'a Cell<Line>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some((byte, rest)), Some(to)) = (self.text.split_first(), buffer.first_mut()) else {
            return Ok(0);
        };
        let Line { number, ended } = self.line.get();
        self.line.set(Line { number: number + usize::from(ended), ended: *byte == b'\n' });
        (*to, self.text) = (*byte, rest);
        Ok(1)
    }
}

/// Makes a node of the value that comes next.
struct Seed<'a>(&'a Cell<Line>);

impl Seed<'_> {
    fn here(&self) -> At {
        At::Line(self.0.get().number + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node { at: self.here(), value: Value::Null })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node { at: self.here(), value: Value::Bool(value) })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node { at: self.here(), value: Value::Int(value.into()) })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node { at: self.here(), value: Value::Int(value.into()) })
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node { at: self.here(), value: Value::number(value) })
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node { at: self.here(), value: Value::Text(value.into()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let (at, mut list) = (self.here(), Vec::new());
        while let Some(node) = seq.next_element_seed(Seed(self.0))? {
            list.push(node);
        }
        Ok(Node { at, value: Value::List(list) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let (begin, mut table) = (self.here(), BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            let at = self.here();
            if table.contains_key(&name) {
                return Err(Error::custom(format!("`{name}` is given twice")));
            }
            let node = map.next_value_seed(Seed(self.0))?;
            table.insert(name, Node { at, ..node });
        }
        Ok(Node { at: begin, value: Value::Table(table) })
    }
}
