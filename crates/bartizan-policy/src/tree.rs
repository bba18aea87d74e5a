//! A text as a tree of values, each with the place where it stands: the same whatever the format was.

mod de;
mod fault;
mod json;
mod toml;

pub(crate) use de::read;
pub(crate) use fault::{Fault, join};

use crate::{Format, PolicyError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

/// Where a value stands: at its key, or in a list at itself.
#[derive(Clone, Debug)]
pub(crate) enum At {
    /// In this line, from 1 on.
    Line(usize),
    /// In a part of what a server sent.
    #[cfg(feature = "http")]
    Part(Arc<str>),
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
    /// Text that may stand for a number, a truth or a list, as in properties.
    #[cfg(feature = "http")]
    Loose(Arc<str>),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// Reads a text.
pub(crate) fn parse(format: Format, text: &str) -> Result<Node, PolicyError> {
    // Editors put it before what they write, and it says nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut root = match format {
        Format::Toml => toml::parse(text),
        Format::Json => json::parse(text),
    }?;
    unify(&mut root)?;
    Ok(root)
}

/// Writes every setting as `max_retries`, and leaves the names of servers and clients as they are.
pub(crate) fn unify(root: &mut Node) -> Result<(), PolicyError> {
    let unified = root.unify();
    unified.map_err(|fault| root.blame(&fault))
}

impl Value {
    /// A number of JSON, which tells whole ones apart by what they are, and not by how they are written.
    pub(crate) fn number(number: f64) -> Self {
        // Beyond that, not all whole numbers are told apart.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() <= EXACT {
            Self::Int(number as i128)
        } else {
            Self::Float(number)
        }
    }
}

impl Node {
    /// An empty table in the first line.
    pub(crate) fn empty() -> Self {
        Self { at: At::Line(1), value: Value::Table(BTreeMap::new()) }
    }

    pub(crate) fn table(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The node at the end of a path.
    pub(crate) fn get<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |node, name| node.table()?.get(name))
    }

    /// Whether it says anything.
    pub(crate) const fn is_given(&self) -> bool {
        !matches!(self.value, Value::Null)
    }

    /// This, with what another names in its place. Tables are mixed, but for those that are one thing, and of two settings of which one
    /// alone can be named, the other's stays.
    pub(crate) fn overlaid(&self, over: &Self, wholes: &[&str], rivals: &[[&str; 2]]) -> Self {
        let (Some(table), Some(others)) = (self.table(), over.table()) else { return over.clone() };
        let mut mixed = table.clone();
        for (name, other) in others.iter().filter(|(_, other)| other.is_given()) {
            for pair in rivals.iter().filter(|pair| pair.contains(&name.as_str())) {
                mixed.retain(|name, _| !pair.contains(&name.as_str()) || others.contains_key(name));
            }
            let node = match table.get(name) {
                Some(node) if !wholes.contains(&name.as_str()) => node.overlaid(other, wholes, rivals),
                _ => other.clone(),
            };
            mixed.insert(name.clone(), node);
        }
        Self { at: over.at.clone(), value: Value::Table(mixed) }
    }

    /// Says where a fault lies: at the last node of its path that there is.
    pub(crate) fn blame(&self, fault: &Fault) -> PolicyError {
        let mut node = self;
        for name in fault.path() {
            let next = match &node.value {
                Value::Table(table) => table.get(name),
                Value::List(list) => place(name).and_then(|index| list.get(index)),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        let error = PolicyError::new(fault.message()).field(&fault.field());
        match &node.at {
            At::Line(line) => error.line(*line),
            #[cfg(feature = "http")]
            At::Part(part) => error.part(part),
        }
    }

    fn unify(&mut self) -> Result<(), Fault> {
        self.unify_keys()?;
        let Value::Table(kinds) = &mut self.value else { return Ok(()) };
        for (kind, names) in kinds {
            let Value::Table(names) = &mut names.value else { continue };
            for (name, settings) in names {
                settings.unify_all().map_err(|fault| fault.within(name).within(kind))?;
            }
        }
        Ok(())
    }

    fn unify_all(&mut self) -> Result<(), Fault> {
        self.unify_keys()?;
        match &mut self.value {
            Value::Table(table) => {
                for (name, node) in table {
                    node.unify_all().map_err(|fault| fault.within(name))?;
                }
            }
            Value::List(list) => {
                for (index, node) in list.iter_mut().enumerate() {
                    node.unify_all().map_err(|fault| fault.at(index))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn unify_keys(&mut self) -> Result<(), Fault> {
        let Value::Table(table) = &mut self.value else { return Ok(()) };
        if !table.keys().any(|name| name.contains(['-', ' '])) {
            return Ok(());
        }
        let mut unified = BTreeMap::new();
        for (name, node) in std::mem::take(table) {
            let plain = one_word(&name);
            if unified.insert(plain.clone(), node).is_some() {
                self.value = Value::Table(unified);
                return Err(Fault::new("is given twice, in two spellings").within(&plain));
            }
        }
        *table = unified;
        Ok(())
    }
}

/// The number in brackets.
pub(crate) fn place(name: &str) -> Option<usize> {
    name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// A name or a word of a closed set as it is known: `round robin` and `round-robin` are `round_robin`.
pub(crate) fn one_word(name: &str) -> String {
    name.replace(['-', ' '], "_")
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Text(value) => write!(f, "{value:?}"),
            #[cfg(feature = "http")]
            Value::Loose(value) => f.write_str(value),
            Value::List(list) => {
                f.write_str("[")?;
                for (index, node) in list.iter().enumerate() {
                    write!(f, "{}{node}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Table(table) => {
                f.write_str("{ ")?;
                for (index, (name, node)) in table.iter().enumerate() {
                    write!(f, "{}{name} = {node}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
        }
    }
}
