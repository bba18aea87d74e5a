//! Databases for tests. It knows nothing of the shop, so that tests from outside can have it as well.

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Names a server on which tests may create databases, Postgres or MySQL. They use files where it is not set.
const SERVER: &str = "SHOP_TEST_DATABASE_URL";

pub fn server() -> Option<String> {
    std::env::var(SERVER).ok().filter(|url| !url.is_empty())
}

/// The database of a data folder on the server of `SHOP_TEST_DATABASE_URL`, created when it is missing. On Postgres it
/// is a schema, which costs less.
pub async fn database(folder: &Path) -> Option<String> {
    let server = server()?;
    let mut hasher = DefaultHasher::new();
    std::path::absolute(folder).unwrap().hash(&mut hasher);
    let name = format!("shop_{:016x}", hasher.finish());
    install_default_drivers();
    let mut connection = AnyConnection::connect(&server).await.unwrap();
    let kind = if server.starts_with("postgres") { "SCHEMA" } else { "DATABASE" };
    let create = AssertSqlSafe(format!("CREATE {kind} IF NOT EXISTS {name}"));
    // Somebody else may create it at this moment.
    let _ = sqlx::raw_sql(create).execute(&mut connection).await;
    connection.close().await.unwrap();
    Some(match kind {
        "SCHEMA" => {
            let joint = if server.contains('?') { '&' } else { '?' };
            format!("{server}{joint}options[search_path]={name}")
        }
        _ => {
            let (scheme, rest) = server.split_once("://").unwrap();
            format!("{scheme}://{}/{name}", rest.split('/').next().unwrap_or_default())
        }
    })
}
