use super::range;
use super::settings::Judged;
use super::{ClientTable, Document, ServerTable};
use crate::tree::{Fault, Node, Value, read};
use crate::words::listed;
use crate::{PolicyError, words};
use bartizan_core::Member;
use bartizan_http::http::Uri;
use bartizan_stack::{ClientStack, Misfit, ServerStack};
use std::collections::BTreeMap;

pub(crate) const SERVERS: &str = "servers";
pub(crate) const CLIENTS: &str = "clients";
/// The table of each kind from which all others of it inherit.
pub(crate) const DEFAULT: &str = "default";

/// What is one thing: half of one and half of another make none.
const WHOLES: &[&str] = &[
    "backoff",
    "choice",
    "consecutive",
    "endpoints",
    "excess",
    "failure_ratio",
    "pause",
    "refresh_backoff",
    "slow_ratio",
    "slowness",
    "success_rate",
    "throttled_backoff",
];

/// What cannot stand side by side, as each says the whole of the same thing.
const RIVALS: &[[&str; 2]] = &[["enabled", "mode"], ["fixed", "adaptive"]];

/// Settings of a stack that may stand in a second place.
const ALSO: &[(&str, &str)] = &[("breaker.slow_after", "breaker.slow_ratio.slow_after")];

/// Where calls can go.
pub(crate) type Members = Vec<Member<Uri>>;

/// What a table makes of a client.
pub(crate) struct Client {
    pub(crate) stack: ClientStack,
    /// Where its calls go, if it says so.
    pub(crate) members: Option<Members>,
}

/// A table with what it inherits, by its name.
pub(crate) struct Named<'a> {
    kind: &'static str,
    name: &'a str,
    /// A document of this table alone, in which faults find their lines.
    root: Node,
}

impl<'a> Named<'a> {
    /// The table of this name. Where there is none, the one of all, if `given` says that code gives what else there is to know.
    pub(crate) fn of(
        root: &Node,
        kind: &'static str,
        name: &'a str,
        given: bool,
    ) -> Result<Self, PolicyError> {
        let table = |name| root.get([kind, name]);
        let own = if name == DEFAULT { None } else { table(name) };
        if own.is_none() && !given {
            return Err(missing(root, kind, name));
        }
        let node = match (table(DEFAULT), own) {
            (Some(default), Some(own)) => default.overlaid(own, WHOLES, RIVALS),
            (Some(node), None) | (None, Some(node)) => node.clone(),
            (None, None) => Node::empty(),
        };
        let wrap = |name: &str, node: Node| Node {
            at: node.at.clone(),
            value: Value::Table(BTreeMap::from([(name.to_owned(), node)])),
        };
        Ok(Self { kind, name, root: wrap(kind, wrap(name, node)) })
    }

    fn node(&self) -> &Node {
        self.root.get([self.kind, self.name]).unwrap_or(&self.root)
    }

    fn blame(&self, fault: Fault) -> PolicyError {
        self.root.blame(&fault.within(self.name).within(self.kind))
    }

    /// The stack that the table makes of another.
    pub(crate) fn server(&self, base: ServerStack, judged: Judged) -> Result<ServerStack, PolicyError> {
        let made = read::<ServerTable>(self.node()).and_then(|table| {
            self.agrees()?;
            let stack = table.onto(base, judged)?;
            self.fits(stack.check(), judged)?;
            Ok(stack)
        });
        made.map_err(|fault| self.blame(fault))
    }

    /// The client that the table makes of a stack.
    pub(crate) fn client(&self, base: ClientStack, judged: Judged) -> Result<Client, PolicyError> {
        let made = read::<ClientTable>(self.node()).and_then(|table| {
            self.agrees()?;
            let stack = table.onto(base, judged)?;
            self.fits(stack.check(), judged)?;
            Ok(Client { stack, members: table.members()? })
        });
        made.map_err(|fault| self.blame(fault))
    }

    /// Says that it, or a setting of it, cannot be so while it runs.
    pub(crate) fn refuse(&self, field: Option<&str>, why: &str) -> PolicyError {
        let fault = Fault::new(why);
        self.blame(match field {
            Some(field) => fault.within(field),
            None => fault,
        })
    }

    /// Sees that nothing is said twice in two ways.
    fn agrees(&self) -> Result<(), Fault> {
        for (name, part) in self.node().table().into_iter().flatten() {
            let is_given = |setting: &str| part.get([setting]).is_some_and(Node::is_given);
            if let Some([one, other]) = RIVALS.iter().find(|pair| pair.iter().all(|name| is_given(name))) {
                let fault = Fault::new(format!("cannot stand beside `{one}`"));
                return Err(fault.within(other).within(name));
            }
        }
        Ok(())
    }

    /// Finds two settings that do not fit in the table. Where it names but one of them, it is the document's fault only on top of
    /// what code gives.
    fn fits(&self, checked: Result<(), Misfit>, judged: Judged) -> Result<(), Fault> {
        let Err(misfit) = checked else { return Ok(()) };
        let written = |field: &'static str| -> Option<Vec<&str>> {
            let path: Vec<&str> = field.split('.').collect();
            self.node().get(path.iter().copied()).map(|_| path)
        };
        let named = |field| {
            written(field)
                .or_else(|| ALSO.iter().find(|(of, _)| *of == field).and_then(|also| written(also.1)))
        };
        let [one, other] = misfit.fields().map(named);
        if judged == Judged::Alone && (one.is_none() || other.is_none()) {
            return Ok(());
        }
        let path = one.or(other).unwrap_or_default();
        Err(path.iter().rev().fold(Fault::new(misfit.to_string()), |fault, name| fault.within(name)))
    }
}

/// Says whether a document can be believed, as far as that can be said without what code gives.
pub(crate) fn check(root: &Node) -> Result<(), PolicyError> {
    read::<Document>(root).map_err(|fault| root.blame(&fault.ranged(range)))?;
    for kind in [SERVERS, CLIENTS] {
        // What all inherit comes first, so that its faults are not taken for those of its heirs.
        for name in std::iter::once(DEFAULT).chain(names(root, kind)) {
            let table = Named::of(root, kind, name, true)?;
            match kind {
                SERVERS => table.server(ServerStack::new(), Judged::Alone).map(drop)?,
                _ => table.client(ClientStack::new(), Judged::Alone).map(drop)?,
            }
        }
    }
    Ok(())
}

/// The names of the tables of a kind, without the one that all inherit.
pub(crate) fn names<'a>(root: &'a Node, kind: &str) -> impl Iterator<Item = &'a str> {
    let names = root.get([kind]).and_then(Node::table);
    names.into_iter().flatten().map(|(name, _)| name.as_str()).filter(|name| *name != DEFAULT)
}

fn missing(root: &Node, kind: &str, name: &str) -> PolicyError {
    let known: Vec<&str> = names(root, kind).collect();
    let it = kind.trim_end_matches('s');
    PolicyError::new(&match (known.is_empty(), words::meant(name, &known)) {
        (true, _) => format!("there is no {it} `{name}`, and no other"),
        (_, Some(meant)) => {
            format!("there is no {it} `{name}`, did you mean `{meant}`? There are {}", listed(&known))
        }
        _ => format!("there is no {it} `{name}`, there are {}", listed(&known)),
    })
}
