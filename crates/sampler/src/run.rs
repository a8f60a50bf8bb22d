//! Hold what a run is asked for: chains, lengths, seed, threads and budgets.

use crate::SettingsError;
use crate::settings::{check, positive};
use serde::{Deserialize, Serialize};

/// How many chains, how long, from which seed, within which limits.
///
/// ```
/// use ergodic_sampler::Run;
/// let run = Run { chains: 8, seed: 42, ..Run::default() };
/// assert_eq!((run.warmup, run.draws), (1000, 1000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Number of chains; 4, fewer than which R-hat says little.
    pub chains: usize,
    /// Warm-up iterations of a chain; 1000, Stan's.
    pub warmup: usize,
    /// Warm-up iterations that may be added where adaptation asks for them; 0, so that a run costs what it was asked for.
    /// Only methods whose chains meet ([`Adaptation::meetings`](crate::Adaptation::meetings)) ask for more, and the report says so.
    pub max_extra_warmup: usize,
    /// Draws of a chain after warm-up, counted from the chain's beginning when a run is resumed; 1000, Stan's.
    pub draws: usize,
    /// Seed of all random streams; every chain and purpose has a stream of its own.
    pub seed: u64,
    /// Threads that chains run on, by default as many as there are processors. Chains come first; threads without a chain share the rows
    /// of gradients that are large enough. Draws do not depend on it.
    pub threads: Option<usize>,
    /// Limits on cost; a chain that reaches one stops, and its draws are kept.
    pub budget: Budget,
    /// Whether the statistics of warm-up are kept in memory, for looking at the tuning.
    pub keep_warmup_statistics: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Limits on the cost of a run, none by default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Gradient evaluations after which a chain stops, warm-up included; the transition that reaches it is finished. Runs with this
    /// limit are reproducible.
    pub gradients_per_chain: Option<u64>,
    /// Seconds of wall time after which all chains stop; how far they come depends on the machine.
    pub seconds: Option<f64>,
}

impl Run {
    /// What a run is where nothing else is said, for constants; as [`Run::default`].
    pub const DEFAULT: Self = Self {
        chains: 4,
        warmup: 1000,
        max_extra_warmup: 0,
        draws: 1000,
        seed: 1,
        threads: None,
        budget: Budget { gradients_per_chain: None, seconds: None },
        keep_warmup_statistics: false,
    };

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check(self.chains >= 1, "chains", &self.chains, "at least 1")?;
        let longest = self.warmup.checked_add(self.max_extra_warmup);
        let countable = longest.and_then(|warmup| warmup.checked_add(self.draws)).is_some();
        check(self.draws >= 1 && countable, "draws", &self.draws, "at least 1, and countable together with warm-up")?;
        check(self.threads != Some(0), "threads", &self.threads, "at least 1")?;
        let gradients = self.budget.gradients_per_chain;
        check(gradients != Some(0), "budget.gradients_per_chain", &gradients, "at least 1")?;
        self.budget.seconds.map_or(Ok(()), |seconds| positive("budget.seconds", seconds))
    }

    /// The number of threads to start.
    pub(crate) fn num_threads(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(processors).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let named = |run: Run| run.validate().unwrap_err().setting;
        assert!(Run::default().validate().is_ok());
        assert_eq!(named(Run { chains: 0, ..Run::default() }), "chains");
        assert_eq!(named(Run { draws: 0, ..Run::default() }), "draws");
        assert_eq!(named(Run { draws: usize::MAX, ..Run::default() }), "draws");
        assert_eq!(named(Run { threads: Some(0), ..Run::default() }), "threads");
        let seconds = |seconds| Run { budget: Budget { seconds: Some(seconds), ..Budget::default() }, ..Run::default() };
        assert_eq!(named(seconds(f64::NAN)), "budget.seconds");
        assert_eq!(named(seconds(0.0)), "budget.seconds");
        let gradients_per_chain = Some(0);
        let run = Run { budget: Budget { gradients_per_chain, seconds: None }, ..Run::default() };
        assert_eq!(named(run), "budget.gradients_per_chain");
    }
}
