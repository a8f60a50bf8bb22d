//! Variational inference and other approximations that end in the same draws as Markov chains.
