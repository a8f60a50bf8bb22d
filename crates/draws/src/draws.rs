//! Hold draws of any origin: positions, statistics, and the report of the run that made them.

use crate::{Layout, Origin, RunReport, Statistics};
use std::collections::TryReserveError;
use std::sync::Arc;

/// Positions and statistics of one chain, draw by draw.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainDraws {
    dim: usize,
    positions: Vec<f64>,
    /// Statistics of the kept draws; without columns where the method has none.
    pub statistics: Statistics,
    /// Statistics of the warm-up, where they were kept.
    pub warmup_statistics: Statistics,
}

impl ChainDraws {
    /// An empty chain of positions with `dim` coordinates.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self { dim, positions: Vec::new(), statistics: Statistics::default(), warmup_statistics: Statistics::default() }
    }

    /// A chain whose positions are the rows of `positions` (draws × dim, row-major).
    ///
    /// # Panics
    /// When the length of `positions` is not a multiple of `dim`.
    #[must_use]
    pub fn from_positions(dim: usize, positions: Vec<f64>) -> Self {
        assert!(
            dim > 0 && positions.len().is_multiple_of(dim),
            "{} values do not fill draws of {dim} coordinates",
            positions.len()
        );
        Self { positions, ..Self::new(dim) }
    }

    /// Appends one position.
    ///
    /// # Panics
    /// When `position` has another length than the chain's.
    pub fn push(&mut self, position: &[f64]) {
        assert_eq!(position.len(), self.dim, "a position has one value per coordinate");
        self.positions.extend_from_slice(position);
    }

    /// Adds the first `count` draws of another chain, with their statistics; all of them where it has fewer.
    ///
    /// ```
    /// use ergodic_draws::ChainDraws;
    /// let mut chain = ChainDraws::from_positions(1, vec![0.5]);
    /// chain.append(&ChainDraws::from_positions(1, vec![1.0, 2.0, 3.0]), 2);
    /// assert_eq!(chain.coordinate(0), [0.5, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// When the other chain has another dimension, or statistics of another number of columns.
    pub fn append(&mut self, other: &Self, count: usize) {
        for (draw, position) in other.positions().enumerate().take(count) {
            self.push(position);
            if draw < other.statistics.len() {
                self.statistics.push(other.statistics.row(draw));
            }
        }
    }

    /// Makes room for `additional` more positions.
    ///
    /// # Errors
    /// When the memory cannot be had; the chain stays as it is.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), TryReserveError> {
        // A product beyond `usize` is beyond any memory, which is what `usize::MAX` values report.
        self.positions.try_reserve(additional.saturating_mul(self.dim))
    }

    /// Number of coordinates of a position.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of draws.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there is no draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The unconstrained position of one draw.
    ///
    /// # Panics
    /// When there is no such draw.
    #[must_use]
    pub fn position(&self, draw: usize) -> &[f64] {
        &self.positions[draw * self.dim..][..self.dim]
    }

    /// The unconstrained positions in order.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.positions.chunks_exact(self.dim.max(1))
    }

    /// One unconstrained coordinate over the draws.
    ///
    /// # Panics
    /// When there is no such coordinate.
    #[must_use]
    pub fn coordinate(&self, coordinate: usize) -> Vec<f64> {
        assert!(coordinate < self.dim, "coordinate {coordinate} of positions with {}", self.dim);
        self.positions.chunks_exact(self.dim).map(|position| position[coordinate]).collect()
    }
}

/// Draws from anything, Markov chain or not: one type for diagnostics, predictions, comparison and plots.
///
/// Chains may differ in length, as when one was stopped; what needs equal lengths uses the first
/// [`min_len`](Self::min_len) draws of each.
///
/// ```
/// use ergodic_draws::{ChainDraws, Draws, Layout, Origin, RunReport};
/// let chain = ChainDraws::from_positions(2, vec![0.0, 1.0, 2.0, 3.0]);
/// let draws = Draws::new(Layout::flat(2), Origin::Mcmc, vec![chain], RunReport::new("nuts", 1));
/// assert_eq!(draws.values("x[1]"), Some(vec![vec![1.0, 3.0]]));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    layout: Arc<Layout>,
    origin: Origin,
    chains: Vec<ChainDraws>,
    /// What the run was asked, what it cost and how it ended.
    pub report: RunReport,
}

impl Draws {
    /// Joins chains to a result.
    ///
    /// # Panics
    /// When a chain has another dimension than the layout.
    #[must_use]
    pub fn new(layout: impl Into<Arc<Layout>>, origin: Origin, chains: Vec<ChainDraws>, report: RunReport) -> Self {
        let layout = layout.into();
        assert!(chains.iter().all(|chain| chain.dim == layout.dim()), "every chain has the layout's dimension");
        Self { layout, origin, chains, report }
    }

    /// Names of the coordinates.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Where the draws come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What tables, plots and files write beside these draws; `None` when they follow the posterior itself.
    #[must_use]
    pub fn caveat(&self) -> Option<String> {
        self.report.caveat(self.origin)
    }

    /// The chains; independent draws are one chain.
    #[must_use]
    pub fn chains(&self) -> &[ChainDraws] {
        &self.chains
    }

    /// Number of coordinates.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.layout.dim()
    }

    /// Number of draws of all chains.
    #[must_use]
    pub fn num_draws(&self) -> usize {
        self.chains.iter().map(ChainDraws::len).sum()
    }

    /// Number of draws of the shortest chain.
    #[must_use]
    pub fn min_len(&self) -> usize {
        self.chains.iter().map(ChainDraws::len).min().unwrap_or(0)
    }

    /// All unconstrained positions, chain after chain.
    pub fn positions(&self) -> impl Iterator<Item = &[f64]> {
        self.chains.iter().flat_map(ChainDraws::positions)
    }

    /// One coordinate over the draws, one series a chain, on the scale people read.
    ///
    /// # Panics
    /// When there is no such coordinate.
    #[must_use]
    pub fn coordinate(&self, coordinate: usize) -> Vec<Vec<f64>> {
        let transform = self.layout.transform_of(coordinate);
        let constrain = |chain: &ChainDraws| -> Vec<f64> {
            chain.coordinate(coordinate).into_iter().map(|x| transform.constrain(x)).collect()
        };
        self.chains.iter().map(constrain).collect()
    }

    /// The coordinate named `name`, as [`Layout::coordinate_name`] writes it, on the scale people read.
    #[must_use]
    pub fn values(&self, name: &str) -> Option<Vec<Vec<f64>>> {
        let coordinate = self.layout.coordinate_of(name)?;
        Some(self.coordinate(coordinate))
    }

    /// The statistic `name` of the kept draws, one series a chain; `None` unless every chain has it.
    #[must_use]
    pub fn statistic(&self, name: &str) -> Option<Vec<Vec<f64>>> {
        self.chains.iter().map(|chain| chain.statistics.column(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Column, Field, Temperatures, Transform};

    fn draws() -> Draws {
        let layout = Layout::new(vec![Block::new("w", &[2]), Block::new("tau", &[]).with_transform(Transform::EXP)]).unwrap();
        let mut long = ChainDraws::from_positions(3, vec![1.0, 2.0, 0.0, 3.0, 4.0, 1.0]);
        long.statistics = Statistics::new(vec![Column::from(&Field::real("lp"))]);
        long.statistics.push(&[-1.0]);
        long.statistics.push(&[-2.0]);
        let short = ChainDraws::from_positions(3, vec![5.0, 6.0, 2.0]);
        Draws::new(layout, Origin::Mcmc, vec![long, short], RunReport::new("nuts", 1))
    }

    #[test]
    fn coordinates_are_read_on_the_constrained_scale() {
        let draws = draws();
        assert_eq!(draws.values("w[1]"), Some(vec![vec![2.0, 4.0], vec![6.0]]));
        assert_eq!(draws.values("tau"), Some(vec![vec![1.0, 1f64.exp()], vec![2f64.exp()]]));
        assert_eq!(draws.chains()[0].coordinate(2), [0.0, 1.0]);
        assert_eq!(draws.values("w"), None);
    }

    #[test]
    fn chains_may_differ_in_length() {
        let draws = draws();
        assert_eq!((draws.num_draws(), draws.min_len(), draws.dim()), (3, 1, 3));
        assert_eq!(draws.positions().nth(2), Some([5.0, 6.0, 2.0].as_slice()));
        assert_eq!(draws.chains()[0].position(1), [3.0, 4.0, 1.0]);
    }

    #[test]
    fn a_statistic_is_there_when_every_chain_has_it() {
        let draws = draws();
        assert_eq!(draws.statistic("lp"), None);
        assert_eq!(draws.chains()[0].statistics.column("lp"), Some(vec![-1.0, -2.0]));
        let one = Draws::new(Arc::clone(draws.layout()), Origin::Mcmc, draws.chains()[..1].to_vec(), draws.report);
        assert_eq!(one.statistic("lp"), Some(vec![vec![-1.0, -2.0]]));
    }

    #[test]
    fn an_empty_chain_has_no_draws() {
        let chain = ChainDraws::new(2);
        assert!(chain.is_empty() && chain.positions().len() == 0);
        assert_eq!(ChainDraws::new(0).len(), 0);
    }

    #[test]
    fn draws_that_are_not_from_the_posterior_say_so() {
        let mut draws = draws();
        assert_eq!(draws.caveat(), None);
        draws.report.temperatures = Temperatures::both(0.1);
        assert!(draws.caveat().unwrap().contains("temperature 0.1"));
        draws.origin = Origin::Ensemble;
        draws.report.temperatures = Temperatures::POSTERIOR;
        assert_eq!(draws.caveat().as_deref(), Some(Origin::Ensemble.caveat()));
    }
}
