//! Run the developer's commands: `cargo xtask check`, `cargo xtask verify`.

use std::process::{Command, ExitCode};
use std::time::Instant;

/// One command of a list: its name, its arguments for cargo, and the environment it needs.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const fn step(name: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { name, arguments, environment: &[] }
}

/// Cheapest first, so that a mistake shows early.
const CHECK: &[Step] = &[
    step("format", &["fmt", "--all", "--check"]),
    step("lints", &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]),
    Step {
        name: "documentation",
        arguments: &["doc", "--workspace", "--no-deps", "--all-features"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    step("tests", &["test", "--workspace"]),
];

/// Every statistical proof, with the sample sizes that give it its full power.
const VERIFY: &[Step] = &[
    full("invariance", &["test", "--release", "--test", "invariance", "--", "--nocapture"]),
    full("laws", &["test", "--release", "--test", "laws", "--", "--nocapture"]),
    full("metrics", &["test", "--release", "--test", "metrics", "--", "--nocapture"]),
    full("calibration", &["test", "--release", "-p", "ergodic-sampler", "--test", "calibration", "--", "--nocapture"]),
    full("tempering", &["test", "--release", "--test", "tempering", "--", "--nocapture"]),
    full("starts", &["test", "--release", "--test", "starts", "--", "--nocapture"]),
    full("posteriordb", &["test", "--release", "--test", "posteriordb", "--", "--nocapture"]),
    full("every sampler", &["test", "--release", "--test", "posteriordb", "--", "--ignored", "--nocapture"]),
    full(
        "memory",
        &["test", "--release", "-p", "ergodic-sampler", "--test", "memory", "--", "--include-ignored", "--nocapture"],
    ),
    full("reference diagnostics", &["test", "--release", "-p", "ergodic-diagnostics"]),
    full("gradients", &["test", "--release", "-p", "ergodic-model"]),
    full("targets", &["test", "--release", "-p", "ergodic-targets"]),
    full("baselines", &["test", "--release", "-p", "ergodic-baselines"]),
];

const fn full(name: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { name, arguments, environment: &[("PROPTEST_CASES", "1024"), ("ERGODIC_CALIBRATION", "8")] }
}

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let (steps, stop_early) = match task.as_deref() {
        Some("check") => (CHECK, true),
        Some("verify") => (VERIFY, false),
        _ => {
            eprintln!(
                "usage: cargo xtask check    format, lints, documentation, tests\n       cargo xtask verify   every statistical proof, then a table"
            );
            return ExitCode::FAILURE;
        }
    };
    let mut rows = Vec::new();
    for step in steps {
        let start = Instant::now();
        println!("── {}: cargo {}", step.name, step.arguments.join(" "));
        let status = Command::new(env!("CARGO")).args(step.arguments).envs(step.environment.iter().copied()).status();
        let passed = status.is_ok_and(|status| status.success());
        rows.push((step.name, passed, start.elapsed().as_secs_f64()));
        if stop_early && !passed {
            break;
        }
    }
    println!("\n{:<24} {:<8} {:>9}", "step", "result", "seconds");
    for (name, passed, seconds) in &rows {
        println!("{name:<24} {:<8} {seconds:>9.1}", if *passed { "passed" } else { "FAILED" });
    }
    if rows.iter().all(|row| row.1) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
