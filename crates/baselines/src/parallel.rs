//! Run the members of a fit on a thread pool of its own, in an order that does not show.

use crate::FitError;
use rayon::prelude::*;

/// The results of `fit` for members 0, 1, …, in that order, for any number of threads; one thread a core unless given.
///
/// # Errors
/// When the threads cannot be started.
pub(crate) fn run<R: Send>(
    members: usize,
    threads: Option<usize>,
    fit: impl Fn(usize) -> R + Sync + Send,
) -> Result<Vec<R>, FitError> {
    let threads = threads.unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| FitError::Threads { threads, message: error.to_string() })?;
    Ok(pool.install(|| (0..members).into_par_iter().map(fit).collect()))
}
