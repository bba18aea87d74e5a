//! The schema is the shipped one, says of every range what the setters say, and of every default what holds.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_policy::{Format, Policy, schema};
use bartizan_stack::{ClientStack, ServerStack};
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

#[test]
fn nothing_is_null() {
    let schema = schema();
    assert!(!schema.contains("\"null\"") && !schema.contains(": null"), "{schema}");
}

#[test]
fn its_units_are_those_of_durations() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let pattern = schema["$defs"]["Time"]["pattern"].as_str().unwrap();
    let units = pattern.rsplit('(').next().and_then(|rest| rest.split_once(')')).unwrap().0;
    let is_known =
        |unit: &str| Policy::parse(Format::Toml, &format!("[clients.a]\nhedge.delay = '1 {unit}'\n")).is_ok();
    let units: Vec<&str> = units.split('|').collect();
    assert_eq!(units.len(), 40);
    for unit in &units {
        assert!(is_known(unit), "{unit}");
    }
    for unit in ["ducks", "micros", "milliseconds", "minuts", "H", "S", "decades"] {
        assert!(!is_known(unit) && !units.contains(&unit), "{unit}");
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
fn its_ranges_are_those_of_the_setters_and_its_defaults_hold() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut walk = Walk { schema: &schema, judged: 0, compared: 0, wrong: Vec::new() };
    for (kind, table) in [("servers", "ServerTable"), ("clients", "ClientTable")] {
        let put = |value| json!({ kind: { "some": value } });
        walk.table(&schema["$defs"][table], &put);
    }
    assert_eq!(walk.wrong, Vec::<String>::new());
    assert!(walk.judged > 60, "{} bounds were tried", walk.judged);
    assert!(walk.compared > 120, "{} defaults were written down", walk.compared);
}

/// What fits itself to what is beside it, as is said of it.
const FITTING: [&str; 2] = [r#""ejection":{"max_pause""#, r#""hedge":{"budget":{"ratio""#];

struct Walk<'a> {
    schema: &'a Value,
    judged: usize,
    compared: usize,
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
            let mut others = self.required(table);
            if let Some(default) = of.get("default") {
                // What is said of a limit says something beside its rate.
                others.extend(table["properties"].get("rate").map(|_| ("rate".to_owned(), json!(1))));
                let mut all = others.clone();
                all.insert(name.clone(), default.clone());
                self.compare(&put(Value::Object(all)), &put(Value::Object(others.clone())));
            }
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

    /// Whoever writes down what holds anyway changes nothing.
    fn compare(&mut self, written: &Value, without: &Value) {
        if FITTING.iter().any(|of| written.to_string().contains(of)) {
            return;
        }
        self.compared += 1;
        let stacks = |document: &Value| {
            let policy = Policy::parse(Format::Json, &document.to_string()).unwrap();
            let server = policy.server_stack("some", &ServerStack::new()).unwrap();
            (server, policy.client_stack("some", &ClientStack::new()).unwrap())
        };
        let (one, other) = (stacks(written), stacks(without));
        let of_client = one.1.diff(&other.1);
        if one.0 != other.0 || !of_client.is_empty() {
            self.wrong.push(format!("{written}: {of_client:?}"));
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
            "slow_after" => json!("1ms"),
            "uri" => json!("http://localhost"),
            _ => match self.resolved(of)["type"].as_str() {
                Some("string") => json!("1s"),
                Some("number") => json!(0.9 + of["minimum"].as_f64().unwrap_or_default()),
                _ => Value::Object(self.required(self.resolved(of))),
            },
        }
    }
}

#[test]
fn what_is_shown_to_users_is_as_it_says() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let readme = include_str!("../README.md");
    let shown = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let recipe = include_str!("../../../examples/recipes/src/bin/policy.toml");
    for text in [include_str!("all.toml"), shown, recipe] {
        Policy::parse(Format::Toml, text).unwrap();
        let document = serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
        assert_eq!(faults(&schema, &schema, &document, "$"), Vec::<String>::new());
        // And the same as JSON is the same.
        Policy::parse(Format::Json, &document.to_string()).unwrap();
    }
    for wrong in [
        r#"{ "client": {} }"#,
        r#"{ "clients": { "a": { "retry": { "max_retires": 1 } } } }"#,
        r#"{ "clients": { "a": { "breaker": { "probes": 0 } } } }"#,
        r#"{ "clients": { "a": { "breaker": { "probes": 1.5 } } } }"#,
        r#"{ "clients": { "a": { "deadline": 5 } } }"#,
        r#"{ "clients": { "a": { "retry": { "on": ["sometimes"] } } } }"#,
        r#"{ "clients": { "a": { "breaker": { "failure_ratio": {} } } } }"#,
    ] {
        let document = serde_json::from_str(wrong).unwrap();
        assert_ne!(faults(&schema, &schema, &document, "$"), Vec::<String>::new(), "{wrong}");
        assert!(Policy::parse(Format::Json, wrong).is_err(), "{wrong}");
    }
}

/// As much of JSON Schema as ours takes.
fn faults(root: &Value, of: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(to) = of["$ref"].as_str() {
        return faults(root, root.pointer(to.trim_start_matches('#')).unwrap(), value, at);
    }
    let mut found = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{at} {what}: {value}"));
        }
    };
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    };
    match &of["type"] {
        Value::Array(kinds) => must(kinds.iter().any(is), "type"),
        Value::Null => {}
        kind => must(is(kind), "type"),
    }
    if let Some(forms) = of["anyOf"].as_array().or(of["oneOf"].as_array()) {
        must(forms.iter().any(|form| faults(root, form, value, at).is_empty()), "any of");
    }
    must(of["enum"].as_array().is_none_or(|words| words.contains(value)), "enum");
    must(of.get("const").is_none_or(|word| word == value), "const");
    if let Some(number) = value.as_f64() {
        must(of["minimum"].as_f64().is_none_or(|least| number >= least), "minimum");
        must(of["maximum"].as_f64().is_none_or(|most| number <= most), "maximum");
        must(of["exclusiveMinimum"].as_f64().is_none_or(|least| number > least), "above");
        must(of["exclusiveMaximum"].as_f64().is_none_or(|most| number < most), "below");
    }
    let table = value.as_object();
    for required in of["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        must(table.is_none_or(|table| table.contains_key(required)), required);
    }
    for (name, value) in table.into_iter().flatten() {
        let at = format!("{at}.{name}");
        match (of["properties"].get(name), &of["additionalProperties"]) {
            (Some(of), _) => found.extend(faults(root, of, value, &at)),
            (None, Value::Bool(false)) => found.push(format!("{at} is unknown")),
            (None, of) => found.extend(faults(root, of, value, &at)),
        }
    }
    if !of["items"].is_null() {
        for value in value.as_array().into_iter().flatten() {
            found.extend(faults(root, &of["items"], value, at));
        }
    }
    found
}
