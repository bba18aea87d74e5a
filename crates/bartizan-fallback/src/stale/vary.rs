use super::fields::{copy_name, copy_value};
use bartizan_http::http::header::VARY;
use bartizan_http::http::{HeaderMap, HeaderName, HeaderValue};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The fields of a request that an answer depends on (RFC 9111 §4.1), with the values that they had.
#[derive(Debug, Default)]
pub(crate) struct Vary(Box<[(HeaderName, Box<[HeaderValue]>)]>);

/// An answer that depends on more fields is not kept.
const MOST: usize = 16;

impl Vary {
    /// `None` if no other request can be known to be equal: for `*`, and what cannot be read.
    pub(crate) fn of(answer: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let mut fields: Vec<(HeaderName, Box<[HeaderValue]>)> = Vec::new();
        for value in answer.get_all(VARY) {
            for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if token.is_empty() {
                    continue;
                }
                // `*` is no name.
                let name = HeaderName::from_bytes(token).ok().filter(|_| token != b"*")?;
                if fields.iter().any(|(known, _)| *known == name) {
                    continue;
                }
                if fields.len() == MOST {
                    return None;
                }
                let values = request.get_all(&name).iter().map(copy_value).collect();
                fields.push((copy_name(&name), values));
            }
        }
        Some(Self(fields.into()))
    }

    /// Whether the answer is one to such a request as well.
    pub(crate) fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, values)| request.get_all(name).iter().eq(values.iter()))
    }

    /// A number that is the same for requests that match the same answers; zero if all do.
    pub(crate) fn variant(&self, request: &HeaderMap) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        // Without a secret: who finds two that are equal has one of them wait for nothing.
        let mut hasher = DefaultHasher::new();
        for (name, _) in &self.0 {
            for value in request.get_all(name) {
                value.hash(&mut hasher);
            }
            hasher.write_u8(0);
        }
        hasher.finish()
    }

    /// Whether both depend on the same, so that one takes the place of the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// How many bytes it takes, about.
    pub(crate) fn weight(&self) -> usize {
        let values = |values: &[HeaderValue]| -> usize {
            values.iter().map(|value| size_of::<HeaderValue>() + value.len()).sum()
        };
        let field = |(name, of): &(HeaderName, Box<[HeaderValue]>)| 64 + name.as_str().len() + values(of);
        self.0.iter().map(field).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::map;
    use super::*;

    #[test]
    fn only_equal_requests_match() {
        let german = map(&[("accept-language", "de"), ("x", "1")]);
        let vary =
            Vary::of(&map(&[("vary", "Accept-Language, accept,"), ("vary", "accept")]), &german).unwrap();
        assert!(vary.matches(&german));
        assert!(vary.matches(&map(&[("accept-language", "de")])));
        for other in [
            &[][..],
            &[("accept-language", "en")],
            &[("accept-language", "de"), ("accept-language", "en")],
            &[("accept-language", "de"), ("accept", "x")],
            &[("accept-language", "de"), ("accept", "")],
        ] {
            assert!(!vary.matches(&map(other)), "{other:?}");
        }
        assert!(Vary::of(&map(&[]), &german).unwrap().matches(&map(&[])));
        let of = |language| vary.variant(&map(&[("accept-language", language), ("x", language)]));
        assert_eq!(of("de"), vary.variant(&german));
        assert_ne!(of("de"), of("en"));
        assert_eq!(Vary::default().variant(&german), 0);
    }

    #[test]
    fn what_nobody_can_know_matches_nothing() {
        for vary in [
            &[("vary", "*")][..],
            &[("vary", "accept"), ("vary", "x, *")],
            &[("vary", "a b")],
            &[("vary", "é")],
        ] {
            let value = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            };
            let headers = vary.iter().map(value).collect();
            assert!(Vary::of(&headers, &map(&[])).is_none(), "{vary:?}");
        }
        let many: String = (0..17).map(|n| format!("x-{n},")).collect();
        let headers = [(VARY, HeaderValue::from_str(&many).unwrap())].into_iter().collect();
        assert!(Vary::of(&headers, &map(&[])).is_none());
    }
}
