//! A progress bar on a terminal, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the terminal's error stream that counts to `steps`.
pub(crate) fn bar(message: impl Into<String>, steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}  {wide_bar} {pos}/{len} {eta}")
        .expect("the template is well formed");
    ProgressBar::new(steps as u64).with_style(style).with_message(message.into())
}
