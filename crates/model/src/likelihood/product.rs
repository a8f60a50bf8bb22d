//! Join likelihoods of different targets to one, over groups of a network's outputs.

use super::{Likelihood, LikelihoodParameter};
use crate::ChainRng;
use ergodic_draws::PredictionKind;

/// Several targets of different kinds, independent given the network: each part reads its own outputs, targets and parameters, in the
/// order in which the parts are joined.
///
/// The parts are regressions: real targets and counts. The name of a part stands before those of its parameters, as in
/// `height.noise_scale`, and real targets are standardised while counts are not.
///
/// ```
/// use ergodic_model::{Gaussian, Likelihood, Poisson, Product};
/// let both = Product::new().and("height", Gaussian::learned_noise()).and("visits", Poisson);
/// assert_eq!((both.num_outputs(), both.num_targets()), (2, 2));
/// assert_eq!(both.parameters()[0].name, "height.noise_scale");
/// assert_eq!([both.standardizes_target(0), both.standardizes_target(1)], [true, false]);
/// ```
#[derive(Debug, Default)]
pub struct Product {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    likelihood: Box<dyn Likelihood>,
    outputs: usize,
    targets: usize,
    means: usize,
    parameters: usize,
}

/// A part's share of the slices that a call of [`Likelihood`] passes.
struct Places {
    outputs: std::ops::Range<usize>,
    targets: std::ops::Range<usize>,
    means: std::ops::Range<usize>,
    parameters: std::ops::Range<usize>,
}

impl Product {
    /// A product of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The product with one more part, whose parameters carry `name`.
    #[must_use]
    pub fn and(self, name: impl Into<String>, likelihood: impl Likelihood + 'static) -> Self {
        self.and_boxed(name, Box::new(likelihood))
    }

    /// As [`and`](Self::and), for a part that is chosen at run time.
    #[must_use]
    pub fn and_boxed(mut self, name: impl Into<String>, likelihood: Box<dyn Likelihood>) -> Self {
        let part = Part {
            name: name.into(),
            outputs: likelihood.num_outputs(),
            targets: likelihood.num_targets(),
            means: likelihood.num_means(),
            parameters: likelihood.num_parameters(),
            likelihood,
        };
        self.parts.push(part);
        self
    }

    /// The parts with their places.
    fn parts(&self) -> impl Iterator<Item = (&Part, Places)> {
        let (mut outputs, mut targets, mut means, mut parameters) = (0, 0, 0, 0);
        self.parts.iter().map(move |part| {
            let next = |start: &mut usize, len: usize| {
                let range = *start..*start + len;
                *start = range.end;
                range
            };
            let places = Places {
                outputs: next(&mut outputs, part.outputs),
                targets: next(&mut targets, part.targets),
                means: next(&mut means, part.means),
                parameters: next(&mut parameters, part.parameters),
            };
            (part, places)
        })
    }

    /// Writes blocks, each rows × columns, into the diagonal of a matrix whose rows have `width` entries.
    fn fill_blocks(
        &self,
        matrix: &mut [f64],
        width: usize,
        places: impl Fn(&Places) -> (std::ops::Range<usize>, std::ops::Range<usize>),
        write: impl Fn(&Part, &Places, &mut [f64]),
    ) {
        matrix.fill(0.0);
        for (part, at) in self.parts() {
            let (rows, columns) = places(&at);
            let mut block = vec![0.0; rows.len() * columns.len()];
            write(part, &at, &mut block);
            for (row, from) in rows.zip(block.chunks_exact(columns.len().max(1))) {
                matrix[row * width..][columns.clone()].copy_from_slice(from);
            }
        }
    }
}

impl Likelihood for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }

    fn standardizes_target(&self, target: usize) -> bool {
        let own = self.parts().find(|(_, at)| at.targets.contains(&target));
        own.is_some_and(|(part, at)| part.likelihood.standardizes_target(target - at.targets.start))
    }

    fn num_outputs(&self) -> usize {
        self.parts.iter().map(|part| part.outputs).sum()
    }

    fn num_targets(&self) -> usize {
        self.parts.iter().map(|part| part.targets).sum()
    }

    fn num_means(&self) -> usize {
        self.parts.iter().map(|part| part.means).sum()
    }

    fn parameters(&self) -> Vec<LikelihoodParameter> {
        let mut all = Vec::new();
        for (part, at) in self.parts() {
            for mut parameter in part.likelihood.parameters() {
                parameter.name = format!("{}.{}", part.name, parameter.name);
                parameter.unit_of = parameter.unit_of.map(|target| at.targets.start + target);
                all.push(parameter);
            }
        }
        all
    }

    fn check(&self) -> Result<(), String> {
        if self.parts.is_empty() {
            return Err("a product of no likelihoods; join at least one".to_owned());
        }
        for part in &self.parts {
            if part.likelihood.kind() != PredictionKind::Regression {
                return Err(format!(
                    "part '{}' of a product is {}, which predicts classes; products join real targets and counts",
                    part.name,
                    part.likelihood.name()
                ));
            }
            part.likelihood.check().map_err(|problem| format!("part '{}': {problem}", part.name))?;
        }
        Ok(())
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        for (part, at) in self.parts() {
            let checked = part.likelihood.check_targets(&targets[at.targets]);
            checked.map_err(|problem| format!("part '{}': {problem}", part.name))?;
        }
        Ok(())
    }

    fn gradient(
        &self,
        outputs: &[f64],
        targets: &[f64],
        parameters: &[f64],
        d_outputs: &mut [f64],
        d_parameters: &mut [f64],
    ) -> f64 {
        let add = |(part, at): (&Part, Places)| {
            let (d_outputs, d_parameters) = (&mut d_outputs[at.outputs.clone()], &mut d_parameters[at.parameters.clone()]);
            let (outputs, targets) = (&outputs[at.outputs], &targets[at.targets]);
            part.likelihood.gradient(outputs, targets, &parameters[at.parameters], d_outputs, d_parameters)
        };
        self.parts().map(add).sum()
    }

    fn curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let places = |at: &Places| (at.outputs.clone(), at.outputs.clone());
        self.fill_blocks(matrix, outputs.len(), places, |part, at, block| {
            part.likelihood.curvature(&outputs[at.outputs.clone()], &parameters[at.parameters.clone()], block);
        });
    }

    fn parameter_curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let places = |at: &Places| (at.parameters.clone(), at.parameters.clone());
        self.fill_blocks(matrix, parameters.len(), places, |part, at, block| {
            part.likelihood.parameter_curvature(&outputs[at.outputs.clone()], &parameters[at.parameters.clone()], block);
        });
    }

    fn mixed_curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let places = |at: &Places| (at.outputs.clone(), at.parameters.clone());
        self.fill_blocks(matrix, parameters.len(), places, |part, at, block| {
            part.likelihood.mixed_curvature(&outputs[at.outputs.clone()], &parameters[at.parameters.clone()], block);
        });
    }

    fn mean(&self, outputs: &[f64], parameters: &[f64], mean: &mut [f64]) {
        for (part, at) in self.parts() {
            part.likelihood.mean(&outputs[at.outputs], &parameters[at.parameters], &mut mean[at.means]);
        }
    }

    fn variance(&self, outputs: &[f64], parameters: &[f64], variance: &mut [f64]) {
        for (part, at) in self.parts() {
            part.likelihood.variance(&outputs[at.outputs], &parameters[at.parameters], &mut variance[at.means]);
        }
    }

    /// The sum of the parts' entropies; differential for real targets, discrete for counts.
    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64 {
        self.parts().map(|(part, at)| part.likelihood.entropy(&outputs[at.outputs], &parameters[at.parameters])).sum()
    }

    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        for (part, at) in self.parts() {
            part.likelihood.simulate(&outputs[at.outputs], &parameters[at.parameters], rng, &mut targets[at.targets]);
        }
    }
}
