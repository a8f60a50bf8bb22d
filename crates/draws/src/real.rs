//! Write real numbers to JSON without loss, which has no word for NaN and the infinities.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A real number that text formats hold as a number, or as `"NaN"`, `"Infinity"` or `"-Infinity"`.
#[derive(Debug, Clone, Copy)]
struct Real(f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value) = *self;
        if value.is_finite() || !serializer.is_human_readable() {
            serializer.serialize_f64(value)
        } else if value.is_nan() {
            serializer.serialize_str("NaN")
        } else {
            serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(RealVisitor)
        } else {
            f64::deserialize(deserializer).map(Self)
        }
    }
}

struct RealVisitor;

impl Visitor<'_> for RealVisitor {
    type Value = Real;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Real, E> {
        Ok(Real(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Real, E> {
        Ok(Real(value as f64))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Real, E> {
        Ok(Real(value as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Real, E> {
        match text {
            "NaN" => Ok(Real(f64::NAN)),
            "Infinity" => Ok(Real(f64::INFINITY)),
            "-Infinity" => Ok(Real(f64::NEG_INFINITY)),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

/// Writes a field, for `#[serde(with = "real")]`.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Real(*value).serialize(serializer)
}

/// Reads a field, for `#[serde(with = "real")]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Real::deserialize(deserializer).map(|real| real.0)
}

/// Real numbers by name, for `#[serde(with = "real::by_name")]`.
pub(crate) mod by_name {
    use super::{BTreeMap, Deserialize, Deserializer, Real, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(values.iter().map(|(name, value)| (name, Real(*value))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let values = BTreeMap::<String, Real>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|(name, real)| (name, real.0)).collect())
    }
}

/// Pairs of a count and a real number, for `#[serde(with = "real::against_count")]`.
pub(crate) mod against_count {
    use super::{Deserialize, Deserializer, Real, Serializer};

    pub(crate) fn serialize<S: Serializer>(pairs: &[(u64, f64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(pairs.iter().map(|&(count, value)| (count, Real(value))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u64, f64)>, D::Error> {
        let pairs = Vec::<(u64, Real)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().map(|(count, real)| (count, real.0)).collect())
    }
}
