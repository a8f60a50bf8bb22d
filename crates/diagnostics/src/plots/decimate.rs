//! Thin a long series to what a picture can show, without losing an extreme.

use serde::Serialize;

/// Points of a series that stand for all of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decimated {
    /// Positions in the full series, ascending.
    pub index: Vec<usize>,
    /// The values there.
    pub value: Vec<f64>,
}

impl Decimated {
    /// The smallest and the largest value of each of `columns` equal stretches, in the order in which they occur.
    ///
    /// A line through them covers the same pixels as a line through all values, when a stretch is a column of pixels.
    /// Series with at most two values a column are kept whole.
    ///
    /// ```
    /// use ergodic_diagnostics::plots::Decimated;
    /// let series: Vec<f64> = (0..1000).map(|i| if i == 500 { 9.0 } else { 0.0 }).collect();
    /// let thin = Decimated::new(&series, 10);
    /// assert!(thin.index.contains(&500) && thin.index.len() <= 20);
    /// ```
    #[must_use]
    pub fn new(series: &[f64], columns: usize) -> Self {
        let columns = columns.max(1);
        if series.len() <= 2 * columns {
            return Self { index: (0..series.len()).collect(), value: series.to_vec() };
        }
        let mut index = Vec::with_capacity(2 * columns);
        for column in 0..columns {
            let (from, to) = (column * series.len() / columns, (column + 1) * series.len() / columns);
            let (mut low, mut high) = (from, from);
            for i in from..to {
                if series[i] < series[low] {
                    low = i;
                }
                if series[i] > series[high] {
                    high = i;
                }
            }
            index.push(low.min(high));
            if low != high {
                index.push(low.max(high));
            }
        }
        let value = index.iter().map(|&i| series[i]).collect();
        Self { index, value }
    }

    /// Pairs of position and value.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.index.iter().zip(&self.value).map(|(&i, &v)| (i as f64, v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;

    #[test]
    fn extremes_and_order_survive() {
        let mut noise = Noise::new(5);
        let mut series = noise.autoregressive(100_003, 0.9);
        series[77_777] = 40.0;
        series[3] = -40.0;
        let thin = Decimated::new(&series, 500);
        assert!(thin.index.len() <= 1000);
        assert!(thin.index.is_sorted_by(|a, b| a < b));
        assert!(thin.index.contains(&77_777) && thin.index.contains(&3));
        assert!(thin.points().all(|(i, v)| series[i as usize] == v));
        for column in 0..500 {
            let (from, to) = (column * series.len() / 500, (column + 1) * series.len() / 500);
            let largest = series[from..to].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let kept = thin.points().filter(|(i, _)| (from..to).contains(&(*i as usize))).map(|p| p.1);
            assert_eq!(kept.fold(f64::NEG_INFINITY, f64::max), largest);
        }
    }

    #[test]
    fn short_and_constant_series_are_kept() {
        assert_eq!(Decimated::new(&[1.0, 2.0, 3.0], 10).value, vec![1.0, 2.0, 3.0]);
        assert_eq!(Decimated::new(&[], 10).value, Vec::<f64>::new());
        assert_eq!(Decimated::new(&[4.0; 100], 10).value, vec![4.0; 10]);
    }
}
