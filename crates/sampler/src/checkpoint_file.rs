//! Write and read the file of a checkpoint, a chain at a time, so that no second copy of the chains' states is in memory.
//!
//! A file is a mark and a version; header and course; a section for each chain, in any order; the table of sections; the table's length;
//! and a check sum (CRC-32) of all that follows the version. Content is in postcard's format.

use crate::checkpoint::{ChainRecord, Checkpoint};
use crate::counters::Counters;
use crate::header::Header;
use crate::meeting::Course;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"ERGODICK";
const VERSION: u32 = 5;
/// Bytes of the mark and the version.
const PREFIX: u64 = 12;
/// Bytes of the table's length and the check sum.
const SUFFIX: u64 = 8;
/// Bytes that are read or written at once.
const BUFFER: usize = 1 << 16;

/// Where a chain's section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Section {
    begin: u64,
    length: u64,
}

/// What a chain's section begins with; the state of a living one fills the rest.
#[derive(Serialize, Deserialize)]
pub(crate) enum ChainHead<'a> {
    NotBegun,
    Alive(Counters),
    Failed(Counters, std::borrow::Cow<'a, str>),
}

/// Writes a checkpoint, chain by chain.
#[derive(Debug)]
pub(crate) struct Writer<W: Write> {
    to: BufWriter<Summed<W>>,
    position: u64,
    sections: Vec<Option<Section>>,
    /// What the system said of a write that failed, which is more than postcard passes on.
    error: Option<io::Error>,
}

impl<W: Write> Writer<W> {
    /// Begins with what belongs to all chains.
    pub(crate) fn begin(mut to: W, header: &Header, course: Course, chains: usize) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        let to = BufWriter::with_capacity(BUFFER, Summed { to, sum: crc32fast::Hasher::new() });
        let mut writer = Self { to, position: PREFIX, sections: vec![None; chains], error: None };
        writer.put(&(header, course))?;
        Ok(writer)
    }

    /// Writes the section of chain `chain`.
    pub(crate) fn section(&mut self, chain: usize, write: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let begin = self.position;
        write(self)?;
        self.sections[chain] = Some(Section { begin, length: self.position - begin });
        Ok(())
    }

    /// Writes the section of a chain that is in memory as bytes.
    pub(crate) fn record(&mut self, chain: usize, record: &ChainRecord) -> io::Result<()> {
        self.section(chain, |writer| match record {
            ChainRecord::NotBegun => writer.put(&ChainHead::NotBegun),
            ChainRecord::Alive { counters, state } => {
                writer.put(&ChainHead::Alive(counters.clone()))?;
                writer.write_all(state)
            }
            ChainRecord::Failed { counters, reason } => writer.put(&ChainHead::Failed(counters.clone(), reason.into())),
        })
    }

    /// Takes the section of a chain over from another checkpoint's file.
    pub(crate) fn copy(&mut self, chain: usize, from: &mut File, section: Section) -> io::Result<()> {
        from.seek(SeekFrom::Start(section.begin))?;
        self.section(chain, |writer| {
            let copied = io::copy(&mut from.take(section.length), writer)?;
            if copied == section.length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        })
    }

    /// Whether the section of chain `chain` has been written.
    pub(crate) fn has(&self, chain: usize) -> bool {
        self.sections[chain].is_some()
    }

    /// Writes a value in postcard's format.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let written = postcard::to_io(value, &mut *self).map(|_| ());
        self.error.take().map_or(Ok(()), Err)?;
        written.map_err(io::Error::other)
    }

    /// Writes the table and the check sum; where the sections of the chains are.
    pub(crate) fn finish(mut self) -> io::Result<(W, Vec<Section>)> {
        let sections: Option<Vec<Section>> = self.sections.iter().copied().collect();
        let sections = sections.ok_or_else(|| io::Error::other("a chain has handed in no state"))?;
        let begin = self.position;
        self.put(&sections)?;
        let length = u32::try_from(self.position - begin).map_err(io::Error::other)?;
        self.write_all(&length.to_le_bytes())?;
        let Summed { mut to, sum } = self.to.into_inner().map_err(io::IntoInnerError::into_error)?;
        to.write_all(&sum.finalize().to_le_bytes())?;
        Ok((to, sections))
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.to.write_all(bytes) {
            Ok(()) => self.position += bytes.len() as u64,
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                return Err(kind.into());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A writer that sums up what passes.
#[derive(Debug)]
struct Summed<W> {
    to: W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A file that is written beside its place, then synced and renamed, so that what is in the place is always whole.
#[derive(Debug)]
pub(crate) struct Aside {
    file: File,
    aside: PathBuf,
    path: PathBuf,
    placed: bool,
}

impl Aside {
    /// Begins a file whose place is `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".partial");
        let aside = PathBuf::from(aside);
        Ok(Self { file: File::create(&aside)?, aside, path: path.to_owned(), placed: false })
    }

    /// Puts the file in its place; without it, nothing is left of the file.
    pub(crate) fn place(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.aside, &self.path)?;
        self.placed = true;
        sync_folder(&self.path);
        Ok(())
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            // The partial file is of no use to anyone; failing to remove it is no second error.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

/// Makes a rename durable where folders can be opened; elsewhere the system's own order has to do.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Reads a checkpoint; an error of the kind `InvalidData` says that it is none.
pub(crate) fn read(from: &mut (impl Read + Seek)) -> io::Result<Checkpoint> {
    let malformed = |problem: &str| io::Error::new(io::ErrorKind::InvalidData, problem);
    let size = from.seek(SeekFrom::End(0))?;
    from.rewind()?;
    let mut mark = [0; 8];
    if size >= 8 {
        from.read_exact(&mut mark)?;
    }
    if mark != *MAGIC {
        return Err(malformed("it does not begin like one"));
    }
    let end = size.checked_sub(SUFFIX).filter(|end| *end >= PREFIX).ok_or_else(|| malformed("it is cut short"))?;
    let version = read_number(from)?;
    if version != VERSION {
        return Err(malformed(&format!("it has format {version}, and this library reads {VERSION}")));
    }
    let sum = sum_of(from, end + 4 - PREFIX)?;
    if read_number(from)? != sum {
        return Err(malformed("it is damaged or cut short: its check sum is wrong"));
    }

    from.seek(SeekFrom::Start(end))?;
    let table = u64::from(read_number(from)?);
    let begin = end.checked_sub(table).filter(|begin| *begin >= PREFIX).ok_or_else(|| malformed("its table is too long"))?;
    let parsed = |error: postcard::Error| malformed(&error.to_string());
    let sections: Vec<Section> = postcard::from_bytes(&read_bytes(from, begin, table)?).map_err(parsed)?;
    let within = |section: &Section| {
        section.begin >= PREFIX && section.begin.checked_add(section.length).is_some_and(|end| end <= begin)
    };
    if !sections.iter().all(within) {
        return Err(malformed("its table names sections beyond its end"));
    }
    let head = sections.iter().map(|section| section.begin).min().unwrap_or(begin);
    let head = read_bytes(from, PREFIX, head - PREFIX)?;
    let (header, course): (Header, Course) = postcard::from_bytes(&head).map_err(parsed)?;
    if header.chains != sections.len() {
        return Err(malformed("it has another number of chains than it says"));
    }
    let chain = |section: &Section| -> io::Result<ChainRecord> {
        let mut bytes = read_bytes(from, section.begin, section.length)?;
        let (head, rest) = postcard::take_from_bytes::<ChainHead<'_>>(&bytes).map_err(parsed)?;
        Ok(match head {
            ChainHead::NotBegun => ChainRecord::NotBegun,
            ChainHead::Failed(counters, reason) => ChainRecord::Failed { counters, reason: reason.into_owned() },
            ChainHead::Alive(counters) => {
                let head = bytes.len() - rest.len();
                bytes.drain(..head);
                ChainRecord::Alive { counters, state: bytes }
            }
        })
    };
    let chains = sections.iter().map(chain).collect::<io::Result<_>>()?;
    Ok(Checkpoint { header, course, chains })
}

fn read_number(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// The check sum of the next `length` bytes.
fn sum_of(from: &mut impl Read, mut length: u64) -> io::Result<u32> {
    let (mut sum, mut buffer) = (crc32fast::Hasher::new(), vec![0; BUFFER]);
    while length > 0 {
        let piece = length.min(BUFFER as u64) as usize;
        from.read_exact(&mut buffer[..piece])?;
        sum.update(&buffer[..piece]);
        length -= piece as u64;
    }
    Ok(sum.finalize())
}

/// `length` bytes from `begin`, which the file has.
fn read_bytes(from: &mut (impl Read + Seek), begin: u64, length: u64) -> io::Result<Vec<u8>> {
    from.seek(SeekFrom::Start(begin))?;
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    bytes.resize(length, 0);
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a value in postcard's format, in as much memory as they need.
pub(crate) fn to_bytes<T: Serialize + ?Sized>(value: &T) -> postcard::Result<Vec<u8>> {
    let mut size = Size(0);
    postcard::to_io(value, &mut size)?;
    postcard::to_io(value, Vec::with_capacity(size.0))
}

/// Counts bytes.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
