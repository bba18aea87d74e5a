//! Which layers there are to be switched.

use crate::parts::problem::Problem;
use crate::stacks;
use crate::stage::config::Switch;

/// Stands for every call, or for every layer.
const ALL: &str = "all";

/// Every layer of every call.
pub(super) fn all() -> Vec<Switch> {
    let of = |call: stacks::Call| {
        let layers = call.layers().into_iter();
        layers.map(move |layer| Switch { call: call.to_string(), layer: layer.to_owned() })
    };
    stacks::CALLS.into_iter().flat_map(of).collect()
}

/// What somebody means by a call and a layer.
///
/// # Errors
///
/// 422, with those that there are.
pub(super) fn meant(call: &str, layer: &str) -> Result<Vec<Switch>, Problem> {
    let of: Vec<_> = all().into_iter().filter(|switch| call == ALL || switch.call == call).collect();
    if of.is_empty() {
        let calls = stacks::CALLS.map(|call| call.to_string()).join(", ");
        return Err(Problem::invalid(format!("`call` must be one of {calls} or {ALL}, not {call:?}")));
    }
    let meant: Vec<_> = of.iter().filter(|switch| layer == ALL || switch.layer == layer).cloned().collect();
    if meant.is_empty() {
        let mut layers: Vec<_> = of.iter().map(|switch| switch.layer.as_str()).collect();
        layers.sort_unstable();
        layers.dedup();
        let layers = layers.join(", ");
        return Err(Problem::invalid(format!(
            "`layer` of {call} must be one of {layers} or {ALL}, not {layer:?}"
        )));
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_a_call_is_meant_by_their_names() {
        let one = meant("gateway->product", "hedge").unwrap();
        assert_eq!(one, [Switch { call: "gateway->product".into(), layer: "hedge".into() }]);
        let deadlines = meant(ALL, "deadline").unwrap();
        assert_eq!(deadlines.len(), stacks::CALLS.len());
        assert_eq!(meant(ALL, ALL).unwrap(), all());
        assert!(meant("order->payment", ALL).unwrap().iter().all(|switch| switch.call == "order->payment"));
    }

    #[test]
    fn who_means_nothing_is_told_what_there_is() {
        let said = |call, layer| format!("{:?}", meant(call, layer).unwrap_err());
        let call = said("payment->order", "retry");
        assert!(call.contains("`call`") && call.contains("order->payment, payment->bank"), "{call}");
        // Whoever pays is charged once: there is no copy of a charge that could be switched off.
        let layer = said("order->payment", "hedge");
        assert!(layer.contains("`layer`") && layer.contains("breaker, bulkhead, deadline"), "{layer}");
    }
}
