//! Hold every table, plot and file of a tempered run to the law that it says so.

use ergodic::diagnostics::metrics::metrics;
use ergodic::diagnostics::plots::{
    AutocorrelationPlot, BandsPanel, CoverageCurve, CoveragePlot, EnergyPlot, IntervalsPanel, ObjectivePlot, ObjectiveSeries,
    Plot, PredictiveBands, PredictiveIntervals, Quantity, RankPlot, ReliabilityCurve, ReliabilityPlot, TracePlot,
};
use ergodic::diagnostics::table::Table;
use ergodic::diagnostics::{Entry, compare, diagnose, function_diagnostics, sampler_health, summary};
use ergodic::draws::{
    DrawSelection, Draws, Predictions, RunFolder, SafetensorsFile, SafetensorsOptions, Temperatures, write_csv,
    write_safetensors,
};
use ergodic::methods::{METHODS, Request, find};
use ergodic::model::{
    Activation, BayesianNetwork, Categorical, Dataset, Gaussian, Likelihood, Network, NormalPrior, Posterior, Standardize,
    Tempered,
};
use ergodic::sampler::Run;
use nalgebra::DMatrix;
use std::fmt::Display;

const RUN: Run = Run { chains: 2, warmup: 60, draws: 60, seed: 5, ..Run::DEFAULT };

fn data(classes: bool) -> Dataset {
    let inputs = DMatrix::from_fn(24, 1, |row, _| row as f64 / 6.0 - 2.0);
    let targets = inputs.map(|x| if classes { f64::from(x > 0.3) } else { (1.5 * x).sin() });
    Dataset::new(inputs, targets).unwrap()
}

fn model(classes: bool) -> BayesianNetwork {
    let likelihood: Box<dyn Likelihood> =
        if classes { Box::new(Categorical { classes: 2 }) } else { Box::new(Gaussian::learned_noise()) };
    let network = Network::dense(1, &[3], Activation::Tanh, likelihood.num_outputs()).unwrap();
    BayesianNetwork::with_standardization(network, likelihood, &NormalPrior::default(), &data(classes), Standardize::default())
        .unwrap()
}

fn run(posterior: &dyn Posterior, method: &str) -> Draws {
    (find(method).unwrap().run)(&Request::new(posterior, RUN)).unwrap()
}

/// Draws and predictions of a network for real targets and of one for classes, at temperatures.
fn runs(at: Temperatures) -> [(Draws, Predictions); 2] {
    [false, true].map(|classes| {
        let model = model(classes);
        let draws = run(&Tempered::new(&model, at).unwrap(), "nuts");
        let predictions = model.predict(&draws, &data(classes)).unwrap();
        (draws, predictions)
    })
}

/// Everything that is printed, by name: each table on screen and as a file, and whatever displays itself.
fn printed(draws: &Draws, predictions: &Predictions) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let tables = |of: &str, tables: Vec<Table>, all: &mut Vec<(String, String)>| {
        for table in tables {
            all.push((format!("{of}: {}", table.title), table.to_string()));
            let file = table.to_csv();
            // Where there is no result, as for classes, which have no noise scale, a file is its header.
            if file.lines().count() > 1 {
                all.push((format!("{of}: {} as a file", table.title), file));
            }
        }
    };
    let summary = summary(draws);
    tables("summary", vec![summary.parameter_table(), summary.group_table(), summary.worst_table()], &mut all);
    let functions = function_diagnostics(predictions).unwrap();
    tables("predictions", vec![functions.roll_up_table(), functions.worst_table(), functions.table()], &mut all);
    let scores = metrics(predictions).unwrap();
    tables("scores", vec![scores.table()], &mut all);
    let health = sampler_health(draws);
    tables("sampler", vec![health.table()], &mut all);
    let comparison = compare(&[Entry { name: "a run", draws, predictions }]).unwrap();
    tables("comparison", vec![comparison.table()], &mut all);
    let diagnosis = diagnose(draws, Some(predictions)).unwrap();
    let displayed: [(&str, &dyn Display); 6] = [
        ("Summary", &summary),
        ("FunctionDiagnostics", &functions),
        ("Metrics", &scores),
        ("SamplerHealth", &health),
        ("Comparison", &comparison),
        ("Diagnosis", &diagnosis),
    ];
    all.extend(displayed.map(|(name, shown)| (name.to_owned(), shown.to_string())));
    all.push(("Summary as a file".to_owned(), summary.to_csv()));
    all.push(("FunctionDiagnostics as a file".to_owned(), functions.to_csv()));
    all.push(("Comparison as a file".to_owned(), comparison.to_csv()));
    all
}

/// The name of a plot's type and its picture.
fn picture<P: Plot>(plot: &P) -> (String, String) {
    let name = std::any::type_name::<P>().rsplit("::").next().unwrap().to_owned();
    (name, plot.svg(plot.size()).unwrap())
}

/// Every plot of a run, by the name of its type; `optimised` has an objective.
fn pictures(runs: &[(Draws, Predictions); 2], optimised: &Draws) -> Vec<(String, String)> {
    let [(draws, predictions), (_, classes)] = runs;
    let quantities =
        [Quantity::from_draws(draws, "noise_scale").unwrap(), Quantity::from_predictions(predictions, 3, 0).unwrap()];
    let inputs = data(false).inputs().as_slice().to_vec();
    let mut all = vec![
        picture(&TracePlot::from_draws(draws, &["noise_scale"]).unwrap()),
        picture(&EnergyPlot::from_draws(draws).unwrap()),
        picture(&ObjectivePlot::new(vec![ObjectiveSeries::from_draws(optimised).unwrap()], "log density").unwrap()),
        picture(&CoveragePlot::new(vec![CoverageCurve::from_predictions("a run", predictions, 0).unwrap()]).unwrap()),
        picture(&ReliabilityPlot::new(vec![ReliabilityCurve::from_predictions("a run", classes).unwrap()]).unwrap()),
        picture(
            &PredictiveIntervals::new(vec![IntervalsPanel::from_predictions("a run", predictions, 0, 0.9).unwrap()], "y")
                .unwrap(),
        ),
        picture(
            &PredictiveBands::new(vec![BandsPanel::from_predictions("a run", &inputs, predictions, 0).unwrap()], "x", "y")
                .unwrap(),
        ),
    ];
    for quantity in &quantities {
        let quantity = std::slice::from_ref(quantity);
        all.push(picture(&TracePlot::new(quantity, &[]).unwrap()));
        all.push(picture(&RankPlot::new(quantity, 10).unwrap()));
        all.push(picture(&AutocorrelationPlot::new(quantity, 10).unwrap()));
    }
    all
}

/// Every file of a run: its name and its text.
fn files(draws: &Draws) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let (table, run) = (folder.path().join("draws.csv"), folder.path().join("run.zarr"));
    write_csv(draws, &table).unwrap();
    RunFolder::write(&run, draws).unwrap();
    let tensors = folder.path().join("draws.safetensors");
    write_safetensors(draws, DrawSelection::All, &tensors, &SafetensorsOptions::default()).unwrap();
    let about = SafetensorsFile::read(&tensors).unwrap().description().unwrap().to_string();
    let loaded = RunFolder::load(&run).unwrap();
    assert_eq!(loaded.report.temperatures, draws.report.temperatures);
    assert_eq!(loaded.caveat(), draws.caveat());
    let read = |path: &std::path::Path| (path.display().to_string(), std::fs::read_to_string(path).unwrap());
    // ArviZ shows the attributes of the root and of the groups.
    vec![
        read(&table),
        read(&run.join("zarr.json")),
        read(&run.join("posterior/zarr.json")),
        read(&run.join("sample_stats/zarr.json")),
        ("the metadata of a safetensors file".to_owned(), about),
    ]
}

/// What a reader finds of the temperature, however lines are broken and words are marked up.
fn says_tempered(text: &str) -> bool {
    text.contains("tempered")
}

#[test]
fn every_table_plot_and_file_of_a_tempered_run_says_so() {
    let cold = Temperatures { likelihood: 0.25, prior: 0.5 };
    for (at, expected) in [(cold, true), (Temperatures::POSTERIOR, false)] {
        let runs = runs(at);
        let model = model(false);
        let mut optimised = run(&Tempered::new(&model, at).unwrap(), "map");
        // An optimum has a caveat of its own in any case; what is looked for here is the temperature.
        optimised.report.method = "an optimum".to_owned();
        let mut all: Vec<(String, String)> = runs.iter().flat_map(|(draws, predictions)| printed(draws, predictions)).collect();
        all.extend(pictures(&runs, &optimised));
        all.extend(files(&runs[0].0));
        for (name, text) in &all {
            assert_eq!(says_tempered(text), expected, "{name} at {at}:\n{}", &text[..text.len().min(3000)]);
        }
        for (draws, predictions) in &runs {
            assert_eq!(predictions.caveat(), draws.caveat());
            let values = format!("{} and prior temperature {}", at.likelihood, at.prior);
            assert_eq!(draws.caveat().is_some_and(|caveat| caveat.contains(&values)), expected);
        }
    }
}

/// A kind of plot that the law's test does not draw is found by its name.
#[test]
fn the_law_is_checked_on_every_kind_of_plot() {
    let module = include_str!("../../crates/diagnostics/src/plots/mod.rs");
    let exported = module.lines().filter_map(|line| line.strip_prefix("pub use "));
    let names = exported.flat_map(|line| line.split(|c: char| !c.is_alphanumeric()));
    let is_plot = |name: &&str| name.ends_with("Plot") && *name != "Plot" || name.starts_with("Predictive");
    let plots: Vec<&str> = names.filter(is_plot).collect();
    let model = model(false);
    let drawn = pictures(&runs(Temperatures::both(0.5)), &run(&model, "map"));
    assert!(plots.len() >= 9, "{plots:?}");
    for plot in plots {
        assert!(drawn.iter().any(|(name, _)| name == plot), "draw a {plot} in this test");
    }
}

/// No method loses the temperatures of what it samples or fits.
#[test]
fn every_method_reports_the_temperatures() {
    let model = model(false);
    let at = Temperatures { likelihood: 0.5, prior: 2.0 };
    let tempered = Tempered::new(&model, at).unwrap();
    for row in METHODS {
        assert_eq!(run(&tempered, row.name).report.temperatures, at, "{}", row.name);
        assert!(run(&model, row.name).report.temperatures.is_posterior(), "{}", row.name);
    }
}
