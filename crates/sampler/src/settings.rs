//! Check settings against their ranges.

use crate::SettingsError;

/// An error that names `setting` unless `valid`.
pub(crate) fn check(
    valid: bool,
    setting: &'static str,
    value: &dyn std::fmt::Debug,
    range: &'static str,
) -> Result<(), SettingsError> {
    if valid { Ok(()) } else { Err(SettingsError { setting, value: format!("{value:?}"), range }) }
}

/// An error that names `setting` unless `value` is positive and finite.
pub(crate) fn positive(setting: &'static str, value: f64) -> Result<(), SettingsError> {
    check(value > 0.0 && value.is_finite(), setting, &value, "positive and finite")
}
