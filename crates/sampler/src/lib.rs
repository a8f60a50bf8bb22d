//! Markov chain Monte Carlo over flat weight vectors: kernels, adaptation, and the one driver that runs every chain.

mod error;
mod kernel;

pub use error::{ChainError, RunError, SettingsError};
pub use kernel::{Adaptation, BuildContext, ChainState, Info, Kernel, Method};
