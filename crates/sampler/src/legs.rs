//! Run all chains from meeting to meeting, in parallel between them.

use crate::chain::{Chain, Leg, Shared, panic_message};
use crate::meeting::Course;
use crate::{Adaptation, Meeting, Meetings, Method};
use ergodic_draws::Outcome;
use ergodic_model::Posterior;
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pieces of work a thread in a leg: more even out chains of different cost, fewer cost less to hand out.
const PIECES: usize = 8;

/// Runs `chains` to their ends, in parallel on the present pool where there is one.
///
/// A chain that failed is at no later meeting. When one stopped before a meeting, it is not held, and the others stop there too: so a
/// run that goes on later is the same as one that never stopped.
pub(crate) fn run_in_legs<'a, P: Posterior + ?Sized, M: Method>(
    shared: &Shared<'a, P, M>,
    chains: &[Mutex<Chain<'a, M>>],
    course: &Mutex<Course>,
    in_parallel: bool,
) {
    let mut meetings = planned(shared, lock(course).warmup);
    loop {
        let present = *lock(course);
        let meeting = meetings.after(present.held, present.warmup);
        let until = meeting.unwrap_or(present.warmup + shared.run.draws);
        let leg = Leg { until, course: present, last: meeting.is_none() };
        if in_parallel {
            let piece = (chains.len() / (PIECES * rayon::current_num_threads())).max(1);
            let pieces = chains.par_iter().with_min_len(piece).with_max_len(piece);
            pieces.for_each(|chain| lock(chain).run(shared, leg));
        } else {
            chains.iter().for_each(|chain| lock(chain).run(shared, leg));
        }
        let Some(iteration) = meeting else { return };
        // A checkpoint is of one course: it is taken before the meeting or after it.
        let mut course = lock(course);
        let mut chains: Vec<_> = chains.iter().map(lock).collect();
        if let Some(absent) = chains.iter().position(|chain| chain.is_halted()) {
            let reason = format!("chain {absent} stopped before the meeting of all chains after iteration {iteration}");
            let others = chains.iter_mut().filter(|chain| chain.is_going());
            others.for_each(|chain| chain.end(shared, Outcome::Stopped(reason.clone()), true));
        }
        if !chains.iter().any(|chain| chain.is_going()) {
            return;
        }
        hold(shared, &mut chains, &mut course, iteration);
        if course.warmup != present.warmup {
            meetings = planned(shared, course.warmup);
        }
    }
}

/// When chains meet in a warm-up of `warmup` iterations.
fn planned<P: Posterior + ?Sized, M: Method>(shared: &Shared<'_, P, M>, warmup: usize) -> Meetings {
    Adaptation::<M::Kernel>::meetings(&shared.build().1, warmup)
}

/// Holds the meeting after `iteration`.
fn hold<'a, P: Posterior + ?Sized, M: Method>(
    shared: &Shared<'a, P, M>,
    chains: &mut [MutexGuard<'_, Chain<'a, M>>],
    course: &mut Course,
    iteration: usize,
) {
    let granted = course.warmup - shared.run.warmup;
    let extra_left = shared.run.max_extra_warmup.saturating_sub(granted);
    let mut meeting = Meeting::new(shared.run.seed, iteration, course.warmup, extra_left);
    let mut members: Vec<_> = chains.iter_mut().filter_map(|chain| chain.member()).collect();
    let held = catch_unwind(AssertUnwindSafe(|| M::Adaptation::meet(&mut meeting, &mut members)));
    drop(members);
    if let Err(panic) = held {
        let reason = format!("the meeting after iteration {iteration} panicked: {}", panic_message(panic.as_ref()));
        let going = chains.iter_mut().filter(|chain| chain.is_going());
        going.for_each(|chain| chain.end(shared, Outcome::Failed(reason.clone()), false));
    }
    *course = Course {
        warmup: meeting.warmup(),
        held: Some(iteration),
        refused: course.refused.max(meeting.refused),
        reasons: course.reasons.and(meeting.reasons),
    };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
