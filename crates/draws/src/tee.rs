//! Hand every draw to two sinks.

use crate::{ChainSink, DrawRef, Recorded, RunReport, Schema, Sink, SinkError};

/// A sink that hands everything to two others; either may be a `Tee` again.
///
/// Both get every draw even when one fails; then the first error is returned, and the run stops.
///
/// ```
/// use ergodic_draws::{Memory, Moments, Tee, Thin};
/// let sink = Tee::new(Thin::new(100.try_into()?, Memory::new()), Moments::new());
/// let (thinned, moments) = sink.into_inner();
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug)]
pub struct Tee<A, B> {
    first: A,
    second: B,
}

impl<A: Sink, B: Sink> Tee<A, B> {
    /// A sink that hands everything to `first` and `second`.
    #[must_use]
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// The two sinks.
    #[must_use]
    pub fn into_inner(self) -> (A, B) {
        (self.first, self.second)
    }
}

impl<A: Sink, B: Sink> Sink for Tee<A, B> {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        self.first.begin(schema)?;
        self.second.begin(schema)
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        Ok(Box::new(TeeChain { first: self.first.open_chain(chain)?, second: self.second.open_chain(chain)? }))
    }

    fn resume_chain(&self, chain: usize, recorded: Recorded) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        let first = self.first.resume_chain(chain, recorded)?;
        Ok(Box::new(TeeChain { first, second: self.second.resume_chain(chain, recorded)? }))
    }

    fn finish(&self, report: &RunReport) -> Result<(), SinkError> {
        self.first.finish(report).and(self.second.finish(report))
    }
}

struct TeeChain<'a> {
    first: Box<dyn ChainSink + 'a>,
    second: Box<dyn ChainSink + 'a>,
}

impl ChainSink for TeeChain<'_> {
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError> {
        // Both calls are made before either result is looked at.
        self.first.record(draw).and(self.second.record(draw))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.first.flush().and(self.second.flush())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.first.finish().and(self.second.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Memory, Origin, Phase};

    /// Refuses every draw.
    struct Full;

    impl Sink for Full {
        fn begin(&self, _schema: &Schema) -> Result<(), SinkError> {
            Ok(())
        }

        fn open_chain(&self, _chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
            Ok(Box::new(Self))
        }

        fn finish(&self, _report: &RunReport) -> Result<(), SinkError> {
            Err(SinkError::Misused("full"))
        }
    }

    impl ChainSink for Full {
        fn record(&mut self, _draw: &DrawRef<'_>) -> Result<(), SinkError> {
            Err(SinkError::Misused("full"))
        }

        fn finish(&mut self) -> Result<(), SinkError> {
            Err(SinkError::Misused("full"))
        }
    }

    fn schema() -> Schema {
        Schema {
            layout: Layout::flat(1).into(),
            columns: vec![],
            origin: Origin::Mcmc,
            chains: 2,
            warmup: 0,
            draws: 1,
            report: RunReport::new("test", 1),
        }
    }

    const DRAW: DrawRef<'static> = DrawRef { phase: Phase::Sampling, index: 0, position: &[1.5], statistics: &[] };

    #[test]
    fn both_sinks_get_the_same_draws() {
        let sink = Tee::new(Memory::new(), Memory::new());
        sink.begin(&schema()).unwrap();
        let mut chain = sink.open_chain(1).unwrap();
        chain.record(&DRAW).unwrap();
        chain.finish().unwrap();
        drop(chain);
        sink.finish(&schema().report).unwrap();
        let (first, second) = sink.into_inner();
        let (first, second) = (first.into_draws(schema().report), second.into_draws(schema().report));
        assert_eq!(first.coordinate(0), [vec![], vec![1.5]]);
        assert_eq!(first, second);
    }

    #[test]
    fn an_error_of_one_sink_stops_the_chain_and_the_other_has_the_draw() {
        let memory = Memory::new();
        {
            let before = Tee::new(Full, &memory);
            before.begin(&schema()).unwrap();
            let mut chain = before.open_chain(0).unwrap();
            assert!(chain.record(&DRAW).is_err() && chain.finish().is_err());
            drop(chain);
            let after = Tee::new(&memory, Full);
            let mut chain = after.open_chain(1).unwrap();
            assert!(chain.record(&DRAW).is_err() && chain.finish().is_err());
            assert!(before.finish(&schema().report).is_err() && after.finish(&schema().report).is_err());
        }
        assert_eq!(memory.into_draws(schema().report).coordinate(0), [vec![1.5], vec![1.5]]);
    }
}
