//! Product, payment and the bank, one step of a call at a time.

use super::{Answer, Call, Goods, Money, What, Worker, World};

impl World {
    /// A step of a call, or its death.
    pub(super) fn serve(&self, call: Call, worlds: &mut Vec<Self>) {
        let mut world = self.clone();
        world.end(call);
        if self.troubles > 0 {
            let mut died = world.clone();
            died.troubles -= 1;
            died.tell(call, Answer::Unknown);
            worlds.push(died);
        }
        let on = |mut world: Self| {
            world.begin(Call { at: call.at + 1, ..call });
            world
        };
        match (call.what, call.at) {
            (What::Reserve, _) => world.reserve(call, worlds),
            (What::Commit, _) => {
                let answer = match world.goods {
                    Goods::Free => Answer::Unknown,
                    Goods::Back => Answer::No(String::new()),
                    Goods::Held | Goods::Sold => {
                        world.goods = Goods::Sold;
                        Answer::Done
                    }
                };
                worlds.push(world.telling(call, answer));
            }
            (What::Release, _) => {
                world.goods = Goods::Back;
                worlds.push(world.telling(call, Answer::Done));
            }
            // The row is written before the bank is asked.
            (What::Charge, 0) if world.row == Money::None => {
                world.row = Money::Unknown;
                worlds.push(on(world));
            }
            (What::FindCharge, 0) if world.row == Money::None => {
                worlds.push(world.telling(call, Answer::Unknown));
            }
            (What::Charge | What::FindCharge, 0) if world.row != Money::Unknown => {
                let answer = of(world.row);
                worlds.push(world.telling(call, answer));
            }
            (What::Charge | What::FindCharge | What::Refund, 0) => {
                if call.what == What::Refund {
                    match world.row {
                        Money::None => world.row = Money::Refunded,
                        Money::Unknown | Money::Captured => world.row = Money::Refunding,
                        Money::Refunding | Money::Declined | Money::Refunded => {}
                    }
                    if matches!(world.row, Money::Refunded | Money::Declined) {
                        return worlds.push(world.telling(call, Answer::Done));
                    }
                }
                worlds.push(on(world));
            }
            (What::Charge, 1) => {
                self.give_up(call, What::LateCharge, worlds);
                worlds.extend(world.charge_at_the_bank().into_iter().map(on));
            }
            (What::LateCharge, _) => worlds.extend(world.charge_at_the_bank()),
            (What::FindCharge, 1) if world.bank == Money::None => {
                worlds.push(world.telling(call, Answer::Unknown));
            }
            (What::FindCharge, 1) => worlds.push(on(world)),
            (What::Refund, 1) => {
                self.give_up(call, What::LateRefund, worlds);
                world.refund_at_the_bank();
                worlds.push(on(world));
            }
            (What::LateRefund, _) => {
                world.refund_at_the_bank();
                worlds.push(world);
            }
            // What the bank has said is written down, unless the row is another one by now.
            (What::Charge | What::FindCharge, _) => {
                if world.row == Money::Unknown {
                    world.row = world.bank;
                }
                let answer = of(world.row);
                worlds.push(world.telling(call, answer));
            }
            (What::Refund, _) => {
                if world.row == Money::Refunding {
                    world.row = Money::Refunded;
                }
                worlds.push(world.telling(call, Answer::Done));
            }
        }
    }

    fn reserve(mut self, call: Call, worlds: &mut Vec<Self>) {
        match self.goods {
            Goods::Free => {
                worlds.push(self.clone().telling(call, Answer::No(String::new())));
                self.goods = Goods::Held;
                worlds.push(self.telling(call, Answer::Held { total_cents: 1 }));
            }
            Goods::Held | Goods::Sold => worlds.push(self.telling(call, Answer::Held { total_cents: 1 })),
            Goods::Back => worlds.push(self.telling(call, Answer::No(String::new()))),
        }
    }

    /// Payment does not wait for the bank any more, which has the question nevertheless.
    fn give_up(&self, call: Call, late: What, worlds: &mut Vec<Self>) {
        if self.troubles > 0 {
            let mut world = self.clone();
            world.troubles -= 1;
            world.end(call);
            world.begin(Call { what: late, at: 0, caller: None });
            worlds.push(world.telling(call, Answer::Unknown));
        }
    }

    /// The bank takes money under a key once, or has its reasons not to.
    fn charge_at_the_bank(&self) -> Vec<Self> {
        if self.bank != Money::None {
            return vec![self.clone()];
        }
        let captured = Self { bank: Money::Captured, taken: self.taken + 1, ..self.clone() };
        vec![captured, Self { bank: Money::Declined, ..self.clone() }]
    }

    fn refund_at_the_bank(&mut self) {
        match self.bank {
            Money::Captured => {
                self.given += 1;
                self.bank = Money::Refunded;
            }
            Money::None => self.bank = Money::Refunded,
            _ => {}
        }
    }

    fn telling(mut self, call: Call, answer: Answer) -> Self {
        self.tell(call, answer);
        self
    }

    fn tell(&mut self, call: Call, answer: Answer) {
        let Some(who) = call.caller else { return };
        if let Worker::Waits(step, ask) = self.workers[who] {
            self.workers[who] = Worker::Told(step, ask, answer);
        }
    }
}

/// What payment says of a row.
fn of(row: Money) -> Answer {
    match row {
        Money::Captured => Answer::Captured { payment_id: String::new() },
        Money::Declined => Answer::No(String::new()),
        Money::Refunding | Money::Refunded => Answer::GivenBack(String::new()),
        Money::None | Money::Unknown => Answer::Unknown,
    }
}
