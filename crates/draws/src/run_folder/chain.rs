//! Write one chain of a run folder: fill a chunk per array, and publish now and then.

use super::run::{Run, replace};
use super::storage::{Durability, Storage, io_error};
use super::variable::{Variable, check_draw};
use super::zarr::fill_element;
use crate::{ChainSink, DrawRef, Phase, Recorded, SinkError};
use std::fs;
use std::time::Instant;

/// The writer of one chain.
pub(super) struct ChainWriter<'a> {
    run: &'a Run,
    storage: &'a dyn Storage,
    chain: usize,
    warmup: PhaseWriter<'a>,
    sampling: PhaseWriter<'a>,
}

/// The arrays of one phase.
struct PhaseWriter<'a> {
    phase: Phase,
    arrays: Vec<ArrayWriter<'a>>,
    draws: usize,
    published_draws: usize,
    published_at: Instant,
}

/// One array: the chunk that fills up.
struct ArrayWriter<'a> {
    variable: &'a Variable,
    chunk_draws: usize,
    /// Number of the chunk.
    block: usize,
    /// Draws in `bytes`.
    draws: usize,
    /// Draws of the chunk that are on disk already.
    draws_on_disk: usize,
    bytes: Vec<u8>,
}

impl<'a> ChainWriter<'a> {
    /// A writer that has no draws yet.
    pub(super) fn new(run: &'a Run, storage: &'a dyn Storage, chain: usize) -> Self {
        let phase_writer = |phase| {
            let variables = run.variables.iter().filter(|(variable, _)| variable.group.phase() == phase);
            let arrays = variables.map(|(variable, chunk_draws)| ArrayWriter::new(variable, *chunk_draws)).collect();
            PhaseWriter { phase, arrays, draws: 0, published_draws: 0, published_at: Instant::now() }
        };
        Self { run, storage, chain, warmup: phase_writer(Phase::Warmup), sampling: phase_writer(Phase::Sampling) }
    }

    /// Begins after draws that are on disk, with the last chunk of each array in memory where it is not full.
    pub(super) fn go_on_after(&mut self, recorded: Recorded) -> Result<(), SinkError> {
        let (run, chain) = (self.run, self.chain);
        for (writer, draws) in [(&mut self.warmup, recorded.warmup), (&mut self.sampling, recorded.draws)] {
            writer.arrays.iter_mut().try_for_each(|array| array.go_on_after(run, chain, draws))?;
            (writer.draws, writer.published_draws) = (draws, draws);
        }
        Ok(())
    }
}

impl ChainSink for ChainWriter<'_> {
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError> {
        check_draw(draw, self.run.dim, &self.run.columns)?;
        if !self.run.has_phase(draw.phase) {
            return Err(SinkError::Misused("a warm-up draw of a run that plans no warm-up"));
        }
        if draw.phase == Phase::Sampling {
            self.warmup.publish(self.run, self.storage, self.chain)?;
        }
        let writer = match draw.phase {
            Phase::Warmup => &mut self.warmup,
            Phase::Sampling => &mut self.sampling,
        };
        writer.record(draw, self.run, self.storage, self.chain)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.warmup.publish(self.run, self.storage, self.chain)?;
        self.sampling.publish(self.run, self.storage, self.chain)
    }
}

impl PhaseWriter<'_> {
    fn record(&mut self, draw: &DrawRef<'_>, run: &Run, storage: &dyn Storage, chain: usize) -> Result<(), SinkError> {
        // Full chunks are left here only by an error of the last call; a draw enters all arrays or none.
        self.write_full_chunks(run, storage, chain)?;
        self.arrays.iter_mut().try_for_each(|array| array.reserve(run.dim))?;
        for array in &mut self.arrays {
            array.variable.encode(draw, &mut array.bytes);
            array.draws += 1;
        }
        self.draws += 1;
        self.write_full_chunks(run, storage, chain)?;
        let many = self.draws - self.published_draws >= run.cutting.block_draws;
        if many || self.published_at.elapsed() >= run.cutting.flush_interval {
            self.publish(run, storage, chain)?;
        }
        Ok(())
    }

    fn write_full_chunks(&mut self, run: &Run, storage: &dyn Storage, chain: usize) -> Result<(), SinkError> {
        self.arrays.iter_mut().filter(|array| array.draws == array.chunk_draws).try_for_each(|array| {
            array.write(run, storage, chain)?;
            array.bytes.clear();
            (array.block, array.draws, array.draws_on_disk) = (array.block + 1, 0, 0);
            Ok(())
        })
    }

    /// Writes what is not on disk, and tells readers.
    fn publish(&mut self, run: &Run, storage: &dyn Storage, chain: usize) -> Result<(), SinkError> {
        if self.draws > self.published_draws {
            self.write_full_chunks(run, storage, chain)?;
            self.arrays.iter_mut().try_for_each(|array| array.write(run, storage, chain))?;
            run.publish(storage, self.phase, chain, self.draws)?;
            self.published_draws = self.draws;
            self.published_at = Instant::now();
        }
        Ok(())
    }
}

impl<'a> ArrayWriter<'a> {
    fn new(variable: &'a Variable, chunk_draws: usize) -> Self {
        Self { variable, chunk_draws, block: 0, draws: 0, draws_on_disk: 0, bytes: Vec::new() }
    }

    /// Makes room for a whole chunk, once there is a draw for it.
    fn reserve(&mut self, dim: usize) -> Result<(), SinkError> {
        let size = self.chunk_draws.saturating_mul(self.variable.draw_bytes());
        self.bytes.try_reserve_exact(size.saturating_sub(self.bytes.len())).map_err(|_| SinkError::TooLarge {
            bytes: size as u128,
            chains: 1,
            draws: self.chunk_draws,
            dim,
        })
    }

    /// Begins after `draws` draws that are on disk.
    fn go_on_after(&mut self, run: &Run, chain: usize, draws: usize) -> Result<(), SinkError> {
        (self.block, self.draws) = (draws / self.chunk_draws, draws % self.chunk_draws);
        if self.draws > 0 {
            let path = run.chunk_path(self.variable, chain, self.block);
            let mut bytes = fs::read(&path).map_err(|error| io_error("read", &path, error))?;
            if bytes.len() != self.chunk_draws * self.variable.draw_bytes() {
                return Err(SinkError::Malformed { path, problem: "it has another size than its chunk".to_owned() });
            }
            bytes.truncate(self.draws * self.variable.draw_bytes());
            self.bytes.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// Puts the chunk on disk, filled up to its full size; a chunk that was there with fewer draws is replaced at once.
    fn write(&mut self, run: &Run, storage: &dyn Storage, chain: usize) -> Result<(), SinkError> {
        if self.draws == self.draws_on_disk {
            return Ok(());
        }
        let filled = self.bytes.len();
        let full = self.chunk_draws * self.variable.draw_bytes();
        let fill = fill_element(self.variable.kind());
        self.bytes.extend(fill.iter().cycle().take(full - filled));
        let path = run.chunk_path(self.variable, chain, self.block);
        let written = replace(storage, &path, &self.bytes, Durability::Synced);
        self.bytes.truncate(filled);
        written?;
        self.draws_on_disk = self.draws;
        Ok(())
    }
}
