//! The program of a folder, made of a program that is one file: the same loader
//! with a package of all that isn't unpacked, and the name of the folder that
//! has the rest. For Linux only.
//!
//! `objcopy` put the package into an ELF section, and the section headers behind
//! it. No loader needs those: what is loaded is copied, and they are dropped.

use crate::error::{ErrorKind, Refusal};
use crate::format::ReadAt;

use super::package::Package;
use super::toc::{Entry, Kind};
use super::write::Writer;

/// The option that names the folder which a program's files are in.
const CONTENTS: &str = "pyi-contents-directory ";

/// The type of segments that are loaded.
const PT_LOAD: u64 = 1;

/// The program, beside whose folder `contents` it runs, of the program `source`
/// of `length` bytes, whose unpacked members are in that folder.
pub(crate) fn onedir_program(
    source: &(impl ReadAt + ?Sized),
    length: u64,
    contents: &str,
) -> Result<Vec<u8>, Refusal> {
    if matches!(contents, "" | "." | "..") || contents.contains(['/', '\\', '\0']) {
        let cause = "the folder of a program's files needs a name of its own";
        return Err(Refusal::new(ErrorKind::Usage, cause));
    }
    let package = Package::read(source, length)?;
    let loader = loader(source, package.range().start)?;
    let mut writer = Writer::behind(loader);
    let option = format!("{CONTENTS}{contents}");
    writer.add(&Entry::option(), option.as_bytes(), &[])?;
    for entry in package.entries() {
        let name = package.name(entry);
        let names_contents = entry.kind == Kind::Option && name.starts_with(CONTENTS.as_bytes());
        if entry.kind.is_unpacked() || names_contents {
            continue;
        }
        let range = package.data(entry);
        // Within the file: the table was checked for that.
        let mut data = vec![0; (range.end - range.start) as usize];
        let read = source.read_exact_at(&mut data, range.start);
        read.map_err(Refusal::io)?;
        writer.add(entry, name, &data)?;
    }
    writer.finish(package.cookie())
}

/// The ELF file before byte `end` as far as it is loaded, without section headers.
fn loader(source: &(impl ReadAt + ?Sized), end: u64) -> Result<Vec<u8>, Refusal> {
    let mut head = [0; 64];
    let most = usize::try_from(end).map_or(64, |end| end.min(64));
    let read = source.read_exact_at(&mut head[..most], 0);
    read.map_err(Refusal::io)?;
    let layout = Layout::of(&head).ok_or_else(|| {
        let cause = "only a program for Linux becomes that of a folder";
        Refusal::new(ErrorKind::UnknownFormat, cause)
    })?;
    let wrong = || Refusal::malformed("its ELF header leads outside of the program");
    let table = layout.number(&head, layout.phoff);
    if layout.number(&head, layout.phentsize) != layout.segment as u64 {
        return Err(wrong());
    }
    let size = layout.segment as u64 * layout.number(&head, layout.phnum);
    let within = |start: u64, size: u64| start.checked_add(size).filter(|to| *to <= end);
    let mut loaded = within(table, size).ok_or_else(wrong)?;
    // At most 65,535 headers, and no more than there are.
    let mut headers = vec![0; size as usize];
    let read = source.read_exact_at(&mut headers, table);
    read.map_err(Refusal::io)?;
    for header in headers.chunks_exact(layout.segment) {
        if layout.number(header, (0, 4)) == PT_LOAD {
            let (offset, size) = (layout.p_offset, layout.p_filesz);
            let to = within(layout.number(header, offset), layout.number(header, size));
            loaded = loaded.max(to.ok_or_else(wrong)?);
        }
    }
    let mut program = vec![0; usize::try_from(loaded).map_err(|_| wrong())?];
    source.read_exact_at(&mut program, 0).map_err(Refusal::io)?;
    for (at, size) in [layout.shoff, layout.shnum, layout.shstrndx] {
        let field = program.get_mut(at..at + size).ok_or_else(wrong)?;
        field.fill(0);
    }
    Ok(program)
}

/// Where a number stands, and its bytes.
type Field = (usize, usize);

/// Where ELF's headers have what is needed of them: System V ABI, chapters 4 and 5.
struct Layout {
    is_little: bool,
    phoff: Field,
    shoff: Field,
    phentsize: Field,
    phnum: Field,
    shnum: Field,
    shstrndx: Field,
    p_offset: Field,
    p_filesz: Field,
    /// Bytes of a program header.
    segment: usize,
}

impl Layout {
    fn of(head: &[u8; 64]) -> Option<Self> {
        if !head.starts_with(b"\x7fELF") {
            return None;
        }
        let is_little = match head[5] {
            1 => true,
            2 => false,
            _ => return None,
        };
        match head[4] {
            1 => Some(Self {
                is_little,
                phoff: (28, 4),
                shoff: (32, 4),
                phentsize: (42, 2),
                phnum: (44, 2),
                shnum: (48, 2),
                shstrndx: (50, 2),
                p_offset: (4, 4),
                p_filesz: (16, 4),
                segment: 32,
            }),
            2 => Some(Self {
                is_little,
                phoff: (32, 8),
                shoff: (40, 8),
                phentsize: (54, 2),
                phnum: (56, 2),
                shnum: (60, 2),
                shstrndx: (62, 2),
                p_offset: (8, 8),
                p_filesz: (32, 8),
                segment: 56,
            }),
            _ => None,
        }
    }

    fn number(&self, bytes: &[u8], (at, size): Field) -> u64 {
        let field = &bytes[at..at + size];
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.is_little {
            true => field.iter().rev().fold(0, push),
            false => field.iter().fold(0, push),
        }
    }
}
