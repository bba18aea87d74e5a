//! No piece is lost, and none is there twice.

use super::super::books::{Books, Hold, Product, Reservation, Step, goods};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use std::collections::HashMap;

pub static STOCK: Invariant = Invariant {
    sentence: "stock, reserved and sold add up to what was stocked, and to what the orders have",
    things: "products",
    reads: "products; reservations; orders",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::of(books.products.len());
    let (mut held, mut sold) = (sums(books, Hold::Held), sums(books, Hold::Committed));
    for product in &books.products {
        adds_up(product, &mut found);
        for (what, said, sums) in [
            ("not what is reserved", product.reserved, &mut held),
            ("not what is sold", product.sold, &mut sold),
        ] {
            let summed = sums.remove(product.id.as_str()).unwrap_or(0);
            if i128::from(said) != summed {
                let (id, kind) = (&product.id, what.trim_start_matches("not what is "));
                let text = format!("product {id} has {said} {kind}, and its reservations have {summed}");
                found.complain(id, what, text);
            }
        }
    }
    for id in held.into_keys().chain(sold.into_keys()) {
        found.complain(id, "no such product", format!("reservations name product {id}, and there is none"));
    }
    goods_have_their_order(books, &mut found);
    found
}

fn adds_up(product: &Product, found: &mut Findings) {
    let Product { id, stocked, stock, reserved, sold, .. } = product;
    let sum = i128::from(*stock) + i128::from(*reserved) + i128::from(*sold);
    let figures = format!("stock {stock} + reserved {reserved} + sold {sold}");
    if sum != i128::from(*stocked) {
        found.complain(
            id,
            "not the sum",
            format!("product {id} has {figures} = {sum}, and {stocked} were stocked"),
        );
    }
    if [*stocked, *stock, *reserved, *sold].into_iter().any(|count| count < 0) {
        found.complain(
            id,
            "negative",
            format!("product {id} has less than none: {figures}, stocked {stocked}"),
        );
    }
}

/// How many of each product are in the reservations of a kind.
fn sums(books: &Books, hold: Hold) -> HashMap<&str, i128> {
    let mut sums = HashMap::new();
    let those = books.reservations.values().filter(|reservation| reservation.hold == hold);
    for item in those.flat_map(|reservation| &reservation.items) {
        *sums.entry(item.product_id.as_str()).or_default() += i128::from(item.quantity);
    }
    sums
}

/// What a confirmed order has bought is sold; what is held or sold is so for an order. The goods of a cancelled one
/// have an invariant of their own.
fn goods_have_their_order(books: &Books, found: &mut Findings) {
    for (id, order) in &books.orders {
        let hold = books.reservations.get(id).map(|reservation| reservation.hold);
        if order.step == Step::Confirmed && hold != Some(Hold::Committed) {
            let hold = hold.map_or("missing".to_owned(), |hold| hold.to_string());
            found.complain(
                id,
                "goods not sold",
                format!("order {id} is CONFIRMED, and its reservation is {hold}"),
            );
        }
    }
    let kept = books.reservations.iter().filter(|(_, reservation)| reservation.hold != Hold::Released);
    for (id, Reservation { hold, items, .. }) in kept {
        match books.orders.get(id) {
            None => {
                found.complain(
                    id,
                    "no order",
                    format!("reservation {id} is {hold}, and there is no such order"),
                );
            }
            Some(order) if order.items != *items => {
                let (ordered, kept) = (goods(&order.items), goods(items));
                let text = format!("order {id} is of {ordered}, and its reservation of {kept} is {hold}");
                found.complain(id, "other goods", text);
            }
            Some(_) => {}
        }
    }
}
