//! Draw whatever finite numbers there are: every plot gives a picture or an error, and never a panic or a NaN.

use super::{
    AutocorrelationPlot, BandsPanel, EnergyPlot, ObjectivePlot, ObjectiveSeries, Plot, PlotError, PredictiveBands, Quantity,
    RankPlot, TracePlot,
};
use proptest::prelude::*;

/// Numbers of every size, many of them equal.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -3.0..3.0_f64,
        1 => (-300..100_i32, -1.0..1.0_f64).prop_map(|(power, mantissa)| mantissa * 10f64.powi(power)),
        1 => prop::sample::select(vec![0.0, 1.0, -1.0, 1e100, -1e100, f64::MIN_POSITIVE]),
    ]
}

fn chains() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(number(), 1..30), 1..5)
}

/// Draws at the natural size and a small one; a small picture may be refused.
fn draws(plot: Result<impl Plot, PlotError>) -> Result<(), TestCaseError> {
    let Ok(plot) = plot else { return Ok(()) };
    let svg = plot.svg(plot.size()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(!svg.contains("NaN") && !svg.contains("inf<"), "{svg}");
    match plot.svg((260, 200)) {
        Ok(_) | Err(PlotError::TooSmall { .. }) => Ok(()),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_finite_series_is_drawn_or_refused(chains in chains(), flag in any::<bool>()) {
        let quantities = [Quantity::new("w", chains.clone()).unwrap()];
        let divergent: Vec<Vec<bool>> = chains.iter().map(|chain| vec![flag; chain.len()]).collect();
        draws(TracePlot::new(&quantities, &divergent))?;
        draws(RankPlot::new(&quantities, 2))?;
        draws(AutocorrelationPlot::new(&quantities, 20))?;
        draws(EnergyPlot::new(&quantities[0]))?;
        draws(EnergyPlot::per_chain(&quantities[0]))?;
        let points: Vec<(u64, f64)> = chains.concat().into_iter().enumerate().map(|(i, v)| (i as u64 * i as u64, v)).collect();
        draws(ObjectiveSeries::new("VI", &points).and_then(|series| ObjectivePlot::new(vec![series], "ELBO")))?;
        let x = &chains[0];
        let functions = vec![x.clone(), x.iter().map(|v| -v).collect()];
        let panel = BandsPanel::new("NUTS", x, &functions, &functions);
        draws(panel.and_then(|panel| PredictiveBands::new(vec![panel], "x", "y")).and_then(|plot| plot.with_training(x, x)))?;
    }
}
