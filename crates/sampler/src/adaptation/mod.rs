//! Tune step size and metric during warm-up.

mod dual_averaging;
mod gradient_metric;
mod hamiltonian;
mod low_rank_metric;
mod shrinkage;
mod step_size_search;
mod welford;
mod windowed_metric;
mod windows;

pub use dual_averaging::DualAveraging;
pub use gradient_metric::{GradientBased, GradientMetric, GradientMetricShape};
pub(crate) use gradient_metric::{ScoreVariances, block_sums};
pub(crate) use hamiltonian::FIRST_STEP_SIZE;
pub use hamiltonian::{GivenMetric, HamiltonianAdaptation, Warmup};
pub use low_rank_metric::LowRankMetric;
pub(crate) use shrinkage::{prior_variance, shrink};
pub use step_size_search::find_step_size;
pub use welford::{Covariance, Variance, pooled_variance};
pub use windowed_metric::{MetricShape, Windowed, WindowedMetric};
pub use windows::window_ends;
