use std::error::Error;
use std::io;

/// Tells whether an error proves that the server has not begun with the request, so that sending it once more cannot
/// do a thing twice. What is not certain is `false`.
///
/// It looks for one of these in the chain of sources, behind wrapping `io::Error`s too:
///
/// - a refused connection,
/// - a stream that the server reset with `REFUSED_STREAM` (RFC 9113 §8.7),
/// - a stream that the server left out when it sent `GOAWAY` with `NO_ERROR` (RFC 9113 §6.8),
/// - hyper's word that a connection was gone before it took the request.
///
/// It is a proof for the request that was sent last. Whether that is the one which the client was given, or a redirect led to it, is
/// another question: [`Signs::own`](crate::Signs::own).
///
/// An error of the request's own body proves nothing, whatever its sources are: it came while the request was sent. Nor
/// does the error of a service that makes several calls for one request: ask beneath it.
///
/// ```
/// use std::io;
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// assert!(bartizan_again::never_arrived(&io::Error::other(refused)));
/// assert!(!bartizan_again::never_arrived(&io::Error::from(io::ErrorKind::ConnectionReset)));
/// ```
#[must_use]
pub fn never_arrived(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(known) = says(error) {
            return known;
        }
        // An `io::Error` shows the sources of what it wraps, and not the wrapped error itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

/// What one error of the chain says, and `None` if that is left to its source.
fn says(error: &(dyn Error + 'static)) -> Option<bool> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        (error.kind() == io::ErrorKind::ConnectionRefused).then_some(true)
    } else if let Some(error) = error.downcast_ref::<h2::Error>() {
        Some(is_left_out(error))
    } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
        if error.is_user() { Some(false) } else { is_unsent(error).then_some(true) }
    } else {
        None
    }
}

/// With `NO_ERROR`, h2 fails streams above the last one that a `GOAWAY` names, and whoever asks for a new stream.
///
/// hyper asks once more between the making of a stream and its use. Should a `GOAWAY` arrive in just that moment, and
/// its last stream be a later one, and the headers be gone already, then a server may see them, and a reset behind them,
/// but no body. No error tells this apart.
fn is_left_out(error: &h2::Error) -> bool {
    let reason = error.reason();
    error.is_remote()
        && (error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM)
            || error.is_go_away() && reason == Some(h2::Reason::NO_ERROR))
}

/// hyper calls canceled what it has not begun to send, and also an upgrade that came to nothing, long after the request
/// was sent. Only the source tells them apart.
fn is_unsent(error: &hyper::Error) -> bool {
    let queued = |source: &(dyn Error + 'static)| {
        // A request that waited behind another when the connection broke has the other's error as its source.
        source.is::<hyper::Error>()
            || ["connection closed", "connection was not ready"].contains(&source.to_string().as_str())
    };
    error.is_canceled() && error.source().is_some_and(queued)
}
