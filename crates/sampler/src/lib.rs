//! Markov chain Monte Carlo over flat weight vectors: kernels, adaptation, and the one driver that runs every chain.
//!
//! [`sample`] is the short way: a posterior, a method such as [`Nuts`] or [`Hmc`], and a [`Run`]. [`Sampler`] adds sinks, observers, a
//! stop flag, budgets and checkpoints. A new method implements [`Method`] and [`Kernel`], and the driver runs it.

mod adaptation;
mod chain;
mod checkpoint;
mod checkpoint_file;
mod chees;
mod contract;
mod counted;
mod counters;
mod driver;
mod error;
mod ghmc;
mod hamiltonian;
mod header;
mod hmc;
mod initial;
mod integrator;
mod keeper;
mod kernel;
mod legs;
mod living;
mod macro_step;
mod mala;
mod meeting;
mod metric;
mod microcanonical;
mod numbers;
mod nuts;
mod observer;
mod phase_point;
#[cfg(feature = "progress")]
mod progress_bars;
mod run;
mod settings;
mod slice;
mod state;
mod stepwise;
mod tree;
mod vector;
mod walnuts;
mod warnings;

pub use adaptation::{
    Covariance, DualAveraging, GivenMetric, GradientBased, GradientMetric, GradientMetricShape, HamiltonianAdaptation,
    LowRankMetric, MetricShape, Variance, Warmup, Windowed, WindowedMetric, find_step_size, pooled_variance, window_ends,
};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use chees::{Chees, CheesAdaptation, CheesKernel};
pub use contract::{ContractViolation, check_contract};
pub use counted::Counted;
pub use driver::{Sampler, sample};
pub use error::{ChainError, RunError, SettingsError};
pub use ghmc::{Ghmc, GhmcKernel, MomentumState};
pub use hamiltonian::HamiltonianKernel;
pub use hmc::{Hmc, HmcInfo, HmcKernel};
pub use integrator::Integrator;
pub use keeper::CheckpointSchedule;
pub use kernel::{Adaptation, BuildContext, ChainState, Info, Kernel, Method};
pub use mala::{Mala, MalaKernel};
pub use meeting::{ExtensionReason, Meeting, Meetings, Member};
pub use metric::{Metric, MetricError, MetricFileError};
pub use microcanonical::{
    AcceptanceAdaptation, EnergyVariance, EnergyVarianceAdaptation, EnergyVarianceTarget, ExactnessCheck, ExactnessReport,
    Mams, MamsInfo, MamsKernel, Mclmc, MclmcInfo, MclmcKernel, Microcanonical, MicrocanonicalKernel, MicrocanonicalState,
    Scaling, Shift, SliceGhmc, SliceGhmcKernel, SliceState, check_against_exact,
};
pub use nuts::{Nuts, NutsInfo, NutsKernel};
pub use observer::{NoObserver, Observer, Plan, Progress};
pub use phase_point::PhasePoint;
#[cfg(feature = "progress")]
pub use progress_bars::ProgressBars;
pub use run::{Budget, Run};
pub use state::GradientState;
pub use stepwise::StepwiseInfo;
pub use walnuts::{Walnuts, WalnutsInfo, WalnutsKernel};
