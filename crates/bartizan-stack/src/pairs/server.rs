use super::{Bound, longer, within};
use crate::misfit::Misfit;
use crate::server_stack::ServerStack;

/// Says whether the parts of a server stack fit together.
pub(crate) fn server(stack: &ServerStack) -> Result<(), Misfit> {
    let (deadline, shed) = (stack.deadline_value(), stack.fit_shed());
    within(deadline, "deadline.total", "deadline.head_timeout")?;
    // A total of zero refuses all, and what comes after it does not matter.
    if deadline.is_enabled()
        && !deadline.total().is_zero()
        && shed.is_enabled()
        && shed.fixed_limit().is_none()
    {
        let assumed = Bound("shed.assumed_deadline", shed.deadline_assumed());
        longer(assumed, Bound("deadline.total", deadline.total()), "no request has as much time")?;
    }
    Ok(())
}
