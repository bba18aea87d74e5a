//! Nothing is left lying about.

use super::super::books::{Books, Hold, Order, Payment};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};

pub static SETTLED: Invariant = Invariant {
    sentence: "no order, payment or reservation is open 30 s after the last fault ended",
    things: "orders, payments and reservations",
    reads: "orders; payments; reservations; faults",
    examine,
};

fn examine(books: &Books, calm: Calm) -> Findings {
    let mut found = Findings::of(books.orders.len() + books.payments.len() + books.reservations.len());
    for (id, order) in books.orders.iter().filter(|(_, order)| !order.step.is_final()) {
        let begun = order.under_way_since();
        found.open(calm.age(begun), id, "order", || {
            format!("order {id} is {} and has been under way for {} s", order.step, calm.seconds_since(begun))
        });
    }
    for payment in books.payments.iter().filter(|payment| payment.state.is_open()) {
        // A refund may begin long after the payment, but not before its order has turned back.
        let begun = begun_with(books, &payment.order)
            .map_or(payment.created_at, |since| since.max(payment.created_at));
        found.open(calm.age(begun), &payment.id, "payment", || {
            let Payment { id, order, state, amount_cents, .. } = payment;
            let seconds = calm.seconds_since(begun);
            format!("payment {id} of {amount_cents} cents for order {order} has been {state} for {seconds} s")
        });
    }
    for (id, _) in books.reservations.iter().filter(|(_, reservation)| reservation.hold == Hold::Held) {
        // Nobody will ever come for what no order holds.
        let begun = begun_with(books, id).unwrap_or(i64::MIN);
        found.open(calm.age(begun), id, "reservation", || format!("the reservation of order {id} is HELD"));
    }
    found
}

fn begun_with(books: &Books, order: &str) -> Option<i64> {
    books.orders.get(order).map(Order::under_way_since)
}
