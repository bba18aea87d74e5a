//! Where a request goes: the url that was given, below the base url where there is one.

use crate::Error;
use http::Uri;
use url::{ParseError, Position, Url};

/// Resolves what was given for a url.
pub(crate) fn resolve(base: Option<&Uri>, given: &str) -> Result<Url, Error> {
    match base {
        Some(base) if !is_full(given) => below(&parse(&base.to_string())?, given),
        _ => parse(given),
    }
}

const NO_BASE: &str = "it is relative, and there is no full `base_url` for it to be below";

fn is_full(given: &str) -> bool {
    let starts =
        |scheme: &str| given.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}

fn parse(given: &str) -> Result<Url, Error> {
    let url = Url::parse(given).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => invalid(NO_BASE),
        _ => invalid(error),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it holds a user name or a password, which are for `basic_auth`"));
    }
    Ok(url)
}

/// Appends a path to the path of the base. What is appended may come from anyone, and neither another host nor a
/// path beside the base's can be reached by it.
fn below(base: &Url, given: &str) -> Result<Url, Error> {
    let base = base[..Position::AfterPath].trim_end_matches('/');
    let slash = if given.is_empty() || given.starts_with(['?', '#']) { "" } else { "/" };
    let url = parse(&format!("{base}{slash}{}", given.trim_start_matches('/')))?;
    let rest = url[..Position::AfterPath].strip_prefix(base);
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        Ok(url)
    } else {
        Err(invalid("it leads out of the base url"))
    }
}

fn invalid(source: impl Into<crate::BoxError>) -> Error {
    Error::invalid("url", source)
}

/// The form in which a request carries its url.
pub(crate) fn to_uri(url: &Url) -> Result<Uri, Error> {
    url[..Position::AfterQuery].parse().map_err(|error: http::uri::InvalidUri| invalid(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn check(base: Option<&'static str>, given: &str, ought: Result<&str, &str>) {
        let base = base.map(Uri::from_static);
        let is = resolve(base.as_ref(), given).and_then(|url| to_uri(&url)).map(|uri| uri.to_string());
        match (is, ought) {
            (Ok(is), Ok(ought)) => assert_eq!(is, ought, "{given:?}"),
            (Err(is), Err(ought)) => assert_eq!(is.source().unwrap().to_string(), ought, "{given:?}"),
            (is, ought) => panic!("{given:?} is {is:?} and ought to be {ought:?}"),
        }
    }

    #[test]
    fn full_urls_are_taken_as_they_are_or_named_for_what_is_wrong() {
        for (given, ought) in [
            ("http://host", Ok("http://host/")),
            ("HTTPS://Host:8443/a b?c=é#d", Ok("https://host:8443/a%20b?c=%C3%A9")),
            ("http://[::1]:80/", Ok("http://[::1]/")),
            ("http://host/\r\nx-evil: 1", Ok("http://host/x-evil:%201")),
            ("", Err(NO_BASE)),
            ("/users", Err(NO_BASE)),
            ("http://", Err("empty host")),
            ("http://host:99999/", Err("invalid port number")),
            ("http://a b/", Err("invalid international domain name")),
            ("ftp://host/", Err("its scheme is neither http nor https")),
            ("file:///etc/passwd", Err("its scheme is neither http nor https")),
            ("localhost:80/x", Err("its scheme is neither http nor https")),
            (
                "http://user:secret@host/",
                Err("it holds a user name or a password, which are for `basic_auth`"),
            ),
        ] {
            check(None, given, ought);
        }
    }

    #[test]
    fn a_path_stays_below_the_base() {
        const OUT: &str = "it leads out of the base url";
        for (given, ought) in [
            ("users/7", Ok("http://host/api/users/7")),
            ("/users/7?x=1", Ok("http://host/api/users/7?x=1")),
            ("", Ok("http://host/api")),
            ("?x=1", Ok("http://host/api?x=1")),
            ("/", Ok("http://host/api/")),
            ("users/../admin", Ok("http://host/api/admin")),
            ("https://other/x", Ok("https://other/x")),
            ("//evil/x", Ok("http://host/api/evil/x")),
            ("\\\\evil\\x", Ok("http://host/api///evil/x")),
            ("@evil", Ok("http://host/api/@evil")),
            (" http://evil/x", Ok("http://host/api/%20http://evil/x")),
            ("user:7", Ok("http://host/api/user:7")),
            ("../admin", Err(OUT)),
            ("%2e%2e/admin", Err(OUT)),
            ("users/..\\..\\admin", Err(OUT)),
            ("../apis", Err(OUT)),
        ] {
            check(Some("http://host/api"), given, ought);
            check(Some("http://host/api/?base=query"), given, ought);
        }
        check(Some("http://host"), "users", Ok("http://host/users"));
        check(Some("/only/a/path"), "users", Err(NO_BASE));
    }
}
