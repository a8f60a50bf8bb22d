//! Read a sampler's own statistics: divergences, saturated trees, energies, acceptance and step sizes, chain by chain.

use crate::table::{Cell, Table};
use crate::{Diagnostic, Provenance, Status, ebfmi};
use ergodic_draws::Draws;
use serde::Serialize;
use std::fmt;

/// What the statistics of one chain say; what the method does not report is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainHealth {
    /// Number of the chain.
    pub chain: usize,
    /// Kept draws.
    pub draws: usize,
    /// Draws whose trajectory diverged, from `diverging`.
    pub divergences: Option<usize>,
    /// Draws whose tree reached its largest depth, from `reached_max_treedepth`.
    pub saturated_trees: Option<usize>,
    /// E-BFMI of `energy`, see [`ebfmi`](crate::ebfmi()).
    pub ebfmi: Option<Diagnostic>,
    /// Mean of `acceptance_rate` over the draws where it is defined.
    pub acceptance_rate: Option<f64>,
    /// Mean of `step_size`.
    pub step_size: Option<f64>,
    /// Mean of `n_steps`: leapfrog steps per draw.
    pub steps_per_draw: Option<f64>,
    /// Gradient evaluations, warm-up included, from the run's report.
    pub gradients: Option<u64>,
    /// Wall time in seconds, warm-up included, from the run's report.
    pub seconds: Option<f64>,
}

/// What [`sampler_health`] finds; `Display` writes one row a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplerHealth {
    /// Where the draws come from.
    pub provenance: Provenance,
    /// One entry a chain.
    pub chains: Vec<ChainHealth>,
}

/// Collects what the sampler reports about its own work, under ArviZ's names.
///
/// ```
/// use ergodic_draws::{ChainDraws, Draws, Field, Layout, Origin, RunReport, Statistics};
/// let mut chain = ChainDraws::from_positions(1, vec![0.0, 1.0]);
/// chain.statistics = Statistics::new(vec![(&Field::flag("diverging")).into()]);
/// chain.statistics.push(&[0.0]);
/// chain.statistics.push(&[1.0]);
/// let draws = Draws::new(Layout::flat(1), Origin::Mcmc, vec![chain], RunReport::new("hmc", 1));
/// assert_eq!(ergodic_diagnostics::sampler_health(&draws).divergences(), Some(1));
/// ```
#[must_use]
pub fn sampler_health(draws: &Draws) -> SamplerHealth {
    let chains = draws.chains().iter().enumerate().map(|(chain, values)| {
        let column = |name| values.statistics.column(name).filter(|column| !column.is_empty());
        let count = |name| column(name).map(|column| column.iter().filter(|&&x| x != 0.0).count());
        let mean = |name| column(name).and_then(|column| finite_mean(&column));
        let report = draws.report.chains.get(chain);
        ChainHealth {
            chain,
            draws: values.len(),
            divergences: count("diverging"),
            saturated_trees: count("reached_max_treedepth"),
            ebfmi: column("energy").map(|energies| ebfmi(&energies)),
            acceptance_rate: mean("acceptance_rate"),
            step_size: mean("step_size"),
            steps_per_draw: mean("n_steps"),
            gradients: report.map(|r| r.warmup_gradients + r.sampling_gradients),
            seconds: report.map(|r| r.warmup_seconds + r.sampling_seconds),
        }
    });
    SamplerHealth { provenance: Provenance::of(draws), chains: chains.collect() }
}

/// Mean of the finite values.
fn finite_mean(values: &[f64]) -> Option<f64> {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
}

impl SamplerHealth {
    /// Kept draws of all chains.
    #[must_use]
    pub fn draws(&self) -> usize {
        self.chains.iter().map(|chain| chain.draws).sum()
    }

    /// Divergences of all chains, where any chain reports them.
    #[must_use]
    pub fn divergences(&self) -> Option<usize> {
        self.chains.iter().filter_map(|chain| chain.divergences).reduce(|a, b| a + b)
    }

    /// Saturated trees of all chains, where any chain reports them.
    #[must_use]
    pub fn saturated_trees(&self) -> Option<usize> {
        self.chains.iter().filter_map(|chain| chain.saturated_trees).reduce(|a, b| a + b)
    }

    /// One row a chain; what is not reported is blank.
    #[must_use]
    pub fn table(&self) -> Table {
        let columns = [
            "chain",
            "draws",
            "divergences",
            "saturated trees",
            "E-BFMI",
            "acceptance",
            "step size",
            "steps per draw",
            "gradients",
            "seconds",
        ];
        let mut table = Table::new("Sampler", &columns).with_caveat(self.provenance.caveat.clone());
        let count = |value: Option<usize>| value.map_or(Cell::fixed(f64::NAN, 0), |v| Cell::Count(v as u64));
        let number = |value: Option<f64>| Cell::Significant(value.unwrap_or(f64::NAN));
        for chain in &self.chains {
            table.push(vec![
                Cell::Count(chain.chain as u64),
                Cell::Count(chain.draws as u64),
                count(chain.divergences),
                count(chain.saturated_trees),
                number(chain.ebfmi.map(|d| d.value)),
                number(chain.acceptance_rate),
                number(chain.step_size),
                number(chain.steps_per_draw),
                chain.gradients.map_or(Cell::fixed(f64::NAN, 0), Cell::Count),
                number(chain.seconds),
            ]);
            let undefined = chain.ebfmi.map(|d| d.status).filter(|status| *status != Status::Ok);
            table.notes.extend(undefined.map(|status| format!("chain {}: no E-BFMI, {status}", chain.chain)));
        }
        table.notes.extend(self.provenance.notes.iter().map(|note| format!("! {note}")));
        table
    }
}

impl fmt::Display for SamplerHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table())
    }
}
