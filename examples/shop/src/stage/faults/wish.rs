//! What is asked for, and what becomes of it.

use super::kind::{Kind, Target};
use crate::parts::clock::now_ms;
use crate::parts::faults::SCOPE;
use crate::parts::id;
use crate::parts::problem::Problem;
use serde::{Deserialize, Serialize};

/// How long a fault lasts when it is not said, and at most. In seconds.
const LASTS: i64 = 60;
const LONGEST: i64 = 15 * 60;

/// How long something takes when it is not said, and at most. In milliseconds.
const TAKES: i64 = 300;
const SLOWEST: i64 = 60_000;

/// Of a header.
const LONGEST_VALUE: usize = 64;

/// `POST /faults`
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub target: String,
    pub kind: String,
    /// Of the calls, above 0 and up to 1; of a load, the share of the greatest. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Default: 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<i64>,
    /// 1 to 900. Default: 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<i64>,
    /// `x-shop-fault: <value>`: only requests that carry this header are hurt, and what is asked for them. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// `GET /faults` → 200
#[derive(Debug, Deserialize, Serialize)]
pub struct List {
    pub faults: Vec<Fault>,
}

/// A fault that lasts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Fault {
    pub id: String,
    pub target: String,
    pub kind: Kind,
    pub share: f64,
    pub ms: i64,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since 1970.
    pub expires_at: i64,
    /// The value of [`SCOPE`] by which it chooses its requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl Wish {
    /// To do something to somebody, and no more said.
    pub(super) fn of(kind: &str, target: &str) -> Self {
        let (kind, target) = (kind.to_owned(), target.to_owned());
        Self { target, kind, share: None, ms: None, ttl_s: None, header: None }
    }

    /// Checks every field, and makes it a fault that begins now.
    ///
    /// # Errors
    ///
    /// 422, with the field that is wrong.
    pub fn grant(self) -> Result<(Fault, Target), Problem> {
        let Some(target) = Target::parse(&self.target) else {
            let detail = format!("`target` must be one of {}, not {:?}", Target::all(), self.target);
            return Err(Problem::invalid(detail));
        };
        let Some(kind) = Kind::parse(&self.kind) else { return Err(unknown_kind(&self.kind)) };
        if kind.is_of_processes() {
            if matches!(target, Target::Hop(_)) {
                return Err(Problem::invalid(format!(
                    "`target` of a {} must be a service or a replica",
                    self.kind
                )));
            }
            if self.share.is_some_and(|share| share != 1.0) {
                return Err(Problem::invalid(format!("`share` of a {} can only be 1", self.kind)));
            }
        }
        let is_of = |of: &Vec<String>| of.contains(&self.target);
        if let Some(of) = kind.of().filter(|of| !is_of(of)) {
            let all = of.join(", ");
            return Err(Problem::invalid(format!("`target` of a {} can only be {all}", self.kind)));
        }
        if kind.of().is_none() && target == Target::Bus {
            let detail =
                format!("`target` of a {} cannot be the bus; a bus_down can be done to it", self.kind);
            return Err(Problem::invalid(detail));
        }
        if kind == Kind::DbLocked && self.share.is_some_and(|share| share != 1.0) {
            return Err(Problem::invalid("`share` of a db_locked can only be 1"));
        }
        let header = self.header.map(|header| scope(kind, &header)).transpose()?;
        let share = self.share.unwrap_or(1.0);
        if !(share > 0.0 && share <= 1.0) {
            return Err(Problem::invalid("`share` must be above 0 and at most 1"));
        }
        let ms = self.ms.unwrap_or(if kind.has_time() { TAKES } else { 0 });
        let least = i64::from(kind.has_time());
        if !(least..=SLOWEST).contains(&ms) {
            return Err(Problem::invalid(format!("`ms` of a {} must be {least} to {SLOWEST}", self.kind)));
        }
        let ttl_s = self.ttl_s.unwrap_or(LASTS);
        if !(1..=LONGEST).contains(&ttl_s) {
            return Err(Problem::invalid(format!("`ttl_s` must be 1 to {LONGEST}")));
        }
        let started_at = now_ms();
        let expires_at = started_at + ttl_s * 1000;
        Ok((
            Fault { id: id::new(), target: self.target, kind, share, ms, started_at, expires_at, header },
            target,
        ))
    }
}

/// The value of a header that names requests.
fn scope(kind: Kind, header: &str) -> Result<String, Problem> {
    if !kind.has_scope() {
        let detail =
            format!("`header` cannot be said of a {}, which is not done to single requests", kind.as_str());
        return Err(Problem::invalid(detail));
    }
    let value = header.split_once(':').filter(|(name, _)| name.trim().eq_ignore_ascii_case(SCOPE.as_str()));
    let value = value.map(|(_, value)| value.trim());
    let is_plain = |value: &&str| {
        (1..=LONGEST_VALUE).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    let Some(value) = value.filter(is_plain) else {
        let detail =
            format!("`header` must be \"{SCOPE}: \" and up to {LONGEST_VALUE} visible ASCII characters");
        return Err(Problem::invalid(detail));
    };
    Ok(value.to_owned())
}

fn unknown_kind(kind: &str) -> Problem {
    Problem::invalid(format!("`kind` must be one of {}, not {kind:?}", Kind::names()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn grant(wish: Value) -> Result<(Fault, Target), Problem> {
        serde_json::from_value::<Wish>(wish).unwrap().grant()
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let (fault, _) = grant(json!({ "target": "order->payment", "kind": "latency" })).unwrap();
        assert_eq!((fault.share, fault.ms, fault.expires_at - fault.started_at), (1.0, 300, 60_000));
        let (fault, _) = grant(json!({ "target": "payment", "kind": "kill", "ttl_s": 900 })).unwrap();
        assert_eq!((fault.ms, fault.expires_at - fault.started_at), (0, 900_000));
    }

    #[test]
    fn every_field_is_checked() {
        let good = json!({ "target": "payment", "kind": "error", "share": 0.5, "ms": 10, "ttl_s": 5 });
        assert!(grant(good.clone()).is_ok());
        for (field, value) in [
            ("target", json!("warehouse")),
            ("kind", json!("earthquake")),
            ("header", json!("x-shop-fault")),
            ("header", json!("x-shop-fault: ")),
            ("header", json!("x-shop-fault: l\u{e4}rm")),
            ("header", json!("x-other: one")),
            ("share", json!(0)),
            ("share", json!(1.1)),
            ("share", json!(-0.5)),
            ("ms", json!(-1)),
            ("ms", json!(60_001)),
            ("ttl_s", json!(0)),
            ("ttl_s", json!(901)),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let problem = format!("{:?}", grant(bad.clone()).unwrap_err());
            assert!(problem.contains(&format!("`{field}`")), "{bad}: {problem}");
        }
        for bad in [
            json!({ "target": "order->payment", "kind": "kill" }),
            json!({ "target": "payment", "kind": "pause", "share": 0.5 }),
            json!({ "target": "payment", "kind": "registry_down" }),
            json!({ "target": "registry", "kind": "config_down" }),
            json!({ "target": "registry", "kind": "registry_down", "share": 0.5 }),
            json!({ "target": "order", "kind": "load" }),
            json!({ "target": "gateway->product", "kind": "load" }),
            json!({ "target": "gateway", "kind": "load", "ms": -1 }),
            json!({ "target": "gateway", "kind": "db_locked" }),
            json!({ "target": "product-1", "kind": "db_locked" }),
            json!({ "target": "order", "kind": "db_locked", "share": 0.5 }),
            json!({ "target": "order->payment", "kind": "db_slow" }),
            json!({ "target": "payment", "kind": "bus_down" }),
            json!({ "target": "bus", "kind": "error" }),
            json!({ "target": "gateway", "kind": "refuse" }),
            json!({ "target": "mail", "kind": "refuse" }),
            json!({ "target": "payment", "kind": "kill", "header": "x-shop-fault: one" }),
            json!({ "target": "order", "kind": "db_slow", "header": "x-shop-fault: one" }),
            json!({ "target": "order", "kind": "latency", "header": "x-shop-fault: one" }),
        ] {
            assert!(grant(bad.clone()).is_err(), "{bad}");
        }
    }
}
