use super::exchange::Payload;
use super::kept::{self, Kept};
use super::{BoxError, ConfigServer, answer};
use crate::document::{check, expand};
use crate::file::runtime;
use crate::shared::{Origin, Shared, Told};
use crate::source::{Askers, Source};
use crate::tree::Node;
use crate::{Changes, PolicyError};
use bartizan_http::http::header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH};
use bartizan_http::http::{HeaderValue, Request, StatusCode, Uri};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::timeout;

/// The longest time between two questions of which none is answered, unless those that are answered are further apart.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// A server that is asked again and again.
struct Following {
    server: ConfigServer,
    /// Of the answer that holds.
    etag: Option<HeaderValue>,
    failures: u32,
    /// What was kept last, or why it was not.
    kept: Option<Result<Kept, String>>,
}

/// What a server answered.
struct Answer {
    etag: Option<HeaderValue>,
    body: Vec<u8>,
}

/// Asks a server for a policy, and from then on again and again in a task. Where it cannot be had, what was kept is taken.
pub(crate) async fn follow(shared: &Arc<Shared>, server: ConfigServer) -> Result<(), PolicyError> {
    let runtime = runtime("a config server can only be followed")?;
    let mut following = Following { server, etag: None, failures: 0, kept: None };
    if let Err(error) = following.ask(shared).await {
        following.take_kept(shared, error).await?;
    }
    let (source, askers) = Source::new();
    shared.add(source);
    runtime.spawn(following.on(Arc::downgrade(shared), askers));
    Ok(())
}

impl Following {
    /// Asks until the policy is gone.
    async fn on(mut self, shared: Weak<Shared>, mut askers: Askers) {
        loop {
            let Some(asking) = askers.wait(self.wait()).await else { return };
            let asked = self.request(true);
            let answered = self.exchange(asked).await;
            let Some(shared) = shared.upgrade() else { return };
            let told = self.hear(&shared, answered).await;
            asking.answer(&told);
        }
    }

    /// How long to wait before the next question.
    fn wait(&self) -> Duration {
        let ConfigServer { every, jitter, dice, .. } = &self.server;
        let rarer = every.saturating_mul(1 << self.failures.min(16));
        let wait = rarer.min(LONGEST_BACK_OFF.max(*every));
        wait.mul_f64(1.0 - jitter + 2.0 * jitter * dice.unit())
    }

    async fn ask(&mut self, shared: &Shared) -> Result<(), PolicyError> {
        let answered = self.exchange(self.request(false)).await;
        self.hear(shared, answered).await
    }

    /// Takes over what was answered.
    async fn hear(
        &mut self,
        shared: &Shared,
        answered: Result<Option<Answer>, BoxError>,
    ) -> Result<(), PolicyError> {
        match answered {
            Ok(None) => {
                self.failures = 0;
                shared.as_it_was();
                Ok(())
            }
            Ok(Some(answer)) => {
                self.failures = 0;
                let Answer { etag, body } = answer;
                // What is refused is asked for again, as the server may mend it under the same tag.
                let label = etag.as_ref().and_then(|etag| etag.to_str().ok()).map(str::to_owned);
                self.take(shared, &body, label.clone(), "")?;
                self.etag = etag;
                self.keep(label, body).await;
                Ok(())
            }
            Err(cause) => {
                self.failures = self.failures.saturating_add(1);
                let error = self.server.error(&format!("cannot be asked: {}", chain(&*cause))).because(cause);
                shared.unreachable(&error);
                Err(error)
            }
        }
    }

    /// Reads an answer and takes it over, or refuses it.
    fn take(
        &self,
        shared: &Shared,
        body: &[u8],
        etag: Option<String>,
        kept: &str,
    ) -> Result<Changes, PolicyError> {
        let mut label = etag;
        let read = answer::read(body, &self.server.prefix).and_then(|(mut root, version): (Node, _)| {
            label = version.or(label.take());
            expand(&mut root);
            check(&root)?;
            Ok(root)
        });
        let origin = Origin::Server(format!("{kept}config server {}", self.server.shown()).into());
        shared.take(read, Some(Told { origin, label }))
    }

    /// Takes over what was kept, or says why nothing could be had.
    async fn take_kept(&mut self, shared: &Shared, error: PolicyError) -> Result<(), PolicyError> {
        let Some(path) = &self.server.keep else { return Err(error) };
        let lost = |text: &str| {
            let message = format!("{}, and no last known good can be had: {text}", error.message());
            self.server.error(&message)
        };
        let Kept { etag, body, .. } =
            kept::load(path.clone(), self.server.shown()).await.map_err(|text| lost(&text))?;
        let taken = self.take(shared, body.as_bytes(), etag, "last known good of ");
        taken.map_err(|refused| lost(&refused.to_string()))?;
        tracing::warn!(policy = shared.name(), %error, "policy is the last known good, the server has none to offer");
        // Nor is it known to the server by its tag: what that has is taken as a whole, and is then no longer what was kept.
        Ok(())
    }

    /// Keeps an answer that was good, unless it is. It is told of once if that cannot be done, and tried again with each answer.
    async fn keep(&mut self, etag: Option<String>, body: Vec<u8>) {
        let (Some(path), Ok(body)) = (&self.server.keep, String::from_utf8(body)) else { return };
        let kept = Kept { from: self.server.shown(), etag, body };
        if self.kept.as_ref() == Some(&Ok(kept.clone())) {
            return;
        }
        match kept::store(path.clone(), kept.clone()).await {
            Ok(()) => self.kept = Some(Ok(kept)),
            Err(error) => {
                let told = Some(Err(error.to_string()));
                if self.kept != told {
                    tracing::warn!(path = %path.display(), %error, "policy cannot be kept");
                    self.kept = told;
                }
                // The whole answer has to come again, to be kept then.
                self.etag = None;
            }
        }
    }

    fn request(&self, known: bool) -> Result<Request<Payload>, BoxError> {
        let ConfigServer { base, path, authorization, .. } = &self.server;
        let mut parts = base.clone().into_parts();
        parts.path_and_query = Some(format!("{}{path}", base.path().trim_end_matches('/')).parse()?);
        let mut request = Request::new(Payload);
        *request.uri_mut() = Uri::from_parts(parts)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(etag) = self.etag.as_ref().filter(|_| known) {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        Ok(request)
    }

    /// Sends a request. `None`: what is known still holds.
    async fn exchange(
        &self,
        request: Result<Request<Payload>, BoxError>,
    ) -> Result<Option<Answer>, BoxError> {
        let request = request?;
        let asked = request.headers().contains_key(IF_NONE_MATCH);
        let time_out = self.server.time_out;
        let answered = timeout(time_out, self.server.client.exchange(request)).await;
        let answer = answered.map_err(|_| format!("no answer within {time_out:?}"))??;
        match answer.status() {
            StatusCode::OK => {
                let etag = answer.headers().get(ETAG).cloned();
                Ok(Some(Answer { etag, body: answer.into_body() }))
            }
            StatusCode::NOT_MODIFIED if asked => Ok(None),
            status => {
                let text = String::from_utf8_lossy(answer.body());
                let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                Err(format!("answered {status} {text}").trim_end().into())
            }
        }
    }
}

/// An error and all that is behind it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        // Some say what is behind them themselves.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_asked_ever_more_rarely() {
        let waits = |every: u64, jitter: f64| {
            let server = ConfigServer::new("http://a", "shop", "default");
            let server = server.every(Duration::from_secs(every)).jitter(jitter).seed(1);
            let mut following = Following { server, etag: None, failures: 0, kept: None };
            [0, 1, 2, 3, 9, u32::MAX].map(|failures| {
                following.failures = failures;
                following.wait()
            })
        };
        assert_eq!(waits(10, 0.0), [10, 20, 40, 60, 60, 60].map(Duration::from_secs));
        assert_eq!(waits(100, 0.0), [100; 6].map(Duration::from_secs));
        for (wait, exact) in waits(10, 0.1).into_iter().zip(waits(10, 0.0)) {
            assert!(wait != exact && wait.abs_diff(exact) <= exact / 10, "{wait:?}");
        }
    }
}
