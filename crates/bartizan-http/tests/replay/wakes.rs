use super::source::{Count, Script, Step, data};
use super::{poll, poll_by, split, text};
use bartizan_http::{Replay, ReplayLimit};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// A counter, and its waker.
fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::<Count>::default();
    (count.clone(), count.into())
}

#[test]
fn a_lone_reader_lends_the_source_its_own_waker() {
    let script = Script::new([Step::Pending, data("a")]);
    let watch = script.watch.clone();
    let (mut lone, _replays) = Replay::split(script, &ReplayLimit::default());
    let (count, waker) = counting();
    assert!(poll_by(&mut lone, &waker).is_pending());
    assert!(watch.waker.lock().unwrap().as_ref().is_some_and(|own| own.will_wake(&waker)));
    assert!(watch.wake());
    assert_eq!(count.get(), 1);
}

#[test]
fn the_source_wakes_all_that_wait() {
    let script = Script::new([Step::Pending, Step::Pending, data("a")]);
    let watch = script.watch.clone();
    let (mut first, replays) = Replay::split(script, &ReplayLimit::default());
    let (first_count, first_waker) = counting();
    // The first waits with its own waker, before there is a second.
    assert!(poll_by(&mut first, &first_waker).is_pending());
    let mut second = replays.again().unwrap();
    let (second_count, second_waker) = counting();
    assert!(poll_by(&mut second, &second_waker).is_pending());
    assert!(watch.wake());
    assert_eq!((first_count.get(), second_count.get()), (1, 1));
    // The first never polls again, and the second does not starve.
    assert_eq!(text(&mut second), "a");
}

#[test]
fn a_reader_that_leaves_takes_no_wake_with_it() {
    let script = Script::new([Step::Pending, Step::Pending, data("a")]);
    let watch = script.watch.clone();
    let (mut first, replays) = Replay::split(script, &ReplayLimit::default());
    let mut second = replays.again().unwrap();
    let (first_count, first_waker) = counting();
    let (second_count, second_waker) = counting();
    assert!(poll_by(&mut first, &first_waker).is_pending());
    assert!(poll_by(&mut second, &second_waker).is_pending());
    drop(second);
    assert_eq!(Arc::strong_count(&second_count), 2, "its waker is gone");
    assert!(watch.wake());
    assert_eq!((first_count.get(), second_count.get()), (1, 0));
    assert_eq!(text(&mut first), "a");
}

#[test]
fn what_one_reader_receives_wakes_the_others() {
    let (mut first, replays) = split([Step::Pending, data("a"), Step::Pending, Step::Error]);
    let mut second = replays.again().unwrap();
    let (count, waker) = counting();
    assert!(poll_by(&mut second, &waker).is_pending());
    assert_eq!(text(&mut first), "a");
    assert_eq!(count.get(), 1);
    assert_eq!(text(&mut second), "a");
    assert!(poll_by(&mut second, &waker).is_pending());
    assert!(matches!(poll(&mut first), Poll::Ready(Some(Err(_)))));
    assert_eq!(count.get(), 2);
}

#[test]
fn a_source_may_wake_from_within_its_poll() {
    let wakes = || Step::Do(Box::new(Waker::wake_by_ref));
    let (mut first, replays) = split([wakes(), Step::Pending, wakes(), Step::Pending, wakes(), data("a")]);
    let (first_count, first_waker) = counting();
    assert!(poll_by(&mut first, &first_waker).is_pending());
    assert_eq!(first_count.get(), 1);
    let mut second = replays.again().unwrap();
    let (second_count, second_waker) = counting();
    assert!(poll_by(&mut second, &second_waker).is_pending());
    assert_eq!((first_count.get(), second_count.get()), (2, 1));
    assert_eq!(text(&mut first), "a");
    assert_eq!(text(&mut second), "a");
}

#[test]
fn a_source_may_poll_and_drop_other_readers_from_within_its_poll() {
    type Others = Arc<Mutex<Vec<Replay<Script>>>>;
    let others = Others::default();
    let (of_polls, of_drops) = (others.clone(), others.clone());
    let (count, waker) = counting();
    let polls = Step::Do(Box::new(move |_| {
        let mut others = of_polls.lock().unwrap();
        assert!(poll_by(&mut others[0], &waker).is_pending(), "the source is away");
    }));
    let drops = Step::Do(Box::new(move |_| drop(of_drops.lock().unwrap().pop())));
    let limit = ReplayLimit::default();
    let script = Script::new([polls, Step::Pending, data("a"), drops, data("b")]);
    let watch = script.watch.clone();
    let (mut first, replays) = Replay::split(script, &limit);
    others.lock().unwrap().push(replays.again().unwrap());
    let (first_count, first_waker) = counting();
    assert!(poll_by(&mut first, &first_waker).is_pending());
    assert_eq!((first_count.get(), count.get()), (0, 1), "who came while the source was away has to ask it");
    assert!(watch.wake());
    assert_eq!(first_count.get(), 1, "who asked it first still waits");
    assert_eq!(text(&mut first), "a");
    drop(replays);
    assert_eq!(limit.kept(), 1);
    assert_eq!(text(&mut first), "b");
    assert_eq!(limit.kept(), 0);
    assert!(others.lock().unwrap().is_empty());
}

#[test]
fn a_source_that_holds_the_waker_does_not_hold_itself() {
    let script = Script::new([Step::Pending, Step::Pending, Step::Pending]);
    let watch = script.watch.clone();
    let (mut first, replays) = Replay::split(script, &ReplayLimit::default());
    let mut second = replays.again().unwrap();
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    assert_eq!(Arc::strong_count(&watch), 2);
    drop((first, second, replays));
    assert_eq!(Arc::strong_count(&watch), 1, "the source is gone");
}
