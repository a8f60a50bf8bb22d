//! Define the program's arguments.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    /// Run folder to make; it must not exist.
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
    /// Prior standard deviation of weights and biases.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) prior_sd: f64,
    /// Divide the weights' prior standard deviation by the square root of the fan-in.
    #[arg(long)]
    pub(crate) fan_in: bool,
    /// Method, as `ergodic methods` lists them.
    #[arg(long, default_value = "nuts")]
    pub(crate) method: String,
    /// Chains, or members of an ensemble.
    #[arg(long, default_value_t = 4)]
    pub(crate) chains: usize,
    /// Warm-up iterations of each chain.
    #[arg(long, default_value_t = 1000)]
    pub(crate) warmup: usize,
    /// Draws of each chain.
    #[arg(long, default_value_t = 1000)]
    pub(crate) draws: usize,
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
