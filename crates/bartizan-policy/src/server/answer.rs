//! What a config server answers, made into a tree.

use crate::PolicyError;
use crate::tree::{At, Fault, Node, Value, one_word, place};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An answer of Spring Cloud Config. What else is in it is not looked at.
#[derive(Debug, Deserialize)]
struct Environment {
    version: Option<String>,
    #[serde(rename = "propertySources")]
    sources: Vec<PropertySource>,
}

#[derive(Debug, Deserialize)]
struct PropertySource {
    name: String,
    source: BTreeMap<String, serde_json::Value>,
}

/// Reads an answer: its tree, and what the server calls its version.
pub(super) fn read(body: &[u8], prefix: &str) -> Result<(Node, Option<String>), PolicyError> {
    let environment: Environment = serde_json::from_slice(body)
        .map_err(|error| PolicyError::new(&format!("answered what is no configuration: {error}")))?;
    let mut root = Node::empty();
    // The first source counts most, so the others add to it what it does not say.
    for PropertySource { name, source } in environment.sources {
        let part: Arc<str> = name.into();
        for (key, value) in source {
            let Some(rest) = below(&key, prefix) else { continue };
            let wrong = |text: &str| PolicyError::new(text).part(&part).field(&key);
            let Some(path) = path(rest) else { return Err(wrong("is no name of a property")) };
            let node = match value {
                // A name in YAML with nothing below it.
                serde_json::Value::String(text) if text.is_empty() && path.len() <= 2 => {
                    Node { at: At::Part(part.clone()), value: Value::Table(BTreeMap::new()) }
                }
                value => node(value, &part),
            };
            insert(&mut root, &path, node).map_err(wrong)?;
        }
    }
    close(&mut root).map_err(|fault| root.blame(&fault))?;
    Ok((root, environment.version))
}

/// What is left of a key below a prefix.
fn below<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(key);
    }
    key.strip_prefix(prefix)?.strip_prefix('.').filter(|rest| !rest.is_empty())
}

/// No setting is as deep, and who walks along a path comes back.
const DEEPEST: usize = 32;

/// The names of a key: `clients[stock.eu].endpoints[0]` has four of them. A number in brackets keeps these.
fn path(key: &str) -> Option<Vec<String>> {
    let mut path: Vec<String> = Vec::new();
    let mut rest = key;
    while !rest.is_empty() {
        let name = if let Some(inner) = rest.strip_prefix('[') {
            let (name, after) = inner.split_once(']')?;
            rest = after;
            if name.bytes().all(|byte| byte.is_ascii_digit()) { format!("[{name}]") } else { name.to_owned() }
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name = rest[..end].to_owned();
            rest = &rest[end..];
            name
        };
        if name.is_empty() || name == "[]" || path.len() == DEEPEST {
            return None;
        }
        // The name of a server or client is as it is, all others are those of settings.
        path.push(if path.len() == 1 { name } else { one_word(&name) });
        if let Some(after) = rest.strip_prefix('.') {
            if after.is_empty() {
                return None;
            }
            rest = after;
        }
    }
    Some(path)
}

fn node(value: serde_json::Value, part: &Arc<str>) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number.into()),
            (_, Some(number)) => Value::Int(number.into()),
            _ => Value::number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Loose(text.into()),
        Json::Array(list) => Value::List(list.into_iter().map(|item| node(item, part)).collect()),
        Json::Object(table) => Value::Table(
            table.into_iter().map(|(name, value)| (one_word(&name), node(value, part))).collect(),
        ),
    };
    Node { at: At::Part(part.clone()), value }
}

/// Puts a value where its path says, unless an earlier source has one there.
fn insert(root: &mut Node, path: &[String], node: Node) -> Result<(), &'static str> {
    let mut within = root;
    let Some((last, way)) = path.split_last() else { return Err("is no name of a property") };
    for name in way {
        if is_taken(within, name, &node) {
            return Ok(());
        }
        let at = node.at.clone();
        let clashes = clash(within, &node);
        let Value::Table(table) = &mut within.value else { return clashes };
        let empty = || Node { at, value: Value::Table(BTreeMap::new()) };
        within = table.entry(name.clone()).or_insert_with(empty);
    }
    if is_taken(within, last, &node) {
        return Ok(());
    }
    let clashes = clash(within, &node);
    let Value::Table(table) = &mut within.value else { return clashes };
    match table.get(last) {
        None => drop(table.insert(last.clone(), node)),
        Some(known) if !same_part(known, &node) => {}
        Some(Node { value: Value::Table(_), .. }) => return Err("is a value and has others below it"),
        Some(_) => return Err("is given twice, in two spellings"),
    }
    Ok(())
}

/// Whether it is an item of a list that an earlier source has begun.
fn is_taken(within: &Node, name: &str, node: &Node) -> bool {
    let begun = within.table().is_some_and(|table| !table.is_empty());
    place(name).is_some() && begun && !same_part(within, node)
}

fn clash(known: &Node, node: &Node) -> Result<(), &'static str> {
    if same_part(known, node) { Err("is below what is a value") } else { Ok(()) }
}

/// Whether both are of one source. Two may have one name.
fn same_part(one: &Node, other: &Node) -> bool {
    matches!((&one.at, &other.at), (At::Part(one), At::Part(other)) if Arc::ptr_eq(one, other))
}

/// Makes lists of the tables whose names are all places.
fn close(node: &mut Node) -> Result<(), Fault> {
    let Value::Table(table) = &mut node.value else { return Ok(()) };
    for (name, node) in table.iter_mut() {
        close(node).map_err(|fault| fault.within(name))?;
    }
    if table.is_empty() || !table.keys().any(|name| place(name).is_some()) {
        return Ok(());
    }
    let mut items: Vec<(Option<usize>, Node)> =
        std::mem::take(table).into_iter().map(|(name, node)| (place(&name), node)).collect();
    items.sort_by_key(|(place, _)| *place);
    let complete = items.iter().enumerate().all(|(index, (place, _))| *place == Some(index));
    node.value = Value::List(items.into_iter().map(|(_, node)| node).collect());
    if complete { Ok(()) } else { Err(Fault::new("must be a list without gaps, from [0] on")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_paths() {
        for (key, expected) in [
            ("a.b.c", Some(vec!["a", "b", "c"])),
            ("clients.stock-eu.max-retries", Some(vec!["clients", "stock-eu", "max_retries"])),
            (
                "clients[stock.eu].endpoints[10].uri",
                Some(vec!["clients", "stock.eu", "endpoints", "[10]", "uri"]),
            ),
            ("a[0][1]", Some(vec!["a", "[0]", "[1]"])),
            ("a..b", None),
            ("a.", None),
            (".a", None),
            ("a[", None),
            ("a[]", None),
            ("", Some(vec![])),
            (&"a.".repeat(DEEPEST + 1), None),
        ] {
            let expected = expected.map(|names| names.into_iter().map(String::from).collect::<Vec<_>>());
            assert_eq!(path(key), expected, "{key}");
        }
        assert_eq!(below("bartizan.servers.a", "bartizan"), Some("servers.a"));
        assert_eq!(below("bartizanservers", "bartizan"), None);
        assert_eq!(below("bartizan.", "bartizan"), None);
        assert_eq!(below("spring.name", "bartizan"), None);
        assert_eq!(below("servers.a", ""), Some("servers.a"));
    }

    fn check(sources: &str, expected: Result<&str, &str>) {
        let body = format!(r#"{{ "name": "shop", "version": "7", "propertySources": [{sources}] }}"#);
        let said =
            read(body.as_bytes(), "").map(|(root, _)| root.to_string()).map_err(|error| error.to_string());
        assert_eq!(said.as_deref().map_err(String::as_str), expected, "{sources}");
    }

    #[test]
    fn properties_become_a_tree_in_which_the_first_source_counts() {
        check(
            r#"{ "name": "one", "source": { "a.b": 1, "a.list[1]": "y", "a.list[0]": "x" } },
               { "name": "two", "source": { "a.b": 2, "a.c": "true", "a.list[0]": "z", "a.list[2]": "z" } }"#,
            Ok("{ a = { b = 1, c = true, list = [x, y] } }"),
        );
        check(
            r#"{ "name": "one", "source": { "a[0].b": 1, "a[0].c": 2, "a[1].b": null } }"#,
            Ok("{ a = [{ b = 1, c = 2 }, { b = null }] }"),
        );
        check(r#"{ "name": "one", "source": { "a": { "b": [1.5] } } }"#, Ok("{ a = { b = [1.5] } }"));
        check(r#"{ "name": "one", "source": { "a.b": "", "c": "" } }"#, Ok("{ a = { b = {  } }, c = {  } }"));
        check("", Ok("{  }"));
    }

    #[test]
    fn what_cannot_be_told_apart_is_told() {
        check(
            r#"{ "name": "one", "source": { "a[1]": 1 } }"#,
            Err("one, a: must be a list without gaps, from [0] on"),
        );
        check(
            r#"{ "name": "one", "source": { "a": 1, "a.b": 1 } }"#,
            Err("one, a.b: is below what is a value"),
        );
        check(r#"{ "name": "one", "source": { "a..b": 1 } }"#, Err("one, a..b: is no name of a property"));
        check(
            r#"{ "name": "one", "source": { "a": 1 } }, { "name": "two", "source": { "a.b": 1 } }"#,
            Ok("{ a = 1 }"),
        );
        check(
            r#"{ "name": "one", "source": { "a.b.c-d": 1, "a.b.c_d": 1 } }"#,
            Err("one, a.b.c_d: is given twice, in two spellings"),
        );
        // Two sources may have one name.
        check(
            r#"{ "name": "one", "source": { "a.b": 1 } }, { "name": "one", "source": { "a.b": 2, "a.c": 3 } }"#,
            Ok("{ a = { b = 1, c = 3 } }"),
        );
    }
}
