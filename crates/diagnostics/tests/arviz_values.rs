//! Reproduce values of arviz-stats 1.3.3 for chains that a fixed formula makes, so that no file is needed.
//!
//! The chains use sums, products, quotients and `floor` only, which are exact in the same way everywhere. Values that arviz-stats defines
//! otherwise are not listed: R-hat with folding for an odd number of draws (its median leaves out the middle draws) and R-hat
//! of a single chain (it gives none).

use ergodic_diagnostics as d;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Heavy,
    Ties,
}

struct Case {
    name: &'static str,
    seed: u64,
    chains: usize,
    draws: usize,
    rho: f64,
    shift: f64,
    kind: Kind,
    expected: &'static [(&'static str, f64)],
}

/// Knuth's linear congruential generator, its upper 53 bits as a number below 1.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

/// First-order autoregressive chains; `shift` moves each from the one before.
fn chains(case: &Case) -> Vec<Vec<f64>> {
    let mut uniform = Uniform(case.seed);
    let mut chain = |index: usize| -> Vec<f64> {
        let mut x = 0.0;
        let mut draw = || {
            x = case.rho * x + (uniform.next() + uniform.next() + uniform.next() - 1.5);
            let y = x + case.shift * index as f64;
            match case.kind {
                Kind::Plain => y,
                Kind::Heavy => y / (0.05 + uniform.next()),
                Kind::Ties => (3.0 * y).floor(),
            }
        };
        (0..case.draws).map(|_| draw()).collect()
    };
    (0..case.chains).map(&mut chain).collect()
}

fn compute(statistic: &str, chains: &[Vec<f64>]) -> f64 {
    let all = chains.concat();
    let superchains: Vec<usize> = (0..chains.len()).map(|c| if chains.len() == 4 { c / 2 } else { c }).collect();
    match statistic {
        "rhat" => d::rhat(chains).value,
        "rhat_bulk" => d::rhat_bulk(chains).value,
        "rhat_folded" => d::rhat_folded(chains).value,
        "rhat_split" => d::rhat_split(chains).value,
        "rhat_basic" => d::rhat_basic(chains).value,
        "nested_rhat" => d::nested_rhat(chains, &superchains).expect("two superchains").value,
        "nested_rhat_bulk" => d::nested_rhat_bulk(chains, &superchains).expect("two superchains").value,
        "ess_bulk" => d::ess_bulk(chains).value,
        "ess_tail" => d::ess_tail(chains).value,
        "ess_mean" => d::ess_mean(chains).value,
        "ess_sd" => d::ess_sd(chains).value,
        "ess_median" => d::ess_median(chains).value,
        "ess_quantile" => d::ess_quantile(chains, 0.2).value,
        "ess_basic" => d::ess_basic(chains).value,
        "mcse_mean" => d::mcse_mean(chains).value,
        "mcse_sd" => d::mcse_sd(chains).value,
        "mcse_median" => d::mcse_median(chains).value,
        "mcse_quantile" => d::mcse_quantile(chains, 0.2).value,
        "ebfmi" => d::ebfmi(&chains[0]).value,
        "eti_lower" => d::equal_tailed_interval(&all, 0.89).lower,
        "eti_upper" => d::equal_tailed_interval(&all, 0.89).upper,
        "hdi_lower" => d::highest_density_interval(&all, 0.89).lower,
        "hdi_upper" => d::highest_density_interval(&all, 0.89).upper,
        other => panic!("unknown statistic '{other}'"),
    }
}

#[test]
fn values_of_arviz_are_met() {
    let mut checked = 0;
    for case in CASES {
        let chains = chains(case);
        for &(statistic, expected) in case.expected {
            let value = compute(statistic, &chains);
            let error = (value - expected).abs();
            let met = error <= 1e-10 * expected.abs();
            assert!(met, "{statistic} of '{}': {value} and {expected}, relative error {:e}", case.name, error / expected);
            checked += 1;
        }
    }
    assert_eq!(checked, CASES.iter().map(|case| case.expected.len()).sum::<usize>());
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "positive", seed: 11, chains: 4, draws: 200, rho: 0.7, shift: 0.0, kind: Kind::Plain, expected: &[
        ("rhat", 1.0148755122489452),
        ("rhat_folded", 1.0052474130618825),
        ("rhat_bulk", 1.0148755122489452),
        ("rhat_split", 1.0147526995191702),
        ("rhat_basic", 1.0169468303530076),
        ("ess_bulk", 193.8517483357814),
        ("ess_tail", 355.2940050489704),
        ("ess_mean", 193.70922663712582),
        ("ess_sd", 318.35372816378145),
        ("ess_quantile", 306.93718599538175),
        ("ess_median", 258.8052479921471),
        ("ess_basic", 180.92105002296813),
        ("mcse_mean", 0.05162602580811378),
        ("mcse_sd", 0.02728498677769215),
        ("mcse_quantile", 0.06906998754012461),
        ("mcse_median", 0.04690072576819543),
        ("ebfmi", 0.6147345092907979),
        ("eti_lower", -1.1132881508756347),
        ("eti_upper", 1.082191945035989),
        ("hdi_lower", -1.0682136918742577),
        ("hdi_upper", 1.122640725300118),
        ("nested_rhat", 1.0019421040456549),
        ("nested_rhat_bulk", 1.0017981457204685),
    ] },
    Case { name: "antithetic", seed: 12, chains: 3, draws: 250, rho: -0.5, shift: 0.0, kind: Kind::Plain, expected: &[
        ("rhat", 1.0036195053459458),
        ("rhat_folded", 1.0036195053459458),
        ("rhat_bulk", 0.9965420312562349),
        ("rhat_split", 0.9965642296218377),
        ("rhat_basic", 0.9981259582244807),
        ("ess_bulk", 2156.295947543775),
        ("ess_tail", 681.1344298782892),
        ("ess_mean", 2156.295947543775),
        ("ess_sd", 558.7446744965076),
        ("ess_quantile", 1104.0760259765027),
        ("ess_median", 1061.8272044013297),
        ("ess_basic", 2104.140137054615),
        ("mcse_mean", 0.012174390366768975),
        ("mcse_sd", 0.015592235747216179),
        ("mcse_quantile", 0.03821762464585993),
        ("mcse_median", 0.022831256856790744),
        ("ebfmi", 2.8611700263899396),
        ("eti_lower", -0.8943435107249271),
        ("eti_upper", 0.9184921896419203),
        ("hdi_lower", -1.0633793815182915),
        ("hdi_upper", 0.7425157364999405),
    ] },
    Case { name: "heavy", seed: 13, chains: 2, draws: 500, rho: 0.9, shift: 0.0, kind: Kind::Heavy, expected: &[
        ("rhat", 1.0097683336024983),
        ("rhat_folded", 1.0047278344017727),
        ("rhat_bulk", 1.0097683336024983),
        ("rhat_split", 1.002466842803868),
        ("rhat_basic", 1.0000396893222554),
        ("ess_bulk", 75.73951712986926),
        ("ess_tail", 294.932553331537),
        ("ess_mean", 145.08569078776176),
        ("ess_sd", 888.4748220253701),
        ("ess_quantile", 118.98278756716005),
        ("ess_median", 80.11670386056394),
        ("ess_basic", 146.33082297854193),
        ("mcse_mean", 0.4264417304077928),
        ("mcse_sd", 0.49904557070159966),
        ("mcse_quantile", 0.3960430122146412),
        ("mcse_median", 0.2987772069661022),
        ("ebfmi", 1.2470214367694838),
        ("eti_lower", -6.723007653607687),
        ("eti_upper", 4.228374487224198),
        ("hdi_lower", -6.302873676977574),
        ("hdi_upper", 4.561972505193617),
        ("nested_rhat", 1.0010391501933145),
        ("nested_rhat_bulk", 1.0006671637236995),
    ] },
    Case { name: "ties", seed: 14, chains: 4, draws: 300, rho: 0.5, shift: 0.0, kind: Kind::Ties, expected: &[
        ("rhat", 1.0030129968135606),
        ("rhat_folded", 1.0019687656426326),
        ("rhat_bulk", 1.0030129968135606),
        ("rhat_split", 1.002997382268734),
        ("rhat_basic", 1.0043827909289835),
        ("ess_bulk", 416.73180226707376),
        ("ess_tail", 599.3944546634737),
        ("ess_mean", 415.5919176456567),
        ("ess_sd", 902.4233117712856),
        ("ess_quantile", 550.8264348060524),
        ("ess_median", 542.3484402729324),
        ("ess_basic", 408.33235055016706),
        ("mcse_mean", 0.08310202540877604),
        ("mcse_sd", 0.036699988463606156),
        ("mcse_quantile", 0.0),
        ("mcse_median", 0.0),
        ("ebfmi", 1.0908263618366436),
        ("eti_lower", -3.0),
        ("eti_upper", 2.0),
        ("hdi_lower", -4.0),
        ("hdi_upper", 1.0),
        ("nested_rhat", 1.0068205972198088),
        ("nested_rhat_bulk", 1.0067253030732737),
    ] },
    Case { name: "shifted", seed: 15, chains: 4, draws: 100, rho: 0.5, shift: 0.3, kind: Kind::Plain, expected: &[
        ("rhat", 1.2834360179204594),
        ("rhat_folded", 1.041163651671298),
        ("rhat_bulk", 1.2834360179204594),
        ("rhat_split", 1.2826700662096566),
        ("rhat_basic", 1.2777108294770507),
        ("ess_bulk", 12.209332593881882),
        ("ess_tail", 87.31730786101413),
        ("ess_mean", 12.332699819036469),
        ("ess_sd", 78.53879763024149),
        ("ess_quantile", 17.616093368934546),
        ("ess_median", 20.50934063502474),
        ("ess_basic", 6.093399529160442),
        ("mcse_mean", 0.19807754554533763),
        ("mcse_sd", 0.04958118245449607),
        ("mcse_quantile", 0.21457928596097173),
        ("mcse_median", 0.20393469034495432),
        ("ebfmi", 0.9136109969324295),
        ("eti_lower", -0.630483828940702),
        ("eti_upper", 1.6216649077792342),
        ("hdi_lower", -0.7239242244274742),
        ("hdi_upper", 1.4952762003954283),
        ("nested_rhat", 1.248642509894387),
        ("nested_rhat_bulk", 1.259927231361621),
    ] },
    Case { name: "short", seed: 16, chains: 4, draws: 12, rho: 0.0, shift: 0.0, kind: Kind::Plain, expected: &[
        ("rhat", 0.9917626193384746),
        ("rhat_folded", 0.9917626193384746),
        ("rhat_bulk", 0.9686468679781897),
        ("rhat_split", 0.9735307840272119),
        ("rhat_basic", 1.0052139631194792),
        ("ess_bulk", 80.69957939402819),
        ("ess_tail", 66.20689655172413),
        ("ess_mean", 80.69957939402819),
        ("ess_sd", 70.38602607354206),
        ("ess_quantile", 47.53398058252427),
        ("ess_median", 76.36813867106892),
        ("ess_basic", 67.36160527660631),
        ("mcse_mean", 0.05479867002456693),
        ("mcse_sd", 0.03303086561267242),
        ("mcse_quantile", 0.181124978777211),
        ("mcse_median", 0.06840587183779256),
        ("ebfmi", 2.095801554629643),
        ("eti_lower", -0.7524120876848525),
        ("eti_upper", 0.8215653704641719),
        ("hdi_lower", -0.8388379482269295),
        ("hdi_upper", 0.6206964838579694),
        ("nested_rhat", 1.0313708031502222),
        ("nested_rhat_bulk", 1.02981295744813),
    ] },
    Case { name: "odd", seed: 17, chains: 5, draws: 151, rho: 0.4, shift: 0.0, kind: Kind::Plain, expected: &[
        ("rhat_bulk", 1.0092515246670577),
        ("rhat_split", 1.0084484966499818),
        ("rhat_basic", 0.9981827098503433),
        ("ess_bulk", 327.1561243982069),
        ("ess_tail", 590.4568613461823),
        ("ess_mean", 329.4065625597554),
        ("ess_sd", 594.0149290321948),
        ("ess_quantile", 528.4964279865785),
        ("ess_median", 390.525200414489),
        ("ess_basic", 319.8500305822545),
        ("mcse_mean", 0.030038019925198382),
        ("mcse_sd", 0.014308404065258306),
        ("mcse_quantile", 0.04261723264599143),
        ("mcse_median", 0.048540090734458544),
        ("ebfmi", 1.1363381676797393),
        ("eti_lower", -0.8257808032903483),
        ("eti_upper", 0.8911490982438945),
        ("hdi_lower", -0.8804925230852547),
        ("hdi_upper", 0.8068597795023266),
    ] },
    Case { name: "single", seed: 18, chains: 1, draws: 400, rho: 0.8, shift: 0.0, kind: Kind::Plain, expected: &[
        ("ess_bulk", 53.50561700697336),
        ("ess_tail", 78.06250598961303),
        ("ess_mean", 53.02283501030142),
        ("ess_sd", 82.59827462120849),
        ("ess_quantile", 96.25573067743296),
        ("ess_median", 71.37021098826472),
        ("ess_basic", 53.04027488881794),
        ("mcse_mean", 0.11754099969106543),
        ("mcse_sd", 0.062138790534856055),
        ("mcse_quantile", 0.10054189405884634),
        ("mcse_median", 0.16537701111585718),
        ("ebfmi", 0.4418728326034633),
        ("eti_lower", -1.390953720823761),
        ("eti_upper", 1.3063214024630259),
        ("hdi_lower", -1.4408717719464843),
        ("hdi_upper", 1.2469153784123927),
    ] },
];
