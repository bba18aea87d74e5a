//! The grammar of `traceparent`: W3C Trace Context, level 2, §3.2.

use crate::ids::{SpanId, TraceId};

/// What a `traceparent` says.
pub(crate) type Parent = (TraceId, SpanId, u8);

/// Somebody may have recorded the caller's span.
pub(crate) const SAMPLED: u8 = 1;
/// The rightmost seven bytes of the trace's id are random.
const RANDOM: u8 = 2;

/// How many bytes a `traceparent` of version 00 has.
pub(crate) const LENGTH: usize = 55;

/// Reads a `traceparent`. One of a later version may be longer than ours, and its further flags are not ours to know.
pub(crate) fn parse(text: &[u8]) -> Option<Parent> {
    let (ours, more) = (text.get(..LENGTH)?, &text[LENGTH..]);
    if [2, 35, 52].iter().any(|&dash| ours[dash] != b'-') {
        return None;
    }
    match hex(&ours[..2])? {
        0 if !more.is_empty() => return None,
        0xff => return None,
        _ if more.first().is_some_and(|&byte| byte != b'-') => return None,
        _ => {}
    }
    let trace = TraceId::new(hex(&ours[3..35])?)?;
    let span = SpanId::new(hex(&ours[36..52])? as u64)?;
    let flags = hex(&ours[53..])? as u8;
    Some((trace, span, flags & (SAMPLED | RANDOM)))
}

/// Writes a `traceparent` of version 00.
pub(crate) fn write((trace, span, flags): Parent) -> [u8; LENGTH] {
    let mut text = *b"00-................................-................-..";
    digits(&mut text[3..35], trace.get());
    digits(&mut text[36..52], u128::from(span.get()));
    digits(&mut text[53..], u128::from(flags));
    text
}

/// Lower case alone, as the grammar has it.
fn hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number: u128, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

fn digits(text: &mut [u8], mut number: u128) {
    for place in text.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn flags(text: &str) -> Option<u8> {
        parse(text.as_bytes()).map(|(trace, span, flags)| {
            assert_eq!((trace.to_string().as_str(), span.to_string().as_str()), (TRACE, SPAN), "{text}");
            flags
        })
    }

    #[test]
    fn what_follows_the_grammar_is_read() {
        let good = |version: &str, rest: &str| flags(&format!("{version}-{TRACE}-{SPAN}-{rest}"));
        for (version, rest, flags) in [
            ("00", "00", 0),
            ("00", "01", 1),
            ("00", "03", 3),
            ("00", "ff", 3),
            ("01", "01", 1),
            ("cc", "01", 1),
            ("cc", "01-what-the-future-will-be-like", 1),
            ("cc", "01-", 1),
            ("fe", "09", 1),
        ] {
            assert_eq!(good(version, rest), Some(flags), "{version} {rest}");
        }
    }

    #[test]
    fn what_does_not_is_not() {
        let (zeros, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for text in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-1x"),
            format!("00-{TRACE}-{SPAN}-.1"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("FE-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("cc-{TRACE}-{SPAN}-0"),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}_01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("00-{TRACE}{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.replace('4', "g")),
            format!("00-{TRACE}-{SPAN}-٣"),
        ] {
            assert_eq!(flags(&text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        let written = parse(text.as_bytes()).map(write);
        assert_eq!(written.as_ref().map(<[u8; LENGTH]>::as_slice), Some(text.as_bytes()));
    }
}
