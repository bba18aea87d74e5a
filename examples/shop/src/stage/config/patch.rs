//! What a policy says of one service, and what it says of a layer that is switched off.

use super::kept::Switch;
use serde_json::{Map, Value, json};

/// The layers that a policy does not know; `parts::switches` turns them.
pub(super) const SWITCHED: [&str; 2] = ["bulkhead", "fallback"];

/// Where a layer stands in the table of its call.
fn place(layer: &str) -> Vec<&str> {
    match layer {
        "ejection" => vec!["balance", "ejection"],
        layer => vec![layer],
    }
}

/// The tree that switches layers off.
pub(super) fn off<'a>(switches: impl IntoIterator<Item = &'a Switch>) -> Value {
    let mut tree = json!({});
    for Switch { call, layer } in switches {
        if SWITCHED.contains(&layer.as_str()) {
            continue;
        }
        let mut at = &mut tree["clients"][call];
        for step in place(layer) {
            at = &mut at[step];
        }
        at["enabled"] = false.into();
    }
    tree
}

/// From this table all others of its kind inherit.
const DEFAULT: &str = "default";

/// What of a tree is about one service: its routes, and the calls that it makes.
pub(super) fn of(service: &str, tree: &Value) -> Value {
    let table = |name: &str, wanted: &dyn Fn(&str) -> bool| {
        let all = tree[name].as_object().into_iter().flatten();
        let of: Map<_, _> =
            all.filter(|(key, _)| wanted(key)).map(|(key, it)| (key.clone(), it.clone())).collect();
        (!of.is_empty()).then(|| (name.to_owned(), Value::Object(of)))
    };
    let servers = table("servers", &|key| key == service || key == DEFAULT);
    let calls = |key: &str| key.strip_prefix(service).is_some_and(|rest| rest.starts_with("->"));
    let clients = table("clients", &|key| calls(key) || key == DEFAULT);
    Value::Object(servers.into_iter().chain(clients).collect())
}

/// Writes out what stands in a word, so that something can be said of it above: a deadline that is a duration alone, a layer that is only
/// off or on.
pub(super) fn expand(tree: &mut Value) {
    for kind in ["servers", "clients"] {
        let tables = tree.get_mut(kind).and_then(Value::as_object_mut).into_iter().flatten();
        for (name, value) in tables.filter_map(|(_, table)| table.as_object_mut()).flatten() {
            let written = match value {
                Value::Bool(_) => "enabled",
                Value::String(_) if name == "deadline" || name == "attempt" => "total",
                _ => continue,
            };
            *value = json!({ written: value.take() });
        }
    }
}

/// One tree above another: of two values in the same place, that of `above`.
pub(super) fn merge(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(call: &str, layer: &str) -> Switch {
        Switch { call: call.into(), layer: layer.into() }
    }

    #[test]
    fn a_service_is_told_what_it_has_to_know() {
        let tree = json!({ "servers": { "order": 1, "user": 2 }, "clients": { "order->user": 3, "orders->user": 4 } });
        assert_eq!(of("order", &tree), json!({ "servers": { "order": 1 }, "clients": { "order->user": 3 } }));
        let all = json!({ "servers": { "default": 1 }, "clients": { "default": 2 } });
        assert_eq!(of("mail", &all), all, "who inherits needs what is inherited");
        assert_eq!(of("bank", &tree), json!({}));
    }

    #[test]
    fn what_stands_in_a_word_is_written_out() {
        let mut tree = json!({ "clients": { "a->b": {
            "endpoints": ["http://c"], "deadline": "2s", "attempt": { "total": "1s" }, "balance": false, "retry": true,
        } }, "servers": { "a": { "deadline": false } } });
        expand(&mut tree);
        let whole = json!({ "clients": { "a->b": {
            "endpoints": ["http://c"], "deadline": { "total": "2s" }, "attempt": { "total": "1s" },
            "balance": { "enabled": false }, "retry": { "enabled": true },
        } }, "servers": { "a": { "deadline": { "enabled": false } } } });
        assert_eq!(tree, whole);
    }

    #[test]
    fn what_is_off_stands_above_the_file() {
        let switches = [
            switch("order->user", "retry"),
            switch("order->payment", "ejection"),
            switch("order->payment", "balance"),
            switch("order->user", "bulkhead"),
        ];
        let off = off(&switches);
        assert_eq!(
            off,
            json!({ "clients": {
                "order->user": { "retry": { "enabled": false } },
                "order->payment": { "balance": { "enabled": false, "ejection": { "enabled": false } } },
            } })
        );
        let mut tree =
            json!({ "clients": { "order->user": { "retry": { "enabled": true, "max_retries": 1 } } } });
        merge(&mut tree, &off);
        assert_eq!(
            tree["clients"]["order->user"],
            json!({ "retry": { "enabled": false, "max_retries": 1 } })
        );
    }
}
