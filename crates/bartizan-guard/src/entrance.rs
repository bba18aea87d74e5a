use bartizan_core::{Admit, Context, Queue, Refusing};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use tower_service::Service;

const DONE: &str = "an entrance is not polled after it is done";

/// What a request takes along while it waits.
pub(crate) struct Held<S, A, C, Req> {
    pub(crate) service: S,
    pub(crate) admit: A,
    pub(crate) classify: C,
    pub(crate) req: Req,
}

/// What came of a request at the entrance.
pub(crate) enum Entered<P, H, E> {
    /// It has a permit, and its clone of the service is ready.
    In(P, H),
    Refused(Refusing, H),
    /// The clone will never be ready.
    Broken(E),
}

type Came<S, A, C, Req> = Entered<<A as Admit<Req>>::Permit, Held<S, A, C, Req>, <S as Service<Req>>::Error>;

pin_project! {
    /// A request until it has its turn and its clone of the inner service is ready.
    pub(crate) struct Entrance<S, A, C, Req>
    where
        A: Queue<Req>,
    {
        #[pin]
        stage: Stage<A::Wait, A::Permit>,
        held: Option<Held<S, A, C, Req>>,
        // Entered while the policy decides and the service is made ready.
        context: Option<Context>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<W, P> {
        Waiting { #[pin] wait: W },
        Admitted { permit: Option<P> },
        Refused { refusing: Refusing },
    }
}

impl<S, A: Queue<Req>, C, Req> Entrance<S, A, C, Req> {
    pub(crate) const fn waiting(held: Held<S, A, C, Req>, wait: A::Wait, context: Option<Context>) -> Self {
        Self { stage: Stage::Waiting { wait }, held: Some(held), context }
    }

    pub(crate) const fn admitted(
        held: Held<S, A, C, Req>,
        permit: A::Permit,
        context: Option<Context>,
    ) -> Self {
        Self { stage: Stage::Admitted { permit: Some(permit) }, held: Some(held), context }
    }

    pub(crate) fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Came<S, A, C, Req>>
    where
        S: Service<Req>,
    {
        let this = self.project();
        let (mut stage, held) = (this.stage, this.held);
        match *this.context {
            Some(context) => context.enter(|| step(&mut stage, held, cx)),
            None => step(&mut stage, held, cx),
        }
    }
}

fn step<S, A, C, Req>(
    stage: &mut Pin<&mut Stage<A::Wait, A::Permit>>,
    held: &mut Option<Held<S, A, C, Req>>,
    cx: &mut task::Context<'_>,
) -> Poll<Came<S, A, C, Req>>
where
    S: Service<Req>,
    A: Queue<Req>,
{
    loop {
        let next = match stage.as_mut().project() {
            StageProj::Waiting { wait } => match ready!(wait.poll(cx)) {
                Ok(permit) => Stage::Admitted { permit: Some(permit) },
                Err(refusing) => Stage::Refused { refusing },
            },
            StageProj::Admitted { permit } => {
                let waiting = held.as_mut().expect(DONE);
                match waiting.service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        let (permit, held) = (permit.take().expect(DONE), held.take().expect(DONE));
                        return Poll::Ready(Entered::In(permit, held));
                    }
                    Poll::Ready(Err(error)) => {
                        // Who will never be in gives its place back, though its future may be kept.
                        drop((permit.take(), held.take()));
                        return Poll::Ready(Entered::Broken(error));
                    }
                    Poll::Pending => match waiting.admit.pending() {
                        Some(refusing) => Stage::Refused { refusing },
                        None => return Poll::Pending,
                    },
                }
            }
            StageProj::Refused { refusing } => {
                return Poll::Ready(Entered::Refused(*refusing, held.take().expect(DONE)));
            }
        };
        stage.set(next);
    }
}
