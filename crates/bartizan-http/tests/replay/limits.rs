use super::source::{Script, data};
use super::{error, poll, split, text};
use bartizan_http::{Replay, ReplayLimit, ReplayTooLarge};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use std::task::Poll;

#[test]
fn the_limit_itself_is_kept_and_a_byte_more_is_not() {
    let limit = ReplayLimit::new(4, 100);
    let (mut first, replays) = Replay::split(Script::new([data("ab"), data("cd"), data("e")]), &limit);
    assert_eq!(text(&mut first) + &text(&mut first), "abcd");
    assert_eq!(limit.kept(), 4);
    let mut second = replays.again().unwrap();
    assert_eq!(text(&mut second), "ab");
    assert_eq!(text(&mut first), "e");
    assert_eq!(limit.kept(), 3, "the second reader is still within the limit");
    assert!(replays.again().is_none());
    assert_eq!(text(&mut second) + &text(&mut second), "cde");
    assert_eq!(limit.kept(), 0);
    for reader in [&mut first, &mut second] {
        assert!(matches!(poll(reader), Poll::Ready(None)));
    }
    assert!(replays.again().is_none(), "never again");
}

#[test]
fn a_reader_that_is_too_far_behind_fails_and_the_first_goes_on() {
    let limit = ReplayLimit::new(4, 100);
    let script = Script::new([data("abc"), data("def"), data("ghi")]);
    let (mut first, replays) = Replay::split(script, &limit);
    let mut second = replays.again().unwrap();
    let all = text(&mut first) + &text(&mut first);
    assert_eq!(limit.kept(), 0);
    assert!(error(&mut second).is::<ReplayTooLarge>());
    assert!(matches!(poll(&mut second), Poll::Ready(None)));
    assert_eq!(all + &text(&mut first), "abcdefghi");
    assert_eq!(limit.kept(), 0);
}

#[test]
fn a_body_that_says_that_it_is_too_large_is_never_kept() {
    let limit = ReplayLimit::new(4, 100);
    let mut script = Script::new([data("abc"), data("de")]);
    script.exact = Some(5);
    let (mut first, replays) = Replay::split(script, &limit);
    assert!(replays.again().is_none());
    text(&mut first);
    assert_eq!(limit.kept(), 0);
}

#[test]
fn all_bodies_share_the_total() {
    let limit = ReplayLimit::new(4, 6);
    let body = || Replay::split(Script::new([data("abc"), data("d")]), &limit);
    let ((mut a, a_more), (mut b, b_more), (mut c, c_more)) = (body(), body(), body());
    for reader in [&mut a, &mut b, &mut c] {
        assert_eq!(text(reader), "abc");
    }
    assert_eq!(limit.kept(), 6);
    assert!(a_more.again().is_some() && b_more.again().is_some() && c_more.again().is_none());
    let mut behind = b_more.again().unwrap();
    drop(b_more);
    assert_eq!(limit.kept(), 6, "somebody is behind");
    assert_eq!(text(&mut behind), "abc");
    assert_eq!(limit.kept(), 3);
    drop((a, c));
    assert_eq!(limit.kept(), 3, "another reader may come");
    drop(a_more);
    assert_eq!(limit.kept(), 0);
    assert_eq!(text(&mut b), "d");
    assert_eq!(text(&mut behind), "d");
}

#[test]
fn limits_change_while_bodies_are_read() {
    let limit = ReplayLimit::new(0, 0);
    let body = || Replay::split(Script::new([data("abc"), data("d")]), &limit);
    let (mut before, before_more) = body();
    text(&mut before);
    assert!(before_more.again().is_none());
    limit.clone().update(4, 4);
    let (mut reader, replays) = body();
    text(&mut reader);
    limit.update(2, 2);
    assert_eq!(limit.kept(), 3, "what is kept stays");
    assert!(replays.again().is_some());
    text(&mut reader);
    assert!(replays.again().is_none());
    assert_eq!(limit.kept(), 0);
}

#[test]
fn frames_without_data_are_kept_within_any_limit_up_to_their_number() {
    let limit = ReplayLimit::new(0, 0);
    let empty = || Frame::data(Bytes::new());
    let steps = [empty(), Frame::trailers(HeaderMap::new())].map(super::source::Step::Frame);
    let (mut first, replays) = Replay::split(Script::new(steps), &limit);
    assert_eq!(text(&mut first), "");
    assert!(matches!(poll(&mut first), Poll::Ready(Some(Ok(_)))));
    assert!(first.is_end_stream() && replays.is_ended(), "trailers are the end");
    let mut second = replays.again().unwrap();
    assert_eq!(text(&mut second), "");
    assert!(matches!(poll(&mut second), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));

    let (mut first, replays) = split((0..1025).map(|_| super::source::Step::Frame(empty())));
    (0..1024).for_each(|_| drop(text(&mut first)));
    assert!(replays.again().is_some());
    text(&mut first);
    assert!(replays.again().is_none());
}

#[test]
fn without_replays_a_lone_reader_keeps_nothing() {
    let limit = ReplayLimit::default();
    let (mut lone, replays) = Replay::split(Script::new([data("abc"), data("de")]), &limit);
    text(&mut lone);
    assert_eq!(limit.kept(), 3);
    drop(replays);
    assert_eq!(limit.kept(), 0);
    text(&mut lone);
    assert_eq!(limit.kept(), 0);
}
