//! Keep draws in memory, for runs that fit there.

use crate::per_chain::{Lent, PerChain};
use crate::{ChainDraws, ChainSink, DrawRef, Draws, Layout, Origin, Phase, RunReport, Schema, Sink, SinkError, Statistics};

/// A sink that keeps every draw in memory and becomes [`Draws`] after the run.
///
/// The memory of the whole run is reserved before the first draw, so a run that does not fit is an error at its start, with the
/// size in it, and no draw allocates.
///
/// ```
/// use ergodic_draws::{ChainSink, Column, DrawRef, Field, Layout, Memory, Origin, Phase, RunReport, Schema, Sink};
/// let schema = Schema {
///     layout: Layout::flat(2).into(),
///     columns: vec![Column::from(&Field::flag("diverging"))],
///     origin: Origin::Mcmc,
///     chains: 1,
///     warmup: 0,
///     draws: 1,
///     report: RunReport::new("nuts", 1),
/// };
/// let memory = Memory::new();
/// memory.begin(&schema)?;
/// let mut chain = memory.open_chain(0)?;
/// chain.record(&DrawRef { phase: Phase::Sampling, index: 0, position: &[0.5, -0.5], statistics: &[0.0] })?;
/// chain.finish()?;
/// drop(chain);
/// memory.finish(&schema.report)?;
/// let draws = memory.into_draws(schema.report);
/// assert_eq!(draws.values("x[1]"), Some(vec![vec![-0.5]]));
/// # Ok::<(), ergodic_draws::SinkError>(())
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    keep_warmup_statistics: bool,
    chains: PerChain<ChainDraws>,
}

impl Memory {
    /// A sink that keeps the positions and the statistics of the kept draws.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same sink, keeping the statistics of the warm-up as well; its positions are never kept.
    #[must_use]
    pub fn keep_warmup_statistics(mut self) -> Self {
        self.keep_warmup_statistics = true;
        self
    }

    /// The draws, with `report` as the record of the run; chains that were not opened are empty.
    ///
    /// Without a run there are no chains, and the layout has no coordinates.
    #[must_use]
    pub fn into_draws(self, report: RunReport) -> Draws {
        match self.chains.into_run() {
            None => Draws::new(Layout::flat(0), Origin::Mcmc, Vec::new(), report),
            Some((schema, chains)) => Draws::new(schema.layout, schema.origin, chains, report),
        }
    }

    /// An empty chain with room for the planned draws.
    fn reserve_chain(&self, schema: &Schema) -> Result<ChainDraws, SinkError> {
        let mut chain = ChainDraws::new(schema.layout.dim());
        chain.statistics = Statistics::new(schema.columns.clone());
        let warmup = if self.keep_warmup_statistics {
            chain.warmup_statistics = Statistics::new(schema.columns.clone());
            schema.warmup
        } else {
            0
        };
        // A run without a planned end cannot be reserved; its memory grows draw by draw, still fallibly.
        if schema.draws < usize::MAX {
            chain
                .try_reserve(schema.draws)
                .and_then(|()| chain.statistics.try_reserve(schema.draws))
                .and_then(|()| chain.warmup_statistics.try_reserve(warmup))
                .map_err(|_| too_large(schema, warmup))?;
        }
        Ok(chain)
    }
}

/// The error of a run that does not fit, with the bytes it needs.
fn too_large(schema: &Schema, warmup: usize) -> SinkError {
    let columns = schema.columns.len() as u128;
    let values = schema.draws as u128 * (schema.layout.dim() as u128 + columns) + warmup as u128 * columns;
    SinkError::TooLarge {
        bytes: (schema.chains as u128).saturating_mul(values).saturating_mul(size_of::<f64>() as u128),
        chains: schema.chains,
        draws: schema.draws,
        dim: schema.layout.dim(),
    }
}

impl Sink for Memory {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        // Systems that promise more memory than they have still refuse what exceeds it in one piece, so the whole run is asked
        // for at once before each chain gets its part.
        if schema.draws < usize::MAX {
            let values = schema.chains.checked_mul(schema.draws).and_then(|rows| rows.checked_mul(schema.layout.dim()));
            let fits = values.is_some_and(|values| Vec::<f64>::new().try_reserve_exact(values).is_ok());
            if !fits {
                return Err(too_large(schema, 0));
            }
        }
        let chains = (0..schema.chains).map(|_| self.reserve_chain(schema)).collect::<Result<_, _>>()?;
        self.chains.begin(schema, chains);
        Ok(())
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        let keep_warmup_statistics = self.keep_warmup_statistics;
        Ok(Box::new(MemoryChain { keep_warmup_statistics, draws: self.chains.lend(chain)? }))
    }

    fn finish(&self, _report: &RunReport) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The writer of one chain.
struct MemoryChain<'a> {
    keep_warmup_statistics: bool,
    draws: Lent<'a, ChainDraws>,
}

impl MemoryChain<'_> {
    /// The error of a chain that outgrows the memory while it runs.
    fn outgrown(&self) -> SinkError {
        let draws = self.draws.len() + 1;
        let dim = self.draws.dim();
        SinkError::TooLarge { bytes: draws as u128 * dim as u128 * size_of::<f64>() as u128, chains: 1, draws, dim }
    }
}

impl ChainSink for MemoryChain<'_> {
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError> {
        let reserved = match draw.phase {
            Phase::Sampling => self.draws.try_reserve(1).and_then(|()| self.draws.statistics.try_reserve(1)),
            Phase::Warmup => self.draws.warmup_statistics.try_reserve(1),
        };
        reserved.map_err(|_| self.outgrown())?;
        match draw.phase {
            Phase::Sampling => {
                self.draws.push(draw.position);
                self.draws.statistics.push(draw.statistics);
            }
            Phase::Warmup if self.keep_warmup_statistics => self.draws.warmup_statistics.push(draw.statistics),
            Phase::Warmup => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Field};

    fn schema(dim: usize, chains: usize, draws: usize) -> Schema {
        Schema {
            layout: Layout::flat(dim).into(),
            columns: vec![Column::from(&Field::real("lp"))],
            origin: Origin::Mcmc,
            chains,
            warmup: 2,
            draws,
            report: RunReport::new("test", 1),
        }
    }

    fn draw<'a>(phase: Phase, position: &'a [f64], statistics: &'a [f64]) -> DrawRef<'a> {
        DrawRef { phase, index: 0, position, statistics }
    }

    #[test]
    fn chains_are_kept_apart_and_warmup_positions_are_dropped() {
        for keep in [false, true] {
            let memory = if keep { Memory::new().keep_warmup_statistics() } else { Memory::new() };
            let schema = schema(1, 2, 2);
            memory.begin(&schema).unwrap();
            let mut first = memory.open_chain(0).unwrap();
            let mut second = memory.open_chain(1).unwrap();
            first.record(&draw(Phase::Warmup, &[9.0], &[-9.0])).unwrap();
            second.record(&draw(Phase::Sampling, &[2.0], &[-2.0])).unwrap();
            first.record(&draw(Phase::Sampling, &[1.0], &[-1.0])).unwrap();
            first.record(&draw(Phase::Sampling, &[3.0], &[-3.0])).unwrap();
            first.finish().unwrap();
            drop((first, second));
            let draws = memory.into_draws(schema.report);
            assert_eq!(draws.coordinate(0), [vec![1.0, 3.0], vec![2.0]]);
            assert_eq!(draws.statistic("lp"), Some(vec![vec![-1.0, -3.0], vec![-2.0]]));
            assert_eq!(draws.chains()[0].warmup_statistics.column("lp"), keep.then(|| vec![-9.0]));
        }
    }

    #[test]
    fn a_run_larger_than_memory_is_an_error_with_its_size() {
        let error = Memory::new().begin(&schema(1 << 20, 4, 1 << 40)).unwrap_err();
        assert!(matches!(error, SinkError::TooLarge { bytes, chains: 4, .. } if bytes >= 1 << 65), "{error}");
        assert!(Memory::new().begin(&schema(usize::MAX / 2, 8, 1000)).is_err());
    }

    #[test]
    fn a_run_without_a_planned_end_grows() {
        let memory = Memory::new();
        let schema = schema(1, 1, usize::MAX);
        memory.begin(&schema).unwrap();
        let mut chain = memory.open_chain(0).unwrap();
        for i in 0..1000 {
            chain.record(&draw(Phase::Sampling, &[f64::from(i)], &[0.0])).unwrap();
        }
        drop(chain);
        assert_eq!(memory.into_draws(schema.report).num_draws(), 1000);
    }

    #[test]
    fn misuse_is_an_error() {
        let memory = Memory::new();
        assert!(matches!(memory.open_chain(0), Err(SinkError::Misused(_))));
        memory.begin(&schema(1, 1, 1)).unwrap();
        let _writer = memory.open_chain(0).unwrap();
        assert!(matches!(memory.open_chain(0), Err(SinkError::Misused(_))));
        assert!(matches!(memory.open_chain(1), Err(SinkError::Misused(_))));
    }

    #[test]
    fn without_a_run_there_are_no_chains() {
        let draws = Memory::new().into_draws(RunReport::new("none", 0));
        assert_eq!((draws.chains().len(), draws.dim()), (0, 0));
    }
}
