use std::path::Path;

/// How a policy is written down. Both say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.
    Toml,
    /// JSON.
    Json,
}

impl Format {
    /// The format of a file by its extension: JSON for `.json`, else TOML.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            Self::Json
        } else {
            Self::Toml
        }
    }
}
