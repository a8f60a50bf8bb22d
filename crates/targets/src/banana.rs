//! Define the banana: Rosenbrock's curved valley, with exact draws.

use crate::{ExactDraws, KnownMoments, LOG_TWO_PI, TargetError};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;

/// Independent pairs x ~ N(centre, length²), y | x ~ N(x², width²); normalised. Coordinates are x₁, y₁, x₂, y₂, …
///
/// The 'even Rosenbrock' distribution of Pagani, Wiegand and Nadarajah (2022), 'An n-dimensional Rosenbrock distribution for Markov
/// chain Monte Carlo testing', whose own setting is centre 1, length √10, width √0.1.
#[derive(Debug, Clone)]
pub struct Banana {
    pairs: usize,
    centre: f64,
    length: f64,
    width: f64,
}

impl Banana {
    /// The banana with 2·`pairs` coordinates.
    ///
    /// # Errors
    /// When `pairs` is 0, `centre` is not finite, or `length` or `width` is not positive.
    pub fn new(pairs: usize, centre: f64, length: f64, width: f64) -> Result<Self, TargetError> {
        if pairs == 0 {
            return Err(TargetError::Setting { setting: "the banana's number of pairs", value: 0.0, range: "at least 1" });
        }
        TargetError::require_finite("the banana's centre", centre)?;
        TargetError::require_positive("the banana's length", length)?;
        TargetError::require_positive("the banana's width", width)?;
        Ok(Self { pairs, centre, length, width })
    }

    fn repeat(&self, x: f64, y: f64) -> Vec<f64> {
        [x, y].repeat(self.pairs)
    }
}

impl LogDensity for Banana {
    fn dim(&self) -> usize {
        2 * self.pairs
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let mut sum = 0.0;
        for (pair, g) in position.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
            let z = (pair[0] - self.centre) / self.length;
            let w = (pair[1] - pair[0] * pair[0]) / self.width;
            g[1] = -w / self.width;
            g[0] = -z / self.length - 2.0 * pair[0] * g[1];
            sum += z * z + w * w;
        }
        Ok(-0.5 * sum - self.pairs as f64 * (self.length.ln() + self.width.ln() + LOG_TWO_PI))
    }
}

impl KnownMoments for Banana {
    fn mean(&self) -> Option<Vec<f64>> {
        Some(self.repeat(self.centre, self.centre * self.centre + self.length * self.length))
    }

    /// length² for x; width² + 4 centre² length² + 2 length⁴ for y.
    fn variance(&self) -> Option<Vec<f64>> {
        let square = self.length * self.length;
        let of_y = self.width * self.width + 4.0 * self.centre * self.centre * square + 2.0 * square * square;
        Some(self.repeat(square, of_y))
    }
}

impl ExactDraws for Banana {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        for pair in position.chunks_exact_mut(2) {
            pair[0] = self.centre + self.length * rng.sample::<f64, _>(StandardNormal);
            pair[1] = pair[0] * pair[0] + self.width * rng.sample::<f64, _>(StandardNormal);
        }
    }
}
