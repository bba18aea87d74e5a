use super::case::Case;
use super::source::Source;
use crate::admit::{Buckets, Limiting};
use crate::pass::Pass;
use crate::price::Price;
use bartizan_core::{Admit, Queue, Refused, Refusing, Turn};
use std::pin::Pin;
use std::sync::Arc;

/// Policy of a limit whose buckets are kept in a [`Store`](crate::Store).
///
/// The buckets of this process are asked first. Each answer of the store tells them how it stands there, so that they hold no more tokens
/// than the store did then: who is refused here would be refused there, and costs no round trip. Who is not is decided by the store; where
/// that gives no answer, what was said here stands.
#[derive(Clone, Debug)]
pub struct Shared<B, P> {
    pub(crate) limiting: Limiting<B, P>,
    pub(crate) source: Arc<Source>,
}

impl<Req, B: Buckets<Req>, P: Price<Req>> Admit<Req> for Shared<B, P> {
    type Permit = Pass;

    /// By what is known here.
    fn admit(&self, req: &Req) -> Result<Pass, Refusing> {
        self.limiting.admit(req)
    }

    fn refuse(&self, refusing: Refusing) -> Refused {
        Admit::<Req>::refuse(&self.limiting, refusing)
    }

    fn fields(&self, refusing: Refusing, say: &mut dyn FnMut(&'static str, &str)) {
        Admit::<Req>::fields(&self.limiting, refusing, say);
    }
}

impl<Req, B: Buckets<Req>, P: Price<Req>> Queue<Req> for Shared<B, P> {
    type Wait = Pin<Box<dyn Future<Output = Result<Pass, Refusing>> + Send>>;

    fn queue(&self, req: &Req) -> Turn<Pass, Self::Wait> {
        let cost = self.limiting.price.price(req);
        if cost == 0 {
            return Turn::Admitted(Pass::default());
        }
        let (number, bucket) = self.limiting.buckets.numbers(req);
        let (shelf, source) = (self.limiting.buckets.shelf().clone(), self.source.clone());
        let case = Case { shelf, source, number, bucket, cost };
        let begun = case.begin();
        if begun.ask {
            let this = self.clone();
            return Turn::Waiting(Box::pin(async move {
                let debt = case.enforce(case.settle(begun).await)?;
                Ok(this.limiting.pass(debt))
            }));
        }
        match case.enforce(begun.said) {
            Ok(debt) => Turn::Admitted(self.limiting.pass(debt)),
            Err(denial) => Turn::Refused(denial.into()),
        }
    }
}
