//! Row R45: another endpoint next time.

use crate::reference;
use bartizan_retry::RetryLayer;
use conformance::again::{DOWN, OK, Picker, Picks, Stage, UNREACHED, get, on_stage_http};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn r45_other_host_next_time() {
    let build = || {
        let (layer, picks) = (RetryLayer::new(reference()), Picks::default());
        Stage::http(picks.clone(), |inner| layer.layer(Picker::new(inner, picks)))
    };
    on_stage_http(build, async |stage| {
        for (turns, ought) in [
            (&[DOWN, OK][..], &[0, 1][..]),
            (&[UNREACHED, OK], &[0, 1]),
            (&[DOWN, DOWN, DOWN, OK], &[0, 1, 2, 0]),
            (&[OK], &[0]),
        ] {
            let call = stage.start(get(), turns).await;
            let of_call = stage.handle().take().pop();
            call.await;
            let picks: Vec<usize> = of_call.into_iter().chain(stage.handle().take()).collect();
            assert_eq!(picks, ought, "{turns:?}");
        }
    })
    .await;
}
