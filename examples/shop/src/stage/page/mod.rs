//! The page: it draws what the console tells at `/layers` and `/stream`, and ops at `/incidents` and `/traces`, and has nothing of its own. It is in the
//! program, asks nobody else for anything, and needs no build.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::HeaderName;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// Path, type and text of every file.
const FILES: [(&str, &str, &str); 12] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/chances.js", "text/javascript; charset=utf-8", include_str!("chances.js")),
    ("/elements.js", "text/javascript; charset=utf-8", include_str!("elements.js")),
    ("/verdict.js", "text/javascript; charset=utf-8", include_str!("verdict.js")),
    ("/load.js", "text/javascript; charset=utf-8", include_str!("load.js")),
    ("/protect.js", "text/javascript; charset=utf-8", include_str!("protect.js")),
    ("/incidents.js", "text/javascript; charset=utf-8", include_str!("incidents.js")),
    ("/traces.js", "text/javascript; charset=utf-8", include_str!("traces.js")),
    ("/endpoints.js", "text/javascript; charset=utf-8", include_str!("endpoints.js")),
    ("/icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

/// The browser is to take nothing from elsewhere, to run nothing that is written into the page, and to let nobody
/// frame it.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // The next version of the program has another page.
    (CACHE_CONTROL, "no-cache"),
];

/// The files of the page. The console's routes belong beside them.
pub fn routes() -> Router {
    FILES.into_iter().fold(Router::new(), |routes, (path, kind, text)| {
        let file = async move || (HEADERS, [(CONTENT_TYPE, kind)], text).into_response();
        routes.route(path, get(file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt;

    /// What a text refers to, between `before` and the next quote.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[tokio::test]
    async fn every_file_is_served_with_its_type_and_under_the_policy() {
        for (path, kind, text) in FILES {
            let answer = routes().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            assert_eq!(answer.headers()[CONTENT_TYPE], kind);
            for (name, value) in &HEADERS {
                assert_eq!(answer.headers()[name], value, "{path}");
            }
            assert_eq!(to_bytes(answer.into_body(), 1 << 20).await.unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn the_page_refers_to_nothing_outside() {
        /// The name of a language, and no place.
        const SVG: &str = "http://www.w3.org/2000/svg";
        for (path, _, text) in FILES {
            let text = text.replace(SVG, "");
            for outside in ["://", "\"//", "url(", "@import", "import("] {
                assert!(!text.contains(outside), "{path} has {outside}");
            }
        }
    }

    #[test]
    fn what_the_page_refers_to_is_there() {
        let [(_, _, html), _, (_, _, js), ..] = FILES;
        let imported = FILES.into_iter().flat_map(|(_, _, text)| quoted(text, "from \"./"));
        let named = quoted(html, "href=\"").chain(quoted(html, "src=\"")).chain(imported);
        let mut files: Vec<_> = FILES.iter().map(|(path, _, _)| path.trim_start_matches('/')).collect();
        files.extend(["layers", "console"]);
        let named: Vec<_> = named.collect();
        assert_eq!(named.len(), 25, "{named:?}");
        assert!(named.iter().all(|name| files.contains(name)), "{named:?}");
        // The script looks its places up by their ids.
        for id in quoted(js, "at(\"") {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }

    #[test]
    fn the_policy_stops_nothing_of_the_page() {
        let [(_, _, html), ..] = FILES;
        assert!(!html.contains("<script>") && !html.contains("<style") && !html.contains("style="));
        assert!(!html.contains(" on"), "a handler that is written into the page");
    }

    #[test]
    fn the_page_is_small() {
        assert!(FILES.iter().map(|(_, _, text)| text.len()).sum::<usize>() < 60_000);
    }
}
