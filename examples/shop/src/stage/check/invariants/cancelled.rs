//! Who gets nothing pays nothing.

use super::super::books::{Books, Hold, PaymentState, Step, goods};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use super::money;

pub static CANCELLED: Invariant = Invariant {
    sentence: "a CANCELLED order keeps no money and no stock",
    things: "cancelled orders",
    reads: "orders; payments; the bank's movements; reservations",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let money = money::by_order(books);
    let mut found = Findings::default();
    for id in books.orders.iter().filter(|(_, order)| order.step == Step::Cancelled).map(|(id, _)| id) {
        found.looked_at += 1;
        if let Some(money) = money.get(id.as_str()) {
            // Of one that is not known, nobody can say that no money is kept.
            let ended = |state| matches!(state, PaymentState::Declined | PaymentState::Refunded);
            for payment in money.payments.iter().filter(|payment| !ended(payment.state)) {
                let (payment, cents, state) = (&payment.id, payment.amount_cents, payment.state);
                let text =
                    format!("order {id} is CANCELLED, and payment {payment} of {cents} cents is {state}");
                found.complain(id, "money kept", text);
            }
            if money.kept_cents != 0 {
                let text =
                    format!("order {id} is CANCELLED, and the bank keeps {} cents of it", money.kept_cents);
                found.complain(id, "money kept by the bank", text);
            }
        }
        if let Some(reservation) = books.reservations.get(id).filter(|it| it.hold != Hold::Released) {
            let (hold, goods) = (reservation.hold, goods(&reservation.items));
            let text = format!("order {id} is CANCELLED, and its reservation of {goods} is {hold}");
            found.complain(id, "stock kept", text);
        }
    }
    found
}
