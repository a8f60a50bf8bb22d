//! Draw one progress bar a chain on the terminal's error stream, or write a line now and then where it is no terminal.

use crate::observer::{Observer, Plan, Progress};
use ergodic_draws::{Outcome, Phase};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two lines where the error stream is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two changes of a bar.
const BAR_INTERVAL: f64 = 0.1;

/// An observer that shows how far each chain is, its step size, divergences, gradients per second and the time left.
///
/// ```no_run
/// use ergodic_model::density;
/// use ergodic_sampler::{Nuts, ProgressBars, Run, Sampler};
/// let normal = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0];
///     -0.5 * x[0] * x[0]
/// });
/// let draws = Sampler::new(&normal, Nuts::default(), Run::default()).observer(&ProgressBars::new()).run()?;
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug)]
pub struct ProgressBars {
    terminal: bool,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    method: &'static str,
    /// Keeps the bars together on the terminal; `None` without one.
    bars: Option<MultiProgress>,
    chains: Vec<Chain>,
    last_line: Option<Instant>,
}

#[derive(Debug)]
struct Chain {
    bar: Option<ProgressBar>,
    text: String,
    /// Seconds of the chain at the last change.
    changed: f64,
    share: f64,
}

impl Default for ProgressBars {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressBars {
    /// Bars on the error stream if it is a terminal, lines otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: Mutex::default() }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        // A panic in another chain leaves at most a stale text behind.
        self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Observer for ProgressBars {
    fn started(&self, plan: &Plan) {
        let mut shown = self.shown();
        shown.method = plan.method;
        shown.bars = self.terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        let template = "{prefix} {bar:24} {pos}/{len} {wide_msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let total = (plan.warmup + plan.draws) as u64;
        let chain = |chain: usize| {
            let bar = shown.bars.as_ref().map(|bars| {
                bars.add(ProgressBar::new(total)).with_style(style.clone()).with_prefix(format!("{} {chain}", plan.method))
            });
            Chain { bar, text: String::new(), changed: f64::NEG_INFINITY, share: 0.0 }
        };
        shown.chains = (0..plan.chains).map(chain).collect();
    }

    fn progress(&self, progress: &Progress) {
        let mut shown = self.shown();
        let Some(chain) = shown.chains.get_mut(progress.chain) else { return };
        let last = progress.iteration == progress.total;
        if progress.seconds - chain.changed < BAR_INTERVAL && !last {
            return;
        }
        chain.changed = progress.seconds;
        chain.share = progress.iteration as f64 / progress.total as f64;
        chain.text = describe(progress);
        if let Some(bar) = &chain.bar {
            bar.set_message(chain.text.clone());
            bar.set_position(progress.iteration as u64);
        }
        if shown.bars.is_none() && shown.last_line.is_none_or(|line| line.elapsed() >= LINE_INTERVAL) {
            shown.last_line = Some(Instant::now());
            write_line(&shown.line());
        }
    }

    fn finished(&self, chain: usize, outcome: &Outcome) {
        let mut shown = self.shown();
        let Some(state) = shown.chains.get_mut(chain) else { return };
        let text = match outcome {
            Outcome::Completed => format!("done, {}", state.text),
            Outcome::Stopped(reason) => format!("stopped: {reason}"),
            Outcome::Failed(reason) => format!("failed: {reason}"),
            other => format!("{other:?}"),
        };
        match &state.bar {
            Some(bar) if outcome.is_completed() => bar.finish_with_message(text),
            Some(bar) => bar.abandon_with_message(text),
            None => write_line(&format!("{} chain {chain} {text}", shown.method)),
        }
    }
}

impl Shown {
    /// One line for all chains: the share of each that is done, and what the slowest says.
    fn line(&self) -> String {
        let shares: Vec<String> = self.chains.iter().map(|chain| format!("{:.0} %", 100.0 * chain.share)).collect();
        let slowest = self.chains.iter().filter(|chain| !chain.text.is_empty());
        let slowest = slowest.min_by(|a, b| a.share.total_cmp(&b.share)).map_or("", |chain| chain.text.as_str());
        format!("{} chains {}: {slowest}", self.method, shares.join(", "))
    }
}

/// A line on the error stream; one that cannot be written is lost to nobody.
fn write_line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn describe(progress: &Progress) -> String {
    let phase = match progress.phase {
        Phase::Warmup => "warm-up",
        Phase::Sampling => "sampling",
    };
    let rate = progress.gradients as f64 / progress.seconds.max(1e-9);
    if progress.iteration == progress.total {
        return format!("{} divergences, {rate:.0} gradients/s, {:.1} s", progress.divergences, progress.seconds);
    }
    let left = progress.seconds / progress.iteration.max(1) as f64 * (progress.total - progress.iteration) as f64;
    format!(
        "{phase}, {} steps of {:.2e}, {} divergences, {rate:.0} gradients/s, {left:.0} s left",
        progress.n_steps, progress.step_size, progress.divergences
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(chain: usize, iteration: usize) -> Progress {
        Progress {
            chain,
            phase: Phase::Sampling,
            iteration,
            total: 100,
            step_size: 0.25,
            n_steps: 7,
            acceptance_rate: 0.8,
            log_density: -1.0,
            divergences: 3,
            gradients: 500,
            seconds: iteration as f64,
        }
    }

    #[test]
    fn a_description_has_what_one_waits_for() {
        let text = describe(&progress(0, 50));
        assert_eq!(text, "sampling, 7 steps of 2.50e-1, 3 divergences, 10 gradients/s, 50 s left");
        assert_eq!(describe(&progress(0, 100)), "3 divergences, 5 gradients/s, 100.0 s");
    }

    #[test]
    fn lines_speak_of_all_chains_and_quote_the_slowest() {
        let observer = ProgressBars { terminal: false, shown: Mutex::default() };
        observer.started(&Plan { method: "nuts", chains: 2, warmup: 50, draws: 50, dim: 1 });
        observer.progress(&progress(0, 80));
        observer.progress(&progress(1, 20));
        observer.progress(&progress(9, 20));
        let line = observer.shown().line();
        assert!(line.starts_with("nuts chains 80 %, 20 %: sampling") && line.ends_with("80 s left"), "{line}");
    }
}
