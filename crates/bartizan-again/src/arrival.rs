use std::error::Error;

pub(crate) fn never_arrived(error: &(dyn Error + 'static)) -> bool {
    bartizan_core::find_cause::<std::io::Error>(error)
        .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}
