//! Let the chains of a run meet during warm-up, so that what one learns serves all.

use crate::Kernel;
use ergodic_model::{ChainRng, Purpose, stream};
use serde::{Deserialize, Serialize};
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

/// When a meeting takes place, and what it may draw and ask for.
#[derive(Debug)]
pub struct Meeting {
    iteration: usize,
    warmup: usize,
    extra_left: usize,
    /// Iterations that were asked for in vain.
    pub(crate) refused: usize,
    rng: ChainRng,
}

impl Meeting {
    /// A meeting after `iteration` of `warmup` iterations that may add `extra_left` more.
    ///
    /// The driver makes the meetings of a run; this is for tests of adaptations.
    ///
    /// ```
    /// let mut meeting = ergodic_sampler::Meeting::new(7, 100, 100, 50);
    /// assert_eq!((meeting.extend_warmup(30), meeting.extend_warmup(30)), (30, 20));
    /// assert_eq!(meeting.warmup(), 150);
    /// ```
    #[must_use]
    pub fn new(seed: u64, iteration: usize, warmup: usize, extra_left: usize) -> Self {
        Self { iteration, warmup, extra_left, refused: 0, rng: meeting_stream(seed, iteration) }
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

    /// Asks for `iterations` more of warm-up, for a chain that still burns in; how many of them are granted.
    ///
    /// [`Run::max_extra_warmup`](crate::Run) limits what is granted in a run. The report says how many were, and whether it was less
    /// than was asked for. Meetings go on in the longer warm-up, as [`Adaptation::meetings`](crate::Adaptation::meetings) says of it.
    pub fn extend_warmup(&mut self, iterations: usize) -> usize {
        let granted = iterations.min(self.extra_left);
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
        assert_eq!((meeting.extend_warmup(20), meeting.extend_warmup(100), meeting.refused), (20, 30, 70));
        assert_eq!((meeting.warmup(), meeting.iteration()), (150, 100));
    }
}
