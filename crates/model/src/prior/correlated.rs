//! Correlate the weights of a layer by fixed covariances over its units and inputs.

use super::elementwise::{HALF_LN_2PI, add_terms};
use super::scale::tensor_scales;
use super::scale_prior::Normal;
use super::{BoundPrior, NormalPrior, Prior, PriorError, Reparameterization};
use crate::{ChainRng, Network, Tensor};
use ergodic_draws::Role;
use nalgebra::DMatrix;
use pulp::Arch;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Normal weights, correlated within layers: W ~ matrix normal with row covariance s²U and column covariance V, that is
/// `cov(W[i,k], W[j,l]) = s² U[i,j] V[k,l]` (Louizos & Welling 2016; for images Fortuin et al. 2022).
///
/// Chains move in z of W = s A Z Bᵀ, with U = AAᵀ, V = BBᵀ and z ~ N(0, 1), so a strong correlation costs them nothing. U and V are
/// fixed; s is what `rest` gives the layer, and all that is not named is independent as `rest` says.
///
/// ```
/// use ergodic_model::{
///     Activation, CorrelatedPrior, LayerCorrelation, Network, NormalPrior, Prior, grid_positions, squared_exponential,
/// };
/// // Inputs are the pixels of an 8 × 8 picture: weights of neighbours are alike.
/// let pixels = squared_exponential(&grid_positions(8, 8), 1.5);
/// let prior = CorrelatedPrior {
///     layers: vec![LayerCorrelation { layer: 0, units: None, inputs: Some(pixels) }],
///     rest: NormalPrior::fan_in(1.0),
/// };
/// assert!(prior.bind(&Network::dense(64, &[16], Activation::Tanh, 10)?).is_ok());
/// assert!(prior.bind(&Network::dense(63, &[16], Activation::Tanh, 10)?).is_err());
/// # Ok::<(), ergodic_model::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelatedPrior {
    /// The layers whose weights are correlated.
    pub layers: Vec<LayerCorrelation>,
    /// Standard deviations.
    pub rest: NormalPrior,
}

/// The covariances of one layer's weights, in squared units of the layer's standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerCorrelation {
    /// The layer, counted from the input.
    pub layer: usize,
    /// U: between the layer's units, one row a unit; independent where there is none.
    pub units: Option<DMatrix<f64>>,
    /// V: between the weights into one unit; independent where there is none. A matrix smaller than the fan-in, which it must divide,
    /// repeats along it: with one row for each position of a filter, each input channel's filter is correlated within itself.
    pub inputs: Option<DMatrix<f64>>,
}

/// The positions of the cells of a grid, row after row: (height · width × 2), one apart.
///
/// ```
/// assert_eq!(ergodic_model::grid_positions(2, 3).row(5).iter().copied().collect::<Vec<f64>>(), [1.0, 2.0]);
/// ```
#[must_use]
pub fn grid_positions(height: usize, width: usize) -> DMatrix<f64> {
    DMatrix::from_fn(height * width, 2, |cell, axis| if axis == 0 { cell / width } else { cell % width } as f64)
}

/// The squared-exponential kernel exp(−‖x − y‖²/2ℓ²) between positions (points × dimensions), with 10⁻⁶ added to its diagonal so that
/// it can be factorised.
///
/// ```
/// let kernel = ergodic_model::squared_exponential(&ergodic_model::grid_positions(1, 2), 1.0);
/// assert!((kernel[(0, 1)] - (-0.5_f64).exp()).abs() < 1e-12);
/// ```
#[must_use]
pub fn squared_exponential(positions: &DMatrix<f64>, length_scale: f64) -> DMatrix<f64> {
    let points = positions.nrows();
    DMatrix::from_fn(points, points, |i, j| {
        let square = (positions.row(i) - positions.row(j)).norm_squared();
        (-0.5 * square / (length_scale * length_scale)).exp() + if i == j { 1e-6 } else { 0.0 }
    })
}

impl Prior for CorrelatedPrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let mut tensors = Vec::new();
        let mut used = vec![false; self.layers.len()];
        for (tensor, scale) in tensor_scales(network, &self.rest.weights, &self.rest.biases)? {
            let wanted =
                |layer: &LayerCorrelation| tensor.block.role == Role::Weight && Some(layer.layer) == tensor.block.layer;
            let index = self.layers.iter().position(wanted);
            let (mut units, mut inputs) = (None, None);
            if let Some(index) = index {
                used[index] = true;
                let rows = tensor.block.shape.first().copied().unwrap_or(1);
                if let Some(covariance) = &self.layers[index].units {
                    units = Some(factor(covariance, "units", &tensor, rows, false)?);
                }
                if let Some(covariance) = &self.layers[index].inputs {
                    inputs = Some(factor(covariance, "inputs", &tensor, tensor.block.len() / rows.max(1), true)?);
                }
            }
            tensors.push(CorrelatedTensor { range: tensor.block.range(), scale, units, inputs });
        }
        if let Some(index) = used.iter().position(|used| !used) {
            let layer = self.layers[index].layer;
            let problem = format!("layer {layer} is to be correlated a second time, or the network has no weights there");
            return Err(PriorError::Unsuitable(problem));
        }
        let layers: Vec<String> = self.layers.iter().map(|layer| layer.layer.to_string()).collect();
        let description = format!(
            "normal, sd {} (weights), {} (biases), correlated in layers {}",
            self.rest.weights.describe(),
            self.rest.biases.describe(),
            layers.join(", ")
        );
        Ok(Box::new(Correlated { tensors, ones: vec![1.0; network.num_weights()], description, arch: Arch::new() }))
    }
}

/// The Cholesky factor of a covariance that must suit `extent` units or inputs.
fn factor(
    covariance: &DMatrix<f64>,
    what: &str,
    tensor: &Tensor,
    extent: usize,
    may_repeat: bool,
) -> Result<Triangular, PriorError> {
    let name = &tensor.block.name;
    let size = covariance.nrows();
    let fits = size == extent || (may_repeat && size > 0 && extent.is_multiple_of(size));
    if covariance.ncols() != size || !fits {
        return Err(PriorError::Unsuitable(format!(
            "the covariance of the {what} of {name} is {size} × {}; it must be {extent} × {extent}{}",
            covariance.ncols(),
            if may_repeat { " or a square matrix whose size divides that" } else { "" }
        )));
    }
    let asymmetry = (covariance - covariance.transpose()).amax();
    let cholesky = covariance.clone().cholesky().filter(|_| asymmetry <= 1e-12 * covariance.amax());
    let Some(cholesky) = cholesky else {
        return Err(PriorError::Unsuitable(format!(
            "the covariance of the {what} of {name} is not symmetric and positive definite; adding a little to its diagonal often \
             makes it so"
        )));
    };
    // nalgebra stores columns one after the other: the transpose of the factor has the rows of the factor.
    let lower = cholesky.l();
    Ok(Triangular { size, rows: lower.transpose().as_slice().to_vec(), columns: lower.as_slice().to_vec() })
}

#[derive(Debug)]
struct Correlated {
    tensors: Vec<CorrelatedTensor>,
    ones: Vec<f64>,
    description: String,
    arch: Arch,
}

#[derive(Debug)]
struct CorrelatedTensor {
    range: Range<usize>,
    scale: f64,
    units: Option<Triangular>,
    inputs: Option<Triangular>,
}

/// A lower-triangular matrix, row after row and column after column.
#[derive(Debug)]
struct Triangular {
    size: usize,
    rows: Vec<f64>,
    columns: Vec<f64>,
}

impl Triangular {
    fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.size..][..=i]
    }

    /// From the diagonal on.
    fn column(&self, j: usize) -> &[f64] {
        &self.columns[j * self.size + j..][..self.size - j]
    }

    /// x ← L x, from the last row up.
    fn multiply(&self, x: &mut [f64]) {
        for i in (0..self.size).rev() {
            x[i] = dot(self.row(i), &x[..=i]);
        }
    }

    /// x ← Lᵀ x.
    fn multiply_transposed(&self, x: &mut [f64]) {
        for j in 0..self.size {
            x[j] = dot(self.column(j), &x[j..]);
        }
    }

    /// x ← L⁻¹ x.
    fn solve(&self, x: &mut [f64]) {
        for i in 0..self.size {
            let row = self.row(i);
            x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
        }
    }

    /// X ← L X for a matrix of rows of `width`.
    fn multiply_rows(&self, x: &mut [f64], width: usize) {
        for i in (0..self.size).rev() {
            let (above, from_i) = x.split_at_mut(i * width);
            let (to, _) = from_i.split_at_mut(width);
            let row = self.row(i);
            to.iter_mut().for_each(|x| *x *= row[i]);
            for (factor, from) in row.iter().zip(above.chunks_exact(width)) {
                add_scaled(to, *factor, from);
            }
        }
    }

    /// X ← Lᵀ X.
    fn multiply_rows_transposed(&self, x: &mut [f64], width: usize) {
        for j in 0..self.size {
            let (to, below) = x[j * width..].split_at_mut(width);
            let column = self.column(j);
            to.iter_mut().for_each(|x| *x *= column[0]);
            for (factor, from) in column[1..].iter().zip(below.chunks_exact(width)) {
                add_scaled(to, *factor, from);
            }
        }
    }

    /// X ← L⁻¹ X.
    fn solve_rows(&self, x: &mut [f64], width: usize) {
        for i in 0..self.size {
            let (above, from_i) = x.split_at_mut(i * width);
            let (to, _) = from_i.split_at_mut(width);
            let row = self.row(i);
            for (factor, from) in row.iter().zip(above.chunks_exact(width)) {
                add_scaled(to, -factor, from);
            }
            to.iter_mut().for_each(|x| *x /= row[i]);
        }
    }
}

fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Eight sums in a fixed order let the compiler use vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let last: f64 = a_last.iter().zip(b_last).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + last
}

impl CorrelatedTensor {
    fn width(&self, units: &Triangular) -> usize {
        self.range.len() / units.size
    }
}

impl BoundPrior for Correlated {
    fn description(&self) -> String {
        self.description.clone()
    }

    fn add_gradient(&self, z: &[f64], _parameters: &[f64], d_z: &mut [f64], _d_parameters: &mut [f64]) -> f64 {
        add_terms(self.arch, &Normal { mean: 0.0, precision: 1.0 }, z, d_z) - z.len() as f64 * HALF_LN_2PI
    }

    fn draw(&self, rng: &mut ChainRng, z: &mut [f64], _parameters: &mut [f64]) {
        z.fill_with(|| StandardNormal.sample(rng));
    }

    fn scales(&self) -> &[f64] {
        &self.ones
    }

    fn reparameterization(&self) -> Option<&dyn Reparameterization> {
        Some(self)
    }
}

impl Reparameterization for Correlated {
    fn weights(&self, z: &[f64], _parameters: &[f64], weights: &mut [f64]) {
        for tensor in &self.tensors {
            let weights = &mut weights[tensor.range.clone()];
            for (w, z) in weights.iter_mut().zip(&z[tensor.range.clone()]) {
                *w = tensor.scale * z;
            }
            if let Some(inputs) = &tensor.inputs {
                weights.chunks_exact_mut(inputs.size).for_each(|row| inputs.multiply(row));
            }
            if let Some(units) = &tensor.units {
                units.multiply_rows(weights, tensor.width(units));
            }
        }
    }

    fn pull_back(&self, _z: &[f64], _parameters: &[f64], gradient: &mut [f64], _d_parameters: &mut [f64]) {
        for tensor in &self.tensors {
            let gradient = &mut gradient[tensor.range.clone()];
            gradient.iter_mut().for_each(|g| *g *= tensor.scale);
            if let Some(units) = &tensor.units {
                units.multiply_rows_transposed(gradient, tensor.width(units));
            }
            if let Some(inputs) = &tensor.inputs {
                gradient.chunks_exact_mut(inputs.size).for_each(|row| inputs.multiply_transposed(row));
            }
        }
    }

    fn coordinates(&self, weights: &[f64], _parameters: &[f64], z: &mut [f64]) {
        for tensor in &self.tensors {
            let z = &mut z[tensor.range.clone()];
            for (z, w) in z.iter_mut().zip(&weights[tensor.range.clone()]) {
                *z = w / tensor.scale;
            }
            if let Some(units) = &tensor.units {
                units.solve_rows(z, tensor.width(units));
            }
            if let Some(inputs) = &tensor.inputs {
                z.chunks_exact_mut(inputs.size).for_each(|row| inputs.solve(row));
            }
        }
    }
}
