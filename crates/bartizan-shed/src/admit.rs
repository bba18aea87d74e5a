use crate::asks::{Asking, Asks};
use crate::denial::Denial;
use crate::permit::Ticket;
use crate::shared::Shared;
use crate::waiting::Place;
use bartizan_core::{Admit, Queue, Refused, Refusing, Turn};
use bartizan_http::Http;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;

/// Policy of a layer that sheds.
pub struct Policy<A = Asks, M = Http> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) asks: A,
    pub(crate) flavour: PhantomData<M>,
}

impl<A: Clone, M> Clone for Policy<A, M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), asks: self.asks.clone(), flavour: PhantomData }
    }
}

impl<A, M> Debug for Policy<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl<A, M, Req> Admit<Req> for Policy<A, M>
where
    A: Asking<Req, M>,
    M: Send + Sync + 'static,
{
    type Permit = Ticket;

    #[inline]
    fn pending(&self) -> Option<Refusing> {
        self.shared.pending().map(Refusing::from)
    }

    #[inline]
    fn admit(&self, req: &Req) -> Result<Ticket, Refusing> {
        let settings = self.shared.settings();
        match self.asks.wish(req, settings.is_trusted()) {
            Some(wish) => self.shared.admit(wish, settings).map_err(Refusing::from),
            None => Ok(Ticket::exempt(self.shared.clone())),
        }
    }

    fn refuse(&self, refusing: Refusing) -> Refused {
        self.shared.refuse(Denial::from(refusing))
    }
}

impl<A, M, Req> Queue<Req> for Policy<A, M>
where
    A: Asking<Req, M>,
    M: Send + Sync + 'static,
{
    type Wait = Place;

    fn queue(&self, req: &Req) -> Turn<Ticket, Place> {
        let settings = self.shared.settings();
        match self.asks.wish(req, settings.is_trusted()) {
            Some(wish) => self.shared.queue(wish, settings),
            None => Turn::Admitted(Ticket::exempt(self.shared.clone())),
        }
    }
}
