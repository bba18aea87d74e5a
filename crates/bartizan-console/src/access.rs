use crate::caller::{is_cross_origin, is_cross_site, names_loopback};
use crate::problem::Problem;
use crate::token::Token;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};

/// No page of another origin can send it without being asked whether it may.
pub(crate) const WRITE: HeaderName = HeaderName::from_static("bartizan-console");

const FOREIGN_HOST: Problem = Problem::new(
    StatusCode::MISDIRECTED_REQUEST,
    "This console answers to loopback names alone. Console::any_host lets it answer to all.",
);
const FOREIGN_SITE: Problem =
    Problem::new(StatusCode::FORBIDDEN, "A page of another site may not read this.");
const FOREIGN_ORIGIN: Problem =
    Problem::new(StatusCode::FORBIDDEN, "No page but the console's own may write here.");
const READ_ONLY: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "This console is read, and not written. Console::writable lets it be written.",
);
const UNGUARDED: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "A console that answers to any host is written by those alone who know its token, and it has none. Console::token gives it one.",
);
const NO_TOKEN: Problem =
    Problem::new(StatusCode::UNAUTHORIZED, "The console's token is missing, or it is another.");
const NO_HEADER: Problem =
    Problem::new(StatusCode::FORBIDDEN, "Who writes says so with the header bartizan-console, of any value.");
const NO_JSON: Problem =
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "What is written is application/json.");

/// Who may see the console, who may read what it shows, and who may write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    pub(crate) any_host: bool,
    pub(crate) writable: bool,
    pub(crate) token: Option<Token>,
}

impl Access {
    /// Whether reading asks for the token, too. Under loopback names it is free.
    pub(crate) fn guards_reads(&self) -> bool {
        self.any_host && self.token.is_some()
    }

    /// Whether anything can be written at all.
    pub(crate) fn takes_writes(&self) -> bool {
        self.writable && !(self.any_host && self.token.is_none())
    }

    /// Lets in who may see the files of the page, which are the same everywhere.
    pub(crate) fn sees(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if !self.any_host && !names_loopback(uri, headers) {
            return Err(FOREIGN_HOST);
        }
        if is_cross_site(headers) { Err(FOREIGN_SITE) } else { Ok(()) }
    }

    /// Lets in who may read what the handles show, once it may [see](Self::sees).
    pub(crate) fn reads(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.guards_reads() { self.knows_token(headers) } else { Ok(()) }
    }

    /// Lets in who may write, once it may [read](Self::reads).
    pub(crate) fn writes(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if !self.writable {
            return Err(READ_ONLY);
        }
        if !self.takes_writes() {
            return Err(UNGUARDED);
        }
        if is_cross_origin(uri, headers) {
            return Err(FOREIGN_ORIGIN);
        }
        if !headers.contains_key(WRITE) {
            return Err(NO_HEADER);
        }
        if !is_json(headers) {
            return Err(NO_JSON);
        }
        self.knows_token(headers)
    }

    /// Whether the request knows the token, if there is one.
    fn knows_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut told = headers.get_all(AUTHORIZATION).iter();
        match (told.next(), told.next()) {
            (Some(told), None) if token.is_told_by(told.as_bytes()) => Ok(()),
            _ => Err(NO_TOKEN),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
