//! Kill a run at random moments, fifty times, go on each time from its checkpoint, and compare bits.

use ergodic_draws::{Draws, RunFolder};
use ergodic_model::{LogDensity, Purpose, density, stream};
use ergodic_sampler::{Checkpoint, CheckpointSchedule, Nuts, Run, Sampler};
use rand::RngExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PLACE: &str = "ERGODIC_TEST_KILLED_RUN";
const THREADS: &str = "ERGODIC_TEST_THREADS";
const NAME: &str = "a_run_killed_fifty_times_equals_one_that_was_not";
const KILLS: usize = 50;

/// Correlated normals, each gradient of which takes a while.
fn target() -> impl LogDensity + Clone + Send + Sync {
    density(3, |x: &[f64], gradient: &mut [f64]| {
        std::thread::sleep(Duration::from_micros(20));
        let z = x[1] - 0.9 * x[0];
        gradient.copy_from_slice(&[-x[0] + 5.0 * 0.9 * z, -5.0 * z, -x[2]]);
        -0.5 * (x[0] * x[0] + 5.0 * z * z + x[2] * x[2])
    })
}

fn run(threads: usize) -> Run {
    Run { chains: 3, warmup: 100, draws: 200, seed: 9, threads: Some(threads), ..Run::default() }
}

/// Begins the run in the folder `place`, or goes on where it was killed.
fn run_or_go_on(place: &Path, threads: usize) {
    let (folder, file) = (place.join("run.zarr"), place.join("run.checkpoint"));
    let schedule = CheckpointSchedule { seconds: 0.0, largest_share: 1.0 };
    let density = target();
    let sampler = Sampler::new(&density, Nuts::default(), run(threads)).checkpoint_to(&file, schedule);
    let sink;
    let sampler = if file.exists() {
        sink = RunFolder::open(&folder).unwrap();
        sampler.resume(Checkpoint::load(&file).unwrap())
    } else {
        // Killed before its first checkpoint: there is nothing to lose.
        let _ = std::fs::remove_dir_all(&folder);
        sink = RunFolder::create(&folder).unwrap();
        sampler
    };
    sampler.sink(&sink).run_into_sink().unwrap();
}

fn start(place: &Path, threads: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(PLACE, place)
        .env(THREADS, threads.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Positions, statistics and statistics of warm-up of all chains, as bits.
fn bits(draws: &Draws) -> Vec<Vec<u64>> {
    let chain = |chain: &ergodic_draws::ChainDraws| {
        let statistics = (0..chain.len()).flat_map(|draw| chain.statistics.row(draw));
        let warmup = (0..chain.warmup_statistics.len()).flat_map(|draw| chain.warmup_statistics.row(draw));
        chain.positions().flatten().chain(statistics).chain(warmup).map(|x| x.to_bits()).collect()
    };
    draws.chains().iter().map(chain).collect()
}

#[test]
fn a_run_killed_fifty_times_equals_one_that_was_not() {
    if let Some(place) = std::env::var_os(PLACE) {
        let threads = std::env::var(THREADS).unwrap().parse().unwrap();
        return run_or_go_on(Path::new(&place), threads);
    }
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    std::fs::create_dir(&whole).unwrap();
    run_or_go_on(&whole, 2);
    let whole = bits(&RunFolder::load(whole.join("run.zarr")).unwrap());
    assert!(whole.iter().all(|chain| chain.len() > 200 * 4));
    let mut rng = stream(17, 0, Purpose::Test);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        runs += 1;
        let place = place.path().join(format!("run{runs}"));
        std::fs::create_dir(&place).unwrap();
        loop {
            let mut child = start(&place, rng.random_range(1..=3));
            if kills < KILLS {
                std::thread::sleep(Duration::from_millis(rng.random_range(0..150)));
                child.kill().unwrap();
            }
            // A run that ended by itself before is a success too; one that was killed goes on.
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            assert!(status.code().is_none(), "the run failed by itself: {status}");
            kills += 1;
        }
        let draws = RunFolder::load(place.join("run.zarr")).unwrap();
        assert!(bits(&draws) == whole, "run {runs} went another way after {kills} kills");
        assert!(draws.report.chains.iter().all(|chain| chain.outcome.is_completed()), "{:?}", draws.report);
    }
}
