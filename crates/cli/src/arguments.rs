//! Define the program's arguments.

use clap::{Args, Parser, Subcommand, ValueEnum};
use ergodic::Goal;
use ergodic::draws::Temperatures;
use ergodic::sampler::{Budget, Run};
use std::path::PathBuf;

/// Most draws of a chain that runs until it has reached a goal.
const MOST_DRAWS: usize = 100_000;

/// Sample the posterior of a neural network's weights, and know whether to believe it.
#[derive(Debug, Parser)]
#[command(name = "ergodic", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sample a dense network's posterior given a table, into a run folder.
    Sample(Box<SampleArguments>),
    /// Print the summary table of a run folder.
    Summary {
        /// The run folder.
        run: PathBuf,
    },
    /// Say in plain words whether a run can be believed; the exit code is 0 when it can, 3 when in doubt, 4 when it cannot.
    Diagnose {
        /// The run folder.
        run: PathBuf,
    },
    /// Write trace, rank and energy plots of a run folder as SVG and PNG.
    Plot {
        /// The run folder.
        run: PathBuf,
        /// Folder for the pictures; made if it is missing.
        #[arg(long, default_value = "plots")]
        out: PathBuf,
    },
    /// Write draws of a run folder as named tensors for other programs: all of them stacked, or one.
    Export {
        /// The run folder.
        run: PathBuf,
        /// Safetensors file to write.
        out: PathBuf,
        /// One draw alone, as CHAIN:DRAW counted from 0; tensors then have the shapes of the weights.
        #[arg(long, value_parser = draw)]
        draw: Option<(usize, usize)>,
        /// 32-bit numbers instead of 64.
        #[arg(long)]
        f32: bool,
    },
    /// List the methods: name, whether exact, what they need of a model.
    Methods,
}

/// Arguments of `ergodic sample`.
#[derive(Debug, Args)]
pub(crate) struct SampleArguments {
    /// Table with a header line; columns separated by commas or semicolons.
    pub(crate) data: PathBuf,
    /// Column to predict; given several times, several columns at once.
    #[arg(long, required = true)]
    pub(crate) target: Vec<String>,
    /// Run folder to make; it must not exist, unless with --resume.
    #[arg(long, default_value = "run.zarr")]
    pub(crate) out: PathBuf,
    /// Widths of the hidden layers.
    #[arg(long, value_delimiter = ',', default_value = "16,16")]
    pub(crate) hidden: Vec<usize>,
    /// Activation of the hidden layers.
    #[arg(long, value_enum, default_value_t = ActivationName::Tanh)]
    pub(crate) activation: ActivationName,
    /// Likelihood; by default categorical where the target is text, Gaussian with learned noise otherwise. One for all targets, or one for
    /// each, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "auto")]
    pub(crate) likelihood: Vec<LikelihoodName>,
    /// Order of the classes of an ordinal likelihood, lowest first, separated by commas; numbers are ordered by default.
    #[arg(long, value_delimiter = ',')]
    pub(crate) classes: Vec<String>,
    /// Prior of the weights.
    #[arg(long, value_enum, default_value_t = PriorName::Normal)]
    pub(crate) prior: PriorName,
    /// Scale of the prior of weights and biases: the standard deviation of a normal.
    #[arg(long, visible_alias = "prior-sd", default_value_t = 1.0)]
    pub(crate) prior_scale: f64,
    /// Divide the weights' prior scale by the square root of the fan-in.
    #[arg(long)]
    pub(crate) fan_in: bool,
    /// Method, as `ergodic methods` lists them; by default the one recommended for networks, mclmc.
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// Safetensors file with the network's weights, where all chains or fits begin; on the standardised scale.
    #[arg(long)]
    pub(crate) start: Option<PathBuf>,
    /// A tensor's name for a block, as in `--tensor layer0.weight=encoder.weight`; may be repeated. Without it names are matched.
    #[arg(long = "tensor", requires = "start", value_name = "BLOCK=TENSOR", value_parser = pair)]
    pub(crate) tensors: Vec<(String, String)>,
    /// Temperature of likelihood and prior: below 1 a cold posterior; results say so.
    #[arg(long, conflicts_with_all = ["likelihood_temperature", "prior_temperature"])]
    pub(crate) temperature: Option<f64>,
    /// Temperature of the likelihood alone.
    #[arg(long)]
    pub(crate) likelihood_temperature: Option<f64>,
    /// Temperature of the prior alone.
    #[arg(long)]
    pub(crate) prior_temperature: Option<f64>,
    /// Chains, or members of an ensemble.
    #[arg(long, default_value_t = 4)]
    pub(crate) chains: usize,
    /// Warm-up iterations of each chain.
    #[arg(long, default_value_t = 1000)]
    pub(crate) warmup: usize,
    /// Warm-up iterations that may be added where adaptation asks for them.
    #[arg(long, default_value_t = 0)]
    pub(crate) max_extra_warmup: usize,
    /// Optimise a start for each chain first; the cost counts as warm-up.
    #[arg(long)]
    pub(crate) warm_start: bool,
    /// Draws of each chain, counted from its beginning also with --resume; 1000 by default, or at most 100000 with a goal.
    #[arg(long)]
    pub(crate) draws: Option<usize>,
    /// Stop once R-hat of all predictions of the test rows is at most this; 1.01 with --until-ess alone.
    #[arg(long, value_name = "R-HAT")]
    pub(crate) until_rhat: Option<f64>,
    /// Stop once all predictions of the test rows have this many effective draws; 400 with --until-rhat alone.
    #[arg(long, value_name = "DRAWS")]
    pub(crate) until_ess: Option<f64>,
    /// Gradients after which a chain stops, warm-up included.
    #[arg(long)]
    pub(crate) max_gradients: Option<u64>,
    /// Seconds after which all chains stop.
    #[arg(long)]
    pub(crate) max_seconds: Option<f64>,
    /// File that keeps the state of the chains while they run; it must not exist, unless with --resume.
    #[arg(long, value_name = "PATH")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint in the run folder, with the arguments of the run that stopped or was killed; more draws extend it.
    #[arg(long, requires = "checkpoint")]
    pub(crate) resume: bool,
    /// Seed of all random streams.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Share of the rows that is held out and predicted.
    #[arg(long, default_value_t = 0.2)]
    pub(crate) test_fraction: f64,
    /// Threads; all cores by default.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}

/// Two parts of a text around a sign.
fn split<'a>(text: &'a str, sign: char, form: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(sign).ok_or_else(|| format!("write it as {form}"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (block, tensor) = split(text, '=', "BLOCK=TENSOR")?;
    Ok((block.to_owned(), tensor.to_owned()))
}

fn draw(text: &str) -> Result<(usize, usize), String> {
    let (chain, draw) = split(text, ':', "CHAIN:DRAW")?;
    let count = |text: &str| text.parse().map_err(|_| format!("'{text}' is not a count"));
    Ok((count(chain)?, count(draw)?))
}

impl SampleArguments {
    /// What the run is asked for.
    pub(crate) fn run(&self) -> Run {
        Run {
            chains: self.chains,
            warmup: self.warmup,
            max_extra_warmup: self.max_extra_warmup,
            draws: self.draws.unwrap_or(if self.goal().is_some() { MOST_DRAWS } else { Run::DEFAULT.draws }),
            seed: self.seed,
            threads: self.threads,
            budget: Budget { gradients_per_chain: self.max_gradients, seconds: self.max_seconds },
            ..Run::default()
        }
    }

    /// What the chains are to reach, if anything.
    pub(crate) fn goal(&self) -> Option<Goal> {
        let Goal { rhat, ess, .. } = Goal::default();
        let asked = self.until_rhat.is_some() || self.until_ess.is_some();
        asked.then(|| Goal { rhat: self.until_rhat.unwrap_or(rhat), ess: self.until_ess.unwrap_or(ess), ..Goal::default() })
    }

    /// The first argument that only Markov chains can follow.
    pub(crate) fn for_chains_alone(&self) -> Option<&'static str> {
        let given = [
            ("--checkpoint", self.checkpoint.is_some()),
            ("--warm-start", self.warm_start),
            ("--until-rhat", self.until_rhat.is_some()),
            ("--until-ess", self.until_ess.is_some()),
            ("--max-gradients", self.max_gradients.is_some()),
            ("--max-seconds", self.max_seconds.is_some()),
            ("--max-extra-warmup", self.max_extra_warmup > 0),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The temperatures that are asked for; 1 where nothing is.
    pub(crate) fn temperatures(&self) -> Temperatures {
        let of = |part: Option<f64>| part.or(self.temperature).unwrap_or(1.0);
        Temperatures { likelihood: of(self.likelihood_temperature), prior: of(self.prior_temperature) }
    }
}

/// Activations by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ActivationName {
    Tanh,
    Relu,
    LeakyRelu,
    Sigmoid,
    Softplus,
    Gelu,
    Silu,
}

/// Priors by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PriorName {
    /// Independent normal weights.
    Normal,
    /// Independent double-exponential weights.
    Laplace,
    /// Independent Student-t weights with 4 degrees of freedom.
    StudentT,
    /// Even mixture of two normals, one a tenth as wide.
    Mixture,
    /// Normal, with a sampled half-normal scale for each tensor.
    Hierarchical,
    /// Normal, with sampled gamma precisions for each tensor and each unit's outgoing weights (Neal).
    Neal,
    /// Normal, with a sampled half-Cauchy scale for each input.
    Ard,
    /// Horseshoe, with a sampled scale for each unit and each layer.
    Horseshoe,
    /// Horseshoe with a slab of scale 2.
    RegularizedHorseshoe,
    /// Relaxed spike and slab, for the weights out of each unit.
    SpikeAndSlab,
}

/// Likelihoods by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LikelihoodName {
    /// Categorical where the target is text, Gaussian with learned noise otherwise.
    Auto,
    /// Gaussian with a learned noise scale for each target.
    Gaussian,
    /// Gaussian whose noise depends on the input.
    InputDependentGaussian,
    /// Student-t with learned noise scale and degrees of freedom: outliers.
    StudentT,
    /// Counts with a log link.
    Poisson,
    /// Counts with a log link and a learned dispersion: more spread than a Poisson.
    NegativeBinomial,
    /// Binary targets 0 and 1.
    Bernoulli,
    /// Class labels.
    Categorical,
    /// Ordered classes with learned cut points.
    Ordinal,
}
