use super::{At, Node, Value};
use crate::PolicyError;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) fn parse(text: &str) -> Result<Node, PolicyError> {
    let lines = Lines::of(text);
    match DeTable::parse(text) {
        Ok(root) => Ok(Node { at: At::Line(1), value: table(root.into_inner(), &lines) }),
        Err(error) => {
            let message = error.message().replace('\n', ", ");
            let Some(span) = error.span() else { return Err(PolicyError::new(&message)) };
            let at = lines.line(span.start);
            // Which key it is stands in the text alone.
            let key = text.get(span).filter(|_| message == "duplicate key");
            let wrong = key.map_or(message.clone(), |key| format!("{message} `{key}`"));
            Err(PolicyError::new(&wrong).line(at))
        }
    }
}

fn table(table: DeTable<'_>, lines: &Lines) -> Value {
    let node = |(name, value): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)| {
        let at = At::Line(lines.line(name.span().start));
        (name.into_inner().into_owned(), Node { at, value: self::value(value.into_inner(), lines) })
    };
    Value::Table(table.into_iter().map(node).collect::<BTreeMap<_, _>>())
}

fn value(value: DeValue<'_>, lines: &Lines) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into()),
        DeValue::Integer(number) => {
            // One that is longer than that is too great for every setting.
            Value::Int(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        // The parser has seen that it is one.
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(time) => Value::Text(time.to_string().into()),
        DeValue::Array(list) => Value::List(
            list.into_iter()
                .map(|item| Node {
                    at: At::Line(lines.line(item.span().start)),
                    value: self::value(item.into_inner(), lines),
                })
                .collect(),
        ),
        DeValue::Table(inner) => table(inner, lines),
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of a byte, from 1 on.
    fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|begin| *begin <= byte) + 1
    }
}
