use super::{Probe, Probing, beside, connect};
use crate::error::BoxError;
use bartizan_core::Health;
use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Uri, Version};
use std::sync::{Arc, Once};

/// A probe that asks by gRPC's health protocol, `grpc.health.v1.Health/Check`, over a connection of its own for each heartbeat.
///
/// | the server says | so it is |
/// |---|---|
/// | `SERVING` | up |
/// | `NOT_SERVING` | draining: servers say so before they leave |
/// | `SERVICE_UNKNOWN`, `UNKNOWN`, or the status `NOT_FOUND` | down: the service is not there, or not yet |
/// | the status `UNIMPLEMENTED` | up: it lives, and does not speak of its health |
/// | anything else, or nothing | down |
///
/// It speaks HTTP/2 without TLS. Members of `https` are not asked, and stay unknown: ask those by a function of your own.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// The message that asks.
    question: Bytes,
    warned: Arc<Once>,
}

/// No answer of the health protocol is as long.
const LONGEST: usize = 1 << 16;

impl Grpc {
    /// Creates a probe that asks for a service, such as `shop.Payments`. An empty name asks for the server as a whole.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self { question: question(name), warned: Arc::new(Once::new()) }
    }
}

impl Probe for Grpc {
    fn probe(&self, member: Uri) -> Probing {
        let question = self.question.clone();
        if member.scheme() == Some(&Scheme::HTTPS) {
            self.warned.call_once(|| tracing::warn!(%member, "gRPC heartbeats speak no TLS"));
            return Box::pin(async { Ok(Health::Unknown) });
        }
        Box::pin(async move {
            let stream = connect(&member).await?;
            let (client, connection) = h2::client::handshake(stream).await?;
            let said = beside(connection, check(client, &member, question)).await?;
            judge(&said)
        })
    }
}

/// What a server says: its message, if there is one, and the status.
struct Said {
    message: BytesMut,
    status: Option<String>,
}

async fn check(client: SendRequest<Bytes>, member: &Uri, question: Bytes) -> Result<Said, BoxError> {
    let mut client = client.ready().await?;
    let authority = member.authority().map_or("", |authority| authority.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut body) = client.send_request(request, false)?;
    body.send_data(question, true)?;
    let answer = answer.await?;
    if answer.status() != http::StatusCode::OK {
        return Err(format!("answered {}", answer.status()).into());
    }
    let early = status(answer.headers());
    let mut body = answer.into_body();
    let mut message = BytesMut::new();
    while let Some(data) = body.data().await {
        message.put(data?);
        if message.len() > LONGEST {
            return Err("answered more than a health".into());
        }
    }
    let late = body.trailers().await?;
    Ok(Said { message, status: late.as_ref().and_then(status).or(early) })
}

fn status(headers: &HeaderMap) -> Option<String> {
    Some(String::from_utf8_lossy(headers.get("grpc-status")?.as_bytes()).into_owned())
}

/// `UNIMPLEMENTED`, as it stands in a header.
const UNIMPLEMENTED: &str = "12";

fn judge(said: &Said) -> Result<Health, BoxError> {
    match said.status.as_deref() {
        Some("0") => {}
        Some(UNIMPLEMENTED) => return Ok(Health::Up),
        Some(status) => return Err(format!("answered with gRPC status {status}").into()),
        None => return Err("answered without a gRPC status".into()),
    }
    match serving(&said.message) {
        Some(1) => Ok(Health::Up),
        Some(2) => Ok(Health::Draining),
        Some(3) => Err("does not know the service".into()),
        Some(_) => Err("does not know its health".into()),
        None => Err("answered no health".into()),
    }
}

/// `HealthCheckRequest` in its frame: field 1 is the service's name.
fn question(name: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !name.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, name.len() as u64);
        message.put(name.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put(message);
    frame.freeze()
}

fn put_varint(to: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        to.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.put_u8(number as u8);
}

/// `HealthCheckResponse` out of its frame: field 1 is the status, and zero is not written. None: it is no such message.
fn serving(frame: &[u8]) -> Option<u64> {
    let (head, mut message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head.get(1..)?.try_into().ok()?);
    if head.first() != Some(&0) || message.len() != usize::try_from(length).ok()? {
        return None;
    }
    let mut found = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => found = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(message: &[u8]) -> Option<u64> {
        let mut frame = vec![0, 0, 0, 0, message.len() as u8];
        frame.extend_from_slice(message);
        serving(&frame)
    }

    #[test]
    fn asks_by_the_service_name() {
        assert_eq!(&question("")[..], [0; 5]);
        assert_eq!(&question("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(&question(&"x".repeat(300))[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn reads_the_status_and_steps_over_the_rest() {
        assert_eq!(answer(&[]), Some(0));
        assert_eq!(answer(&[8, 1]), Some(1));
        assert_eq!(
            answer(&[16, 5, 0x1a, 2, 1, 2, 0x25, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0, 0, 0, 0, 8, 2]),
            Some(2)
        );
        assert_eq!(answer(&[8, 0xff, 1]), Some(255));
    }

    #[test]
    fn what_is_no_message_is_no_health() {
        let broken: [&[u8]; 6] = [&[8], &[8, 0x80], &[8, 1, 0x1a, 9, 1], &[0x0b], &[0x29, 1], &[0xff; 11]];
        for message in broken {
            assert_eq!(answer(message), None, "{message:?}");
        }
        for frame in
            [&b""[..], &[0, 0, 0], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 9, 8, 1], &[0, 0, 0, 0, 2, 8, 1, 8]]
        {
            assert_eq!(serving(frame), None, "{frame:?}");
        }
    }

    #[test]
    fn statuses_are_judged_as_documented() {
        let judged = |status: Option<&str>, message: &[u8]| {
            let said = Said { message: message.into(), status: status.map(String::from) };
            judge(&said).unwrap_or(Health::Down)
        };
        assert_eq!(judged(Some("0"), &[0, 0, 0, 0, 2, 8, 1]), Health::Up);
        assert_eq!(judged(Some("0"), &[0, 0, 0, 0, 2, 8, 2]), Health::Draining);
        assert_eq!(judged(Some("0"), &[0, 0, 0, 0, 2, 8, 3]), Health::Down);
        assert_eq!(judged(Some("0"), &[0; 5]), Health::Down);
        assert_eq!(judged(Some("0"), &[]), Health::Down);
        assert_eq!(judged(Some("12"), &[]), Health::Up);
        assert_eq!(judged(Some("5"), &[]), Health::Down);
        assert_eq!(judged(Some("x"), &[0, 0, 0, 0, 2, 8, 1]), Health::Down);
        assert_eq!(judged(None, &[0, 0, 0, 0, 2, 8, 1]), Health::Down);
    }
}
