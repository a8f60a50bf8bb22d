//! Add what layers make of their input to the input itself.

use super::sequence::{Misfit, Sequence};
use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{FastLayer, ResidualBlock};

/// A residual connection (He et al. 2016): `y = branch(x) + x`, or `branch(x) + projection(x)` where shapes change.
///
/// The branch's tensors are named by their place in it, such as `0.weight`; the projection's such as `projection.0.weight`.
///
/// ```
/// use ergodic_model::Activation;
/// use ergodic_model::layers::{Conv2d, Layer, Residual};
/// let branch = Residual::new().layer(Conv2d::new(8, [3, 3]).with_padding([1, 1])).layer(Activation::Relu);
/// assert_eq!(branch.bind(&[8, 14, 14])?.output_shape(), [8, 14, 14]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Default)]
pub struct Residual {
    branch: Vec<Box<dyn Layer>>,
    projection: Vec<Box<dyn Layer>>,
}

impl Residual {
    /// A connection whose branch is still empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more layer at the end of the branch.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.branch.push(Box::new(layer));
        self
    }

    /// The same with one more layer on the shortcut, such as a [`Conv2d`](super::Conv2d) of kernel 1 × 1 with the branch's stride.
    #[must_use]
    pub fn with_projection(mut self, layer: impl Layer + 'static) -> Self {
        self.projection.push(Box::new(layer));
        self
    }
}

impl Layer for Residual {
    fn kind(&self) -> String {
        "residual".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        if self.branch.is_empty() {
            return Err(LayerError::Setting("has a branch without layers; give it at least one".into()));
        }
        let bind = |part, layers: &[Box<dyn Layer>]| {
            Sequence::bind(layers, input_shape).map_err(|Misfit { layer, kind, problem }| LayerError::Inner {
                part,
                layer,
                kind,
                problem: Box::new(problem),
            })
        };
        let branch = bind("branch", &self.branch)?;
        let projection = if self.projection.is_empty() { None } else { Some(bind("projection", &self.projection)?) };
        let shortcut = projection.as_ref().map_or(input_shape, |projection| projection.output_shape());
        if branch.output_shape() != shortcut {
            return Err(LayerError::Sum {
                branch: branch.output_shape().to_vec(),
                shortcut: shortcut.to_vec(),
                remedy: "make them agree by padding, or by a projection on the shortcut".into(),
            });
        }
        if branch.reads_numbers() || projection.as_ref().is_some_and(BoundLayer::reads_numbers) {
            return Err(LayerError::Setting(
                "has a layer that reads whole numbers; make that the network's first layer".into(),
            ));
        }
        let inputs = input_shape.iter().product();
        Ok(Box::new(BoundResidual { branch, projection, inputs }))
    }
}

#[derive(Debug)]
struct BoundResidual {
    branch: Sequence,
    projection: Option<Sequence>,
    inputs: usize,
}

impl BoundResidual {
    fn num_outputs(&self) -> usize {
        self.branch.output_shape().iter().product()
    }
}

impl BoundLayer for BoundResidual {
    fn output_shape(&self) -> &[usize] {
        self.branch.output_shape()
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        let mut parameters = self.branch.parameters();
        for mut parameter in self.projection.iter().flat_map(BoundLayer::parameters) {
            parameter.name = format!("projection.{}", parameter.name);
            parameters.push(parameter);
        }
        parameters
    }

    /// What branch and projection keep, then the shortcut's outputs or derivatives.
    fn num_kept(&self) -> usize {
        let projection = self.projection.as_ref().map_or(0, BoundLayer::num_kept);
        self.branch.num_kept() + projection + self.num_outputs().max(self.inputs)
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], kept: &mut [f64]) {
        let (of_branch, of_projection) = weights.split_at(self.branch.num_weights());
        let (branch, rest) = kept.split_at_mut(self.branch.num_kept());
        self.branch.forward(of_branch, input, output, branch);
        let shortcut = match &self.projection {
            Some(projection) => {
                let (own, shortcut) = rest.split_at_mut(projection.num_kept());
                let shortcut = &mut shortcut[..output.len()];
                projection.forward(of_projection, input, shortcut, own);
                &*shortcut
            }
            None => input,
        };
        for (y, x) in output.iter_mut().zip(shortcut) {
            *y += x;
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let BackwardRow { weights, input, output, kept, d_output, d_input, d_weights } = row;
        let (of_branch, of_projection) = weights.split_at(self.branch.num_weights());
        let (d_branch, d_projection) = d_weights.split_at_mut(self.branch.num_weights());
        let (branch, rest) = kept.split_at_mut(self.branch.num_kept());
        let pass = BackwardRow { weights: of_branch, input, output, kept: branch, d_output, d_input, d_weights: d_branch };
        self.branch.backward(pass);
        let shortcut = match &self.projection {
            Some(projection) => {
                let (own, derivatives) = rest.split_at_mut(projection.num_kept());
                let derivatives = &mut derivatives[..self.inputs];
                projection.backward(BackwardRow {
                    weights: of_projection,
                    input,
                    output,
                    kept: own,
                    d_output,
                    d_input: derivatives,
                    d_weights: d_projection,
                });
                &*derivatives
            }
            None => d_output,
        };
        for (d, shortcut) in d_input.iter_mut().zip(shortcut) {
            *d += shortcut;
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        let (branch, projection) = (&self.branch, self.projection.as_ref());
        Some(FastLayer::new(
            ResidualBlock::<f64>::new(branch, projection, self.inputs),
            ResidualBlock::<f32>::new(branch, projection, self.inputs),
        ))
    }
}
