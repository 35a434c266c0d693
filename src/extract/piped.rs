//! A zip from a pipe: members become files as they come.
//!
//! What a member is, a file or a link, and its mode stand in the directory at
//! the end alone. Until then everything with content is a file in the staging
//! folder; the links among them are read back and become links before anything
//! is published. Names are checked when they come, and everything once more,
//! by the directory, at the end.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use crate::dest::writer::{NewFile, Site, Writer};
use crate::entry::{Member, MemberKind};
use crate::error::{Error, Refusal, Result};
use crate::format::zip::{LocalEntry, StreamReader, ZipEntry};
use crate::handles::Handles;
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress, Total};
use crate::sys::{self, Timestamp};

use super::intake::{Intake, Mode};
use super::tree::Accepted;

/// Content up to this is handed to other workers whole; more of it is written
/// by the worker that reads, as it comes.
const SMALL: usize = 1 << 20;

/// Bytes of small files that one worker writes at a time.
const BATCH: usize = 256 << 10;

/// Bytes of small files that may wait to be written.
const WAITING: usize = 16 << 20;

/// A member, and the time that its own header told.
type Seen = (NodeId, Option<Timestamp>);

enum Job {
    Read,
    Files(Vec<(NewFile, Vec<u8>)>),
}

/// Extracts the zip that `reader` brings.
pub(super) fn extract(
    reader: Box<dyn Read + Send + '_>,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let seen = Mutex::new(HashMap::new());
    let reading = Mutex::new(Some((StreamReader::new(reader), &mut *intake)));
    let waiting = std::sync::atomic::AtomicUsize::new(0);
    let directory = Mutex::new(None);
    let work = |queue: &mut Queue<'_, Job>| {
        let mut writer = site.writer();
        while let Some(job) = queue.next() {
            match job {
                Job::Files(files) => write(&mut writer, files, &waiting)?,
                Job::Read => {
                    let taken = reading
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    let (reader, intake) = taken.expect("one worker is told to read, once");
                    let mut pipe = Pipe {
                        reader,
                        intake,
                        waiting: &waiting,
                        batch: Vec::new(),
                        batched: 0,
                        seen: HashMap::new(),
                    };
                    pipe.run(queue, &mut writer)?;
                    let finished = pipe.reader.finish();
                    let finished = finished.map_err(|refusal| pipe.intake.refused(refusal))?;
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = pipe.seen;
                    *directory.lock().unwrap_or_else(PoisonError::into_inner) = Some(finished);
                }
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, Total::default()));
    pool::run(threads, [Job::Read], work, report)?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let directory = directory
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let directory = directory.expect("the reading worker ended without an error");
    let mut handles = site.handles();
    for entry in directory.entries() {
        if let Some(seen) = seen.get(&entry.header_offset) {
            settle(entry, *seen, intake, site, &mut handles)?;
        }
    }
    Ok(())
}

fn write(
    writer: &mut Writer<'_>,
    files: Vec<(NewFile, Vec<u8>)>,
    waiting: &std::sync::atomic::AtomicUsize,
) -> Result<()> {
    for (new, content) in files {
        let part = (!content.is_empty()).then_some((0, content.as_slice()));
        writer.write_whole(&new, part)?;
        waiting.fetch_sub(content.len(), std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}

/// The worker that reads.
struct Pipe<'p, 'i, 'o> {
    reader: StreamReader<Box<dyn Read + Send + 'p>>,
    intake: &'i mut Intake<'o>,
    waiting: &'p std::sync::atomic::AtomicUsize,
    batch: Vec<(NewFile, Vec<u8>)>,
    batched: usize,
    /// Each member by where its header was.
    seen: HashMap<u64, Seen>,
}

impl Pipe<'_, '_, '_> {
    fn run(&mut self, queue: &Queue<'_, Job>, writer: &mut Writer<'_>) -> Result<()> {
        loop {
            let next = self.reader.next_entry();
            let next = next.map_err(|refusal| self.intake.refused(refusal))?;
            let Some(entry) = next.filter(|_| !queue.is_stopped()) else {
                break;
            };
            let accepted = self.intake.accept(member_of(&entry))?;
            for node in self.intake.tree.take_made() {
                if self.intake.mode == Mode::Write {
                    self.intake.make_dir(node, writer)?;
                }
            }
            match accepted {
                Accepted::LeftOut => {}
                Accepted::Other(node) => {
                    self.seen
                        .insert(entry.header_offset, (node, entry.modified));
                }
                Accepted::File(node, new) => {
                    self.seen
                        .insert(entry.header_offset, (node, entry.modified));
                    self.take(new, queue, writer)?;
                }
            }
        }
        self.hand_over(queue);
        Ok(())
    }

    /// Reads the content of a file, and writes it or has it written.
    fn take(
        &mut self,
        new: NewFile,
        queue: &Queue<'_, Job>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        let mut content = Vec::new();
        self.read(&mut content)?;
        let is_whole = content.len() < SMALL;
        if self.intake.mode == Mode::Look {
            return Ok(());
        }
        if is_whole {
            return self.add(new, content, queue, writer);
        }
        let file = writer.create(&new)?;
        let mut at = 0;
        while !content.is_empty() {
            writer.write(&file, &new, at, &content)?;
            at += content.len() as u64;
            content.clear();
            self.read(&mut content)?;
        }
        writer.finish(file, &new)
    }

    /// Reads more of the current content, at most [`SMALL`] bytes.
    fn read(&mut self, content: &mut Vec<u8>) -> Result<()> {
        let read = (&mut self.reader).take(SMALL as u64).read_to_end(content);
        let count = read.map_err(|error| self.intake.refused(Refusal::io(error)))?;
        self.intake.receive(count as u64)
    }

    fn add(
        &mut self,
        new: NewFile,
        content: Vec<u8>,
        queue: &Queue<'_, Job>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        use std::sync::atomic::Ordering;
        let waiting = self.waiting.fetch_add(content.len(), Ordering::Relaxed) + content.len();
        self.batched += content.len();
        self.batch.push((new, content));
        if self.batched >= BATCH {
            self.hand_over(queue);
        }
        if waiting > WAITING {
            queue.help(|job| match job {
                Job::Read => Ok(()),
                Job::Files(files) => write(writer, files, self.waiting),
            })?;
        }
        Ok(())
    }

    fn hand_over(&mut self, queue: &Queue<'_, Job>) {
        self.batched = 0;
        if !self.batch.is_empty() {
            queue.push([Job::Files(std::mem::take(&mut self.batch))]);
        }
    }
}

/// A member as far as its local header tells.
fn member_of(entry: &LocalEntry) -> Member {
    let (kind, path) = match entry.name.strip_suffix(b"/") {
        Some(path) => (MemberKind::Dir, path),
        None => (MemberKind::File, entry.name.as_slice()),
    };
    let mut member = Member::new(kind, path);
    member.size = entry.size.unwrap_or(0);
    member.modified = entry.modified;
    member
}

/// Gives a member what only the directory tells of it.
fn settle(
    entry: &ZipEntry,
    (node, modified): Seen,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    handles: &mut Handles<'_>,
) -> Result<()> {
    let refused = |intake: &Intake<'_>, refusal| intake.refused_member(refusal, &entry.member.path);
    match entry.member.kind {
        MemberKind::Dir => {
            intake.tree.set_attributes(node, &entry.member);
            Ok(())
        }
        MemberKind::Symlink => {
            let mut member = entry.member.clone();
            if intake.mode == Mode::Write {
                member.target = take_back(node, intake, site, handles)?;
                let checked = entry.check_target(&member.target);
                checked.map_err(|refusal| refused(intake, refusal))?;
            } else {
                // Where nothing is written, there is nothing to read it from.
                member.target = b".".to_vec();
            }
            let linked = intake.tree.become_link(node, &member);
            linked.map_err(|refusal| refused(intake, refusal))?;
            intake.check_links()
        }
        MemberKind::File | MemberKind::Hardlink => {
            intake.tree.counts.bytes += entry.uncompressed_size - intake.tree.size(node);
            match intake.mode {
                Mode::Look => Ok(()),
                Mode::Write => set_attributes(entry, (node, modified), intake, site, handles),
            }
        }
    }
}

/// Reads the content of a file that is a link's target, and removes the file.
fn take_back(
    node: NodeId,
    intake: &Intake<'_>,
    site: &Site<'_>,
    handles: &mut Handles<'_>,
) -> Result<Vec<u8>> {
    let plan = intake.tree.members.plan();
    let path = || sys::join_bytes(site.shown, plan.path(node).as_bytes());
    let entered = handles.enter(plan, plan.parent(node));
    let dir = entered.map_err(|lost| site.enter_error(path(), lost))?;
    let failed = |error: io::Error| Error::io("read", path(), error);
    let file = sys::open_file(dir, plan.name(node)).map_err(failed)?;
    let mut target = Vec::new();
    // One more than a target can have: `check_target` refuses it then.
    file.take(4096).read_to_end(&mut target).map_err(failed)?;
    sys::remove_file(dir, plan.name(node)).map_err(failed)?;
    Ok(target)
}

/// Gives a file the mode and the time that the directory tells.
fn set_attributes(
    entry: &ZipEntry,
    (node, modified): Seen,
    intake: &Intake<'_>,
    site: &Site<'_>,
    handles: &mut Handles<'_>,
) -> Result<()> {
    let wanted = intake.tree.attributes_of(&entry.member).stat;
    let has_mode = wanted.mode == intake.tree.mode_of(&Member::new(MemberKind::File, ""));
    // Local headers often have a time of two seconds in a zone that they don't name.
    let has_time = entry.member.modified == modified;
    if has_mode && has_time {
        return Ok(());
    }
    let plan = intake.tree.members.plan();
    let path = || sys::join_bytes(site.shown, plan.path(node).as_bytes());
    let entered = handles.enter(plan, plan.parent(node));
    let dir = entered.map_err(|lost| site.enter_error(path(), lost))?;
    let failed = |error: io::Error| Error::io("write", path(), error);
    let file = sys::open_file(dir, plan.name(node)).map_err(failed)?;
    if !has_mode && site.rules.keeps_modes {
        sys::set_file_mode(&file, wanted.mode).map_err(failed)?;
    }
    if !has_time {
        sys::set_file_times(&file, &wanted).map_err(failed)?;
    }
    Ok(())
}
