use super::balance::BalanceTable;
use super::breaker::BreakerTable;
use super::budget::BudgetTable;
use super::deadline::DeadlineTable;
use super::hedge::HedgeTable;
use super::limit::LimitTable;
use super::retry::RetryTable;
use super::settings::Judged;
use super::shed::ShedTable;
use super::stale::StaleTable;
use super::{Endpoint, Switched, TimeOr, spelled};
use crate::tree::Fault;
use bartizan_core::Member;
use bartizan_http::http::Uri;
use bartizan_stack::{ClientStack, ServerStack};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// The stacks of resilience layers of a process. Settings and words may be written with `_`, `-` or a space; settings have `_` here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(title = "Bartizan policy")]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// Where editors find the schema of this file. It is not looked at.
    #[serde(rename = "$schema")]
    #[allow(dead_code, reason = "it is for editors")]
    schema: Option<String>,
    /// The stacks before servers, by their names. What `default` says holds for all of them.
    #[allow(dead_code, reason = "the tables are read one by one, with what they inherit")]
    servers: Option<BTreeMap<String, ServerTable>>,
    /// The stacks around clients, by their names. What `default` says holds for all of them.
    #[allow(dead_code, reason = "the tables are read one by one, with what they inherit")]
    clients: Option<BTreeMap<String, ClientTable>>,
}

/// What stands before a server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTable {
    /// How long a request may take: a table, its `total` alone, or whether it is on.
    #[schemars(with = "Option<TimeOr<DeadlineTable>>", extend("default" = spelled(ServerStack::DEFAULT_DEADLINE)))]
    deadline: Option<DeadlineTable>,
    /// How many requests are let through.
    #[schemars(with = "Option<Switched<LimitTable>>")]
    limit: Option<LimitTable>,
    /// Who is refused when too many requests are in flight.
    #[schemars(with = "Option<Switched<ShedTable>>")]
    shed: Option<ShedTable>,
}

/// What stands around a client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientTable {
    /// Where its calls go. Without it: where each request says, or what code discovers.
    #[schemars(length(min = 1))]
    endpoints: Option<Vec<Endpoint>>,
    /// When the last good answer takes the place of a failure. Without it: none are kept.
    #[schemars(with = "Option<Switched<StaleTable>>")]
    stale: Option<StaleTable>,
    /// How long a call may take, all its attempts together: a table, its `total` alone, or whether it is on.
    #[schemars(with = "Option<TimeOr<DeadlineTable>>", extend("default" = spelled(ClientStack::DEFAULT_DEADLINE)))]
    deadline: Option<DeadlineTable>,
    /// What is made again, how often, and when.
    #[schemars(with = "Option<Switched<RetryTable>>")]
    retry: Option<RetryTable>,
    /// When a copy of a call is sent that takes long. Without it: over several endpoints.
    #[schemars(with = "Option<Switched<HedgeTable>>")]
    hedge: Option<HedgeTable>,
    /// What retries and copies are paid from.
    budget: Option<BudgetTable>,
    /// How calls are spread over several endpoints.
    #[schemars(with = "Option<Switched<BalanceTable>>")]
    balance: Option<BalanceTable>,
    /// When a host, or one endpoint of several, is not called for a while.
    #[schemars(with = "Option<Switched<BreakerTable>>")]
    breaker: Option<BreakerTable>,
    /// How long one attempt may take: a table, its `total` alone, or whether it is on.
    #[schemars(with = "Option<TimeOr<DeadlineTable>>", extend("default" = spelled(ClientStack::DEFAULT_ATTEMPT)))]
    attempt: Option<DeadlineTable>,
}

impl ServerTable {
    pub(crate) fn onto(&self, stack: ServerStack, judged: Judged) -> Result<ServerStack, Fault> {
        let stack = part(stack, "deadline", self.deadline.as_ref(), |stack, deadline| {
            let base = *stack.deadline_value();
            deadline.onto(base, judged).map(|deadline| stack.deadline(deadline))
        })?;
        let stack = part(stack, "limit", self.limit.as_ref(), |stack, limit| {
            let base = stack.limit_value().copied();
            limit.onto(base, judged).map(|limit| limit.map_or(stack.clone(), |limit| stack.limit(limit)))
        })?;
        part(stack, "shed", self.shed.as_ref(), |stack, shed| {
            let base = *stack.shed_value();
            shed.onto(base, judged).map(|shed| stack.shed(shed))
        })
    }
}

impl ClientTable {
    pub(crate) fn onto(&self, stack: ClientStack, judged: Judged) -> Result<ClientStack, Fault> {
        let stack = part(stack, "stale", self.stale.as_ref(), |stack, stale| {
            let base = stack.stale_value().clone();
            stale.onto(base, judged).map(|stale| stack.stale(stale))
        })?;
        let stack = part(stack, "deadline", self.deadline.as_ref(), |stack, deadline| {
            let base = *stack.deadline_value();
            deadline.onto(base, judged).map(|deadline| stack.deadline(deadline))
        })?;
        let stack = part(stack, "retry", self.retry.as_ref(), |stack, retry| {
            let base = stack.retry_value().clone();
            retry.onto(base, judged).map(|retry| stack.retry(retry))
        })?;
        let stack = part(stack, "hedge", self.hedge.as_ref(), |stack, hedge| {
            let base = stack.hedge_value().clone();
            hedge.onto(base, judged).map(|hedge| stack.hedge(hedge))
        })?;
        let stack = part(stack, "budget", self.budget.as_ref(), |stack, budget| {
            let base = stack.budget_value();
            budget.onto(base, judged).map(|budget| stack.budget(budget))
        })?;
        let stack = part(stack, "balance", self.balance.as_ref(), |stack, balance| {
            let base = stack.balance_value().clone();
            balance.onto(base, judged).map(|balance| stack.balance(balance))
        })?;
        let stack = part(stack, "breaker", self.breaker.as_ref(), |stack, breaker| {
            let base = *stack.breaker_value();
            breaker.onto(base, judged).map(|breaker| stack.breaker(breaker))
        })?;
        part(stack, "attempt", self.attempt.as_ref(), |stack, attempt| {
            let base = stack.attempt_value();
            attempt.onto(base, judged).map(|attempt| stack.attempt(attempt))
        })
    }

    /// Where its calls go, if that is said.
    pub(crate) fn members(&self) -> Result<Option<Vec<Member<Uri>>>, Fault> {
        let Some(endpoints) = &self.endpoints else { return Ok(None) };
        if endpoints.is_empty() {
            return Err(Fault::new("must name at least one").within("endpoints"));
        }
        let member = |(index, endpoint): (usize, &Endpoint)| {
            endpoint.member().map_err(|fault| fault.at(index).within("endpoints"))
        };
        let members = endpoints.iter().enumerate().map(member).collect::<Result<Vec<_>, _>>()?;
        let mut known = HashSet::new();
        match members.iter().position(|member| !known.insert(&member.key)) {
            Some(index) => Err(Fault::new("is named twice").at(index).within("endpoints")),
            None => Ok(Some(members)),
        }
    }
}

/// Puts a table onto the part of a stack that is named as it.
fn part<S, T>(
    stack: S,
    name: &str,
    table: Option<&T>,
    put: impl FnOnce(S, &T) -> Result<S, Fault>,
) -> Result<S, Fault> {
    match table {
        None => Ok(stack),
        Some(table) => put(stack, table).map_err(|fault| fault.within(name)),
    }
}
