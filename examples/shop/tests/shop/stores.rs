//! The stores of a shop, for tests that look into them by themselves: files of its data folder, or a part of the server
//! of `SHOP_TEST_DATABASE_URL`.

#[path = "../../src/parts/store/scratch.rs"]
pub mod scratch;

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection};
use std::path::Path;

/// Those that are files wherever the others are.
const FILES: [&str; 2] = ["bus", "ops"];

/// The database of a folder's shop. It is waited for where nothing can be awaited.
pub fn database(folder: &Path) -> Option<String> {
    let folder = folder.to_owned();
    let created = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(scratch::database(&folder))
    });
    created.join().expect("the database can be created")
}

/// Whether the stores of services are files.
pub fn are_files() -> bool {
    scratch::server().is_none()
}

/// Connects to a store; a file is created when it is missing.
pub async fn connect(folder: &Path, store: &str) -> AnyConnection {
    install_default_drivers();
    let file = || format!("sqlite://{}?mode=rwc", folder.join(format!("{store}.db")).display());
    let database = if FILES.contains(&store) { None } else { scratch::database(folder).await };
    AnyConnection::connect(&database.unwrap_or_else(file)).await.unwrap()
}
