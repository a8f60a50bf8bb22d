//! Keep a run's checkpoint file up to date while its chains run.

use crate::SettingsError;
use crate::chain::{Chain, Shared};
use crate::checkpoint::{ChainRecord, CheckpointError};
use crate::checkpoint_file::{Aside, Section, Writer};
use crate::header::Header;
use crate::meeting::Course;
use crate::settings::check;
use ergodic_model::Posterior;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
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

/// Asks the chains of a run for their states now and then, and lets them write these to a file.
///
/// A round begins when a thread of the keeper's own raises `round`. A chain that runs sees it before its next transition and writes
/// its state; that of one that waits is written by the keeper. No meeting is held in between, so all states belong together. States
/// go straight to the file: beside the chains themselves, nothing of their size is in memory.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    schedule: CheckpointSchedule,
    header: Header,
    round: AtomicUsize,
    /// The file of the present round, or why it cannot be written.
    file: Mutex<Option<io::Result<Writer<Aside>>>>,
    slots: Mutex<Slots>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slots {
    /// What the file in place has of each chain.
    placed: Vec<Placed>,
    /// What each chain wrote in the present round, if it had anything new.
    written: Vec<Option<Moment>>,
    /// The last round that each chain took part in.
    rounds: Vec<usize>,
    /// What the chains' states of this round took.
    cost: Duration,
    kept: Kept,
    over: bool,
}

/// How far a chain was when it wrote its state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    pub iteration: usize,
    pub course: Course,
    pub is_going: bool,
}

/// A chain's state in the file.
#[derive(Debug, Clone, Copy)]
struct Placed {
    section: Section,
    course: Course,
    /// Unknown for what the run began with.
    moment: Option<Moment>,
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
        let write = |aside: Aside| {
            let mut writer = Writer::begin(aside, &header, course, records.len())?;
            records.iter().enumerate().try_for_each(|(number, record)| writer.record(number, record))?;
            place(writer)
        };
        let sections = Aside::create(&path).and_then(write);
        let sections = sections.map_err(|source| CheckpointError::Io { action: "write", path: path.clone(), source })?;
        let slots = Slots {
            written: vec![None; records.len()],
            rounds: vec![0; records.len()],
            placed: sections.into_iter().map(|section| Placed { section, course, moment: None }).collect(),
            cost: Duration::ZERO,
            kept: Kept::default(),
            over: false,
        };
        let (round, file) = (AtomicUsize::new(0), Mutex::new(None));
        Ok(Self { path, schedule, header, round, file, slots: Mutex::new(slots), changed: Condvar::new() })
    }

    /// The present round; a chain that took no part in it has to.
    pub(crate) fn round(&self) -> usize {
        self.round.load(Ordering::Relaxed)
    }

    /// Whether the file in place has another state of a chain than that of `moment`.
    pub(crate) fn is_new(&self, chain: usize, moment: Moment) -> bool {
        self.slots().placed[chain].moment != Some(moment)
    }

    /// Lets a chain write its state at `moment` to the file of the present round.
    pub(crate) fn write(&self, chain: usize, moment: Moment, write: impl FnOnce(&mut Writer<Aside>) -> io::Result<()>) {
        let mut file = self.file();
        if let Some(Ok(writer)) = file.as_mut() {
            match writer.section(chain, write) {
                Ok(()) => self.slots().written[chain] = Some(moment),
                // What is in the file by now is of no use, and the round of no effect.
                Err(error) => *file = Some(Err(error)),
            }
        }
    }

    /// Notes that a chain has done its part of the present round, and what that cost.
    pub(crate) fn hand_in(&self, chain: usize, cost: Duration) {
        let mut slots = self.slots();
        slots.rounds[chain] = self.round();
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
            let (course, collecting) = self.collect(shared, chains, course);
            let begin = Instant::now();
            let saved = self.finish(course);
            let mut slots = self.slots();
            slots.kept.checkpoints += usize::from(saved.is_ok());
            slots.kept.problem = saved.err();
            slots.cost += collecting;
            let cost = std::mem::take(&mut slots.cost) + begin.elapsed();
            slots.kept.seconds += cost.as_secs_f64();
            if last {
                return;
            }
            wait = self.schedule.wait(cost);
        }
    }

    /// Puts the file of the round in place, with the states of the chains that had none newer taken over; or says why not.
    fn finish(&self, course: Course) -> Result<(), String> {
        let describe = |source| CheckpointError::Io { action: "write", path: self.path.clone(), source }.to_string();
        let writer = self.file().take().unwrap_or_else(|| Err(io::Error::other("no file was begun")));
        let mut writer = writer.map_err(describe)?;
        let mut slots = self.slots();
        let Slots { placed, written, .. } = &mut *slots;
        let mut earlier = None;
        for (number, placed) in placed.iter().enumerate().filter(|(number, _)| !writer.has(*number)).collect::<Vec<_>>() {
            if placed.course != course {
                let path = self.path.display();
                return Err(format!(
                    "'{path}' holds an earlier state: a chain whose sink failed has no later one to go on from"
                ));
            }
            let file = match &mut earlier {
                Some(file) => file,
                None => earlier.insert(File::open(&self.path).map_err(describe)?),
            };
            writer.copy(number, file, placed.section).map_err(describe)?;
        }
        let sections = place(writer).map_err(describe)?;
        for ((placed, written), section) in placed.iter_mut().zip(written).zip(sections) {
            placed.section = section;
            if let Some(moment) = written.take() {
                (placed.course, placed.moment) = (moment.course, Some(moment));
            }
        }
        Ok(())
    }

    /// Gathers the states of all chains at one course of the run; what beginning the file took.
    fn collect<'a, P: Posterior + ?Sized, M: crate::Method>(
        &self,
        shared: &Shared<'a, P, M>,
        chains: &[Mutex<Chain<'a, M>>],
        course: &Mutex<Course>,
    ) -> (Course, Duration) {
        // Meetings wait for this lock.
        let course = course.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Instant::now();
        let writer = Aside::create(&self.path);
        *self.file() = Some(writer.and_then(|aside| Writer::begin(aside, &self.header, *course, chains.len())));
        self.slots().written.fill(None);
        let beginning = begin.elapsed();
        let round = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        for (number, chain) in chains.iter().enumerate() {
            while self.slots().rounds[number] != round {
                let idle = match chain.try_lock() {
                    Ok(chain) => Some(chain),
                    Err(TryLockError::Poisoned(chain)) => Some(chain.into_inner()),
                    Err(TryLockError::WouldBlock) => None,
                };
                if let Some(mut chain) = idle {
                    // It may have handed in its state before it came to rest.
                    if self.slots().rounds[number] != round {
                        chain.hand_in_at_rest(shared, self, *course);
                    }
                } else {
                    let slots = self.slots();
                    let asked = |slots: &mut Slots| slots.rounds[number] != round;
                    drop(self.changed.wait_timeout_while(slots, PATIENCE, asked));
                }
            }
        }
        (*course, beginning)
    }

    fn file(&self) -> MutexGuard<'_, Option<io::Result<Writer<Aside>>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a file and puts it in its place; where its sections are.
fn place(writer: Writer<Aside>) -> io::Result<Vec<Section>> {
    let (aside, sections) = writer.finish()?;
    aside.place()?;
    Ok(sections)
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
