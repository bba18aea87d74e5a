//! Prints the page of all settings, for `docs/settings.md`.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn main() {
    print!("{}", page());
}

const INTRO: &str = r#"# All settings of a policy

Each name is a key of a TOML or JSON file. A table can be written as a section, inline or by dots: `[clients.stock.retry]` with
`max_retries = 1`, `retry = { max_retries = 1 }` and `retry.max_retries = 1` are the same. A setting that is not named is as code says, or else as by
default. A duration is text with its units, such as `"250ms"` or `"1m 30s"`. Settings and words may be written with `-` or
a space for `_`. A layer is switched by `retry = false` as by `retry.enabled = false`. What stands for `<name>` is what code asks for:
`policy.server("<name>")`; `default` stands for all of them.

What is not named fits itself to its place:

- An attempt may take 1 s, or the whole deadline where that is less. A probe keeps its place, and a read that others wait for keeps its lease, for as long
  as an attempt may take, if that is longer than by default.
- Over several endpoints the breaker goes by the evidence of an endpoint, and has no ramp. A client of one endpoint or none sends no
  copies, unless it has a table `hedge`.
- A server's hint has a call wait for as long as then is left for an attempt, or for half of the deadline.
"#;

/// The page, made of the schema.
pub(crate) fn page() -> String {
    let schema: Value = serde_json::from_str(&bartizan_policy::schema()).expect("the schema is JSON");
    let mut tables = Tables { all: &schema["$defs"], order: Vec::new(), places: BTreeMap::new() };
    let mut page = INTRO.to_owned();
    for (kind, table) in [("servers", "ServerTable"), ("clients", "ClientTable")] {
        let _ = write!(page, "\n## `[{kind}.<name>]`\n\n{}", tables.rows(table));
        tables.visit(table, "", kind);
    }
    for table in tables.order.clone() {
        let about = tables.all[table]["description"].as_str().unwrap_or_default();
        let places = tables.places[table].join("`, `");
        let _ = write!(page, "\n## {}\n\n{about} At `{places}`.\n\n{}", words(table), tables.rows(table));
    }
    page
}

struct Tables<'a> {
    all: &'a Value,
    /// In the order in which they are first met.
    order: Vec<&'a str>,
    /// Where each of them can stand.
    places: BTreeMap<&'a str, Vec<String>>,
}

impl<'a> Tables<'a> {
    fn visit(&mut self, table: &str, at: &str, kind: &str) {
        let all = self.all;
        for (name, setting) in all[table]["properties"].as_object().into_iter().flatten() {
            self.found(setting, &format!("{at}{name}"), kind);
        }
    }

    /// All tables that a setting may be.
    fn found(&mut self, of: &'a Value, at: &str, kind: &str) {
        let all = self.all;
        if let Some(name) = referred(of) {
            if !is_table(&all[name]) {
                return self.found(&all[name], at, kind);
            }
            if !self.order.contains(&name) {
                self.order.push(name);
            }
            let place = format!("{kind}.<name>.{at}");
            let places = self.places.entry(name).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
            return self.visit(name, &format!("{at}."), kind);
        }
        for form in forms(of) {
            self.found(form, at, kind);
        }
        for (name, variant) in of["properties"].as_object().into_iter().flatten() {
            self.found(variant, &format!("{at}.{name}"), kind);
        }
        if !of["items"].is_null() {
            self.found(&of["items"], &format!("{at}[]"), kind);
        }
    }

    fn rows(&self, table: &str) -> String {
        let of = &self.all[table];
        let mut rows = String::from("| setting | is | default | |\n|---|---|---|---|\n");
        for (name, setting) in of["properties"].as_object().into_iter().flatten() {
            let needed = of["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
            let default = match default(table, name, setting) {
                Some(default) => default,
                None if needed => "to be named".to_owned(),
                None => String::new(),
            };
            let about = setting["description"].as_str().unwrap_or_default().replace('\n', " ");
            let _ = writeln!(rows, "| `{name}` | {} | {default} | {about} |", self.value(setting));
        }
        rows
    }

    /// What may be written there.
    fn value(&self, of: &Value) -> String {
        match referred(of) {
            Some("Time") => return "duration".to_owned(),
            Some(name) if is_table(&self.all[name]) => return link(name),
            Some(name) => return self.value(&self.all[name]),
            None => {}
        }
        let all = forms(of);
        if !all.is_empty() {
            return all.iter().map(|form| self.value(form)).collect::<Vec<_>>().join(" or ");
        }
        if let Some(known) = of["enum"].as_array() {
            if let Some(about) = of["description"].as_str().filter(|_| known.len() > 12) {
                return about.to_owned();
            }
            let known = known.iter().filter_map(Value::as_str).filter(|word| !word.contains([' ', '-']));
            return known.map(quoted).collect::<Vec<_>>().join(", ");
        }
        if let Some(word) = of["const"].as_str() {
            return quoted(word);
        }
        let kind = of["type"].as_str().or_else(|| of["type"][0].as_str()).unwrap_or_default();
        match kind {
            "boolean" => "`true` or `false`".to_owned(),
            "integer" => format!("whole number{}", range(of)),
            "number" => format!("number{}", range(of)),
            "array" => {
                let most = of["maxItems"].as_u64().map_or(String::new(), |most| format!(", at most {most}"));
                format!("list{most}, of {}", self.value(&of["items"]))
            }
            "object" => {
                let variant = |(name, of): (&String, &Value)| format!("`{name}` of {}", self.value(of));
                of["properties"].as_object().into_iter().flatten().map(variant).collect::<Vec<_>>().join(", ")
            }
            _ if of["format"] == "uri" => "URI".to_owned(),
            _ => "text".to_owned(),
        }
    }
}

fn is_table(of: &Value) -> bool {
    of["properties"].is_object()
}

fn referred(of: &Value) -> Option<&str> {
    of["$ref"].as_str()?.rsplit('/').next()
}

/// The forms that a value may have, but for none.
fn forms(of: &Value) -> Vec<&Value> {
    let all = of["anyOf"].as_array().or(of["oneOf"].as_array());
    all.into_iter().flatten().filter(|form| form["type"] != "null").collect()
}

/// Within what a number must be. What its type alone says is not told.
fn range(of: &Value) -> String {
    let at = |bound: &str| of[bound].as_f64().filter(|at| at.abs() < 1e9);
    match (at("minimum"), at("exclusiveMinimum"), at("maximum"), at("exclusiveMaximum")) {
        (Some(least), None, Some(most), None) => format!(", {least} to {most}"),
        (Some(least), None, None, Some(bound)) => format!(", {least} or more, below {bound}"),
        (Some(least), None, None, None) if least > 0.0 => format!(", {least} or more"),
        (None, Some(bound), Some(most), None) => format!(" above {bound}, at most {most}"),
        (None, Some(above), None, Some(below)) => format!(" above {above}, below {below}"),
        (None, Some(bound), None, None) => format!(" above {bound}"),
        _ => String::new(),
    }
}

/// What holds where nothing is written, if that is one value.
fn default(table: &str, name: &str, of: &Value) -> Option<String> {
    match (table, name) {
        ("DeadlineTable", "total") => Some("as said above".to_owned()),
        (_, "seed") => Some("another each time".to_owned()),
        _ => of.get("default").map(|default| format!("`{}`", toml(default))),
    }
}

/// A value as TOML has it.
fn toml(value: &Value) -> String {
    match value.as_object() {
        Some(table) => {
            let entries = table.iter().map(|(name, value)| format!("{name} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        None => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("`\"{text}\"`")
}

fn link(table: &str) -> String {
    let words = words(table);
    format!("[{}](#{})", words.to_lowercase(), words.to_lowercase().replace(' ', "-"))
}

/// The name of a table, in words.
fn words(table: &str) -> String {
    let mut words = String::new();
    for (at, letter) in table.trim_end_matches("Table").char_indices() {
        if letter.is_uppercase() && at > 0 {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}
