//! State what a checkpoint belongs to, and refuse it for another model or other settings.

use crate::{Method, Run, RunError};
use ergodic_draws::Layout;
use ergodic_model::{LogDensity, Posterior, Purpose, stream};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Relative difference of densities that other processors and instruction sets explain, also with gradients in single precision.
const SAME: f64 = 1e-6;

/// What must agree between a checkpoint and the run that goes on from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub method: String,
    /// Settings of the method, as JSON.
    pub settings: String,
    pub dim: usize,
    /// The blocks of the layout, each as JSON.
    pub layout: Vec<String>,
    /// Temperatures of the density, in words.
    pub temperatures: String,
    pub chains: usize,
    pub warmup: usize,
    pub max_extra_warmup: usize,
    pub seed: u64,
    /// The density at a position that every run with this layout tries; none where it cannot be evaluated.
    pub probe: Option<Probe>,
}

/// A density seen at one position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    log_density: f64,
    /// The gradient's norm.
    norm: f64,
    /// The gradient along one direction.
    slope: f64,
}

impl Header {
    /// What a run of `method` is; with a probe of the density, which costs one gradient, where `probed`.
    pub(crate) fn new<P: Posterior + ?Sized, M: Method>(
        posterior: &P,
        layout: &Layout,
        method: &M,
        run: &Run,
        probed: bool,
    ) -> Result<Self, RunError> {
        let unwritten = |error: serde_json::Error| RunError::Checkpoint {
            difference: format!("the settings of the method or the layout cannot be written: {error}"),
        };
        let settings = serde_json::to_string(method).map_err(unwritten)?;
        let blocks = layout.blocks().iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(unwritten)?;
        let Run { chains, warmup, max_extra_warmup, seed, .. } = *run;
        Ok(Self {
            method: M::NAME.to_owned(),
            settings,
            dim: layout.dim(),
            layout: blocks,
            temperatures: posterior.temperatures().to_string(),
            chains,
            warmup,
            max_extra_warmup,
            seed,
            probe: if probed { Probe::of(posterior, layout.dim()) } else { None },
        })
    }

    /// Refuses a checkpoint of another run, naming the first difference.
    pub(crate) fn check(&self, stored: &Self) -> Result<(), RunError> {
        compare("method", &stored.method, &self.method)?;
        compare("number of coordinates", &stored.dim, &self.dim)?;
        // A seed may choose the training rows, and with them the layout.
        compare("seed", &stored.seed, &self.seed)?;
        compare("number of blocks of coordinates", &stored.layout.len(), &self.layout.len())?;
        for (stored, asked) in stored.layout.iter().zip(&self.layout) {
            compare("block of coordinates", stored, asked)?;
        }
        compare("density", &stored.temperatures, &self.temperatures)?;
        compare("number of chains", &stored.chains, &self.chains)?;
        compare("number of warm-up iterations", &stored.warmup, &self.warmup)?;
        compare("limit of extra warm-up iterations", &stored.max_extra_warmup, &self.max_extra_warmup)?;
        compare("method's settings", &stored.settings, &self.settings)?;
        match (stored.probe, self.probe) {
            (Some(stored), Some(asked)) => asked.check(&stored),
            _ => Ok(()),
        }
    }
}

/// Names two things that should be the same and are not.
fn compare<T: PartialEq + Display>(what: &str, stored: &T, asked: &T) -> Result<(), RunError> {
    if stored == asked {
        return Ok(());
    }
    Err(RunError::Checkpoint { difference: format!("its {what} is {stored}, and the run's is {asked}") })
}

impl Probe {
    /// Looks at the density at a position within half a prior's scale of zero.
    fn of<P: Posterior + ?Sized>(posterior: &P, dim: usize) -> Option<Self> {
        let mut rng = stream(0, 0, Purpose::Initialise);
        let mut position = vec![1.0; dim];
        posterior.prior_scales(&mut position);
        position.iter_mut().for_each(|x| *x *= rng.random_range(-0.5..0.5));
        let mut gradient = vec![0.0; dim];
        // A model that fails here will say so to its chains.
        let evaluated =
            catch_unwind(AssertUnwindSafe(|| posterior.evaluator().log_density_and_gradient(&position, &mut gradient)));
        let log_density = evaluated.ok()?.ok()?;
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let slope = gradient.iter().map(|g| g * rng.random_range(-1.0..1.0)).sum();
        Some(Self { log_density, norm, slope })
    }

    fn check(&self, stored: &Self) -> Result<(), RunError> {
        let same = |stored: f64, asked: f64, scale: f64| {
            stored.to_bits() == asked.to_bits()
                || !stored.is_finite() && !asked.is_finite()
                || (stored - asked).abs() <= SAME * scale
        };
        if !same(stored.log_density, self.log_density, stored.log_density.abs()) {
            let (stored, asked) = (stored.log_density, self.log_density);
            return compare("log density at a test position (data, likelihood or prior)", &stored, &asked);
        }
        if !(same(stored.norm, self.norm, stored.norm) && same(stored.slope, self.slope, stored.norm)) {
            let length = |probe: &Self| format!("{} (along one direction {})", probe.norm, probe.slope);
            return compare("gradient at a test position (data, likelihood or prior)", &length(stored), &length(self));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_draws::Temperatures;
    use ergodic_model::density;

    fn header() -> Header {
        let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(&[-x[0], -x[1]]);
            -0.5 * (x[0] * x[0] + x[1] * x[1])
        });
        let run = Run { warmup: 10, ..Run::DEFAULT };
        Header::new(&normal, &normal.layout(), &crate::Nuts::default(), &run, true).unwrap()
    }

    #[test]
    fn a_checkpoint_of_another_run_is_refused_by_name() {
        let run = header();
        assert!(run.check(&run).is_ok());
        let refuse = |stored: Header| run.check(&stored).unwrap_err().to_string();
        assert!(refuse(Header { method: "hmc".into(), ..run.clone() }).contains("method is hmc, and the run's is nuts"));
        assert!(refuse(Header { dim: 9, ..run.clone() }).contains("number of coordinates is 9"));
        let layout = vec![run.layout[0].replace("[2]", "[3]")];
        assert!(refuse(Header { layout, ..run.clone() }).contains("block of coordinates is {"));
        let cold = Header { temperatures: Temperatures::both(0.5).to_string(), ..run.clone() };
        assert!(refuse(cold).contains("temperature 0.5, and the run's is temperature 1"));
        assert!(refuse(Header { seed: 9, ..run.clone() }).contains("seed is 9"));
        assert!(refuse(Header { chains: 9, ..run.clone() }).contains("chains is 9"));
        assert!(refuse(Header { warmup: 9, ..run.clone() }).contains("warm-up iterations is 9"));
        assert!(refuse(Header { max_extra_warmup: 9, ..run.clone() }).contains("extra warm-up iterations is 9"));
        assert!(refuse(Header { settings: "[]".into(), ..run.clone() }).contains("settings is []"));
    }

    #[test]
    fn another_density_is_noticed_and_rounding_is_not() {
        let run = header();
        let probe = run.probe.unwrap();
        let stored = |probe: Probe| Header { probe: Some(probe), ..run.clone() };
        let refuse = |probe| run.check(&stored(probe)).unwrap_err().to_string();
        assert!(refuse(Probe { log_density: 1.001 * probe.log_density, ..probe }).contains("log density at a test position"));
        assert!(refuse(Probe { norm: 1.001 * probe.norm, ..probe }).contains("gradient at a test position"));
        assert!(refuse(Probe { slope: -probe.slope, ..probe }).contains("gradient at a test position"));
        assert!(refuse(Probe { log_density: f64::NAN, ..probe }).contains("(data, likelihood or prior) is NaN"));
        let rounded = 1.0 + 1e-8;
        let close = Probe { log_density: rounded * probe.log_density, norm: rounded * probe.norm, ..probe };
        assert!(run.check(&stored(close)).is_ok());
        assert!(run.check(&Header { probe: None, ..run.clone() }).is_ok());
    }
}
