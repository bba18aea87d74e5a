//! The page in a real browser, without a window. It needs a Chromium, by the name of Debian's package.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod browser;
mod chromium;
mod scene;
