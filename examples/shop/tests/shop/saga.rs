//! Money is never lost: what the bank does not answer is not known, and found out.

use super::bank::{Bank, Mood};
use super::customer::Customer;
use super::process::{Shop, folder};
use tempfile::TempDir;

async fn open(mood: Mood) -> (TempDir, Bank, Shop) {
    let (folder, bank) = (folder(), Bank::open(mood).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    (folder, bank, shop)
}

/// Places an order of a mint tea that must not be decided now.
async fn pending(ada: &Customer<'_>) -> String {
    let order = ada.order("k", &[("tea-mint", 1)]).await;
    assert_eq!((order.status.as_u16(), order.text("status")), (202, "PENDING"), "{order:?}");
    assert_eq!(order.headers["location"], format!("/api/v1/orders/{}", order.text("id")));
    assert_eq!(ada.stock("tea-mint").await, 999, "what is not paid yet is reserved");
    order.text("id").to_owned()
}

#[tokio::test]
async fn a_silent_bank_makes_a_pending_order_that_is_confirmed_later() {
    let (_folder, bank, shop) = open(Mood::Silent).await;
    let ada = Customer::new(&shop).await;
    let order = pending(&ada).await;
    assert_eq!(bank.taken_and_kept(), (0, 0));
    bank.set(Mood::Good);
    let order = ada.settled(&order).await;
    assert_eq!(order["status"], "CONFIRMED");
    assert_eq!(bank.taken_and_kept(), (1, 590));
    assert_eq!(ada.payment(&order).await["status"], "CAPTURED");
}

#[tokio::test]
async fn a_lost_reply_is_no_second_charge() {
    let (_folder, bank, shop) = open(Mood::ReplyLost).await;
    let ada = Customer::new(&shop).await;
    let order = pending(&ada).await;
    assert_eq!(bank.taken_and_kept(), (1, 590), "taken, and nobody was told");
    assert_eq!(ada.order("k", &[("tea-mint", 1)]).await.text("status"), "PENDING");
    bank.set(Mood::Good);
    assert_eq!(ada.settled(&order).await["status"], "CONFIRMED");
    assert_eq!(bank.taken_and_kept(), (1, 590));
}

#[tokio::test]
async fn a_broken_bank_has_decided_nothing() {
    let (_folder, bank, shop) = open(Mood::Broken).await;
    let ada = Customer::new(&shop).await;
    let order = pending(&ada).await;
    bank.set(Mood::Good);
    assert_eq!(ada.settled(&order).await["status"], "CONFIRMED");
    assert_eq!(bank.taken_and_kept(), (1, 590));
}

#[tokio::test]
async fn a_declined_order_is_cancelled_and_keeps_nothing() {
    let (_folder, bank, shop) = open(Mood::Declines).await;
    let ada = Customer::new(&shop).await;
    for _ in 0..2 {
        let said = ada.order("k", &[("tea-mint", 1)]).await;
        said.is_problem(402);
        assert_eq!(ada.settled(said.text("order")).await["status"], "CANCELLED");
        assert_eq!(ada.stock("tea-mint").await, 1000);
        assert_eq!(bank.taken_and_kept(), (0, 0));
    }
}

#[tokio::test]
async fn a_pending_order_can_be_cancelled_whatever_the_bank_did() {
    for (mood, taken) in [(Mood::Silent, 0), (Mood::ReplyLost, 1)] {
        let (_folder, bank, shop) = open(mood).await;
        let ada = Customer::new(&shop).await;
        let order = pending(&ada).await;
        let said = ada.cancel(&order).await;
        assert_eq!((said.status.as_u16(), said.text("status")), (202, "REFUNDING"), "{said:?}");
        bank.set(Mood::Good);
        assert_eq!(ada.settled(&order).await["status"], "CANCELLED");
        assert_eq!(bank.taken_and_kept(), (taken, 0));
        assert_eq!(ada.stock("tea-mint").await, 1000);
    }
}

#[tokio::test]
async fn an_order_outlives_a_crash() {
    let (folder, bank, shop) = open(Mood::ReplyLost).await;
    let ada = Customer::new(&shop).await;
    let order = pending(&ada).await;
    let (email, token) = (ada.email, ada.token);
    assert_eq!(shop.stop("KILL").await, None);
    bank.set(Mood::Good);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer { shop: &shop, email, token };
    assert_eq!(ada.settled(&order).await["status"], "CONFIRMED");
    assert_eq!(bank.taken_and_kept(), (1, 590));
    assert_eq!(ada.stock("tea-mint").await, 999);
}

#[tokio::test]
async fn who_is_being_served_when_the_shop_closes_gets_an_answer() {
    let (folder, bank, shop) = open(Mood::Silent).await;
    let ada = Customer::new(&shop).await;
    let close = async {
        while bank.patience().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        shop.signal("TERM").await;
    };
    let items = [("tea-mint", 1)];
    let (order, ()) = tokio::join!(ada.order("k", &items), close);
    assert_eq!((order.status.as_u16(), order.text("status")), (202, "PENDING"), "{order:?}");
    let (email, token) = (ada.email, ada.token);
    assert_eq!(shop.ended().await, Some(0));

    bank.set(Mood::Good);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer { shop: &shop, email, token };
    assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
}
