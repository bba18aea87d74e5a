//! Many at once.

use super::bank::{Bank, Mood};
use super::customer::Customer;
use super::process::{Shop, folder};
use std::collections::BTreeSet;

/// Places as many orders at once as there are keys.
async fn at_once(
    customer: &Customer<'_>,
    keys: Vec<String>,
    items: &'static [(&str, i64)],
) -> Vec<super::customer::Said> {
    let orders = keys.iter().map(|key| customer.order(key, items));
    together(orders).await
}

/// Awaits all of them at once.
pub async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn sixty_four_times_one_key_is_one_order_and_one_charge() {
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    let answers = at_once(&ada, vec!["one".to_owned(); 64], &[("tea-mint", 1)]).await;
    assert!(answers.iter().all(|said| said.status == 201 || said.status == 202), "{answers:?}");
    let ids: BTreeSet<_> = answers.iter().map(|said| said.text("id")).collect();
    assert_eq!((answers.len(), ids.len()), (64, 1));
    let order = ada.settled(ids.first().unwrap()).await;
    assert_eq!(order["status"], "CONFIRMED");
    assert_eq!(bank.taken_and_kept(), (1, 590));
    assert_eq!(ada.stock("tea-mint").await, 999);
    assert_eq!(ada.get("/api/v1/orders").await.body["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_one_is_sold_to_one_of_sixty_four() {
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    assert_eq!(ada.order("all but one", &[("pot-glass", 999)]).await.status, 400, "a key has no spaces");
    assert_eq!(ada.order("all-but-one", &[("pot-glass", 999)]).await.status, 201);
    let answers = at_once(&ada, (0..64).map(|n| format!("k{n}")).collect(), &[("pot-glass", 1)]).await;
    let mut sold = 0;
    for said in &answers {
        let id =
            said.body["id"].as_str().or(said.body["order"].as_str()).unwrap_or_else(|| panic!("{said:?}"));
        match ada.settled(id).await["status"].as_str() {
            Some("CONFIRMED") => sold += 1,
            _ => assert!(said.status == 409 || said.status == 202, "{said:?}"),
        }
        if said.status == 409 {
            said.is_problem(409);
        }
    }
    assert_eq!((sold, ada.stock("pot-glass").await), (1, 0));
    assert_eq!(bank.taken_and_kept(), (2, 1000 * 3490));
}
