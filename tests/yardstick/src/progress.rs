//! What a person at a terminal sees.

use std::{
    env,
    fmt::Display,
    io::{Write, stdout},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Where `all` tells the process of an experiment which one of all it is.
pub(crate) const PLACE: &str = "YARDSTICK_PLACE";

/// A bar on the error stream that counts to `steps`; nothing where that is no terminal.
pub(crate) fn bar(message: impl Into<String>, steps: usize) -> ProgressBar {
    let place = env::var(PLACE).map_or_else(|_| String::new(), |place| format!("{place}  "));
    let style = ProgressStyle::with_template("{msg}  {wide_bar} {pos}/{len} {eta}")
        .expect("the template is well formed");
    ProgressBar::new(steps as u64).with_style(style).with_message(place + &message.into())
}

/// Prints to the standard output. A reader who has left is no error.
pub(crate) fn say(text: impl Display) {
    _ = writeln!(stdout(), "{text}");
}
