//! Hold small networks with all that a calibration test needs: data to simulate, functions of a position to compare.

use ergodic_model::{
    Activation, BayesianNetwork, ChainRng, Dataset, EvaluationError, Gaussian, HierarchicalPrior, Likelihood, LogDensity,
    Network, NormalPrior, Poisson, Posterior, Prior, Purpose, Recording, Scale, Standardize, StudentT, stream,
};
use nalgebra::DMatrix;

/// Rows of the data, and inputs of the network.
const ROWS: usize = 8;
const INPUTS: usize = 2;
/// Inputs at which outputs are compared.
const PROBES: usize = 2;

/// What is wrong with the sampled posterior or the simulated data, beside a prior and a likelihood that are right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The density of ln σ lacks the Jacobian of a prior on σ: it is larger by ln σ.
    Jacobian,
    /// The posterior's prior scales of weights are larger by this factor than those that are drawn from.
    PriorScale(f64),
    /// Simulated residuals are larger by this factor.
    Noise(f64),
}

/// A prior, whose weights are wider by the given factor.
type PriorOf = fn(f64) -> Box<dyn Prior>;

/// One combination of prior and likelihood.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    likelihood: fn() -> Box<dyn Likelihood>,
    prior: PriorOf,
    pub(crate) step_size: f64,
}

fn normal(factor: f64) -> Box<dyn Prior> {
    Box::new(NormalPrior::fan_in(factor))
}

/// A sampled scale for each tensor.
fn hierarchical(factor: f64) -> Box<dyn Prior> {
    Box::new(HierarchicalPrior { weights: Scale::FanIn(factor), biases: Scale::Fixed(factor), ..HierarchicalPrior::default() })
}

pub(crate) const LEARNED_NOISE: Setting = Setting {
    name: "normal prior, learned noise",
    likelihood: || Box::new(Gaussian::learned_noise()),
    prior: normal,
    step_size: 0.25,
};
pub(crate) const SAMPLED_SCALES: Setting = Setting {
    name: "sampled scales, known noise",
    likelihood: || Box::new(Gaussian::known_noise(0.5)),
    prior: hierarchical,
    step_size: 0.25,
};
pub(crate) const COUNTS: Setting =
    Setting { name: "normal prior, counts", likelihood: || Box::new(Poisson), prior: normal, step_size: 0.25 };
pub(crate) const HEAVY_TAILS: Setting = Setting {
    name: "sampled scales, Student-t of learned scale",
    likelihood: || Box::new(StudentT::learned_noise(5.0)),
    prior: hierarchical,
    step_size: 0.2,
};

/// A posterior of one data set, at work.
pub(crate) struct Model {
    pub(crate) network: BayesianNetwork,
    fault: Fault,
}

impl Setting {
    /// The posterior given `targets`, with what the fault makes of it.
    pub(crate) fn model(&self, targets: &[f64], fault: Fault) -> Model {
        let factor = if let Fault::PriorScale(factor) = fault { factor } else { 1.0 };
        let network = Network::dense(INPUTS, &[3], Activation::Tanh, 1).expect("valid");
        let inputs = inputs(ROWS, 0);
        let data = Dataset::new(inputs, DMatrix::from_column_slice(ROWS, 1, targets)).expect("finite");
        let (likelihood, prior) = ((self.likelihood)(), (self.prior)(factor));
        let built = BayesianNetwork::with_standardization(network, likelihood, prior.as_ref(), &data, Standardize::Nothing);
        Model { network: built.expect("valid"), fault }
    }

    /// A draw from the prior, and data simulated from it.
    pub(crate) fn joint_draw(&self, rng: &mut ChainRng) -> (Vec<f64>, Vec<f64>) {
        let model = self.model(&[0.0; ROWS], Fault::None);
        let mut position = vec![0.0; model.network.layout().dim()];
        model.network.capabilities().prior.expect("networks draw from priors").draw_prior(rng, &mut position);
        let targets = model.simulate(&position, rng);
        (position, targets)
    }
}

/// Fixed inputs, spread as standard normals are.
fn inputs(rows: usize, number: usize) -> DMatrix<f64> {
    use rand::RngExt;
    let mut rng = stream(17, number, Purpose::Test);
    DMatrix::from_fn(rows, INPUTS, |_, _| rng.sample(rand_distr::StandardNormal))
}

impl Model {
    /// The outputs at `inputs`, and the likelihood's parameters.
    fn outputs(&self, position: &[f64], inputs: &DMatrix<f64>) -> (Vec<f64>, Vec<f64>) {
        let outputs = self.network.capabilities().outputs.expect("a network has outputs");
        let mut recording = Recording::new(&self.network);
        let draw = recording.draw(position, || stream(0, 0, Purpose::Record)).expect("it records");
        let mut values = vec![0.0; inputs.nrows()];
        outputs.output_evaluator(inputs).expect("inputs fit").outputs(draw, &mut values);
        (values, outputs.likelihood_parameters(draw).to_vec())
    }

    /// Targets simulated at a position.
    pub(crate) fn simulate(&self, position: &[f64], rng: &mut ChainRng) -> Vec<f64> {
        let (values, parameters) = self.outputs(position, &inputs(ROWS, 0));
        let simulate = |output: &f64| {
            let mut target = [0.0];
            self.network.likelihood().simulate(&[*output], &parameters, rng, &mut target);
            match self.fault {
                Fault::Noise(factor) => output + factor * (target[0] - output),
                _ => target[0],
            }
        };
        values.iter().map(simulate).collect()
    }

    /// Functions that do not tell hidden units apart: outputs at fixed inputs, the likelihood's parameters, sampled scales, the squared
    /// length of the weights' coordinates, and the joint log density.
    pub(crate) fn functions(&self, position: &[f64]) -> Vec<f64> {
        let (mut values, parameters) = self.outputs(position, &inputs(PROBES, 1));
        values.extend(parameters);
        let layout = self.network.layout();
        let hyperparameters = layout.blocks().iter().filter(|block| block.role == ergodic_draws::Role::Hyperparameter);
        values.extend(hyperparameters.flat_map(|block| position[block.range()].to_vec()));
        let weights = &position[..self.network.network().num_weights()];
        values.push(weights.iter().map(|w| w * w).sum());
        let mut gradient = vec![0.0; position.len()];
        let log_density = self.network.evaluator().log_density_and_gradient(position, &mut gradient);
        values.push(log_density.expect("it evaluates"));
        values
    }

    /// The density that is sampled, with its fault.
    pub(crate) fn density(&self) -> Faulty<'_> {
        let layout = self.network.layout();
        let noise = layout.blocks().iter().find(|block| block.role == ergodic_draws::Role::Noise).map(|block| block.offset);
        let extra = if self.fault == Fault::Jacobian { noise } else { None };
        Faulty { density: self.network.evaluator(), extra }
    }
}

/// A network's density, larger by one coordinate where it has a fault.
pub(crate) struct Faulty<'a> {
    density: Box<dyn LogDensity + Send + 'a>,
    extra: Option<usize>,
}

impl LogDensity for Faulty<'_> {
    fn dim(&self) -> usize {
        self.density.dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let value = self.density.log_density_and_gradient(position, gradient)?;
        let Some(coordinate) = self.extra else { return Ok(value) };
        gradient[coordinate] += 1.0;
        Ok(value + position[coordinate])
    }
}

impl Posterior for Model {
    fn layout(&self) -> ergodic_draws::Layout {
        self.network.layout()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(self.density())
    }

    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        self.network.initial_position(rng, position);
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        self.network.prior_scales(scales);
    }
}
