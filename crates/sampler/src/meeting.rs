//! Let the chains of a run meet during warm-up, so that what one learns serves all.

use crate::Kernel;
use ergodic_model::{ChainRng, Purpose, stream};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroUsize;

/// After which warm-up iterations all chains meet; counts of iterations done, 0 for a meeting after
/// [`Adaptation::init`](crate::Adaptation::init).
///
/// ```
/// use ergodic_sampler::Meetings;
/// assert_eq!(Meetings::EVERY_ITERATION.after(Some(4), 10), Some(5));
/// assert_eq!(Meetings::Every(4.try_into()?).after(Some(8), 10), Some(10));
/// assert_eq!(Meetings::At(vec![0, 5]).after(Some(5), 10), None);
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Meetings {
    /// Chains go their own ways.
    #[default]
    Never,
    /// Before the first iteration, after every n-th, and after the last.
    Every(NonZeroUsize),
    /// After these counts of iterations, in any order; what lies beyond warm-up is left out.
    At(Vec<usize>),
}

impl Meetings {
    /// Before the first iteration and after each.
    pub const EVERY_ITERATION: Self = Self::Every(NonZeroUsize::MIN);

    /// The first meeting after the one at `held`, or the first of all, in a warm-up of `warmup` iterations.
    #[must_use]
    pub fn after(&self, held: Option<usize>, warmup: usize) -> Option<usize> {
        let next = match self {
            Self::Never => None,
            Self::Every(every) => match held {
                None => Some(0),
                Some(held) if held < warmup => Some((held / *every + 1).saturating_mul(every.get()).min(warmup)),
                Some(_) => None,
            },
            Self::At(counts) => counts.iter().copied().filter(|&count| held.is_none_or(|held| count > held)).min(),
        };
        next.filter(|&count| count <= warmup)
    }
}

/// One chain at a meeting: what an adaptation may read and change.
///
/// Chains are moved and tuned here at the price of a copy; a change of the position must come with that of the log density and
/// gradient, such as by cloning another chain's state.
#[derive(Debug)]
pub struct Member<'a, K: Kernel, A> {
    /// Number of the chain, from 0; chains that failed are missing, so numbers need not be consecutive.
    pub chain: usize,
    /// The chain's kernel.
    pub kernel: &'a mut K,
    /// The chain's adaptation.
    pub adaptation: &'a mut A,
    /// The chain's state, which is recorded already.
    pub state: &'a mut K::State,
}

/// Why a meeting asks for a longer warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExtensionReason {
    /// Chains are still on their way to the posterior.
    BurningIn,
    /// The step size was changed at the end, and the new one has to be judged.
    StepSizeChanged,
}

/// The reasons for which warm-up was extended, or should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Reasons {
    burning_in: bool,
    step_size_changed: bool,
}

impl Reasons {
    fn add(&mut self, reason: ExtensionReason) {
        match reason {
            ExtensionReason::BurningIn => self.burning_in = true,
            ExtensionReason::StepSizeChanged => self.step_size_changed = true,
        }
    }

    /// These and those of another meeting.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            burning_in: self.burning_in || other.burning_in,
            step_size_changed: self.step_size_changed || other.step_size_changed,
        }
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let burning_in = self.burning_in.then_some("chains were still burning in");
        let changed = self.step_size_changed.then_some("its check had made the step size smaller, and judges the new one too");
        let reasons: Vec<&str> = burning_in.into_iter().chain(changed).collect();
        f.write_str(&reasons.join("; "))
    }
}

/// When a meeting takes place, and what it may draw and ask for.
#[derive(Debug)]
pub struct Meeting {
    iteration: usize,
    warmup: usize,
    extra_left: usize,
    /// Iterations that were asked for in vain.
    pub(crate) refused: usize,
    pub(crate) reasons: Reasons,
    rng: ChainRng,
}

impl Meeting {
    /// A meeting after `iteration` of `warmup` iterations that may add `extra_left` more.
    ///
    /// The driver makes the meetings of a run; this is for tests of adaptations.
    ///
    /// ```
    /// let mut meeting = ergodic_sampler::Meeting::new(7, 100, 100, 50);
    /// let mut ask = || meeting.extend_warmup(30, ergodic_sampler::ExtensionReason::BurningIn);
    /// assert_eq!((ask(), ask()), (30, 20));
    /// assert_eq!(meeting.warmup(), 150);
    /// ```
    #[must_use]
    pub fn new(seed: u64, iteration: usize, warmup: usize, extra_left: usize) -> Self {
        Self { iteration, warmup, extra_left, refused: 0, reasons: Reasons::default(), rng: meeting_stream(seed, iteration) }
    }

    /// Warm-up iterations that each chain has done.
    #[must_use]
    pub fn iteration(&self) -> usize {
        self.iteration
    }

    /// Warm-up iterations that are planned, those granted so far included.
    #[must_use]
    pub fn warmup(&self) -> usize {
        self.warmup
    }

    /// The random stream of this meeting, which depends on the seed and the iteration alone: for numbers that all chains share.
    pub fn rng(&mut self) -> &mut ChainRng {
        &mut self.rng
    }

    /// Asks for `iterations` more of warm-up; how many of them are granted.
    ///
    /// [`Run::max_extra_warmup`](crate::Run) limits what is granted in a run. The report says how many were, whether it was less
    /// than was asked for, and why. Meetings go on in the longer warm-up, as [`Adaptation::meetings`](crate::Adaptation::meetings) says of it.
    pub fn extend_warmup(&mut self, iterations: usize, reason: ExtensionReason) -> usize {
        let granted = iterations.min(self.extra_left);
        if iterations > 0 {
            self.reasons.add(reason);
        }
        self.extra_left -= granted;
        self.warmup += granted;
        self.refused += iterations - granted;
        granted
    }
}

/// The stream of the meeting after `iteration`: 2²⁴ words of the kernels' stream of a chain number that no run has.
fn meeting_stream(seed: u64, iteration: usize) -> ChainRng {
    const EVERYONE: usize = u32::MAX as usize - 1;
    let mut rng = stream(seed, EVERYONE, Purpose::Kernel);
    rng.set_word_pos((iteration as u128) << 24);
    rng
}

/// How far the shared part of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Warm-up iterations, those granted at meetings included.
    pub warmup: usize,
    /// When the last meeting was held.
    pub held: Option<usize>,
    /// Most iterations that a meeting asked for in vain.
    pub refused: usize,
    /// Why any were asked for.
    pub reasons: Reasons,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn all(meetings: &Meetings, warmup: usize) -> Vec<usize> {
        std::iter::successors(meetings.after(None, warmup), |held| meetings.after(Some(*held), warmup)).collect()
    }

    #[test]
    fn meetings_are_those_of_the_plan_and_end_with_warm_up() {
        let every = |n: usize| Meetings::Every(n.try_into().unwrap());
        assert!(all(&Meetings::Never, 10).is_empty());
        assert_eq!(all(&every(1), 3), [0, 1, 2, 3]);
        assert_eq!(all(&every(4), 10), [0, 4, 8, 10]);
        assert_eq!(all(&every(5), 10), [0, 5, 10]);
        assert_eq!(all(&every(usize::MAX), 10), [0, 10]);
        assert_eq!(all(&every(3), 0), [0]);
        assert_eq!(all(&Meetings::At(vec![7, 3, 3, 11]), 10), [3, 7]);
        // A warm-up that grew at its last meeting goes on meeting.
        assert_eq!(every(4).after(Some(10), 17), Some(12));
        assert_eq!(Meetings::At(vec![10, 15]).after(Some(10), 17), Some(15));
    }

    #[test]
    fn meetings_have_random_numbers_of_their_own() {
        let first = |seed, iteration| -> u64 { Meeting::new(seed, iteration, 9, 0).rng().random() };
        assert_eq!(first(1, 4), first(1, 4));
        assert!(first(1, 4) != first(1, 5) && first(1, 4) != first(2, 4));
        assert_ne!(first(1, 0), stream(1, 0, Purpose::Kernel).random::<u64>());
    }

    #[test]
    fn no_more_iterations_are_granted_than_the_run_allows() {
        let mut meeting = Meeting::new(1, 100, 100, 50);
        assert_eq!(meeting.extend_warmup(0, ExtensionReason::BurningIn), 0);
        assert_eq!(meeting.reasons, Reasons::default());
        let mut ask = |iterations| meeting.extend_warmup(iterations, ExtensionReason::StepSizeChanged);
        assert_eq!((ask(20), ask(100), meeting.refused), (20, 30, 70));
        assert!(meeting.reasons.to_string().contains("step size") && !meeting.reasons.to_string().contains("burning"));
        assert_eq!((meeting.warmup(), meeting.iteration()), (150, 100));
    }
}
