//! Choose whether a gradient's rows may be shared out among threads.

use serde::{Deserialize, Serialize};

/// Which threads work on the rows of one gradient.
///
/// Rows are cut into parts whose boundaries depend on the data and the network alone, and the parts are summed in a fixed order, so
/// gradients, and all draws, are the same bit for bit for any choice and any number of threads. Small gradients, below some tenths of a
/// millisecond, are one part.
///
/// ```
/// use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, RowThreads};
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_fn(20, 1, |row, _| row as f64);
/// let data = Dataset::new(inputs.clone(), inputs.map(|x| (0.3 * x).sin()))?;
/// let network = Network::dense(1, &[8], Activation::Tanh, 1)?;
/// let posterior = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data)?;
/// let posterior = posterior.with_row_threads(RowThreads::One);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowThreads {
    /// The thread that asks for the gradient alone.
    One,
    /// Idle threads too, of the rayon pool that the asking thread belongs to; outside a pool, that thread alone.
    #[default]
    Idle,
}
