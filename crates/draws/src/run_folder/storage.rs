//! Write files aside and rename them into place, the one way in which a run folder changes.

use crate::SinkError;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Whether a file must be on the disk before the next one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The file outlives a loss of power.
    Synced,
    /// The file outlives the process; the system writes it out when it likes.
    Buffered,
}

/// Where a run folder lives; tests put a full disk here.
pub(super) trait Storage: std::fmt::Debug + Send + Sync {
    /// Makes a folder that must not exist yet.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Puts a whole file in place, or leaves what was there.
    fn replace(&self, path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct Disk;

impl Storage for Disk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
        write_aside(path, durability, |file| file.write_all(bytes))
    }
}

/// Lets `write` fill a file beside `path`, then renames it to `path`; after an error nothing of it is left.
pub(crate) fn write_aside(
    path: &Path,
    durability: Durability,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let aside = aside(path);
    let written = File::create(&aside).and_then(|mut file| {
        write(&mut file)?;
        if durability == Durability::Synced { file.sync_all() } else { Ok(()) }
    });
    let placed = written.and_then(|()| fs::rename(&aside, path));
    if placed.is_err() {
        // The space of the half-written file may be what the rest of the run needs; the first error is the one to report.
        let _ = fs::remove_file(&aside);
    }
    placed
}

/// The name that a file has while it is written; no variable starts with a dot.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// The error of a file, with the advice that fits it.
pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> SinkError {
    let advice = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space or choose a folder on another disk; the draws written before stay readable"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a folder that you may write and read",
        ErrorKind::NotFound => "check the spelling of the path, and that no other program moves the folder",
        _ => "check the disk and the path",
    };
    SinkError::Io { action, path: path.to_owned(), source, advice }
}
