//! Kill a process while it writes a run folder, and read what it leaves.

use ergodic_draws::{
    Block, Column, DrawRef, Draws, Field, Layout, Origin, Outcome, Phase, RunFolder, RunReport, Schema, Sink, Transform,
};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PLACE: &str = "ERGODIC_TEST_RUN_FOLDER";
const CHAINS: usize = 3;
/// So many that the writer is still at work when it is killed, yet ends if nobody kills it.
const DRAWS: usize = 200_000;

fn position(chain: usize, draw: usize) -> [f64; 4] {
    [1.0, 2.0, 3.0, 0.0].map(|x| x + (10 * draw) as f64 + (10_000_000 * chain) as f64)
}

fn schema() -> Schema {
    let blocks = vec![Block::new("weight", &[3]), Block::new("p", &[]).with_transform(Transform::Logistic)];
    Schema {
        layout: Layout::new(blocks).unwrap().into(),
        columns: vec![Column::from(&Field::integer("n_steps"))],
        origin: Origin::Mcmc,
        chains: CHAINS,
        warmup: 0,
        draws: DRAWS,
        report: RunReport::new("test", 1),
    }
}

/// The part of the child: chains on threads of their own, each publishing every 7 draws.
fn write_until_killed(root: &Path) {
    let folder = RunFolder::create(root).unwrap().block_draws(7.try_into().unwrap());
    folder.begin(&schema()).unwrap();
    std::thread::scope(|scope| {
        for number in 0..CHAINS {
            let folder = &folder;
            scope.spawn(move || {
                let mut chain = folder.open_chain(number).unwrap();
                for index in 0..DRAWS {
                    let (position, statistics) = (position(number, index), [index as f64]);
                    let draw = DrawRef { phase: Phase::Sampling, index, position: &position, statistics: &statistics };
                    chain.record(&draw).unwrap();
                }
                chain.finish().unwrap();
            });
        }
    });
    folder.finish(&schema().report).unwrap();
}

fn check(draws: &Draws) {
    for (number, chain) in draws.chains().iter().enumerate() {
        assert_eq!(chain.len() % 7, 0, "whole blocks");
        assert_eq!(chain.statistics.len(), chain.len());
        for draw in 0..chain.len() {
            assert_eq!(chain.position(draw), position(number, draw));
            assert_eq!(chain.statistics.row(draw), [draw as f64]);
        }
    }
    assert!(draws.report.warnings.iter().all(|warning| warning.contains("did not finish")), "{:?}", draws.report.warnings);
}

#[test]
fn a_killed_process_leaves_every_block_that_it_published() {
    if let Some(root) = std::env::var_os(PLACE) {
        return write_until_killed(&PathBuf::from(root));
    }
    for round in 1..=4 {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("run.zarr");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_process_leaves_every_block_that_it_published"])
            .env(PLACE, &root)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Also a reader during the run sees whole blocks only.
        let mut before = 0;
        while before < 50 * round {
            assert!(child.try_wait().unwrap().is_none(), "the writer ended before it was killed");
            if root.join("zarr.json").exists() {
                let draws = RunFolder::load(&root).unwrap();
                check(&draws);
                before = draws.min_len();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let draws = RunFolder::load(&root).unwrap();
        check(&draws);
        assert!(draws.min_len() >= before, "published draws are kept");
        assert_eq!(draws.report.chains.len(), CHAINS);
        assert!(draws.report.chains.iter().all(|chain| matches!(chain.outcome, Outcome::Stopped(_))));
    }
}
