//! Neural-network posteriors: log densities, gradients, priors, likelihoods, data and predictions.
//!
//! A researcher's own density implements [`LogDensity`]. This crate knows no sampler.

mod bayesian_network;
#[doc(hidden)]
pub mod bench_support;
mod capabilities;
mod data;
mod gradient_check;
mod integrated_output;
mod likelihood;
mod likelihood_block;
mod log_density;
mod network;
mod posterior;
mod precision;
mod predict;
mod prior;
mod recording;
mod rng;
mod simd;

pub use bayesian_network::{BayesianNetwork, ModelError, Standardize};
pub use capabilities::{
    Capabilities, Curvature, LayerFactors, LocalEvaluator, LocalReparameterization, MinibatchEvaluator, MinibatchGradient,
    MissingCapability, NetworkOutputs, OutputEvaluator, PointwiseLogLikelihood, PriorDraws,
};
pub use data::{DataError, Dataset, Standardization};
pub use gradient_check::{CoordinateCheck, Finding, GradientCheck, NamedCoordinate, check_gradient};
pub use integrated_output::{IntegratedOutput, IntegrationError};
pub use likelihood::{Bernoulli, Categorical, FastPath, Gaussian, Likelihood, LikelihoodParameter, Noise, NormalNoise};
pub use log_density::{Density, EvaluationError, LogDensity, density};
pub use network::{Activation, DenseLayer, Network, NetworkError, Tensor};
pub use posterior::{LabelError, Labelled, Posterior};
pub use precision::Precision;
pub use predict::{PredictOptions, predict};
pub use prior::{BoundPrior, NormalPrior, Prior, PriorError, Reparameterization, Scale};
pub use recording::{Recorder, Recording, position_of};
pub use rng::{ChainRng, Purpose, stream};
