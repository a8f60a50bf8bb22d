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
    let output = sample(folder.path(), "y", &["--fan-in", "--method", "nuts"]);
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

/// A table of 90 rows: two inputs; a number, a count, and grades as text and as numbers.
fn mixed_table(folder: &Path) {
    let mut text = String::from("a,b,size,visits per day,grade,stars\n");
    for i in 0..90 {
        let (a, b) = (f64::from(i) / 10.0, f64::from((i * 7) % 11));
        let stars = (i * 5 / 7) % 3;
        let grade = ["low", "medium", "high"][stars as usize];
        text += &format!("{a},{b},{:.4},{},{grade},{}\n", 100.0 * a.sin() + b, (i * i) % 5, 2 * stars + 1);
    }
    fs::write(folder.join("all.csv"), text).unwrap();
}

/// Keeps some columns of the mixed table.
fn keep(folder: &Path, columns: &[usize]) {
    let text = fs::read_to_string(folder.join("all.csv")).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        columns.iter().map(|&column| fields[column]).collect::<Vec<_>>().join(",") + "\n"
    };
    fs::write(folder.join("data.csv"), text.lines().map(line).collect::<String>()).unwrap();
}

#[test]
fn counts_outliers_ordered_classes_and_several_targets_are_sampled() {
    let folder = tempfile::tempdir().unwrap();
    mixed_table(folder.path());
    let runs = |columns: &[usize], target: &str, more: &[&str], words: &[&str]| {
        keep(folder.path(), columns);
        let output = sample(folder.path(), target, &[more, &["--fan-in", "--chains", "2"]].concat());
        assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{}", said(&output));
        for word in words {
            assert!(said(&output).contains(word), "'{word}' is missing in: {}", said(&output));
        }
        fs::remove_dir_all(folder.path().join("run.zarr")).unwrap();
    };
    runs(&[0, 1, 2], "size", &["--likelihood", "student-t"], &["student-t", "noise_scale", "degrees_of_freedom"]);
    runs(&[0, 1, 3], "visits per day", &["--likelihood", "poisson"], &["poisson", "network 2-4-1", "CRPS"]);
    runs(&[0, 1, 3], "visits per day", &["--likelihood", "negative-binomial"], &["dispersion"]);
    let ordered = ["--likelihood", "ordinal", "--classes", "low,medium,high"];
    runs(&[0, 1, 4], "grade", &ordered, &["first_cut_point", "cut_point_gap[0]", "accuracy"]);
    runs(&[0, 1, 5], "stars", &["--likelihood", "ordinal"], &["cut_point_gap[0]"]);
    let two = ["--target", "visits per day"];
    runs(&[0, 1, 2, 3], "size", &two, &["network 2-4-2", "noise_scale[0]", "noise_scale[1]", "coverage of 90 %"]);
    let product = ["--target", "visits per day", "--likelihood", "gaussian,negative-binomial"];
    runs(&[0, 1, 2, 3], "size", &product, &["product", "size.noise_scale", "visits_per_day.dispersion"]);
}

#[test]
fn likelihoods_that_do_not_suit_their_targets_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    mixed_table(folder.path());
    let fails = |columns: &[usize], target: &str, more: &[&str], words: &[&str]| {
        keep(folder.path(), columns);
        let output = sample(folder.path(), target, more);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        for word in words {
            assert!(said(&output).contains(word), "'{word}' is missing in: {}", said(&output));
        }
        assert!(!folder.path().join("run.zarr").exists(), "a refused run leaves nothing behind");
    };
    fails(&[0, 1, 2], "size", &["--likelihood", "poisson"], &["row", "'size'", "counts"]);
    fails(&[0, 1, 4], "grade", &["--likelihood", "negative-binomial"], &["'grade'", "text", "categorical or ordinal"]);
    fails(&[0, 1, 4], "grade", &["--likelihood", "ordinal"], &["'grade'", "--classes", "high,low,medium"]);
    let short = ["--likelihood", "ordinal", "--classes", "low,high"];
    fails(&[0, 1, 4], "grade", &short, &["'medium'", "missing", "low, high"]);
    fails(&[0, 1, 2], "size", &["--classes", "low,high"], &["--classes", "ordinal"]);
    let classes = ["--target", "visits per day", "--likelihood", "ordinal"];
    fails(&[0, 1, 2, 3], "size", &classes, &["ordinal", "single target", "2"]);
    fails(&[0, 1, 2], "size", &["--likelihood", "poisson,gaussian"], &["2 likelihoods", "1 targets"]);
    fails(&[0, 1, 2], "size", &["--likelihood", "cauchy"], &["cauchy", "student-t", "poisson"]);
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
fn tempered_runs_say_so_wherever_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    let text = fs::read_to_string(folder.path().join("data.csv")).unwrap();
    let numbers: String = text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
    fs::write(folder.path().join("data.csv"), numbers).unwrap();
    let cold = "tempered: draws are from the density at temperature 0.25";
    let output = sample(folder.path(), "y", &["--temperature", "0.25", "--method", "nuts"]);
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)) && said(&output).contains(cold), "{}", said(&output));
    for command in ["summary", "diagnose"] {
        let output = ergodic(folder.path(), &[command, "run.zarr"]);
        assert!(said(&output).contains(cold), "{}", said(&output));
    }
    assert!(ergodic(folder.path(), &["plot", "run.zarr"]).status.success());
    for name in ["traces.svg", "ranks.svg", "energy.svg"] {
        assert!(fs::read_to_string(folder.path().join("plots").join(name)).unwrap().contains("tempered"), "{name}");
    }
    let output = sample(folder.path(), "y", &["--prior-temperature", "2", "--method", "map", "--out", "map.zarr"]);
    let power = "likelihood temperature 1 and prior temperature 2";
    assert!(output.status.success() && said(&output).contains(power), "{}", said(&output));
    let output = sample(folder.path(), "y", &["--temperature", "1", "--out", "plain.zarr"]);
    assert!(!said(&output).contains("tempered"), "{}", said(&output));
}

/// The table with numbers alone.
fn numbers(folder: &Path) {
    table(folder);
    let text = fs::read_to_string(folder.join("data.csv")).unwrap();
    let numbers: String = text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
    fs::write(folder.join("data.csv"), numbers).unwrap();
}

#[test]
fn weights_leave_as_named_tensors_and_come_back_as_a_start() {
    use ergodic::draws::{RunFolder, SafetensorsFile, TensorNames};
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path());
    let good = |arguments: &[&str]| {
        let output = ergodic(folder.path(), arguments);
        assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{}", said(&output));
        said(&output)
    };
    assert!(sample(folder.path(), "y", &["--method", "map", "--out", "map.zarr"]).status.success());
    let wrote = good(&["export", "map.zarr", "map.safetensors", "--draw", "0:0"]);
    assert!(wrote.contains("wrote map.safetensors") && wrote.contains("point estimate"), "{wrote}");
    let optimum = RunFolder::load(folder.path().join("map.zarr")).unwrap();
    let file = SafetensorsFile::read(folder.path().join("map.safetensors")).unwrap();
    let position = file.position(optimum.layout(), &TensorNames::automatic(), &vec![0.0; optimum.dim()]).unwrap();
    assert!(position.iter().zip(optimum.chains()[0].position(0)).all(|(x, y)| (x - y).abs() < 1e-14));
    let about = file.description().unwrap();
    assert_eq!(about["model"]["inputs"][1]["name"], "b");
    assert!(about["model"]["targets"][0]["sd"].as_f64().unwrap() > 0.0 && about["origin"] == "point", "{about}");

    // The climb begins at the top that the first one found.
    assert!(
        sample(folder.path(), "y", &["--method", "map", "--start", "map.safetensors", "--out", "again.zarr"]).status.success()
    );
    let again = RunFolder::load(folder.path().join("again.zarr")).unwrap();
    let top = optimum.statistic("lp").unwrap()[0][0];
    let begins_at = again.report.objective[0].1;
    assert!(
        (begins_at - top).abs() < 1e-9 * top.abs() && again.statistic("lp").unwrap()[0][0] >= begins_at,
        "{begins_at} {top}"
    );
    let elsewhere = optimum.report.objective[0].1;
    assert!(elsewhere < top - 1.0, "another start is told apart: {elsewhere}");

    // Chains begin there too; their draws leave stacked.
    let output = sample(folder.path(), "y", &["--start", "map.safetensors", "--out", "chains.zarr"]);
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{}", said(&output));
    good(&["export", "chains.zarr", "all.safetensors", "--f32"]);
    let all = SafetensorsFile::read(folder.path().join("all.safetensors")).unwrap();
    assert!(all.tensors().any(|(name, shape)| name == "layer0.weight" && shape == [160, 4, 2]));

    let fails = |arguments: &[&str], words: &[&str]| {
        let output = ergodic(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(words.iter().all(|word| said(&output).contains(word)), "{}", said(&output));
    };
    let wider = ["sample", "data.csv", "--target", "y", "--hidden", "5", "--start", "map.safetensors"];
    fails(&wider, &["'layer0.weight'", "[4, 2]", "[5, 2]"]);
    fails(&[&wider[..], &["--tensor", "layer0.weight"]].concat(), &["BLOCK=TENSOR"]);
    fails(&[&wider[..], &["--tensor", "layer7.weight=a"]].concat(), &["'layer7.weight'"]);
    fails(&["export", "map.zarr", "x.safetensors", "--draw", "0:1"], &["draw 1 of chain 0"]);
    assert!(!folder.path().join("run.zarr").exists(), "a refused run leaves nothing behind");
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
    fails("y", &["--temperature", "0"], &["likelihood temperature", "positive"]);
    fails("y", &["--prior-temperature", "nan"], &["prior temperature", "positive"]);
    fails("y", &["--temperature", "2", "--prior-temperature", "2"], &["cannot be used with"]);
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
