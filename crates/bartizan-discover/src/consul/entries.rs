use crate::place;
use bartizan_core::Member;
use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use serde_json::Value;

/// What an answer says: the members, and how many instances could not be used.
#[derive(Debug, PartialEq)]
pub(crate) struct Entries {
    pub(crate) members: Vec<Member<Uri>>,
    pub(crate) unusable: usize,
}

/// Reads the answer of `/v1/health/service`. An instance that nobody could call is left out, so that one wrong registration does not
/// hide the others.
pub(crate) fn read(body: &[u8], scheme: &Scheme, zone: &str) -> Result<Entries, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| format!("answered no JSON: {error}"))?;
    let instances = answer.as_array().ok_or("answered no list of instances")?;
    let members: Vec<_> = instances.iter().filter_map(|instance| member(instance, scheme, zone)).collect();
    let unusable = instances.len() - members.len();
    Ok(Entries { members, unusable })
}

fn member(instance: &Value, scheme: &Scheme, zone: &str) -> Option<Member<Uri>> {
    let (service, node) = (instance.get("Service")?, instance.get("Node"));
    let of_node = |field: &str| node.and_then(|node| node.get(field));
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(String::from)
    };

    let host = text(service.get("Address")).or_else(|| text(of_node("Address")))?;
    let port = service.get("Port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let port = port.filter(|port| *port > 0)?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(place::authority(&host, Some(port))?);
    parts.path_and_query = Some(PathAndQuery::from_static("/"));

    // Whether it is well is what `passing` asked for; its other weight is for those that are only a warning away from it.
    let weight = service.pointer("/Weights/Passing").and_then(Value::as_u64);
    let weight =
        weight.map_or(Member::<Uri>::DEFAULT_WEIGHT, |weight| u32::try_from(weight).unwrap_or(u32::MAX));
    let zone_of = |meta: Option<&Value>| text(meta.and_then(|meta| meta.get(zone)));
    let zone = zone_of(service.get("Meta")).or_else(|| zone_of(of_node("Meta")));

    let member = Member::new(Uri::from_parts(parts).ok()?).weight(weight);
    Some(match zone {
        Some(zone) => member.zone(zone),
        None => member,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(answer: &Value) -> Result<Entries, String> {
        read(answer.to_string().as_bytes(), &Scheme::HTTP, "zone")
    }

    fn uri(uri: &'static str) -> Uri {
        Uri::from_static(uri)
    }

    #[test]
    fn an_instance_is_where_its_service_is_or_else_its_node() {
        let answer = json!([
            {"Node": {"Address": "10.0.0.1", "Meta": {"zone": "eu-1"}},
             "Service": {"Address": "", "Port": 8080, "Weights": {"Passing": 10, "Warning": 1}, "Meta": {"zone": ""}}},
            {"Node": {"Address": "10.0.0.1", "Meta": null},
             "Service": {"Address": "::1", "Port": 65535, "Weights": {"Passing": 0}, "Meta": {"zone": "eu-2"}}},
            {"Service": {"Address": "stock.internal", "Port": 1, "Meta": null, "Weights": null}},
        ]);
        let members = vec![
            Member::new(uri("http://10.0.0.1:8080/")).weight(10).zone("eu-1"),
            Member::new(uri("http://[::1]:65535/")).weight(0).zone("eu-2"),
            Member::new(uri("http://stock.internal:1/")),
        ];
        assert_eq!(read_json(&answer), Ok(Entries { members, unusable: 0 }));
    }

    #[test]
    fn instances_that_nobody_could_call_are_left_out() {
        let good = json!({"Service": {"Address": "a", "Port": 1}});
        let ports = [json!(0), json!(-1), json!(65536), json!(1.5), json!("80"), json!(null), json!(1e300)];
        let ports = ports.into_iter().map(|port| json!({"Service": {"Address": "a", "Port": port}}));
        let hosts = ["", "a b", "a/b", "u@a", "a:1", "\u{0}"]
            .map(|host| json!({"Service": {"Address": host, "Port": 1}}));
        let others = [json!(null), json!([]), json!({}), json!({"Service": 3})];
        let answer: Vec<Value> = ports.chain(hosts).chain(others).chain([good]).collect();
        let entries = read_json(&Value::from(answer)).unwrap();
        assert_eq!(entries, Entries { members: vec![Member::new(uri("http://a:1/"))], unusable: 17 });
    }

    #[test]
    fn a_weight_that_is_no_count_is_the_usual_one() {
        let weights = [(json!(-1), 1), (json!(2.5), 1), (json!("9"), 1), (json!(1_u64 << 40), u32::MAX)];
        for (weight, expected) in weights {
            let answer = json!([{"Service": {"Address": "a", "Port": 1, "Weights": {"Passing": weight}}}]);
            assert_eq!(read_json(&answer).unwrap().members[0].weight, expected, "{weight}");
        }
        // JSON has no such number.
        let answer = br#"[{"Service": {"Address": "a", "Port": 1, "Weights": {"Passing": NaN}}}]"#;
        assert!(read(answer, &Scheme::HTTP, "zone").is_err());
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let nested = "[".repeat(100_000);
        for body in ["", "{}", "null", "[", "<html>", "[]x", &nested] {
            assert!(read(body.as_bytes(), &Scheme::HTTP, "zone").is_err(), "{body:.9}");
        }
        assert_eq!(read(b"[]", &Scheme::HTTP, "zone"), Ok(Entries { members: vec![], unusable: 0 }));
    }
}
