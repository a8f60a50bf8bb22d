//! Sample the posterior of a neural network's weights by Markov chain Monte Carlo, and know whether to believe it.

pub use ergodic_baselines as baselines;
pub use ergodic_diagnostics as diagnostics;
pub use ergodic_draws as draws;
pub use ergodic_model as model;
pub use ergodic_sampler as sampler;
