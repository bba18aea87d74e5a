use super::super::token::{AUDIENCE, ISSUER, Key};
use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn key(kid: &str) -> Key {
    Key::from_seed(kid.into(), &[kid.len() as u8; 32])
}

fn token(kid: &str) -> String {
    let iat = now_ms() / 1000;
    let (iss, aud, sub, jti) = (ISSUER.into(), AUDIENCE.into(), "u1".into(), "s1".into());
    let (role, epoch) = (Role::Customer, 0);
    key(kid).sign(&Claims { iss, aud, sub, iat, nbf: iat, exp: iat + 100, jti, role, epoch })
}

/// A gatekeeper of one key, how often it has asked, and whether there is somebody to ask.
fn gatekeeper() -> (Gatekeeper, Arc<AtomicUsize>, Arc<AtomicBool>) {
    let (asked, is_there) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let (count, there) = (asked.clone(), is_there.clone());
    let gatekeeper = Gatekeeper::asking(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let told = Jwks { keys: vec![key("k").public()], ended: Vec::new(), now: now_ms() };
        let there = there.load(Ordering::SeqCst);
        async move {
            tokio::task::yield_now().await;
            if there { Ok(told) } else { Err(Problem::unavailable("nobody is there")) }
        }
    });
    (gatekeeper, asked, is_there)
}

async fn status(gatekeeper: &Gatekeeper, token: &str) -> u16 {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    use axum::response::IntoResponse;
    gatekeeper.identify(&headers).await.map_or_else(|no| no.into_response().status().as_u16(), |_| 200)
}

#[tokio::test(start_paused = true)]
async fn all_who_come_first_are_told_by_one_question() {
    let (gatekeeper, asked, _) = gatekeeper();
    let all = (0..32).map(|_| {
        let gatekeeper = gatekeeper.clone();
        async move { status(&gatekeeper, &token("k")).await }
    });
    assert_eq!(tokio::task::JoinSet::from_iter(all).join_all().await, [200; 32]);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_make_nobody_ask_often() {
    let (gatekeeper, asked, _) = gatekeeper();
    for _ in 0..200 {
        assert_eq!(status(&gatekeeper, &token("unknown")).await, 401);
    }
    assert!((2..=4).contains(&asked.load(Ordering::SeqCst)), "{asked:?}");
    assert_eq!(status(&gatekeeper, &token("k")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_known_while_nobody_answers() {
    let (gatekeeper, asked, is_there) = gatekeeper();
    is_there.store(false, Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(status(&gatekeeper, &token("k")).await, 503, "nobody can tell");
    }
    assert!(asked.load(Ordering::SeqCst) <= 4, "{asked:?}");
    is_there.store(true, Ordering::SeqCst);
    sleep(EVERY * 2).await;
    assert_eq!(status(&gatekeeper, &token("k")).await, 200);
    is_there.store(false, Ordering::SeqCst);
    let before = asked.load(Ordering::SeqCst);
    sleep(EVERY * 10).await;
    assert!(asked.load(Ordering::SeqCst) >= before + 9, "it asks on");
    assert_eq!(status(&gatekeeper, &token("k")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_when_all_have_gone_who_check() {
    let (gatekeeper, asked, _) = gatekeeper();
    assert_eq!(status(&gatekeeper, &token("k")).await, 200);
    drop(gatekeeper);
    let before = asked.load(Ordering::SeqCst);
    sleep(EVERY * 10).await;
    assert_eq!(asked.load(Ordering::SeqCst), before);
}
