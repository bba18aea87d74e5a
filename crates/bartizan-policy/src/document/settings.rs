//! How the settings of a value are declared: each once, with its type, the setter that checks it, and what the schema says of it.

use super::Time;
use crate::tree::Fault;
use bartizan_core::Invalid;
use std::time::Duration;

/// What a setter returns: the value, or why it was not set.
pub(crate) trait Set<V> {
    fn set(self) -> Result<V, Fault>;
}

impl<V, E: Into<Fault>> Set<V> for Result<V, E> {
    fn set(self) -> Result<V, Fault> {
        self.map_err(Into::into)
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.message())
    }
}

/// What a setter is given for what stands in the document.
pub(crate) trait Setting {
    type Given;
    fn given(&self) -> Self::Given;
}

impl Setting for Time {
    type Given = Duration;
    fn given(&self) -> Duration {
        self.0
    }
}

super::given!(bool, u32, u64, usize, f64, String);

impl<T: Clone> Setting for Vec<T> {
    type Given = Self;
    fn given(&self) -> Self {
        self.clone()
    }
}

/// Sets one thing, if it is named. If it does not fit, but would to another value, the first stays as it is.
pub(crate) fn one<V: Clone, T: Setting, R: Set<V>>(
    value: V,
    name: &str,
    setting: Option<&T>,
    other: Option<V>,
    set: impl Fn(V, T::Given) -> R,
) -> Result<V, Fault> {
    let Some(setting) = setting else { return Ok(value) };
    let tried = set(value.clone(), setting.given()).set();
    let tried = match other {
        Some(other) => tried.or_else(|_| set(other, setting.given()).set().map(|_| value)),
        None => tried,
    };
    tried.map_err(|fault| fault.within(name))
}

/// Whether a value's settings are judged on top of what code gives, or by the document alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// On top of what is there: all must fit.
    Whole,
    /// By the document: what does not fit to something that is not named in it may still fit to what code gives.
    Alone,
}

/// Declares a table of settings, and how they are put onto a value.
///
/// `= setter` says how, in the order of the lines, and `with` names the settings that the range depends on: without any of them what code
/// gives counts, or while that is not known a value that fits to all. `free` comes first: it takes off what would stand against
/// what is named.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $table:ident for $value:ty $(, free $free:expr)?;
        $(
            $(#[$about:meta])*
            $name:ident: $kind:ty = $set:expr $(, with $($with:ident)|+, else $other:expr)?;
        )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $table {
            $(
                $(#[$about])*
                pub(crate) $name: Option<$kind>,
            )*
        }

        impl $crate::document::settings::Set<$value> for $value {
            fn set(self) -> Result<$value, $crate::tree::Fault> {
                Ok(self)
            }
        }

        $crate::document::given!($table);

        impl $table {
            /// Puts what is named onto a value.
            pub(crate) fn onto(
                &self,
                value: $value,
                judged: $crate::document::settings::Judged,
            ) -> Result<$value, $crate::tree::Fault> {
                let _alone = judged == $crate::document::settings::Judged::Alone;
                $(let value = ($free)(self, value);)?
                $(
                    let other: Option<$value> =
                        None$(.or_else(|| (_alone && $(self.$with.is_none())&&+).then(|| $other)))?;
                    let value = $crate::document::settings::one(
                        value,
                        stringify!($name),
                        self.$name.as_ref(),
                        other,
                        $set,
                    )?;
                )*
                Ok(value)
            }
        }
    };
}

pub(crate) use settings;
