//! Fit variational and other approximations to a posterior, and return them as the same draws that Markov chains make.
//!
//! | function | what it fits | [`Origin`](ergodic_draws::Origin) | needs |
//! |---|---|---|---|
//! | [`map`] | one mode | `Point` | any posterior |
//! | [`deep_ensemble`] | one mode per member, each from a start of its own | `Ensemble` | any posterior |
//! | [`mean_field`] | independent normals that maximise the evidence lower bound | `Approximation` | any posterior |
//! | [`pathfinder`](pathfinder()) | normals along paths of optimisation, drawn from by importance | `Approximation` | any posterior |
//!
//! [`warm_start`] and [`pathfinder_start`] find starts for Markov chains in the same ways; their results are no fits but where to begin.
//!
//! All of them see the same log density as the samplers do: the full log joint in nats, prior included, at the temperatures of the posterior. Reports
//! count gradients as samplers do, so that costs compare: one gradient is one pass forward and backward over all rows.
//!
//! ```
//! use ergodic_baselines::{MeanField, mean_field};
//! use ergodic_model::density;
//! let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
//!     gradient[0] = 1.0 - x[0];
//!     gradient[1] = -4.0 * x[1];
//!     -0.5 * (1.0 - x[0]).powi(2) - 2.0 * x[1] * x[1]
//! });
//! let fit = mean_field(&normal, &MeanField::default())?;
//! assert!((fit.mean()[0] - 1.0).abs() < 0.01 && (fit.sd()[1] - 0.5).abs() < 0.01);
//! assert_eq!(fit.draws.num_draws(), 4000);
//! # Ok::<(), ergodic_baselines::FitError>(())
//! ```

mod adam;
mod diagonal_normal;
mod ensemble;
mod error;
mod lbfgs;
mod log_joint;
mod low_rank_normal;
mod map;
mod mean_field;
mod observer;
mod optimise;
mod parallel;
mod pathfinder;
mod warm_start;

pub use adam::Schedule;
pub use diagonal_normal::DiagonalNormal;
pub use ensemble::{DeepEnsemble, deep_ensemble, deep_ensemble_from, deep_ensemble_observed};
pub use error::FitError;
pub use low_rank_normal::LowRankNormal;
pub use map::{Map, map, map_observed};
pub use mean_field::{Annealing, Estimator, MeanField, MeanFieldFit, Start, mean_field, mean_field_observed};
pub use observer::{FitObserver, Progress, Silent};
pub use pathfinder::{Pathfinder, PathfinderFit, pathfinder, pathfinder_observed, pathfinder_start};
pub use warm_start::{WarmStart, WarmStarts, warm_start, warm_start_validated};
