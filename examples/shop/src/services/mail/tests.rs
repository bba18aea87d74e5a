use super::*;
use crate::contracts::events::{ORDER_CREATED, OrderEvent, USER_CREATED, UserEvent};
use axum::response::IntoResponse;
use serde::Serialize;
use tempfile::TempDir;

async fn mailbox() -> (TempDir, Mailbox) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::scratch(folder.path(), "mail", &mailbox::TABLES).await.unwrap();
    (folder, Mailbox::new(store))
}

fn message(id: &str, topic: &str, event: &impl Serialize) -> Message {
    let payload = serde_json::to_string(event).unwrap();
    Message { id: id.into(), topic: topic.into(), payload, created_at: 0 }
}

fn order(id: &str, buyer: &str) -> OrderEvent {
    OrderEvent {
        order_id: id.into(),
        user_id: "u".into(),
        buyer: buyer.into(),
        items: Vec::new(),
        total_cents: Some(1234),
        reason: Some("out of stock".into()),
    }
}

#[tokio::test]
async fn one_mail_of_each_kind_for_each_order() {
    let (_folder, mailbox) = mailbox().await;
    for (message_id, kind, order_id) in [
        ("m1", ORDER_CREATED, "o1"),
        // The same message again, and the same news in another message.
        ("m1", ORDER_CREATED, "o1"),
        ("m2", ORDER_CREATED, "o1"),
        ("m3", "order.confirmed", "o1"),
        ("m4", "order.cancelled", "o2"),
    ] {
        receive(mailbox.clone(), message(message_id, kind, &order(order_id, "Ada"))).await.unwrap();
    }
    let mails = mailbox.newest(10).await.unwrap();
    let kinds: Vec<_> = mails.iter().map(|mail| (mail.subject_id.as_str(), mail.kind.as_str())).collect();
    assert_eq!(kinds, [("o2", "order.cancelled"), ("o1", "order.confirmed"), ("o1", "order.created")]);
    assert!(mails.iter().all(|mail| mail.recipient == "Ada" && mail.body.contains("Dear Ada")), "{mails:?}");
    assert!(mails[1].body.contains("12.34") && mails[0].body.contains("out of stock"), "{mails:?}");
    assert_eq!(mailbox.newest(1).await.unwrap(), mails[..1]);
}

#[tokio::test]
async fn a_user_is_greeted_by_name_and_email() {
    let (_folder, mailbox) = mailbox().await;
    let ada = UserEvent { user_id: "u".into(), name: "Ada".into(), email: "ada@example.org".into() };
    receive(mailbox.clone(), message("m", USER_CREATED, &ada)).await.unwrap();
    let mails = mailbox.newest(10).await.unwrap();
    assert_eq!((mails[0].subject_id.as_str(), mails[0].recipient.as_str()), ("u", "Ada <ada@example.org>"));
}

#[tokio::test]
async fn what_makes_no_mail_is_refused_with_a_reason_and_changes_nothing() {
    let (_folder, mailbox) = mailbox().await;
    for (topic, says) in [("order.lost", "no mail is written about order.lost"), (ORDER_CREATED, "payload")] {
        match receive(mailbox.clone(), message("m", topic, &"nonsense")).await {
            Err(Unhandled::Message(why)) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    receive(mailbox.clone(), message("m", ORDER_CREATED, &order("o1", "Ada"))).await.unwrap();
    assert_eq!(mailbox.newest(10).await.unwrap().len(), 1, "the inbox has not taken it for known");
}

#[tokio::test]
async fn what_no_store_has_room_for_is_the_message_s_fault() {
    let (_folder, mailbox) = mailbox().await;
    for (id, buyer) in
        [(&*"o".repeat(41), "Ada"), ("o1", &*"A".repeat(401)), ("o\0", "Ada"), ("o1", "A\0"), ("", "Ada")]
    {
        match receive(mailbox.clone(), message("m", ORDER_CREATED, &order(id, buyer))).await {
            Err(Unhandled::Message(why)) => assert!(why.ends_with("characters"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(mailbox.newest(10).await.unwrap(), []);
}

#[tokio::test]
async fn the_inbox_forgets_what_is_old_batch_by_batch_and_writes_no_second_mail() {
    let (_folder, mailbox) = mailbox().await;
    for n in 0..501 {
        let order = order(&format!("o{n}"), "Ada");
        receive(mailbox.clone(), message(&format!("m{n:03}"), ORDER_CREATED, &order)).await.unwrap();
    }
    let now = now_ms();
    assert_eq!(mailbox.forget(now - mailbox::REMEMBERED_MS).await.unwrap(), 0, "nothing is old");
    let later = now + 1;
    assert_eq!(mailbox.forget(later).await.unwrap(), 500);
    assert_eq!(mailbox.forget(later).await.unwrap(), 1);
    assert_eq!(mailbox.forget(later).await.unwrap(), 0);
    for n in 0..2 {
        let order = order(&format!("o{n}"), "Ada");
        receive(mailbox.clone(), message(&format!("m{n:03}"), ORDER_CREATED, &order)).await.unwrap();
    }
    assert_eq!(mailbox.newest(1000).await.unwrap().len(), 501);
    assert_eq!(mailbox.forget(now_ms() + 1).await.unwrap(), 2, "they were remembered again");
}

/// A relay that dies after it has published, and before it has deleted, publishes again: whether the message is still
/// in its queue or was consumed meanwhile.
#[tokio::test]
async fn published_twice_is_one_mail() {
    let (folder, mailbox) = mailbox().await;
    let bus = Bus::open(&Config::test(folder.path()), BINDINGS).await.unwrap();
    let consumer = mailbox.clone();
    let consume = bus.clone().consume(MAIL, move |message| receive(consumer.clone(), message));
    let consumer = tokio::spawn(consume);
    let publish = async |id| {
        let events = vec![message(id, ORDER_CREATED, &order(id, "Ada"))];
        bus.publish(events.clone()).await.unwrap();
        bus.publish(events).await.unwrap();
    };
    for round in ["o1", "o1", "o2", "o1", "o3"] {
        publish(round).await;
        bus.drained(MAIL).await;
    }
    // What is on its way from a broker to its consumer counts for neither.
    while mailbox.newest(10).await.unwrap().len() < 3 {
        sleep(Duration::from_millis(2)).await;
    }
    consumer.abort();
    let mails = mailbox.newest(10).await.unwrap();
    let subjects: Vec<_> = mails.iter().map(|mail| mail.subject_id.as_str()).collect();
    assert_eq!(subjects, ["o3", "o2", "o1"]);
}

#[tokio::test]
async fn a_list_has_a_limit() {
    let (_folder, mailbox) = mailbox().await;
    for n in 0..3 {
        let order = order(&format!("o{n}"), "Ada");
        receive(mailbox.clone(), message(&format!("m{n}"), ORDER_CREATED, &order)).await.unwrap();
    }
    let listed = async |query: &str| {
        let uri = format!("/mails{query}").parse().unwrap();
        let said = list(State(mailbox.clone()), Query::try_from_uri(&uri)).await;
        said.map(|Json(said)| said.mails.len()).map_err(|no| no.into_response().status())
    };
    assert_eq!(listed("").await, Ok(3));
    assert_eq!(listed("?limit=2").await, Ok(2));
    for query in ["?limit=0", "?limit=501", "?limit=-1", "?limit=many"] {
        assert_eq!(listed(query).await, Err(StatusCode::BAD_REQUEST), "{query}");
    }
}
