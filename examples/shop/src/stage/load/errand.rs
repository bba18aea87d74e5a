//! What customers come for.

/// The shares of the journeys, in percent of all.
const LIST_SHARE: u32 = 35;
const PRODUCT_SHARE: u32 = 25;
const PLACE_SHARE: u32 = 25;
const OWN_SHARE: u32 = 10;
const LAST_SHARE: u32 = 5;

/// How many orders in a hundred are of one piece; the others are of two or three.
const SINGLE_SHARE: u32 = 90;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Journey {
    /// Places an order.
    Place,
    /// Looks at the own orders.
    Own,
    /// Reads the own last order.
    Last,
    /// Looks at all products.
    List,
    /// Looks at one product.
    Product,
}

impl Journey {
    pub(super) const ALL: [Self; 5] = [Self::Place, Self::Own, Self::Last, Self::List, Self::Product];

    pub(super) const ORDERS: [Self; 3] = [Self::Place, Self::Own, Self::Last];
    pub(super) const BROWSING: [Self; 2] = [Self::List, Self::Product];

    /// All who change nothing.
    pub(super) const READING: [Self; 4] = [Self::Own, Self::Last, Self::List, Self::Product];

    fn share(self) -> u32 {
        match self {
            Self::Place => PLACE_SHARE,
            Self::Own => OWN_SHARE,
            Self::Last => LAST_SHARE,
            Self::List => LIST_SHARE,
            Self::Product => PRODUCT_SHARE,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Own => "own",
            Self::Last => "last",
            Self::List => "list",
            Self::Product => "product",
        }
    }
}

/// One journey of one customer, diced before it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Errand {
    pub(super) journey: Journey,
    /// Which customer, and which product.
    pub(super) customer: usize,
    pub(super) product: usize,
    pub(super) quantity: i64,
    /// For the dice that are thrown on the way.
    pub(super) seed: u64,
}

/// What customers of a load come for: the weight of each journey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mix([f64; Journey::ALL.len()]);

impl Mix {
    /// Some journeys, which keep their shares among each other.
    pub(super) fn only(journeys: &[Journey]) -> Self {
        Self::of([(journeys, 1.0)])
    }

    /// So many of all place an order; the others keep their shares among each other.
    pub(super) fn orders(share: f64) -> Self {
        Self::of([(&[Journey::Place], share), (&Journey::READING, 1.0 - share)])
    }

    /// So many look around, place an order and look at their own orders. One of them must be more than none.
    pub(super) fn parts(browse: f64, order: f64, account: f64) -> Self {
        let account = (&[Journey::Own, Journey::Last][..], account);
        Self::of([(&Journey::BROWSING, browse), (&[Journey::Place], order), account])
    }

    fn of<const N: usize>(groups: [(&[Journey], f64); N]) -> Self {
        let mut weights = [0.0; _];
        for (journeys, weight) in groups {
            let all: u32 = journeys.iter().map(|journey| journey.share()).sum();
            for journey in journeys {
                weights[*journey as usize] = weight * f64::from(journey.share()) / f64::from(all);
            }
        }
        Self(weights)
    }

    /// How many of all come for it.
    pub(super) fn share(self, journey: Journey) -> f64 {
        self.0[journey as usize] / self.0.iter().sum::<f64>()
    }

    /// Whether nobody has to log in.
    pub(super) fn only_looks(self) -> bool {
        Journey::ORDERS.into_iter().all(|journey| self.0[journey as usize] == 0.0)
    }

    fn dice(self, dice: &mut fastrand::Rng) -> Journey {
        let mut die = dice.f64() * self.0.iter().sum::<f64>();
        let mut drawn = Journey::List;
        for journey in Journey::ALL.into_iter().filter(|journey| self.0[*journey as usize] > 0.0) {
            drawn = journey;
            die -= self.0[journey as usize];
            if die < 0.0 {
                break;
            }
        }
        drawn
    }
}

/// The errands of a load, one after the other. The same seed gives the same.
#[derive(Debug)]
pub(super) struct Errands {
    mix: Mix,
    customers: usize,
    products: usize,
    dice: fastrand::Rng,
}

impl Errands {
    /// There must be journeys, customers and products.
    pub(super) fn new(mix: Mix, customers: usize, products: usize, seed: u64) -> Self {
        Self { mix, customers, products, dice: fastrand::Rng::with_seed(seed) }
    }

    pub(super) fn next(&mut self) -> Errand {
        let single = self.dice.u32(..100) < SINGLE_SHARE;
        Errand {
            journey: self.mix.dice(&mut self.dice),
            customer: self.dice.usize(..self.customers),
            product: self.dice.usize(..self.products),
            quantity: if single { 1 } else { self.dice.i64(2..=3) },
            seed: self.dice.u64(..),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_and_are_kept() {
        assert_eq!(Journey::ALL.map(Journey::share).iter().sum::<u32>(), 100);
        let mut errands = Errands::new(Mix::only(&Journey::ALL), 64, 24, 1);
        let drawn: Vec<_> = (0..100_000).map(|_| errands.next()).collect();
        for journey in Journey::ALL {
            let share = drawn.iter().filter(|errand| errand.journey == journey).count() / 1000;
            assert!(share.abs_diff(journey.share() as usize) <= 1, "{journey:?} has {share} %");
        }
        let singles = drawn.iter().filter(|errand| errand.quantity == 1).count() / 1000;
        assert!(singles.abs_diff(SINGLE_SHARE as usize) <= 1, "{singles} %");
        assert!(drawn.iter().all(|errand| (1..=3).contains(&errand.quantity)));
        assert!((0..64).all(|customer| drawn.iter().any(|errand| errand.customer == customer)));
        assert!((0..24).all(|product| drawn.iter().any(|errand| errand.product == product)));
    }

    #[test]
    fn some_journeys_keep_their_shares_among_each_other() {
        let mut errands = Errands::new(Mix::only(&Journey::BROWSING), 1, 24, 1);
        let drawn: Vec<_> = (0..60_000).map(|_| errands.next().journey).collect();
        let lists = drawn.iter().filter(|journey| **journey == Journey::List).count() / 1000;
        let products = drawn.iter().filter(|journey| **journey == Journey::Product).count() / 1000;
        assert!(lists.abs_diff(LIST_SHARE as usize) <= 1 && lists + products >= 59, "{lists}, {products}");
    }

    #[test]
    fn so_many_place_an_order_and_the_others_keep_their_shares() {
        let drawn = |orders| {
            let mut errands = Errands::new(Mix::orders(orders), 1, 24, 1);
            let drawn: Vec<_> = (0..100_000).map(|_| errands.next().journey).collect();
            Journey::ALL.map(|journey| drawn.iter().filter(|drawn| **drawn == journey).count() / 100)
        };
        // In tenths of a percent: a tenth of all orders, and the rest is shared as 10 to 5 to 35 to 25.
        for (drawn, share) in drawn(0.1).into_iter().zip([100, 120, 60, 420, 300]) {
            assert!(drawn.abs_diff(share) <= 5, "{drawn}, not {share}");
        }
        assert_eq!(drawn(1.0), [1000, 0, 0, 0, 0]);
        assert_eq!(drawn(0.0)[0], 0);
    }

    #[test]
    fn parts_are_weights_and_need_not_be_percent() {
        let mix = Mix::parts(7.0, 2.0, 1.0);
        let mut errands = Errands::new(mix, 1, 24, 1);
        let drawn: Vec<_> = (0..100_000).map(|_| errands.next().journey).collect();
        let counts =
            Journey::ALL.map(|journey| drawn.iter().filter(|drawn| **drawn == journey).count() / 100);
        // In tenths of a percent: those who look are shared as 35 to 25, those with an account as 10 to 5.
        for ((drawn, share), journey) in counts.into_iter().zip([200, 67, 33, 408, 292]).zip(Journey::ALL) {
            assert!(drawn.abs_diff(share) <= 5, "{drawn}, not {share}");
            assert!((mix.share(journey) * 1000.0 - share as f64).abs() < 1.0, "{journey:?}");
        }
        assert!(!mix.only_looks() && !Mix::parts(0.0, 0.0, 1.0).only_looks());
        assert!(Mix::parts(1.0, 0.0, 0.0).only_looks() && Mix::only(&Journey::BROWSING).only_looks());
    }

    #[test]
    fn a_seed_gives_the_same_errands_again() {
        let draw = |seed| {
            let mut errands = Errands::new(Mix::only(&Journey::ALL), 8, 24, seed);
            (0..50).map(|_| errands.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn every_journey_is_in_one_group() {
        let grouped: Vec<_> = Journey::ORDERS.into_iter().chain(Journey::BROWSING).collect();
        assert_eq!(grouped, Journey::ALL);
        assert!(Journey::ALL.iter().enumerate().all(|(place, journey)| *journey as usize == place));
    }
}
