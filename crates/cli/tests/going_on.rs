//! Stop, kill and extend runs of the program, and compare them with runs that were left alone.

use ergodic::draws::RunFolder;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A table of 80 rows: two inputs and a number to predict.
fn table(folder: &Path) {
    let mut text = String::from("a,b,y\n");
    for i in 0..80 {
        let (a, b) = (f64::from(i) / 10.0, f64::from((i * 7) % 11));
        text += &format!("{a},{b},{:.4}\n", a.sin() + 0.1 * b);
    }
    fs::write(folder.join("data.csv"), text).unwrap();
}

const COMMON: [&str; 11] =
    ["sample", "data.csv", "--target", "y", "--hidden", "2", "--warmup", "60", "--chains", "3", "--fan-in"];

fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ergodic"));
    command.args(COMMON).args(more).current_dir(folder);
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a run says that is no error: 0 believable, 3 in doubt or without a draw yet, 4 not converged.
fn good(folder: &Path, more: &[&str]) -> String {
    let output = command(folder, more).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{}", said(&output));
    said(&output)
}

fn fails(folder: &Path, more: &[&str], words: &[&str]) {
    let output = command(folder, more).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for word in words {
        assert!(said(&output).contains(word), "'{word}' is missing in: {}", said(&output));
    }
}

/// Positions and statistics of a run folder as bits.
fn bits(folder: &Path, name: &str) -> Vec<Vec<u64>> {
    let draws = RunFolder::load(folder.join(name)).unwrap();
    let chain = |chain: &ergodic::draws::ChainDraws| {
        let statistics = (0..chain.len()).flat_map(|draw| chain.statistics.row(draw));
        chain.positions().flatten().chain(statistics).map(|x| x.to_bits()).collect()
    };
    draws.chains().iter().map(chain).collect()
}

#[test]
fn a_run_that_is_stopped_again_and_again_equals_one_that_was_not_and_can_be_extended() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    table(folder);
    good(folder, &["--draws", "40", "--out", "whole.zarr"]);
    good(folder, &["--draws", "70", "--out", "longer.zarr"]);
    let first = good(folder, &["--draws", "40", "--checkpoint", "run.ckpt", "--max-gradients", "100"]);
    assert!(first.contains("--resume goes on"), "{first}");
    let resume = ["--draws", "40", "--checkpoint", "run.ckpt", "--resume"];
    for limit in ["400", "900", "1400"] {
        good(folder, &[&resume[..], &["--max-gradients", limit, "--threads", "2"]].concat());
    }
    let last = good(folder, &resume);
    assert!(last.contains("noise_scale"), "{last}");
    assert!(bits(folder, "run.zarr") == bits(folder, "whole.zarr"), "the run went another way after it was stopped");
    let report = |name: &str| RunFolder::load(folder.join(name)).unwrap().report;
    assert_eq!(report("run.zarr").gradients(), report("whole.zarr").gradients());
    assert!(report("run.zarr").chains.iter().all(|chain| chain.outcome.is_completed()));

    good(folder, &["--draws", "70", "--checkpoint", "run.ckpt", "--resume"]);
    assert!(bits(folder, "run.zarr") == bits(folder, "longer.zarr"), "the extended run went another way");
}

#[test]
fn a_killed_run_goes_on_where_its_checkpoint_is() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    table(folder);
    let run = ["--draws", "1500", "--checkpoint", "run.ckpt"];
    good(folder, &["--draws", "1500", "--out", "whole.zarr"]);
    let mut killed = command(folder, &run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !folder.join("run.ckpt").exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Somewhere in it; a run that has ended by itself goes on too, with nothing to do.
    std::thread::sleep(Duration::from_millis(300));
    killed.kill().unwrap();
    killed.wait().unwrap();
    good(folder, &[&run[..], &["--resume"]].concat());
    assert!(bits(folder, "run.zarr") == bits(folder, "whole.zarr"), "the run went another way after it was killed");
}

#[test]
fn a_goal_ends_the_run_and_one_that_was_not_reached_says_so() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    table(folder);
    let goal = ["--until-rhat", "1.2", "--until-ess", "60", "--draws", "5000"];
    let reached = good(folder, &[&goal[..], &["--out", "whole.zarr"]].concat());
    assert!(reached.contains("after 100 draws: R-hat"), "{reached}");
    let whole = RunFolder::load(folder.join("whole.zarr")).unwrap();
    assert!(whole.min_len() >= 100 && whole.min_len() < 5000, "{} draws", whole.min_len());
    // The same, stopped on the way: it looks at the same draws, and ends at the same.
    let checkpoint = ["--checkpoint", "run.ckpt"];
    good(folder, &[&goal[..], &checkpoint, &["--max-gradients", "1000"]].concat());
    good(folder, &[&goal[..], &checkpoint, &["--resume"]].concat());
    assert!(bits(folder, "run.zarr") == bits(folder, "whole.zarr"));
    let missed = good(folder, &["--until-ess", "100000", "--draws", "120", "--out", "short.zarr"]);
    assert!(missed.contains("the goal was not reached"), "{missed}");
    assert!(missed.contains("after 120 draws"), "{missed}");
}

#[test]
fn optimised_starts_are_charged_to_the_chains() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    table(folder);
    let warm = good(folder, &["--draws", "20", "--warm-start"]);
    assert!(warm.contains("begin at optimised weights, which cost 1503 gradients"), "{warm}");
    good(folder, &["--draws", "20", "--out", "cold.zarr"]);
    let report = |name: &str| RunFolder::load(folder.join(name)).unwrap().report;
    assert!(report("run.zarr").chains.iter().all(|chain| chain.warmup_gradients > 501));
    assert_ne!(bits(folder, "run.zarr"), bits(folder, "cold.zarr"));
}

#[test]
fn what_cannot_go_on_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    table(folder);
    let nothing_new = || assert!(!folder.join("other.zarr").exists(), "a refused run leaves nothing behind");
    fails(folder, &["--resume"], &["--checkpoint"]);
    fails(folder, &["--resume", "--checkpoint", "none.ckpt", "--out", "other.zarr"], &["none.ckpt", "cannot read"]);
    fails(folder, &["--until-rhat", "0.9", "--out", "other.zarr"], &["goal.rhat is 0.9", "above 1"]);
    fails(folder, &["--max-seconds", "0", "--out", "other.zarr"], &["budget.seconds", "0"]);
    fails(folder, &["--method", "map", "--checkpoint", "run.ckpt", "--out", "other.zarr"], &["--checkpoint", "Markov", "map"]);
    nothing_new();
    good(folder, &["--draws", "20", "--checkpoint", "run.ckpt"]);
    fails(folder, &["--draws", "20", "--checkpoint", "run.ckpt", "--out", "other.zarr"], &["run.ckpt", "exists already"]);
    nothing_new();
    let resume = ["--draws", "30", "--checkpoint", "run.ckpt", "--resume"];
    fails(folder, &[&resume[..], &["--seed", "2"]].concat(), &["does not fit", "seed is 1, and the run's is 2"]);
    fails(folder, &[&resume[..], &["--prior-scale", "2"]].concat(), &["does not fit", "test position"]);
    fails(folder, &[&resume[..], &["--method", "hmc"]].concat(), &["method is mclmc", "hmc"]);
    fails(folder, &[&resume[..], &["--out", "other.zarr"]].concat(), &["other.zarr"]);
    nothing_new();
    fs::write(folder.join("run.ckpt"), "ERGODICK, or not").unwrap();
    fails(folder, &resume, &["not a usable checkpoint"]);
}
