//! Lay out likelihoods with outputs and parameters to check them at, and sums over all their targets.

use ergodic_model::{
    Gaussian, IndependentGaussians, Likelihood, NegativeBinomial, Ordinal, Poisson, Positive, Product, StudentT,
};
use std::sync::Arc;

/// Targets with weights: ∫ g(y) dy, or Σ g(y), is the sum of weight · g(target).
pub(crate) type Nodes = Vec<(Vec<f64>, f64)>;

/// A likelihood at one point.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) likelihood: Arc<dyn Likelihood>,
    pub(crate) outputs: Vec<f64>,
    pub(crate) parameters: Vec<f64>,
    pub(crate) nodes: Arc<Nodes>,
    /// Whether targets have a fourth moment.
    pub(crate) moments: bool,
}

/// Log density, derivatives in the outputs and then in the parameters.
pub(crate) fn gradient(likelihood: &dyn Likelihood, outputs: &[f64], targets: &[f64], parameters: &[f64]) -> (f64, Vec<f64>) {
    let mut d_outputs = vec![f64::NAN; outputs.len()];
    let mut d_parameters = vec![0.0; parameters.len()];
    let value = likelihood.gradient(outputs, targets, parameters, &mut d_outputs, &mut d_parameters);
    d_outputs.extend(d_parameters);
    (value, d_outputs)
}

impl Case {
    fn new(likelihood: impl Likelihood + 'static, outputs: &[f64], parameters: &[f64], nodes: Nodes) -> Self {
        let likelihood = Arc::new(likelihood);
        assert_eq!((likelihood.num_outputs(), likelihood.num_parameters()), (outputs.len(), parameters.len()));
        likelihood.check().unwrap();
        Self { likelihood, outputs: outputs.to_vec(), parameters: parameters.to_vec(), nodes: Arc::new(nodes), moments: true }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} at {:?}, {:?}", self.likelihood.name(), self.outputs, self.parameters)
    }

    pub(crate) fn dim(&self) -> usize {
        self.outputs.len() + self.parameters.len()
    }

    pub(crate) fn gradient(&self, targets: &[f64]) -> (f64, Vec<f64>) {
        gradient(self.likelihood.as_ref(), &self.outputs, targets, &self.parameters)
    }

    /// The same with one output, or one parameter after them, moved.
    pub(crate) fn moved(&self, coordinate: usize, step: f64) -> Self {
        let mut moved = self.clone();
        match coordinate.checked_sub(self.outputs.len()) {
            None => moved.outputs[coordinate] += step,
            Some(parameter) => moved.parameters[parameter] += step,
        }
        moved
    }

    /// The expectation of `g(targets, log density, derivatives)` under the case's own density.
    pub(crate) fn expectation(&self, g: impl Fn(&[f64], f64, &[f64]) -> f64) -> f64 {
        let term = |(targets, weight): &(Vec<f64>, f64)| {
            let (value, derivatives) = self.gradient(targets);
            let density = weight * value.exp();
            // A target of no probability may have infinite derivatives.
            if density == 0.0 { 0.0 } else { density * g(targets, value, &derivatives) }
        };
        self.nodes.iter().map(term).sum()
    }

    /// The quantities whose mean and variance the likelihood states, of one row of targets.
    pub(crate) fn quantity(&self, targets: &[f64], index: usize) -> f64 {
        match self.likelihood.kind() {
            ergodic_draws::PredictionKind::Regression => targets[index],
            _ => f64::from(u8::from(targets[0] as usize == index)),
        }
    }
}

fn counts(most: usize) -> Nodes {
    (0..most).map(|count| (vec![count as f64], 1.0)).collect()
}

/// The trapezoid rule in u, with y = centre + scale · sinh u: tails of any power become exponential.
fn heavy_tailed(centre: f64, scale: f64) -> Nodes {
    let node = |u: f64| (vec![centre + scale * u.sinh()], 0.05 * scale * u.cosh());
    (-960..=960).map(|i| node(0.05 * f64::from(i))).collect()
}

/// The trapezoid rule over twelve standard deviations, exact to exp(−8π²) of a normal density.
fn normal(centre: f64, sd: f64) -> Nodes {
    (-24..=24).map(|i| (vec![centre + 0.5 * f64::from(i) * sd], 0.5 * sd)).collect()
}

fn product(a: &Nodes, b: &Nodes) -> Nodes {
    let pair = |(x, v): &(Vec<f64>, f64)| {
        let (x, v) = (x.clone(), *v);
        b.iter().map(move |(y, w)| ([&x[..], &y[..]].concat(), v * w)).collect::<Vec<_>>()
    };
    a.iter().flat_map(pair).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let student = |degrees_of_freedom, scale| StudentT { degrees_of_freedom, scale };
    let learned = Positive::Learned { prior_mean: 0.0, prior_sd: 1.0 };
    let (low, high) = ((-0.4_f64).exp(), 0.5_f64.exp());
    let mut cases = vec![
        Case::new(StudentT::known(9.0, 0.7), &[0.3], &[], heavy_tailed(0.3, 0.7)),
        Case::new(StudentT::learned_noise(12.0), &[-1.3], &[0.5], heavy_tailed(-1.3, high)),
        Case::new(student(learned, Positive::Known(2.0)), &[0.4], &[11.0_f64.ln()], heavy_tailed(0.4, 2.0)),
        Case::new(StudentT::learned(), &[0.2], &[-0.4, 9.5_f64.ln()], heavy_tailed(0.2, low)),
        Case::new(Poisson, &[-2.0], &[], counts(40)),
        Case::new(Poisson, &[0.7], &[], counts(60)),
        Case::new(Poisson, &[4.5], &[], counts(300)),
        Case::new(NegativeBinomial::known(0.6), &[0.5], &[], counts(300)),
        Case::new(NegativeBinomial::learned(), &[1.5], &[-0.5], counts(700)),
        Case::new(NegativeBinomial::learned(), &[-1.0], &[1.0], counts(100)),
        Case::new(NegativeBinomial::learned(), &[2.5], &[4.0], counts(200)),
        Case::new(Ordinal { classes: 2 }, &[0.4], &[-0.3], counts(2)),
        Case::new(Ordinal { classes: 3 }, &[-0.6], &[-0.9, 0.3], counts(3)),
        Case::new(Ordinal { classes: 5 }, &[1.1], &[-1.0, -0.7, 0.4, 0.2], counts(5)),
        Case::new(
            IndependentGaussians::known_noise(&[0.5, 2.0]),
            &[0.3, -1.0],
            &[],
            product(&normal(0.3, 0.5), &normal(-1.0, 2.0)),
        ),
        Case::new(
            IndependentGaussians::learned_noise(2),
            &[1.3, 0.2],
            &[-0.4, 0.5],
            product(&normal(1.3, low), &normal(0.2, high)),
        ),
        Case::new(
            Product::new()
                .and("count", NegativeBinomial::learned())
                .and("size", Gaussian::learned_noise())
                .and("visits", Poisson),
            &[-0.2, 1.3, -0.5],
            &[0.8, -0.4],
            product(&product(&counts(40), &normal(1.3, low)), &counts(14)),
        ),
    ];
    // No fourth moment, no variance, no mean.
    for degrees in [3.0, 1.5, 0.8_f64] {
        let mut case = Case::new(StudentT::learned(), &[0.2], &[-0.4, degrees.ln()], heavy_tailed(0.2, low));
        case.moments = false;
        cases.push(case);
    }
    cases
}
