//! Hold Pareto smoothing against ArviZ's numbers, against distributions of known tails, and against what has no tail.

use super::*;

/// Draws of a Weyl sequence, so that log ratios can be made again anywhere: uᵢ is the fraction of i times the golden ratio.
fn uniforms(draws: usize) -> impl Iterator<Item = f64> {
    (1..=draws).map(|i| (i as f64 * 0.618_033_988_749_894_9).fract())
}

/// Log ratios −s ln u, whose exponentials have a Pareto tail of shape s.
fn pareto(scale: f64, u: f64) -> f64 {
    -scale * u.ln()
}

/// Log ratios s ln(u / (1 − u)), a logistic distribution.
fn logistic(scale: f64, u: f64) -> f64 {
    scale * (u / (1.0 - u)).ln()
}

struct Case {
    draws: usize,
    family: fn(f64, f64) -> f64,
    scale: f64,
    efficiency: f64,
    khat: f64,
    largest: f64,
    third: f64,
    log_mean: f64,
}

// `arviz.psislw(log_ratios, reff=efficiency)` of ArviZ 0.23.4: k̂, the log weights of the largest and third largest ratio, and with
// `normalize=False` the logarithm of the weights' mean.
#[rustfmt::skip]
const ARVIZ: &[Case] = &[
    Case { draws: 100, family: pareto, scale: 0.3, efficiency: 1.0, khat: 0.39931243700389774, largest: -3.367112616335589, third: -3.8289820624875346, log_mean: 0.34994145304400703 },
    Case { draws: 100, family: logistic, scale: 0.5, efficiency: 1.0, khat: 0.41570146186964946, largest: -2.5789408127806257, third: -3.2203127641650466, log_mean: 0.3757478258410254 },
    Case { draws: 1000, family: pareto, scale: 0.3, efficiency: 1.0, khat: 0.29672634063255093, largest: -5.096686446265325, third: -5.471355008231629, log_mean: 0.35438438004511763 },
    Case { draws: 1000, family: pareto, scale: 0.9, efficiency: 1.0, khat: 0.8067526396921474, largest: -2.105992362734401, third: -3.4091925318733622, log_mean: 1.6776562092320848 },
    Case { draws: 1000, family: pareto, scale: 1.5, efficiency: 1.0, khat: 1.3181907873406238, largest: -0.713393547956837, third: -2.836104019097149, log_mean: 4.423935294873589 },
    Case { draws: 1000, family: logistic, scale: 0.5, efficiency: 1.0, khat: 0.498495006331116, largest: -3.522256388783346, third: -4.332838656328955, log_mean: 0.4422052056305388 },
    Case { draws: 1000, family: logistic, scale: -0.2, efficiency: 1.0, khat: 0.1918975097766671, largest: -5.530456694585543, third: -5.7653541349843245, log_mean: 0.06619020951551047 },
    Case { draws: 1000, family: pareto, scale: 0.9, efficiency: 0.5, khat: 0.8215666987014989, largest: -2.093360770592509, third: -3.394789357032402, log_mean: 1.681965129896163 },
    Case { draws: 5000, family: pareto, scale: 0.3, efficiency: 1.0, khat: 0.3094568428179515, largest: -6.130686919324714, third: -6.575597132335423, log_mean: 0.35640113071404755 },
    Case { draws: 5000, family: logistic, scale: 0.5, efficiency: 0.5, khat: 0.4660634998419893, largest: -4.625444038252949, third: -5.228420392746896, log_mean: 0.43907073019476606 },
    Case { draws: 30, family: logistic, scale: 1.0, efficiency: 1.0, khat: 0.5309139578721105, largest: -1.0852518097781332, third: -2.286155622585097, log_mean: 1.2817548004743293 },
];

#[test]
fn values_are_those_of_arviz() {
    for case in ARVIZ {
        let ratios: Vec<f64> = uniforms(case.draws).map(|u| (case.family)(case.scale, u)).collect();
        let smoothed = pareto_smooth(&ratios, case.efficiency).unwrap();
        let mut order: Vec<usize> = (0..case.draws).collect();
        order.sort_by(|i, j| ratios[*i].total_cmp(&ratios[*j]));
        let weight = |rank: usize| smoothed.log_weights[order[case.draws - rank]];
        let found = [smoothed.khat.unwrap(), weight(1), weight(3), smoothed.log_mean];
        for (found, expected) in found.iter().zip([case.khat, case.largest, case.third, case.log_mean]) {
            assert!((found - expected).abs() < 1e-10, "{} draws, scale {}: {found} is not {expected}", case.draws, case.scale);
        }
        assert!((smoothed.log_weights.iter().map(|w| w.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn weights_do_not_depend_on_a_constant_or_on_order() {
    let ratios: Vec<f64> = uniforms(500).map(|u| pareto(0.6, u)).collect();
    let plain = pareto_smooth(&ratios, 1.0).unwrap();
    let shifted: Vec<f64> = ratios.iter().rev().map(|ratio| ratio - 5000.0).collect();
    let shifted = pareto_smooth(&shifted, 1.0).unwrap();
    assert!((plain.khat.unwrap() - shifted.khat.unwrap()).abs() < 1e-9);
    assert!((plain.log_mean - shifted.log_mean - 5000.0).abs() < 1e-9);
    for (a, b) in plain.log_weights.iter().rev().zip(&shifted.log_weights) {
        assert!((a - b).abs() < 1e-9);
    }
}

#[test]
fn a_heavier_tail_is_less_reliable_and_worth_fewer_draws() {
    let of = |scale: f64| pareto_smooth(&uniforms(2000).map(|u| pareto(scale, u)).collect::<Vec<_>>(), 1.0).unwrap();
    let (light, heavy) = (of(0.2), of(1.0));
    assert!(light.is_reliable() && !heavy.is_reliable());
    assert!(light.effective_draws() > 1500.0 && heavy.effective_draws() < 200.0);
    assert!((heavy.largest_reliable_khat() - (1.0 - 1.0 / 2000f64.log10())).abs() < 1e-15);
    let few = pareto_smooth(&uniforms(30).map(|u| pareto(0.2, u)).collect::<Vec<_>>(), 1.0).unwrap();
    assert!(few.largest_reliable_khat() < 0.33);
}

#[test]
fn draws_outside_the_support_weigh_nothing() {
    let mut ratios: Vec<f64> = uniforms(400).map(|u| pareto(0.3, u)).collect();
    let inside = pareto_smooth(&ratios, 1.0).unwrap();
    ratios.extend([f64::NEG_INFINITY; 400]);
    let half = pareto_smooth(&ratios, 1.0).unwrap();
    assert_eq!(half.log_weights[400..], [f64::NEG_INFINITY; 400]);
    assert!((half.log_mean - (inside.log_mean - 2f64.ln())).abs() < 0.02);
    assert!(half.khat.is_ok());
}

#[test]
fn what_is_undefined_says_why() {
    let smoothed = |ratios: &[f64]| pareto_smooth(ratios, 1.0).unwrap();
    let equal = smoothed(&[3.0; 50]);
    assert_eq!(equal.khat, Err(NoKhat::Equal));
    assert!(equal.is_reliable() && (equal.log_mean - 3.0).abs() < 1e-12 && (equal.effective_draws() - 50.0).abs() < 1e-9);
    let few = smoothed(&[0.0, 1.0, 2.0, 5.0]);
    assert_eq!(few.khat, Err(NoKhat::ShortTail { weights: 1 }));
    assert!(!few.is_reliable() && few.khat.unwrap_err().to_string().contains("1 weights"));
    // Two values: nothing is above the cut-off but ties.
    let two: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
    assert_eq!(smoothed(&two).khat, Err(NoKhat::ShortTail { weights: 0 }));
    let alone = smoothed(&[-7.0]);
    assert_eq!((alone.khat, alone.log_weights[0]), (Err(NoKhat::Equal), 0.0));

    assert_eq!(pareto_smooth(&[], 1.0), Err(WeightError::Empty));
    assert_eq!(pareto_smooth(&[f64::NEG_INFINITY; 9], 1.0), Err(WeightError::AllZero));
    let infinite = pareto_smooth(&[0.0, f64::INFINITY], 1.0);
    assert_eq!(infinite, Err(WeightError::NotANumber { index: 1, value: f64::INFINITY }));
    assert!(pareto_smooth(&[f64::NAN], 1.0).unwrap_err().to_string().contains("log ratio 0 is NaN"));
    for efficiency in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(pareto_smooth(&[0.0; 9], efficiency), Err(WeightError::RelativeEfficiency(_))));
    }
}

#[test]
fn weights_that_underflow_leave_the_rest_as_it_is() {
    let mut ratios: Vec<f64> = (0..200).map(|i| -1000.0 * f64::from(i)).collect();
    ratios.reverse();
    let smoothed = pareto_smooth(&ratios, 1.0).unwrap();
    assert_eq!(smoothed.khat, Err(NoKhat::ShortTail { weights: 1 }));
    assert!(smoothed.log_weights[199].abs() < 1e-12 && smoothed.log_weights.iter().all(|w| !w.is_nan()));
}
