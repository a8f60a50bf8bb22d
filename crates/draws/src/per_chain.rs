//! Lend each chain's writer a state of its own, and take it back when the writer goes.

use crate::{Layout, Schema, SinkError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const NOT_BEGUN: SinkError = SinkError::Misused("a chain is opened before the run begins");

/// The states of a run's chains, for sinks that keep something in memory.
#[derive(Debug)]
pub(crate) struct PerChain<T> {
    run: Mutex<Option<(Schema, Vec<Option<T>>)>>,
}

impl<T> Default for PerChain<T> {
    fn default() -> Self {
        Self { run: Mutex::new(None) }
    }
}

impl<T> PerChain<T> {
    /// Starts a run with one state a chain.
    pub(crate) fn begin(&self, schema: &Schema, states: Vec<T>) {
        *self.lock() = Some((schema.clone(), states.into_iter().map(Some).collect()));
    }

    /// Lends the state of one chain until the returned value is dropped, also by an error or a panic.
    pub(crate) fn lend(&self, chain: usize) -> Result<Lent<'_, T>, SinkError> {
        let mut guard = self.lock();
        let (_, states) = guard.as_mut().ok_or(NOT_BEGUN)?;
        let slot = states.get_mut(chain).ok_or(SinkError::Misused("a chain is opened that the run does not have"))?;
        let state = slot.take().ok_or(SinkError::Misused("a chain is opened that has a writer already"))?;
        Ok(Lent { states: self, chain, state: Some(state) })
    }

    /// The layout of the run.
    pub(crate) fn layout(&self) -> Result<Arc<Layout>, SinkError> {
        let guard = self.lock();
        let (schema, _) = guard.as_ref().ok_or(NOT_BEGUN)?;
        Ok(Arc::clone(&schema.layout))
    }

    /// What was planned and the states, if a run was started.
    pub(crate) fn into_run(self) -> Option<(Schema, Vec<T>)> {
        let (schema, states) = self.run.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        // A writer borrows `self`, so all are gone and every slot is filled.
        Some((schema, states.into_iter().flatten().collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Schema, Vec<Option<T>>)>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of one chain, on loan to its writer.
pub(crate) struct Lent<'a, T> {
    states: &'a PerChain<T>,
    chain: usize,
    /// `None` only while it is dropped.
    state: Option<T>,
}

impl<T> std::ops::Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.state.as_ref().expect("a loan has its state until it is dropped")
    }
}

impl<T> std::ops::DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.state.as_mut().expect("a loan has its state until it is dropped")
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if let Some((_, states)) = self.states.lock().as_mut()
            && let Some(slot) = states.get_mut(self.chain)
        {
            *slot = self.state.take();
        }
    }
}
