//! What is answered, in the shape of Spring Cloud Config: flat properties from sources, the strongest first.

use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Below it are the properties of a policy. Others may share a config service.
const PREFIX: &str = "bartizan";

/// An answer, with what it is known by.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) body: String,
    /// A strong one, in its quotes.
    pub(super) etag: String,
}

impl Environment {
    /// Sources by their names, each a tree of tables.
    pub(super) fn new(service: &str, profile: &str, sources: &[(&str, &Value)]) -> Self {
        let source = |(name, tree): &(&str, &Value)| {
            let mut flat = Map::new();
            flatten(PREFIX, tree, &mut flat);
            json!({ "name": name, "source": flat })
        };
        let sources: Vec<_> = sources.iter().map(source).collect();
        let mut hasher = DefaultHasher::new();
        json!(sources).to_string().hash(&mut hasher);
        let version = format!("{:016x}", hasher.finish());
        let body = json!({
            "name": service,
            "profiles": [profile],
            "label": null,
            "version": version,
            "state": null,
            "propertySources": sources,
        });
        Self { body: body.to_string(), etag: format!("\"{version}\"") }
    }
}

/// `{"a": {"b-c": {"d": 1}}}` is `bartizan.a.b-c.d = 1`. A name with anything else in it stands in brackets: `bartizan.clients[gateway->product].retry`.
fn flatten(path: &str, tree: &Value, flat: &mut Map<String, Value>) {
    match tree {
        Value::Object(table) if !table.is_empty() => {
            for (name, inside) in table {
                flatten(&join(path, name), inside, flat);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (nth, inside) in list.iter().enumerate() {
                flatten(&format!("{path}[{nth}]"), inside, flat);
            }
        }
        Value::Object(_) if path == PREFIX => {}
        leaf => drop(flat.insert(path.to_owned(), leaf.clone())),
    }
}

fn join(path: &str, name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if plain { format!("{path}.{name}") } else { format!("{path}[{name}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_told_flat() {
        let tree = json!({ "servers": { "order": { "shed": { "enabled": false } } }, "clients": {
            "gateway->product": { "endpoints": ["a", "b"], "retry": { "max_retries": 1 } },
        } });
        let told = Environment::new("gateway", "default", &[("policy.toml", &tree), ("none", &json!({}))]);
        let body: Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!(
            body["propertySources"],
            json!([{ "name": "policy.toml", "source": {
                "bartizan.clients[gateway->product].endpoints[0]": "a",
                "bartizan.clients[gateway->product].endpoints[1]": "b",
                "bartizan.clients[gateway->product].retry.max_retries": 1,
                "bartizan.servers.order.shed.enabled": false,
            } }, { "name": "none", "source": {} }])
        );
        assert_eq!((&body["name"], &body["profiles"]), (&json!("gateway"), &json!(["default"])));
        assert_eq!(told.etag, format!("{}", body["version"]));
        let other = Environment::new("gateway", "default", &[("policy.toml", &json!({}))]);
        assert_ne!(other.etag, told.etag);
    }
}
