//! Turn a tensor's bytes into numbers and numbers into bytes.

use super::SafetensorsError;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// The numbers that tensors are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TensorPrecision {
    /// 64 bits: draws come back with the same bits, but for transforms.
    #[default]
    F64,
    /// 32 bits, as most networks elsewhere have them: values are rounded.
    F32,
}

impl TensorPrecision {
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::F64 => Dtype::F64,
            Self::F32 => Dtype::F32,
        }
    }

    /// Appends the little-endian bytes of `value`.
    pub(super) fn push(self, value: f64, bytes: &mut Vec<u8>) {
        match self {
            Self::F64 => bytes.extend_from_slice(&value.to_le_bytes()),
            Self::F32 => bytes.extend_from_slice(&(value as f32).to_le_bytes()),
        }
    }
}

/// The values of a tensor in row-major order.
pub(super) fn decode(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f64>, SafetensorsError> {
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F64 => Ok(each(bytes, f64::from_le_bytes)),
        Dtype::F32 => Ok(each(bytes, |bytes| f32::from_le_bytes(bytes).into())),
        Dtype::F16 => Ok(each(bytes, |bytes| f16::from_le_bytes(bytes).into())),
        Dtype::BF16 => Ok(each(bytes, |bytes| bf16::from_le_bytes(bytes).into())),
        other => Err(SafetensorsError::Dtype { tensor: name.to_owned(), found: format!("{other:?}") }),
    }
}

fn each<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|&bytes| decode(bytes)).collect()
}
