//! Neural-network posteriors: log densities, gradients, priors, likelihoods, data and predictions.
//!
//! A researcher's own density implements [`LogDensity`]. This crate knows no sampler.

#[doc(hidden)]
pub mod bench_support;
mod capabilities;
mod likelihood;
mod likelihood_block;
mod log_density;
mod network;
mod posterior;
mod rng;
mod simd;

pub use capabilities::{
    Capabilities, Curvature, LayerFactors, LocalEvaluator, LocalReparameterization, MinibatchEvaluator, MinibatchGradient,
    MissingCapability, NetworkOutputs, OutputEvaluator, PointwiseLogLikelihood, PriorDraws,
};
pub use likelihood::{Likelihood, LikelihoodParameter};
pub use log_density::{Density, EvaluationError, LogDensity, density};
pub use posterior::{LabelError, Labelled, Posterior};
pub use rng::{ChainRng, Purpose, stream};
