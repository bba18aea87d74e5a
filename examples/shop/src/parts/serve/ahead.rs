//! The beginnings of bodies, read before anybody works for them.
//!
//! A request takes a place in the layers before its routes from the moment it is handed to them. Handed over with its head, one whose
//! body drips would hold that place for nothing, and a few hundred of them all places that there are. So the body comes first: who
//! drips it costs a connection, as who drips a head does.

use super::held::Coming;
use super::limits::Limits;
use bartizan::http::wire::{Wire, read_timeout, write_timeout};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body::Body;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// What is read ahead on a port. Clones share its room.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    most: usize,
    /// A byte for each permit.
    room: Arc<Semaphore>,
}

impl Ahead {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { most: limits.ahead, room: Arc::new(Semaphore::new(limits.room)) }
    }

    /// Waits for the body of a request, or the beginning of a large one, and puts it back in front of the rest. A body that breaks
    /// off is handed on up to there. The time that the request grants goes on meanwhile.
    pub(super) async fn read<B>(&self, mut request: Request<Coming<B>>) -> Request<Coming<B>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if self.most > 0 && request.body().awaited.is_some() {
            let began = Instant::now();
            self.begin(request.body_mut()).await;
            spend(request.headers_mut(), Instant::now() - began);
        }
        request
    }

    /// Reads until the body has ended, enough has come, or there is no room for more.
    async fn begin<B: Body<Data = Bytes> + Unpin>(&self, coming: &mut Coming<B>) {
        let mut gathered = BytesMut::new();
        let mut place: Option<SemaphorePermit<'_>> = None;
        while let Some(data) = next(coming).await {
            let enough = coming.is_over() || gathered.len() + data.len() >= self.most;
            if enough && gathered.is_empty() {
                // As it mostly comes: in one piece, with the head.
                coming.front = data;
                return;
            }
            // A piece keeps all alive that was read with it, and may be one byte.
            gathered.extend_from_slice(&data);
            if enough {
                break;
            }
            let more = u32::try_from(data.len()).ok().and_then(|more| self.room.try_acquire_many(more).ok());
            match (&mut place, more) {
                (_, None) => break,
                (Some(place), Some(more)) => place.merge(more),
                (none, more) => *none = more,
            }
        }
        coming.front = gathered.freeze();
    }
}

/// The next piece; none when there is no other.
async fn next<B: Body<Data = Bytes> + Unpin>(coming: &mut Coming<B>) -> Option<Bytes> {
    let last = match coming.body.frame().await {
        Some(Ok(frame)) => match frame.into_data() {
            Ok(data) => {
                if coming.body.is_end_stream() {
                    coming.end(None);
                }
                return Some(data);
            }
            Err(trailers) => Some(Ok(trailers)),
        },
        other => other,
    };
    coming.end(last);
    None
}

/// Takes what has been spent off the time that a request grants. What cannot be understood stays as it is.
fn spend(headers: &mut HeaderMap, spent: Duration) {
    if spent < Duration::from_millis(1) {
        return;
    }
    for grpc in [false, true] {
        if let Wire::Value(left) = read_timeout(headers, grpc) {
            write_timeout(headers, grpc, left.saturating_sub(spent));
        }
    }
}

#[cfg(test)]
mod tests;
