//! Print what was found, and draw the course of the log predictive density.

use crate::contenders::CONTENDERS;
use crate::reference::Reference;
use crate::score::Row;
use ergodic::diagnostics::plots::{ObjectivePlot, ObjectiveSeries, Plot};
use std::error::Error;
use std::path::Path;

const COLUMNS: [&str; 13] = [
    "sampler",
    "gradients",
    "to mean",
    "to variance",
    "seconds to both",
    "worst ESS/1k",
    "median ESS/1k",
    "worst ESS/s",
    "R-hat",
    "bias",
    "sd ratio",
    "LPPD",
    "µs/gradient",
];

/// The rows of one posterior.
pub(crate) fn print(rows: &[(String, Row)], reference: &Reference, markdown: bool) {
    let Some((title, first)) = rows.first() else { return };
    let least = reference.ess.iter().copied().fold(f64::INFINITY, f64::min);
    let name = &first.case;
    let lppd = reference.lppd.map_or(String::new(), |lppd| format!(", log predictive density {lppd:.3}"));
    println!(
        "\n{}{name}{}: {title}; reference of {:.1} million gradients, R-hat {:.4}, least ESS {least:.0}{lppd}\n",
        if markdown { "**" } else { "" },
        if markdown { "**" } else { "" },
        reference.gradients as f64 * 1e-6,
        reference.rhat
    );
    let lines: Vec<Vec<String>> = rows.iter().map(|(_, row)| line(row)).collect();
    if markdown {
        println!("| {} |\n|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
        for line in lines {
            println!("| {} |", line.join(" | "));
        }
        return;
    }
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.chain([COLUMNS[column].chars().count()]).max().unwrap_or(0)
    };
    let write = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| format!("{cell:>width$}", width = width(column)));
        println!("{}", padded.collect::<Vec<_>>().join("  "));
    };
    write(&COLUMNS.map(str::to_owned));
    lines.iter().for_each(|line| write(line));
}

fn line(row: &Row) -> Vec<String> {
    let never = || format!("> {:.0}", row.gradients);
    let gradients = |value: Option<f64>| value.map_or_else(never, |value| format!("{value:.0}"));
    vec![
        if row.exact { row.sampler.clone() } else { format!("{} (biased)", row.sampler) },
        format!("{} x {:.0}", row.chains, row.gradients),
        gradients(row.gradients_to_mean),
        gradients(row.gradients_to_variance),
        row.seconds_to_both.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}")),
        format!("{:.2}", row.worst_ess_per_1000_gradients),
        format!("{:.2}", row.median_ess_per_1000_gradients),
        format!("{:.0}", row.worst_ess_per_second),
        format!("{:.3}", row.rhat),
        format!("{:.3}", row.bias),
        format!("{:.3}", row.sd_ratio),
        row.lppd.map_or_else(|| "-".to_owned(), |lppd| format!("{lppd:.3}")),
        format!("{:.2}", row.microseconds_per_gradient),
    ]
}

/// The log predictive density of held-out rows against gradients, of the exact samplers of one network and of the biased ones.
pub(crate) fn picture(rows: &[(String, Row)], folder: &Path) -> Result<(), Box<dyn Error>> {
    let title = |name: &str| CONTENDERS.iter().find(|contender| contender.name == name).map_or("", |contender| contender.title);
    for (exact, kind) in [(true, "exact"), (false, "biased")] {
        let series = rows.iter().filter(|(_, row)| row.exact == exact && !row.curve.is_empty());
        let series: Vec<_> =
            series.map(|(_, row)| ObjectiveSeries::new(title(&row.sampler), &row.curve)).collect::<Result<_, _>>()?;
        if let (Some((_, first)), false) = (rows.first(), series.is_empty()) {
            let label = format!("{}: log predictive density, nats", first.case);
            ObjectivePlot::new(series, label)?.save(folder.join(format!("{}_{kind}", first.case)))?;
        }
    }
    Ok(())
}
