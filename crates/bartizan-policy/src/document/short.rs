use crate::tree::{Node, Value};
use std::collections::BTreeMap;

/// Writes out what may be written short: a duration for a deadline, a number for failures in a row.
pub(crate) fn expand(root: &mut Node) {
    each(root, super::SERVERS, |server| one(server, "deadline", "total"));
    each(root, super::CLIENTS, |client| {
        one(client, "deadline", "total");
        one(client, "attempt", "total");
        if let Some(breaker) = entry(client, "breaker") {
            one(breaker, "consecutive", "failures");
        }
    });
}

fn each(root: &mut Node, kind: &str, expand: impl Fn(&mut Node)) {
    if let Some(Value::Table(names)) = entry(root, kind).map(|node| &mut node.value) {
        names.values_mut().for_each(expand);
    }
}

fn entry<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Table(table) => table.get_mut(name),
        _ => None,
    }
}

fn one(node: &mut Node, name: &str, main: &str) {
    if let Some(node) = entry(node, name) {
        if !matches!(node.value, Value::Table(_) | Value::Null) {
            let table = BTreeMap::from([(main.to_owned(), node.clone())]);
            node.value = Value::Table(table);
        }
    }
}
