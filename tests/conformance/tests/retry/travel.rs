//! Row R30: the attempt number travels.

use crate::{play, play_http, reference};
use bartizan_core::Context;
use conformance::again::{DOWN, OK, get};

const ATTEMPT: &str = "x-request-attempt";

#[tokio::test(start_paused = true)]
async fn r30_attempt_number_travels() {
    play(reference(), async |stage| {
        stage.call(&[DOWN, DOWN, OK]).await;
        let sent = stage.sent();
        assert_eq!(sent.iter().map(|sent| sent.attempt).collect::<Vec<_>>(), [0, 1, 2], "in the context");
        // Who is another attempt already is not one more: one tier alone retries.
        let second = Context::new().with_attempt(1);
        second.scope(stage.call(&[DOWN, OK])).await;
        let sent = stage.sent();
        assert_eq!((sent.len(), sent[0].attempt), (1, 1));
    })
    .await;
    play_http(reference(), async |stage| {
        stage.call(&[DOWN, DOWN, OK]).await;
        let sent = stage.sent();
        let headers: Vec<Vec<&str>> = sent.iter().map(|sent| sent.header(ATTEMPT)).collect();
        assert_eq!(headers, [vec![], vec!["1"], vec!["2"]], "exactly one value");
        for (n, sent) in sent.iter().enumerate() {
            let given = sent.head.extensions.get::<Context>().map_or(0, Context::attempt);
            assert_eq!(given as usize, n, "in the extensions");
        }

        let mut request = get();
        request.headers_mut().insert(ATTEMPT, 2.into());
        stage.send(request, &[DOWN, OK]).await;
        let sent = stage.sent();
        assert_eq!((sent.len(), sent[0].header(ATTEMPT)), (1, vec!["2"]), "it goes on");

        let second = Context::new().with_attempt(1);
        second.scope(stage.call(&[DOWN, OK])).await;
        let sent = stage.sent();
        assert_eq!((sent.len(), sent[0].header(ATTEMPT)), (1, vec!["1"]), "and out of a handler");
    })
    .await;
}
