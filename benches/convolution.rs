//! Measure the gradients of convolutional networks against what the core's arithmetic, and a matrix product of the same work, allow.
//!
//! `cargo bench --bench convolution` prints a table, with `-- --json` one object a line. All cases take turns in each round, and medians
//! over rounds are shown. The work is that of the convolutions and dense layers, forward and back, the first layer needing no
//! derivative in its inputs. Share of the peak: that work at the core's own peak (independent multiply-adds, measured here) over the
//! measured time, everything else in the network included. Share of GEMM: the time that nalgebra's `gemm` (the crate matrixmultiply) takes for products of the
//! same sizes on matrices that are laid out already, over the measured time.

#![allow(clippy::print_stdout)]

#[path = "support/contender.rs"]
mod contender;

use contender::Contender;
use ergodic::model::bench_support::{MeasuredNetwork, Precision, multiply_adds};
use ergodic::model::layers::{AveragePool, Conv2d, Dense, FilterResponseNorm, Flatten, Residual};
use ergodic::model::{Activation, Network};
use nalgebra::{DMatrix, RealField};
use std::hint::black_box;

const ROUNDS: usize = 7;

/// One product of a layer: output channels, inputs that each sums over, places, and whether derivatives pass on.
type Product = (usize, usize, usize, bool);

struct Case {
    name: &'static str,
    network: Network,
    products: Vec<Product>,
    rows: usize,
}

fn lenet() -> (Network, Vec<Product>) {
    let network = Network::builder([1, 28, 28])
        .layer(Conv2d::new(6, [5, 5]).with_padding([2, 2]))
        .layer(Activation::Tanh)
        .layer(AveragePool::new([2, 2]))
        .layer(Conv2d::new(16, [5, 5]))
        .layer(Activation::Tanh)
        .layer(AveragePool::new([2, 2]))
        .layer(Flatten)
        .layer(Dense::new(120))
        .layer(Activation::Tanh)
        .layer(Dense::new(84))
        .layer(Activation::Tanh)
        .layer(Dense::new(10));
    let products = vec![(6, 25, 784, false), (16, 150, 100, true), (120, 400, 1, true), (84, 120, 1, true), (10, 84, 1, true)];
    (network.build().expect("shapes agree"), products)
}

fn residual() -> (Network, Vec<Product>) {
    let convolution = || Conv2d::new(16, [3, 3]).with_padding([1, 1]);
    let block = || {
        let norm = FilterResponseNorm::new;
        Residual::new().layer(convolution()).layer(norm()).layer(convolution()).layer(norm())
    };
    let network = Network::builder([1, 28, 28])
        .layer(convolution())
        .layer(FilterResponseNorm::new())
        .layer(block())
        .layer(block())
        .layer(AveragePool::new([7, 7]))
        .layer(Flatten)
        .layer(Dense::new(10));
    let mut products = vec![(16, 9, 784, false)];
    products.extend([(16, 144, 784, true); 4]);
    products.push((10, 256, 1, true));
    (network.build().expect("shapes agree"), products)
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rows in [100, 1000] {
        let (network, products) = lenet();
        cases.push(Case { name: "LeNet-5", network, products, rows });
    }
    let (network, products) = residual();
    cases.push(Case { name: "residual, 16 channels", network, products, rows: 100 });
    cases
}

/// Operations of a gradient over one row.
fn operations(products: &[Product]) -> f64 {
    products.iter().map(|&(m, k, n, passes_on)| (2 * m * k * n * if passes_on { 3 } else { 2 }) as f64).sum()
}

/// The products of a network's gradient over all rows, a layer at a time.
fn products<T: RealField + Copy>(products: &[Product], rows: usize) -> Contender {
    let one = T::one();
    let matrix = |rows, columns| DMatrix::from_element(rows, columns, one);
    let layers: Vec<_> = products
        .iter()
        .map(|&(m, k, places, passes_on)| (matrix(m, k), matrix(k, places * rows), matrix(m, places * rows), passes_on))
        .collect();
    let mut results: Vec<_> = layers.iter().map(|(w, x, y, _)| (y.clone(), w.clone(), x.clone())).collect();
    // The right sides as they are laid out for a product without transposition.
    let transposed: Vec<_> = layers.iter().map(|(w, x, _, _)| (w.transpose(), x.transpose())).collect();
    Contender::new(move || {
        for (((weights, taps, outputs, passes_on), (to, d_weights, d_taps)), (weights_across, taps_across)) in
            layers.iter().zip(&mut results).zip(&transposed)
        {
            to.gemm(one, weights, taps, T::zero());
            d_weights.gemm(one, outputs, taps_across, T::zero());
            if *passes_on {
                d_taps.gemm(one, weights_across, outputs, T::zero());
            }
        }
        black_box(&mut results);
    })
}

/// Rows over which the matrix products are timed: a batch whose unrolled images stay near the caches.
const PRODUCT_ROWS: usize = 8;

struct Field {
    name: &'static str,
    operations: f64,
    peak: Contender,
    gradients: Vec<Contender>,
    products: Vec<Contender>,
}

fn field(name: &'static str, precision: Precision) -> Field {
    let gradient = |case: &Case| {
        let mut gradient = MeasuredNetwork::new(&case.network, case.rows, precision);
        let position: Vec<f64> = (0..gradient.dim()).map(|i| (i as f64 * 1.3).sin() * 0.1).collect();
        Contender::new(move || {
            black_box(gradient.evaluate(black_box(&position)));
        })
    };
    let product = |case: &Case| match precision {
        Precision::Double => products::<f64>(&case.products, PRODUCT_ROWS),
        Precision::Single => products::<f32>(&case.products, PRODUCT_ROWS),
    };
    Field {
        name,
        operations: multiply_adds(precision).1,
        peak: Contender::new(move || {
            black_box(multiply_adds(precision));
        }),
        gradients: cases().iter().map(gradient).collect(),
        products: cases().iter().map(product).collect(),
    }
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut fields = [field("f64", Precision::Double), field("f32", Precision::Single)];
    for _ in 0..ROUNDS {
        for field in &mut fields {
            field.peak.turn();
            field.gradients.iter_mut().for_each(Contender::turn);
            field.products.iter_mut().for_each(Contender::turn);
        }
    }
    for field in &fields {
        let peak = field.operations / field.peak.best();
        if !json {
            println!("\n{}: peak {:.1} GFLOP/s", field.name, peak * 1e-9);
            println!("network                 rows   us/row   GFLOP/s   of peak   GEMM us/row   of GEMM");
        }
        for (case, (gradient, product)) in cases().iter().zip(field.gradients.iter().zip(&field.products)) {
            let work = operations(&case.products);
            let row = gradient.median() / case.rows as f64;
            let gemm = product.median() / PRODUCT_ROWS as f64;
            let (us, gflops, of_peak) = (row * 1e6, work / row * 1e-9, work / row / peak);
            let (gemm_us, of_gemm) = (gemm * 1e6, gemm / row);
            let Case { name, rows, .. } = case;
            if json {
                println!(
                    "{{\"precision\":\"{}\",\"network\":\"{name}\",\"rows\":{rows},\"microseconds_per_row\":{us:.3},\"gflops\":{gflops:.2},\
                     \"share_of_peak\":{of_peak:.3},\"gemm_microseconds_per_row\":{gemm_us:.3},\"share_of_gemm\":{of_gemm:.3},\
                     \"peak_gflops\":{:.2}}}",
                    field.name,
                    peak * 1e-9
                );
            } else {
                println!("{name:22} {rows:5} {us:8.1} {gflops:9.1} {of_peak:9.2} {gemm_us:13.1} {of_gemm:9.2}");
            }
        }
    }
}
