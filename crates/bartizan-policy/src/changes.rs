use crate::tree::{Node, Value, join};
use std::collections::BTreeMap;
use std::fmt;

/// What is another in a policy that was taken over than in the one before: a line for each setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<Change>);

/// One setting that is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    field: String,
    old: Option<String>,
    new: Option<String>,
}

impl Changes {
    /// Compares two texts as they are read, setting by setting.
    pub(crate) fn between(old: &Node, new: &Node) -> Self {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        leaves(old, String::new(), &mut before);
        leaves(new, String::new(), &mut after);
        let mut changes: Vec<Change> = before
            .iter()
            .filter(|(field, old)| after.get(*field) != Some(old))
            .map(|(field, old)| Change {
                field: field.clone(),
                old: Some(old.clone()),
                new: after.get(field).cloned(),
            })
            .collect();
        let added = after.into_iter().filter(|(field, _)| !before.contains_key(field));
        changes.extend(added.map(|(field, new)| Change { field, old: None, new: Some(new) }));
        changes.sort_by(|one, other| one.field.cmp(&other.field));
        Self(changes)
    }

    /// Whether nothing is another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes, by the names of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        self.0.iter()
    }
}

impl Change {
    /// The path to the setting, such as `clients.stock.breaker.probes`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What the setting was, as it was written. `None` where it was not named.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.old.as_deref()
    }

    /// What the setting is. `None` where it is named no longer.
    #[must_use]
    pub fn to(&self) -> Option<&str> {
        self.new.as_deref()
    }
}

/// `clients.stock.breaker.probes: 1 -> 3`, and a comma between two.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.0.iter().enumerate() {
            write!(f, "{}{change}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| String::from("not set"));
        write!(f, "{}: {} -> {}", self.field, shown(&self.old), shown(&self.new))
    }
}

/// The settings at the ends of all paths. An empty table is one too: it may be all that names a client.
fn leaves(node: &Node, path: String, into: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Table(table) if !table.is_empty() => {
            for (name, node) in table {
                leaves(node, join(path.clone(), name), into);
            }
        }
        Value::Table(_) if path.is_empty() => {}
        Value::Table(_) => drop(into.insert(path, String::from("{}"))),
        _ => drop(into.insert(path, node.to_string())),
    }
}
