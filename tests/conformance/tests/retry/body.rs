//! Rows R31 to R33 and R42: bodies.

use crate::{MS, play, play_http, reference};
use bartizan_retry::Repeatable;
use bytes::Bytes;
use conformance::again::{DOWN, LOST, OK, Turn, Upload, get, grpc, post};
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use tower::BoxError;

const LIMIT: usize = 64 * 1024;

#[tokio::test(start_paused = true)]
async fn r31_no_retry_after_response_started() {
    play_http(reference(), async |stage| {
        let heard = stage.call(&[Turn::cut(), OK]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("piece from 0, connection reset", 1));
        let mut request = grpc();
        request.extensions_mut().insert(Repeatable(true));
        let heard = stage.send(request, &[Turn::cut(), Turn::grpc(0)]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("piece from 0, connection reset", 1));
        assert_eq!(stage.handle().snapshot().retries, 0);
    })
    .await;
}

fn put(body: Upload) -> Request<Upload> {
    let mut request = get();
    *request.method_mut() = http::Method::PUT;
    *request.body_mut() = body;
    request
}

fn sized(bytes: usize) -> Upload {
    Full::from(vec![b'x'; bytes]).map_err(|never| match never {}).boxed_unsync()
}

/// A body of frames, one after the other, and of unknown length.
fn streamed(frames: Vec<Frame<Bytes>>) -> Upload {
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    tokio::spawn(async move {
        for frame in frames {
            tokio::time::sleep(MS).await;
            let _ = sender.send(frame).await;
        }
    });
    body.boxed_unsync()
}

fn chunks(bytes: usize) -> Vec<Frame<Bytes>> {
    let all = Bytes::from(vec![b'x'; bytes]);
    (0..bytes).step_by(10_000).map(|at| Frame::data(all.slice(at..bytes.min(at + 10_000)))).collect()
}

#[tokio::test(start_paused = true)]
async fn r32_body_too_large_to_replay() {
    for (bytes, sent) in [(LIMIT, 2), (LIMIT + 1, 1)] {
        let bodies: [&dyn Fn() -> Upload; 2] = [&|| sized(bytes), &|| streamed(chunks(bytes))];
        for body in bodies {
            play_http(reference(), async |stage| {
                let ought = if sent == 1 { "503 from 0" } else { "200 from 1" };
                assert_eq!(stage.send(put(body()), &[DOWN, OK]).await.said, ought);
                let seen = stage.sent();
                assert_eq!(seen.len(), sent, "{bytes}");
                for copy in seen {
                    let read = copy.read.unwrap();
                    assert_eq!(
                        read.frames.iter().map(Bytes::len).sum::<usize>(),
                        bytes,
                        "nothing is cut off"
                    );
                    assert_eq!(read.error, None);
                }
                assert_eq!(stage.handle().snapshot().too_large, 2 - sent as u64);
                assert_eq!(stage.handle().purse().snapshot().tokens, 1000.0 - (sent - 1) as f64 * 0.9);
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r33_replay_is_byte_exact() {
    play_http(reference(), async |stage| {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "\"end\"".parse().unwrap())]);
        let frames = || {
            let data = ["one", "", "three"].map(|text| Frame::data(Bytes::from(text)));
            data.into_iter().chain([Frame::trailers(trailers.clone())]).collect()
        };
        stage.send(put(streamed(frames())), &[DOWN, LOST, OK]).await;
        let sent = stage.sent();
        assert_eq!(sent.len(), 3);
        for copy in sent {
            let read = copy.read.unwrap();
            assert_eq!(read.frames, ["one", "", "three"].map(Bytes::from), "frame by frame");
            assert_eq!((read.trailers, read.error), (Some(trailers.clone()), None));
        }
        // Whoever has nothing to send sends nothing twice.
        let mut request = post();
        request.extensions_mut().insert(Repeatable(true));
        stage.send(request, &[DOWN, OK]).await;
        assert!(stage.sent().iter().all(|copy| copy.read == Some(conformance::again::Read::default())));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r42_old_answers_are_released() {
    play(reference(), async |stage| {
        let mut call = stage.start(get(), &[DOWN, LOST, DOWN, OK]).await;
        assert!(conformance::again::poll(&mut call).is_pending());
        assert_eq!(stage.alive(), 0, "it is gone before the wait");
        let heard = call.await;
        assert_eq!(heard.said, "200 from 3");
        assert_eq!(stage.sent().iter().map(|sent| sent.alive).collect::<Vec<_>>(), [0; 4]);
    })
    .await;
}
