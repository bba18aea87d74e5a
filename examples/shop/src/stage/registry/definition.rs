//! What a service says of itself when it registers.

use super::book::{Status, Weights};
use super::duration;
use super::no::No;
use crate::contracts::object::Object;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

const LONGEST_NAME: usize = 255;
const MOST_TAGS: usize = 64;
// As Consul has them.
const MOST_META: usize = 64;
const LONGEST_META_KEY: usize = 128;
const LONGEST_META: usize = 512;

/// A service that may be put into the book.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Definition {
    pub id: String,
    pub name: String,
    pub tags: Vec<String>,
    /// Empty: where its node is.
    pub address: String,
    pub port: u16,
    pub meta: BTreeMap<String, String>,
    pub weights: Weights,
    /// Without one, it is always well.
    pub check: Option<Terms>,
}

/// How a service says that it is well.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Terms {
    /// How long it is so without a heartbeat.
    pub ttl: Duration,
    /// How long it may be critical.
    pub leaves_after: Option<Duration>,
    /// How it begins.
    pub status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Written {
    #[serde(rename = "ID")]
    id: Option<String>,
    name: Option<String>,
    tags: Option<Vec<String>>,
    address: Option<String>,
    port: Option<i64>,
    meta: Option<BTreeMap<String, String>>,
    weights: Option<Object<WrittenWeights>>,
    check: Option<Object<WrittenTerms>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct WrittenWeights {
    passing: Option<i64>,
    warning: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct WrittenTerms {
    #[serde(rename = "CheckID")]
    id: Option<String>,
    #[serde(rename = "TTL")]
    ttl: Option<String>,
    deregister_critical_service_after: Option<String>,
    status: Option<String>,
}

impl Definition {
    /// # Errors
    ///
    /// 400, with the field that is wrong.
    pub(super) fn read(body: &[u8]) -> Result<Self, No> {
        let written = serde_json::from_slice::<Object<Written>>(body);
        let Object(written) = written.map_err(|why| No::bad(format!("Request decode failed: {why}")))?;
        let name =
            written.name.filter(|name| !name.is_empty()).ok_or_else(|| No::bad("Missing service name"))?;
        let id = written.id.filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone());
        let (tags, meta) = (written.tags.unwrap_or_default(), written.meta.unwrap_or_default());
        word("service name", &name)?;
        word("service ID", &id)?;
        if tags.len() > MOST_TAGS {
            return Err(No::bad(format!("Invalid service tags: there are more than {MOST_TAGS}")));
        }
        tags.iter().try_for_each(|tag| word("service tag", tag))?;
        let address = written.address.unwrap_or_default();
        if !address.is_empty() {
            word("service address", &address)?;
        }
        if matches!(address.as_str(), "0.0.0.0" | "::" | "[::]")
            || address.contains(|c: char| c.is_whitespace())
        {
            return Err(No::bad("Invalid service address"));
        }
        let port = u16::try_from(written.port.unwrap_or_default());
        let port = port.map_err(|_| No::bad("Invalid service port: it must be 0 to 65535"))?;
        check_meta(&meta)?;
        let weights = written.weights.map_or(Ok(Weights::default()), |Object(weights)| weights.check())?;
        let check = written.check.map(|Object(terms)| terms.check(&id)).transpose()?;
        Ok(Self { id, name, tags, address, port, meta, weights, check })
    }
}

impl WrittenWeights {
    fn check(&self) -> Result<Weights, No> {
        let bad = |why| No::bad(format!("Invalid Weights: {why}"));
        let passing = self.passing.unwrap_or_default();
        let (passing, warning) = (u16::try_from(passing), u16::try_from(self.warning.unwrap_or_default()));
        match (passing, warning) {
            (Ok(0), _) => Err(bad("Passing must be greater than 0")),
            (Ok(passing), Ok(warning)) => Ok(Weights { passing, warning }),
            (Err(_), _) => Err(bad("Passing must be 1 to 65535")),
            (_, Err(_)) => Err(bad("Warning must be 0 to 65535")),
        }
    }
}

impl WrittenTerms {
    /// The check of a service is called `service:<id>`, and may say so.
    fn check(&self, service: &str) -> Result<Terms, No> {
        let bad = |why: String| No::bad(format!("Invalid check: {why}"));
        let id = self.id.as_deref().unwrap_or_default();
        if !id.is_empty() && id.strip_prefix("service:") != Some(service) {
            return Err(bad(format!("CheckID must be service:{service}")));
        }
        let read = |name, text: &Option<String>| match text.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => duration::parse(text)
                .map(|time| Some(time).filter(|time| !time.is_zero()))
                .ok_or_else(|| bad(format!("{name} is no duration: {text:?}"))),
        };
        let ttl = read("TTL", &self.ttl)?.ok_or_else(|| bad("TTL must be > 0 for TTL checks".into()))?;
        let after = &self.deregister_critical_service_after;
        let leaves_after = read("DeregisterCriticalServiceAfter", after)?;
        let status = match self.status.as_deref() {
            None | Some("") => None,
            Some(status) => Some(
                Status::parse(status)
                    .ok_or_else(|| No::bad("Status for checks must 'passing', 'warning', 'critical'"))?,
            ),
        };
        Ok(Terms { ttl, leaves_after, status })
    }
}

/// Something, not too long, on one line.
fn word(what: &str, text: &str) -> Result<(), No> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains(char::is_control) {
        let why =
            format!("Invalid {what}: it must have 1 to {LONGEST_NAME} bytes, and no control characters");
        return Err(No::bad(why));
    }
    Ok(())
}

fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), No> {
    let bad = |why: String| Err(No::bad(format!("Invalid Service Meta: {why}")));
    if meta.len() > MOST_META {
        return bad(format!("it cannot contain more than {MOST_META} key/value pairs"));
    }
    for (key, value) in meta {
        let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if key.is_empty() || key.len() > LONGEST_META_KEY || !plain {
            return bad(format!("a key must have 1 to {LONGEST_META_KEY} letters, digits, '-' or '_'"));
        }
        if value.len() > LONGEST_META {
            return bad(format!("a value cannot have more than {LONGEST_META} bytes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(written: &Value) -> Result<Definition, String> {
        Definition::read(written.to_string().as_bytes()).map_err(|no| no.why().to_owned())
    }

    #[test]
    fn a_name_is_enough() {
        let plain = read(&json!({ "Name": "tea" })).unwrap();
        assert_eq!((plain.id.as_str(), plain.port, &plain.check), ("tea", 0, &None));
        assert_eq!(plain.weights, Weights { passing: 1, warning: 1 });
        let nulls =
            json!({ "Name": "tea", "ID": null, "Tags": null, "Meta": null, "Weights": null, "Check": null });
        assert_eq!(read(&nulls), Ok(plain));
    }

    #[test]
    fn a_check_lasts_as_long_as_it_says() {
        let check = json!({ "CheckID": "service:tea", "TTL": "1m30s", "DeregisterCriticalServiceAfter": "1h", "Status": "passing" });
        let check = read(&json!({ "Name": "tea", "Check": check })).unwrap().check.unwrap();
        assert_eq!((check.ttl.as_secs(), check.leaves_after.unwrap().as_secs()), (90, 3600));
        assert_eq!(check.status, Some(Status::Passing));
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let good = json!({ "Name": "tea", "Check": { "TTL": "1s" } });
        assert!(read(&good).is_ok());
        let many =
            |n: usize| (0..n).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
        for (field, value, why) in [
            ("Name", json!(""), "Missing service name"),
            ("Name", json!(7), "Request decode failed: invalid type"),
            ("Name", json!("a\nb"), "Invalid service name"),
            ("Name", json!("a".repeat(256)), "Invalid service name"),
            ("ID", json!("\u{7}"), "Invalid service ID"),
            ("Tags", json!("tea"), "Request decode failed"),
            ("Tags", json!([""]), "Invalid service tag"),
            ("Tags", json!(vec!["t"; 65]), "Invalid service tags"),
            ("Address", json!("0.0.0.0"), "Invalid service address"),
            ("Address", json!("a b"), "Invalid service address"),
            ("Port", json!(-1), "Invalid service port"),
            ("Port", json!(65_536), "Invalid service port"),
            ("Port", json!("80"), "Request decode failed"),
            ("Meta", json!(many(65)), "Invalid Service Meta"),
            ("Meta", json!({ "": "v" }), "Invalid Service Meta: a key"),
            ("Meta", json!({ "a b": "v" }), "Invalid Service Meta: a key"),
            ("Meta", json!({ "k": "v".repeat(513) }), "Invalid Service Meta: a value"),
            ("Meta", json!({ "k": 1 }), "Request decode failed"),
            ("Weights", json!([1, 1]), "Request decode failed"),
            ("Weights", json!({ "Passing": 0 }), "Invalid Weights: Passing"),
            ("Weights", json!({ "Passing": 65_536 }), "Invalid Weights: Passing"),
            ("Weights", json!({ "Passing": 1, "Warning": -1 }), "Invalid Weights: Warning"),
            ("Check", json!({}), "Invalid check: TTL must be > 0"),
            ("Check", json!(["1s"]), "Request decode failed"),
            ("Check", json!({ "TTL": "0s" }), "Invalid check: TTL must be > 0"),
            ("Check", json!({ "TTL": "soon" }), "Invalid check: TTL is no duration"),
            ("Check", json!({ "TTL": "-1s" }), "Invalid check: TTL is no duration"),
            (
                "Check",
                json!({ "TTL": "1s", "HTTP": "http://127.0.0.1" }),
                "Request decode failed: unknown field `HTTP`",
            ),
            ("Check", json!({ "TTL": "1s", "Status": "fine" }), "Status for checks must"),
            (
                "Check",
                json!({ "TTL": "1s", "CheckID": "service:pot" }),
                "Invalid check: CheckID must be service:tea",
            ),
            (
                "Check",
                json!({ "TTL": "1s", "DeregisterCriticalServiceAfter": "x" }),
                "Invalid check: Deregister",
            ),
            ("Nmae", json!("tea"), "Request decode failed: unknown field `Nmae`"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let said = read(&bad).unwrap_err();
            assert!(said.starts_with(why), "{bad}: {said}");
        }
        for bad in ["", "{", "[]", "null", "\"tea\"", "[\"tea\"]", "{\"Name\":\"a\",\"Name\":\"b\"}"] {
            assert!(Definition::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
