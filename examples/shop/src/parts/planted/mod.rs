//! Bugs that somebody could have written. `SHOP_PLANTED` names the one that lives, and the tests show that `shop check`
//! finds each of them. All of it is behind the feature `planted`, which nobody has by default; the services know
//! nothing of it: a bug gets in where a statement, a call to a peer or a message goes through a part.

mod bugs;
mod calls;

pub use calls::send;

use super::config::set;
use super::failure::Failure;
use bugs::{BUGS, Bug, Edit};
use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names the bug.
const VARIABLE: &str = "SHOP_PLANTED";

static CHOSEN: OnceLock<Option<&'static Bug>> = OnceLock::new();

/// Plants the bug that `SHOP_PLANTED` names; none when it is unset.
///
/// # Errors
///
/// When there is none of this name.
pub fn plant() -> Result<(), Failure> {
    let chosen = match set(VARIABLE)? {
        None => None,
        Some(name) => Some(find(&name)?),
    };
    CHOSEN.get_or_init(|| chosen);
    if let Some(Bug { name, sentence, .. }) = chosen {
        tracing::warn!(bug = name, "planted: {sentence}");
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Bug, Failure> {
    BUGS.iter().find(|bug| bug.name == name).ok_or_else(|| {
        let names: Vec<_> = BUGS.iter().map(|bug| bug.name).collect();
        Failure::new(format!("{VARIABLE} must be one of {}, not {name:?}.", names.join(", ")))
    })
}

fn chosen() -> Option<&'static Bug> {
    CHOSEN.get().copied().flatten()
}

/// Whether this bug lives.
pub fn lives(name: &str) -> bool {
    chosen().is_some_and(|bug| bug.name == name)
}

/// The same, in every n-th case.
pub fn strikes(name: &str) -> bool {
    static CASES: AtomicUsize = AtomicUsize::new(1);
    chosen().is_some_and(|bug| {
        bug.name == name && CASES.fetch_add(1, Ordering::Relaxed).is_multiple_of(bug.every)
    })
}

/// A statement as the bug has it.
pub fn sql(text: Cow<'static, str>) -> Cow<'static, str> {
    let Some(bug) = chosen() else { return text };
    let edited = bug.edits.iter().fold(text.clone(), |text, edit| match edit {
        Edit::Replace { of, from, to } if text.contains(of) => text.replace(from, to).into(),
        Edit::Skip(of) if text.contains(of) => nothing(text.matches('$').count()).into(),
        _ => text,
    });
    if edited != text && strikes(bug.name) { edited } else { text }
}

/// Tables as the bug has them.
pub fn tables(tables: &[&'static str]) -> Vec<&'static str> {
    let made = |table: &&'static str| match sql(Cow::Borrowed(*table)) {
        Cow::Borrowed(table) => table,
        // Few, and once for each store that is opened.
        Cow::Owned(table) => &*table.leak(),
    };
    tables.iter().map(made).collect()
}

/// A statement that does nothing, and has so many places.
fn nothing(places: usize) -> String {
    let places = (1..=places).map(|n| format!(" AND ${n} IS NULL"));
    format!("SELECT 1 WHERE 1 = 0{}", places.collect::<String>())
}

/// Handles a message. Who acknowledges it before, may be gone before the mail is written.
pub async fn handle<E>(handler: impl Future<Output = Result<(), E>>) -> Result<(), E> {
    if strikes("acknowledged_unread") {
        return Ok(());
    }
    handled(handler.await)
}

fn handled<E>(handled: Result<(), E>) -> Result<(), E> {
    if lives("failure_forgotten") { Ok(()) } else { handled }
}

/// What the bus said to what was published, as a relay has it that does not listen.
pub fn published<T: Default, E>(published: Result<T, E>) -> Result<T, E> {
    if lives("confirm_not_awaited") { Ok(T::default()) } else { published }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_bug_has_a_name_of_its_own_and_a_sentence() {
        let names: BTreeSet<_> = BUGS.iter().map(|bug| bug.name).collect();
        assert_eq!(names.len(), BUGS.len());
        assert!(BUGS.len() >= 20);
        for Bug { name, sentence, every, .. } in BUGS {
            assert!(sentence.ends_with('.') && *every > 0, "{name}");
            assert_eq!(find(name).unwrap().name, *name);
        }
        assert!(find("none").unwrap_err().to_string().contains("outbox_row_dropped"));
    }

    #[test]
    fn an_edit_keeps_the_places_of_a_statement() {
        for edit in BUGS.iter().flat_map(|bug| bug.edits) {
            if let Edit::Replace { from, to, .. } = edit {
                let places = |text: &str| text.matches('$').count();
                assert_eq!(places(from), places(to), "{to}");
            }
        }
        assert_eq!(nothing(2), "SELECT 1 WHERE 1 = 0 AND $1 IS NULL AND $2 IS NULL");
    }

    #[test]
    fn nothing_is_planted_unless_it_is_asked_for() {
        assert_eq!(sql("INSERT INTO orders".into()), "INSERT INTO orders");
        assert!(!lives("oversold") && !strikes("oversold"));
        assert_eq!(handled(Err("no")), Err("no"));
        assert_eq!(published::<(), _>(Err("no")), Err("no"));
    }
}
