//! Run the program as a user would: a good run, bad input, signals.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn ergodic(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ergodic")).args(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A table of 80 rows: two inputs, a number and a class to predict.
fn table(folder: &Path) {
    let mut text = String::from("a,b,y,class\n");
    for i in 0..80 {
        let (a, b) = (f64::from(i) / 10.0, f64::from((i * 7) % 11));
        text += &format!("{a},{b},{:.4},{}\n", a.sin() + 0.1 * b, if b > 5.0 { "high" } else { "low" });
    }
    fs::write(folder.join("data.csv"), text).unwrap();
}

const SHORT: [&str; 6] = ["--hidden", "4", "--warmup", "60", "--draws", "40"];

fn sample(folder: &Path, target: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["sample", "data.csv", "--target", target];
    arguments.extend(SHORT);
    arguments.extend(more);
    ergodic(folder, &arguments)
}

#[test]
fn a_run_is_sampled_summarised_judged_and_plotted() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    fs::write(
        folder.path().join("data.csv"),
        fs::read_to_string(folder.path().join("data.csv"))
            .unwrap()
            .replace(",high", "")
            .replace(",low", "")
            .replace(",class", ""),
    )
    .unwrap();
    let output = sample(folder.path(), "y", &["--fan-in"]);
    // 0 believable, 3 in doubt, 4 not converged: a short run may be any of them, never an error.
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{}", said(&output));
    assert!(said(&output).contains("network 2-4-1") && said(&output).contains("noise_scale"), "{}", said(&output));
    let summary = ergodic(folder.path(), &["summary", "run.zarr"]);
    assert!(summary.status.success() && said(&summary).contains("layer 0 weights"), "{}", said(&summary));
    let judged = ergodic(folder.path(), &["diagnose", "run.zarr"]);
    assert!(matches!(judged.status.code(), Some(0 | 3 | 4)), "{}", said(&judged));
    let plotted = ergodic(folder.path(), &["plot", "run.zarr", "--out", "pictures"]);
    assert!(plotted.status.success(), "{}", said(&plotted));
    for name in ["traces.svg", "traces.png", "ranks.svg", "ranks.png", "energy.svg", "energy.png"] {
        assert!(folder.path().join("pictures").join(name).exists(), "{name}");
    }
    // The folder is not overwritten.
    let again = sample(folder.path(), "y", &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("run.zarr") && said(&again).contains("already exists"), "{}", said(&again));
}

#[test]
fn approximations_end_in_a_folder_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    let text = fs::read_to_string(folder.path().join("data.csv")).unwrap();
    let numbers: String = text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
    fs::write(folder.path().join("data.csv"), numbers).unwrap();
    let output = sample(folder.path(), "y", &["--method", "deep_ensemble"]);
    assert!(output.status.success(), "{}", said(&output));
    let summary = ergodic(folder.path(), &["summary", "run.zarr"]);
    assert!(said(&summary).contains("ensemble: draws are optimised points"), "{}", said(&summary));
}

#[test]
fn bad_input_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("data.csv"), text).unwrap();
    let rows = |f: &dyn Fn(i32) -> String| (0..30).map(f).collect::<String>();
    let fails = |target: &str, more: &[&str], words: &[&str]| {
        let output = sample(folder.path(), target, more);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        for word in words {
            assert!(said(&output).contains(word), "'{word}' is missing in: {}", said(&output));
        }
        assert!(!folder.path().join("run.zarr").exists(), "a refused run leaves nothing behind");
    };
    write(&format!("a,y\n{}", rows(&|i| if i == 3 { "nan,1\n".to_owned() } else { format!("{i},{}\n", i % 5) })));
    fails("y", &[], &["data.csv", "line 5", "'a'"]);
    write(&format!("a,b,y\n{}", rows(&|i| format!("{i},7,{}\n", i % 5))));
    fails("y", &[], &["'b'", "7", "drop the column"]);
    write(&format!("a,y\n{}", rows(&|i| format!("{i},same\n"))));
    fails("y", &[], &["same", "two classes"]);
    write(&format!("a,y\n{}", rows(&|i| format!("{i},{}\n", i % 5))));
    fails("z", &[], &["no column 'z'", "a, y"]);
    fails("y", &["--method", "nutz"], &["nutz", "nuts, hmc"]);
    fails("y", &["--prior-sd", "0"], &["prior", "positive"]);
    fails("y", &["--prior", "horseshoe", "--prior-scale=-2"], &["prior", "-2"]);
    fails("y", &["--prior", "spike"], &["spike", "spike-and-slab", "regularized-horseshoe"]);
    fails("y", &["--chains", "0"], &["chains", "at least 1"]);
    fails("y", &["--test-fraction", "1.5"], &["fraction", "1.5"]);
    write("a,y\n");
    fails("y", &[], &["data.csv"]);
}

#[cfg(unix)]
mod signals {
    use super::*;
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    /// A program that ends with its test, also when the test fails.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            // It may have ended already, as it should.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Starts a run that would take hours, and waits until draws are on disk.
    fn long_run(folder: &Path) -> Running {
        table(folder);
        let text = fs::read_to_string(folder.join("data.csv")).unwrap();
        let numbers: String = text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
        fs::write(folder.join("data.csv"), numbers).unwrap();
        // As many threads as chains, so that all have draws; more draws than an hour makes.
        let arguments = ["sample", "data.csv", "--target", "y", "--hidden", "2", "--warmup", "50", "--draws", "2000000"];
        let child = Command::new(env!("CARGO_BIN_EXE_ergodic"))
            .args(arguments)
            .args(["--fan-in", "--threads", "4"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Running(child);
        let start = Instant::now();
        while published(folder) == 0 {
            assert!(running.0.try_wait().unwrap().is_none(), "the run ended by itself");
            assert!(start.elapsed() < Duration::from_secs(120), "no draw was written");
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    fn published(folder: &Path) -> usize {
        ergodic::draws::RunFolder::load(folder.join("run.zarr")).map_or(0, |draws| draws.min_len())
    }

    fn signal(running: &Running, name: &str) {
        assert!(Command::new("kill").args([name, &running.0.id().to_string()]).status().unwrap().success());
    }

    #[test]
    fn an_interrupt_ends_the_run_and_keeps_its_draws() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = long_run(folder.path());
        signal(&running, "-INT");
        let status = running.0.wait().unwrap();
        assert!(matches!(status.code(), Some(0 | 3 | 4)), "{status}");
        let draws = ergodic::draws::RunFolder::load(folder.path().join("run.zarr")).unwrap();
        assert!(draws.min_len() > 0);
        assert!(draws.report.chains.iter().all(|chain| !chain.outcome.is_completed()));
    }

    #[test]
    fn a_killed_run_reads_up_to_its_last_whole_block() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = long_run(folder.path());
        signal(&running, "-KILL");
        running.0.wait().unwrap();
        let draws = ergodic::draws::RunFolder::load(folder.path().join("run.zarr")).unwrap();
        assert!(draws.min_len() > 0 && draws.positions().flatten().all(|x| x.is_finite()));
        let summary = ergodic(folder.path(), &["summary", "run.zarr"]);
        assert!(summary.status.success() && said(&summary).contains("did not finish"), "{}", said(&summary));
    }
}
