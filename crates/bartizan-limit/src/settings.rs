//! What can be set of a limit while calls run.

use crate::limit::Limit;
use bartizan_core::registry::{Setting, whole};

pub(crate) const SETTINGS: &[Setting<Limit>] = &[
    Setting::new("per_second", |limit| Some(1.0 / limit.interval().as_secs_f64()), Limit::try_rate),
    Setting::new("burst", |limit| Some(limit.max_burst().into()), |limit, to| limit.try_burst(whole(to)?)),
    Setting::new("shadow", |limit| Some(limit.shadow), Limit::try_shadow),
];
