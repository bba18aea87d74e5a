//! The properties of a config service as one tree.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Below it are the properties of a policy.
const PREFIX: &str = "bartizan.";

/// What a config service answers, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    property_sources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    source: Map<String, Value>,
}

/// Makes a tree of the sources, of which the first is the strongest. Properties of others, who may share the service, are left out.
pub(super) fn tree(answer: &Bytes) -> Result<Value, String> {
    let Environment { property_sources } =
        serde_json::from_slice(answer).map_err(|why| format!("it speaks another language: {why}"))?;
    let mut tree = Value::Object(Map::new());
    for (name, value) in property_sources.into_iter().rev().flat_map(|source| source.source) {
        let Some(own) = name.strip_prefix(PREFIX).filter(|own| !own.is_empty()) else { continue };
        let place = path(own).into_iter().try_fold(&mut tree, step);
        *place.ok_or_else(|| format!("{name} stands in a value"))? = typed(value);
    }
    Ok(tree)
}

/// Where a file of properties is behind it, all is text, numbers and truths as well.
fn typed(value: Value) -> Value {
    let known = |value: &Value| value.is_number() || value.is_boolean();
    match &value {
        Value::String(text) => serde_json::from_str(text).ok().filter(known).unwrap_or(value),
        _ => value,
    }
}

/// `clients[gateway->product].endpoints[0]` is `clients`, `gateway->product`, `endpoints`, `0`.
fn path(name: &str) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            Some(bracketed) => bracketed,
            None => rest.split_at(rest.find(['.', '[']).filter(|at| *at > 0).unwrap_or(rest.len())),
        };
        path.push(word.to_owned());
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    path
}

/// Goes on to a member of a table, or of a list.
fn step(tree: &mut Value, name: String) -> Option<&mut Value> {
    let nth = name.parse::<usize>().ok().filter(|nth| *nth < 1000);
    match (tree, nth) {
        (Value::Array(list), Some(nth)) => {
            list.resize(list.len().max(nth + 1), Value::Null);
            list.get_mut(nth)
        }
        (Value::Object(table), _) => Some(table.entry(name).or_insert(Value::Null)),
        (null @ Value::Null, Some(_)) => {
            *null = Value::Array(Vec::new());
            step(null, name)
        }
        (null @ Value::Null, None) => {
            *null = Value::Object(Map::new());
            step(null, name)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(sources: &Value) -> Result<Value, String> {
        tree(&json!({ "name": "order", "propertySources": sources }).to_string().into())
    }

    #[test]
    fn properties_are_a_tree_and_the_first_source_counts() {
        let above = json!({ "source": { "bartizan.clients[order->user].retry.enabled": false } });
        let file = json!({ "name": "f", "source": {
            "bartizan.clients[order->user].retry.enabled": true,
            "bartizan.clients.order->user.retry.max_retries": "1",
            "bartizan.clients[order->user].endpoints[1]": "b",
            "bartizan.clients[order->user].endpoints[0]": "a",
            "bartizan.servers.order.deadline.total": "2s",
            "spring.application.name": "order",
        } });
        assert_eq!(
            told(&json!([above, file])).unwrap(),
            json!({
                "clients": { "order->user": { "retry": { "enabled": false, "max_retries": 1 }, "endpoints": ["a", "b"] } },
                "servers": { "order": { "deadline": { "total": "2s" } } },
            })
        );
        assert_eq!(told(&json!([])).unwrap(), json!({}));
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        assert!(tree(&Bytes::from_static(b"[]")).is_err());
        let both = json!([{ "source": { "bartizan.servers.order": 1, "bartizan.servers.order.shed": 2 } }]);
        assert!(told(&both).unwrap_err().contains("bartizan.servers.order.shed"));
        assert!(told(&json!([{ "source": { "bartizan.servers[": 1, "bartizan.servers[9999999].x": 1, "bartizan.": 1 } }])).is_ok());
    }
}
