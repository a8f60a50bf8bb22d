//! Reproduce 816 values that the R package `posterior` published for two chains of a meta-analysis model.
//!
//! The files are not part of the project: the test reads them from the folder in `ERGODIC_DATA`, or from `../shared/data` beside the
//! workspace, and says so when it finds neither. `arviz_values.rs` holds values that are always checked.

use ergodic_diagnostics as d;
use std::path::{Path, PathBuf};

fn data_folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("ERGODIC_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    folder.join("diagnostics")
}

/// The columns of a chain's file: names, then one row a draw; lines with '#' are comments.
fn read_chain(text: &str) -> (Vec<String>, Vec<Vec<f64>>) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let names: Vec<String> = lines.next().expect("a header").split(',').map(str::to_owned).collect();
    let rows: Vec<Vec<f64>> = lines.map(|line| line.split(',').map(|cell| cell.parse().expect("a number")).collect()).collect();
    let columns = (0..names.len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect();
    (names, columns)
}

fn compute(statistic: &str, chains: &[&Vec<f64>]) -> d::Diagnostic {
    match statistic {
        "rhat_rank" => d::rhat(chains),
        "rhat_raw" => d::rhat_basic(chains),
        "ess_bulk" => d::ess_bulk(chains),
        "ess_tail" => d::ess_tail(chains),
        "ess_mean" => d::ess_mean(chains),
        "ess_sd" => d::ess_sd(chains),
        "ess_median" => d::ess_median(chains),
        "ess_raw" => d::ess_basic(chains),
        "ess_quantile01" => d::ess_quantile(chains, 0.01),
        "ess_quantile10" => d::ess_quantile(chains, 0.1),
        "ess_quantile30" => d::ess_quantile(chains, 0.3),
        "mcse_mean" => d::mcse_mean(chains),
        "mcse_sd" => d::mcse_sd(chains),
        "mcse_median" => d::mcse_median(chains),
        "mcse_quantile01" => d::mcse_quantile(chains, 0.01),
        "mcse_quantile10" => d::mcse_quantile(chains, 0.1),
        "mcse_quantile30" => d::mcse_quantile(chains, 0.3),
        other => panic!("the reference names an unknown statistic '{other}'"),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn published_values_are_met() {
    let folder = data_folder();
    if !folder.is_dir() {
        println!("skipped: no folder '{}'; set ERGODIC_DATA to check the published values", folder.display());
        return;
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the folder is complete");
    let (names, first) = read_chain(&read("blocker.1.csv"));
    let (_, second) = read_chain(&read("blocker.2.csv"));
    let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let reference = read("reference_posterior.csv").replace('"', "");
    let mut lines = reference.lines();
    let statistics: Vec<&str> = lines.next().expect("a header").split(',').skip(1).collect();
    let (mut checked, mut worst) = (0, (0.0, String::new()));
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, values) = split_row(line, statistics.len());
        let column = names.iter().position(|other| *other == plain(&name)).unwrap_or_else(|| panic!("no column '{name}'"));
        let chains = [&first[column], &second[column]];
        for (statistic, expected) in statistics.iter().zip(values) {
            let value = compute(statistic, &chains).value;
            let error = (value / expected - 1.0).abs();
            checked += 1;
            if error.is_nan() || error > worst.0 {
                worst = (error, format!("{statistic} of {name}: {value} and {expected}"));
            }
        }
    }
    assert_eq!(checked, 816);
    assert!(worst.0 < 1e-10, "relative error {:e}: {}", worst.0, worst.1);
}

/// A parameter's name without the marks that the two files write differently: `mu.1` and `mu[1]`.
fn plain(name: &str) -> String {
    name.replace(['.', ',', '['], " ").replace(']', "").trim().to_owned()
}

/// Name and values of a row, whose name may hold commas.
fn split_row(line: &str, values: usize) -> (String, Vec<f64>) {
    let cells: Vec<&str> = line.split(',').collect();
    let (name, numbers) = cells.split_at(cells.len() - values);
    (name.join(","), numbers.iter().map(|cell| cell.parse().expect("a number")).collect())
}
