//! The bugs by their names.

/// One thing that is wrong.
#[derive(Debug)]
pub struct Bug {
    pub name: &'static str,
    /// What is wrong then.
    pub sentence: &'static str,
    /// It is wrong in every n-th case.
    pub every: usize,
    /// What becomes of statements. The other bugs are where their names are asked for.
    pub edits: &'static [Edit],
}

#[derive(Debug)]
pub enum Edit {
    /// In a statement that has `of` in it, `from` becomes `to`.
    Replace { of: &'static str, from: &'static str, to: &'static str },
    /// A statement that has this in it does nothing.
    Skip(&'static str),
}

use Edit::Skip;

const fn edit(of: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit::Replace { of, from, to }
}

const fn bug(name: &'static str, every: usize, sentence: &'static str, edits: &'static [Edit]) -> Bug {
    Bug { name, sentence, every, edits }
}

pub static BUGS: &[Bug] = &[
    // Orders.
    bug(
        "key_not_unique",
        1,
        "The index is missing that lets a customer use a key once.",
        &[edit("TABLE IF NOT EXISTS orders", "UNIQUE (user_id, idempotency_key)", "CHECK (created_at >= 0)")],
    ),
    bug(
        "step_not_compared",
        1,
        "A step is taken although the order has gone another way meanwhile.",
        &[edit("UPDATE orders SET step", "AND step = $7", "AND (step = $7 OR 1 = 1)")],
    ),
    bug(
        "confirmed_too_early",
        1,
        "An order is confirmed as soon as it is paid, and its goods are not sold.",
        &[edit("UPDATE orders SET step", "step = $1", "step = REPLACE($1, 'PAID', 'CONFIRMED')")],
    ),
    bug(
        "refund_skipped",
        1,
        "An order that turns back gives its goods back, and not its money.",
        &[edit("UPDATE orders SET step", "step = $1", "step = REPLACE($1, 'REFUNDING', 'RELEASING')")],
    ),
    bug(
        "sweeper_asleep",
        1,
        "Nobody goes on with an order that has got stuck before its payment.",
        &[edit("FROM orders", "'PENDING', 'RESERVED', ", "'PENDING', ")],
    ),
    bug("acknowledged_unasked", 1, "An order is acknowledged before it is known to be placed.", &[]),
    bug("another_order", 3, "The answer to an order is that of the order before.", &[]),
    // Goods.
    bug(
        "oversold",
        1,
        "Nobody looks whether there are still so many.",
        &[edit("UPDATE products SET stock", "AND stock >= $4", "AND (stock >= $4 OR 1 = 1)")],
    ),
    bug(
        "released_twice",
        1,
        "A reservation that was given back is given back again.",
        &[
            edit(
                "FROM reservations WHERE id",
                "SELECT state",
                "SELECT CASE WHEN state = 'RELEASED' THEN 'HELD' ELSE state END",
            ),
            edit("UPDATE reservations SET state", "AND state = $3", "AND (state = $3 OR 1 = 1)"),
        ],
    ),
    bug(
        "goods_not_sold",
        1,
        "What is held is said to be sold, and stays where it was.",
        &[edit(
            "FROM reservations WHERE id",
            "SELECT state",
            "SELECT CASE WHEN state = 'HELD' THEN 'COMMITTED' ELSE state END",
        )],
    ),
    bug(
        "goods_kept",
        1,
        "What was sold is said to be given back, and is not.",
        &[edit(
            "FROM reservations WHERE id",
            "SELECT state",
            "SELECT CASE WHEN state = 'COMMITTED' THEN 'RELEASED' ELSE state END",
        )],
    ),
    bug(
        "sale_not_moved",
        1,
        "A reservation is sold, and its goods stay among the reserved.",
        &[edit(
            "UPDATE products SET reserved",
            "reserved - $1, sold = sold + $2",
            "reserved - 0 * $1, sold = sold + 0 * $2",
        )],
    ),
    bug("half_reserved", 1, "Of an order of two products, only the first is reserved.", &[]),
    // Money.
    bug(
        "a_cent_less",
        1,
        "An order costs a cent less than its goods.",
        &[edit("SELECT price_cents FROM products", "SELECT price_cents", "SELECT price_cents - 1")],
    ),
    bug(
        "payment_key_not_unique",
        1,
        "The index is missing that lets a payment be opened once.",
        &[edit("TABLE IF NOT EXISTS payments", " NOT NULL UNIQUE", " NOT NULL")],
    ),
    bug("charged_twice", 1, "A bank that has not answered is asked for the money under a new key.", &[]),
    bug("acknowledged_before_commit", 4, "A store answers before it commits, and the commit fails.", &[]),
    bug("silence_is_no", 1, "A bank that has not answered is taken to have declined.", &[]),
    bug(
        "charge_forgotten",
        5,
        "The bank says that it has taken money, and has it written down nowhere.",
        &[Skip("INSERT INTO movements")],
    ),
    bug(
        "refund_forgotten",
        1,
        "The bank says that it has given money back, and has not.",
        &[edit("UPDATE charges SET state", "state = 'CAPTURED'", "state = 'CAPTURED' AND 1 = 0")],
    ),
    bug(
        "refund_is_a_charge",
        1,
        "The bank takes the money again that it should give back.",
        &[edit("INSERT INTO movements", "$4", "ABS($4)")],
    ),
    // Messages.
    bug(
        "outbox_row_dropped",
        4,
        "An event does not get into the outbox of its order.",
        &[Skip("INSERT INTO order_outbox")],
    ),
    bug(
        "told_before_commit",
        4,
        "An order is told of, and its row never comes.",
        &[Skip("INSERT INTO orders")],
    ),
    bug(
        "inbox_ignored",
        1,
        "A message that comes twice makes two mails.",
        &[
            edit("TABLE IF NOT EXISTS mail_inbox", "PRIMARY KEY", "NOT NULL"),
            edit("TABLE IF NOT EXISTS mails", "UNIQUE (subject_id, kind)", "CHECK (created_at >= 0)"),
            edit("FROM mail_inbox", "id = $1", "id = $1 AND 1 = 0"),
            edit("FROM mails WHERE subject_id", "kind = $2", "kind = $2 AND 1 = 0"),
        ],
    ),
    bug("acknowledged_unread", 4, "A message is acknowledged before its mail is written.", &[]),
    bug("failure_forgotten", 1, "A message whose mail could not be written counts as delivered.", &[]),
    bug("confirm_not_awaited", 1, "Events leave the outbox although the bus has not confirmed them.", &[]),
];
