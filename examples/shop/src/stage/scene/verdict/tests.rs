//! The verdict on shops that are made up.

use super::*;

const REPLICAS: [(&str, f64); 9] = [
    ("gateway", 1.0),
    ("user", 2.0),
    ("product-1", 3.0),
    ("product-2", 4.0),
    ("order", 5.0),
    ("payment-1", 6.0),
    ("payment-2", 7.0),
    ("payment-3", 8.0),
    ("bank", 9.0),
];

const CALLS: [(&str, &str, usize); 7] = [
    ("gateway", "user", 1),
    ("gateway", "product", 2),
    ("gateway", "order", 1),
    ("order", "user", 1),
    ("order", "product", 2),
    ("order", "payment", 3),
    ("payment-1", "bank", 1),
];

fn glance(layer: &'static str, name: &str, state: &'static str, numbers: &[(&'static str, f64)]) -> Glance {
    let numbers = numbers.iter().copied().collect();
    Glance { layer, name: name.into(), state, numbers, ..Glance::default() }
}

/// A shop in which every call succeeds.
fn shop() -> Vec<Glance> {
    let mut layers = Vec::new();
    for (name, port) in REPLICAS.into_iter().chain([("mail", 10.0), ("registry", 11.0), ("config", 12.0)]) {
        layers.push(glance("service", name, "up", &[("ready", 1.0), ("port", port)]));
        let mut meter = glance("meter", name, "enabled", &[]);
        meter.grown = [("successes", 20.0)].into();
        layers.push(meter);
    }
    for (from, to, replicas) in CALLS {
        layers.push(glance("meter", &format!("{from}->{to}"), "enabled", &[]));
        layers.push(glance("balance", &format!("{from}->{to}"), "ready", &[]));
        for (name, port) in REPLICAS.into_iter().filter(|(name, _)| name.starts_with(to)).take(replicas) {
            let number = name.rsplit_once('-').map(|(_, number)| format!("-{number}")).unwrap_or_default();
            layers.push(glance("breaker", &format!("{from}->{to}{number}"), "closed", &[]));
            let mut endpoint =
                glance("endpoint", &format!("{from}->{to}/http://127.0.0.1:{port}/"), "up", &[]);
            endpoint.grown = [("successes", 20.0)].into();
            layers.push(endpoint);
        }
    }
    layers.push(glance("config", "policy.toml", "in force", &[("switched_off", 0.0)]));
    layers.push(glance("invariant", "money is there", "holds", &[]));
    layers.push(glance("orders", "orders", "counted", &[]));
    layers
}

fn change(layers: &mut [Glance], layer: &str, name: &str, turn: impl Fn(&mut Glance)) {
    let found: Vec<_> =
        layers.iter_mut().filter(|it| it.layer == layer && it.name.starts_with(name)).collect();
    assert!(!found.is_empty(), "{layer} {name}");
    found.into_iter().for_each(turn);
}

fn kill(layers: &mut [Glance], name: &str) {
    change(layers, "service", name, |it| {
        it.state = "killed";
        it.numbers.insert("ready", 0.0);
    });
}

fn grows(layers: &mut [Glance], layer: &str, name: &str, numbers: &[(&'static str, f64)]) {
    change(layers, layer, name, |it| it.grown.extend(numbers.iter().copied()));
}

fn crowd(hurt: usize, degraded: usize) -> Crowd {
    Crowd { shopping: 64, hurt, degraded, shed: 0 }
}

fn sentence(layers: &[Glance], crowd: Crowd) -> (Tone, String) {
    let verdict = verdict(layers, crowd);
    (verdict.tone, verdict.sentence)
}

#[test]
fn a_shop_that_sells_is_well() {
    let fine = verdict(&shop(), crowd(0, 0));
    assert_eq!((fine.tone, fine.sentence.as_str()), (Tone::Good, "All is well."));
    assert_eq!((fine.failing, fine.protected_by), (Vec::new(), None));
    // On any busy day somebody has to wait.
    assert_eq!(sentence(&shop(), crowd(3, 5)).0, Tone::Good);
    assert_eq!(sentence(&[], crowd(0, 0)).0, Tone::Wait);
}

#[test]
fn who_is_gone_is_named_and_so_is_what_protects_from_it() {
    let mut shop = shop();
    kill(&mut shop, "payment");
    grows(&mut shop, "endpoint", "order->payment", &[("successes", 0.0), ("unanswered", 30.0)]);
    grows(&mut shop, "breaker", "order->payment", &[("refused", 40.0)]);
    let told = verdict(&shop, crowd(0, 9));
    assert_eq!(told.failing, ["payment-1", "payment-2", "payment-3"]);
    assert_eq!(told.protected_by.as_deref(), Some("breaker order->payment"));
    let expected = "Payment is down: 3 of 3 replicas. No customer is hurt: the breaker of order → payment protects them.";
    assert_eq!((told.tone, told.sentence.as_str()), (Tone::Bad, expected));
    let hurt = verdict(&shop, crowd(4, 9));
    assert_eq!((hurt.hurt.customers, hurt.hurt.of, hurt.hurt.share), (4, 64, 0.063));
    let expected = "Payment is down: 3 of 3 replicas. 5 % of the customers are hurt. The breaker of order → payment protects the others.";
    assert_eq!(hurt.sentence, expected);
}

#[test]
fn one_replica_less_is_no_disaster() {
    let mut shop = shop();
    kill(&mut shop, "payment-2");
    change(&mut shop, "endpoint", "order->payment/http://127.0.0.1:7/", |it| it.state = "down");
    let told = verdict(&shop, crowd(0, 1));
    let expected = "Payment-2 is down, 1 of 3 replicas. No customer is hurt: the balancer of order → payment protects them.";
    assert_eq!((told.tone, told.sentence.as_str()), (Tone::Wait, expected));
    // Without a balancer it has its turn.
    change(&mut shop, "balance", "order->payment", |it| it.state = "disabled");
    assert_eq!(verdict(&shop, crowd(0, 1)).protected_by, None);
}

#[test]
fn who_fails_without_being_down_is_found_by_its_own_meter() {
    let mut shop = shop();
    // Those who wait for it go wrong as well, and can do nothing about it.
    for name in ["payment-2", "order", "gateway"] {
        grows(&mut shop, "meter", name, &[("successes", 6.0), ("failures", 6.0)]);
    }
    grows(
        &mut shop,
        "endpoint",
        "order->payment/http://127.0.0.1:7/",
        &[("successes", 6.0), ("failures", 6.0)],
    );
    let told = verdict(&shop, crowd(7, 0));
    assert_eq!(told.failing, ["payment-2"]);
    assert_eq!(
        (told.tone, told.sentence.as_str()),
        (Tone::Bad, "Payment-2 fails: 50 % of its calls go wrong. 10 % of the customers are hurt.")
    );
    grows(&mut shop, "meter", "payment-2", &[("failures", 0.0), ("abandoned", 4.0)]);
    let told = verdict(&shop, crowd(0, 7));
    assert!(told.sentence.starts_with("Payment-2 is so slow that its callers give up."), "{told:?}");
    for name in ["payment-2", "order", "gateway"] {
        grows(&mut shop, "meter", name, &[("successes", 12.0), ("failures", 0.0), ("abandoned", 0.0)]);
    }
    grows(&mut shop, "endpoint", "order->payment", &[("failures", 0.0)]);
    assert_eq!(verdict(&shop, crowd(0, 7)).failing, Vec::<String>::new());
    grows(&mut shop, "meter", "payment-2", &[("took long", 5.0)]);
    assert_eq!(verdict(&shop, crowd(0, 7)).failing, ["payment-2"]);
    grows(&mut shop, "meter", "payment-2", &[("took long", 0.0)]);
    change(&mut shop, "endpoint", "order->payment/http://127.0.0.1:7/", |it| {
        it.numbers.insert("latency_seconds", 2.0);
    });
    let told = verdict(&shop, crowd(0, 7)).sentence;
    assert!(told.starts_with("Payment-2 is slow: its calls take about a second, or longer."), "{told}");
}

#[test]
fn who_is_well_again_is_not_told_to_be_ill() {
    let mut shop = shop();
    grows(&mut shop, "meter", "payment-2", &[("successes", 6.0), ("failures", 6.0)]);
    change(&mut shop, "meter", "payment-2", |it| it.late = [("successes", 5.0), ("failures", 0.0)].into());
    assert_eq!(sentence(&shop, crowd(0, 0)), (Tone::Good, "All is well.".into()));
}

#[test]
fn a_hop_fails_when_who_is_called_hears_nothing() {
    let mut shop = shop();
    grows(&mut shop, "endpoint", "gateway->product", &[("failures", 9.0)]);
    let told = verdict(&shop, crowd(0, 12));
    assert_eq!(told.failing, ["gateway->product"]);
    assert!(told.sentence.starts_with("Gateway → product fails: what is sent there"), "{told:?}");
    change(&mut shop, "breaker", "gateway->product-1", |it| it.state = "open");
    let told = verdict(&shop, crowd(0, 12)).sentence;
    assert!(told.starts_with("Gateway → product fails, and its breakers are open"), "{told}");
    change(&mut shop, "breaker", "gateway->product-1", |it| it.state = "closed");
    grows(&mut shop, "endpoint", "gateway->product/http://127.0.0.1:3/", &[("failures", 0.0)]);
    assert_eq!(verdict(&shop, crowd(0, 12)).failing, ["product-2"]);
}

#[test]
fn the_layer_with_the_most_effect_protects() {
    let mut shop = shop();
    grows(&mut shop, "endpoint", "gateway->product", &[("failures", 9.0)]);
    let mut layer = |layer, name: &str, numbers: &[(&'static str, f64)]| {
        let grown = numbers.iter().copied().collect();
        shop.push(Glance { grown, ..glance(layer, name, "enabled", &[]) });
        verdict(&shop, crowd(0, 12)).protected_by
    };
    assert_eq!(
        layer("deadline", "gateway->product", &[("ended", 99.0)]).as_deref(),
        Some("deadline gateway->product")
    );
    assert_eq!(
        layer("retry", "gateway->product", &[("recovered", 3.0)]).as_deref(),
        Some("retry gateway->product")
    );
    assert_eq!(
        layer("hedge", "gateway->product", &[("won", 4.0)]).as_deref(),
        Some("hedge gateway->product")
    );
    assert_eq!(
        layer("stale", "gateway->product", &[("stale_if_error", 5.0)]).as_deref(),
        Some("stale gateway->product")
    );
    assert_eq!(
        layer("shed", "gateway->product", &[("refused", 6.0)]).as_deref(),
        Some("bulkhead gateway->product")
    );
    // What the others do is beside the point.
    let aside = layer("retry", "order->user", &[("recovered", 60.0)]);
    assert_eq!(aside.as_deref(), Some("bulkhead gateway->product"));
    grows(&mut shop, "endpoint", "gateway->product", &[("failures", 0.0)]);
    shop.retain(|it| it.layer != "shed");
    assert_eq!(verdict(&shop, crowd(12, 0)).protected_by.as_deref(), Some("retry order->user"));
}

#[test]
fn who_is_ejected_is_spared() {
    let mut shop = shop();
    grows(&mut shop, "meter", "payment-2", &[("successes", 6.0), ("failures", 6.0)]);
    change(&mut shop, "endpoint", "order->payment/http://127.0.0.1:7/", |it| it.state = "ejected");
    assert_eq!(verdict(&shop, crowd(0, 12)).protected_by.as_deref(), Some("ejection order->payment"));
}

#[test]
fn what_is_too_much_is_refused() {
    let mut shop = shop();
    let grown = [("refused", 50.0)].into();
    shop.push(Glance { grown, ..glance("shed", "gateway", "shedding", &[]) });
    let told = verdict(&shop, Crowd { shed: 6, ..crowd(6, 0) });
    assert_eq!(told.failing, ["gateway"]);
    let expected = "Gateway refuses what is too much. 10 % of the customers are hurt. The shed of gateway protects the others.";
    assert_eq!((told.tone, told.sentence.as_str()), (Tone::Wait, expected));
}

#[test]
fn without_registry_and_config_the_shop_still_sells() {
    let mut shop = shop();
    kill(&mut shop, "registry");
    let expected = (Tone::Wait, "The registry is down, and the shop still sells.".to_owned());
    assert_eq!(sentence(&shop, crowd(0, 0)), expected);
    kill(&mut shop, "config");
    let expected = "The registry and the config service are down, and the shop still sells.";
    assert_eq!(sentence(&shop, crowd(0, 0)), (Tone::Wait, expected.into()));
    kill(&mut shop, "order");
    let (tone, said) = sentence(&shop, crowd(20, 0));
    assert!(tone == Tone::Bad && said.starts_with("Order is down; the registry and"), "{said}");
    assert!(!said.contains("still sells"), "{said}");
}

#[test]
fn what_must_hold_comes_first() {
    let mut shop = shop();
    kill(&mut shop, "mail");
    change(&mut shop, "orders", "orders", |it| it.numbers = [("dead_letters", 2.0), ("PENDING", 9.0)].into());
    let (tone, said) = sentence(&shop, crowd(0, 0));
    assert_eq!(tone, Tone::Wait);
    let expected = "Mail is down; there are dead letters. No customer is hurt. Orders wait, none is lost.";
    assert_eq!(said, expected);
    change(&mut shop, "invariant", "money", |it| it.state = "broken");
    let (tone, said) = sentence(&shop, crowd(0, 0));
    assert!(tone == Tone::Bad && said.starts_with("It does not hold that money is there;"), "{said}");
    assert!(said.ends_with("Orders wait."), "{said}");
}

#[test]
fn switches_and_edits_that_are_no_good_are_told() {
    let mut shop = shop();
    change(&mut shop, "config", "policy.toml", |it| it.numbers.extend([("switched_off", 4.0)]));
    assert_eq!(sentence(&shop, crowd(0, 0)), (Tone::Wait, "Protections are off.".into()));
    change(&mut shop, "config", "policy.toml", |it| it.state = "refused");
    let expected = "What policy.toml says is no good, and changes nothing. Protections are off.";
    assert_eq!(sentence(&shop, crowd(0, 0)), (Tone::Wait, expected.into()));
}

#[test]
fn customers_who_are_hurt_for_no_reason_are_told_of() {
    let (tone, said) = sentence(&shop(), crowd(10, 0));
    assert_eq!(tone, Tone::Bad);
    assert_eq!(said, "The shop is not well, and no service shows why. 15 % of the customers are hurt.");
}

#[test]
fn nobody_counts_customers_who_rest() {
    let mut shop = shop();
    kill(&mut shop, "order");
    assert_eq!(sentence(&shop, Crowd::default()), (Tone::Bad, "Order is down.".into()));
}
