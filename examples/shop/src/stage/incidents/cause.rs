//! Which service, call or thing beside them something is about, and what follows from what.

/// Who calls whom; and the bus, to which others hand what they have to say.
const CALLS: [(&str, &str); 11] = [
    ("gateway", "user"),
    ("gateway", "product"),
    ("gateway", "order"),
    ("gateway", "payment"),
    ("order", "user"),
    ("order", "product"),
    ("order", "payment"),
    ("payment", "bank"),
    ("order", "bus"),
    ("user", "bus"),
    ("mail", "bus"),
];

/// A place by its name: `payment`, `payment-2`, `order->payment-2`, `gateway->user GET, attempt`, `order->user/http://…`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place<'a> {
    /// Who calls, where it is a call.
    from: Option<&'a str>,
    of: Replica<'a>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Replica<'a> {
    service: &'a str,
    number: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(super) fn parse(name: &'a str) -> Self {
        let name = name.split(['/', ' ', ',']).next().unwrap_or(name);
        match name.split_once("->") {
            Some((from, of)) => Self { from: Some(Replica::parse(from).service), of: Replica::parse(of) },
            None => Self { from: None, of: Replica::parse(name) },
        }
    }

    /// Sorts a place before those that it may be the reason of.
    pub(super) fn height(self) -> usize {
        height(self.of.service)
    }

    /// Whether what is wrong here may be why something is wrong there: at the same place, in a call to it, or at somebody who calls
    /// it, however indirectly.
    pub(super) fn explains(self, there: Place<'_>) -> bool {
        match (self.from, there.from) {
            (Some(from), Some(caller)) if (from, self.of.service) == (caller, there.of.service) => {
                self.of.is_of(there.of)
            }
            // A call that fails hurts whoever makes it, and not whom it does not reach.
            (Some(from), _) => needs(there.of.service, from),
            (None, _) if self.of.service == there.of.service => self.of.is_of(there.of),
            (None, _) => needs(there.of.service, self.of.service),
        }
    }
}

impl<'a> Replica<'a> {
    fn parse(name: &'a str) -> Self {
        match name.rsplit_once('-') {
            Some((service, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Self { service, number: Some(number) }
            }
            _ => Self { service: name, number: None },
        }
    }

    /// Whether two names of a service may mean the same replica.
    fn is_of(self, other: Replica<'_>) -> bool {
        self.number.is_none() || other.number.is_none() || self.number == other.number
    }
}

/// Whether a service is the other one, or calls it, however indirectly.
fn needs(service: &str, other: &str) -> bool {
    service == other || CALLS.iter().any(|(caller, called)| *caller == service && needs(called, other))
}

/// How many calls are between a service and the last one that hears of it.
fn height(service: &str) -> usize {
    let called = CALLS.iter().filter(|(caller, _)| *caller == service);
    called.map(|(_, called)| 1 + height(called)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_explains_what_depends_on_it() {
        let explains = |here, there| Place::parse(here).explains(Place::parse(there));
        for (here, there) in [
            ("payment", "payment-2"),
            ("payment-2", "payment-2"),
            ("payment-2", "order->payment-2"),
            ("payment-2", "order->payment"),
            ("payment", "order->payment/http://127.0.0.1:8085/"),
            ("payment", "gateway->order POST, attempt"),
            ("bank", "payment-1->bank"),
            ("bank", "order->payment-3"),
            ("bus", "order->bus"),
            ("order->payment", "order->payment-1"),
            ("order->payment", "gateway->order POST"),
            ("order->payment", "order"),
            ("user", "gateway->user login"),
        ] {
            assert!(explains(here, there), "{here} and {there}");
        }
        for (here, there) in [
            ("payment", "order->product-1"),
            ("payment-2", "order->payment-1"),
            ("payment-2", "payment-1"),
            ("product", "order->payment"),
            ("order->payment", "payment-1"),
            ("order->payment", "gateway->payment-1"),
            ("gateway->product", "order->product-1"),
            ("mail", "order->bus"),
            ("order", "payment"),
        ] {
            assert!(!explains(here, there), "{here} and {there}");
        }
    }
}
