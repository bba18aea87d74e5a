use crate::place;
use bartizan_core::Member;
use http::Uri;
use std::collections::HashSet;

/// What is wrong with a file, and in which line, if it is one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: Option<usize>,
    pub(crate) text: String,
}

/// Reads a file's content: a member a line, with what else is said of it. One wrong line makes it all wrong, as a set that lacks
/// a member is worse than the last good one.
pub(crate) fn read(content: &[u8]) -> Result<Vec<Member<Uri>>, Wrong> {
    let content = std::str::from_utf8(content).map_err(|error| {
        let before = content.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Wrong { line: Some(line), text: String::from("is not in UTF-8") }
    })?;
    let mut members = Vec::new();
    let mut keys = HashSet::new();
    for (at, line) in content.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let member = member(line).and_then(|member| {
            let new = keys.insert(member.key.clone());
            if new { Ok(member) } else { Err(format!("{} stands there twice", member.key)) }
        });
        members.push(member.map_err(|text| Wrong { line: Some(at + 1), text })?);
    }
    if members.is_empty() {
        Err(Wrong { line: None, text: String::from("names no member") })
    } else {
        Ok(members)
    }
}

fn member(line: &str) -> Result<Member<Uri>, String> {
    let mut words = line.split_whitespace();
    let uri = words.next().unwrap_or_default();
    let uri = place::absolute(uri).ok_or_else(|| format!("{uri} is no uri with scheme and host"))?;
    let mut member = Member::new(uri);
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("{word} is no whole number from 0 on"));
        member = match word.split_once('=') {
            Some(("weight", text)) => member.weight(number(text)?),
            Some(("tier", text)) => member.tier(number(text)?),
            Some(("zone", zone)) if !zone.is_empty() => member.zone(zone),
            None if word == "draining" => member.draining(true),
            _ => return Err(format!("{word} is not known")),
        };
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(uri: &'static str) -> Uri {
        Uri::from_static(uri)
    }

    #[test]
    fn reads_members_with_all_that_is_said_of_them() {
        let content = "\u{feff}# the fleet\r\nhttp://10.0.0.1:8080 weight=2 tier=1 zone=eu-1 draining # ends today\r\n\n  \
                       http://[::1]:1\t# the last";
        let expected = vec![
            Member::new(uri("http://10.0.0.1:8080")).weight(2).tier(1).zone("eu-1").draining(true),
            Member::new(uri("http://[::1]:1")),
        ];
        assert_eq!(read(content.as_bytes()), Ok(expected));
    }

    #[test]
    fn one_wrong_line_makes_it_wrong_and_is_named() {
        for (line, what) in [
            ("10.0.0.1:8080", "10.0.0.1:8080 is no uri with scheme and host"),
            ("http://a:99999", "http://a:99999 is no uri with scheme and host"),
            ("http://a:0", "http://a:0 is no uri with scheme and host"),
            ("http://b weight=NaN", "weight=NaN is no whole number from 0 on"),
            ("http://b weight=-1", "weight=-1 is no whole number from 0 on"),
            ("http://b weight=4294967296", "weight=4294967296 is no whole number from 0 on"),
            ("http://b tier=", "tier= is no whole number from 0 on"),
            ("http://b zone=", "zone= is not known"),
            ("http://b drain", "drain is not known"),
            ("http://b http://c", "http://c is not known"),
            ("HTTP://GOOD", "http://GOOD/ stands there twice"),
        ] {
            let content = format!("# one\nhttp://good\n{line}\n");
            let wrong = read(content.as_bytes()).expect_err(line);
            assert_eq!((wrong.line, wrong.text.as_str()), (Some(3), what));
        }
        assert_eq!(read(b"http://a\nhttp://\xff\n").expect_err("no text").line, Some(2));
    }

    #[test]
    fn an_empty_file_names_nobody() {
        for content in ["", "\n\n", "# http://a\n"] {
            assert_eq!(read(content.as_bytes()).expect_err(content).line, None);
        }
    }
}
