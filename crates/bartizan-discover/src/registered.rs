use crate::agent::{Answer, encode};
use crate::course::{Course, Said};
use crate::error::BoxError;
use crate::{Error, Registration};
use bartizan_core::{Dice, Health};
use futures_util::future::{Either, select};
use http::{Method, StatusCode};
use std::fmt;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A registration that is kept up: heartbeats go to the agent at a third of the TTL, and an agent that has forgotten the service is
/// told again. It is made by [`Registration::start`].
///
/// [`leave`](Self::leave) takes it back. Dropped without that, the heartbeats end, the check becomes critical after its TTL, and the
/// agent forgets the service some time later.
pub struct Registered {
    id: String,
    health: watch::Sender<Health>,
    known: watch::Receiver<bool>,
    leave: Option<oneshot::Sender<oneshot::Sender<Result<(), Error>>>>,
    task: JoinHandle<()>,
}

impl Registered {
    pub(crate) fn start(mut registration: Registration) -> Self {
        registration.agent.time_out = registration.agent.time_out.min(registration.ttl / 3);
        let (health, is) = watch::channel(registration.health);
        let (knows, known) = watch::channel(false);
        let (leave, left) = oneshot::channel();
        let id = registration.id.clone();
        let task = tokio::spawn(Keeper { registration, is, knows, course: Course::default() }.keep(left));
        Self { id, health, known, leave: Some(leave), task }
    }

    /// The id of the instance.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Tells how the service is, at once: `Up` and `Unknown` pass the check, `Draining` makes it a warning, which gets no new calls,
    /// and `Down` makes it critical.
    pub fn set_health(&self, health: Health) {
        self.health.send_if_modified(|is| std::mem::replace(is, health) != health);
    }

    /// Whether the agent knows the service, as far as it has said.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    /// Waits until the agent knows the service.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any time.
    pub async fn known(&self) {
        // The other end lives in the task, which ends with this handle.
        let _ = self.known.clone().wait_for(|known| *known).await;
    }

    /// Takes the registration back. It is tried three times.
    ///
    /// # Errors
    ///
    /// If the agent does not confirm it. It forgets the service then in its own time.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it may have been taken back or not.
    pub async fn leave(mut self) -> Result<(), Error> {
        let gone = || Error::new(format!("registration {}", self.id), "its task has ended");
        let (reply, said) = oneshot::channel();
        self.leave.take().and_then(|leave| leave.send(reply).ok()).ok_or_else(gone)?;
        said.await.map_err(|_| gone())?
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, health, known) = (&self.id, *self.health.borrow(), self.is_known());
        f.debug_struct("Registered").field("id", id).field("health", &health).field("known", &known).finish()
    }
}

/// What runs in the task.
struct Keeper {
    registration: Registration,
    is: watch::Receiver<Health>,
    knows: watch::Sender<bool>,
    course: Course,
}

/// How often it is tried to leave, and the rest between two times.
const GOODBYES: u32 = 3;
const REST: Duration = Duration::from_millis(200);

impl Keeper {
    async fn keep(mut self, mut left: oneshot::Receiver<oneshot::Sender<Result<(), Error>>>) {
        let dice = Dice::new(None);
        loop {
            let is = *self.is.borrow_and_update();
            let said = if self.course.known() { self.beat(is).await } else { self.register(is).await };
            let wait = self.step(said, dice.unit());
            // It is asked to leave only between two exchanges: one that was cut off could reach the agent after the farewell.
            match self.rest(wait, &mut left).await {
                Some(Ok(reply)) => {
                    // Nobody listens if the handle is gone.
                    let _ = reply.send(self.leave().await);
                    return;
                }
                // The handle is gone.
                Some(Err(_)) => return,
                None => {}
            }
        }
    }

    /// Waits, for a change of health, or for what ends the registration, at most that long.
    async fn rest<T: Future + Unpin>(&mut self, wait: Duration, left: &mut T) -> Option<T::Output> {
        match timeout(wait, select(pin!(self.is.changed()), left)).await {
            Ok(Either::Right((left, _))) => Some(left),
            Ok(Either::Left(_)) | Err(_) => None,
        }
    }

    /// Hears what came of the last exchange, tells of it what is news, and returns how long to wait.
    fn step(&mut self, said: Result<Said, BoxError>, unit: f64) -> Duration {
        let (id, known) = (self.registration.id.as_str(), self.course.known());
        if let Err(cause) = &said {
            tracing::debug!(id, cause = %cause, "agent did not hear");
        }
        let wait = self.course.hear(said.unwrap_or(Said::Failed), self.registration.ttl / 3, unit);
        match (known, self.course.known()) {
            (false, true) => tracing::info!(id, "registered"),
            (true, false) => tracing::warn!(id, "forgotten by the agent, registers again"),
            _ => {}
        }
        self.knows
            .send_if_modified(|known| std::mem::replace(known, self.course.known()) != self.course.known());
        wait
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<Answer, BoxError> {
        self.registration.agent.send(Method::PUT, path, body, None).await
    }

    async fn register(&self, health: Health) -> Result<Said, BoxError> {
        let path = "/v1/agent/service/register?replace-existing-checks=true";
        judge(&self.put(path, self.registration.body(health)).await?)
    }

    async fn beat(&self, health: Health) -> Result<Said, BoxError> {
        let status = match health {
            Health::Up | Health::Unknown => "pass",
            Health::Draining => "warn",
            Health::Down => "fail",
        };
        let path =
            format!("/v1/agent/check/{status}/{}", encode(&format!("service:{}", self.registration.id)));
        judge(&self.put(&path, Vec::new()).await?)
    }

    async fn leave(&self) -> Result<(), Error> {
        let path = format!("/v1/agent/service/deregister/{}", encode(&self.registration.id));
        let mut tried = 1;
        loop {
            let cause = match self.put(&path, Vec::new()).await {
                // Who is not known has left.
                Ok(answer) if answer.status == StatusCode::OK || answer.status == StatusCode::NOT_FOUND => {
                    return Ok(());
                }
                Ok(answer) => answer.unexpected(),
                Err(cause) => cause,
            };
            if tried == GOODBYES {
                let of = format!("registration {}", self.registration.id);
                return Err(Error::new(of, "cannot be taken back").because(cause));
            }
            tried += 1;
            sleep(REST).await;
        }
    }
}

/// What an answer says. An agent that does not know a check says so by 404; those of old did by 500 and a text.
fn judge(answer: &Answer) -> Result<Said, BoxError> {
    let text = || String::from_utf8_lossy(&answer.body).to_lowercase();
    match answer.status {
        StatusCode::OK => Ok(Said::Done),
        StatusCode::NOT_FOUND => Ok(Said::Forgotten),
        StatusCode::INTERNAL_SERVER_ERROR
            if text().contains("unknown check") || text().contains("does not have associated ttl") =>
        {
            Ok(Said::Forgotten)
        }
        _ => Err(answer.unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_forgot_says_so_in_one_of_two_ways() {
        let said = |status, body: &str| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: http::HeaderMap::new(),
                body: body.into(),
            };
            judge(&answer).unwrap_or(Said::Failed)
        };
        assert_eq!(said(200, ""), Said::Done);
        assert_eq!(
            said(404, "Unknown check ID \"service:a\". Ensure that the check ID is passed"),
            Said::Forgotten
        );
        assert_eq!(said(500, "Unknown check \"service:a\""), Said::Forgotten);
        assert_eq!(said(500, "CheckID \"service:a\" does not have associated TTL"), Said::Forgotten);
        assert_eq!(
            [said(500, "No cluster leader"), said(403, "ACL not found"), said(301, "")],
            [Said::Failed; 3]
        );
    }
}
