//! Where a store is: a file of the data folder, or a database on a server.

use super::super::config::{Config, Name, set};
use super::super::failure::Failure;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use url::Url;

/// Names a database for all stores that have none of their own.
pub const DATABASE: &str = "DATABASE_URL";

/// Whose SQL is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Sqlite,
    Postgres,
    /// MariaDB as well.
    MySql,
}

/// The databases that the environment names. Each store may have one of its own: `ORDER_DATABASE_URL`.
#[derive(Clone, Debug, Default)]
pub struct Databases(BTreeMap<&'static str, Server>);

/// A database on a server. Its password is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Server {
    url: Url,
    kind: Kind,
    variable: String,
}

/// Where a store is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    File(PathBuf),
    Server(Server),
}

impl Place {
    /// The place of a service's store: `<NAME>_DATABASE_URL`, else `DATABASE_URL`, else `<data_dir>/<name>.db`.
    pub fn of(config: &Config, name: &str) -> Self {
        match config.databases.0.get(name) {
            Some(server) => Self::Server(server.clone()),
            None => Self::file(&config.data_dir, name),
        }
    }

    /// `<folder>/<name>.db`
    pub fn file(folder: &Path, name: &str) -> Self {
        Self::File(folder.join(format!("{name}.db")))
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::Sqlite,
            Self::Server(server) => server.kind,
        }
    }

    /// What it is connected to by, password and all; a file is created when it is missing.
    ///
    /// # Errors
    ///
    /// When the file has no absolute path.
    pub fn url(&self) -> std::io::Result<String> {
        match self {
            Self::File(file) => Ok(format!("sqlite://{}?mode=rwc", escape(&std::path::absolute(file)?))),
            Self::Server(server) => Ok(server.url.to_string()),
        }
    }
}

/// For a person: without the password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}")?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{} of {}", self.url.path(), self.variable)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Databases {
    /// What `DATABASE_URL` and `<NAME>_DATABASE_URL` say.
    ///
    /// # Errors
    ///
    /// When one of them is no URL of a database; the sentence names the variable, and no password.
    pub fn from_env() -> Result<Self, Failure> {
        let all = set(DATABASE)?.map(|url| server(DATABASE.into(), &url)).transpose()?;
        let mut databases = BTreeMap::new();
        for name in Name::stores() {
            let variable = format!("{}_{DATABASE}", name.to_uppercase());
            let own = set(&variable)?.map(|url| server(variable, &url)).transpose()?;
            databases.extend(own.or_else(|| all.clone()).map(|server| (name, server)));
        }
        Ok(Self(databases))
    }

    /// One database for all stores.
    #[cfg(test)]
    pub fn all(url: &str) -> Self {
        let server = server(DATABASE.into(), url).unwrap();
        Self(Name::stores().map(|name| (name, server.clone())).collect())
    }
}

/// The database of a variable. What is wrong with it is said without it: it holds a password.
fn server(variable: String, url: &str) -> Result<Server, Failure> {
    let like =
        "like postgres://user:password@127.0.0.1:5432/shop or mysql://user:password@127.0.0.1:3306/shop";
    let url = Url::parse(url.trim())
        .map_err(|why| Failure::new(format!("{variable} must be {like}, and is no URL: {why}.")))?;
    let kind = match url.scheme() {
        "postgres" | "postgresql" => Kind::Postgres,
        "mysql" | "mariadb" => Kind::MySql,
        scheme => {
            return Err(Failure::new(format!("{variable} must be {like}; nothing here speaks {scheme:?}.")));
        }
    };
    if url.host_str().is_none_or(str::is_empty) || url.path().len() < 2 {
        return Err(Failure::new(format!("{variable} must be {like}, and names no host or no database.")));
    }
    let (server, feature, is_built) = match kind {
        Kind::Sqlite | Kind::Postgres => ("a PostgreSQL", "postgres", cfg!(feature = "postgres")),
        Kind::MySql => ("a MySQL", "mysql", cfg!(feature = "mysql")),
    };
    match is_built {
        true => Ok(Server { url, kind, variable }),
        false => Err(Failure::left_out(&variable, server, feature)),
    }
}

/// A path as part of a URL.
pub fn escape(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(feature = "mysql", feature = "postgres"))]
    #[test]
    fn a_database_is_named_without_its_password() {
        let here = server("ORDER_DATABASE_URL".into(), "postgres://shop:s3cret@127.0.0.1:5432/shop?a=s3cret");
        let place = Place::Server(here.unwrap());
        assert_eq!(place.to_string(), "postgres://127.0.0.1:5432/shop of ORDER_DATABASE_URL");
        assert!(!format!("{place:?}").contains("s3cret") && place.url().unwrap().contains("s3cret"));
        assert_eq!(place.kind(), Kind::Postgres);
        let there = server(DATABASE.into(), " mariadb://127.0.0.1/shop\n").unwrap();
        assert_eq!(
            (there.kind, there.to_string().as_str()),
            (Kind::MySql, "mariadb://127.0.0.1/shop of DATABASE_URL")
        );
    }

    #[test]
    fn what_is_no_database_is_said_without_its_password() {
        for (url, says) in [
            ("s3cret", "is no URL"),
            ("postgres://shop:s3cret@127.0.0.1:99999/shop", "invalid port"),
            ("oracle://shop:s3cret@127.0.0.1/shop", "nothing here speaks \"oracle\""),
            ("sqlite:///s3cret.db", "nothing here speaks \"sqlite\""),
            ("postgres://shop:s3cret@127.0.0.1", "names no host or no database"),
            ("mysql:///s3cret", "names no host or no database"),
        ] {
            let failure = server("MAIL_DATABASE_URL".into(), url).unwrap_err().to_string();
            assert!(failure.starts_with("MAIL_DATABASE_URL must be like postgres://"), "{failure}");
            assert!(failure.contains(says) && !failure.contains("s3cret"), "{url}: {failure}");
        }
    }
}
