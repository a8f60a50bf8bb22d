//! Measure which sampler gives most for its gradients, on networks and on classical targets, against long exact runs.
//!
//! `cargo bench --bench efficiency` runs what is missing and prints the table; it keeps references, rows and pictures in
//! `target/efficiency` (or `--out FOLDER`), so it can be stopped and goes on. `-- --only yacht,mclmc` takes some posteriors and samplers,
//! `-- --fresh` measures rows again, `-- --json` prints one object a row, `-- --markdown` the table as the book has it.
//! `-- --stiff` samples networks with learned noise, of which most do not mix, and says how far each came; `--gradients N` gives every
//! chain of it N gradients. Three of the networks need the UCI data in `ERGODIC_DATA`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cases;
mod contenders;
#[path = "../support/data.rs"]
mod data;
mod reference;
mod score;
mod stiff;
mod table;

use cases::CASES;
use contenders::CONTENDERS;
use reference::Reference;
use score::Row;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use stiff::STIFF;

/// What the command line asks for.
struct Arguments {
    only: Vec<String>,
    out: PathBuf,
    seed: u64,
    fresh: bool,
    json: bool,
    markdown: bool,
    stiff: bool,
    gradients: Option<u64>,
}

fn arguments() -> Result<Arguments, String> {
    let out = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/efficiency");
    let mut found =
        Arguments { only: Vec::new(), out, seed: 1, fresh: false, json: false, markdown: false, stiff: false, gradients: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--only" => found.only = value()?.split(',').map(str::to_owned).collect(),
            "--out" => found.out = PathBuf::from(value()?),
            "--seed" => found.seed = value()?.parse().map_err(|_| "--seed needs a whole number")?,
            "--stiff" => found.stiff = true,
            "--gradients" => found.gradients = Some(value()?.parse().map_err(|_| "--gradients needs a whole number")?),
            "--fresh" => found.fresh = true,
            "--json" => found.json = true,
            "--markdown" => found.markdown = true,
            // Cargo adds it.
            "--bench" => {}
            _ => return Err(format!("unknown option '{word}'; see the head of benches/efficiency/main.rs")),
        }
    }
    let names: Vec<&str> = if found.stiff {
        STIFF.iter().map(|case| case.0).collect()
    } else {
        CASES.iter().map(|case| case.0).chain(CONTENDERS.iter().map(|contender| contender.name)).collect()
    };
    match found.only.iter().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("there is no posterior or sampler '{name}'; there are: {}", names.join(", "))),
        None => Ok(found),
    }
}

/// Whether a name is asked for, among all `names` of its kind; all are where none is named.
fn is_wanted<'a>(only: &[String], name: &str, mut names: impl Iterator<Item = &'a str>) -> bool {
    only.iter().any(|wanted| wanted == name) || !names.any(|known| only.iter().any(|wanted| wanted == known))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    fs::create_dir_all(&arguments.out)?;
    if arguments.stiff {
        let wanted = |name: &str| is_wanted(&arguments.only, name, STIFF.iter().map(|case| case.0));
        return stiff::run(wanted, arguments.gradients, arguments.seed, arguments.json);
    }
    let mut rows = Vec::new();
    for (name, build) in CASES {
        if !is_wanted(&arguments.only, name, CASES.iter().map(|case| case.0)) {
            continue;
        }
        let case = match build() {
            Ok(case) => case,
            Err(error) => {
                eprintln!("{name}: skipped: {error}");
                continue;
            }
        };
        let mut reference = None;
        for contender in CONTENDERS {
            let wanted = is_wanted(&arguments.only, contender.name, CONTENDERS.iter().map(|contender| contender.name));
            if !wanted || (contender.networks_only && !case.is_network) {
                continue;
            }
            let path = arguments.out.join(format!("{name}.{}.{}.json", contender.name, arguments.seed));
            let kept = if arguments.fresh { None } else { fs::read_to_string(&path).ok() };
            let row: Row = match kept {
                Some(text) => serde_json::from_str(&text)?,
                None => {
                    if reference.is_none() {
                        reference = Some(Reference::load_or_run(&case, &arguments.out)?);
                    }
                    let Some(reference) = &reference else { continue };
                    eprintln!("{name}: {}", contender.name);
                    let timed = match (contender.run)(&case, arguments.seed) {
                        Ok(timed) => timed,
                        Err(error) => {
                            eprintln!("{name}: {} gave no draws: {error}", contender.name);
                            continue;
                        }
                    };
                    let row = score::score(&case, contender.name, &timed.draws, timed.seconds, reference)?;
                    fs::write(&path, serde_json::to_string(&row)?)?;
                    row
                }
            };
            if arguments.json {
                println!("{}", serde_json::to_string(&row)?);
            }
            rows.push((case.title.clone(), row));
        }
        if !arguments.json {
            let reference = fs::read_to_string(arguments.out.join(format!("{name}.reference.json")))?;
            table::print(&rows, &serde_json::from_str(&reference)?, arguments.markdown);
        }
        table::picture(&rows, &arguments.out)?;
        rows.clear();
    }
    Ok(())
}
