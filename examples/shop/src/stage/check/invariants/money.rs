//! What the payments and the bank say of each order.

use super::super::books::{Books, Payment, PaymentState};
use std::collections::HashMap;

/// The money of one order.
#[derive(Debug, Default)]
pub struct Money<'a> {
    pub payments: Vec<&'a Payment>,
    /// What the bank has taken for it and not given back.
    pub kept_cents: i128,
    /// How often the bank has taken money for it.
    pub takings: usize,
}

impl<'a> Money<'a> {
    pub fn captured(&self) -> impl Iterator<Item = &'a Payment> {
        self.payments.iter().copied().filter(|payment| payment.state == PaymentState::Captured)
    }
}

/// The money of each order of which anybody knows money.
pub fn by_order(books: &Books) -> HashMap<&str, Money<'_>> {
    let mut money: HashMap<&str, Money<'_>> = HashMap::new();
    // A key that was used up before anything was charged belongs to no order.
    for payment in books.payments.iter().filter(|payment| !payment.order.is_empty()) {
        money.entry(&payment.order).or_default().payments.push(payment);
    }
    for movement in books.bank.iter().flat_map(|bank| &bank.movements) {
        let order = money.entry(&movement.order).or_default();
        order.kept_cents += i128::from(movement.amount_cents);
        order.takings += usize::from(movement.amount_cents > 0);
    }
    money
}
