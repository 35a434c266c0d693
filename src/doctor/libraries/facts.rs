//! What a program's file tells the loader: its own name, what it needs, and where it
//! wants that to be looked for.
//!
//! Of a file, the headers are read and the few strings that they name, whatever sizes it
//! claims to have. What isn't whole or isn't understood tells nothing.

use std::fs::File;

use object::macho::{MachHeader32, MachHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::macho::{FatArch, LoadCommandData, MachHeader, MachOFatFile32, MachOFatFile64};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};
use object::{Endian, Endianness, FileKind, LittleEndian, ReadCache, ReadRef, elf, macho, pe};

/// The most bytes of a table that are read: of a large program 20 KiB.
const LARGEST_TABLE: u64 = 1 << 20;

/// The most strings of a file: a large program names 100.
const MOST_STRINGS: usize = 4096;

/// What a file tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Those of one kind can be loaded into one process.
    pub machine: Machine,
    /// The name that the loader knows it by.
    pub name: Option<Vec<u8>>,
    /// What it needs, as it is written.
    pub needs: Vec<Vec<u8>>,
    /// Where that is looked for, as it is written.
    pub paths: Vec<Vec<u8>>,
}

/// For which loader and processor a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Machine {
    /// Linux and its like: processor, and whether addresses have 64 bits.
    Elf(u16, bool),
    /// macOS, of any processor: its files hold several.
    #[default]
    MachO,
    /// Windows, and the processor.
    Pe(u16),
}

/// What `file` tells; `None` if it isn't whole, or no program.
pub(super) fn read(file: &File) -> Option<Facts> {
    let cache = ReadCache::new(file);
    let data = &cache;
    match FileKind::parse(data).ok()? {
        FileKind::Elf32 => elf::<elf::FileHeader32<Endianness>, _>(data),
        FileKind::Elf64 => elf::<elf::FileHeader64<Endianness>, _>(data),
        FileKind::MachO32 => mach_o::<MachHeader32<Endianness>, _>(data, 0),
        FileKind::MachO64 => mach_o::<MachHeader64<Endianness>, _>(data, 0),
        FileKind::MachOFat32 => fat(data, MachOFatFile32::parse(data).ok()?.arches()),
        FileKind::MachOFat64 => fat(data, MachOFatFile64::parse(data).ok()?.arches()),
        FileKind::Pe32 => pe::<pe::ImageNtHeaders32, _>(data),
        FileKind::Pe64 => pe::<pe::ImageNtHeaders64, _>(data),
        _ => None,
    }
}

/// The dynamic section: "System V Application Binary Interface", chapter 5.
fn elf<'d, H, R>(data: R) -> Option<Facts>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let is_dynamic = |segment: &&H::ProgramHeader| segment.p_type(endian) == elf::PT_DYNAMIC;
    let segment = segments.iter().find(is_dynamic)?;
    if segment.p_filesz(endian).into() > LARGEST_TABLE {
        return None;
    }
    let entries = segment.dynamic(endian, data).ok()??;
    let is_null = |entry: &&H::Dyn| entry.tag(endian) == elf::DT_NULL;
    let end = entries.iter().position(|entry| is_null(&entry));
    let entries = &entries[..end.unwrap_or(entries.len())];
    let table = entries
        .iter()
        .find(|entry| entry.tag(endian) == elf::DT_STRTAB)?;
    let table = offset_of(segments, endian, table.val(endian))?;
    let length = data.len().ok()?;
    let string = |entry: &H::Dyn| {
        let start = table.checked_add(entry.val(endian))?;
        let bytes = data.read_bytes_at_until(start..length, 0).ok()?;
        (start < length).then(|| bytes.to_vec())
    };
    let mut facts = Facts {
        machine: Machine::Elf(header.e_machine(endian).0, header.is_type_64()),
        ..Facts::default()
    };
    let has_string = |entry: &&H::Dyn| {
        let named = [
            elf::DT_NEEDED,
            elf::DT_SONAME,
            elf::DT_RPATH,
            elf::DT_RUNPATH,
        ];
        named.contains(&entry.tag(endian))
    };
    for entry in entries.iter().filter(has_string).take(MOST_STRINGS) {
        let text = string(entry)?;
        match entry.tag(endian) {
            elf::DT_NEEDED => facts.needs.push(text),
            elf::DT_SONAME => facts.name = Some(text),
            _ => facts
                .paths
                .extend(text.split(|byte| *byte == b':').map(<[u8]>::to_vec)),
        }
    }
    Some(facts)
}

/// Where in the file an address is.
fn offset_of<P: ProgramHeader>(segments: &[P], endian: P::Endian, address: u64) -> Option<u64> {
    let mut loaded = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    loaded.find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr(endian).into())?;
        let offset = segment.p_offset(endian).into().checked_add(within)?;
        (within < segment.p_filesz(endian).into()).then_some(offset)
    })
}

/// The load commands of `header_offset`: Apple's `mach-o/loader.h`.
fn mach_o<'d, H, R>(data: R, header_offset: u64) -> Option<Facts>
where
    H: MachHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(data, header_offset).ok()?;
    let endian = header.endian().ok()?;
    if u64::from(header.sizeofcmds(endian)) > LARGEST_TABLE {
        return None;
    }
    let mut commands = header.load_commands(endian, data, header_offset).ok()?;
    let mut facts = Facts::default();
    let mut count = 0;
    while let Some(command) = commands.next().ok()? {
        count += 1;
        if count > MOST_STRINGS {
            return None;
        }
        command_of(&command, endian, &mut facts)?;
    }
    Some(facts)
}

/// What one command tells. What may be missing without harm isn't needed.
fn command_of<E: Endian>(
    command: &LoadCommandData<'_, E>,
    endian: E,
    facts: &mut Facts,
) -> Option<()> {
    let dylib = || {
        let dylib: &macho::DylibCommand<E> = command.data().ok()?;
        command.string(endian, dylib.dylib.name).ok()
    };
    match command.cmd() {
        macho::LC_ID_DYLIB => {
            facts.name = dylib()?
                .rsplit(|byte| *byte == b'/')
                .next()
                .map(<[u8]>::to_vec);
        }
        macho::LC_LOAD_DYLIB | macho::LC_REEXPORT_DYLIB | macho::LC_LOAD_UPWARD_DYLIB => {
            facts.needs.push(dylib()?.to_vec());
        }
        macho::LC_RPATH => {
            let path: &macho::RpathCommand<E> = command.data().ok()?;
            facts
                .paths
                .push(command.string(endian, path.path).ok()?.to_vec());
        }
        _ => {}
    }
    Some(())
}

/// The first processor's part: the others need the same.
fn fat<'d, A: FatArch, R: ReadRef<'d>>(data: R, parts: &[A]) -> Option<Facts> {
    let offset = parts.first()?.offset().into();
    let wide = mach_o::<MachHeader64<Endianness>, _>(data, offset);
    wide.or_else(|| mach_o::<MachHeader32<Endianness>, _>(data, offset))
}

/// The name in the table of what is exported: Microsoft's "PE Format".
fn pe<'d, H: ImageNtHeaders, R: ReadRef<'d>>(data: R) -> Option<Facts> {
    let dos = pe::ImageDosHeader::parse(data).ok()?;
    let mut offset = dos.nt_headers_offset().into();
    let (headers, directories) = H::parse(data, &mut offset).ok()?;
    let _ = headers.optional_header().number_of_rva_and_sizes();
    let sections = headers.sections(data, offset).ok()?;
    let machine = Machine::Pe(headers.file_header().machine.get(LittleEndian).0);
    let name = || {
        let exports = directories.export_directory(data, &sections).ok()??;
        let (start, size) = sections.pe_file_range_at(exports.name.get(LittleEndian))?;
        let end = u64::from(start) + u64::from(size);
        let name = data.read_bytes_at_until(start.into()..end, 0).ok()?;
        Some(name.to_ascii_lowercase())
    };
    Some(Facts {
        machine,
        name: name(),
        ..Facts::default()
    })
}
