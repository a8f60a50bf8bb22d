//! Invert small symmetric positive definite matrices, with the logarithm of their determinant.
//!
//! Symmetric block Gauss–Jordan elimination ("sweeping", Goodnight 1979, The American Statistician 33) on the lower triangle, four
//! pivots at a time: half the multiply-adds of the full matrix, in long contiguous rows. Without pivoting it is stable for positive
//! definite matrices.

use crate::simd::{AlignedBuffer, Lanes, Real};
use pulp::{Arch, Simd, WithSimd};

/// Pivots that are eliminated together.
const BLOCK: usize = 4;

/// Room for one matrix and its inverse.
#[derive(Debug, Clone)]
pub(crate) struct SymmetricInverse {
    arch: Arch,
    dim: usize,
    /// Values of a row: whole cache lines.
    stride: usize,
    /// The lower triangle, row-major; rows and columns beyond `dim` are those of the identity.
    matrix: AlignedBuffer<f64>,
    /// The columns of the pivots, as rows, over the factor of their own block.
    pivots: AlignedBuffer<f64>,
    /// Their columns times the inverse of their own block.
    scaled: AlignedBuffer<f64>,
}

impl SymmetricInverse {
    pub(crate) fn new(dim: usize) -> Self {
        Self::with_arch(dim, Arch::new())
    }

    /// The same on a given instruction set.
    pub(crate) fn with_arch(dim: usize, arch: Arch) -> Self {
        let stride = dim.next_multiple_of(8);
        let room = |rows| AlignedBuffer::zeros(rows * stride);
        Self { arch, dim, stride, matrix: room(dim.next_multiple_of(BLOCK)), pivots: room(BLOCK), scaled: room(BLOCK) }
    }

    /// Inverts the matrix whose lower triangle `entry(row, column)` gives, and returns the logarithm of its determinant; none where
    /// it is not positive definite.
    #[inline]
    pub(crate) fn invert(&mut self, entry: impl Fn(usize, usize) -> f64) -> Option<f64> {
        let Self { dim, stride, .. } = *self;
        for (i, row) in self.matrix.as_mut_slice().chunks_exact_mut(stride).enumerate() {
            if i < dim {
                for (j, value) in row[..=i].iter_mut().enumerate() {
                    *value = entry(i, j);
                }
            } else {
                row.fill(0.0);
                row[i] = 1.0;
            }
        }
        let (matrix, pivots, scaled) = (self.matrix.as_mut_slice(), self.pivots.as_mut_slice(), self.scaled.as_mut_slice());
        self.arch.dispatch(Sweep { stride, matrix, pivots, scaled })
    }

    /// After [`invert`](Self::invert), the inverse's row up to the diagonal, with its sign changed.
    #[inline]
    pub(crate) fn negative_row(&self, row: usize) -> &[f64] {
        &self.matrix.as_slice()[row * self.stride..][..=row]
    }

    /// After [`invert`](Self::invert), writes the inverse times `vector`.
    pub(crate) fn multiply(&self, vector: &[f64], product: &mut [f64]) {
        symmetric_product(|row| self.negative_row(row), vector, product);
        for value in product {
            *value = -*value;
        }
    }
}

/// Writes the product of a symmetric matrix, of which `row` gives each row up to the diagonal, and `vector`.
#[inline]
pub(crate) fn symmetric_product<'a>(row: impl Fn(usize) -> &'a [f64], vector: &[f64], product: &mut [f64]) {
    for i in 0..vector.len() {
        let (left, factor) = (&row(i)[..i], vector[i]);
        // Eight sums in a fixed order let the compiler use vector instructions.
        let mut sums = [0.0; 8];
        let (chunks, rest) = left.as_chunks::<8>();
        let (vectors, _) = vector[..i].as_chunks::<8>();
        let (products, last) = product[..i].as_chunks_mut::<8>();
        for ((left, vector), product) in chunks.iter().zip(vectors).zip(products) {
            for lane in 0..8 {
                sums[lane] += left[lane] * vector[lane];
                product[lane] += left[lane] * factor;
            }
        }
        let mut sum: f64 = sums.iter().sum();
        for ((left, vector), product) in rest.iter().zip(&vector[chunks.len() * 8..i]).zip(last) {
            sum += left * vector;
            *product += left * factor;
        }
        product[i] = sum + row(i)[i] * factor;
    }
}

struct Sweep<'a> {
    stride: usize,
    matrix: &'a mut [f64],
    pivots: &'a mut [f64],
    scaled: &'a mut [f64],
}

impl WithSimd for Sweep<'_> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<f64> {
        let l = f64::lanes(simd);
        let Self { stride, matrix, pivots, scaled } = self;
        let rows = matrix.len() / stride;
        let mut log_determinant = 0.0;
        for first in (0..rows).step_by(BLOCK) {
            for (q, pivot) in pivots.chunks_exact_mut(stride).enumerate() {
                // The pivot's column: its row up to the block, then down the rows below.
                pivot[..first].copy_from_slice(&matrix[(first + q) * stride..][..first]);
                for row in first + BLOCK..rows {
                    pivot[row] = matrix[row * stride + first + q];
                }
                pivot[first..first + BLOCK].fill(0.0);
            }
            let Block { factor, inverse, log_determinant: log_pivots } =
                invert_block(|i, j| matrix[(first + i) * stride + first + j])?;
            log_determinant += log_pivots;
            scale(l, &factor, pivots, scaled, stride);
            for row in (0..first).chain(first + BLOCK..rows) {
                let factors = std::array::from_fn(|q| pivots[q * stride + row]);
                subtract(l, factors, pivots, stride, &mut matrix[row * stride..][..stride], row);
            }
            for q in 0..BLOCK {
                matrix[(first + q) * stride..][..first].copy_from_slice(&scaled[q * stride..][..first]);
                for j in 0..=q {
                    matrix[(first + q) * stride + first + j] = -inverse[q][j];
                }
            }
            for row in first + BLOCK..rows {
                for q in 0..BLOCK {
                    matrix[row * stride + first + q] = scaled[q * stride + row];
                }
            }
        }
        Some(log_determinant)
    }
}

/// Replaces the pivots' columns C by Y = L⁻¹C, and writes L⁻ᵀY, where P = LLᵀ is the pivots' block.
///
/// By substitution, not by the block's inverse: the rest loses YᵀY = CᵀP⁻¹C without the block's condition entering twice.
#[inline(always)]
fn scale<L: Lanes<E = f64>>(l: L, factor: &[[f64; BLOCK]; BLOCK], pivots: &mut [f64], scaled: &mut [f64], stride: usize) {
    let width = stride / L::WIDTH;
    let (pivots, scaled) = (L::vectors_mut(pivots), L::vectors_mut(scaled));
    for c in 0..width {
        let mut columns: [L::V; BLOCK] = std::array::from_fn(|q| pivots[q * width + c]);
        for p in 0..BLOCK {
            for q in 0..p {
                columns[p] = l.negative_fma(l.splat(factor[p][q]), columns[q], columns[p]);
            }
            columns[p] = l.mul(l.splat(factor[p][p]), columns[p]);
            pivots[p * width + c] = columns[p];
        }
        for p in (0..BLOCK).rev() {
            for q in p + 1..BLOCK {
                columns[p] = l.negative_fma(l.splat(factor[q][p]), columns[q], columns[p]);
            }
            columns[p] = l.mul(l.splat(factor[p][p]), columns[p]);
            scaled[p * width + c] = columns[p];
        }
    }
}

/// Subtracts multiples of the pivots' columns from a row, up to its diagonal at least.
#[inline(always)]
fn subtract<L: Lanes<E = f64>>(l: L, factors: [f64; BLOCK], pivots: &[f64], stride: usize, row: &mut [f64], diagonal: usize) {
    let width = stride / L::WIDTH;
    let count = diagonal / L::WIDTH + 1;
    let [a, b, c, d]: [&[L::V]; BLOCK] =
        std::array::from_fn(|q| &L::vectors(&pivots[q * stride..][..stride])[..count.min(width)]);
    let factors: [L::V; BLOCK] = std::array::from_fn(|q| l.splat(factors[q]));
    let row = &mut L::vectors_mut(row)[..count.min(width)];
    for i in 0..row.len() {
        let sum = l.negative_fma(factors[0], a[i], row[i]);
        let sum = l.negative_fma(factors[1], b[i], sum);
        let sum = l.negative_fma(factors[2], c[i], sum);
        row[i] = l.negative_fma(factors[3], d[i], sum);
    }
}

/// The pivots' own block.
struct Block {
    /// Cholesky's factor, its diagonal's reciprocals on the diagonal.
    factor: [[f64; BLOCK]; BLOCK],
    inverse: [[f64; BLOCK]; BLOCK],
    log_determinant: f64,
}

/// Factorises and inverts the pivots' block.
#[inline(always)]
fn invert_block(entry: impl Fn(usize, usize) -> f64) -> Option<Block> {
    let mut factor = [[0.0; BLOCK]; BLOCK];
    let mut determinant = 1.0;
    let mut log_determinant = 0.0;
    for j in 0..BLOCK {
        let mut square = entry(j, j);
        for value in &factor[j][..j] {
            square -= value * value;
        }
        // Not so for NaN either.
        if !(square > 0.0 && square < f64::INFINITY) {
            return None;
        }
        let root = square.sqrt();
        determinant *= root;
        if !(1e-70..1e70).contains(&determinant) {
            log_determinant += determinant.ln();
            determinant = 1.0;
        }
        // The diagonal holds reciprocals.
        factor[j][j] = 1.0 / root;
        for i in j + 1..BLOCK {
            let mut sum = entry(i, j);
            for (a, b) in factor[i][..j].iter().zip(&factor[j][..j]) {
                sum -= a * b;
            }
            factor[i][j] = sum * factor[j][j];
        }
    }
    // The factor's inverse, then its transpose times itself.
    let mut lower = [[0.0; BLOCK]; BLOCK];
    for j in 0..BLOCK {
        lower[j][j] = factor[j][j];
        for i in j + 1..BLOCK {
            let mut sum = 0.0;
            for k in j..i {
                sum -= factor[i][k] * lower[k][j];
            }
            lower[i][j] = sum * factor[i][i];
        }
    }
    let mut inverse = [[0.0; BLOCK]; BLOCK];
    for i in 0..BLOCK {
        for j in 0..=i {
            let mut sum = 0.0;
            for row in lower.iter().skip(i) {
                sum += row[i] * row[j];
            }
            inverse[i][j] = sum;
            inverse[j][i] = sum;
        }
    }
    Some(Block { factor, inverse, log_determinant: 2.0 * (log_determinant + determinant.ln()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::elementary_tests::instruction_sets;
    use nalgebra::DMatrix;

    #[test]
    fn equals_a_plain_inverse_at_any_size_on_any_instruction_set() {
        for arch in instruction_sets() {
            for dim in [1, 2, 3, 4, 5, 7, 8, 9, 17, 51, 52] {
                for strength in [0.1, 1e4] {
                    let features = DMatrix::from_fn(2 * dim, dim, |row, column| ((row * 7 + column * 13) as f64 * 0.77).sin());
                    let matrix = DMatrix::identity(dim, dim) + features.transpose() * &features * strength;
                    let mut inverse = SymmetricInverse::with_arch(dim, arch);
                    let log_determinant = inverse.invert(|i, j| matrix[(i, j)]).unwrap();
                    let expected = matrix.clone().cholesky().unwrap();
                    let log_expected = 2.0 * expected.l().diagonal().map(f64::ln).sum();
                    assert!((log_determinant - log_expected).abs() < 1e-9 * (1.0 + log_expected.abs()), "{dim}");
                    let expected = expected.inverse();
                    for i in 0..dim {
                        for j in 0..=i {
                            assert!((inverse.negative_row(i)[j] + expected[(i, j)]).abs() < 1e-9, "{arch:?} {dim}: ({i}, {j})");
                        }
                    }
                    let vector: Vec<f64> = (0..dim).map(|i| (i as f64).cos()).collect();
                    let mut product = vec![f64::NAN; dim];
                    inverse.multiply(&vector, &mut product);
                    let plain = expected * nalgebra::DVector::from_vec(vector);
                    assert!(product.iter().zip(plain.iter()).all(|(a, b)| (a - b).abs() < 1e-9));
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_not_positive_definite() {
        let mut inverse = SymmetricInverse::new(5);
        assert_eq!(inverse.invert(|i, j| if i == j { 1.0 } else { 2.0 }), None);
        assert_eq!(inverse.invert(|i, j| if i == j && i < 4 { 1.0 } else { f64::NAN }), None);
        assert_eq!(inverse.invert(|i, j| if i == j { f64::INFINITY } else { 0.0 }), None);
        let log_determinant = inverse.invert(|i, j| if i == j { 1e90 } else { 0.0 }).unwrap();
        assert!((log_determinant - 5.0 * 90.0 * std::f64::consts::LN_10).abs() < 1e-9);
    }
}
