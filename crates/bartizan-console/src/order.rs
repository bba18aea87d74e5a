use crate::problem::Problem;
use axum::http::StatusCode;
use bartizan_core::Invalid;
use bartizan_core::registry::{Observed, UNKNOWN_VERB};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOBODY: Problem = Problem::new(StatusCode::NOT_FOUND, "No handle of this layer and name is alive.");
const SEVERAL: Problem = Problem::new(
    StatusCode::CONFLICT,
    "Several handles of this layer and name are alive: twin=0 in the query means the first of them.",
);
const MANY_SETTINGS: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "One request sets one setting, so that it is done or not, and never half of it.",
);

/// What a handle is told to do.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// One of its verbs.
    Verb(String),
    /// One of its settings, and the value for it.
    Set(BTreeMap<String, f64>),
}

impl Order {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body).map_err(|_| {
            let detail = r#"What is written is {"verb": "…"} or {"set": {"…": 1}}, and nothing else."#;
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        })
    }

    /// Does it, and tells of it.
    pub(crate) fn give(&self, handle: &dyn Observed) -> Result<(), Problem> {
        let (layer, name) = (handle.layer(), handle.name());
        match self {
            Self::Verb(verb) => {
                // What the state does not allow now may be right later.
                handle.act(verb).map_err(|why| match why == UNKNOWN_VERB {
                    true => refusal(StatusCode::UNPROCESSABLE_ENTITY, &why),
                    false => refusal(StatusCode::CONFLICT, &why),
                })?;
                tracing::info!(layer, name, verb, "a layer was told what to do from the console");
            }
            Self::Set(settings) => {
                let mut settings = settings.iter();
                let (Some((setting, value)), None) = (settings.next(), settings.next()) else {
                    return Err(MANY_SETTINGS);
                };
                let wrong = StatusCode::UNPROCESSABLE_ENTITY;
                handle.set(setting, *value).map_err(|why| refusal(wrong, &why))?;
                tracing::info!(layer, name, setting, value, "a setting was changed from the console");
            }
        }
        Ok(())
    }
}

fn refusal(status: StatusCode, why: &Invalid) -> Problem {
    Problem::told(status, format!("{}. Nothing was changed.", why.message()))
}

/// The handle of this layer and name. Of equal names, the one that `twin` says, counted from zero in the order of registration.
pub(crate) fn find(
    handles: Vec<Arc<dyn Observed>>,
    layer: &str,
    name: &str,
    twin: Option<usize>,
) -> Result<Arc<dyn Observed>, Problem> {
    let mut twins = handles.into_iter().filter(|handle| handle.layer() == layer && handle.name() == name);
    let first = twins.nth(twin.unwrap_or_default()).ok_or(NOBODY)?;
    if twin.is_none() && twins.next().is_some() { Err(SEVERAL) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::registry::UNKNOWN_SETTING;
    use std::sync::Mutex;

    #[derive(Debug)]
    struct Lamp(Mutex<f64>);

    impl Observed for Lamp {
        fn layer(&self) -> &'static str {
            "lamp"
        }
        fn name(&self) -> &str {
            "hall"
        }
        fn state(&self) -> &'static str {
            "lit"
        }
        fn numbers(&self, _show: &mut dyn FnMut(&'static str, f64)) {}
        fn act(&self, verb: &str) -> Result<(), Invalid> {
            match verb {
                "light" => Ok(()),
                "quench" => Err(Invalid::new("quench", "quench needs a lamp that is not held")),
                _ => Err(UNKNOWN_VERB),
            }
        }
        fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
            match setting {
                "watts" if value > 0.0 => *self.0.lock().unwrap() = value,
                "watts" => return Err(Invalid::new("watts", "watts is not above 0")),
                _ => return Err(UNKNOWN_SETTING),
            }
            Ok(())
        }
    }

    #[test]
    fn an_order_is_done_or_refused_whole() {
        let lamp = Lamp(Mutex::new(60.0));
        for (body, status, detail) in [
            (r#"{"verb":"light"}"#, 200, ""),
            (r#"{"verb":"dance"}"#, 422, "verb is none of this layer's. Nothing was changed."),
            (r#"{"verb":"quench"}"#, 409, "quench needs a lamp that is not held. Nothing was changed."),
            (r#"{"set":{"watts":0}}"#, 422, "watts is not above 0. Nothing was changed."),
            (r#"{"set":{"volts":5}}"#, 422, "setting is none of this layer's. Nothing was changed."),
            (r#"{"set":{"watts":40,"volts":5}}"#, 422, MANY_SETTINGS.detail.as_ref()),
            (r#"{"set":{}}"#, 422, MANY_SETTINGS.detail.as_ref()),
        ] {
            let given = Order::read(body.as_bytes()).unwrap().give(&lamp);
            let told = given.map_or_else(|no| (no.status.as_u16(), no.detail), |()| (200, "".into()));
            assert_eq!(told, (status, detail.into()), "{body}");
            assert_eq!(*lamp.0.lock().unwrap(), 60.0, "{body}");
        }
        Order::read(br#"{"set":{"watts":40}}"#).unwrap().give(&lamp).unwrap();
        assert_eq!(*lamp.0.lock().unwrap(), 40.0);
    }

    #[test]
    fn what_is_no_order_is_none() {
        for body in [
            "",
            "[]",
            "{}",
            r#""verb""#,
            r#"{"verb":1}"#,
            r#"{"verb":"a","set":{"b":1}}"#,
            r#"{"set":{"b":"1"}}"#,
            r#"{"do":"a"}"#,
            r#"{"verb":"a"} x"#,
        ] {
            assert_eq!(Order::read(body.as_bytes()).unwrap_err().status, 422, "{body}");
        }
    }

    #[test]
    fn twins_are_told_apart_by_their_place() {
        let lamp = || Arc::new(Lamp(Mutex::new(1.0))) as Arc<dyn Observed>;
        let (one, other) = (lamp(), lamp());
        let found = |twin| find(vec![one.clone(), other.clone()], "lamp", "hall", twin);
        assert!(Arc::ptr_eq(&found(Some(0)).unwrap(), &one));
        assert!(Arc::ptr_eq(&found(Some(1)).unwrap(), &other));
        assert_eq!(found(Some(2)).unwrap_err().status, 404);
        assert_eq!(found(None).unwrap_err().status, 409);
        assert!(find(vec![one.clone()], "lamp", "hall", None).is_ok());
        assert_eq!(find(vec![one.clone()], "lamp", "attic", None).unwrap_err().status, 404);
    }
}
