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
    /// Column to predict.
    #[arg(long)]
    pub(crate) target: String,
    /// Run folder to make; it must not exist.
    #[arg(long, default_value = "run.zarr")]
    pub(crate) out: PathBuf,
    /// Widths of the hidden layers.
    #[arg(long, value_delimiter = ',', default_value = "16,16")]
    pub(crate) hidden: Vec<usize>,
    /// Activation of the hidden layers.
    #[arg(long, value_enum, default_value_t = ActivationName::Tanh)]
    pub(crate) activation: ActivationName,
    /// Likelihood; by default categorical where the target is text, Gaussian with learned noise otherwise.
    #[arg(long, value_enum, default_value_t = LikelihoodName::Auto)]
    pub(crate) likelihood: LikelihoodName,
    /// Prior of the weights.
    #[arg(long, value_enum, default_value_t = PriorName::Normal)]
    pub(crate) prior: PriorName,
    /// Scale of the prior of weights and biases: the standard deviation of a normal.
    #[arg(long, visible_alias = "prior-sd", default_value_t = 1.0)]
    pub(crate) prior_scale: f64,
    /// Divide the weights' prior scale by the square root of the fan-in.
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
    /// Gaussian with one learned noise scale.
    Gaussian,
    /// Gaussian whose noise depends on the input.
    InputDependentGaussian,
    /// Binary targets 0 and 1.
    Bernoulli,
    /// Class labels.
    Categorical,
}
