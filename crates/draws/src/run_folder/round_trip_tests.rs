//! Check that any draws written to a run folder are loaded with the same bits.

use super::tests::Unsynced;
use super::*;
use crate::{
    Block, ChainDraws, ChainReport, Column, Draws, Field, Layout, Memory, Origin, Outcome, Role, Statistics, Tee, Temperatures,
    Transform,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Values of every kind that a sampler may come to: usual ones, zeros of both signs, tiny and huge ones, and what is not finite.
fn real() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -10.0..10.0,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324]),
    ]
}

fn transform() -> impl Strategy<Value = Transform> {
    prop::sample::select(vec![Transform::Identity, Transform::Identity, Transform::Exp { factor: 2.5 }, Transform::Logistic])
}

fn layout() -> impl Strategy<Value = Layout> {
    let block = (prop::collection::vec(0..4_usize, 0..4), transform(), prop::option::of(0..3_usize));
    prop::collection::vec(block, 0..5).prop_map(|blocks| {
        let name = |(number, (shape, transform, layer)): (usize, (Vec<usize>, Transform, Option<usize>))| {
            let block = Block::new(format!("b{number}.w"), &shape).with_transform(transform).with_role(Role::Weight);
            let block = match transform {
                Transform::Exp { .. } => {
                    let factors = (1..=block.len()).map(|index| 0.5 * index as f64).collect();
                    block.with_factors(factors)
                }
                _ => block,
            };
            if let Some(layer) = layer { block.in_layer(layer) } else { block }
        };
        Layout::new(blocks.into_iter().enumerate().map(name).collect()).unwrap()
    })
}

fn statistics(columns: &[Column], rows: usize) -> impl Strategy<Value = Statistics> + use<> {
    let columns = columns.to_vec();
    let row = (real(), -(1_i64 << 53)..=1_i64 << 53, any::<bool>());
    prop::collection::vec(row, rows).prop_map(move |rows| {
        let mut statistics = Statistics::new(columns.clone());
        for (real, integer, flag) in rows {
            let all = [real, integer as f64, f64::from(u8::from(flag))];
            statistics.push(&all[..columns.len()]);
        }
        statistics
    })
}

fn chain(dim: usize, columns: &[Column]) -> impl Strategy<Value = ChainDraws> + use<> {
    let columns = columns.to_vec();
    (0..12_usize, 0..9_usize).prop_flat_map(move |(draws, warmup)| {
        let positions = prop::collection::vec(real(), draws * dim);
        (positions, statistics(&columns, draws), statistics(&columns, warmup)).prop_map(
            move |(positions, statistics, warmup_statistics)| {
                let mut chain = match dim {
                    0 => ChainDraws::new(0),
                    _ => ChainDraws::from_positions(dim, positions),
                };
                if dim > 0 {
                    chain.statistics = statistics;
                } else {
                    // Without coordinates a chain cannot say how long it is.
                    chain.statistics = Statistics::new(statistics.columns().to_vec());
                }
                if !warmup_statistics.is_empty() {
                    chain.warmup_statistics = warmup_statistics;
                }
                chain
            },
        )
    })
}

fn report() -> impl Strategy<Value = RunReport> {
    let chain = (any::<u64>(), real(), real(), 0..3).prop_map(|(gradients, seconds, step_size, outcome)| ChainReport {
        warmup_gradients: gradients,
        sampling_gradients: gradients / 2,
        warmup_seconds: seconds,
        sampling_seconds: 1.5,
        tuned: BTreeMap::from([("step_size".to_owned(), step_size)]),
        outcome: match outcome {
            0 => Outcome::Completed,
            1 => Outcome::Stopped("by \"signal\"".to_owned()),
            _ => Outcome::Failed("row 3: ünexpected\n".to_owned()),
        },
    });
    (any::<u64>(), real(), real(), prop::collection::vec(chain, 0..4), prop::collection::vec((any::<u64>(), real()), 0..3))
        .prop_map(|(seed, temperature, seconds, chains, objective)| {
            let mut report = RunReport::new("nuts", seed);
            report.settings = serde_json::json!({"draws": 3, "name": "\\ \"quoted\"", "rate": 0.1});
            (report.seconds, report.chains, report.objective) = (seconds, chains, objective);
            report.temperatures = Temperatures { likelihood: temperature, prior: 0.5 };
            report.warnings = vec!["a warning".to_owned()];
            report
        })
}

fn draws() -> impl Strategy<Value = Draws> {
    let all = [Field::real("lp"), Field::integer("n_steps"), Field::flag("diverging")];
    let origins = vec![Origin::Mcmc, Origin::BiasedMcmc, Origin::Approximation, Origin::Ensemble, Origin::Point];
    (layout(), 0..=3_usize, prop::sample::select(origins), report()).prop_flat_map(move |(layout, fields, origin, report)| {
        let columns: Vec<Column> = all[..fields].iter().map(Column::from).collect();
        prop::collection::vec(chain(layout.dim(), &columns), 0..4)
            .prop_map(move |chains| Draws::new(layout.clone(), origin, chains, report.clone()))
    })
}

/// Everything of `draws`, in a form in which NaN equals NaN and the two zeros differ.
fn bits(draws: &Draws) -> String {
    let values = |chain: &ChainDraws| -> Vec<u64> {
        let rows = |statistics: &Statistics| -> Vec<f64> {
            (0..statistics.len()).flat_map(|row| statistics.row(row).to_vec()).collect()
        };
        let reals = chain.positions().flatten().copied().chain(rows(&chain.statistics)).chain(rows(&chain.warmup_statistics));
        reals.map(f64::to_bits).collect()
    };
    let chains: Vec<_> = draws.chains().iter().map(|chain| (chain.len(), chain.statistics.columns(), values(chain))).collect();
    let report = serde_json::to_string(&draws.report).unwrap();
    format!("{:?} {:?} {report} {chains:?}", draws.layout(), draws.origin())
}

/// Hands finished draws to a sink, as a driver would.
fn replay(draws: &Draws, sink: &impl Sink) {
    let columns = draws.chains().first().map_or_else(Vec::new, |chain| chain.statistics.columns().to_vec());
    sink.begin(&Schema {
        layout: draws.layout().clone(),
        columns,
        origin: draws.origin(),
        chains: draws.chains().len(),
        warmup: 9,
        draws: 11,
        report: RunReport::new("nuts", 0),
    })
    .unwrap();
    std::thread::scope(|scope| {
        for (number, chain) in draws.chains().iter().enumerate() {
            scope.spawn(move || {
                let mut writer = sink.open_chain(number).unwrap();
                for index in 0..chain.warmup_statistics.len() {
                    let statistics = chain.warmup_statistics.row(index);
                    writer.record(&DrawRef { phase: Phase::Warmup, index, position: &[], statistics }).unwrap();
                }
                for (index, position) in chain.positions().enumerate() {
                    let statistics = if chain.statistics.is_empty() { &[] } else { chain.statistics.row(index) };
                    writer.record(&DrawRef { phase: Phase::Sampling, index, position, statistics }).unwrap();
                }
                writer.finish().unwrap();
            });
        }
    });
    sink.finish(&draws.report).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_loaded(draws in draws(), block_draws in 1..14_usize) {
        let place = tempfile::tempdir()?;
        let (whole, blocks) = (place.path().join("new/whole.zarr"), place.path().join("blocks.zarr"));
        RunFolder::create_in(&whole, Arc::new(Unsynced))?.write_draws(&draws)?;
        let loaded = RunFolder::load(&whole)?;
        prop_assert_eq!(bits(&loaded), bits(&draws));

        let folder = RunFolder::create_in(&blocks, Arc::new(Unsynced))?.block_draws(block_draws.try_into()?);
        let sink = Tee::new(&folder, Memory::new().keep_warmup_statistics());
        replay(&draws, &sink);
        prop_assert_eq!(bits(&RunFolder::load(&blocks)?), bits(&draws));
        let (_, memory) = sink.into_inner();
        prop_assert_eq!(bits(&memory.into_draws(draws.report.clone())), bits(&draws));
    }
}

#[test]
fn no_damage_to_the_metadata_makes_loading_panic() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("run.zarr");
    let mut chain = ChainDraws::from_positions(3, (0..30).map(f64::from).collect());
    chain.statistics = Statistics::new(vec![Column::from(&Field::flag("diverging"))]);
    (0..10).for_each(|_| chain.statistics.push(&[1.0]));
    let layout = Layout::new(vec![Block::new("w", &[2]), Block::new("tau", &[]).with_transform(Transform::EXP)]).unwrap();
    RunFolder::write(&root, &Draws::new(layout, Origin::Mcmc, vec![chain], RunReport::new("nuts", 1))).unwrap();
    let file = root.join("zarr.json");
    let text = fs::read(&file).unwrap();
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..8_usize);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let load_damaged = |(at, byte, length): (prop::sample::Index, u8, usize)| {
        let mut text = text.clone();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, std::iter::repeat_n(byte, length));
        fs::write(&file, text)?;
        // Either the damage is found, or it hit what loading does not need; then no draw that was not written appears.
        if let Ok(draws) = RunFolder::load(&root) {
            prop_assert!(draws.positions().flatten().all(|value| value.fract() == 0.0 && (0.0..30.0).contains(value)));
        }
        Ok(())
    };
    runner.run(&damage, load_damaged).unwrap();
}

#[test]
fn statistics_must_fit_the_draws() {
    let place = tempfile::tempdir().unwrap();
    let mut chain = ChainDraws::from_positions(1, vec![1.0, 2.0]);
    chain.statistics = Statistics::new(vec![Column::from(&Field::real("lp"))]);
    let with = |chains| Draws::new(Layout::flat(1), Origin::Mcmc, chains, RunReport::new("nuts", 1));
    assert!(RunFolder::write(place.path().join("a"), &with(vec![chain.clone()])).is_err());
    chain.statistics.push(&[1.0]);
    chain.statistics.push(&[2.0]);
    assert!(RunFolder::write(place.path().join("b"), &with(vec![chain.clone()])).is_ok());
    let other = ChainDraws::from_positions(1, vec![1.0]);
    assert!(RunFolder::write(place.path().join("c"), &with(vec![chain, other])).is_err());
}
