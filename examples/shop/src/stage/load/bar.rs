//! What somebody at a terminal sees while it lasts.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr, stdout};

/// A bar on the error stream; nothing at all unless both streams are terminals.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(wanted: bool) -> Self {
        let seen = wanted && stdout().is_terminal() && stderr().is_terminal();
        let bar = if seen { ProgressBar::new(1) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg}  {wide_bar} {percent:>3} %");
        Self(bar.with_style(style.expect("the template is well formed")))
    }

    pub(super) fn begin(&self, length: u64, message: &'static str) {
        self.0.set_message(message);
        self.0.set_position(0);
        self.0.set_length(length);
    }

    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    pub(super) fn show(&self, position: u64, message: String) {
        self.0.set_position(position);
        self.0.set_message(message);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// A failure's sentence stands alone.
impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
