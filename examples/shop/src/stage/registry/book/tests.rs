use super::*;
use std::collections::BTreeSet;

const TTL: Duration = Duration::from_secs(10);

fn definition(id: &str, name: &str) -> Definition {
    Definition {
        id: id.into(),
        name: name.into(),
        tags: vec![],
        address: String::new(),
        port: 80,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        check: Some(Terms { ttl: TTL, leaves_after: Some(TTL * 6), status: None }),
    }
}

fn status(book: &Book, id: &str) -> Option<Status> {
    book.entries.get(id)?.check.as_ref().map(|check| check.status)
}

#[test]
fn silence_makes_critical_and_then_takes_out() {
    let (mut book, start) = (Book::default(), Instant::now());
    book.register(definition("a", "tea"), start).unwrap();
    assert_eq!(status(&book, "a"), Some(Status::Critical), "it has not said anything yet");
    assert!(book.says("a", Status::Passing, "well", start));
    assert_eq!(book.due(), Some(start + TTL));
    book.expire(start + TTL - Duration::from_nanos(1));
    assert_eq!(status(&book, "a"), Some(Status::Passing));
    book.expire(start + TTL);
    assert_eq!(status(&book, "a"), Some(Status::Critical));
    assert_eq!(book.due(), Some(start + TTL * 7));
    book.expire(start + TTL * 7);
    assert_eq!((status(&book, "a"), book.due()), (None, None));
}

#[test]
fn who_comes_back_in_time_stays() {
    let (mut book, start) = (Book::default(), Instant::now());
    book.register(definition("a", "tea"), start).unwrap();
    book.expire(start + TTL * 5);
    assert!(book.says("a", Status::Warning, "", start + TTL * 5));
    book.expire(start + TTL * 6);
    book.expire(start + TTL * 11);
    assert_eq!(status(&book, "a"), Some(Status::Critical), "its time began anew");
    book.expire(start + TTL * 12);
    assert_eq!(status(&book, "a"), None);
}

#[test]
fn what_has_not_changed_is_no_change() {
    let (mut book, start) = (Book::default(), Instant::now());
    book.register(definition("a", "tea"), start).unwrap();
    assert!(book.says("a", Status::Passing, "", start));
    let index = book.index_of("tea");
    assert!(book.says("a", Status::Passing, "still", start + TTL / 2));
    book.register(definition("a", "tea"), start + TTL / 2).unwrap();
    assert_eq!((book.index_of("tea"), status(&book, "a")), (index, Some(Status::Passing)));
    assert_eq!(book.due(), Some(start + TTL / 2 + TTL), "but it is a heartbeat");
    let mut heavier = definition("a", "tea");
    heavier.weights.passing = 7;
    book.register(heavier, start).unwrap();
    assert!(book.index_of("tea") > index);
}

#[test]
fn a_service_may_change_its_name() {
    let (mut book, start) = (Book::default(), Instant::now());
    for (id, name) in [("a", "tea"), ("b", "tea"), ("a", "pot"), ("b", "pot")] {
        let before = (book.index_of("tea"), book.index_of("pot"));
        book.register(definition(id, name), start).unwrap();
        let after = (book.index_of("tea"), book.index_of("pot"));
        assert!(after.0 >= before.0 && after.1 >= before.1 && after != before, "{before:?} {after:?}");
    }
    assert_eq!((book.of("tea").count(), book.of("pot").count()), (0, 2));
}

/// Whoever holds the last number of a name is told of everything that comes later.
#[test]
fn numbers_only_grow_and_no_change_is_missed() {
    let (mut book, mut dice, mut now) = (Book::default(), fastrand::Rng::with_seed(5), Instant::now());
    let names = ["tea", "pot", "cup"];
    let seen = |book: &Book, name: &str| {
        book.of(name)
            .map(|it| (it.definition.clone(), it.check.as_ref().map(|it| it.status)))
            .collect::<Vec<_>>()
    };
    let mut steps = BTreeSet::new();
    for _ in 0..20_000 {
        let (before, was) = (names.map(|name| book.index_of(name)), names.map(|name| seen(&book, name)));
        let id = format!("s{}", dice.u8(..6));
        let step = dice.u8(..5);
        match step {
            0 => book.register(definition(&id, names[dice.usize(..3)]), now).unwrap(),
            1 => drop(book.deregister(&id)),
            2 => drop(book.says(&id, Status::Passing, "", now)),
            3 => drop(book.says(&id, Status::Critical, "", now)),
            _ => {
                now += Duration::from_secs(dice.u64(..40));
                book.expire(now);
            }
        }
        for (n, name) in names.into_iter().enumerate() {
            let (index, is) = (book.index_of(name), seen(&book, name));
            assert!(index >= before[n] && index <= book.index(), "{name} {index}");
            if is != was[n] {
                assert!(index > before[n], "{name} has changed");
                steps.insert((step, is.len().cmp(&was[n].len())));
            }
        }
    }
    assert!(steps.len() >= 7, "every kind of change was among them: {steps:?}");
}

#[test]
fn there_is_an_end_to_its_pages() {
    let (mut book, start) = (Book::default(), Instant::now());
    for n in 0..MOST {
        book.register(definition(&format!("s{n}"), "tea"), start).unwrap();
    }
    let index = book.index();
    assert_eq!(book.register(definition("more", "tea"), start), Err(Full));
    assert_eq!((book.index(), book.all().count()), (index, MOST));
    assert_eq!(book.register(definition("s0", "pot"), start), Ok(()), "who is there may change");
    assert!(book.deregister("s1"));
    assert_eq!(book.register(definition("more", "tea"), start), Ok(()));
}

#[test]
fn the_longest_times_are_no_trouble() {
    let (mut book, start) = (Book::default(), Instant::now());
    let mut patient = definition("a", "tea");
    patient.check = Some(Terms { ttl: Duration::MAX, leaves_after: Some(Duration::MAX), status: None });
    book.register(patient, start).unwrap();
    assert!(book.says("a", Status::Passing, &"ü".repeat(LONGEST_OUTPUT), start));
    assert_eq!(book.due(), None);
}
