use bartizan_breaker::{Breaker, Pause, Ratio, Window};
use std::time::Duration;

/// What the rows about the breaker are about unless they say otherwise.
pub const REFERENCE: Breaker = RULELESS.failure_ratio(HALF).slow_ratio(Duration::from_secs(4), HALF);

/// Half of the last ten calls, once there are five.
pub const HALF: Ratio = Ratio::new(0.5).window(Window::calls(10)).min_requests(5);

/// The reference without its rules.
pub const RULELESS: Breaker = Breaker::new()
    .without_evidence()
    .pause(Pause::new().jitter(0.0))
    .probes(4)
    .ramp(Duration::ZERO)
    .seed(0xb);
