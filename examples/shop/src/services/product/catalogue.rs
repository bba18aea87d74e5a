//! What a fresh shop sells: four categories of six.

pub(super) struct Fresh {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) price_cents: i64,
}

const fn fresh(id: &'static str, name: &'static str, category: &'static str, price_cents: i64) -> Fresh {
    Fresh { id, name, category, price_cents }
}

pub(super) const FRESH: &[Fresh] = &[
    fresh("tea-assam", "Assam, 250 g", "tea", 890),
    fresh("tea-darjeeling", "Darjeeling first flush, 100 g", "tea", 1450),
    fresh("tea-gunpowder", "Gunpowder, 250 g", "tea", 790),
    fresh("tea-lapsang", "Lapsang souchong, 100 g", "tea", 990),
    fresh("tea-matcha", "Matcha, 40 g", "tea", 2290),
    fresh("tea-mint", "Mint, 100 g", "tea", 590),
    fresh("pot-cast-iron", "Cast iron pot, 0.8 l", "pots", 6900),
    fresh("pot-cold-brew", "Cold brew bottle, 0.75 l", "pots", 2490),
    fresh("pot-glass", "Glass pot, 1 l", "pots", 3490),
    fresh("pot-gaiwan", "Gaiwan, 120 ml", "pots", 2190),
    fresh("pot-samovar", "Samovar, 3 l", "pots", 18900),
    fresh("pot-yixing", "Yixing clay pot, 180 ml", "pots", 8900),
    fresh("cup-bowl", "Matcha bowl", "cups", 3290),
    fresh("cup-enamel", "Enamel mug", "cups", 1190),
    fresh("cup-glass", "Double-walled glass", "cups", 1290),
    fresh("cup-porcelain", "Porcelain cup and saucer", "cups", 1890),
    fresh("cup-tasting", "Tasting set of three", "cups", 2790),
    fresh("cup-travel", "Travel mug, 0.4 l", "cups", 2590),
    fresh("kit-caddy", "Tin caddy, 250 g", "kit", 1090),
    fresh("kit-kettle", "Kettle with a thermometer", "kit", 7900),
    fresh("kit-scale", "Scale, 0.1 g", "kit", 3990),
    fresh("kit-strainer", "Strainer", "kit", 690),
    fresh("kit-timer", "Sand timer, three minutes", "kit", 1490),
    fresh("kit-whisk", "Bamboo whisk", "kit", 1690),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn four_categories_of_six() {
        let mut categories = BTreeMap::new();
        for product in FRESH {
            *categories.entry(product.category).or_insert(0) += 1;
            assert!(product.price_cents > 0 && product.id.len() <= 40);
            // A thousand of each in an order of a hundred is still a number.
            assert!(product.price_cents <= i64::MAX / 100 / 1000);
        }
        assert_eq!(categories.into_values().collect::<Vec<_>>(), [6; 4]);
        assert_eq!(FRESH.iter().map(|product| product.id).collect::<BTreeSet<_>>().len(), 24);
    }
}
