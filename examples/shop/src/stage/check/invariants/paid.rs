//! Who gets goods has paid, once and as much as they cost; nobody else has.
//!
//! That a cancelled order keeps no money is a sentence of its own, and so is that every other order comes to its end;
//! neither is said twice.

use super::super::books::{Bank, Books, Order, Step};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use super::money::{self, Money};
use std::collections::HashMap;

pub static PAID: Invariant = Invariant {
    sentence: "an order is CONFIRMED exactly when one captured, unrefunded payment of its total exists",
    things: "orders",
    reads: "orders; payments; the bank's charges and movements",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::of(books.orders.len());
    let money = money::by_order(books);
    let nothing = Money::default();
    for (id, order) in books.orders.iter().filter(|(_, order)| order.step == Step::Confirmed) {
        is_paid(id, order, money.get(id.as_str()).unwrap_or(&nothing), books.bank.is_some(), &mut found);
    }
    for (id, money) in &money {
        once(id, money, &mut found);
        if !books.orders.contains_key(*id) {
            for payment in money.captured() {
                let (payment, cents) = (&payment.id, payment.amount_cents);
                let text = format!(
                    "payment {payment} has captured {cents} cents for order {id}, which does not exist"
                );
                found.complain(id, "captured without an order", text);
            }
            if money.kept_cents != 0 {
                let cents = money.kept_cents;
                let text = format!("the bank keeps {cents} cents for order {id}, which does not exist");
                found.complain(id, "kept without an order", text);
            }
        }
    }
    if let Some(bank) = &books.bank {
        agrees_with_itself(bank, &mut found);
    }
    found
}

fn is_paid(id: &str, order: &Order, money: &Money<'_>, bank: bool, found: &mut Findings) {
    let total = order.total_cents.map_or("an unknown total".to_owned(), |total| format!("{total} cents"));
    if money.captured().next().is_none() {
        let states: Vec<_> =
            money.payments.iter().map(|payment| format!("{} is {}", payment.id, payment.state)).collect();
        let states = if states.is_empty() { "there is none".to_owned() } else { states.join(", ") };
        let text = format!("order {id} is CONFIRMED at {total}, and no payment is captured: {states}");
        found.complain(id, "no payment", text);
    }
    for payment in money.captured().filter(|payment| Some(payment.amount_cents) != order.total_cents) {
        let (payment, cents) = (&payment.id, payment.amount_cents);
        let text =
            format!("order {id} is CONFIRMED at {total}, and payment {payment} has captured {cents} cents");
        found.complain(id, "another amount", text);
    }
    let named = order.payment_id.as_deref();
    for payment in money.captured().filter(|payment| named != Some(payment.id.as_str())) {
        let (payment, named) = (&payment.id, named.unwrap_or("none"));
        let text = format!("order {id} is CONFIRMED and names payment {named}, and {payment} is captured");
        found.complain(id, "another payment", text);
    }
    if bank && order.total_cents.map(i128::from) != Some(money.kept_cents) {
        let (kept, takings) = (money.kept_cents, money.takings);
        let text = format!(
            "order {id} is CONFIRMED at {total}, and the bank keeps {kept} cents of it after taking money {takings} times"
        );
        found.complain(id, "the bank says otherwise", text);
    }
}

/// A double charge is one for ever, even when it was given back.
fn once(id: &str, money: &Money<'_>, found: &mut Findings) {
    let captured: Vec<_> = money.captured().map(|payment| payment.id.as_str()).collect();
    if captured.len() > 1 {
        let text = format!("order {id} is paid {} times: by {}", captured.len(), captured.join(" and "));
        found.complain(id, "captured twice", text);
    }
    if money.takings > 1 {
        let text = format!("the bank has taken money for order {id} {} times", money.takings);
        found.complain(id, "taken twice", text);
    }
}

/// A charge that the bank calls captured is one of which it keeps all, and of any other it keeps nothing.
fn agrees_with_itself(bank: &Bank, found: &mut Findings) {
    let mut kept: HashMap<&str, i128> = HashMap::new();
    for movement in &bank.movements {
        *kept.entry(&movement.charge).or_default() += i128::from(movement.amount_cents);
    }
    for charge in &bank.charges {
        let (id, kept) = (&charge.id, kept.remove(charge.id.as_str()).unwrap_or(0));
        let should = if charge.is_captured { i128::from(charge.amount_cents) } else { 0 };
        if kept != should {
            let text = format!(
                "the bank should keep {should} cents of charge {id}, and its movements come to {kept}"
            );
            found.complain(id, "the bank contradicts itself", text);
        }
    }
    for (id, kept) in kept.into_iter().filter(|(_, kept)| *kept != 0) {
        found.complain(
            id,
            "no such charge",
            format!("the bank keeps {kept} cents of charge {id}, which it does not know"),
        );
    }
}
