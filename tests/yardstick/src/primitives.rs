//! The primitives of which floors are made, measured beside what they judge.

use std::{
    hint::black_box,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use tokio::time::{Instant, sleep_until};

use crate::{
    floor::{Prices, SYMBOLS},
    race::{Figure, Lane, Place},
};

/// What several threads share when they price the primitives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    arc: Arc<u64>,
    word: Arc<AtomicU64>,
    swap: Arc<ArcSwap<u64>>,
}

/// One lane for each primitive. Must be called inside a runtime with timers.
pub(crate) fn lanes(shared: &Shared) -> Vec<Lane> {
    let Shared { arc, word, swap } = shared.clone();
    // So far off that it never fires, and on no wheel but the widest.
    let far = Instant::now() + Duration::from_secs(3600);
    let mut headers = HeaderMap::with_capacity(8);
    let name = HeaderName::from_static("x-request-timeout-ms");
    let (head, _) = headed(()).into_parts();
    vec![
        Lane::new(Place::Primitive('A'), move |_| drop(black_box(arc.clone()))),
        Lane::new(Place::Primitive('R'), move |step| _ = black_box(word.fetch_add(step, Ordering::Relaxed))),
        Lane::new(Place::Primitive('T'), |_| _ = black_box(Instant::now())),
        Lane::new(Place::Primitive('S'), move |_| drop(black_box(swap.load()))),
        Lane::new(Place::Primitive('W'), move |_| {
            let timer = pin!(sleep_until(far));
            _ = black_box(timer.poll(&mut Context::from_waker(Waker::noop())));
        }),
        Lane::new(Place::Primitive('H'), move |step| {
            _ = black_box(headers.insert(name.clone(), timeout_value(step % 1000)));
        }),
        Lane::new(Place::Primitive('C'), move |_| drop(black_box(head.clone()))),
        Lane::new(Place::Primitive('M'), |_| drop(black_box(Box::new([0_u64; 8])))),
    ]
}

/// A request as a client sends it: with a header, and room for one more.
pub(crate) fn headed<B>(body: B) -> Request<B> {
    let mut request = Request::new(body);
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.headers_mut() = headers;
    request
}

/// A number as a header value, in the one allocation that it takes.
pub(crate) fn timeout_value(mut number: u64) -> HeaderValue {
    let mut digits = [0; 20];
    let mut first = digits.len();
    while first == digits.len() || number > 0 {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    HeaderValue::from_bytes(&digits[first..]).expect("digits make a header value")
}

/// Names the primitives in the table.
pub(crate) fn name(symbol: char) -> &'static str {
    match symbol {
        'A' => "A: one Arc clone and drop",
        'R' => "R: one fetch_add",
        'T' => "T: Instant::now()",
        'S' => "S: one arc-swap load",
        'W' => "W: one timer registered and dropped",
        'H' => "H: one header written",
        'C' => "C: one head copied",
        _ => "M: one allocation",
    }
}

/// Reads the prices from the figures of [`lanes`].
pub(crate) fn prices(figures: &[Figure]) -> Prices {
    SYMBOLS.map(|symbol| {
        let priced = figures.iter().find(|figure| figure.place == Place::Primitive(symbol));
        priced.expect("every race prices every primitive").nanos
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_its_digits() {
        for number in [0, 7, 10, 1000, u64::MAX] {
            assert_eq!(timeout_value(number), number.to_string());
        }
    }

    #[test]
    fn a_header_costs_one_allocation() {
        let counted = allocation_counter::measure(|| drop(timeout_value(1000)));
        assert_eq!(counted.count_total, 1);
    }
}
