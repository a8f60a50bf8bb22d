//! Keep every k-th draw.

use crate::{ChainSink, DrawRef, Phase, Recorded, RunReport, Schema, Sink, SinkError};
use std::num::NonZeroUsize;

/// A sink that hands every k-th kept draw, statistics included, to another sink: draws 0, k, 2k, … of each chain.
///
/// Warm-up passes unthinned. Thinning loses information and is for draws that would not fit elsewhere; beside it,
/// [`Moments`](crate::Moments) in a [`Tee`](crate::Tee) takes means and variances from all draws.
///
/// ```
/// use ergodic_draws::{Memory, Thin};
/// let every_tenth = Thin::new(10.try_into()?, Memory::new());
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug)]
pub struct Thin<S> {
    every: NonZeroUsize,
    inner: S,
}

impl<S: Sink> Thin<S> {
    /// A sink that hands every `every`-th draw to `inner`.
    #[must_use]
    pub fn new(every: NonZeroUsize, inner: S) -> Self {
        Self { every, inner }
    }

    /// The sink that got the draws.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Sink> Sink for Thin<S> {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        let mut thinned = schema.clone();
        // A run without a planned end stays one.
        if schema.draws < usize::MAX {
            thinned.draws = schema.draws.div_ceil(self.every.get());
        }
        self.inner.begin(&thinned)
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        Ok(Box::new(ThinChain { every: self.every, inner: self.inner.open_chain(chain)? }))
    }

    fn resume_chain(&self, chain: usize, recorded: Recorded) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        let recorded = Recorded { draws: recorded.draws.div_ceil(self.every.get()), ..recorded };
        Ok(Box::new(ThinChain { every: self.every, inner: self.inner.resume_chain(chain, recorded)? }))
    }

    fn finish(&self, report: &RunReport) -> Result<(), SinkError> {
        self.inner.finish(report)
    }
}

struct ThinChain<'a> {
    every: NonZeroUsize,
    inner: Box<dyn ChainSink + 'a>,
}

impl ChainSink for ThinChain<'_> {
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError> {
        match draw.phase {
            Phase::Warmup => self.inner.record(draw),
            // The draw's own number decides, so a resumed chain keeps the same draws as one that was never stopped.
            Phase::Sampling if draw.index % self.every == 0 => {
                self.inner.record(&DrawRef { index: draw.index / self.every, ..*draw })
            }
            Phase::Sampling => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.inner.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Field, Layout, Memory, Origin};

    #[test]
    fn draws_and_statistics_are_thinned_and_warmup_is_not() {
        for (every, expected) in [(1, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), (3, vec![0.0, 3.0, 6.0]), (9, vec![0.0])] {
            let schema = Schema {
                layout: Layout::flat(1).into(),
                columns: vec![Column::from(&Field::real("lp"))],
                origin: Origin::Mcmc,
                chains: 1,
                warmup: 2,
                draws: 7,
                report: RunReport::new("test", 1),
            };
            let sink = Thin::new(every.try_into().unwrap(), Memory::new().keep_warmup_statistics());
            sink.begin(&schema).unwrap();
            let mut chain = sink.open_chain(0).unwrap();
            for (phase, draws) in [(Phase::Warmup, 2), (Phase::Sampling, 7)] {
                for index in 0..draws {
                    let value = index as f64;
                    chain.record(&DrawRef { phase, index, position: &[value], statistics: &[-value] }).unwrap();
                }
            }
            chain.finish().unwrap();
            drop(chain);
            sink.finish(&schema.report).unwrap();
            let draws = sink.into_inner().into_draws(schema.report);
            assert_eq!(draws.coordinate(0)[0], expected);
            let statistics: Vec<f64> = expected.iter().map(|value| -value).collect();
            assert_eq!(draws.statistic("lp"), Some(vec![statistics]));
            assert_eq!(draws.chains()[0].warmup_statistics.len(), 2);
        }
    }

    /// Remembers what it is told to expect.
    #[derive(Default)]
    struct Planned(std::sync::Mutex<Vec<usize>>);

    impl Sink for Planned {
        fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
            self.0.lock().unwrap().push(schema.draws);
            Ok(())
        }

        fn open_chain(&self, _chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
            Err(SinkError::Misused("this sink only counts"))
        }

        fn finish(&self, _report: &RunReport) -> Result<(), SinkError> {
            Ok(())
        }
    }

    #[test]
    fn the_plan_is_thinned_too() {
        let planned = Planned::default();
        let mut schema = Schema {
            layout: Layout::flat(1).into(),
            columns: vec![],
            origin: Origin::Mcmc,
            chains: 1,
            warmup: 0,
            draws: 7,
            report: RunReport::new("test", 1),
        };
        for draws in [7, 6, 0, usize::MAX] {
            schema.draws = draws;
            Thin::new(3.try_into().unwrap(), &planned).begin(&schema).unwrap();
        }
        assert_eq!(*planned.0.lock().unwrap(), [3, 2, 0, usize::MAX]);
    }
}
