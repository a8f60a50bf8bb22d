//! Hold known posteriors with exact moments and exact draws, for tests, benchmarks and examples.
//!
//! Every target is a plain struct that implements [`ergodic_model::LogDensity`] and says in its documentation whether its density is
//! normalised. What is known beyond the density stands in two small traits: [`KnownMoments`] and [`ExactDraws`].
//!
//! ```
//! use ergodic_model::{LogDensity, Purpose, stream};
//! use ergodic_targets::{ExactDraws, Funnel, KnownMoments};
//!
//! let mut funnel = Funnel::new(3, 3.0)?;
//! let mut position = vec![0.0; funnel.dim()];
//! funnel.draw(&mut stream(1, 0, Purpose::Test), &mut position);
//! let mut gradient = vec![0.0; funnel.dim()];
//! assert!(funnel.log_density_and_gradient(&position, &mut gradient)?.is_finite());
//! assert_eq!(funnel.variance().map(|variance| variance[0]), Some(9.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod banana;
mod correlated_gaussian;
mod diagonal_gaussian;
mod eight_schools;
mod error;
mod funnel;
mod gaussian_mixture;
mod known;
mod linear_network;
mod logistic_regression;
mod lower_triangle;
mod small_network;

pub use banana::Banana;
pub use correlated_gaussian::CorrelatedGaussian;
pub use diagonal_gaussian::DiagonalGaussian;
pub use eight_schools::EightSchools;
pub use error::TargetError;
pub use funnel::Funnel;
pub use gaussian_mixture::GaussianMixture;
pub use known::{ExactDraws, KnownMoments};
pub use linear_network::{LinearNetwork, LinearNetworkPosterior};
pub use logistic_regression::LogisticRegression;
pub use small_network::SmallNetwork;

/// log 2π.
const LOG_TWO_PI: f64 = 1.837_877_066_409_345_5;
