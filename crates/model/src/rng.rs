//! Give every chain and purpose a random stream of its own.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of all random streams: the same numbers on every machine.
pub type ChainRng = ChaCha8Rng;

/// What a stream is for; streams of different purposes never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial positions.
    Initialise = 0,
    /// The transitions of a kernel.
    Kernel = 1,
    /// The order of minibatches.
    Minibatch = 2,
    /// Optimisation and variational fitting.
    Optimise = 3,
    /// Draws from a fitted approximation or from a prior.
    Draw = 4,
    /// Simulated observations.
    Simulate = 5,
    /// Splits of data.
    Split = 6,
    /// Targets and tests.
    Test = 7,
    /// What a stored draw adds to its position.
    Record = 8,
}

/// The stream of `purpose` in chain `chain` under `seed`: ChaCha8 with the stream number `(chain + 1) · 256 + purpose`.
///
/// ```
/// use ergodic_model::{stream, Purpose};
/// use rand::RngExt;
/// let one: u64 = stream(7, 0, Purpose::Kernel).random();
/// assert_eq!(one, stream(7, 0, Purpose::Kernel).random::<u64>());
/// assert_ne!(one, stream(7, 1, Purpose::Kernel).random::<u64>());
/// ```
#[must_use]
pub fn stream(seed: u64, chain: usize, purpose: Purpose) -> ChainRng {
    let mut rng = ChainRng::seed_from_u64(seed);
    rng.set_stream((chain as u64 + 1) << 8 | purpose as u64);
    rng
}

/// The stream of what stored draw `index` of chain `chain` adds to its position, each 2²⁴ words long: a resumed run records the same.
///
/// ```
/// use ergodic_model::record_stream;
/// use rand::RngExt;
/// let one: u64 = record_stream(7, 0, 3).random();
/// assert_eq!(one, record_stream(7, 0, 3).random::<u64>());
/// assert_ne!(one, record_stream(7, 0, 4).random::<u64>());
/// ```
#[must_use]
pub fn record_stream(seed: u64, chain: usize, index: usize) -> ChainRng {
    let mut rng = stream(seed, chain, Purpose::Record);
    rng.set_word_pos((index as u128) << 24);
    rng
}
