use super::source::{Script, Step};
use bartizan_http::{Replay, ReplayLimit};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Reads to the end, and parks whenever there is nothing to read: a wake that is lost hangs the test.
fn read(mut reader: Replay<Script>) -> Vec<u8> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut all = Vec::new();
    loop {
        match Pin::new(&mut reader).poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => all.extend(frame.unwrap().into_data().unwrap()),
            Poll::Ready(None) => return all,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn two_threads_read_while_a_third_writes() {
    for round in 0..300_u64 {
        let mut dice = fastrand::Rng::with_seed(round);
        let whole: Vec<u8> = (0..64).collect();
        let steps = whole.chunks(2).flat_map(|bytes| {
            let frame = Step::Frame(Frame::data(Bytes::copy_from_slice(bytes)));
            let wakes = Step::Do(Box::new(Waker::wake_by_ref));
            match dice.u8(..3) {
                0 => vec![frame],
                1 => vec![Step::Pending, frame],
                _ => vec![wakes, Step::Pending, frame],
            }
        });
        let script = Script::new(steps.collect::<Vec<_>>());
        let watch = script.watch.clone();
        let limit = ReplayLimit::default();
        let (first, replays) = Replay::split(script, &limit);
        let second = replays.again().unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    watch.wake();
                    thread::yield_now();
                }
            });
            let readers = [first, second].map(|reader| scope.spawn(|| read(reader)));
            for reader in readers {
                assert_eq!(reader.join().unwrap(), whole);
            }
            done.store(true, SeqCst);
        });
        assert_eq!(limit.kept(), whole.len());
        drop(replays);
        assert_eq!(limit.kept(), 0);
    }
}
