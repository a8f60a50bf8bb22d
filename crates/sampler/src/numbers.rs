//! Read long vectors of numbers back into as much memory as they need, for `#[serde(deserialize_with = "numbers::exact")]`.

use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};
use std::fmt;

/// A vector of numbers whose length stands before them. Serde itself takes announced lengths above a mebibyte for a lie, and grows its
/// vectors by doubling, to up to twice their size.
pub(crate) fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    struct Exact;
    impl<'de> Visitor<'de> for Exact {
        type Value = Vec<f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence of numbers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<f64>, A::Error> {
            let mut numbers = Vec::new();
            let length = sequence.size_hint().unwrap_or(0);
            numbers
                .try_reserve_exact(length)
                .map_err(|_| A::Error::custom(format!("{length} numbers do not fit into memory")))?;
            while let Some(number) = sequence.next_element()? {
                numbers.push(number);
            }
            Ok(numbers)
        }
    }
    deserializer.deserialize_seq(Exact)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Numbers(#[serde(deserialize_with = "super::exact")] Vec<f64>);

    #[test]
    fn long_vectors_take_no_more_memory_than_they_need() {
        let bytes = postcard::to_stdvec(&Numbers(vec![0.5; 140_000])).unwrap();
        let Numbers(numbers) = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((numbers.len(), numbers.capacity()), (140_000, 140_000));
        let grown: Vec<f64> = postcard::from_bytes(&bytes).unwrap();
        assert!(grown.capacity() > 140_000, "without it they would");
    }

    #[test]
    fn a_length_beyond_all_memory_is_an_error() {
        let bytes = postcard::to_stdvec(&(u64::MAX >> 2)).unwrap();
        assert!(postcard::from_bytes::<Numbers>(&bytes).is_err());
        let numbers: Numbers = serde_json::from_str("[1.0, 2.0]").unwrap();
        assert_eq!(numbers.0, [1.0, 2.0]);
    }
}
