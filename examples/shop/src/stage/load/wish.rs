//! What ops is asked for at `/load`, and what becomes of it.

use super::Only;
use super::errand::{Journey, Mix};
use super::flags::{FASTEST, STEPS};
use super::profile::Profile;
use crate::contracts::object::Object;
use crate::parts::problem::Problem;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long a load lasts when it is not said, and at most. In seconds.
const LASTS: i64 = 60;
const LONGEST: i64 = 15 * 60;

/// `POST /load`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Customers a second, 1 to 10000.
    rps: Option<i64>,
    /// In its place: from the first to the second.
    ramp: Option<(i64, i64)>,
    /// In its place: one after another, equally long.
    steps: Option<Vec<i64>>,
    /// 1 to 900. Default: 60.
    for_s: Option<i64>,
    /// `orders` or `browsing`. Default: both.
    only: Option<String>,
    /// In its place: parts of a whole.
    mix: Option<Object<Parts>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parts {
    browse: f64,
    order: f64,
    account: f64,
}

/// A load that is granted.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) profile: Profile,
    pub(super) lasts: Duration,
    pub(super) mix: Mix,
    /// The fields of the wish.
    pub(super) told: Map<String, Value>,
}

impl Wish {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// 422, with the field that is wrong.
    pub(super) fn grant(self) -> Result<Order, Problem> {
        let profile = match (self.rps, self.ramp, &self.steps) {
            (Some(rps), None, None) => Profile::Steady(rate("rps", rps)?),
            (None, Some((from, to)), None) => Profile::Ramp(rate("ramp", from)?, rate("ramp", to)?),
            (None, None, Some(steps)) if (2..=STEPS).contains(&steps.len()) => {
                Profile::Steps(steps.iter().map(|step| rate("steps", *step)).collect::<Result<_, _>>()?)
            }
            (None, None, Some(_)) => {
                return Err(Problem::invalid(format!("`steps` must be 2 to {STEPS} rates")));
            }
            _ => {
                return Err(Problem::invalid("one of `rps`, `ramp` and `steps` must be there, and no other"));
            }
        };
        let for_s = self.for_s.unwrap_or(LASTS);
        if !(1..=LONGEST).contains(&for_s) {
            return Err(Problem::invalid(format!("`for_s` must be 1 to {LONGEST}")));
        }
        let mut told = profile.json();
        told.insert("for_s".into(), json!(for_s));
        told.insert("only".into(), json!(self.only));
        let mix = match (self.only.as_deref(), self.mix) {
            (None, None) => Mix::only(&Journey::ALL),
            (Some("orders"), None) => Mix::only(Only::Orders.journeys()),
            (Some("browsing"), None) => Mix::only(Only::Browsing.journeys()),
            (Some(other), None) => {
                return Err(Problem::invalid(format!("`only` must be orders or browsing, not {other:?}")));
            }
            (None, Some(Object(parts))) => {
                let Parts { browse, order, account } = parts;
                told.insert("mix".into(), json!({ "browse": browse, "order": order, "account": account }));
                parts.grant()?
            }
            (Some(_), Some(_)) => return Err(Problem::invalid("`only` and `mix` cannot both be there")),
        };
        Ok(Order { profile, lasts: Duration::from_secs(for_s.unsigned_abs()), mix, told })
    }
}

impl Parts {
    fn grant(self) -> Result<Mix, Problem> {
        let parts = [self.browse, self.order, self.account];
        if parts.iter().any(|part| !(0.0..=1000.0).contains(part)) || parts.iter().sum::<f64>() <= 0.0 {
            return Err(Problem::invalid(
                "the parts of `mix` must be 0 to 1000, and one of them more than 0",
            ));
        }
        Ok(Mix::parts(self.browse, self.order, self.account))
    }
}

fn rate(field: &str, rate: i64) -> Result<u32, Problem> {
    let known = u32::try_from(rate).ok().filter(|rate| (1..=FASTEST).contains(rate));
    known.ok_or_else(|| Problem::invalid(format!("`{field}` must be 1 to {FASTEST} a second, not {rate}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(wish: Value) -> Result<Order, String> {
        let wish = serde_json::from_value::<Wish>(wish).map_err(|why| why.to_string())?;
        wish.grant().map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let order = grant(json!({ "rps": 50 })).unwrap();
        assert_eq!((order.profile, order.lasts.as_secs()), (Profile::Steady(50), 60));
        assert_eq!(order.mix, Mix::only(&Journey::ALL));
        assert_eq!(Value::from(order.told), json!({ "rps": 50, "for_s": 60, "only": null }));
        let order = grant(json!({ "ramp": [50, 500], "for_s": 900, "only": "browsing" })).unwrap();
        assert!(order.profile == Profile::Ramp(50, 500) && order.mix.only_looks());
        let order = grant(json!({ "steps": [1, 2], "mix": { "order": 1 } })).unwrap();
        assert_eq!((order.profile, order.mix), (Profile::Steps(vec![1, 2]), Mix::parts(0.0, 1.0, 0.0)));
    }

    #[test]
    fn every_field_is_checked() {
        for (wish, field) in [
            (json!({}), "`rps`"),
            (json!({ "rps": 0 }), "`rps`"),
            (json!({ "rps": -1 }), "`rps`"),
            (json!({ "rps": 10_001 }), "`rps`"),
            (json!({ "rps": 1, "ramp": [1, 2] }), "`ramp`"),
            (json!({ "ramp": [1, 0] }), "`ramp`"),
            (json!({ "steps": [1] }), "`steps`"),
            (json!({ "steps": vec![1; STEPS + 1] }), "`steps`"),
            (json!({ "steps": [1, 10_001] }), "`steps`"),
            (json!({ "rps": 1, "for_s": 0 }), "`for_s`"),
            (json!({ "rps": 1, "for_s": 901 }), "`for_s`"),
            (json!({ "rps": 1, "only": "tea" }), "`only`"),
            (json!({ "rps": 1, "only": "orders", "mix": { "order": 1 } }), "`mix`"),
            (json!({ "rps": 1, "mix": {} }), "`mix`"),
            (json!({ "rps": 1, "mix": { "order": -1, "browse": 5 } }), "`mix`"),
            (json!({ "rps": 1, "mix": { "order": 1001 } }), "`mix`"),
            (json!({ "rps": 1, "mix": { "tea": 1 } }), "`tea`"),
            (json!({ "rps": 1, "customers": 1 }), "`customers`"),
        ] {
            let why = grant(wish.clone()).unwrap_err();
            assert!(why.contains(field), "{wish}: {why}");
        }
    }
}
