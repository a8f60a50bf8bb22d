//! Check summaries of draws and of predictions as a user meets them.

mod support;

use ergodic_diagnostics as d;
use ergodic_draws::{
    Block, ChainDraws, Draws, Layout, Origin, PredictionKind, Predictions, Role, RunReport, Temperatures, Transform,
};
use support::Uniform;

/// A network with two layers, a sampled prior scale and a noise scale.
fn layout() -> Layout {
    let blocks = vec![
        Block::new("layer0.weight", &[3, 4]).in_layer(0).with_role(Role::Weight),
        Block::new("layer0.bias", &[4]).in_layer(0).with_role(Role::Bias),
        Block::new("layer1.weight", &[4, 1]).in_layer(1).with_role(Role::Weight),
        Block::new("prior_scale", &[2]).with_role(Role::Hyperparameter).with_transform(Transform::EXP),
        Block::new("noise_scale", &[]).with_role(Role::Noise).with_transform(Transform::EXP),
    ];
    Layout::new(blocks).unwrap()
}

/// Chains of the given lengths; coordinate `shifted` differs from chain to chain.
fn draws(lengths: &[usize], origin: Origin, shifted: Option<usize>) -> Draws {
    let layout = layout();
    let mut uniform = Uniform(31);
    let mut chain = |number: usize, length: usize| {
        let columns: Vec<Vec<f64>> = (0..layout.dim()).map(|_| uniform.series(length, 0.3)).collect();
        let mut draws = ChainDraws::new(layout.dim());
        for draw in 0..length {
            let offset = |i| if Some(i) == shifted { 3.0 * number as f64 } else { 0.0 };
            let position: Vec<f64> = columns.iter().enumerate().map(|(i, c)| c[draw] + offset(i)).collect();
            draws.push(&position);
        }
        draws
    };
    let chains = lengths.iter().enumerate().map(|(number, &length)| chain(number, length)).collect();
    Draws::new(layout.clone(), origin, chains, RunReport::new("nuts", 1))
}

#[test]
fn rows_come_in_order_and_weights_by_layer() {
    let summary = d::summary(&draws(&[300; 4], Origin::Mcmc, Some(13)));
    let names: Vec<&str> = summary.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["noise_scale", "prior_scale[0]", "prior_scale[1]"]);
    let groups: Vec<(&str, usize)> = summary.groups.iter().map(|g| (g.name.as_str(), g.roll_up.count)).collect();
    assert_eq!(groups, [("layer 0 weights", 12), ("layer 0 biases", 4), ("layer 1 weights", 4)]);
    let biases = &summary.groups[1].roll_up;
    assert_eq!(biases.worst[0].name, "layer0.bias[1]");
    assert!(biases.rhat_max > 1.5 && biases.rhat_median < 1.02);
    assert_eq!(biases.rhat_share_above, 0.25);
    let weights = &summary.groups[0].roll_up;
    assert!(weights.rhat_max < 1.05 && weights.ess_bulk_min > 200.0 && weights.ess_bulk_min <= weights.ess_bulk_median);
}

#[test]
fn rows_are_on_the_scale_people_read() {
    let draws = draws(&[300; 2], Origin::Mcmc, None);
    let summary = d::summary(&draws);
    let expected = d::ScalarSummary::compute(&draws.values("noise_scale").unwrap());
    assert_eq!(summary.rows[0].scalar, expected);
    assert!(expected.interval.lower > 0.0);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let draws = draws(&[120, 100, 110], Origin::Mcmc, Some(2));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| d::summary(&draws).to_csv())
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn approximations_have_blank_convergence_and_say_so() {
    let summary = d::summary(&draws(&[300], Origin::Approximation, None));
    assert_eq!(summary.rows[0].scalar.rhat.status, d::Status::NotMarkov);
    assert!(summary.rows[0].scalar.mean.is_finite());
    let text = summary.to_string();
    assert!(text.contains("! approximation") && text.contains("not a Markov chain"), "{text}");
    assert!(
        summary
            .to_csv()
            .lines()
            .filter(|line| !line.is_empty())
            .all(|line| line.contains("caveat") || line.contains("approximation"))
    );
}

#[test]
fn a_chain_that_failed_early_is_left_out_and_named() {
    let summary = d::summary(&draws(&[300, 5, 280], Origin::Mcmc, None));
    assert_eq!((summary.chains, summary.draws), (2, 280));
    assert!(summary.to_string().contains("chain 1 is left out"));
    let none = d::summary(&draws(&[0, 0], Origin::Mcmc, None));
    assert_eq!(none.rows[0].scalar.rhat.status, d::Status::TooFewChains);
    assert!(none.to_string().contains("too few chains"));
}

#[test]
fn long_blocks_are_rolled_up() {
    let mut uniform = Uniform(3);
    let chains = (0..2).map(|_| ChainDraws::from_positions(300, uniform.series(300 * 20, 0.0))).collect();
    let draws = Draws::new(Layout::flat(300), Origin::Mcmc, chains, RunReport::new("nuts", 1));
    let summary = d::summary(&draws);
    assert_eq!((summary.rows.len(), summary.groups.len(), summary.groups[0].roll_up.count), (0, 1, 300));
    let options = d::SummaryOptions { max_rows: 300, ..Default::default() };
    let each = d::summary_with(&draws, &options);
    assert_eq!(each.rows.len(), 300);
    let gathered = each.rows[77].scalar;
    assert_eq!(gathered, d::ScalarSummary::compute(&draws.coordinate(77)));
}

#[test]
fn chance_alone_gives_about_the_stated_largest_rhat() {
    // Half of all runs pass the level when chains agree (187 of 400 such runs did). Of 20 runs, between 3 and 17 do with
    // probability 0.9996. The broken twin takes draws for independent: its level is passed by all runs.
    let mut uniform = Uniform(77);
    let (mut passed, mut passed_twin) = (0, 0);
    for _ in 0..20 {
        let mut values = vec![0.0; 4 * 400 * 100];
        for series in 0..400 {
            let draws = uniform.series(400, 0.5);
            let (chain, coordinate) = (series / 100, series % 100);
            draws.iter().enumerate().for_each(|(draw, &x)| values[(chain * 400 + draw) * 100 + coordinate] = x);
        }
        let chains = values.chunks(400 * 100).map(|chain| ChainDraws::from_positions(100, chain.to_vec())).collect();
        let draws = Draws::new(Layout::flat(100), Origin::Mcmc, chains, RunReport::new("nuts", 1));
        let options = d::SummaryOptions { max_rows: 0, ..Default::default() };
        let roll_up = d::summary_with(&draws, &options).groups[0].roll_up.clone();
        passed += usize::from(roll_up.rhat_max > roll_up.rhat_by_chance);
        passed_twin += usize::from(roll_up.rhat_max > d::rhat_by_chance(4, 400, 1600.0, 100, 0.5));
    }
    assert!((3..=17).contains(&passed), "{passed} of 20 runs pass the level");
    assert!(passed_twin > 17, "{passed_twin}");
}

/// Predictions of `points` points; the function of chain 0 is higher at point 2 by `shift`.
fn predictions(origin: Origin, kind: PredictionKind, outputs: usize, shift: f64) -> Predictions {
    let (chain_lengths, points) = (vec![200, 190, 200], 6);
    let draws: usize = chain_lengths.iter().sum();
    let mut uniform = Uniform(8);
    let mut values = Vec::new();
    for draw in 0..draws {
        for point in 0..points {
            for _ in 0..outputs {
                values.push(uniform.bell() + if draw < 200 && point == 2 { shift } else { 0.0 });
            }
        }
    }
    Predictions {
        origin,
        temperatures: Temperatures::POSTERIOR,
        energy_variance: None,
        kind,
        target_name: "strength [MPa]".to_owned(),
        chain_lengths,
        num_points: points,
        num_outputs: outputs,
        values,
        noise_sd: Vec::new(),
        simulated: Vec::new(),
        log_likelihood: Vec::new(),
        observed: Vec::new(),
    }
}

#[test]
fn the_worst_point_is_named() {
    let found = d::function_diagnostics(&predictions(Origin::Mcmc, PredictionKind::Regression, 1, 2.0)).unwrap();
    assert_eq!((found.chains, found.draws, found.rows.len()), (3, 190, 6));
    assert_eq!(found.roll_up.worst[0].name, "point 2");
    assert!(found.roll_up.rhat_max > 1.5 && found.roll_up.rhat_median < 1.02);
    let series: Vec<Vec<f64>> = predictions(Origin::Mcmc, PredictionKind::Regression, 1, 2.0).series(2, 0);
    assert_eq!(found.rows[2].scalar, d::ScalarSummary::compute(&series));
    let text = found.to_string();
    assert!(text.contains("strength [MPa]") && text.contains("chains differ in length"), "{text}");
}

#[test]
fn noise_that_differs_between_points_is_looked_at() {
    let mut found = predictions(Origin::Mcmc, PredictionKind::Regression, 1, 0.0);
    found.noise_sd = vec![0.5; found.values.len()];
    assert!(d::function_diagnostics(&found).unwrap().noise.is_none());
    found.noise_sd = predictions(Origin::Mcmc, PredictionKind::Regression, 1, 2.0).values.iter().map(|x| x.exp()).collect();
    let noisy = d::function_diagnostics(&found).unwrap();
    let noise = noisy.noise.clone().unwrap();
    assert!(noise.worst[0].name == "point 2" && noise.rhat_max > 1.5 && noisy.roll_up.rhat_max < 1.05);
    assert!(noisy.to_string().contains("noise of strength"), "{noisy}");
}

#[test]
fn outputs_and_classes() {
    let three = d::function_diagnostics(&predictions(Origin::Mcmc, PredictionKind::Classification, 3, 0.0)).unwrap();
    assert_eq!(three.rows.len(), 18);
    assert!(three.roll_up.worst[0].name.contains("output"));
    let two = d::function_diagnostics(&predictions(Origin::Mcmc, PredictionKind::Classification, 2, 0.0)).unwrap();
    assert!(two.rows.len() == 6 && two.rows.iter().all(|row| row.output == 1));
}

#[test]
fn predictions_of_approximations_and_broken_ones() {
    let found = d::function_diagnostics(&predictions(Origin::Ensemble, PredictionKind::Regression, 1, 0.0)).unwrap();
    assert_eq!(found.rows[0].scalar.rhat.status, d::Status::NotMarkov);
    assert!(found.to_string().contains("ensemble") && found.to_csv().contains("ensemble"));
    let mut broken = predictions(Origin::Mcmc, PredictionKind::Regression, 1, 0.0);
    broken.values.pop();
    let error = d::function_diagnostics(&broken).unwrap_err();
    assert!(error.to_string().contains("'values'"), "{error}");
    broken.num_points = 0;
    assert!(matches!(d::function_diagnostics(&broken), Err(d::PredictionsError::Empty { .. })));
}
