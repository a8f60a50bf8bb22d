//! Hold the temperatures of a density: those its likelihood and its prior are divided by.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The temperatures at which a density was sampled: log density = log likelihood / `likelihood` + log prior / `prior`.
///
/// `(1, 1)` is the posterior itself. Both equal to T < 1 is the cold posterior of Wenzel et al. (2020, 'How good is the Bayes posterior
/// in deep neural networks really?'); `(T, 1)` is a power posterior, the likelihood raised to 1/T.
///
/// ```
/// use ergodic_draws::Temperatures;
/// assert!(Temperatures::default().is_posterior());
/// assert_eq!(Temperatures::both(0.1).to_string(), "temperature 0.1");
/// assert_eq!(Temperatures { likelihood: 2.0, prior: 1.0 }.to_string(), "likelihood temperature 2 and prior temperature 1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Temperatures {
    /// Divides the log likelihood.
    #[serde(with = "crate::real")]
    pub likelihood: f64,
    /// Divides the log prior.
    #[serde(with = "crate::real")]
    pub prior: f64,
}

/// Temperatures as files hold them: a pair, or one number for both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Both(#[serde(with = "crate::real")] f64),
    Apart {
        #[serde(with = "crate::real")]
        likelihood: f64,
        #[serde(with = "crate::real")]
        prior: f64,
    },
}

impl From<Stored> for Temperatures {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Both(temperature) => Self::both(temperature),
            Stored::Apart { likelihood, prior } => Self { likelihood, prior },
        }
    }
}

impl Default for Temperatures {
    fn default() -> Self {
        Self::POSTERIOR
    }
}

impl Temperatures {
    /// The posterior itself.
    pub const POSTERIOR: Self = Self::both(1.0);

    /// One temperature for likelihood and prior: a cold posterior below 1, a warm one above.
    #[must_use]
    pub const fn both(temperature: f64) -> Self {
        Self { likelihood: temperature, prior: temperature }
    }

    /// Whether this is the posterior itself, about which nothing needs to be said.
    #[must_use]
    pub fn is_posterior(self) -> bool {
        self == Self::POSTERIOR
    }

    /// Those of a density at these temperatures that is tempered once more.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self { likelihood: self.likelihood * other.likelihood, prior: self.prior * other.prior }
    }

    /// What tables, plots and files write beside results at these temperatures; `None` for the posterior itself.
    ///
    /// ```
    /// use ergodic_draws::Temperatures;
    /// assert_eq!(Temperatures::default().caveat(), None);
    /// let cold = Temperatures::both(0.5).caveat();
    /// assert_eq!(cold.as_deref(), Some("tempered: draws are from the density at temperature 0.5, not from the posterior"));
    /// ```
    #[must_use]
    pub fn caveat(self) -> Option<String> {
        (!self.is_posterior()).then(|| format!("tempered: draws are from the density at {self}, not from the posterior"))
    }
}

impl fmt::Display for Temperatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { likelihood, prior } = self;
        if likelihood == prior {
            write!(f, "temperature {likelihood}")
        } else {
            write!(f, "likelihood temperature {likelihood} and prior temperature {prior}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_posterior_says_nothing() {
        for (likelihood, prior) in [(1.0, 2.0), (0.5, 1.0), (f64::NAN, f64::NAN), (1.0, f64::NAN)] {
            let caveat = Temperatures { likelihood, prior }.caveat().unwrap();
            assert!(caveat.contains(&likelihood.to_string()) && caveat.contains(&prior.to_string()), "{caveat}");
        }
        assert_eq!(Temperatures::both(1.0).caveat(), None);
        assert_eq!(
            Temperatures { likelihood: 2.0, prior: 0.5 }.times(Temperatures { likelihood: 0.5, prior: 2.0 }).caveat(),
            None
        );
    }

    #[test]
    fn json_keeps_values_that_are_not_finite() {
        let odd = Temperatures { likelihood: f64::INFINITY, prior: 0.1 };
        assert_eq!(serde_json::from_str::<Temperatures>(&serde_json::to_string(&odd).unwrap()).unwrap(), odd);
        assert_eq!(serde_json::from_str::<Temperatures>("0.5").unwrap(), Temperatures::both(0.5));
        assert!(serde_json::from_str::<Temperatures>("\"cold\"").is_err());
    }
}
