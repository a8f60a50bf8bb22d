//! Check that a folder in which a run went on equals that of a run that was never interrupted.

use super::tests::{CHAINS, DRAWS, Unsynced, WARMUP, check_prefix, check_zarr, folder, place, position, schema, statistics};
use super::*;
use std::collections::BTreeMap;

/// Hands iterations `range` of a chain to its writer; iterations of warm-up come first.
fn record(chain: &mut dyn ChainSink, number: usize, range: std::ops::Range<usize>) {
    for iteration in range {
        let (phase, index) = match iteration.checked_sub(WARMUP) {
            None => (Phase::Warmup, iteration),
            Some(index) => (Phase::Sampling, index),
        };
        let (position, statistics) = (position(number, index), statistics(number, index));
        chain.record(&DrawRef { phase, index, position: &position, statistics: &statistics }).unwrap();
    }
}

fn recorded(iteration: usize) -> Recorded {
    Recorded { warmup: iteration.min(WARMUP), draws: iteration.saturating_sub(WARMUP) }
}

/// Writes up to iteration `until` of each chain with a last flush after `flushed`, and is killed.
fn write_and_die(root: &Path, flushed: [usize; CHAINS], until: [usize; CHAINS]) {
    let folder = folder(root, Arc::new(Unsynced)).unwrap();
    folder.begin(&schema()).unwrap();
    for number in 0..CHAINS {
        let mut chain = folder.open_chain(number).unwrap();
        record(&mut *chain, number, 0..flushed[number]);
        chain.flush().unwrap();
        record(&mut *chain, number, flushed[number]..until[number]);
    }
}

/// Goes on in the folder after `from`, with draws in chains up to `until`.
fn go_on(root: &Path, from: [usize; CHAINS], until: usize) -> Result<(), SinkError> {
    let folder = RunFolder::open_in(root, Arc::new(Unsynced))?;
    let schema = Schema { draws: until - WARMUP, ..schema() };
    folder.begin(&schema)?;
    for (number, &from) in from.iter().enumerate() {
        let mut chain = folder.resume_chain(number, recorded(from))?;
        record(&mut *chain, number, from..until);
        chain.finish()?;
    }
    folder.finish(&schema.report)
}

/// Every file below `root`, but the root's own, whose attributes have the time of writing.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path != root.join("zarr.json") && !path.ends_with("zarr.json") {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_run_that_goes_on_anywhere_leaves_the_same_chunks() {
    let total = WARMUP + DRAWS;
    let (_place, whole) = place();
    let writer = folder(&whole, Arc::new(Unsynced)).unwrap();
    writer.begin(&schema()).unwrap();
    for number in 0..CHAINS {
        let mut chain = writer.open_chain(number).unwrap();
        record(&mut *chain, number, 0..total);
        chain.finish().unwrap();
    }
    writer.finish(&schema().report).unwrap();
    let expected = files(&whole);
    assert!(expected.len() > 20, "{}", expected.len());
    // In warm-up, at its end, within a chunk of both sizes and at the end of both; with and without draws to drop.
    for (first, written) in [(0, 3), (2, 4), (5, 9), (10, 11)] {
        let second = total - first;
        let (_place, root) = place();
        write_and_die(&root, [first, second], [written, total]);
        go_on(&root, [first, second], total).unwrap();
        assert!(files(&root) == expected, "after {first} and {second} of which {written} were written");
        assert_eq!(check_zarr(&root), DRAWS);
        let draws = RunFolder::load(&root).unwrap();
        assert_eq!(check_prefix(&draws), (CHAINS * DRAWS, CHAINS * WARMUP));
        assert!(draws.report.warnings.is_empty());
    }
}

#[test]
fn a_finished_run_gets_more_draws() {
    let (_place, root) = place();
    let total = WARMUP + DRAWS;
    write_and_die(&root, [0, 0], [0, 0]);
    go_on(&root, [0, 0], total).unwrap();
    go_on(&root, [total, total], total + 7).unwrap();
    let draws = RunFolder::load(&root).unwrap();
    assert_eq!(check_prefix(&draws), (CHAINS * (DRAWS + 7), CHAINS * WARMUP));
    assert_eq!(check_zarr(&root), DRAWS + 7);
}

#[test]
fn draws_after_the_checkpoint_are_gone_before_others_come() {
    let (_place, root) = place();
    let total = WARMUP + DRAWS;
    write_and_die(&root, [total, total], [total, total]);
    let folder = RunFolder::open_in(&root, Arc::new(Unsynced)).unwrap();
    folder.begin(&schema()).unwrap();
    drop(folder.resume_chain(1, recorded(WARMUP + 3)).unwrap());
    let draws = RunFolder::load(&root).unwrap();
    assert_eq!((draws.chains()[0].len(), draws.chains()[1].len()), (DRAWS, 3));
    assert!(matches!(folder.open_chain(0), Err(SinkError::Misused(_))));
    assert!(matches!(folder.resume_chain(1, recorded(0)), Err(SinkError::Misused(_))));
}

#[test]
fn the_folder_of_another_run_is_refused_by_name() {
    let (_place, root) = place();
    write_and_die(&root, [6, 6], [6, 6]);
    let refuse = |schema: Schema, difference: &str| {
        let error = RunFolder::open(&root).unwrap().begin(&schema).unwrap_err().to_string();
        assert!(error.contains(difference) && error.contains("run.zarr"), "{error}");
    };
    refuse(Schema { report: RunReport::new("hmc", 3), ..schema() }, "method is test, and the run's is hmc");
    refuse(Schema { report: RunReport::new("test", 4), ..schema() }, "seed is 3, and the run's is 4");
    refuse(Schema { chains: 9, ..schema() }, "number of chains is 2, and the run's is 9");
    refuse(Schema { layout: crate::Layout::flat(7).into(), ..schema() }, "names or shapes");
    refuse(Schema { columns: Vec::new(), ..schema() }, "statistics");
    refuse(Schema { warmup: 0, ..schema() }, "with a warm-up, and the run without");
    let error = go_on(&root, [7, 6], 9).unwrap_err().to_string();
    assert!(error.contains("it has 2 draws of chain 0, and the checkpoint goes on after 3"), "{error}");
    assert!(matches!(RunFolder::open(root.join("none")), Err(SinkError::Io { .. })));
}

#[test]
fn sinks_around_a_folder_go_on_too() {
    let every = NonZeroUsize::new(3).unwrap();
    let run = |folder: RunFolder, from: usize, until: usize| {
        let sink = crate::Tee::new(crate::Thin::new(every, folder), crate::Moments::new());
        sink.begin(&schema()).unwrap();
        for number in 0..CHAINS {
            let mut chain = match from {
                0 => sink.open_chain(number).unwrap(),
                _ => sink.resume_chain(number, recorded(from)).unwrap(),
            };
            record(&mut *chain, number, from..until);
            chain.flush().unwrap();
        }
        sink.finish(&schema().report).unwrap();
    };
    let (_place, root) = place();
    run(folder(&root, Arc::new(Unsynced)).unwrap(), 0, WARMUP + 5);
    run(RunFolder::open(&root).unwrap(), WARMUP + 4, WARMUP + 8);
    let draws = RunFolder::load(&root).unwrap();
    for (number, chain) in draws.chains().iter().enumerate() {
        let thinned: Vec<&[f64]> = chain.positions().collect();
        assert_eq!(thinned, [position(number, 0), position(number, 3), position(number, 6)]);
    }
}
