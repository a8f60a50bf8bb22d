//! Say what the user of a finished run should know.

use crate::chain::Ended;
use crate::meeting::Course;
use ergodic_draws::Outcome;

/// Share of transitions above which a limit of the method's own is worth a warning.
const SATURATED_SHARE: f64 = 0.01;

/// Warnings of a warm-up that was too short, of chains that ended early, of their kernels, of divergences after warm-up, and of transitions that met a limit.
pub(crate) fn of_run(ended: &[Ended], planned: usize, course: &Course) -> Vec<String> {
    let mut warnings = Vec::new();
    let warmup = course.warmup;
    if warmup > planned {
        warnings.push(format!("warm-up was extended from {planned} to {warmup} iterations: {}", course.reasons));
    }
    if course.refused > 0 {
        warnings.push(format!(
            "warm-up asked for {} iterations more than it got: {}; raise warmup or max_extra_warmup",
            course.refused, course.reasons
        ));
    }
    for (chain, end) in ended.iter().enumerate() {
        let draws = end.counters.iteration.saturating_sub(warmup);
        match &end.report.outcome {
            Outcome::Completed => {}
            Outcome::Stopped(reason) => warnings.push(format!("chain {chain} stopped after {draws} draws: {reason}")),
            Outcome::Failed(reason) => warnings.push(format!("chain {chain} failed after {draws} draws: {reason}")),
            other => warnings.push(format!("chain {chain} ended after {draws} draws: {other:?}")),
        }
        warnings.extend(end.warning.iter().map(|warning| format!("chain {chain}: {warning}")));
    }
    let total: usize = ended.iter().map(|end| end.counters.iteration.saturating_sub(warmup)).sum();
    let divergences: usize = ended.iter().map(|end| end.counters.sampling_divergences).sum();
    if divergences > 0 {
        let share = 100.0 * divergences as f64 / total.max(1) as f64;
        warnings.push(format!(
            "{divergences} of {total} transitions after warm-up diverged ({share:.2} %): parts of the posterior may be out of reach; \
             raise target_acceptance or reparameterise"
        ));
    }
    let saturated: usize = ended.iter().map(|end| end.counters.saturated).sum();
    if saturated as f64 > SATURATED_SHARE * total as f64 {
        let share = 100.0 * saturated as f64 / total.max(1) as f64;
        warnings.push(format!(
            "{saturated} of {total} trajectories after warm-up were cut by their limit of length ({share:.0} %): draws are valid but \
             explore slowly; raise the limit, or warm up longer"
        ));
    }
    warnings
}
