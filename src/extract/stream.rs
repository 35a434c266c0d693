//! A tar that comes as a stream: one worker reads, decodes and plans, all
//! others write, and the first one helps them when it is ahead.
//!
//! Nothing of the archive is known before it comes, so every member is checked
//! when it does; the first that is refused ends the extraction, and the staging
//! folder goes with it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dest::writer::{NewFile, Shared, Site, Writer};
use crate::entry::Member;
use crate::error::{Refusal, Result};
use crate::format::tar::{self, Event, Parser};
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress, Total};

use super::chunks::{Chunk, Depot};
use super::intake::{Intake, Mode};
use super::tree::Accepted;

/// Files from this size on are written as their bytes come, by all workers;
/// smaller ones by one worker, when they are complete.
const LARGE: u64 = 4 << 20;

/// Bytes of small files that one worker writes at a time: a quarter of a chunk,
/// so that all of them have something to do.
const BATCH: u64 = 256 << 10;

/// Files that may wait to be written. Those with content wait for its chunks;
/// empty ones would pile up for as long as the archive goes on.
const WAITING: usize = 16 << 10;

enum Job {
    Read,
    Files(Vec<(NewFile, Vec<Part>)>),
    Part(Arc<Shared>, Part),
}

/// Bytes of a file.
struct Part {
    offset: u64,
    bytes: Bytes,
}

enum Bytes {
    /// In a chunk, which is kept until they are written.
    Chunk(Arc<Chunk>, Range<usize>),
    Own(Box<[u8]>),
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Chunk(chunk, range) => &chunk[range.clone()],
            Bytes::Own(bytes) => bytes,
        }
    }
}

/// What the parser found in a chunk, before the chunk can be shared.
enum Found {
    Member(Member),
    Data(u64, Range<usize>),
    Held(u64, Box<[u8]>),
    MemberEnd,
}

impl From<Event<'_>> for Found {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Member(member) => Found::Member(member),
            Event::Data { offset, bytes } => Found::Data(offset, bytes),
            Event::Held { offset, bytes } => Found::Held(offset, bytes.into()),
            Event::MemberEnd => Found::MemberEnd,
        }
    }
}

/// Extracts the tar that `reader` decodes into `site`. `intake` decides about
/// the members and holds the tree afterwards.
pub(super) fn extract(
    reader: &mut (dyn Read + Send),
    options: tar::Options,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let waiting = AtomicUsize::new(0);
    let source = Mutex::new(Some(Reading {
        reader,
        parser: Parser::new(options),
        intake,
        current: Current::None,
        files: Vec::new(),
        batched: 0,
        depot: Arc::default(),
        waiting: &waiting,
    }));
    let work = |queue: &mut Queue<'_, Job>| {
        let mut writer = site.writer();
        while let Some(job) = queue.next() {
            match job {
                Job::Read => {
                    let reading = source.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let reading = reading.expect("one worker is told to read, once");
                    reading.run(queue, &mut writer)?;
                }
                job => write(&mut writer, job, &waiting)?,
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, Total::default()));
    pool::run(threads, [Job::Read], work, report)?;
    Ok(())
}

fn write(writer: &mut Writer<'_>, job: Job, waiting: &AtomicUsize) -> Result<()> {
    match job {
        Job::Read => Ok(()),
        Job::Files(files) => {
            waiting.fetch_sub(files.len(), Ordering::Relaxed);
            for (file, parts) in files {
                let parts = parts.iter().map(|part| (part.offset, part.bytes()));
                writer.write_whole(&file, parts)?;
            }
            Ok(())
        }
        Job::Part(shared, part) => writer.write_shared(&shared, part.offset, part.bytes()),
    }
}

/// What the reading worker holds.
struct Reading<'r, 'i, 'o> {
    reader: &'r mut (dyn Read + Send),
    parser: Parser,
    intake: &'i mut Intake<'o>,
    current: Current,
    /// Files that are complete and not handed over yet.
    files: Vec<(NewFile, Vec<Part>)>,
    batched: u64,
    depot: Arc<Depot>,
    /// Files that were handed over and aren't in hand yet.
    waiting: &'r AtomicUsize,
}

/// The member whose content comes.
enum Current {
    None,
    LeftOut,
    Small(NewFile, Vec<Part>),
    Large(Arc<Shared>),
}

impl Reading<'_, '_, '_> {
    fn run(mut self, queue: &Queue<'_, Job>, writer: &mut Writer<'_>) -> Result<()> {
        let mut events = Vec::new();
        loop {
            self.make_room(queue, writer)?;
            let mut buffer = self.depot.take();
            let filled = fill(self.reader, &mut buffer);
            let filled = filled.map_err(|error| self.intake.refused(Refusal::io(error)))?;
            buffer.truncate(filled);
            self.intake.receive(filled as u64)?;
            let is_last = filled == 0;
            let fed = self.parser.feed(&buffer, &mut |event| {
                events.push(Found::from(event));
                Ok(())
            });
            let chunk = self.depot.send(buffer);
            // What came before the fault is judged first: its reason is the better one.
            for event in events.drain(..) {
                self.handle(event, &chunk, queue, writer)?;
            }
            drop(chunk);
            fed.map_err(|refusal| self.intake.refused(refusal))?;
            self.hand_over(queue);
            if is_last || queue.is_stopped() {
                break;
            }
        }
        let finished = self.parser.finish();
        finished.map_err(|refusal| self.intake.refused(refusal))
    }

    /// Writes what others have no time for while too much is on the way.
    fn make_room(&mut self, queue: &Queue<'_, Job>, writer: &mut Writer<'_>) -> Result<()> {
        while self.depot.is_exhausted() && !queue.is_stopped() {
            if !queue.help(|job| write(writer, job, self.waiting))? {
                self.depot.wait();
            }
        }
        while self.waiting.load(Ordering::Relaxed) > WAITING && !queue.is_stopped() {
            if !queue.help(|job| write(writer, job, self.waiting))? {
                break;
            }
        }
        Ok(())
    }

    fn handle(
        &mut self,
        found: Found,
        chunk: &Arc<Chunk>,
        queue: &Queue<'_, Job>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        match found {
            Found::Member(member) => self.begin(&member, writer),
            Found::Data(offset, range) => {
                let bytes = Bytes::Chunk(Arc::clone(chunk), range);
                self.add(Part { offset, bytes }, queue)
            }
            Found::Held(offset, bytes) => {
                let bytes = Bytes::Own(bytes);
                self.add(Part { offset, bytes }, queue)
            }
            Found::MemberEnd => {
                if let Current::Small(file, parts) =
                    std::mem::replace(&mut self.current, Current::None)
                {
                    self.batched += file.size;
                    self.files.push((file, parts));
                    if self.batched >= BATCH {
                        self.hand_over(queue);
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes more content of the current member.
    fn add(&mut self, part: Part, queue: &Queue<'_, Job>) -> Result<()> {
        match &mut self.current {
            Current::None | Current::LeftOut => {}
            Current::Small(_, parts) => parts.push(part),
            Current::Large(shared) => queue.push([Job::Part(Arc::clone(shared), part)]),
        }
        Ok(())
    }

    fn begin(&mut self, member: &Member, writer: &mut Writer<'_>) -> Result<()> {
        let stored = tar::stored_size(member);
        let accepted = self.intake.accept(member)?;
        if self.intake.mode == Mode::Look {
            self.current = Current::LeftOut;
            return Ok(());
        }
        for node in self.intake.tree.take_made() {
            self.intake.make_dir(node, writer)?;
        }
        self.current = match accepted {
            Accepted::LeftOut => Current::LeftOut,
            Accepted::Other(_) => Current::None,
            Accepted::File(node) => {
                let file = self.intake.tree.new_file(node, member);
                match stored >= LARGE {
                    true => Current::Large(Arc::new(Shared::new(file, stored))),
                    false => Current::Small(file, Vec::new()),
                }
            }
        };
        Ok(())
    }

    fn hand_over(&mut self, queue: &Queue<'_, Job>) {
        self.batched = 0;
        if !self.files.is_empty() {
            self.waiting.fetch_add(self.files.len(), Ordering::Relaxed);
            queue.push([Job::Files(std::mem::take(&mut self.files))]);
        }
    }
}

/// Reads until `buffer` is full or the input ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
