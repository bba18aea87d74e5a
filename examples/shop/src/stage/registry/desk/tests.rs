use super::super::definition::Definition;
use super::*;
use std::time::Duration;
use tokio::time::timeout;

fn desk() -> (Desk, watch::Sender<Stop>) {
    let (stop, stopped) = watch::channel(Stop::Not);
    (Desk::new(stopped), stop)
}

fn ask(index: u64, seconds: u64) -> Ask {
    Ask { index, wait: Duration::from_secs(seconds), passing: false, tags: vec![] }
}

fn register(desk: &Desk, body: &[u8]) {
    let definition = Definition::read(body).unwrap();
    desk.change(|book, now| book.register(definition, now)).unwrap();
}

async fn index(desk: &Desk, index: u64, seconds: u64) -> u64 {
    desk.read(&ask(index, seconds), Book::index, |_| ()).await.unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_no_shorter_and_little_longer_than_it_says() {
    let (desk, _stop) = desk();
    let mut waits = Vec::new();
    for _ in 0..32 {
        let start = Instant::now();
        assert_eq!(index(&desk, 1, 16).await, 1);
        waits.push(Instant::now().duration_since(start));
    }
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least >= Duration::from_secs(16) && *most <= Duration::from_millis(17_001), "{waits:?}");
    assert!(*most - *least > Duration::from_millis(300), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_answers_and_a_heartbeat_does_not() {
    let (desk, _stop) = desk();
    register(&desk, br#"{"Name": "tea", "Check": {"TTL": "10s", "Status": "passing"}}"#);
    tokio::spawn(desk.clone().keep());
    let start = Instant::now();
    let heartbeats = async {
        for _ in 0..3 {
            sleep(Duration::from_secs(5)).await;
            use super::super::book::Status;
            assert!(desk.change(|book, now| book.says("tea", Status::Passing, "", now)));
        }
    };
    let (index, ()) = tokio::join!(index(&desk, 2, 300), heartbeats);
    assert_eq!(index, 3);
    assert_eq!(Instant::now().duration_since(start).as_secs(), 25, "ten seconds after the last of them");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_answered_when_it_stops() {
    let (desk, stop) = desk();
    let start = Instant::now();
    let told = async {
        sleep(Duration::from_secs(1)).await;
        stop.send_replace(Stop::Now);
    };
    let (index, ()) = tokio::join!(index(&desk, 1, 300), told);
    assert_eq!((index, Instant::now().duration_since(start).as_secs()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_and_a_place_is_given_back() {
    let (desk, _stop) = desk();
    let crowd: Vec<_> = (0..PLACES)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { index(&desk, 1, 300).await })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    let (one_more, at_once) = (ask(1, 300), ask(0, 300));
    let no = desk.read(&one_more, Book::index, |_| ()).await.unwrap_err();
    assert!(no.why().starts_with("Too many"), "{no:?}");
    assert!(desk.read(&at_once, Book::index, |_| ()).await.is_ok(), "who does not wait needs no place");
    crowd[0].abort();
    sleep(Duration::from_secs(1)).await;
    assert!(timeout(Duration::from_secs(1), index(&desk, 1, 300)).await.is_err(), "it waits");
}
