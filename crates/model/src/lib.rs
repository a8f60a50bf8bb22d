//! Neural-network posteriors: log densities, gradients, priors, likelihoods, data and predictions.
//!
//! A researcher's own density implements [`LogDensity`]. This crate knows no sampler.

#[cfg(feature = "autodiff")]
mod automatic_gradient;
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
mod row_threads;
mod simd;
mod starting_at;
mod tempered;
mod vector_likelihood;

#[cfg(feature = "autodiff")]
pub use automatic_gradient::{AutomaticGradient, DifferentiableDensity, Scalar};
pub use bayesian_network::{BayesianNetwork, ModelError, Standardize};
pub use capabilities::{
    Capabilities, Curvature, LayerFactors, LocalEvaluator, LocalReparameterization, MinibatchEvaluator, MinibatchGradient,
    MissingCapability, NetworkOutputs, OutputEvaluator, PointwiseLogLikelihood, PriorDraws,
};
pub use data::{DataError, Dataset, Standardization};
pub use gradient_check::{CoordinateCheck, Finding, GradientCheck, NamedCoordinate, check_gradient};
pub use integrated_output::{IntegratedOutput, IntegrationError};
pub use likelihood::{
    Bernoulli, Categorical, FastPath, Gaussian, IndependentGaussians, Likelihood, LikelihoodParameter, NegativeBinomial, Noise,
    NoiseScales, NormalNoise, Ordinal, Poisson, Positive, Product, StudentT,
};
pub use log_density::{Density, EvaluationError, LogDensity, density};
pub use network::{Activation, DenseLayer, Network, NetworkBuilder, NetworkError, Tensor, layers};
pub use posterior::{LabelError, Labelled, Posterior};
pub use precision::Precision;
pub use predict::{PredictOptions, predict};
pub use prior::{
    AutomaticRelevancePrior, BoundPrior, CorrelatedPrior, Extent, Group, HierarchicalPrior, HorseshoePrior, LaplacePrior,
    LayerCorrelation, NormalPrior, Prior, PriorError, Reparameterization, Scale, ScaleMixturePrior, ScalePrior, Slab,
    SpikeAndSlabPrior, StudentTPrior, grid_positions, squared_exponential,
};
pub use recording::{Recorder, Recording, position_of};
pub use rng::{ChainRng, Purpose, record_stream, stream};
pub use row_threads::RowThreads;
pub use starting_at::StartingAt;
pub use tempered::{Tempered, TemperedError};
