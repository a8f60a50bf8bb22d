//! Run the examples as a user would, in their quick form, and look at what they leave behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example's program, which cargo builds beside the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap().join("examples");
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn run(name: &str, folder: &Path) -> String {
    let Output { status, stdout, stderr } =
        Command::new(program(name)).arg("--quick").current_dir(folder).output().expect("cargo builds the examples");
    assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Both formats of a picture are there, and are what they say.
fn assert_picture(path: &Path) {
    let png = std::fs::read(path.with_extension("png")).unwrap();
    assert_eq!(&png[1..4], b"PNG", "{}", path.display());
    let svg = std::fs::read_to_string(path.with_extension("svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("</svg>"), "{}", path.display());
}

#[test]
fn wine_quality_compares_four_methods_and_draws_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("wine_quality", folder.path());
    for word in ["R-hat", "noise_scale", "layer 1 weights", "NUTS", "mean-field VI", "deep ensemble", "single network"] {
        assert!(said.contains(word), "'{word}' is missing in:\n{said}");
    }
    // What is not exact says so.
    assert!(said.contains("approximation: draws follow a fitted family"));
    let output = folder.path().join("output/wine_quality");
    for picture in ["traces", "ranks", "energy", "predictive", "coverage", "variational_objective"] {
        assert_picture(&output.join(picture));
    }
    let draws = ergodic::draws::RunFolder::load(output.join("run.zarr")).unwrap();
    assert_eq!((draws.chains().len(), draws.dim()), (4, 482));
    // A second run replaces the first.
    run("wine_quality", folder.path());
}

#[test]
fn own_model_prints_a_summary_and_draws_traces() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("own_model", folder.path());
    assert!(said.contains("x[2]") && said.contains("trustworthy"), "{said}");
    assert_picture(&folder.path().join("output/own_model_traces"));
}

#[cfg(feature = "autodiff")]
#[test]
fn automatic_gradient_finds_the_effects_of_eight_schools() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("automatic_gradient", folder.path());
    assert!(said.contains("tau") && said.contains("z[7]") && !said.contains("not converged"), "{said}");
    assert_picture(&folder.path().join("output/automatic_gradient_traces"));
}

#[test]
fn own_likelihood_checks_its_gradient_and_finds_the_closed_sites() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("own_likelihood", folder.path());
    for word in ["zero_share", "R-hat", "zero-inflated Poisson", "log density"] {
        assert!(said.contains(word), "'{word}' is missing in:\n{said}");
    }
}

#[test]
fn integrated_output_compares_two_forms_of_a_posterior() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("integrated_output", folder.path());
    assert!(said.contains("whole") && said.contains("integrated") && said.contains("2-20-1"), "{said}");
}

#[test]
fn uncertainty_away_from_data_prints_the_numbers_behind_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("uncertainty_away_from_data", folder.path());
    assert!(said.contains("in the gap") && said.contains("posterior (NUTS)"), "{said}");
    assert_picture(&folder.path().join("output/uncertainty/bands"));
}

#[test]
fn own_prior_checks_its_gradient_and_shows_its_humps() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("own_prior", folder.path());
    for word in ["gradient is right: true", "two humps at ±1, sd 0.2", "above ½", "R-hat"] {
        assert!(said.contains(word), "'{word}' is missing in:\n{said}");
    }
}

#[test]
fn convolutional_network_prints_its_calibration() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("convolutional_network", folder.path());
    for word in ["1×8×8 | conv2d | tanh | average pool", "share right", "posterior (NUTS)", "single network", "accuracy"] {
        assert!(said.contains(word), "'{word}' is missing in:\n{said}");
    }
}

#[test]
fn own_layer_is_checked_and_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let said = run("own_layer", folder.path());
    for word in ["2 | radial basis | dense | 1", "noise_scale", "layer 0"] {
        assert!(said.contains(word), "'{word}' is missing in:\n{said}");
    }
}
