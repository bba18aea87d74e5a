//! Who asks from this machine.

use crate::parts::problem::Problem;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::HOST;
use http::{HeaderMap, StatusCode};

/// Answers to who has asked for this machine by a name of its own, so that no page of somebody else can have a
/// browser ask under a name that leads here.
pub async fn only(request: Request, next: Next) -> Result<Response, Problem> {
    if !request.uri().host().or_else(|| host(request.headers())).is_some_and(is_loopback) {
        let detail = "this answers to localhost and to loopback addresses alone";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", detail));
    }
    Ok(next.run(request).await)
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix(|c: char| c.is_ascii_digit()).map_or(host, |_| {
        host.rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
            .map_or(host, |(name, _)| name)
    });
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_few_names() {
        for host in ["localhost", "localhost:8088", "127.0.0.1", "127.0.0.1:8088", "[::1]", "[::1]:8088"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "example.org:8088",
            "localhost.example.org",
            "127.0.0.1.example.org:80",
            "127.0.0.1:80:80",
            "::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
