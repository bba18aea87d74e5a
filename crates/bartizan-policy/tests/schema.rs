//! The schema is the shipped one, and says of every range what the setters say.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_policy::{Format, Policy, schema};
use serde_json::{Map, Value, json};

#[test]
fn it_is_the_one_that_is_shipped() {
    let shipped = include_str!("../schema/policy.schema.json");
    let hint =
        "cargo run -p bartizan-policy --example schema > crates/bartizan-policy/schema/policy.schema.json";
    assert!(schema() == shipped, "write it anew: {hint}");
}

#[test]
fn each_setting_is_described() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for (name, table) in schema["$defs"].as_object().unwrap() {
        for (setting, of) in table["properties"].as_object().into_iter().flatten() {
            assert!(of["description"].is_string(), "{name}.{setting}");
        }
        assert!(table["properties"].is_null() || table["additionalProperties"] == false, "{name}");
    }
}

/// A bound of the schema, and whether the value at it is within.
const BOUNDS: [(&str, bool, f64); 4] = [
    ("minimum", true, -1.0),
    ("maximum", true, 1.0),
    ("exclusiveMinimum", false, -1.0),
    ("exclusiveMaximum", false, 1.0),
];

#[test]
fn its_ranges_are_those_of_the_setters() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut walk = Walk { schema: &schema, judged: 0, wrong: Vec::new() };
    for (kind, table) in [("servers", "ServerTable"), ("clients", "ClientTable")] {
        let put = |value| json!({ kind: { "some": value } });
        walk.table(&schema["$defs"][table], &put);
    }
    assert_eq!(walk.wrong, Vec::<String>::new());
    assert!(walk.judged > 60, "{} bounds were tried", walk.judged);
}

struct Walk<'a> {
    schema: &'a Value,
    judged: usize,
    wrong: Vec<String>,
}

impl<'a> Walk<'a> {
    fn resolved(&self, of: &'a Value) -> &'a Value {
        match of["$ref"].as_str() {
            Some(to) => self.schema.pointer(to.trim_start_matches('#')).unwrap(),
            None => of,
        }
    }

    /// The forms that a value may have.
    fn forms(&self, of: &'a Value) -> Vec<&'a Value> {
        let of = self.resolved(of);
        match of["anyOf"].as_array().or(of["oneOf"].as_array()) {
            Some(forms) => forms.iter().flat_map(|form| self.forms(form)).collect(),
            None => vec![of],
        }
    }

    fn table(&mut self, table: &'a Value, put: &dyn Fn(Value) -> Value) {
        for (name, of) in table["properties"].as_object().into_iter().flatten() {
            let others = self.required(table);
            let put = |value: Value| {
                let mut all = others.clone();
                all.insert(name.clone(), value);
                put(Value::Object(all))
            };
            for form in self.forms(of) {
                self.bounds(form, &put);
                self.table(form, &put);
            }
        }
    }

    fn bounds(&mut self, of: &Value, put: &dyn Fn(Value) -> Value) {
        let whole =
            of["type"] == "integer" || of["type"].as_array().is_some_and(|of| of.contains(&json!("integer")));
        for (bound, within, beyond) in BOUNDS {
            let Some(at) = of[bound].as_f64() else { continue };
            // What a type alone says is not tried: it is one wider than what numbers of JSON hold.
            if at > 1e9 {
                continue;
            }
            let number = |number: f64| if whole { json!(number as i64) } else { json!(number) };
            self.judge(&put(number(at)), within);
            self.judge(&put(number(at + beyond)), false);
        }
    }

    fn judge(&mut self, document: &Value, expected: bool) {
        self.judged += 1;
        let said = Policy::parse(Format::Json, &document.to_string());
        if said.is_ok() != expected {
            self.wrong.push(format!("{document}: {said:?}"));
        }
    }

    /// What must stand in a table.
    fn required(&self, table: &'a Value) -> Map<String, Value> {
        let names = table["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(|name| (name.to_owned(), self.sample(name, &table["properties"][name]))).collect()
    }

    /// Something that may stand there.
    fn sample(&self, name: &str, of: &'a Value) -> Value {
        match name {
            "normal" => json!(0.1),
            "uri" => json!("http://localhost"),
            _ => match self.resolved(of)["type"].as_str() {
                Some("string") => json!("1s"),
                Some("number") => json!(0.9 + of["minimum"].as_f64().unwrap_or_default()),
                _ => Value::Object(self.required(self.resolved(of))),
            },
        }
    }
}
