//! What may be wrong with a shop, and what must be said to it.

/// The invariants, in the order in which they are told.
const STOCK: usize = 0;
const PAID: usize = 1;
const CANCELLED: usize = 2;
const MAILS: usize = 3;
pub const SETTLED: usize = 4;
const DRAINED: usize = 5;
const ACKNOWLEDGED: usize = 6;
const KEYS: usize = 7;
const PRICES: usize = 8;
const EVENTS: usize = 9;
const TURNED: usize = 10;

/// What was planted into a shop that is in order, and what must be said to it.
pub struct Case {
    pub name: &'static str,
    pub plant: &'static [(&'static str, &'static str)],
    pub journal: &'static str,
    pub broken: &'static [usize],
    pub waiting: &'static [usize],
    pub says: &'static [&'static str],
}

const fn breach(
    name: &'static str,
    plant: &'static [(&'static str, &'static str)],
    broken: &'static [usize],
    says: &'static [&'static str],
) -> Case {
    Case { name, plant, journal: "", broken, waiting: &[], says }
}

/// A text for SQL: `{now}` and `{old}` are times, and what is in the shop stands in `ledgers.rs`.
pub const CASES: &[Case] = &[
    breach("a clean shop", &[], &[], &[]),
    // Money.
    breach(
        "two captured payments",
        &[(
            "payment",
            "INSERT INTO payments VALUES ('p9', 'k9', 'o1', 'u1', 590, 'STATE_CAPTURED', '', {old})",
        )],
        &[PAID],
        &["order o1 is paid 2 times: by p1 and p9"],
    ),
    breach(
        "the bank has taken money twice",
        &[
            ("bank", "INSERT INTO charges VALUES ('k9', 590, 'o1', 'CAPTURED', NULL)"),
            ("bank", "INSERT INTO movements VALUES ('m9', 'k9', 'o1', 590, {old})"),
        ],
        &[PAID],
        &["the bank has taken money for order o1 2 times", "the bank keeps 1180 cents"],
    ),
    breach(
        "a double charge that was given back",
        &[
            ("bank", "INSERT INTO charges VALUES ('k9', 590, 'o1', 'REFUNDED', NULL)"),
            (
                "bank",
                "INSERT INTO movements VALUES ('m8', 'k9', 'o1', 590, {old}), ('m9', 'k9', 'o1', -590, {old})",
            ),
        ],
        &[PAID],
        &["the bank has taken money for order o1 2 times"],
    ),
    breach(
        "a confirmed order whose payment was declined",
        &[("payment", "UPDATE payments SET state = 'STATE_DECLINED' WHERE id = 'p1'")],
        &[PAID],
        &["order o1 is CONFIRMED at 590 cents, and no payment is captured: p1 is DECLINED"],
    ),
    breach(
        "a confirmed order without a payment",
        &[("payment", "DELETE FROM payments WHERE id = 'p1'")],
        &[PAID],
        &["order o1 is CONFIRMED at 590 cents, and no payment is captured: there is none"],
    ),
    breach(
        "a confirmed order whose money was given back",
        &[
            ("bank", "UPDATE charges SET state = 'REFUNDED' WHERE id = 'o1'"),
            ("bank", "INSERT INTO movements VALUES ('m9', 'o1', 'o1', -590, {old})"),
        ],
        &[PAID],
        &["order o1 is CONFIRMED at 590 cents, and the bank keeps 0 cents"],
    ),
    breach(
        "a payment for an order that does not exist",
        &[(
            "payment",
            "INSERT INTO payments VALUES ('p9', 'k9', 'o9', 'u1', 70, 'STATE_CAPTURED', '', {old})",
        )],
        &[PAID],
        &["payment p9 has captured 70 cents for order o9, which does not exist"],
    ),
    breach(
        "money at the bank for an order that does not exist",
        &[
            ("bank", "INSERT INTO charges VALUES ('k9', 70, 'o9', 'CAPTURED', NULL)"),
            ("bank", "INSERT INTO movements VALUES ('m9', 'k9', 'o9', 70, {old})"),
        ],
        &[PAID],
        &["the bank keeps 70 cents for order o9, which does not exist"],
    ),
    breach(
        "a payment of another amount",
        &[("payment", "UPDATE payments SET amount_cents = 600 WHERE id = 'p1'")],
        &[PAID],
        &["order o1 is CONFIRMED at 590 cents, and payment p1 has captured 600 cents"],
    ),
    breach(
        "the bank has taken another amount",
        &[
            ("bank", "UPDATE charges SET amount_cents = 500 WHERE id = 'o1'"),
            ("bank", "UPDATE movements SET amount_cents = 500 WHERE charge_id = 'o1'"),
        ],
        &[PAID],
        &["order o1 is CONFIRMED at 590 cents, and the bank keeps 500 cents"],
    ),
    breach(
        "a bank that contradicts itself",
        &[("bank", "UPDATE charges SET state = 'REFUNDED' WHERE id = 'o1'")],
        &[PAID],
        &["the bank should keep 0 cents of charge o1, and its movements come to 590"],
    ),
    breach(
        "a movement of no charge",
        &[(
            "bank",
            "INSERT INTO movements VALUES ('m8', 'k9', 'o3', 70, {old}), ('m9', 'k7', 'o3', -70, {old})",
        )],
        &[PAID],
        &["the bank keeps 70 cents of charge k9, which it does not know"],
    ),
    breach(
        "an order that costs less than its goods",
        &[
            ("order", "UPDATE orders SET total_cents = 1 WHERE id = 'o1'"),
            ("payment", "UPDATE payments SET amount_cents = 1 WHERE id = 'p1'"),
            ("bank", "UPDATE charges SET amount_cents = 1 WHERE id = 'o1'"),
            ("bank", "UPDATE movements SET amount_cents = 1 WHERE charge_id = 'o1'"),
        ],
        &[PRICES],
        &[
            "order o1 costs 1 cents, and the prices of 1 tea come to 590",
            "order o1 is CONFIRMED at 1 cents, and its goods cost 590 cents",
        ],
    ),
    breach(
        "an order that costs less than the shelf says",
        &[("product", "UPDATE products SET price_cents = 1000 WHERE id = 'cup'")],
        &[PRICES],
        &["order o3 costs 900 cents, and the prices of 1 cup come to 1000"],
    ),
    // Keys.
    breach(
        "two orders of one key",
        &[
            (
                "order",
                "INSERT INTO orders VALUES ('o9', 'u1', 'k1', 'PENDING', '[]', NULL, 'Ada', NULL, NULL, {now} + 60000, {now} + 60000, 0, {now})",
            ),
            TOLD,
        ],
        &[KEYS],
        &["user u1 has 2 orders of key k1: o1 and o9"],
    ),
    breach(
        "the same key of somebody else",
        &[
            (
                "order",
                "INSERT INTO orders VALUES ('o9', 'u2', 'k1', 'PENDING', '[]', NULL, 'Ada', NULL, NULL, {now} + 60000, {now} + 60000, 0, {now})",
            ),
            TOLD,
        ],
        &[],
        &["1 PENDING"],
    ),
    breach(
        "two payments of one key",
        &[
            ("payment", "DELETE FROM payments WHERE id = 'p0'"),
            ("payment", "ALTER TABLE payments RENAME TO payments_with_unique_keys"),
            (
                "payment",
                "CREATE TABLE payments AS SELECT * FROM payments_with_unique_keys
                 UNION ALL SELECT 'p9', 'o3', 'o3', 'u1', 900, 'STATE_DECLINED', '', {old}",
            ),
        ],
        &[KEYS],
        &["there are 2 payments of key o3: p3 and p9"],
    ),
    // Orders that turn back.
    breach(
        "an order that was turned back and went on",
        &[("order", "UPDATE orders SET reason = 'sent back' WHERE id = 'o1'")],
        &[TURNED],
        &["order o1 is CONFIRMED, and was turned back before: sent back"],
    ),
    // Events.
    breach(
        "an event of an order that does not exist",
        &[(
            "order",
            r#"INSERT INTO order_outbox VALUES ('e1', 'order.created', '{"order_id":"o9"}', {now} + 60000, {now} + 60000, 0)"#,
        )],
        &[EVENTS],
        &["message e1 in the outbox of order tells order.created of order o9, which does not exist"],
    ),
    breach(
        "an event of what has not happened",
        &[
            (
                "order",
                "INSERT INTO orders VALUES ('o9', 'u1', 'k9', 'PENDING', '[]', NULL, 'Ada', NULL, NULL, {now} + 60000, {now} + 60000, 0, {now})",
            ),
            TOLD,
            (
                "bus",
                r#"INSERT INTO messages VALUES ('mail', 'e1', 'order.confirmed', '{"order_id":"o9"}', {now} + 60000, {now} + 60000, 0)"#,
            ),
            (
                "bus",
                r#"INSERT INTO messages VALUES ('mail', 'e2', 'order.cancelled', '{"order_id":"o1"}', {now} + 60000, {now} + 60000, 0)"#,
            ),
            (
                "bus",
                r#"INSERT INTO messages VALUES ('mail', 'e3', 'user.created', '{"user_id":"u9"}', {now} + 60000, {now} + 60000, 0)"#,
            ),
            (
                "bus",
                "INSERT INTO messages VALUES ('mail', 'e4', 'order.created', 'poison', {now} + 60000, {now} + 60000, 0)",
            ),
        ],
        &[EVENTS],
        &[
            "message e1 in the queue tells order.confirmed of order o9, which is PENDING",
            "message e2 in the queue tells order.cancelled of order o1, which is CONFIRMED",
            "message e3 in the queue tells user.created of user u9, who does not exist",
            "; 3 wrong)",
        ],
    ),
    breach(
        "an order that names a payment of another one",
        &[("order", "UPDATE orders SET payment_id = 'p2' WHERE id = 'o1'")],
        &[PAID],
        &["order o1 is CONFIRMED and names payment p2, and p1 is captured"],
    ),
    // Cancelled orders.
    breach(
        "a cancelled order whose payment is captured",
        &[("payment", "UPDATE payments SET state = 'STATE_CAPTURED' WHERE id = 'p2'")],
        &[CANCELLED],
        &["order o2 is CANCELLED, and payment p2 of 1180 cents is CAPTURED"],
    ),
    breach(
        "a cancelled order whose refund never came",
        &[
            ("bank", "UPDATE charges SET state = 'CAPTURED' WHERE id = 'o2'"),
            ("bank", "DELETE FROM movements WHERE amount_cents < 0"),
        ],
        &[CANCELLED],
        &["order o2 is CANCELLED, and the bank keeps 1180 cents of it"],
    ),
    breach(
        "a cancelled order whose refund goes on",
        &[("payment", "UPDATE payments SET state = 'STATE_REFUNDING' WHERE id = 'p2'")],
        &[CANCELLED, SETTLED],
        &["order o2 is CANCELLED, and payment p2 of 1180 cents is REFUNDING"],
    ),
    breach(
        "a reservation held by a cancelled order",
        &[
            ("product", "UPDATE reservations SET state = 'HELD' WHERE id = 'o2'"),
            ("product", "UPDATE products SET stock = stock - 2, reserved = 2 WHERE id = 'tea'"),
        ],
        &[CANCELLED, SETTLED],
        &[
            "order o2 is CANCELLED, and its reservation of 2 tea is HELD",
            "the reservation of order o2 is HELD",
        ],
    ),
    breach(
        "a cancelled order that was sold",
        &[
            ("product", "UPDATE reservations SET state = 'COMMITTED' WHERE id = 'o2'"),
            ("product", "UPDATE products SET stock = stock - 2, sold = sold + 2 WHERE id = 'tea'"),
        ],
        &[CANCELLED],
        &["order o2 is CANCELLED, and its reservation of 2 tea is COMMITTED"],
    ),
    // Stock.
    breach(
        "a piece that is nowhere",
        &[("product", "UPDATE products SET stock = stock - 1 WHERE id = 'tea'")],
        &[STOCK],
        &["product tea has stock 8 + reserved 0 + sold 1 = 9, and 10 were stocked"],
    ),
    breach(
        "a piece that nobody has reserved",
        &[("product", "UPDATE products SET stock = stock - 1, reserved = 1 WHERE id = 'tea'")],
        &[STOCK],
        &["product tea has 1 reserved, and its reservations have 0"],
    ),
    breach(
        "a piece that nobody has bought",
        &[("product", "UPDATE products SET stock = stock - 1, sold = sold + 1 WHERE id = 'tea'")],
        &[STOCK],
        &["product tea has 2 sold, and its reservations have 1"],
    ),
    breach(
        "less than none",
        &[("product", "UPDATE products SET stock = -1, stocked = 0 WHERE id = 'tea'")],
        &[STOCK],
        &["product tea has less than none: stock -1 + reserved 0 + sold 1, stocked 0"],
    ),
    breach(
        "goods of a confirmed order that were given back",
        &[
            ("product", "UPDATE reservations SET state = 'RELEASED' WHERE id = 'o1'"),
            ("product", "UPDATE products SET stock = 10, sold = 0 WHERE id = 'tea'"),
        ],
        &[STOCK],
        &["order o1 is CONFIRMED, and its reservation is RELEASED"],
    ),
    breach(
        "goods of no order",
        &[
            (
                "product",
                r#"INSERT INTO reservations VALUES ('o9', 'COMMITTED', '[{"product_id":"cup","quantity":3}]', 9)"#,
            ),
            ("product", "UPDATE products SET stock = 2, sold = 3 WHERE id = 'cup'"),
        ],
        &[STOCK],
        &["reservation o9 is COMMITTED, and there is no such order"],
    ),
    breach(
        "other goods than were ordered",
        &[("order", r#"UPDATE orders SET items = '[{"product_id":"cup","quantity":3}]' WHERE id = 'o1'"#)],
        &[STOCK, PRICES],
        &["order o1 is of 3 cup, and its reservation of 1 tea is COMMITTED"],
    ),
    breach(
        "a product that is gone",
        &[("product", "DELETE FROM products WHERE id = 'tea'")],
        &[STOCK],
        &["reservations name product tea, and there is none"],
    ),
    // Mails.
    breach(
        "a mail that came twice",
        &[(
            "mail",
            "INSERT INTO mails SELECT 'x', subject_id, kind, recipient, body, created_at FROM mails WHERE id = 'o1c'",
        )],
        &[MAILS],
        &["o1 has 2 mails of order.confirmed"],
    ),
    breach(
        "mails that never came",
        &[("mail", "DELETE FROM mails WHERE id IN ('o1', 'o2x', 'u1')")],
        &[MAILS],
        &[
            "order o1 has no mail of order.created",
            "order o2 has no mail of order.cancelled",
            "user u1 has no mail of user.created",
        ],
    ),
    breach(
        "a mail of an order that is lost",
        &[
            ("mail", "INSERT INTO mails VALUES ('o9', 'o9', 'order.created', '', '', {old})"),
            ("mail", "INSERT INTO mails VALUES ('x', 'x', 'stock.low', '', '', {old})"),
        ],
        &[MAILS],
        &["a mail tells order.created of order o9, which does not exist"],
    ),
    breach(
        "a user who is lost",
        &[("user", "DELETE FROM users WHERE id = 'u1'")],
        &[MAILS],
        &["a mail greets user u1, who does not exist"],
    ),
    breach(
        "mails of what has not happened",
        &[
            ("mail", "INSERT INTO mails VALUES ('o1x', 'o1', 'order.cancelled', '', '', {old})"),
            ("mail", "INSERT INTO mails VALUES ('o9c', 'o9', 'order.confirmed', '', '', {old})"),
            (
                "order",
                r#"INSERT INTO orders VALUES ('o9', 'u1', 'k9', 'PAID', '[{"product_id":"tea","quantity":1}]', 590, 'Ada', NULL, NULL, {now} + 60000, {now} + 60000, 0, {now})"#,
            ),
            TOLD,
        ],
        &[MAILS],
        &[
            "a mail tells order.cancelled of order o1, which is CONFIRMED",
            "a mail tells order.confirmed of order o9, which is PAID",
        ],
    ),
    breach(
        "a mail that is under way",
        &[
            ("mail", "DELETE FROM mails WHERE id = 'o1c'"),
            (
                "bus",
                r#"INSERT INTO messages VALUES ('mail', 'e1', 'order.confirmed', '{"order_id":"o1"}', {now} + 60000, {now}, 0)"#,
            ),
        ],
        &[],
        &["; 1 just begun)"],
    ),
    breach(
        "an outbox that is not emptied",
        &[(
            "order",
            r#"INSERT INTO order_outbox VALUES ('e1', 'order.created', '{"order_id":"o1"}', {old}, {old}, 7)"#,
        )],
        &[DRAINED],
        &[
            "message e1 (order.created, o1) is in the outbox of order for ",
            " s, after 7 tries",
            "outbox 1, queue 0",
        ],
    ),
    breach(
        "another outbox that is not emptied",
        &[(
            "user",
            r#"INSERT INTO user_outbox VALUES ('e1', 'user.created', '{"user_id":"u1"}', {old}, {old}, 7)"#,
        )],
        &[DRAINED],
        &["is in the outbox of user"],
    ),
    breach(
        "a queue that is not emptied",
        &[(
            "bus",
            r#"INSERT INTO messages VALUES ('mail', 'e1', 'order.created', '{"order_id":"o1"}', {old}, {old}, 3)"#,
        )],
        &[DRAINED],
        &["message e1 (order.created, o1) is in the queue for ", " s, after 3 tries", "outbox 0, queue 1"],
    ),
    breach(
        "an order's mail that is a dead letter",
        &[
            ("mail", "DELETE FROM mails WHERE id = 'o1c'"),
            (
                "bus",
                r#"INSERT INTO dead_letters VALUES ('mail', 'e1', 'order.confirmed', '{"order_id":"o1"}', 'no ink', {old})"#,
            ),
        ],
        &[MAILS, DRAINED],
        &["message e1 (order.confirmed, o1) is a dead letter: no ink"],
    ),
    breach(
        "dead letters that nobody misses",
        &[
            (
                "bus",
                r#"INSERT INTO dead_letters VALUES ('mail', 'e1', 'order.confirmed', '{"order_id":"o1"}', 'twice', {old})"#,
            ),
            (
                "bus",
                "INSERT INTO dead_letters VALUES ('mail', 'e2', 'order.confirmed', 'poison', 'no JSON', {old})",
            ),
        ],
        &[],
        &["dead letters 2", "e1 (order.confirmed): twice", "e2 (order.confirmed): no JSON"],
    ),
    breach(
        "a dead letter of somebody else",
        &[("bus", "INSERT INTO dead_letters VALUES ('mail', 'e1', 'stock.low', '?', 'no ink', {old})")],
        &[],
        &["dead letters 1", "e1 (stock.low): no ink"],
    ),
    // What comes to no end.
    breach(
        "an order that is stuck",
        &[RESERVED, HELD, HELD_TEA, TOLD],
        &[SETTLED],
        &["order o9 is RESERVED and has been under way for 12", "the reservation of order o9 is HELD"],
    ),
    breach(
        "an order that is stuck long after the fault",
        &[
            RESERVED,
            HELD,
            HELD_TEA,
            TOLD,
            (
                "ops",
                "INSERT INTO faults VALUES ('f1', 'payment', 'kill', 0, 0, {old}, {now} + 9000, {now} - 31000)",
            ),
        ],
        &[SETTLED],
        &["order o9 is RESERVED"],
    ),
    breach(
        "an order that is stuck long after a fault that ended by itself",
        &[
            RESERVED,
            HELD,
            HELD_TEA,
            TOLD,
            ("ops", "INSERT INTO faults VALUES ('f1', 'payment', 'kill', 0, 0, {old}, {now} - 31000, NULL)"),
        ],
        &[SETTLED],
        &["order o9 is RESERVED"],
    ),
    Case {
        waiting: &[SETTLED],
        ..breach(
            "an order that waits after the fault",
            &[
                RESERVED,
                HELD,
                HELD_TEA,
                TOLD,
                (
                    "ops",
                    "INSERT INTO faults VALUES ('f1', 'payment', 'kill', 0, 0, {old}, {now} + 9000, {now} - 9000)",
                ),
            ],
            &[],
            &["order o9 is RESERVED", "10 of 11 invariants hold, 1 waiting, 0 broken."],
        )
    },
    Case {
        waiting: &[SETTLED, DRAINED],
        ..breach(
            "what waits while the fault lasts",
            &[
                RESERVED,
                (
                    "order",
                    r#"INSERT INTO order_outbox VALUES ('e1', 'order.created', '{"order_id":"o9"}', {old}, {old}, 7)"#,
                ),
                (
                    "ops",
                    "INSERT INTO faults VALUES ('f1', 'payment', 'kill', 0, 0, {old}, {now} + 60000, NULL)",
                ),
            ],
            &[],
            &["order o9 is RESERVED", "message e1"],
        )
    },
    breach(
        "a payment of which nobody knows",
        &[(
            "payment",
            "INSERT INTO payments VALUES ('p9', 'k9', 'o1', 'u1', 590, 'STATE_UNKNOWN', '', {old})",
        )],
        &[SETTLED],
        &["payment p9 of 590 cents for order o1 has been UNKNOWN for 12"],
    ),
    breach(
        "an order that turns back late",
        &[("order", "UPDATE orders SET step = 'REFUNDING', updated_at = {now} + 60000 WHERE id = 'o1'")],
        &[],
        &["1 REFUNDING", "; 1 just begun)"],
    ),
    breach(
        "an order that does not come back",
        &[("order", "UPDATE orders SET step = 'REFUNDING' WHERE id = 'o1'")],
        &[SETTLED],
        &["order o1 is REFUNDING and has been under way for 12"],
    ),
    // What customers were told.
    Case {
        journal: "o1 201 CONFIRMED\no7 202 PENDING\no2 402 CANCELLED\n",
        ..breach(
            "an order that is lost",
            &[],
            &[ACKNOWLEDGED],
            &["order o7, of which a customer was told that it is PENDING"],
        )
    },
    Case {
        journal: "o1 201 CONFIRMED k1\no2 201 CONFIRMED k1\no2 202 RELEASING\n",
        ..breach(
            "an answer that is another order's",
            &[],
            &[ACKNOWLEDGED],
            &[
                "order o2 was placed with key k2, and a customer was told that it is the one of key k1",
                "; 1 wrong)",
            ],
        )
    },
    Case {
        journal: "o9 201 CONFIRMED\n",
        ..breach(
            "an order that goes back",
            &[
                (
                    "order",
                    r#"INSERT INTO orders VALUES ('o9', 'u1', 'k9', 'PAID', '[{"product_id":"tea","quantity":1}]', 590, 'Ada', NULL, NULL, {now} + 60000, {now} + 60000, 0, {now})"#,
                ),
                TOLD,
            ],
            &[ACKNOWLEDGED],
            &["order o9 is PAID, and its customer was told that it is CONFIRMED"],
        )
    },
    Case {
        journal: "o1 409 CANCELLED\no1 202 RELEASING\no2 201 CONFIRMED\no2 202 RELEASING\no2 200 CANCELLED\n",
        ..breach(
            "an order that was refused and goes on",
            &[],
            &[ACKNOWLEDGED],
            &[
                "order o1 is CONFIRMED, and its customer was told that it is CANCELLED",
                "order o1 is CONFIRMED, and its customer was told that it is RELEASING",
            ],
        )
    },
    Case {
        journal: "o1 201 CONFIRMED\no7 20",
        ..breach("half a line", &[], &[], &["(answers to customers: 1)"])
    },
];

const RESERVED: (&str, &str) = (
    "order",
    r#"INSERT INTO orders VALUES ('o9', 'u1', 'k9', 'RESERVED', '[{"product_id":"tea","quantity":1}]', 590, 'Ada', NULL,
       NULL, {old}, {old}, 3, {old})"#,
);
const HELD: (&str, &str) = (
    "product",
    r#"INSERT INTO reservations VALUES ('o9', 'HELD', '[{"product_id":"tea","quantity":1}]', 590)"#,
);
const HELD_TEA: (&str, &str) =
    ("product", "UPDATE products SET stock = stock - 1, reserved = 1 WHERE id = 'tea'");
const TOLD: (&str, &str) = ("mail", "INSERT INTO mails VALUES ('o9', 'o9', 'order.created', '', '', {old})");
