use crate::circuit::Circuit;
use crate::denial::Denial;
use crate::keyed::Circuits;
use crate::permit::Ticket;
use bartizan_core::{Admit, Refused, Refusing};
use bartizan_http::{Head, Http, Typed};
use http::Request;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

/// Policy of one circuit for all requests.
#[derive(Clone, Debug)]
pub struct Single(pub(crate) Arc<Circuit>);

impl<Req> Admit<Req> for Single {
    type Permit = Ticket;

    #[inline]
    fn refusing(&self) -> Option<Refusing> {
        self.0.refusing().map(Refusing::from)
    }

    #[inline]
    fn admit(&self, _: &Req) -> Result<Ticket, Refusing> {
        admit(&self.0)
    }

    #[inline]
    fn refuse(&self, refusing: Refusing) -> Refused {
        self.0.count_refusal(refusing.into());
        Denial::from(refusing).refusal(self.0.label().and_then(|label| label.name.as_ref()))
    }
}

#[inline]
pub(crate) fn admit(circuit: &Arc<Circuit>) -> Result<Ticket, Refusing> {
    match circuit.admit() {
        Ok(pass) => Ok(Ticket::new(circuit.clone(), pass)),
        Err(denial) => Err(denial.into()),
    }
}

/// Policy of a circuit for each key that a function finds in the request.
pub struct Keyed<K, F, M> {
    pub(crate) circuits: Arc<Circuits<K>>,
    pub(crate) key: F,
    pub(crate) flavour: PhantomData<M>,
}

impl<K, F: Clone, M> Clone for Keyed<K, F, M> {
    fn clone(&self) -> Self {
        Self { circuits: self.circuits.clone(), key: self.key.clone(), flavour: PhantomData }
    }
}

impl<K, F, M> Debug for Keyed<K, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("circuits", &self.circuits).finish_non_exhaustive()
    }
}

impl<K, F, B> Admit<Request<B>> for Keyed<K, F, Http>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    F: Fn(&Head<'_>) -> K + Clone + Send + Sync + 'static,
{
    type Permit = Ticket;

    fn admit(&self, req: &Request<B>) -> Result<Ticket, Refusing> {
        let key = (self.key)(&Head::of(req));
        self.circuits.admit(&key)
    }

    fn refuse(&self, refusing: Refusing) -> Refused {
        self.circuits.refuse(refusing)
    }
}

impl<K, F, Req> Admit<Req> for Keyed<K, F, Typed>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    F: Fn(&Req) -> K + Clone + Send + Sync + 'static,
{
    type Permit = Ticket;

    fn admit(&self, req: &Req) -> Result<Ticket, Refusing> {
        let key = (self.key)(req);
        self.circuits.admit(&key)
    }

    fn refuse(&self, refusing: Refusing) -> Refused {
        self.circuits.refuse(refusing)
    }
}
