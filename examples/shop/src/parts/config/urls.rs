//! URLs of variables.

use super::super::failure::Failure;
use super::super::tls::{TLS, Tls};
use super::{CONSUL, Name, set};
use http::uri::Authority;
use std::path::PathBuf;

/// `<SERVICE>_URL`: one, or several with commas between them.
pub(super) fn named(service: Name) -> Result<Option<Vec<String>>, Failure> {
    let name = format!("{}_URL", service.as_str().to_uppercase());
    set(&name)?.map(|urls| urls.split(',').map(|url| checked(&name, url)).collect()).transpose()
}

/// `CONSUL_HTTP_ADDR`, which may leave the scheme out.
pub(super) fn consul(address: &str) -> Result<String, Failure> {
    match address.contains("://") {
        true => checked(CONSUL, address),
        false => checked(CONSUL, &format!("http://{}", address.trim())),
    }
}

/// The URL of a variable, without a slash at its end.
pub(super) fn checked(name: &str, url: &str) -> Result<String, Failure> {
    let url = url.trim();
    let plain = url.strip_suffix('/').unwrap_or(url);
    let authority = plain.strip_prefix("http://").or_else(|| plain.strip_prefix("https://"));
    let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
    let fits = authority.is_some_and(|authority| {
        let host = authority.host();
        // It may hold a user and a password as well, or a port that is none.
        let whole = match authority.port_u16() {
            Some(0) => return false,
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        !host.is_empty() && authority.as_str() == whole
    });
    if !fits {
        return Err(Failure::new(format!("{name} must be like http://127.0.0.1:8081, not {url:?}.")));
    }
    Ok(plain.to_owned())
}

/// The path of a `file://` URL.
pub(super) fn file(name: &str, url: &str) -> Result<PathBuf, Failure> {
    let path = url.strip_prefix("file://").filter(|path| path.starts_with('/') && !path.ends_with('/'));
    path.map(PathBuf::from).ok_or_else(|| {
        Failure::new(format!("{name} must be like file:///etc/shop/policy.toml, not {url:?}."))
    })
}

/// Whether the URL of a variable can be asked: by https only if it is known whom to trust.
pub(super) fn spoken(name: &str, url: &str, tls: &Tls) -> Result<(), Failure> {
    match url.starts_with("https:") && !tls.is_on() {
        true => Err(Failure::new(format!(
            "{name} {url} cannot be asked without {TLS}=1 and a SHOP_TLS_CA that has signed for it."
        ))),
        false => Ok(()),
    }
}
