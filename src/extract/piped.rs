//! A zip from a pipe: members become files as they come.
//!
//! What a member is, a file or a link, its mode and its exact time stand in the
//! directory at the end alone. Until then everything with content is a file in
//! the staging folder; the links among them are read back and become links, and
//! the others get what they lack, before anything is published. Names are
//! checked when they come, and everything once more, by the directory, at the
//! end.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::dest::attributes::{self, Attributes, Losses, Rules};
use crate::dest::writer::{NewFile, Site, Writer};
use crate::entry::{Member, MemberKind};
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::format::apple_double;
use crate::format::zip::{LocalEntry, StreamReader, ZipEntry};
use crate::handles::Handles;
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress, Total};
use crate::sys::{self, Timestamp};

use super::AppleDouble;
use super::intake::{Intake, Mode};
use super::tree::Accepted;

/// Content up to this is handed to other workers whole; more of it is written
/// by the worker that reads, as it comes.
const SMALL: usize = 1 << 20;

/// Bytes of small files, and of what is known of them, that one worker writes at
/// a time.
const BATCH: usize = 256 << 10;

/// Bytes of small files that may wait to be written.
const WAITING: usize = 16 << 20;

/// Files that one worker completes at a time.
const LATE: usize = 128;

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
    let skipped = Mutex::new(Vec::new());
    let reading = Mutex::new(Some((StreamReader::new(reader), &mut *intake)));
    let waiting = AtomicUsize::new(0);
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
                        skipped: Vec::new(),
                    };
                    pipe.run(queue, &mut writer)?;
                    let finished = pipe.reader.finish();
                    let finished = finished.map_err(|refusal| pipe.intake.refused(refusal))?;
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = pipe.seen;
                    *skipped.lock().unwrap_or_else(PoisonError::into_inner) = pipe.skipped;
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
    let mut late = Vec::new();
    for offset in skipped.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let entry = directory.at_offset(offset);
        let entry = entry.expect("the directory has all members that came");
        // A link of that content is refused in a file too.
        if entry.member.kind == MemberKind::Symlink {
            let checked = entry.check_target(&apple_double::MAGIC);
            checked.map_err(|refusal| intake.refused(refusal))?;
        }
    }
    for entry in directory.entries() {
        if let Some(seen) = seen.get(&entry.header_offset) {
            late.extend(settle(entry, seen, intake, site, &mut handles)?);
        }
    }
    complete(&late, intake, site, threads, progress)
}

fn write(
    writer: &mut Writer<'_>,
    files: Vec<(NewFile, Vec<u8>)>,
    waiting: &AtomicUsize,
) -> Result<()> {
    for (new, content) in files {
        let part = (!content.is_empty()).then_some((0, content.as_slice()));
        writer.write_whole(&new, part)?;
        waiting.fetch_sub(weight(&content), Ordering::Relaxed);
    }
    Ok(())
}

/// A member that came.
struct Seen {
    node: NodeId,
    /// The time that it got when it was written.
    modified: Option<Timestamp>,
}

/// A file that was written before all was known that belongs to it.
struct Late {
    node: NodeId,
    attributes: Attributes,
}

/// What a file takes while it waits: empty ones are not nothing.
fn weight(content: &[u8]) -> usize {
    content.len() + size_of::<NewFile>()
}

/// The worker that reads.
struct Pipe<'p, 'i, 'o> {
    reader: StreamReader<Box<dyn Read + Send + 'p>>,
    intake: &'i mut Intake<'o>,
    waiting: &'p AtomicUsize,
    batch: Vec<(NewFile, Vec<u8>)>,
    batched: usize,
    /// Each member that was taken, by where its header was.
    seen: HashMap<u64, Seen>,
    /// Where the headers were of members that were left out for their content.
    skipped: Vec<u64>,
}

impl Pipe<'_, '_, '_> {
    fn run(&mut self, queue: &Queue<'_, Job>, writer: &mut Writer<'_>) -> Result<()> {
        loop {
            let next = self.reader.next_entry();
            let next = next.map_err(|refusal| self.intake.refused(refusal))?;
            let Some(entry) = next.filter(|_| !queue.is_stopped()) else {
                break;
            };
            let mut begun = Vec::new();
            if self.intake.apple_double == AppleDouble::Skip
                && self.is_from_macos(&entry, &mut begun)?
            {
                continue;
            }
            let member = member_of(&entry);
            let accepted = self.intake.accept(&member)?;
            for node in self.intake.tree.take_made() {
                if self.intake.mode == Mode::Write {
                    self.intake.make_dir(node, writer)?;
                }
            }
            match accepted {
                Accepted::LeftOut => {}
                Accepted::Other(node) => self.remember(&entry, node),
                Accepted::File(node) => {
                    self.remember(&entry, node);
                    let new = self.intake.tree.new_file(node, &member);
                    self.take(new, begun, queue, writer)?;
                }
            }
        }
        self.hand_over(queue);
        Ok(())
    }

    fn remember(&mut self, entry: &LocalEntry, node: NodeId) {
        let modified = entry.modified;
        self.seen
            .insert(entry.header_offset, Seen { node, modified });
    }

    /// Whether a member is one that macOS added. What was read of another, to
    /// find that out, is in `begun`.
    fn is_from_macos(&mut self, entry: &LocalEntry, begun: &mut Vec<u8>) -> Result<bool> {
        if apple_double::is_in_own_folder(&entry.name) {
            return Ok(true);
        }
        // A folder's name ends in a slash, and isn't one of these.
        let may_be = apple_double::is_named_so(&entry.name)
            && entry.size.is_none_or(|size| size >= apple_double::MIN_SIZE);
        if !may_be {
            return Ok(false);
        }
        self.read(begun, apple_double::MIN_SIZE)?;
        let is_one =
            begun.len() as u64 == apple_double::MIN_SIZE && begun.starts_with(&apple_double::MAGIC);
        if is_one {
            self.skipped.push(entry.header_offset);
        }
        Ok(is_one)
    }

    /// Reads the content of a file, of which `content` was read already, and
    /// writes it or has it written.
    fn take(
        &mut self,
        new: NewFile,
        mut content: Vec<u8>,
        queue: &Queue<'_, Job>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        self.read(&mut content, SMALL as u64)?;
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
            self.read(&mut content, SMALL as u64)?;
        }
        writer.finish(file, &new)
    }

    /// Reads more of the current content, at most `most` bytes.
    fn read(&mut self, content: &mut Vec<u8>, most: u64) -> Result<()> {
        let read = (&mut self.reader).take(most).read_to_end(content);
        let count = read.map_err(|error| self.intake.refused(Refusal::io(error)))?;
        self.intake.receive_content(count as u64)
    }

    fn add(
        &mut self,
        new: NewFile,
        content: Vec<u8>,
        queue: &Queue<'_, Job>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        let weight = weight(&content);
        let waiting = self.waiting.fetch_add(weight, Ordering::Relaxed) + weight;
        self.batched += weight;
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

/// Gives a member what only the directory tells of it. Returns a file that
/// still has to be completed.
fn settle(
    entry: &ZipEntry,
    seen: &Seen,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    handles: &mut Handles<'_>,
) -> Result<Option<Late>> {
    let node = seen.node;
    let refused = |intake: &Intake<'_>, refusal| intake.refused_member(refusal, &entry.member.path);
    if !entry.has_stored_path() {
        let cause = "its parts are divided by `\\`, which a pipe tells too late";
        let refusal = Refusal::new(ErrorKind::Unsupported, cause);
        return Err(refused(
            intake,
            refusal.with_hint("save it to a file first"),
        ));
    }
    match entry.member.kind {
        MemberKind::Dir => {
            intake.tree.set_attributes(node, &entry.member);
            Ok(None)
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
            intake.check_links().map(|()| None)
        }
        MemberKind::File | MemberKind::Hardlink => {
            intake.tree.counts.bytes += entry.uncompressed_size - intake.tree.size(node);
            let attributes = intake.tree.attributes_of(&entry.member);
            let is_complete = entry.member.modified == seen.modified
                && attributes.stat.mode == usual_mode(intake)
                && (attributes.stat.uid, attributes.stat.gid) == (0, 0);
            let is_late = intake.mode == Mode::Write && !is_complete;
            Ok(is_late.then_some(Late { node, attributes }))
        }
    }
}

/// The mode of a file of which the directory says nothing yet.
fn usual_mode(intake: &Intake<'_>) -> u32 {
    intake.tree.mode_of(&Member::new(MemberKind::File, ""))
}

/// Gives files the mode, the owner and the exact time that the directory told.
fn complete(
    late: &[Late],
    intake: &Intake<'_>,
    site: &Site<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let plan = intake.tree.members.plan();
    let usual = usual_mode(intake);
    // Times and owners that can't be kept were counted when it was written.
    let losses = Losses::default();
    let work = |queue: &mut Queue<'_, &[Late]>| {
        let mut handles = site.handles();
        while let Some(batch) = queue.next() {
            for Late { node, attributes } in batch {
                let path = || sys::join_bytes(site.shown, plan.path(*node).as_bytes());
                let entered = handles.enter(plan, plan.parent(*node));
                let dir = entered.map_err(|lost| site.enter_error(path(), lost))?;
                let failed = |error: io::Error| Error::io("write", path(), error);
                let name = plan.name(*node);
                // Windows sets times only through a handle for writing; a umask
                // may leave none.
                let file = sys::open_file_for_write(dir, name)
                    .or_else(|_| sys::open_file(dir, name))
                    .map_err(failed)?;
                let rules = Rules {
                    exact_modes: attributes.stat.mode == usual,
                    ..site.rules
                };
                attributes::finish_file(&file, attributes, rules, &losses).map_err(failed)?;
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, Total::default()));
    pool::run(threads, late.chunks(LATE), work, report)?;
    let lost_modes = losses.counts().modes;
    site.losses.modes.fetch_add(lost_modes, Ordering::Relaxed);
    Ok(())
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
