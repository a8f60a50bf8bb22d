//! List every method once: its name, what its draws are, what it needs of a model, and how to run it.

use crate::until::{Goal, UntilError, until};
use ergodic_baselines::{DeepEnsemble, FitError, FitObserver, Map, MeanField, Pathfinder, Silent, WarmStarts};
use ergodic_baselines::{deep_ensemble_observed, map_observed, mean_field_observed, pathfinder_observed};
use ergodic_draws::{Draws, Origin, RunFolder};
use ergodic_model::Posterior;
use ergodic_sampler::{
    Checkpoint, CheckpointError, CheckpointSchedule, Chees, Ghmc, Hmc, Mala, Mams, Mclmc, Method, NoObserver, Nuts, Observer,
    Run, RunError, Sampler, SliceGhmc, Walnuts,
};
use nalgebra::DMatrix;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// One row of the registry.
#[derive(Debug, Clone, Copy)]
pub struct MethodRow {
    /// Name, as in reports and on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What its draws are, which says whether it is exact and which diagnostics are legal.
    pub origin: Origin,
    /// The traits it needs of a model.
    pub needs: &'static [&'static str],
    /// Runs it with its default settings.
    pub run: fn(&Request<'_>) -> Result<Draws, MethodError>,
}

/// What any method is asked for; each reads what it can use, and approximations read `chains` as members or starts.
///
/// ```
/// use ergodic::methods::{Request, find};
/// use ergodic::sampler::{Checkpoint, Run};
/// # let normal = ergodic::model::density(1, |x: &[f64], gradient: &mut [f64]| {
/// #     gradient[0] = -x[0];
/// #     -0.5 * x[0] * x[0]
/// # });
/// # let place = tempfile::tempdir()?;
/// let (folder, file) = (place.path().join("run.zarr"), place.path().join("run.checkpoint"));
/// let nuts = find("nuts")?;
/// let request = |draws| Request {
///     folder: Some(&folder),
///     checkpoint: Some(&file),
///     ..Request::new(&normal, Run { draws, warmup: 100, ..Run::default() })
/// };
/// (nuts.run)(&request(50))?;
/// // Later, with more draws than at first:
/// let checkpoint = Checkpoint::load(&file)?;
/// let more = (nuts.run)(&Request { resume: Some(&checkpoint), ..request(80) })?;
/// assert_eq!(more.min_len(), 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Request<'a> {
    /// The posterior.
    pub posterior: &'a dyn Posterior,
    /// Chains, lengths, seed, threads, budget.
    pub run: Run,
    /// Watches Markov chains.
    pub observer: &'a dyn Observer,
    /// Run folder that Markov chains write their draws to while they are made: a new one, or that of the run that is resumed.
    pub folder: Option<&'a Path>,
    /// Where Markov chains begin, one position a chain, and what it cost to find them, which is charged to the chains' warm-up.
    pub starts: Option<&'a WarmStarts>,
    /// File that keeps the state of Markov chains while they run. It must not exist, unless the run goes on from a checkpoint.
    pub checkpoint: Option<&'a Path>,
    /// How often that is.
    pub schedule: CheckpointSchedule,
    /// Where Markov chains go on; the result holds the draws after it.
    pub resume: Option<&'a Checkpoint>,
    /// What Markov chains are to reach: the run then ends where they have, and [`Run::draws`] is its limit.
    pub goal: Option<Aim<'a>>,
    /// Ends the run early, with what is done.
    pub stop: &'a AtomicBool,
}

impl<'a> Request<'a> {
    /// A request that nobody watches or stops.
    #[must_use]
    pub fn new(posterior: &'a dyn Posterior, run: Run) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            posterior,
            run,
            observer: &NoObserver,
            folder: None,
            starts: None,
            checkpoint: None,
            schedule: CheckpointSchedule::default(),
            resume: None,
            goal: None,
            stop: &NEVER,
        }
    }
}

/// A goal, and where the model's predictions must reach it.
#[derive(Debug, Clone, Copy)]
pub struct Aim<'a> {
    /// What is to be reached.
    pub goal: &'a Goal,
    /// Points × inputs; every coordinate must reach the goal where none are given.
    pub points: Option<&'a DMatrix<f64>>,
}

/// Why a method did not give draws.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// The chains did not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The chains did not run, or nothing could be predicted at the goal's points.
    #[error(transparent)]
    Until(#[from] UntilError),
    /// The fit failed.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// There is no such method.
    #[error("there is no method '{name}'; the methods are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// Every method, a row each.
pub const METHODS: &[MethodRow] = &[
    MethodRow {
        name: Nuts::NAME,
        title: "No-U-Turn sampler",
        origin: Origin::Mcmc,
        needs: &["LogDensity"],
        run: |request| markov(request, &Nuts::default()),
    },
    MethodRow {
        name: Hmc::NAME,
        title: "static Hamiltonian Monte Carlo, jittered",
        origin: Origin::Mcmc,
        needs: &["LogDensity"],
        run: |request| markov(request, &Hmc::default()),
    },
    MethodRow {
        name: Walnuts::NAME,
        title: "No-U-Turn sampler with steps refined where the posterior is narrow",
        origin: Origin::Mcmc,
        needs: &["LogDensity"],
        run: |request| markov(request, &Walnuts::default()),
    },
    MethodRow {
        name: Chees::NAME,
        title: "Hamiltonian Monte Carlo of one length for all chains",
        origin: Origin::Mcmc,
        needs: &["LogDensity"],
        run: |request| markov(request, &Chees::default()),
    },
    MethodRow {
        name: Ghmc::NAME,
        title: "generalised Hamiltonian Monte Carlo with slice acceptance",
        origin: Origin::Mcmc,
        needs: &["LogDensity"],
        run: |request| markov(request, &Ghmc::default()),
    },
    MethodRow {
        name: Mala::NAME,
        title: "Metropolis-adjusted Langevin algorithm",
        origin: Origin::Mcmc,
        needs: &["LogDensity"],
        run: |request| markov(request, &Mala::default()),
    },
    MethodRow {
        name: Mclmc::NAME,
        title: "microcanonical Langevin Monte Carlo, unadjusted",
        origin: Origin::BiasedMcmc,
        needs: &["LogDensity of 2 coordinates or more"],
        run: |request| markov(request, &Mclmc::default()),
    },
    MethodRow {
        name: SliceGhmc::NAME,
        title: "isokinetic generalised HMC with slice acceptance",
        origin: Origin::Mcmc,
        needs: &["LogDensity of 2 coordinates or more"],
        run: |request| markov(request, &SliceGhmc::default()),
    },
    MethodRow {
        name: Mams::NAME,
        title: "Metropolis-adjusted microcanonical sampler",
        origin: Origin::Mcmc,
        needs: &["LogDensity of 2 coordinates or more"],
        run: |request| markov(request, &Mams::default()),
    },
    MethodRow {
        name: "map",
        title: "maximum a posteriori",
        origin: Origin::Point,
        needs: &["LogDensity"],
        run: |request| {
            let settings = Map { seed: request.run.seed, ..Map::default() };
            Ok(map_observed(request.posterior, &settings, &Stop(request.stop))?)
        },
    },
    MethodRow {
        name: "deep_ensemble",
        title: "deep ensemble of maxima from independent starts",
        origin: Origin::Ensemble,
        needs: &["LogDensity"],
        run: |request| {
            let map = Map { seed: request.run.seed, ..Map::default() };
            let settings = DeepEnsemble { members: request.run.chains, map, threads: request.run.threads };
            Ok(deep_ensemble_observed(request.posterior, &settings, &Stop(request.stop))?)
        },
    },
    MethodRow {
        name: "mean_field",
        title: "mean-field variational inference",
        origin: Origin::Approximation,
        needs: &["LogDensity"],
        run: |request| {
            let draws = request.run.chains * request.run.draws;
            let settings = MeanField { seed: request.run.seed, threads: request.run.threads, draws, ..MeanField::default() };
            Ok(mean_field_observed(request.posterior, &settings, &Stop(request.stop))?.draws)
        },
    },
    MethodRow {
        name: "pathfinder",
        title: "normals along paths of optimisation, drawn from by importance",
        origin: Origin::Approximation,
        needs: &["LogDensity"],
        run: |request| {
            let Run { chains: paths, seed, threads, draws, .. } = request.run;
            let candidates = draws.max(Pathfinder::default().candidates);
            let settings = Pathfinder { paths, candidates, draws: paths * draws, seed, threads, ..Pathfinder::default() };
            Ok(pathfinder_observed(request.posterior, &settings, &Stop(request.stop))?.draws)
        },
    },
];

/// The row of the method named `name`.
///
/// # Errors
/// [`MethodError::Unknown`] lists the names there are.
///
/// ```
/// assert!(ergodic::methods::find("nuts")?.origin.is_exact());
/// # Ok::<(), ergodic::methods::MethodError>(())
/// ```
pub fn find(name: &str) -> Result<&'static MethodRow, MethodError> {
    METHODS.iter().find(|row| row.name == name).ok_or_else(|| {
        let known = METHODS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        MethodError::Unknown { name: name.to_owned(), known }
    })
}

/// The row of the method to begin with: `mclmc` for a network, `nuts` for any other density, and for one of a single coordinate.
///
/// Of the samplers of whole data sets MCLMC gives most effective draws of what a network predicts, per gradient and per second; its draws are
/// biased by some per cent at most, and say so. The book's page on samplers has the measurements, and when to take another.
///
/// ```
/// use ergodic::prelude::*;
/// let normal = density(3, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// assert_eq!(ergodic::methods::recommended(&normal).name, "nuts");
/// ```
#[must_use]
pub fn recommended(posterior: &dyn Posterior) -> &'static MethodRow {
    let is_network = posterior.capabilities().outputs.is_some() && posterior.layout().dim() >= 2;
    let name = if is_network { Mclmc::NAME } else { Nuts::NAME };
    find(name).expect("both have their rows")
}

/// Samples `posterior` with the [`recommended`] method and its default settings; the draws' report names it.
///
/// # Errors
/// As [`Sampler::run`].
///
/// ```
/// use ergodic::prelude::*;
/// use ergodic::sample_recommended;
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_fn(30, 1, |row, _| row as f64 / 15.0 - 1.0);
/// let data = Dataset::new(inputs.clone(), inputs.map(|x| (2.0 * x).sin()))?;
/// let network = Network::dense(1, &[5], Activation::Tanh, 1)?;
/// let model = BayesianNetwork::new(network, Gaussian::known_noise(0.2), NormalPrior::default(), &data)?;
/// let draws = sample_recommended(&model, &Run { draws: 200, ..Run::default() })?;
/// assert_eq!(draws.report.method, "mclmc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sample_recommended(posterior: &dyn Posterior, run: &Run) -> Result<Draws, MethodError> {
    (recommended(posterior).run)(&Request::new(posterior, *run))
}

fn markov<M: Method>(request: &Request<'_>, method: &M) -> Result<Draws, MethodError> {
    match &request.goal {
        Some(aim) => Ok(until(request, method, *aim)?.draws),
        None => Ok(leg(request, method, request.run, request.resume.cloned(), request.checkpoint.is_some())?.0),
    }
}

/// Runs the chains of a request from their beginning or from a checkpoint. Where `may_be_empty`, chains that were stopped in warm-up are
/// no error, since they can go on.
pub(crate) fn leg<M: Method>(
    request: &Request<'_>,
    method: &M,
    run: Run,
    resume: Option<Checkpoint>,
    may_be_empty: bool,
) -> Result<(Draws, Option<Checkpoint>), RunError> {
    if let Some(path) = request.checkpoint.filter(|path| resume.is_none() && path.exists()) {
        // Before a folder is made for a run that will not be.
        return Err(CheckpointError::AlreadyExists(path.to_owned()).into());
    }
    let open = |path: &Path| if resume.is_some() { RunFolder::open(path) } else { RunFolder::create(path) };
    let folder = request.folder.map(open).transpose()?;
    let mut sampler = Sampler::new(request.posterior, method.clone(), run).observer(request.observer).stop(request.stop);
    if let Some(folder) = &folder {
        sampler = sampler.sink(folder);
    }
    if let Some(starts) = request.starts {
        sampler = sampler.initial_positions(&starts.positions).start_costs(&starts.chains);
    }
    if let Some(path) = request.checkpoint {
        sampler = sampler.checkpoint_to(path, request.schedule);
    }
    if let Some(checkpoint) = resume {
        sampler = sampler.resume(checkpoint);
    }
    if may_be_empty {
        let (draws, checkpoint) = sampler.run_with_checkpoint()?;
        Ok((draws, Some(checkpoint)))
    } else {
        Ok((sampler.run()?, None))
    }
}

/// Ends a fit when the request's flag is set.
struct Stop<'a>(&'a AtomicBool);

impl FitObserver for Stop<'_> {
    fn progress(&self, progress: &ergodic_baselines::Progress) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { Silent.progress(progress) }
    }
}
