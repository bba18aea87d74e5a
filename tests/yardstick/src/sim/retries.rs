//! Who retries in the simulations: ours, and tower's retry with the budgets that are published.

use tower::retry::budget::TpsBudget;
use tower_service::Service;

use super::call::{Call, Caller, through};
use crate::{
    board::Role,
    ground::Fault,
    ours::again::{self, Backoff, Budget, RetrySettings},
    peers::again::{Finagle, Tries, tower_retry},
};

/// Whose retries a simulation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retrier {
    None,
    Tower,
    Finagle,
    Ours,
}

/// Waits and tries of a peer. It has the waits of ours: what is compared are the budgets.
pub(crate) const fn tries(retries: u32) -> Tries {
    Tries { retries, least: Backoff::DEFAULT_MIN, most: Backoff::DEFAULT_MAX }
}

impl Retrier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no retry",
            Self::Tower => "tower retry, TpsBudget",
            Self::Finagle => "Finagle's RetryBudget",
            Self::Ours => "ours",
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::None => Role::Bare,
            Self::Ours => Role::Ours,
            _ => Role::Peer,
        }
    }

    /// So many retries around `inner`, on a stage that is not stretched; all else as it is by default.
    pub(crate) fn around<S>(self, inner: S, retries: u32, seed: u64) -> Caller
    where
        S: Service<Call, Response = (), Error = Fault, Future: 'static> + Clone + 'static,
    {
        let failed = |answer: &Result<(), Fault>| answer.is_err();
        match self {
            Self::None => through(inner),
            Self::Tower => through(tower_retry(inner, TpsBudget::default(), tries(retries), failed, seed)),
            Self::Finagle => through(tower_retry(inner, Finagle::new(), tries(retries), failed, seed)),
            Self::Ours => {
                let budget = Budget::new().seed(seed);
                let settings = RetrySettings::new().max_retries(retries).budget(budget).seed(seed);
                through(again::retry(inner, settings))
            }
        }
    }
}
