use super::super::open::Evidence;
use super::super::signs::Wrong;
use super::*;

const BREAKER: Wrong = Wrong { kind: Some("breaker_open"), after: Duration::from_secs(8) };

fn book() -> Book {
    Book::default()
}

fn fault(id: &str, target: &str, ended: Option<i64>) -> Set {
    Set { id: id.to_owned(), target: target.to_owned(), kind: "kill".to_owned(), started: 1000, ended }
}

fn sight(seen: &[(&'static str, &str, &str, Option<Wrong>)]) -> Sight {
    let seen = seen.iter().map(|(layer, name, state, wrong)| {
        let seen = Seen { state: (*state).to_owned(), note: None, wrong: *wrong, falls: 0.0 };
        ((*layer, (*name).to_owned()), seen)
    });
    seen.collect()
}

fn open(name: &str) -> Sight {
    sight(&[("breaker", name, "open", Some(BREAKER))])
}

fn closed(name: &str) -> Sight {
    sight(&[("breaker", name, "closed", None)])
}

/// When each open incident was started, detected and resolved.
fn times(book: &Book) -> Vec<(i64, Option<i64>, Option<i64>)> {
    book.open.iter().map(|incident| (incident.started, incident.detected, incident.resolved)).collect()
}

#[test]
fn a_fault_is_over_when_all_of_its_signs_are_gone() {
    let mut book = book();
    let fault = |ended| [fault("f1", "payment", ended)];
    assert!(book.turn(&fault(None), closed("order->payment-1"), 0, 1200));
    assert_eq!(times(&book), [(1000, None, None)]);
    assert!(!book.turn(&fault(None), open("order->payment-1"), 3, 2000));
    assert!(!book.turn(&fault(Some(4000)), open("order->payment-1"), 7, 9000));
    book.turn(&fault(Some(4000)), closed("order->payment-1"), 1, 10_000);
    assert_eq!(times(&book), [(1000, Some(2000), None)]);
    book.turn(&fault(Some(4000)), closed("order->payment-1"), 1, 15_000);
    assert_eq!(times(&book), [(1000, Some(2000), Some(10_000))]);
    let evidence = &book.open[0].evidence;
    let events: Vec<_> =
        evidence.events.iter().map(|event| (event.at, event.from.as_deref(), event.to.as_deref())).collect();
    assert_eq!(events, [(2000, Some("closed"), Some("open")), (10_000, Some("open"), Some("closed"))]);
    assert_eq!(evidence.orders_under_way, 7);
}

#[test]
fn a_fault_that_nobody_sees_is_never_detected() {
    let mut book = book();
    book.turn(&[fault("f1", "mail", None)], Sight::new(), 0, 1200);
    book.turn(&[fault("f1", "mail", Some(3000))], open("order->payment-1"), 0, 4000);
    book.turn(&[fault("f1", "mail", Some(3000))], Sight::new(), 0, 8000);
    assert_eq!(times(&book), [(1000, None, Some(3000))]);
}

#[test]
fn what_no_fault_explains_is_an_incident_when_it_lasts_and_one_only() {
    let mut book = book();
    let both = sight(&[
        ("breaker", "order->payment-1", "open", Some(BREAKER)),
        ("breaker", "order->payment-2", "open", Some(BREAKER)),
        ("breaker", "gateway->order POST", "open", Some(BREAKER)),
    ]);
    assert!(!book.turn(&[], both.clone(), 0, 1000));
    // A breaker that lets somebody try is not well yet.
    book.turn(&[], Sight::new(), 0, 4000);
    book.turn(&[], both.clone(), 0, 5500);
    assert!(!book.turn(&[], both.clone(), 0, 8900));
    book.turn(&[], both, 0, 9000);
    let causes: Vec<_> = book.open.iter().map(|incident| incident.cause.as_str()).collect();
    assert_eq!(causes, ["order->payment"], "it is why the gateway complains");
    assert_eq!(times(&book), [(1000, Some(9000), None)]);
    assert_eq!(book.open[0].evidence.events.len(), 3, "{:?}", book.open[0].evidence);
    assert!(!book.turn(&[], open("order->payment-3"), 0, 9250));
    assert_eq!(book.open[0].evidence.events.len(), 7, "one more is open, and three are gone");
}

#[test]
fn two_faults_have_each_their_own_evidence() {
    let mut book = book();
    let faults = [fault("f1", "payment", None), fault("f2", "product", None)];
    book.turn(&faults, open("order->product-1"), 0, 2000);
    assert_eq!(times(&book), [(1000, None, None), (1000, Some(2000), None)]);
    book.turn(&faults, open("gateway->order POST"), 0, 3000);
    assert_eq!(times(&book), [(1000, Some(3000), None), (1000, Some(2000), None)]);
}

#[test]
fn what_was_open_goes_on_after_a_restart_or_is_over() {
    let mut before = book();
    before.turn(&[fault("f1", "payment", None)], open("order->payment-1"), 0, 2000);
    let mut after = Book::open(before.open.clone(), 50_000);
    after.known.push("f1".to_owned());
    after.turn(&[fault("f1", "payment", Some(9000))], open("order->payment-1"), 0, 50_000);
    assert_eq!(times(&after), [(1000, Some(2000), None)]);
    let mut after = Book::open(before.open, 50_000);
    after.turn(&[], closed("order->payment-1"), 0, 50_000);
    after.turn(&[], closed("order->payment-1"), 0, 55_000);
    assert_eq!(times(&after), [(1000, Some(2000), Some(50_000))]);
}

#[test]
fn a_broken_invariant_is_nobodys_sign_but_its_own() {
    let mut book = book();
    let broken = Wrong { kind: Some("invariant_broken"), after: Duration::ZERO };
    let broken = sight(&[("invariant", "stock adds up", "broken", Some(broken))]);
    book.turn(&[fault("f1", "payment", None)], broken.clone(), 0, 2000);
    assert!(!book.turn(&[fault("f1", "payment", None)], broken, 0, 3000));
    let kinds: Vec<_> =
        book.open.iter().map(|incident| (incident.kind.as_str(), incident.detected)).collect();
    assert_eq!(kinds, [("kill", None), ("invariant_broken", Some(2000))]);
}

#[test]
fn evidence_is_bounded() {
    let mut book = book();
    for n in 0..100 {
        let seen = if n % 2 == 0 { open("order->payment-1") } else { closed("order->payment-1") };
        book.turn(&[fault("f1", "payment", None)], seen, 0, 2000 + n);
    }
    let Evidence { events, more, .. } = &book.open[0].evidence;
    assert_eq!((events.len(), *more), (40, 60));
}
