use crate::tree::Fault;
use bartizan_core::Member;
use bartizan_http::http::Uri;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A place where a client's calls can go.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(EndpointTable);

/// A place where a client's calls can go.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndpointTable {
    /// Where it is: scheme, host and port.
    #[schemars(extend("format" = "uri", "pattern" = PLACE))]
    uri: String,
    /// Its share of the calls, beside the others' weights. Zero gets none.
    #[schemars(extend("default" = Member::<()>::DEFAULT_WEIGHT))]
    weight: Option<u32>,
    /// Calls go to the lowest tier that can serve them.
    #[schemars(extend("default" = 0))]
    tier: Option<u32>,
    /// Where it runs. Without it: nowhere in particular.
    zone: Option<String>,
}

/// What the schema says of a place.
const PLACE: &str = "^[hH][tT][tT][pP][sS]?://[^/?#@]+/?$";

impl Endpoint {
    pub(crate) fn member(&self) -> Result<Member<Uri>, Fault> {
        let EndpointTable { uri, weight, tier, zone } = &self.0;
        let key = place(uri).map_err(|why| {
            Fault::new(format!("must be a URI such as \"http://10.0.0.1:8080\", not {uri:?}{why}"))
        })?;
        let mut member = Member::new(key);
        if let Some(weight) = *weight {
            member = member.weight(weight);
        }
        if let Some(tier) = *tier {
            member = member.tier(tier);
        }
        Ok(match zone {
            Some(zone) => member.zone(zone.clone()),
            None => member,
        })
    }
}

/// Where calls can go: with a scheme that is spoken, a host, and if a port then one that is. There is nothing else to it, as path and query
/// are those of the call.
fn place(text: &str) -> Result<Uri, &'static str> {
    let uri = text.parse::<Uri>().map_err(|_| "")?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("");
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(": it has a user");
    }
    // A port that is none is read as if it were not there.
    let is_port = uri.port_u16().is_some_and(|port| port > 0);
    if !is_port && !authority.ends_with(host) {
        return Err(": it has no such port");
    }
    if uri.query().is_some() {
        return Err(": it has a query, which is the call's");
    }
    if uri.path() != "/" {
        return Err(": it has a path, which is the call's");
    }
    Ok(uri)
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URI as text, or a table with `uri`")
    }

    fn visit_str<E: Error>(self, uri: &str) -> Result<Endpoint, E> {
        Ok(Endpoint(EndpointTable { uri: uri.to_owned(), weight: None, tier: None, zone: None }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Endpoint)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "EndpointOrUri".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<EndpointTable>();
        json_schema!({ "anyOf": [{ "type": "string", "format": "uri", "pattern": PLACE }, table] })
    }
}
