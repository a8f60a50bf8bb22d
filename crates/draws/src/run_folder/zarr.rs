//! Describe arrays and groups in the metadata of Zarr version 3.

use crate::FieldKind;
use serde_json::{Value, json};

/// What `zarr.json` says of one array.
///
/// Chunks lie in the array's folder under names such as `c.0.3.0`: one index an axis. They are raw little-endian values in
/// row-major order, always of full size, filled up where they reach beyond the shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArrayMetadata {
    pub(super) kind: FieldKind,
    pub(super) shape: Vec<usize>,
    pub(super) chunk: Vec<usize>,
    pub(super) axes: Vec<String>,
    pub(super) attributes: Value,
}

impl ArrayMetadata {
    /// A coordinate array: the whole numbers 0, 1, 2, … along the axis that has its name.
    pub(super) fn coordinate(name: &str, extent: usize, chunk: usize) -> Self {
        Self {
            kind: FieldKind::Integer,
            shape: vec![extent],
            chunk: vec![chunk.max(1)],
            axes: vec![name.to_owned()],
            attributes: json!({}),
        }
    }

    /// The content of the array's `zarr.json`.
    pub(super) fn to_json(&self) -> Value {
        let (data_type, codec, fill) = match self.kind {
            FieldKind::Real => ("float64", json!({"name": "bytes", "configuration": {"endian": "little"}}), json!("NaN")),
            FieldKind::Integer => ("int64", json!({"name": "bytes", "configuration": {"endian": "little"}}), json!(0)),
            FieldKind::Flag => ("bool", json!({"name": "bytes"}), json!(false)),
        };
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": data_type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": fill,
            "codecs": [codec],
            "attributes": self.attributes,
            "dimension_names": self.axes,
        })
    }
}

/// The content of a group's `zarr.json`.
pub(super) fn group_json(attributes: &Value) -> Value {
    json!({"zarr_format": 3, "node_type": "group", "attributes": attributes})
}

/// The file name of the chunk that holds block `block` of chain `chain` of a variable with `axes` axes of its own.
pub(super) fn chunk_name(chain: usize, block: usize, axes: usize) -> String {
    format!("c.{chain}.{block}{}", ".0".repeat(axes))
}

/// Bytes of one element.
pub(super) fn element_bytes(kind: FieldKind) -> usize {
    match kind {
        FieldKind::Real | FieldKind::Integer => 8,
        FieldKind::Flag => 1,
    }
}

/// The element that stands where no value is, in bytes.
pub(super) fn fill_element(kind: FieldKind) -> &'static [u8] {
    const NAN: [u8; 8] = f64::NAN.to_le_bytes();
    match kind {
        FieldKind::Real => &NAN,
        FieldKind::Integer => &[0; 8],
        FieldKind::Flag => &[0],
    }
}

/// The chunk of a coordinate array that holds `start..start + len`.
pub(super) fn coordinate_chunk(start: usize, len: usize) -> Vec<u8> {
    (start..start + len).flat_map(|index| (index as i64).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_named_by_one_index_an_axis() {
        assert_eq!(chunk_name(1, 12, 0), "c.1.12");
        assert_eq!(chunk_name(0, 3, 2), "c.0.3.0.0");
    }

    #[test]
    fn coordinates_are_little_endian_whole_numbers() {
        assert_eq!(coordinate_chunk(255, 2), [255, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn fill_has_the_size_of_an_element() {
        for kind in [FieldKind::Real, FieldKind::Integer, FieldKind::Flag] {
            assert_eq!(fill_element(kind).len(), element_bytes(kind));
        }
    }
}
