//! Sample by microcanonical dynamics: unadjusted MCLMC, and its exact relatives isokinetic GHMC and MAMS.

mod acceptance;
mod dynamics;
mod energy_variance;
mod energy_watch;
mod exactness;
mod kernel;
mod mams;
mod mclmc;
mod scaling;
mod slice_ghmc;
mod state;
mod step_size;

pub use acceptance::AcceptanceAdaptation;
pub use dynamics::Microcanonical;
pub use energy_variance::{EnergyVariance, EnergyVarianceAdaptation, EnergyVarianceTarget};
pub use exactness::{ExactnessCheck, ExactnessReport, Shift, check_against_exact};
pub use kernel::MicrocanonicalKernel;
pub use mams::{Mams, MamsInfo, MamsKernel};
pub use mclmc::{Mclmc, MclmcInfo, MclmcKernel};
pub use scaling::Scaling;
pub use slice_ghmc::{SliceGhmc, SliceGhmcKernel, SliceState};
pub use state::MicrocanonicalState;
