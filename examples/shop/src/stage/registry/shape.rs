//! What is answered, in Consul's shapes.

use super::book::{Check, Entry};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

pub(super) const DATACENTER: &str = "dc1";

/// The one node that there is.
pub(super) const NODE: &str = "shop";

/// `GET /v1/health/service/{name}`
pub(super) fn health<'a>(entries: impl Iterator<Item = &'a Entry>) -> Value {
    let one = |entry: &Entry| {
        let checks: Vec<_> = entry.check.iter().map(|check| checked(entry, check)).collect();
        let mut service = service(entry);
        service["CreateIndex"] = entry.created.into();
        service["ModifyIndex"] = entry.modified.into();
        let node = json!({ "Node": NODE, "Address": Ipv4Addr::LOCALHOST, "Datacenter": DATACENTER });
        json!({ "Node": node, "Service": service, "Checks": checks })
    };
    entries.map(one).collect()
}

/// `GET /v1/agent/services`
pub(super) fn services<'a>(entries: impl Iterator<Item = &'a Entry>) -> Value {
    let one = |entry: &Entry| {
        let mut service = service(entry);
        service["Datacenter"] = DATACENTER.into();
        (entry.definition.id.clone(), service)
    };
    Value::Object(entries.map(one).collect::<Map<_, _>>())
}

/// `GET /v1/catalog/services`
pub(super) fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> Value {
    let mut names = BTreeMap::<_, BTreeSet<_>>::new();
    for Entry { definition, .. } in entries {
        names.entry(definition.name.as_str()).or_default().extend(definition.tags.iter());
    }
    json!(names)
}

fn service(Entry { definition, .. }: &Entry) -> Value {
    json!({
        "ID": definition.id,
        "Service": definition.name,
        "Tags": definition.tags,
        "Address": definition.address,
        "Port": definition.port,
        "Meta": definition.meta,
        "Weights": definition.weights,
        "EnableTagOverride": false,
    })
}

fn checked(Entry { definition, created, modified, .. }: &Entry, check: &Check) -> Value {
    json!({
        "Node": NODE,
        "CheckID": format!("service:{}", definition.id),
        "Name": format!("Service '{}' check", definition.name),
        "Status": check.status,
        "Notes": "",
        "Output": check.output,
        "ServiceID": definition.id,
        "ServiceName": definition.name,
        "ServiceTags": definition.tags,
        "Type": "ttl",
        "CreateIndex": created,
        "ModifyIndex": modified,
    })
}
