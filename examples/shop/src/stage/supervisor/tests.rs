use super::*;
use crate::host;
use crate::parts::config::Name;
use bartizan::core::registry::Observed;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn who_cannot_start_is_tried_less_and_less_often_however_long_ago_it_was_up() {
    let config = Config::new("/nowhere".into(), 8080).unwrap();
    let bound = host::bind(&config, Name::Bank.replica(1).unwrap()).unwrap();
    let seen = Seen::new(bound.instance, bound.address);
    let mut post = Post::new(bound, seen);
    advance(STEADY * 2).await;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        post.fell("it has had enough.");
        let pause = post.due.duration_since(Instant::now());
        pauses.push(pause.as_millis());
        let note = post.seen.note().unwrap().into_owned();
        let next = format!("; next start in {} s", pause.as_secs_f64().ceil());
        assert_eq!(note.ends_with(&next), !pause.is_zero(), "{note}");
        sleep_until(post.due).await;
    }
    assert_eq!(pauses, [0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    assert_eq!(
        (post.seen.state(), &*post.seen.note().unwrap()),
        ("crash loop", "fell 8 times in a row: it has had enough")
    );
}
