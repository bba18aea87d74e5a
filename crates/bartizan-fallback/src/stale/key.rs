use bartizan_http::Head;
use bartizan_http::http::header::HOST;
use bartizan_http::http::uri::Authority;
use bartizan_http::http::{HeaderValue, Method, Uri};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

/// What an answer is kept under: hashes of method, target and what the user adds, under secrets of the process.
///
/// 128 bits each: nobody can find two targets that are equal in them, and a key takes the same room whatever the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Path and query.
    path: [u64; 2],
    /// Authority, and what the user adds.
    select: [u64; 2],
    /// The authority alone, so that it can be looked for.
    place: u64,
    scheme: Scheme,
    is_head: bool,
}

/// A server sees none by HTTP/1, and one by HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    None,
    Http,
    Https,
    Other(u64),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let scheme = match self.scheme {
            Scheme::None => 0,
            Scheme::Http => 2,
            Scheme::Https => 4,
            Scheme::Other(hash) => hash,
        };
        state.write_u64(self.path[0] ^ self.select[0] ^ scheme ^ u64::from(self.is_head));
    }
}

/// Hands on what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = self.0.rotate_left(5) ^ hash;
    }
}

impl BuildHasher for AsItIs {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Key {
    /// The key of one variant of its answers.
    pub(crate) const fn varied(self, variant: u64) -> Self {
        if variant == 0 {
            return self;
        }
        // The secret is in both, so that nobody finds variants that are near to one another.
        let [one, two] = self.select;
        let mixed = (one ^ variant) as u128 * (two | 1) as u128;
        Self { select: [mixed as u64 ^ (mixed >> 64) as u64, two ^ variant], ..self }
    }

    /// The keys of the same target by both methods and all schemes.
    pub(crate) fn siblings(self) -> impl Iterator<Item = Self> {
        let schemes = [Scheme::None, Scheme::Http, Scheme::Https];
        let other = matches!(self.scheme, Scheme::Other(_)).then_some(self.scheme);
        let schemes = schemes.into_iter().chain(other);
        schemes.flat_map(move |scheme| [true, false].map(|is_head| Self { scheme, is_head, ..self }))
    }

    /// Whether both are of one target, whatever the user has added.
    pub(crate) fn has_target(&self, target: &Target) -> bool {
        self.path == target.path && target.place.is_none_or(|place| place == self.place)
    }

    /// The target, whatever the scheme.
    pub(crate) const fn target(&self) -> Target {
        Target { path: self.path, place: Some(self.place) }
    }

    /// One of so many.
    pub(crate) const fn bucket(&self, of: usize) -> usize {
        self.path[0] as usize % of
    }
}

/// A URI to look for, without its scheme; with an authority or for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    path: [u64; 2],
    place: Option<u64>,
}

impl Target {
    /// The bucket of its keys.
    pub(crate) const fn bucket(&self, of: usize) -> usize {
        self.path[0] as usize % of
    }
}

type Extra = dyn Fn(&Head<'_>, &mut dyn Hasher) + Send + Sync;

/// Makes keys, under two secrets.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    one: RandomState,
    two: RandomState,
    /// What the user adds.
    extra: Option<Arc<Extra>>,
}

impl Keys {
    pub(crate) fn add<T: Hash>(&mut self, key: impl Fn(&Head<'_>) -> T + Send + Sync + 'static) {
        self.extra = Some(Arc::new(move |head, mut hasher| key(head).hash(&mut hasher)));
    }

    /// Whether the user adds anything.
    pub(crate) const fn is_extended(&self) -> bool {
        self.extra.is_some()
    }

    /// The key of a request.
    pub(crate) fn key(&self, head: &Head<'_>) -> Key {
        self.with(head, self.extra.as_deref())
    }

    /// The key of a request without what the user adds.
    pub(crate) fn plain(&self, head: &Head<'_>) -> Key {
        self.with(head, None)
    }

    fn with(&self, head: &Head<'_>, extra: Option<&Extra>) -> Key {
        let mut hosts = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
        let authority = head.uri.authority().map(host_of).or_else(|| hosts.next()).unwrap_or_default();
        let mut select = self.hasher();
        lower_case(authority, &mut select);
        let place = select.finish();
        // Who answers may go by another name than the one that counts.
        for (place, other) in (1..=u8::MAX).zip(hosts) {
            if !other.eq_ignore_ascii_case(authority) {
                select.write_u8(place);
                lower_case(other, &mut select);
            }
        }
        if let Some(extra) = extra {
            select.write_u8(0);
            extra(head, &mut select);
        }
        Key {
            path: self.path(head.uri),
            select: select.both(),
            place,
            scheme: self.scheme(head.uri),
            is_head: head.method == Method::HEAD,
        }
    }

    /// The target that a URI names.
    pub(crate) fn target(&self, uri: &Uri) -> Target {
        let place = uri.authority().map(|authority| self.place(host_of(authority)));
        Target { path: self.path(uri), place }
    }

    fn scheme(&self, uri: &Uri) -> Scheme {
        match uri.scheme_str() {
            None => Scheme::None,
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(other) => Scheme::Other(self.one.hash_one(other)),
        }
    }

    fn path(&self, uri: &Uri) -> [u64; 2] {
        let mut hasher = self.hasher();
        let path = uri.path();
        hasher.write(if path.is_empty() { b"/" } else { path.as_bytes() });
        // No path has this byte.
        hasher.write_u8(b'?');
        uri.query().hash(&mut hasher);
        hasher.both()
    }

    fn place(&self, authority: &[u8]) -> u64 {
        let mut hasher = self.one.build_hasher();
        lower_case(authority, &mut hasher);
        hasher.finish()
    }

    fn hasher(&self) -> Twice<<RandomState as BuildHasher>::Hasher> {
        Twice(self.one.build_hasher(), self.two.build_hasher())
    }
}

/// An authority without the name and the password of a caller, which are no part of the target.
fn host_of(authority: &Authority) -> &[u8] {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host).as_bytes()
}

/// Names of hosts are the same in any case.
fn lower_case(authority: &[u8], hasher: &mut impl Hasher) {
    for part in authority.chunks(64) {
        let mut lower = [0; 64];
        let lower = &mut lower[..part.len()];
        lower.copy_from_slice(part);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
    hasher.write_usize(authority.len());
}

/// Two hashes of the same.
struct Twice<H>(H, H);

impl<H: Hasher> Twice<H> {
    fn both(&self) -> [u64; 2] {
        [self.0.finish(), self.1.finish()]
    }
}

impl<H: Hasher> Hasher for Twice<H> {
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("is_extended", &self.is_extended()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_http::http::Request;

    fn key(keys: &Keys, method: &str, uri: &str, host: &str) -> Key {
        let req = Request::builder().method(method).uri(uri).header(HOST, host).body(()).unwrap();
        keys.key(&Head::of(&req))
    }

    #[test]
    fn equal_targets_have_equal_keys() {
        let keys = Keys::default();
        for (one, other) in [
            (("GET", "/a?b", "h"), ("GET", "/a?b", "H")),
            (("GET", "http://H/a", "h"), ("GET", "http://ann:Secret@h/a", "H")),
            (("GET", "http://h", "x"), ("GET", "http://h/", "x")),
            (("PUT", "/a", "h"), ("GET", "/a", "h")),
        ] {
            assert_eq!(
                key(&keys, one.0, one.1, one.2),
                key(&keys, other.0, other.1, other.2),
                "{one:?} {other:?}"
            );
        }
        let all = [
            ("GET", "/a", "h"),
            ("HEAD", "/a", "h"),
            ("GET", "/a", "i"),
            ("GET", "/a?", "h"),
            ("GET", "/a?b", "h"),
            ("GET", "/a%3Fb", "h"),
            ("GET", "/A", "h"),
            ("GET", "/a/", "h"),
            ("GET", "http://h/a", "h"),
            ("GET", "https://h/a", "h"),
            ("GET", "http://h:8080/a", "h"),
            ("GET", "http://h/a", "i"),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(
                    key(&keys, one.0, one.1, one.2),
                    key(&keys, other.0, other.1, other.2),
                    "{one:?} {other:?}"
                );
            }
        }
        assert_ne!(
            key(&keys, "GET", "/", "h"),
            key(&Keys::default(), "GET", "/", "h"),
            "each has its own secrets"
        );
    }

    #[test]
    fn variants_are_spread() {
        let keys = Keys::default();
        let key = key(&keys, "GET", "/", "h");
        assert_eq!(key.varied(0), key);
        let hash = |variant| AsItIs::default().hash_one(key.varied(variant));
        // Anybody can find variants that are equal in most of their bits.
        let low: std::collections::HashSet<u64> = (0..1000).map(|n| hash(n << 40) % (1 << 20)).collect();
        assert!(low.len() > 900, "{}", low.len());
    }

    #[test]
    fn targets_are_found_whatever_was_added() {
        let mut keys = Keys::default();
        keys.add(|head| head.headers.get("x-tenant").cloned());
        let of = |tenant: &str| {
            let req = Request::builder().uri("http://h/a").header("x-tenant", tenant).body(()).unwrap();
            keys.key(&Head::of(&req))
        };
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
        for (uri, ought) in
            [("/a", true), ("http://H/a", true), ("https://h/a", true), ("http://i/a", false), ("/b", false)]
        {
            let target = keys.target(&uri.parse().unwrap());
            assert_eq!(of("1").has_target(&target), ought, "{uri}");
        }
        let siblings: Vec<Key> = of("1").siblings().collect();
        assert!(siblings.len() == 6 && siblings.contains(&of("1")));
        assert!(siblings.iter().all(|key| key.has_target(&of("2").target())));
    }
}
