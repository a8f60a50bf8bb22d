//! Check one setting against its range.

use ergodic_sampler::SettingsError;
use std::fmt::Display;

/// An error that names `setting` unless it is valid.
pub(crate) fn check(valid: bool, setting: &'static str, value: impl Display, range: &'static str) -> Result<(), SettingsError> {
    if valid { Ok(()) } else { Err(SettingsError { setting, value: value.to_string(), range }) }
}
