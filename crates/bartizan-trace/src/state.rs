//! The grammar of `tracestate`: W3C Trace Context, level 2, §3.3.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// What the systems that took part in a trace say of it, one member each. Ours says nothing, and hands it on.
pub(crate) type State = Arc<HeaderValue>;

pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

const MOST_MEMBERS: usize = 32;
const LONGEST: usize = 512;

/// Reads the members of all `tracestate` headers, in their order.
pub(crate) fn read(headers: &HeaderMap) -> Option<State> {
    let mut all = headers.get_all(TRACESTATE).iter().peekable();
    all.peek()?;
    join(all.map(|value| value.to_str().ok()))
}

/// Joins lists of members into one. None if there is no member, or one breaks the grammar, or is there twice, or there are more than
/// 32. Of what is longer than 512 bytes the first members stay, which are those of the last systems.
pub(crate) fn join<'a>(lists: impl Iterator<Item = Option<&'a str>>) -> Option<State> {
    let (mut keys, mut joined, mut full) = (Vec::new(), String::new(), false);
    for list in lists {
        for member in list?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            keys.push(key_of(member).filter(|key| keys.len() < MOST_MEMBERS && !keys.contains(key))?);
            let comma = if joined.is_empty() { "" } else { "," };
            full |= joined.len() + comma.len() + member.len() > LONGEST;
            if !full {
                joined.extend([comma, member]);
            }
        }
    }
    let joined = Some(joined).filter(|joined| !joined.is_empty())?;
    HeaderValue::try_from(joined).ok().map(Arc::new)
}

fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let first = key.bytes().next()?;
    let good = (first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.len() <= 256
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte))
        && (1..=256).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=');
    good.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lists: &[&str]) -> Option<String> {
        let state = join(lists.iter().map(|list| Some(*list)))?;
        state.to_str().ok().map(str::to_owned)
    }

    #[test]
    fn members_are_joined_in_their_order() {
        for (lists, ought) in [
            (&["foo=1"][..], "foo=1"),
            (&["foo=1,bar=2"], "foo=1,bar=2"),
            (&["foo=1", "bar=2", "rojo=1,congo=2"], "foo=1,bar=2,rojo=1,congo=2"),
            (&[" foo=1 \t, , \tbar=2,"], "foo=1,bar=2"),
            (&["0a_-*/@z= ~!"], "0a_-*/@z= ~!"),
            (&["tenant@system=1"], "tenant@system=1"),
        ] {
            assert_eq!(joined(lists).as_deref(), Some(ought), "{lists:?}");
        }
    }

    #[test]
    fn one_bad_member_spoils_them_all() {
        let long = "a".repeat(257);
        let (key, value) = (format!("{long}=1"), format!("a={long}"));
        for list in
            ["", " , ", "foo", "=1", "foo=", "Foo=1", "foo=1=2", "f o=1", "foo=é", "foo=1,foo=1", "@a=1"]
        {
            assert_eq!(
                joined(&["good=1", list]).is_some(),
                list.trim_matches([' ', ',']).is_empty(),
                "{list:?}"
            );
        }
        assert_eq!(
            (joined(&[&key]), joined(&[&value]), joined(&[]), joined(&[""])),
            (None, None, None, None)
        );
    }

    #[test]
    fn there_is_an_end_to_number_and_length() {
        let many = |count: usize| (0..count).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(joined(&[&many(32)]), Some(many(32)));
        assert_eq!(joined(&[&many(33)]), None);
        let member = |key: char, length: usize| format!("{key}={}", "x".repeat(length - 2));
        let (half, rest) = (member('a', 255), member('b', 256));
        let (fits, more) = (format!("{half},{rest}"), format!("{half},{rest}y"));
        assert_eq!((fits.len(), joined(&[&fits])), (512, Some(fits.clone())));
        assert_eq!(
            joined(&[&more, "c=1"]),
            Some(half),
            "what comes behind one that was left out is left out"
        );
    }
}
