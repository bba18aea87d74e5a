//! The token of the ops endpoint, kept where the commands find it.

use crate::parts::config::Config;
use crate::parts::failure::Failure;
use std::fs::{File, create_dir_all};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// In the data folder; written anew each time that the shop is opened.
pub const FILE: &str = "ops.token";

/// Writes the token down, for this user alone.
///
/// # Errors
///
/// When the file cannot be written.
pub fn keep(config: &Config) -> Result<(), Failure> {
    let file = config.data_dir.join(FILE);
    let failed = |why| Failure::new(format!("the token file {} cannot be written: {why}.", file.display()));
    create_dir_all(&config.data_dir).map_err(failed)?;
    // A new file, so that the mode is that of this one, whatever was there.
    let _ = std::fs::remove_file(&file);
    let opened = File::options().write(true).create_new(true).mode(0o600).open(&file);
    opened.and_then(|mut file| file.write_all(config.ops_token.as_bytes())).map_err(failed)
}

/// The token of the shop on this data folder: `SHOP_TOKEN`, or the one that was written down.
///
/// # Errors
///
/// When there is none.
pub fn find(config: &Config) -> Result<String, Failure> {
    if config.token_is_given {
        return Ok(config.ops_token.clone());
    }
    let file = config.data_dir.join(FILE);
    std::fs::read_to_string(&file).map_err(|why| {
        let file = file.display();
        Failure::new(format!(
            "no shop is open on this --data-dir, and SHOP_TOKEN is not set ({file}: {why})."
        ))
    })
}
