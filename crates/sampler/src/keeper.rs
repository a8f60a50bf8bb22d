//! Keep a run's checkpoint file up to date while its chains run.

use crate::SettingsError;
use crate::chain::{Chain, Shared};
use crate::checkpoint::{ChainRecord, CheckpointError, CheckpointRef};
use crate::header::Header;
use crate::meeting::Course;
use crate::settings::check;
use ergodic_model::Posterior;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long a chain that is asked for its state may work before it is looked at whether it waits.
const PATIENCE: Duration = Duration::from_millis(2);

/// How often a run writes its checkpoint.
///
/// ```
/// use ergodic_sampler::CheckpointSchedule;
/// let rarely = CheckpointSchedule { seconds: 600.0, ..CheckpointSchedule::default() };
/// assert!(rarely.validate().is_ok() && rarely.largest_share == 0.01);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointSchedule {
    /// Least seconds between two checkpoints; 10, which is then what a killed run repeats where checkpoints are cheap.
    pub seconds: f64,
    /// Largest share of the run's time that checkpoints may take, as measured; 0.01. After one that took longer, the next is later.
    pub largest_share: f64,
}

impl Default for CheckpointSchedule {
    fn default() -> Self {
        Self { seconds: 10.0, largest_share: 0.01 }
    }
}

impl CheckpointSchedule {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check(self.seconds >= 0.0 && self.seconds.is_finite(), "seconds", &self.seconds, "at least 0 and finite")?;
        let share = self.largest_share;
        check(share > 0.0 && share <= 1.0, "largest_share", &share, "above 0 and at most 1")
    }

    /// The wait after a checkpoint that cost so much.
    fn wait(&self, cost: Duration) -> Duration {
        // A cost beyond what can be waited for is as good as forever.
        let wait = (cost.as_secs_f64() * (1.0 / self.largest_share - 1.0)).max(self.seconds);
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }
}

/// Asks the chains of a run for their states now and then, and writes them to a file.
///
/// A round begins when a thread of the keeper's own raises `round`. A chain that runs sees it before its next transition and hands in
/// its state; the state of one that waits is taken by the keeper. No meeting is held in between, so all states belong together.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    schedule: CheckpointSchedule,
    header: Header,
    round: AtomicUsize,
    slots: Mutex<Slots>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slots {
    /// The state of each chain that was last handed in.
    records: Vec<ChainRecord>,
    /// The course at which it was, and the round.
    marks: Vec<(Course, usize)>,
    /// What the chains' states of this round took.
    cost: Duration,
    kept: Kept,
    over: bool,
}

/// What checkpoints took, and whether the last one could be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub checkpoints: usize,
    pub seconds: f64,
    pub problem: Option<String>,
}

impl Keeper {
    /// Writes the state that the run begins with, so that the run can go on from its first moment.
    pub(crate) fn begin(
        path: PathBuf,
        schedule: CheckpointSchedule,
        header: Header,
        course: Course,
        records: &[ChainRecord],
    ) -> Result<Self, CheckpointError> {
        CheckpointRef { header: &header, course, chains: records }.save(&path)?;
        let marks = vec![(course, 0); records.len()];
        let slots = Slots { records: records.to_vec(), marks, cost: Duration::ZERO, kept: Kept::default(), over: false };
        let (slots, changed) = (Mutex::new(slots), Condvar::new());
        Ok(Self { path, schedule, header, round: AtomicUsize::new(0), slots, changed })
    }

    /// The present round; a chain that took no part in it has to.
    pub(crate) fn round(&self) -> usize {
        self.round.load(Ordering::Relaxed)
    }

    /// Takes the state of a chain in the present round; none from a chain that has nothing newer to count on.
    pub(crate) fn hand_in(&self, chain: usize, course: Course, record: Option<ChainRecord>, cost: Duration) {
        let mut slots = self.slots();
        if let Some(record) = record {
            slots.records[chain] = record;
            slots.marks[chain].0 = course;
        }
        slots.marks[chain].1 = self.round();
        slots.cost += cost;
        self.changed.notify_all();
    }

    /// Ends [`keep`](Self::keep) after one last checkpoint.
    pub(crate) fn end(&self) {
        self.slots().over = true;
        self.changed.notify_all();
    }

    /// What checkpoints took.
    pub(crate) fn kept(&self) -> Kept {
        self.slots().kept.clone()
    }

    /// Writes checkpoints until the run ends, on a thread of its own.
    pub(crate) fn keep<'a, P: Posterior + ?Sized, M: crate::Method>(
        &self,
        shared: &Shared<'a, P, M>,
        chains: &[Mutex<Chain<'a, M>>],
        course: &Mutex<Course>,
    ) {
        let mut wait = self.schedule.wait(Duration::ZERO);
        loop {
            let waiting = self.changed.wait_timeout_while(self.slots(), wait, |slots| !slots.over);
            let last = waiting.unwrap_or_else(PoisonError::into_inner).0.over;
            let course = self.collect(shared, chains, course);
            let begin = Instant::now();
            let mut slots = self.slots();
            if slots.marks.iter().all(|mark| mark.0 == course) {
                let saved = CheckpointRef { header: &self.header, course, chains: &slots.records }.save(&self.path);
                slots.kept.checkpoints += usize::from(saved.is_ok());
                slots.kept.problem = saved.err().map(|error| error.to_string());
            } else {
                let path = self.path.display();
                let problem =
                    format!("'{path}' holds an earlier state: a chain whose sink failed has no later one to go on from");
                slots.kept.problem = Some(problem);
            }
            let cost = std::mem::take(&mut slots.cost) + begin.elapsed();
            slots.kept.seconds += cost.as_secs_f64();
            if last {
                return;
            }
            wait = self.schedule.wait(cost);
        }
    }

    /// Gathers the states of all chains at one course of the run.
    fn collect<'a, P: Posterior + ?Sized, M: crate::Method>(
        &self,
        shared: &Shared<'a, P, M>,
        chains: &[Mutex<Chain<'a, M>>],
        course: &Mutex<Course>,
    ) -> Course {
        // Meetings wait for this lock.
        let course = course.lock().unwrap_or_else(PoisonError::into_inner);
        let round = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        for (number, chain) in chains.iter().enumerate() {
            while self.slots().marks[number].1 != round {
                let idle = match chain.try_lock() {
                    Ok(chain) => Some(chain),
                    Err(TryLockError::Poisoned(chain)) => Some(chain.into_inner()),
                    Err(TryLockError::WouldBlock) => None,
                };
                if let Some(mut chain) = idle {
                    // It may have handed in its state before it came to rest.
                    if self.slots().marks[number].1 != round {
                        chain.hand_in_at_rest(shared, self, *course);
                    }
                } else {
                    let slots = self.slots();
                    let asked = |slots: &mut Slots| slots.marks[number].1 != round;
                    drop(self.changed.wait_timeout_while(slots, PATIENCE, asked));
                }
            }
        }
        *course
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_checkpoints_are_rare() {
        let schedule = CheckpointSchedule { seconds: 2.0, largest_share: 0.01 };
        assert_eq!(schedule.wait(Duration::ZERO), Duration::from_secs(2));
        let wait = schedule.wait(Duration::from_secs(1)).as_secs_f64();
        assert!((1.0 / (1.0 + wait) - 0.01).abs() < 1e-12);
        assert_eq!(schedule.wait(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let named = |schedule: CheckpointSchedule| schedule.validate().unwrap_err().setting;
        assert_eq!(named(CheckpointSchedule { seconds: -1.0, ..CheckpointSchedule::default() }), "seconds");
        assert_eq!(named(CheckpointSchedule { largest_share: 0.0, ..CheckpointSchedule::default() }), "largest_share");
    }
}
