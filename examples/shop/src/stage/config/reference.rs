//! Whether what a file says is good, together with what the code says of every call and every route.

use super::desk::Refusal;
use super::patch::{expand, merge};
use crate::stacks::{CALLS, ROUTES};
use bartizan::policy::{Format, Policy, PolicyError};
use serde_json::Value;

/// Reads a text, and judges it with what is switched off above it.
pub(super) fn take(text: &str, above: &Value) -> Result<Value, Refusal> {
    judge(Format::Toml, text)?;
    let mut values: Value = toml::from_str(text).map_err(|why| Refusal::new(why.message()))?;
    expand(&mut values);
    fits(&values, above)?;
    Ok(values)
}

/// Judges values with what is switched off above them.
pub(super) fn fits(values: &Value, above: &Value) -> Result<(), Refusal> {
    let mut all = values.clone();
    merge(&mut all, above);
    let judged = judge(Format::Json, &all.to_string());
    judged.map(drop).map_err(|error| Refusal { line: None, ..error.into() })
}

/// A policy that is good alone, and with the code.
fn judge(format: Format, text: &str) -> Result<Policy, PolicyError> {
    let policy = Policy::parse(format, text)?;
    for call in CALLS {
        policy.client_stack(&call.to_string(), &call.stack())?;
    }
    for routes in ROUTES {
        policy.server_stack(routes.name(), &routes.stack())?;
    }
    Ok(policy)
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Self { line: None, field: None, why: why.into() }
    }
}

impl From<PolicyError> for Refusal {
    fn from(error: PolicyError) -> Self {
        Self {
            line: error.at_line(),
            field: error.at_field().map(str::to_owned),
            why: error.message().to_owned(),
        }
    }
}

/// The calls and routes of which a text makes something else than the code does.
#[cfg(test)]
pub(super) fn changed(text: &str) -> Vec<String> {
    let policy = judge(Format::Toml, text).unwrap();
    let calls = CALLS.into_iter().map(|call| {
        let base = call.stack();
        let stack = policy.client_stack(&call.to_string(), &base).unwrap();
        (call.to_string(), base.diff(&stack))
    });
    let routes = ROUTES.iter().map(|routes| {
        let base = routes.stack();
        let stack = policy.server_stack(routes.name(), &base).unwrap();
        (routes.name().to_owned(), base.diff(&stack))
    });
    let changes = calls.chain(routes).filter(|(_, changes)| !changes.is_empty());
    changes.map(|(name, changes)| format!("{name}: {changes:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_layer_that_a_word_switches_is_good() {
        let text = "[servers.order]\ndeadline = false\n[clients.\"gateway->product\"]\ndeadline = false\nattempt = false\n";
        let above = json!({ "clients": { "gateway->product": { "retry": { "enabled": false } } } });
        let values = take(text, &above).unwrap();
        assert_eq!(values["servers"]["order"]["deadline"], json!({ "enabled": false }));
    }
}
