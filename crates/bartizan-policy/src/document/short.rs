use crate::tree::{Node, Value};
use std::collections::BTreeMap;

/// Writes out what may be written short: a duration for a deadline, a number for failures in a row, a truth for what is on or off.
pub(crate) fn expand(root: &mut Node) {
    each(root, super::SERVERS, |server| {
        ["deadline", "limit", "shed"].into_iter().for_each(|name| switch(server, name));
        one(server, "deadline", "total");
    });
    each(root, super::CLIENTS, |client| {
        let layers = ["stale", "deadline", "retry", "hedge", "balance", "breaker", "attempt"];
        layers.into_iter().for_each(|name| switch(client, name));
        one(client, "deadline", "total");
        one(client, "attempt", "total");
        if let Some(breaker) = entry(client, "breaker") {
            one(breaker, "consecutive", "failures");
        }
        if let Some(balance) = entry(client, "balance") {
            switch(balance, "ejection");
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

/// `false` alone is a table that is not enabled.
fn switch(node: &mut Node, name: &str) {
    if entry(node, name).is_some_and(|node| is_truth(&node.value)) {
        one(node, name, "enabled");
    }
}

fn is_truth(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        #[cfg(feature = "http")]
        Value::Loose(text) => text.trim().parse::<bool>().is_ok(),
        _ => false,
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
