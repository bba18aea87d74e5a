//! How stacks are printed and compared.

use bartizan_breaker::Consecutive;
use bartizan_core::Budget;
use bartizan_fallback::Stale;
use bartizan_hedge::Hedge;
use bartizan_http::http::Uri;
use bartizan_limit::Limit;
use bartizan_retry::Retry;
use bartizan_shed::Shed;
use bartizan_stack::{ClientLayer, ClientStack, ServerLayer, ServerStack};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_server_stack_is_a_table() {
    let stack = ServerStack::new();
    let table = "\
server stack, outside in
  deadline  10 s
  limit     off
  shed      waits 0.25 of the deadline";
    assert_eq!(stack.to_string(), table);

    let layer =
        ServerLayer::new(stack.deadline(SECOND).limit(Limit::per_second(50).burst(200))).named("shop");
    let table = "\
server stack \"shop\", outside in
  deadline  1 s
  limit     50 per second, burst 200
  shed      waits 0.25 of the deadline";
    assert_eq!(layer.to_string(), table);

    let handle = layer.handle();
    let without = handle.stack().without_limit().shed(Shed::new().enabled(false));
    assert_eq!(handle.update(without), Ok(()));
    let table = "\
server stack \"shop\", outside in
  deadline  1 s
  limit     off
  shed      off";
    assert_eq!((handle.to_string(), layer.to_string()), (table.into(), table.into()));
}

#[test]
fn a_client_stack_is_a_table() {
    let table = "\
client stack, outside in
  stale     off
  deadline  3 s
  retry     2 retries, 100 ms to 1 s, budget 10 %, hints up to 2 s
  hedge     2 copies, 5 % extra, from 1 ms, over several endpoints
  balance   latency, slow start 10 s, ejects at most 10 %
  breaker   evidence 25 % to 75 %, open 5 s, 1 probe, ramp 10 s
  attempt   1 s";
    assert_eq!(ClientStack::new().to_string(), table);

    let table = "\
client stack \"stock\", outside in
  stale     off
  deadline  3 s
  retry     2 retries, 100 ms to 1 s, budget 10 %, hints up to 2 s
  hedge     off
  balance   none, calls go where they say
  breaker   for each host: evidence 25 % to 75 %, open 5 s, 1 probe, ramp 10 s
  attempt   1 s";
    let layer = ClientLayer::default().named("stock");
    assert_eq!((layer.to_string(), layer.handle().to_string()), (table.into(), table.into()));
}

#[test]
fn over_several_endpoints_it_shows_what_is_before_each() {
    let stack = ClientStack::new()
        .deadline(500 * SECOND / 1000)
        .retry(Retry::new().max_retries(1))
        .budget(Budget::new().ratio(0.2))
        .stale(Stale::new().enabled(false));
    let layer = ClientLayer::new(stack).members(["http://a", "http://b"].map(Uri::from_static));
    let table = "\
client stack, outside in
  stale     off
  deadline  500 ms
  retry     1 retry, 100 ms to 1 s, budget 20 %, hints up to 250 ms
  hedge     2 copies, 5 % extra, from 1 ms
  balance   latency, slow start 10 s, ejects at most 10 %
  breaker   for each endpoint: evidence 5 % to 40 % and threshold 12, open 5 s, 1 probe, ramp 0 s
  attempt   500 ms";
    assert_eq!((layer.to_string(), layer.handle().to_string()), (table.into(), table.into()));
    // Of one, there is no other to go to.
    let one = ClientLayer::default().members([Uri::from_static("http://a")]).to_string();
    assert!(one.contains("for each endpoint: evidence 25 % to 75 %, open 5 s, 1 probe, ramp 10 s"), "{one}");
}

#[test]
fn what_is_another_is_listed() {
    let shown = |old: &ClientStack, new: &ClientStack| {
        old.diff(new).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let old = ClientStack::new();
    assert_eq!(shown(&old, &old.clone()), [""; 0]);

    // Nor does one line show all of what is off.
    let off = |retries| ClientStack::new().retry(Retry::new().max_retries(retries).enabled(false));
    assert_eq!(shown(&off(1), &off(2)), ["retry: off -> off, with other details"]);

    let new = old
        .clone()
        .deadline(800 * SECOND / 1000)
        .budget(Budget::new().ratio(0.2))
        .breaker(ClientStack::DEFAULT_BREAKER.consecutive(Consecutive::new(5)))
        .hedge(Hedge::new());
    assert_eq!(
        shown(&old, &new),
        [
            "deadline: 3 s -> 800 ms",
            "retry: 2 retries, 100 ms to 1 s, budget 10 %, hints up to 2 s -> \
             2 retries, 100 ms to 1 s, budget 20 %, hints up to 400 ms",
            "hedge: 2 copies, 5 % extra, from 1 ms, over several endpoints -> 2 copies, 5 % extra, from 1 ms",
            "breaker: evidence 25 % to 75 %, open 5 s, 1 probe, ramp 10 s -> \
             evidence 25 % to 75 %, 5 in a row, open 5 s, 1 probe, ramp 10 s",
            // It follows from the deadline.
            "attempt: 1 s -> 800 ms",
        ]
    );
    assert_eq!(shown(&new, &old).len(), 5);
    assert_ne!(old, new);

    let (old, new) = (ServerStack::new(), ServerStack::new().limit(Limit::per_second(5)));
    let differences = old.diff(&new);
    let [limit] = &*differences else { panic!("{differences:?}") };
    assert_eq!((limit.field(), limit.from(), limit.to()), ("limit", "off", "5 per second, burst 5"));
}
