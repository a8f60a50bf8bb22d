//! Sample every posterior by NUTS with default settings and hold means and standard deviations against the reference draws.
//!
//! 44 parameters, so 88 comparisons, each within four standard errors: z = (ours − reference) / √(ours² + reference's² standard errors),
//! with Monte Carlo standard errors on both sides. Were all z normal and independent, one or more of 88 would exceed 4 with
//! probability 0.6 %; the seed is fixed, so a passing test stays one.

use crate::garch::Garch;
use crate::mixture::Mixture;
use crate::model::Model;
use crate::reference::Reference;
use crate::regression::Regression;
use ergodic::diagnostics::ScalarSummary;
use ergodic::draws::Layout;
use ergodic::model::{Labelled, Posterior};
use ergodic::sampler::{Method, Nuts, Run, sample};
use ergodic_targets::EightSchools;

/// The largest |z| that is accepted.
const LIMIT: f64 = 4.0;

/// How far a sampler and the reference agree on one posterior.
pub(crate) struct Agreement {
    pub(crate) method: &'static str,
    pub(crate) name: &'static str,
    parameters: usize,
    pub(crate) mean_z: f64,
    pub(crate) sd_z: f64,
    pub(crate) min_ess: f64,
    pub(crate) max_rhat: f64,
    divergences: usize,
    gradients: u64,
    seconds: f64,
}

impl Agreement {
    pub(crate) fn of<M: Model, S: Method>(
        reference: &Reference,
        model: &M,
        posterior: &impl Posterior,
        method: &S,
        run: &Run,
    ) -> Self {
        let draws = sample(posterior, method, run).expect("the run ends well");
        let reported: Vec<Vec<Vec<f64>>> =
            draws.chains().iter().map(|chain| chain.positions().map(|position| model.report(position)).collect()).collect();
        let divergences = draws.statistic("diverging").expect("every sampler reports divergences").concat();
        let mut agreement = Self {
            method: S::NAME,
            name: reference.name,
            parameters: model.parameters().len(),
            mean_z: 0.0,
            sd_z: 0.0,
            min_ess: f64::INFINITY,
            max_rhat: 0.0,
            divergences: divergences.iter().filter(|&&x| x > 0.0).count(),
            gradients: draws.report.gradients(),
            seconds: draws.report.seconds,
        };
        for (k, parameter) in model.parameters().iter().enumerate() {
            let series: Vec<Vec<f64>> = reported.iter().map(|chain| chain.iter().map(|draw| draw[k]).collect()).collect();
            let ours = ScalarSummary::compute(&series);
            let theirs = ScalarSummary::compute(&reference.draws(parameter));
            let z = |a: f64, b: f64, a_error: f64, b_error: f64| ((a - b) / a_error.hypot(b_error)).abs();
            let mean_z = z(ours.mean, theirs.mean, ours.mcse_mean.value, theirs.mcse_mean.value);
            let sd_z = z(ours.sd, theirs.sd, ours.mcse_sd.value, theirs.mcse_sd.value);
            assert!(mean_z.is_finite() && sd_z.is_finite(), "{} {parameter}: {ours:?} and {theirs:?}", reference.name);
            agreement.mean_z = agreement.mean_z.max(mean_z);
            agreement.sd_z = agreement.sd_z.max(sd_z);
            agreement.min_ess = agreement.min_ess.min(ours.ess_bulk.value).min(ours.ess_tail.value);
            agreement.max_rhat = agreement.max_rhat.max(ours.rhat.value);
        }
        agreement
    }

    pub(crate) fn holds(&self) -> bool {
        self.mean_z < LIMIT && self.sd_z < LIMIT
    }

    pub(crate) fn print_header() {
        println!(
            "{:10} {:42} {:>3} {:>7} {:>7} {:>8} {:>7} {:>5} {:>9} {:>7}",
            "method", "posterior", "par", "z mean", "z sd", "min ESS", "R-hat", "div", "gradients", "seconds"
        );
    }

    pub(crate) fn print(&self) {
        println!(
            "{:10} {:42} {:3} {:7.2} {:7.2} {:8.0} {:7.4} {:5} {:9} {:7.2}",
            self.method,
            self.name,
            self.parameters,
            self.mean_z,
            self.sd_z,
            self.min_ess,
            self.max_rhat,
            self.divergences,
            self.gradients,
            self.seconds
        );
    }
}

#[test]
fn nuts_agrees_with_the_reference_draws() {
    let Some(agreements) = agreements() else {
        println!("skipped: the folder of reference posteriors is missing (set ERGODIC_DATA)");
        return;
    };
    Agreement::print_header();
    agreements.iter().for_each(Agreement::print);
    let parameters: usize = agreements.iter().map(|agreement| agreement.parameters).sum();
    println!("{} comparisons, limit {LIMIT}", 2 * parameters);
    assert_eq!(parameters, 44);
    for agreement in &agreements {
        assert!(agreement.holds(), "{}: |z| {} of means, {} of sds", agreement.name, agreement.mean_z, agreement.sd_z);
        assert!(agreement.max_rhat < 1.03, "{}: R-hat {}", agreement.name, agreement.max_rhat);
        assert!(agreement.min_ess > 300.0, "{}: ESS {}", agreement.name, agreement.min_ess);
    }
}

fn agreements() -> Option<Vec<Agreement>> {
    let kidiq = Reference::read("kidiq-kidscore_interaction")?;
    let autoregression = Reference::read("arK-arK")?;
    let blr = Reference::read("sblrc-blr")?;
    let mesquite = Reference::read("mesquite-logmesquite_logvash")?;
    let schools = Reference::read("eight_schools-eight_schools_noncentered")?;
    let garch = Reference::read("garch-garch11")?;
    let mixture = Reference::read("low_dim_gauss_mix-low_dim_gauss_mix")?;
    // The broken twin: the Jacobian of log σ left out shifts σ by 0.11 of its standard deviation, which is seven standard errors when
    // both sides have about 8000 effective draws: found with probability 0.998.
    let broken = Regression::mesquite(&mesquite).without_jacobian();
    let twin = Agreement::of(&mesquite, &broken, &broken, &Nuts::default(), &Run { draws: 3000, ..Run::default() });
    assert!(!twin.holds(), "a missing Jacobian goes unnoticed: |z| {} of means, {} of sds", twin.mean_z, twin.sd_z);
    let mixture_model = Mixture::new(&mixture);
    let from_between = Labelled::new(mixture_model.clone(), Layout::flat(5)).expect("five coordinates");
    let from_between = from_between.with_initial_position(BETWEEN_CLUSTERS.to_vec()).expect("five coordinates");
    Some(vec![
        default_run(&schools, &EightSchools::new()),
        default_run(&kidiq, &Regression::kidiq(&kidiq)),
        default_run(&autoregression, &Regression::autoregression(&autoregression)),
        default_run(&garch, &Garch::new(&garch)),
        default_run(&blr, &Regression::blr(&blr)),
        Agreement::of(&mixture, &mixture_model, &from_between, &Nuts::default(), &Run::default()),
        default_run(&mesquite, &Regression::mesquite(&mesquite)),
    ])
}

/// A default run from default initial positions.
fn default_run<M: Model>(reference: &Reference, model: &M) -> Agreement {
    Agreement::of(reference, model, model, &Nuts::default(), &Run::default())
}

/// Where chains on the mixture begin: with a mean on either side of 0. It has a lesser mode, both means in the left cluster and one
/// component wide enough for all observations; of 64 chains from positions uniform on (−2, 2), two stayed there.
pub(crate) const BETWEEN_CLUSTERS: [f64; 5] = [-1.0, 0.7, 0.0, 0.0, 0.0];
