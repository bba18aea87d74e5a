//! What may become a user.

use crate::contracts::user::{Register, account};
use crate::parts::problem::Problem;

/// In characters. Hashing a longer one would cost more than it protects.
const LONGEST_PASSWORD: usize = 128;

const SHORTEST_PASSWORD: usize = 6;
const LONGEST_NAME: usize = 100;
const LONGEST_EMAIL: usize = 254;

/// Trims the name, writes the email small, and refuses what no user may be called.
pub(super) fn check(user: Register) -> Result<Register, Problem> {
    let (name, email) = (user.name.trim().to_owned(), account(&user.email));
    let long = user.name.chars().count() > LONGEST_NAME;
    if name.is_empty() || long || user.name.chars().any(char::is_control) {
        return Err(Problem::invalid("`name` must have 1 to 100 characters, and no control characters"));
    }
    if !is_email(&email) {
        return Err(Problem::invalid("`email` must be an email address"));
    }
    check_password(&user.password)?;
    Ok(Register { name, email, password: user.password })
}

/// Refuses what no password may be.
pub(super) fn check_password(password: &str) -> Result<(), Problem> {
    match password.chars().count() {
        SHORTEST_PASSWORD..=LONGEST_PASSWORD => Ok(()),
        _ => Err(Problem::invalid("`password` must have 6 to 128 characters")),
    }
}

/// Whether a password may be somebody's at all.
pub(super) fn is_password(password: &str) -> bool {
    password.chars().nth(LONGEST_PASSWORD).is_none()
}

/// Whether an account may have this name; no store is asked for others.
pub(super) fn is_email(email: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@')
    };
    email.chars().count() <= LONGEST_EMAIL
        && email.split_once('@').is_some_and(|(who, place)| plain(who) && plain(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(name: &str, email: &str, password: &str) -> bool {
        check(Register { name: name.into(), email: email.into(), password: password.into() }).is_ok()
    }

    #[test]
    fn a_user_has_a_name_an_email_and_a_password() {
        assert!(accepts("Ada", "Ada@Example.org", "secret"));
        for (name, email, password) in [
            ("  ", "ada@example.org", "secret"),
            ("A\0da", "ada@example.org", "secret"),
            (&"a".repeat(101), "ada@example.org", "secret"),
            ("Ada", "ada", "secret"),
            ("Ada", "@example.org", "secret"),
            ("Ada", "a@b@c", "secret"),
            ("Ada", "a b@example.org", "secret"),
            ("Ada", " ada@example.org", "secret"),
            ("Ada", "ada\u{a0}@example.org", "secret"),
            ("Ada", "ada\0@example.org", "secret"),
            ("Ada\n", "ada@example.org", "secret"),
            ("Ada", &format!("{}@example.org", "a".repeat(250)), "secret"),
            ("Ada", "ada@example.org", "short"),
            ("Ada", "ada@example.org", &"x".repeat(129)),
        ] {
            assert!(!accepts(name, email, password), "{name:?} {email:?} {password:?}");
        }
        assert!(accepts(&"ß".repeat(100), "ada@example.org", &"ß".repeat(128)));
        assert_eq!(account("Ada@Example.ORG"), "ada@example.org");
    }
}
