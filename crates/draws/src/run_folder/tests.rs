//! Check run folders at every step of their writing, on full disks and with damaged files.

use super::storage::{Disk, Durability, Storage, write_aside};
use super::*;
use crate::{Block, ChainDraws, Column, Field, Layout, Origin, Outcome, Transform};
use serde_json::Value;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub(super) const CHAINS: usize = 2;
pub(super) const WARMUP: usize = 4;
pub(super) const DRAWS: usize = 8;

pub(super) fn schema() -> Schema {
    let layout = Layout::new(vec![
        Block::new("weight", &[2, 3]),
        Block::new("tau", &[]).with_transform(Transform::EXP),
        Block::new("none", &[0]),
    ]);
    let fields = [Field::real("lp"), Field::integer("n_steps"), Field::flag("diverging")];
    Schema {
        layout: layout.unwrap().into(),
        columns: fields.iter().map(Column::from).collect(),
        origin: Origin::Mcmc,
        chains: CHAINS,
        warmup: WARMUP,
        draws: DRAWS,
        report: RunReport::new("test", 3),
    }
}

/// Coordinates of a draw; every one differs, and none is NaN.
pub(super) fn position(chain: usize, draw: usize) -> Vec<f64> {
    (0..7).map(|i| (1 + i + 10 * draw + 1000 * chain) as f64 / 7000.0).collect()
}

pub(super) fn statistics(chain: usize, draw: usize) -> [f64; 3] {
    [-((1 + chain + 10 * draw) as f64), draw as f64, f64::from(u8::from(draw.is_multiple_of(3)))]
}

/// The file system without waiting for the disk, which is what takes time.
#[derive(Debug)]
pub(super) struct Unsynced;

impl Storage for Unsynced {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8], _durability: Durability) -> io::Result<()> {
        Disk.replace(path, bytes, Durability::Buffered)
    }
}

/// A sink whose arrays have chunks of 2 draws (`weight`) and of 3 (all others).
pub(super) fn folder(root: &Path, storage: Arc<dyn Storage>) -> Result<RunFolder, SinkError> {
    let mut folder = RunFolder::create_in(root, storage)?.block_draws(NonZeroUsize::new(3).unwrap());
    folder.cutting.chunk_bytes = 100;
    // A slow test machine does not publish at other draws than a fast one.
    Ok(folder.flush_interval(Duration::MAX))
}

/// Writes a run whose second chain is the shorter one by `missing` draws, chains in turns.
fn write(folder: &RunFolder, missing: usize) -> Result<(), SinkError> {
    let schema = schema();
    folder.begin(&schema)?;
    let mut chains = (0..CHAINS).map(|chain| folder.open_chain(chain)).collect::<Result<Vec<_>, _>>()?;
    for (phase, draws) in [(Phase::Warmup, WARMUP), (Phase::Sampling, DRAWS)] {
        for index in 0..draws {
            for (number, chain) in chains.iter_mut().enumerate() {
                if number == 0 || phase == Phase::Warmup || index < DRAWS - missing {
                    let (position, statistics) = (position(number, index), statistics(number, index));
                    chain.record(&DrawRef { phase, index, position: &position, statistics: &statistics })?;
                }
            }
        }
    }
    chains.iter_mut().try_for_each(|chain| chain.finish())?;
    drop(chains);
    folder.finish(&schema.report)
}

/// Checks that every loaded draw is one that was written, and gives the number of draws and warm-up iterations.
pub(super) fn check_prefix(draws: &Draws) -> (usize, usize) {
    assert_eq!(draws.chains().len(), CHAINS);
    for (number, chain) in draws.chains().iter().enumerate() {
        for draw in 0..chain.len() {
            assert_eq!(chain.position(draw), position(number, draw));
            assert_eq!(chain.statistics.row(draw), statistics(number, draw));
        }
        assert_eq!(chain.statistics.len(), chain.len());
        for draw in 0..chain.warmup_statistics.len() {
            assert_eq!(chain.warmup_statistics.row(draw), statistics(number, draw));
        }
    }
    (draws.num_draws(), draws.chains().iter().map(|chain| chain.warmup_statistics.len()).sum())
}

/// Checks what a reader of Zarr sees: within a group all arrays have one length, and no chunk within it is missing.
pub(super) fn check_zarr(root: &Path) -> usize {
    let node: Value = serde_json::from_slice(&fs::read(root.join("zarr.json")).unwrap()).unwrap();
    let nodes = node["consolidated_metadata"]["metadata"].as_object().unwrap();
    let shape_of = |path: String| -> Vec<u64> { serde_json::from_value(nodes[&path]["shape"].clone()).unwrap() };
    let mut draws = 0;
    for (path, node) in nodes.iter().filter(|(_, node)| node["node_type"] == "array") {
        let group = path.split('/').next().unwrap();
        let shape: Vec<u64> = serde_json::from_value(node["shape"].clone()).unwrap();
        let chunk: Vec<u64> = serde_json::from_value(node["chunk_grid"]["configuration"]["chunk_shape"].clone()).unwrap();
        let element = if node["data_type"] == "bool" { 1 } else { 8 };
        if shape.len() >= 2 {
            let rectangle = [shape_of(format!("{group}/chain"))[0], shape_of(format!("{group}/draw"))[0]];
            assert_eq!(shape[..2], rectangle, "{path}");
            draws = draws.max(rectangle[1] as usize);
        }
        if shape.contains(&0) {
            continue;
        }
        let grid: Vec<u64> = shape.iter().zip(&chunk).map(|(shape, chunk)| shape.div_ceil(*chunk)).collect();
        for flat in 0..grid.iter().product() {
            let mut rest: u64 = flat;
            let mut key = String::new();
            for extent in grid.iter().rev() {
                key = format!(".{}{key}", rest % extent);
                rest /= extent;
            }
            let size = fs::metadata(root.join(path).join(format!("c{key}"))).unwrap().len();
            assert_eq!(size, chunk.iter().product::<u64>() * element, "{path} {key}");
        }
    }
    draws
}

fn leftovers(root: &Path) -> usize {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    let count = |entry: fs::DirEntry| {
        if entry.file_type().unwrap().is_dir() {
            leftovers(&entry.path())
        } else {
            usize::from(entry.file_name().to_string_lossy().ends_with(".part"))
        }
    };
    entries.map(count).sum()
}

pub(super) fn place() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("run.zarr");
    (place, root)
}

/// Reads the folder in the middle of every change, as after a kill at that moment.
#[derive(Debug, Default)]
struct Watched {
    root: PathBuf,
    steps: AtomicUsize,
    draws: AtomicUsize,
    seen: std::sync::Mutex<Vec<usize>>,
}

impl Watched {
    fn look(&self) {
        if self.root.join("zarr.json").exists() {
            self.steps.fetch_add(1, Ordering::Relaxed);
            let (draws, _) = check_prefix(&RunFolder::load(&self.root).unwrap());
            assert!(draws >= self.draws.swap(draws, Ordering::Relaxed), "published draws never vanish");
            let visible = check_zarr(&self.root);
            self.seen.lock().unwrap().push(visible);
        }
    }
}

impl Storage for Watched {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8], _durability: Durability) -> io::Result<()> {
        self.look();
        write_aside(path, Durability::Buffered, |file| {
            file.write_all(&bytes[..bytes.len() / 2])?;
            self.look();
            file.write_all(&bytes[bytes.len() / 2..])
        })?;
        self.look();
        Ok(())
    }
}

#[test]
fn a_reader_at_any_step_sees_whole_draws_only() {
    for every_draw in [false, true] {
        let (_place, root) = place();
        let watched = Arc::new(Watched { root: root.clone(), ..Watched::default() });
        let mut folder = folder(&root, Arc::clone(&watched) as Arc<dyn Storage>).unwrap();
        if every_draw {
            folder = folder.flush_interval(Duration::ZERO);
        }
        write(&folder, 0).unwrap();
        assert!(watched.steps.load(Ordering::Relaxed) > 100);
        let mut lengths = watched.seen.lock().unwrap().clone();
        lengths.dedup();
        // The warm-up's group shows its own length until the posterior is longer.
        let expected: &[usize] = if every_draw { &[0, 1, 2, 3, 4, 5, 6, 7, 8] } else { &[0, 3, 4, 6, 8] };
        assert_eq!(lengths, expected);
        assert_eq!(check_prefix(&RunFolder::load(&root).unwrap()), (CHAINS * DRAWS, CHAINS * WARMUP));
    }
}

/// A disk with room for so many more bytes.
#[derive(Debug)]
struct AlmostFull(AtomicUsize);

impl Storage for AlmostFull {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8], _durability: Durability) -> io::Result<()> {
        write_aside(path, Durability::Buffered, |file| {
            let room = self.0.load(Ordering::Relaxed);
            file.write_all(&bytes[..bytes.len().min(room)])?;
            self.0.store(room.saturating_sub(bytes.len()), Ordering::Relaxed);
            if room < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }
}

#[test]
fn a_full_disk_stops_the_run_and_what_was_published_is_readable() {
    let mut kept = Vec::new();
    for room in (0..).step_by(9973) {
        let (_place, root) = place();
        let folder = folder(&root, Arc::new(AlmostFull(room.into()))).unwrap();
        match write(&folder, 0) {
            Ok(()) => break,
            Err(SinkError::Io { source, advice, .. }) => {
                assert_eq!(source.kind(), ErrorKind::StorageFull);
                assert!(advice.contains("free some space"));
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(leftovers(&root), 0);
        if root.join("zarr.json").exists() {
            check_zarr(&root);
            kept.push(check_prefix(&RunFolder::load(&root).unwrap()).0);
        }
    }
    kept.dedup();
    assert!(kept.is_sorted() && kept.len() > 3 && kept[0] == 0, "more room keeps more draws: {kept:?}");
}

#[test]
fn a_disk_that_has_room_again_gets_the_draws_that_waited() {
    let (_place, root) = place();
    let disk = Arc::new(AlmostFull(usize::MAX.into()));
    let folder = folder(&root, Arc::clone(&disk) as Arc<dyn Storage>).unwrap();
    folder.begin(&schema()).unwrap();
    let mut chains: Vec<_> = (0..CHAINS).map(|chain| folder.open_chain(chain).unwrap()).collect();
    let mut record = |index| {
        let (position, statistics) = (position(0, index), statistics(0, index));
        chains[0].record(&DrawRef { phase: Phase::Sampling, index, position: &position, statistics: &statistics })
    };
    record(0).unwrap();
    disk.0.store(0, Ordering::Relaxed);
    assert!(record(1).is_err(), "the chunk of two weights is full");
    disk.0.store(usize::MAX, Ordering::Relaxed);
    chains[0].finish().unwrap();
    drop(chains);
    folder.finish(&schema().report).unwrap();
    assert_eq!(check_prefix(&RunFolder::load(&root).unwrap()).0, 2);
}

#[test]
fn chains_of_different_length_are_loaded_in_full_and_shown_as_a_rectangle() {
    let (_place, root) = place();
    write(&folder(&root, Arc::new(Unsynced)).unwrap(), 3).unwrap();
    let draws = RunFolder::load(&root).unwrap();
    check_prefix(&draws);
    assert_eq!(draws.chains().iter().map(ChainDraws::len).collect::<Vec<_>>(), [DRAWS, DRAWS - 3]);
    assert_eq!(check_zarr(&root), DRAWS - 3);
}

#[test]
fn a_run_that_is_dropped_says_that_it_did_not_finish() {
    let (_place, root) = place();
    let folder = folder(&root, Arc::new(Disk)).unwrap();
    folder.begin(&schema()).unwrap();
    let mut chain = folder.open_chain(1).unwrap();
    for index in 0..5 {
        let (position, statistics) = (position(1, index), statistics(1, index));
        let draw = DrawRef { phase: Phase::Sampling, index, position: &position, statistics: &statistics };
        chain.record(&draw).unwrap();
    }
    drop(chain);
    let draws = RunFolder::load(&root).unwrap();
    assert_eq!(check_prefix(&draws).0, 3);
    assert_eq!(draws.report.warnings.len(), 1);
    for chain in &draws.report.chains {
        assert_eq!(chain.outcome, Outcome::Stopped("the run did not finish".into()));
    }
}

#[test]
fn a_missing_or_truncated_chunk_cuts_its_chain() {
    let damage: [fn(&Path); 2] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5).unwrap(),
    ];
    let cases = [
        ("posterior/weight/c.1.2.0.0", [DRAWS, 4], [WARMUP; 2]),
        ("posterior/weight/c.0.0.0.0", [0, DRAWS], [WARMUP; 2]),
        ("unconstrained_posterior/tau/c.0.2", [6, DRAWS], [WARMUP; 2]),
        ("sample_stats/diverging/c.1.1", [DRAWS, 3], [WARMUP; 2]),
        ("warmup_sample_stats/lp/c.1.1", [DRAWS; 2], [WARMUP, 3]),
    ];
    let (_place, root) = place();
    write(&folder(&root, Arc::new(Unsynced)).unwrap(), 0).unwrap();
    for (file, lengths, warmup) in cases {
        let chunk = fs::read(root.join(file)).unwrap();
        for damage in damage {
            damage(&root.join(file));
            let draws = RunFolder::load(&root).unwrap();
            check_prefix(&draws);
            assert_eq!(draws.chains().iter().map(ChainDraws::len).collect::<Vec<_>>(), lengths, "{file}");
            let warmed: Vec<_> = draws.chains().iter().map(|chain| chain.warmup_statistics.len()).collect();
            assert_eq!(warmed, warmup, "{file}");
            assert!(matches!(&draws.report.warnings[..], [one] if one.contains(file)), "{:?}", draws.report.warnings);
            fs::write(root.join(file), &chunk).unwrap();
        }
    }
}

#[test]
fn damaged_metadata_is_an_error_with_its_file() {
    let (_place, root) = place();
    write(&folder(&root, Arc::new(Unsynced)).unwrap(), 0).unwrap();
    let file = root.join("zarr.json");
    let text = fs::read_to_string(&file).unwrap();
    let problem = |changed: &str| {
        fs::write(&file, changed).unwrap();
        match RunFolder::load(&root) {
            Err(SinkError::Malformed { path, problem }) => {
                assert_eq!(path, file);
                problem
            }
            other => panic!("{other:?}"),
        }
    };
    for end in (0..text.len()).step_by(97) {
        assert!(problem(&text[..end]).contains("line 1"));
    }
    assert!(problem("[]").contains("attributes"));
    assert!(problem(&text.replace("\"format\":1", "\"format\":2")).contains("newer"));
    assert!(problem(&text.replace("\"seed\":3,", "")).contains("seed"));
    assert!(problem(&text.replace("\"chain_draws\":[8,8]", "\"chain_draws\":[8]")).contains("chain_draws"));
    assert!(problem(&text.replace("\\\"dim\\\":7", "\\\"dim\\\":8")).contains("7 coordinates"));
    assert!(problem(&text.replace("\"chunk_shape\":[1,2,2,3]", "\"chunk_shape\":[1,0,2,3]")).contains("posterior/weight"));
    assert!(problem(&text.replace("n_steps", "../steps")).contains("../steps"));
}

#[test]
fn counts_that_are_too_high_are_cut_to_what_is_there() {
    let (_place, root) = place();
    write(&folder(&root, Arc::new(Unsynced)).unwrap(), 0).unwrap();
    let file = root.join("zarr.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"chain_draws\":[8,8]", &format!("\"chain_draws\":[{},8]", u64::MAX))).unwrap();
    let draws = RunFolder::load(&root).unwrap();
    assert_eq!(draws.chains()[0].len(), 8);
    assert_eq!(draws.report.warnings.len(), 1);
}

#[test]
fn a_flag_that_is_none_is_an_error_with_its_file() {
    let (_place, root) = place();
    write(&folder(&root, Arc::new(Unsynced)).unwrap(), 0).unwrap();
    let chunk = root.join("sample_stats/diverging/c.1.0");
    fs::write(&chunk, [0, 7, 1]).unwrap();
    assert!(matches!(RunFolder::load(&root), Err(SinkError::Malformed { path, .. }) if path == chunk));
}

#[test]
fn a_draw_that_cannot_be_stored_exactly_is_an_error_and_leaves_no_trace() {
    let (_place, root) = place();
    let folder = folder(&root, Arc::new(Unsynced)).unwrap();
    folder.begin(&schema()).unwrap();
    let mut chain = folder.open_chain(0).unwrap();
    let position = position(0, 0);
    for (column, statistics) in [
        ("n_steps", [0.0, 0.5, 0.0]),
        ("n_steps", [0.0, f64::NAN, 0.0]),
        ("n_steps", [0.0, 2f64.powi(63), 0.0]),
        ("diverging", [0.0, 0.0, 2.0]),
    ] {
        let draw = DrawRef { phase: Phase::Sampling, index: 0, position: &position, statistics: &statistics };
        assert!(matches!(chain.record(&draw), Err(SinkError::WrongKind { column: named, .. }) if named == column));
    }
    let short = DrawRef { phase: Phase::Sampling, index: 0, position: &position[1..], statistics: &[0.0; 3] };
    assert!(matches!(chain.record(&short), Err(SinkError::Misused(_))));
    let short = DrawRef { phase: Phase::Warmup, index: 0, position: &[], statistics: &[0.0; 2] };
    assert!(matches!(chain.record(&short), Err(SinkError::Misused(_))));
    let good = DrawRef { phase: Phase::Sampling, index: 0, position: &position, statistics: &statistics(0, 0) };
    chain.record(&good).unwrap();
    chain.finish().unwrap();
    drop(chain);
    folder.finish(&schema().report).unwrap();
    assert_eq!(check_prefix(&RunFolder::load(&root).unwrap()).0, 1);
}

#[test]
fn places_and_names_that_cannot_be_used_are_refused() {
    let (place, root) = place();
    assert!(matches!(RunFolder::create(place.path()), Err(SinkError::AlreadyExists(path)) if path == place.path()));
    assert!(matches!(RunFolder::load(&root), Err(SinkError::Io { path, .. }) if path == root.join("zarr.json")));
    fs::write(place.path().join("file"), "").unwrap();
    assert!(matches!(RunFolder::create(place.path().join("file/run.zarr")), Err(SinkError::Io { .. })));

    let folder = folder(&root, Arc::new(Unsynced)).unwrap();
    assert!(matches!(folder.open_chain(0), Err(SinkError::Misused(_))));
    assert!(matches!(folder.finish(&schema().report), Err(SinkError::Misused(_))));
    for name in ["draw", "zarr.json", "a/b", "", "lp"] {
        let mut schema = schema();
        schema.columns.push(Column { name: name.into(), kind: crate::FieldKind::Real });
        assert!(matches!(folder.begin(&schema), Err(SinkError::InvalidStatistic(named)) if named == name));
    }
    folder.begin(&schema()).unwrap();
    assert!(folder.begin(&schema()).is_err());
    let _writer = folder.open_chain(0).unwrap();
    assert!(matches!(folder.open_chain(0), Err(SinkError::Misused(_))));
    assert!(matches!(folder.open_chain(CHAINS), Err(SinkError::Misused(_))));
}
