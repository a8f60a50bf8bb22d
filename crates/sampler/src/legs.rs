//! Run all chains from meeting to meeting, in parallel between them.

use crate::chain::{Chain, Leg, Shared, panic_message};
use crate::meeting::Course;
use crate::{Adaptation, Meeting, Meetings, Method};
use ergodic_draws::Outcome;
use ergodic_model::Posterior;
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Pieces of work a thread in a leg: more even out chains of different cost, fewer cost less to hand out.
const PIECES: usize = 8;

/// Runs `chains` to their ends, in parallel on the present pool where there is one.
///
/// A chain that failed is at no later meeting. When one stopped before a meeting, it is not held, and the others stop there too: so a
/// run that goes on later is the same as one that never stopped.
pub(crate) fn run_in_legs<'a, P: Posterior + ?Sized, M: Method>(
    shared: &Shared<'a, P, M>,
    chains: &mut [Chain<'a, M>],
    course: &mut Course,
    in_parallel: bool,
) {
    let mut meetings = planned(shared, course.warmup);
    loop {
        let meeting = meetings.after(course.held, course.warmup);
        let until = meeting.unwrap_or(course.warmup + shared.run.draws);
        let leg = Leg { until, warmup: course.warmup, last: meeting.is_none() };
        if in_parallel {
            let piece = (chains.len() / (PIECES * rayon::current_num_threads())).max(1);
            let pieces = chains.par_iter_mut().with_min_len(piece).with_max_len(piece);
            pieces.for_each(|chain| chain.run(shared, leg));
        } else {
            chains.iter_mut().for_each(|chain| chain.run(shared, leg));
        }
        let Some(iteration) = meeting else { return };
        if let Some(absent) = chains.iter().position(Chain::is_halted) {
            let reason = format!("chain {absent} stopped before the meeting of all chains after iteration {iteration}");
            let others = chains.iter_mut().filter(|chain| chain.is_going());
            others.for_each(|chain| chain.end(shared, Outcome::Stopped(reason.clone()), true));
        }
        if !chains.iter().any(Chain::is_going) {
            return;
        }
        let before = course.warmup;
        hold(shared, chains, course, iteration);
        if course.warmup != before {
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
    chains: &mut [Chain<'a, M>],
    course: &mut Course,
    iteration: usize,
) {
    let granted = course.warmup - shared.run.warmup;
    let extra_left = shared.run.max_extra_warmup.saturating_sub(granted);
    let mut meeting = Meeting::new(shared.run.seed, iteration, course.warmup, extra_left);
    let mut members: Vec<_> = chains.iter_mut().filter_map(Chain::member).collect();
    let held = catch_unwind(AssertUnwindSafe(|| M::Adaptation::meet(&mut meeting, &mut members)));
    drop(members);
    if let Err(panic) = held {
        let reason = format!("the meeting after iteration {iteration} panicked: {}", panic_message(panic.as_ref()));
        let going = chains.iter_mut().filter(|chain| chain.is_going());
        going.for_each(|chain| chain.end(shared, Outcome::Failed(reason.clone()), false));
    }
    *course = Course { warmup: meeting.warmup(), held: Some(iteration), refused: course.refused.max(meeting.refused) };
}
