use ergodic::model::*; use ergodic::sampler::*; use ergodic::diagnostics::*;
use nalgebra::DMatrix; use linfa_datasets; use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let hidden: Vec<usize> = a[1].split(',').map(|x| x.parse().unwrap()).collect();
    let fan: bool = a[2] == "fan"; let psd: f64 = a[3].parse().unwrap();
    let single = a[4] == "f32"; let (w, d): (usize, usize) = (a[5].parse().unwrap(), a[6].parse().unwrap());
    let depth: usize = a[7].parse().unwrap(); let target: f64 = a[8].parse().unwrap();
    let seed: u64 = a.get(9).map_or(1, |s| s.parse().unwrap());
    let wine = linfa_datasets::winequality();
    let x = DMatrix::from_fn(1599, 11, |r, c| wine.records[[r, c]]);
    let y = DMatrix::from_fn(1599, 1, |r, _| wine.targets[r] as f64);
    let data = Dataset::new(x, y).unwrap();
    let (train, test) = data.split(0.2, 1).unwrap();
    let net = Network::dense(11, &hidden, Activation::Tanh, 1).unwrap();
    let prior = if fan { NormalPrior::fan_in(psd) } else { NormalPrior::standard(psd) };
    let mut m = BayesianNetwork::new(net, Gaussian::learned_noise(), prior, &train).unwrap();
    if single { m = m.with_precision(Precision::Single); }
    let nuts = Nuts { max_tree_depth: depth, target_acceptance: target, ..Nuts::default() };
    let t = Instant::now();
    let run = Run { warmup: w, draws: d, seed, ..Run::default() };
    let draws = if a.get(10).map(|s| s.as_str()) == Some("hmc") {
        let hmc = Hmc { trajectory_length: a[11].parse().unwrap(), target_acceptance: target, ..Hmc::default() };
        sample(&m, &hmc, &run).unwrap()
    } else { sample(&m, &nuts, &run).unwrap() };
    let s = t.elapsed().as_secs_f64();
    let g = draws.report.gradients();
    println!("dim {} seconds {s:.1} gradients {g} us/grad(2 cores) {:.1}", draws.dim(), s * 2e6 / g as f64);
    for c in &draws.report.chains { println!("  warm {} samp {} {:?} {:?}", c.warmup_gradients, c.sampling_gradients, c.tuned, c.outcome); }
    println!("{:?}", draws.report.warnings);
    let t = Instant::now();
    let p = m.predict(&draws, &test).unwrap();
    println!("predict {:.2}s", t.elapsed().as_secs_f64());
    let f = function_diagnostics(&p).unwrap();
    println!("{}", f.roll_up_table());
    println!("{}", summary(&draws).parameter_table());
    println!("{}", summary(&draws).group_table());
    let mut sse=0.0; for i in 0..p.num_points { let m: f64 = (0..p.num_draws()).map(|d| p.value(d,i,0)).sum::<f64>()/p.num_draws() as f64; sse += (m-p.observed[i]).powi(2);} println!("rmse {:.4}", (sse/p.num_points as f64).sqrt());
}
