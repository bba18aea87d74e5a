use std::any::{Any, TypeId};
use std::error::Error;
use std::sync::{Mutex, PoisonError};

type Look = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

static KNOWN: Mutex<Vec<(TypeId, Look)>> = Mutex::new(Vec::new());

/// Lets the layers look into errors of type `E`: for a [`Refused`](crate::Refused) or a sign that the request never arrived.
///
/// A layer takes errors of any type, and recognises only boxed ones (`Box<dyn Error + Send + Sync>`) by itself. Once is enough for a
/// process; `bartizan-client` does it for the errors of its clients. For an application's own, or for `tonic::transport::Error`, say so
/// before the first call.
pub fn recognise<E: Error + 'static>() {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|(id, _)| *id == TypeId::of::<E>()) {
        known.push((TypeId::of::<E>(), |error| error.downcast_ref::<E>().map(|error| error as _)));
    }
}

/// Returns an error of any type as one, if it is boxed or of a type that is [recognised](recognise).
#[cold]
#[must_use]
pub fn recognised(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**boxed);
    }
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error>>() {
        return Some(&**boxed);
    }
    let look = {
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(id, _)| *id == error.type_id()).map(|(_, look)| *look)
    };
    look.and_then(|look| look(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Reason, Refused, find_cause};

    #[test]
    fn only_what_is_boxed_or_made_known_is_looked_into() {
        const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
        fn refused(error: &dyn Any) -> bool {
            recognised(error).is_some_and(|error| find_cause::<Refused>(error).is_some())
        }
        let io = std::io::Error::other(Refused::new(&OPEN));
        assert!(!refused(&io));
        recognise::<std::io::Error>();
        recognise::<std::io::Error>();
        assert!(refused(&io));
        assert!(refused(&(Box::new(io) as Box<dyn Error>)));
        assert!(refused(&(Box::<dyn Error + Send + Sync>::from(Refused::new(&OPEN)))));
        assert!(!refused(&()));
    }
}
