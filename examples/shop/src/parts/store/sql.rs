//! The one place through which every statement's text passes.

use super::place::Kind;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};
use std::borrow::Cow;

/// A statement with all that is bound to it.
pub type Statement = Query<'static, Any, AnyArguments>;

/// A statement whose text is written with `$1`, `$2` and so on, once each and in their order.
pub(super) fn statement(kind: Kind, text: Cow<'static, str>) -> Statement {
    let text = passed(text);
    match kind {
        Kind::Sqlite | Kind::Postgres => match text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        },
        Kind::MySql => sqlx::query(AssertSqlSafe(with_question_marks(&text))),
    }
}

/// Where a bug of the tests may have its way.
pub(super) fn passed(text: Cow<'static, str>) -> Cow<'static, str> {
    #[cfg(feature = "planted")]
    let text = super::super::planted::sql(text);
    text
}

/// MySQL counts for itself.
fn with_question_marks(text: &str) -> String {
    let mut parts = text.split('$');
    let mut marked = parts.next().unwrap_or_default().to_owned();
    for (n, part) in (1..).zip(parts) {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        debug_assert_eq!(part[..part.len() - rest.len()].parse(), Ok(n), "once each, and in order: {text}");
        marked.push('?');
        marked.push_str(rest);
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_question_marks() {
        let text = "UPDATE t SET a = $1 WHERE b IN ($2, $3, $4, $5, $6, $7, $8, $9, $10)";
        assert_eq!(with_question_marks(text), "UPDATE t SET a = ? WHERE b IN (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        assert_eq!(with_question_marks("SELECT 1"), "SELECT 1");
    }

    #[test]
    #[should_panic(expected = "once each, and in order")]
    fn a_place_that_is_named_twice_is_no_statement() {
        with_question_marks("SELECT $1, $1");
    }
}
