//! The page: it draws what ops tells at `/stage`, the console at `/layers`, and knows nothing of its own. It is in the program, asks nobody
//! else for anything, and needs no build.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::HeaderName;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, type and text of every file.
const FILES: [(&str, &str, &str); 21] = [
    ("/", HTML, include_str!("index.html")),
    ("/page.js", JS, include_str!("page.js")),
    ("/page.css", CSS, include_str!("page.css")),
    ("/parts.css", CSS, include_str!("parts.css")),
    ("/drawer.css", CSS, include_str!("drawer.css")),
    ("/calls.js", JS, include_str!("calls.js")),
    ("/customers.js", JS, include_str!("customers.js")),
    ("/drawer.js", JS, include_str!("drawer.js")),
    ("/elements.js", JS, include_str!("elements.js")),
    ("/faults.js", JS, include_str!("faults.js")),
    ("/glyphs.js", JS, include_str!("glyphs.js")),
    ("/lists.js", JS, include_str!("lists.js")),
    ("/load.js", JS, include_str!("load.js")),
    ("/map.js", JS, include_str!("map.js")),
    ("/places.js", JS, include_str!("places.js")),
    ("/protect.js", JS, include_str!("protect.js")),
    ("/source.js", JS, include_str!("source.js")),
    ("/tables.js", JS, include_str!("tables.js")),
    ("/timeline.js", JS, include_str!("timeline.js")),
    ("/words.js", JS, include_str!("words.js")),
    ("/icon.svg", SVG, include_str!("icon.svg")),
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
        const LANGUAGE: &str = "http://www.w3.org/2000/svg";
        for (path, _, text) in FILES {
            let text = text.replace(LANGUAGE, "");
            for outside in ["://", "\"//", "url(", "@import", "import("] {
                assert!(!text.contains(outside), "{path} has {outside}");
            }
        }
    }

    #[test]
    fn what_the_page_refers_to_is_there() {
        let [(_, _, html), ..] = FILES;
        let imported = FILES.into_iter().flat_map(|(_, _, text)| {
            quoted(text, "from \"./").chain(quoted(text, "import \"./")).collect::<Vec<_>>()
        });
        let named: Vec<_> = quoted(html, "href=\"").chain(quoted(html, "src=\"")).chain(imported).collect();
        let files: Vec<_> = FILES.iter().map(|(path, _, _)| path.trim_start_matches('/')).collect();
        for name in &named {
            assert!(files.contains(name) || ["stage", "layers", "console"].contains(name), "{name}");
        }
        // None is there for nothing.
        for file in files.iter().filter(|file| !file.is_empty()) {
            assert!(named.contains(file), "{file}");
        }
    }

    /// The scripts look places up by their ids, and elements by their names.
    #[test]
    fn what_the_scripts_look_up_is_there() {
        let [(_, _, html), (_, _, page), ..] = FILES;
        let ids: Vec<_> = quoted(page, "at(\"").collect();
        assert!(ids.len() > 3, "{ids:?}");
        for id in ids.into_iter().chain(quoted(html, "aria-controls=\"")) {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
        let all: String = FILES.iter().map(|(_, _, text)| *text).collect();
        let defined: Vec<_> = quoted(&all, "customElements.define(\"").collect();
        assert!(defined.len() > 10, "{defined:?}");
        for name in defined {
            assert!(html.contains(&format!("</{name}>")), "{name}");
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
        assert!(FILES.iter().map(|(_, _, text)| text.len()).sum::<usize>() < 150_000);
    }

    /// A light's red, green and blue, as a colour-blind eye sees it: by Machado, Oliveira and Fernandes (2009), wholly blind to one of them.
    const EYES: [(&str, [[f64; 3]; 3]); 3] = [
        (
            "protan",
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
        ),
        (
            "deutan",
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
        ),
        ("whole", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ];

    /// The outcomes that are told apart by colour; who rests has no more than a frame.
    const OUTCOMES: [&str; 8] = ["ok", "stale", "pending", "retried", "hedged", "shed", "failed", "slow"];

    /// A colour of the style sheet as light: `#0072b2`, or `#fff`.
    fn light(hex: &str) -> [f64; 3] {
        let wide = hex.len() == 6;
        [0, 1, 2].map(|n| {
            let digits = if wide { hex[2 * n..2 * n + 2].to_owned() } else { hex[n..n + 1].repeat(2) };
            let value = f64::from(u8::from_str_radix(&digits, 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(matrix: &[[f64; 3]; 3], [r, g, b]: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| (row[0] * r + row[1] * g + row[2] * b).clamp(0.0, 1.0))
    }

    /// Where a light is in Oklab, in which distances are as large as they look.
    fn oklab([r, g, b]: [f64; 3]) -> [f64; 3] {
        let l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b).cbrt();
        let m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b).cbrt();
        let s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b).cbrt();
        [
            0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
        ]
    }

    /// By day and by night.
    fn palettes() -> [impl Fn(&str) -> [f64; 3]; 2] {
        let css = FILES.iter().find(|(path, _, _)| *path == "/parts.css").unwrap().2;
        let (day, rest) = css.split_once("@media (prefers-color-scheme: dark)").unwrap();
        [day, rest].map(|first| {
            move |name: &str| {
                let named = |text: &'static str| {
                    let (_, after) = text.split_once(&format!("--{name}: #"))?;
                    after.split(';').next()
                };
                light(named(first).or_else(|| named(day)).unwrap())
            }
        })
    }

    #[test]
    fn the_colour_blind_tell_the_outcomes_apart() {
        for (nth, colour) in palettes().into_iter().enumerate() {
            for (eye, matrix) in &EYES {
                for (n, one) in OUTCOMES.iter().enumerate() {
                    for other in &OUTCOMES[n + 1..] {
                        let [a, b] = [one, other].map(|name| oklab(times(matrix, colour(name))));
                        let apart = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                        assert!(
                            apart > 0.09,
                            "{one} and {other} are {apart:.3} apart to {eye} in palette {nth}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_glyph_is_seen_on_its_colour_and_is_another_than_the_rest() {
        let seen = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        for colour in palettes() {
            for name in OUTCOMES {
                let (below, ink) = (seen(colour(name)), seen(colour(&format!("on-{name}"))));
                let contrast = (below.max(ink) + 0.05) / (below.min(ink) + 0.05);
                assert!(contrast >= 4.5, "{name}: {contrast:.2}");
            }
        }
        let script = FILES.iter().find(|(path, _, _)| *path == "/glyphs.js").unwrap().2;
        let (_, paths) = script.split_once("const PATHS").unwrap();
        let path = |name: &str| {
            let (_, after) = paths.split_once(&format!("  {name}: \"")).unwrap();
            after.split('"').next().unwrap()
        };
        let mut glyphs = OUTCOMES.map(path).to_vec();
        glyphs.sort_unstable();
        glyphs.dedup();
        assert_eq!(glyphs.len(), OUTCOMES.len());
    }
}
