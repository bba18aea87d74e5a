use super::{Bound, longer, within};
use crate::misfit::Misfit;
use crate::server_stack::ServerStack;
use bartizan_shed::Shed;

/// Says whether the parts of a server stack fit together.
pub(crate) fn server(stack: &ServerStack) -> Result<(), Misfit> {
    let (deadline, shed) = (stack.deadline_value(), stack.shed_value());
    within(deadline, "deadline.total", "deadline.head_timeout")?;
    let total = Bound("deadline.total", deadline.total());
    let assumed = Bound("shed.assumed_deadline", shed.deadline_assumed());
    // What was not set does no harm: nothing is assumed of a request that has a deadline.
    let is_set = assumed.1 != Shed::DEFAULT_ASSUMED_DEADLINE && shed.fixed_limit().is_none();
    if is_set && shed.is_enabled() && deadline.is_enabled() {
        longer(assumed, total, "no request has as much time")?;
    }
    Ok(())
}
