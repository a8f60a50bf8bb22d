//! Say where draws come from, which decides what may be computed from them.

use crate::Temperatures;
use serde::{Deserialize, Serialize};

/// The kind of method behind a set of draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// A Markov chain that leaves the posterior invariant.
    Mcmc,
    /// A Markov chain whose stationary distribution is only near the density it was asked for (no accept step, minibatches).
    BiasedMcmc,
    /// Independent draws from a fitted approximation, such as a variational family.
    Approximation,
    /// Separately optimised points, one per member, as in a deep ensemble.
    Ensemble,
    /// A single optimised point.
    Point,
}

impl Origin {
    /// Whether successive draws of a chain depend on each other, so that R-hat, ESS and traces have a meaning.
    ///
    /// ```
    /// use ergodic_draws::Origin;
    /// assert!(Origin::Mcmc.is_markov() && !Origin::Ensemble.is_markov());
    /// ```
    #[must_use]
    pub fn is_markov(self) -> bool {
        matches!(self, Self::Mcmc | Self::BiasedMcmc)
    }

    /// Whether the draws follow the posterior itself in the limit of many draws.
    #[must_use]
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Mcmc)
    }

    /// What tables, plots and files write beside results that are not exact; empty for exact ones.
    #[must_use]
    pub fn caveat(self) -> &'static str {
        match self {
            Self::Mcmc => "",
            Self::BiasedMcmc => {
                "biased: the chain's stationary distribution is not exactly the posterior; the bias shows first in the noise scale"
            }
            Self::Approximation => "approximation: draws follow a fitted family, not the posterior",
            Self::Ensemble => "ensemble: draws are optimised points, not draws from the posterior",
            Self::Point => "point estimate: a single optimised point",
        }
    }

    /// The [`caveat`](Self::caveat) of draws made at temperatures; `None` when they follow the posterior itself.
    ///
    /// ```
    /// use ergodic_draws::{Origin, Temperatures};
    /// assert_eq!(Origin::Mcmc.caveat_at(Temperatures::POSTERIOR), None);
    /// let cold = Origin::Point.caveat_at(Temperatures::both(0.5)).unwrap();
    /// assert!(cold.starts_with("point estimate") && cold.contains("at temperature 0.5"));
    /// ```
    #[must_use]
    pub fn caveat_at(self, temperatures: Temperatures) -> Option<String> {
        match (self.caveat(), temperatures.caveat()) {
            ("", tempered) => tempered,
            (caveat, None) => Some(caveat.to_owned()),
            (caveat, Some(tempered)) => Some(format!("{caveat}; {tempered}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_origin_but_the_exact_one_has_a_caveat() {
        let all = [Origin::Mcmc, Origin::BiasedMcmc, Origin::Approximation, Origin::Ensemble, Origin::Point];
        for origin in all {
            assert_eq!(origin.caveat().is_empty(), origin.is_exact());
            assert_eq!(origin.caveat_at(Temperatures::POSTERIOR).is_none(), origin.is_exact());
            assert!(origin.caveat_at(Temperatures::both(2.0)).unwrap().starts_with(origin.caveat()));
        }
        assert!(!Origin::Approximation.is_markov() && Origin::BiasedMcmc.is_markov());
    }
}
