//! Sample the posterior of a neural network's weights by Markov chain Monte Carlo, and know whether to believe it.
//!
//! Write a log density against [`LogDensity`](model::LogDensity), or take a network from the library; sample it on several chains in
//! parallel; read whether the chains can be trusted; compare the predictions with variational and other baselines on the same posterior.
//!
//! ```
//! use ergodic::prelude::*;
//!
//! let banana = density(2, |x: &[f64], gradient: &mut [f64]| {
//!     let r = x[1] - x[0] * x[0];
//!     gradient[0] = -x[0] + 20.0 * r * x[0];
//!     gradient[1] = -10.0 * r;
//!     -0.5 * x[0] * x[0] - 5.0 * r * r
//! });
//! let draws = sample(&banana, &Nuts::default(), &Run { draws: 500, ..Run::default() })?;
//! println!("{}", summary(&draws).parameter_table());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crates behind the facade are its modules: [`model`] is what is sampled, [`sampler`] how chains move, [`draws`] what they
//! produce, [`baselines`] what else can be fitted, [`diagnostics`] whether to believe it. [`methods`] lists every method.

mod annealed_start;
pub mod methods;
mod seen;
mod settings;
mod until;

pub use annealed_start::{AnnealedStart, AnnealedStartError, annealed_start};
pub use methods::sample_recommended;
pub use until::{Goal, Look, SampledUntil, UntilError, sample_until, sample_until_observed};

pub use ergodic_baselines as baselines;
pub use ergodic_diagnostics as diagnostics;
pub use ergodic_draws as draws;
pub use ergodic_model as model;
pub use ergodic_sampler as sampler;

/// The names that most programs need.
pub mod prelude {
    pub use crate::{AnnealedStart, annealed_start};
    pub use ergodic_baselines::{
        DeepEnsemble, Map, MeanField, Pathfinder, WarmStart, deep_ensemble, map, mean_field, pathfinder, pathfinder_start,
        warm_start,
    };
    pub use ergodic_diagnostics::plots::{EnergyPlot, Plot, Quantity, RankPlot, TracePlot};
    pub use ergodic_diagnostics::{Entry, compare, diagnose, function_diagnostics, summary};
    pub use ergodic_draws::{Draws, Predictions, RunFolder, Temperatures};
    pub use ergodic_model::{
        Activation, BayesianNetwork, Bernoulli, Categorical, Dataset, EvaluationError, Gaussian, LogDensity, Network,
        NormalPrior, Posterior, Tempered, check_gradient, density,
    };
    #[cfg(feature = "autodiff")]
    pub use ergodic_model::{AutomaticGradient, DifferentiableDensity, Scalar};
    #[cfg(feature = "progress")]
    pub use ergodic_sampler::ProgressBars;
    pub use ergodic_sampler::{Chees, Ghmc, Hmc, Mala, Mams, Mclmc, Nuts, Run, Sampler, SliceGhmc, Walnuts, sample};
}

/// The book and the README, compiled and run as tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/guide/1-your-own-density.md")]
    mod own_density {}
    #[doc = include_str!("../docs/guide/2-networks.md")]
    mod networks {}
    #[doc = include_str!("../docs/guide/3-can-i-believe-it.md")]
    mod can_i_believe_it {}
    #[doc = include_str!("../docs/guide/4-comparing-with-baselines.md")]
    mod comparing {}
    #[doc = include_str!("../docs/guide/5-runs-on-disk.md")]
    mod runs_on_disk {}
    #[doc = include_str!("../docs/guide/6-which-sampler.md")]
    mod which_sampler {}
    #[doc = include_str!("../docs/adding-a-sampler.md")]
    mod adding_a_sampler {}
    #[doc = include_str!("../docs/adding-a-layer.md")]
    mod adding_a_layer {}
    #[doc = include_str!("../docs/adding-a-likelihood.md")]
    mod adding_a_likelihood {}
    #[doc = include_str!("../docs/adding-a-prior.md")]
    mod adding_a_prior {}
}
