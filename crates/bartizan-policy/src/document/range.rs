//! Within what a number must be, as the schema says it.

use super::schema::generated;
use crate::tree::place;
use serde_json::Value;

/// What may stand at a path, if that is a number.
pub(crate) fn range(path: &[&str]) -> Option<String> {
    let schema = generated().to_value();
    let mut all = vec![&schema];
    for name in path {
        all = all.into_iter().flat_map(|of| forms(&schema, of)).filter_map(|of| inside(of, name)).collect();
    }
    all.into_iter().flat_map(|of| forms(&schema, of)).find_map(number)
}

/// What a value may be, one form after the other.
fn forms<'a>(schema: &'a Value, of: &'a Value) -> Vec<&'a Value> {
    if let Some(to) = of["$ref"].as_str() {
        let to = schema.pointer(to.trim_start_matches('#'));
        return to.into_iter().flat_map(|of| forms(schema, of)).collect();
    }
    match of["anyOf"].as_array().or(of["oneOf"].as_array()) {
        Some(all) => all.iter().flat_map(|of| forms(schema, of)).collect(),
        None => vec![of],
    }
}

fn inside<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    match place(name) {
        Some(_) => of.get("items"),
        None => of["properties"].get(name).or(of.get("additionalProperties")),
    }
}

fn number(of: &Value) -> Option<String> {
    if of["type"] == "integer" {
        let least = of["minimum"].as_u64().unwrap_or_default();
        return Some(match of["maximum"].as_u64() {
            Some(most) => format!("a whole number within {least}..={most}"),
            None => format!("a whole number from {least} on"),
        });
    }
    if of["type"] != "number" {
        return None;
    }
    let [least, above, most, below] = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]
        .map(|bound| of[bound].as_f64().map(|at| format!("{at:?}")));
    let from = match (&least, &above) {
        (Some(least), _) => Some(format!("from {least} on")),
        (_, Some(above)) => Some(format!("above {above}")),
        _ => None,
    };
    Some(match (least, from, most, below) {
        (Some(least), _, Some(most), _) => format!("a number within {least}..={most}"),
        (_, Some(from), Some(most), _) => format!("a number {from} and at most {most}"),
        (_, Some(from), _, Some(below)) => format!("a number {from} and below {below}"),
        (_, Some(from), ..) => format!("a number {from}"),
        _ => String::from("a number"),
    })
}
