use crate::refused::beneath;
use std::any::{Any, TypeId};
use std::error::Error;
use std::sync::{Mutex, PoisonError};

struct Known {
    id: TypeId,
    look: fn(&dyn Any) -> Option<&(dyn Error + 'static)>,
    /// Whether an error of this type is about the request that was sent; `None` for those of other types.
    own: Box<Own>,
}

type Own = dyn Fn(&(dyn Error + 'static)) -> Option<bool> + Send + Sync;

static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// Lets the layers look into errors of type `E`: for a [`Refused`](crate::Refused) or a sign that the request never arrived.
///
/// A layer takes errors of any type, and recognises only boxed ones (`Box<dyn Error + Send + Sync>`) by itself. Once is enough for a
/// process; `bartizan-client` does it for the errors of its clients. For an application's own, or for `tonic::transport::Error`, say so
/// before the first call.
pub fn recognise<E: Error + 'static>() {
    recognise_by::<E>(|_| true);
}

/// Lets the layers look into errors of type `E`, as [`recognise`] does, and tells them apart that are not about the request that was
/// sent, but about one that followed it, such as a redirect's.
pub fn recognise_by<E: Error + 'static>(own: fn(&E) -> bool) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|known| known.id == TypeId::of::<E>()) {
        known.push(Known {
            id: TypeId::of::<E>(),
            look: |error| error.downcast_ref::<E>().map(|error| error as _),
            own: Box::new(move |error| error.downcast_ref().map(own)),
        });
    }
}

/// Whether an error, with all its sources, is about the request that was sent, as far as that is [known](recognise_by).
#[cold]
#[must_use]
pub fn is_own(error: &(dyn Error + 'static)) -> bool {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut next = Some(error);
    while let Some(error) = next {
        if known.iter().any(|known| (known.own)(error) == Some(false)) {
            return false;
        }
        next = beneath(error);
    }
    true
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
        known.iter().find(|known| known.id == error.type_id()).map(|known| known.look)
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

    #[test]
    fn errors_of_another_request_are_told_apart() {
        recognise_by::<std::fmt::Error>(|_| false);
        assert!(!is_own(&std::fmt::Error));
        assert!(is_own(&std::io::Error::other("plain")));
    }
}
