//! The live page. It is in the program, asks nobody else for anything, and needs no build.

use crate::Console;
use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and text of every file. The folder of the page is named like it, so that its references are the same wherever it is nested.
const FILES: [(&str, &str, &str); 12] = [
    ("/console", HTML, include_str!("page/index.html")),
    ("/console/page.css", STYLE, include_str!("page/page.css")),
    ("/console/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/console/page.js", SCRIPT, include_str!("page/page.js")),
    ("/console/source.js", SCRIPT, include_str!("page/source.js")),
    ("/console/series.js", SCRIPT, include_str!("page/series.js")),
    ("/console/mind.js", SCRIPT, include_str!("page/mind.js")),
    ("/console/words.js", SCRIPT, include_str!("page/words.js")),
    ("/console/elements.js", SCRIPT, include_str!("page/elements.js")),
    ("/console/card.js", SCRIPT, include_str!("page/card.js")),
    ("/console/controls.js", SCRIPT, include_str!("page/controls.js")),
    ("/console/events.js", SCRIPT, include_str!("page/events.js")),
];

/// The browser takes nothing from elsewhere, runs nothing that is written into the page, and lets nobody frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 2] =
    [(CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer")];

/// The files of the page.
pub(crate) fn routes() -> Router<Console> {
    FILES.into_iter().fold(Router::new(), |routes, (path, kind, text)| {
        routes.route(path, get(async move || (HEADERS, [(CONTENT_TYPE, kind)], text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text refers to, between `before` and the next quote.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[test]
    fn the_page_refers_to_nothing_outside() {
        /// The name of a language, and no place.
        const SVG: &str = "http://www.w3.org/2000/svg";
        for (path, _, text) in FILES {
            let text = text.replace(SVG, "");
            for outside in ["://", "\"//", "url(", "@import", "import(", "eval(", "innerHTML", "Storage"] {
                assert!(!text.contains(outside), "{path} has {outside}");
            }
        }
    }

    #[test]
    fn what_the_page_refers_to_is_there() {
        let html = FILES[0].2;
        let imported = FILES.into_iter().flat_map(|(_, _, text)| quoted(text, "from \"./"));
        let named: Vec<_> = quoted(html, "=\"console/").chain(imported).collect();
        let files: Vec<_> = FILES.iter().filter_map(|(path, ..)| path.strip_prefix("/console/")).collect();
        assert!(named.iter().all(|name| files.contains(name)), "{named:?}");
        assert!(files.iter().all(|file| named.contains(file)), "a file that nobody asks for: {files:?}");
        // The scripts look their places up by their ids.
        for id in FILES.into_iter().flat_map(|(_, _, text)| quoted(text, "at(\"")) {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }

    #[test]
    fn the_policy_stops_nothing_of_the_page() {
        let html = FILES[0].2;
        assert!(!html.contains("<script>") && !html.contains("<style") && !html.contains("style="));
        assert!(!html.contains(" on"), "a handler that is written into the page");
    }

    #[test]
    fn the_page_is_small() {
        assert!(FILES.iter().map(|(_, _, text)| text.len()).sum::<usize>() < 100_000);
    }
}
