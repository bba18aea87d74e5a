use super::place;
use crate::words;
use serde::de::{Error, Expected, Unexpected};
use std::fmt;

/// What is wrong with a setting, and the path to it. Where it stands is looked up in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From the inside out, as it is found.
    path: Vec<String>,
    message: String,
    /// What was found in the place of a number.
    found: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into(), found: None }
    }

    /// The same, seen from one level further out.
    pub(crate) fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }

    /// The same, seen from the list in which it is.
    pub(crate) fn at(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }

    /// The same, with what a number must be within, where the types know less of it.
    pub(crate) fn ranged(mut self, range: impl FnOnce(&[&str]) -> Option<String>) -> Self {
        let Some(found) = &self.found else { return self };
        if let Some(range) = range(&self.path().collect::<Vec<_>>()) {
            self.message = format!("must be {range}, not {found}");
        }
        self
    }

    /// The names from the outside in; a place in a list is a number in brackets.
    pub(crate) fn path(&self) -> impl Iterator<Item = &str> {
        self.path.iter().rev().map(String::as_str)
    }

    /// The path in one word, such as `clients.stock.endpoints[1]`.
    pub(crate) fn field(&self) -> String {
        self.path().fold(String::new(), join)
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// A path that goes on by a name, or by a place in a list. A name that could be taken for several stands in quotes, as in TOML.
pub(crate) fn join(mut path: String, name: &str) -> String {
    let is_place = place(name).is_some() && !path.is_empty();
    if !path.is_empty() && !is_place {
        path.push('.');
    }
    let is_plain = |c: char| c.is_alphanumeric() || "_-$".contains(c);
    if is_place || (!name.is_empty() && name.chars().all(is_plain)) {
        path.push_str(name);
    } else {
        path.push_str(&format!("{name:?}"));
    }
    path
}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (expected, found) = (expected.to_string(), shown(found));
        let said = Self::new(format!("must be {}, not {found}", plain(&expected)));
        Self { found: NUMBERS.contains(&&*expected).then_some(found), ..said }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        // Which one it is says the path.
        Self::new(format!("unknown setting, {}", words::hint(field, expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown word `{variant}`, {}", words::hint(variant, expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is missing"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field(), self.message)
    }
}

impl std::error::Error for Fault {}

/// How serde calls numbers.
const NUMBERS: [&str; 5] = ["u16", "u32", "u64", "usize", "f64"];

/// How it calls the tables of layers, which are written as `true` or `false` as well.
const SWITCHED: [&str; 8] = [
    "struct BalanceTable",
    "struct BreakerTable",
    "struct EjectionTable",
    "struct HedgeTable",
    "struct LimitTable",
    "struct RetryTable",
    "struct ShedTable",
    "struct StaleTable",
];

/// What serde's own types expect, in plain words.
fn plain(expected: &str) -> String {
    let whole = |least: i64, most: u64| format!("a whole number within {least}..={most}");
    match expected {
        "u16" => whole(0, u16::MAX.into()),
        "u32" => whole(0, u32::MAX.into()),
        "u64" | "usize" => String::from("a whole number from 0 on"),
        "f64" => String::from("a number"),
        "a boolean" => String::from("true or false"),
        "a string" => String::from("text"),
        "a sequence" => String::from("a list"),
        "a map" => String::from("a table"),
        other if SWITCHED.contains(&other) => String::from("a table, true or false"),
        other if other.starts_with("struct ") => String::from("a table"),
        other => other.to_owned(),
    }
}

fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        // As it was written: `1.0` is no whole number.
        Unexpected::Float(value) => format!("{value:?}"),
        Unexpected::Str(value) => format!("the text {value:?}"),
        Unexpected::Seq => String::from("a list"),
        Unexpected::Map => String::from("a table"),
        Unexpected::Unit => String::from("null"),
        other => other.to_string(),
    }
}
