//! Programs: what a file is, by how it begins, and where it has code.
//!
//! Only what is needed to order and to filter files. Whatever a file says of
//! itself that isn't so makes an archive larger, and nothing else.

use std::ops::Range;

/// What a file is: files of one class stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    /// ELF, PE or Mach-O for x86-64.
    X86,
    /// The same for ARM64.
    Arm64,
    OtherProgram,
    Other,
}

/// What a file is that begins with `begin`.
pub(super) fn class_of(begin: &[u8]) -> Class {
    // elf.h: EM_X86_64, EM_AARCH64.
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;
    if begin.starts_with(b"\x7FELF") {
        let is_wide = begin.get(4..6) == Some(&[2, 1]);
        return match short(begin, 18).filter(|_| is_wide) {
            Some(X86_64) => Class::X86,
            Some(AARCH64) => Class::Arm64,
            Some(_) | None => Class::OtherProgram,
        };
    }
    if let Some(class) = class_of_pe(begin) {
        return class;
    }
    match begin.first_chunk::<8>() {
        // mach/machine.h: CPU_TYPE_X86_64 and CPU_TYPE_ARM64, little-endian.
        Some([0xCF, 0xFA, 0xED, 0xFE, 7, 0, 0, 1]) => Class::X86,
        Some([0xCF, 0xFA, 0xED, 0xFE, 12, 0, 0, 1]) => Class::Arm64,
        Some([0xCF, 0xFA, 0xED, 0xFE, ..]) => Class::OtherProgram,
        Some(_) | None => Class::Other,
    }
}

/// Whether what begins so is run, or loaded as code: a program, or a script that names what
/// runs it. For systems whose files don't say so by a mode.
pub(super) fn is_run(begin: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [b"\x7fELF", b"\xCF\xFA\xED\xFE", b"MZ", b"#!"];
    STARTS.iter().any(|start| begin.starts_with(start))
}

/// A program for Windows: its header is where the one for DOS says.
fn class_of_pe(begin: &[u8]) -> Option<Class> {
    // The values of IMAGE_FILE_HEADER's Machine.
    const AMD64: u16 = 0x8664;
    const ARM64: u16 = 0xAA64;
    Some(match short(pe_header(begin)?, 0)? {
        AMD64 => Class::X86,
        ARM64 => Class::Arm64,
        _ => Class::OtherProgram,
    })
}

/// The header of a program for Windows, behind its signature.
fn pe_header(begin: &[u8]) -> Option<&[u8]> {
    if !begin.starts_with(b"MZ") {
        return None;
    }
    let header = begin.get(word(begin, 0x3C)? as usize..)?;
    header.strip_prefix(b"PE\0\0")
}

/// Where a program of `size` bytes has its code: what is loaded to be executed, or
/// all of it if that isn't told.
pub(super) fn code_of(begin: &[u8], size: u64) -> Range<u64> {
    let code = match begin.first() {
        Some(0x7F) => code_of_elf(begin, size),
        Some(b'M') => code_of_pe(begin, size),
        Some(0xCF) => code_of_mach(begin, size),
        Some(_) | None => None,
    };
    code.unwrap_or(0..size)
}

/// From the first to the last of those `parts` that are within `size`.
fn spanned(parts: impl Iterator<Item = (u64, u64)>, size: u64) -> Option<Range<u64>> {
    let mut found: Option<Range<u64>> = None;
    for (start, length) in parts {
        let end = start.checked_add(length).filter(|end| *end <= size)?;
        found = Some(match found {
            None => start..end,
            Some(before) => before.start.min(start)..before.end.max(end),
        });
    }
    found.filter(|code| !code.is_empty())
}

/// The executable sections of a PE.
fn code_of_pe(begin: &[u8], size: u64) -> Option<Range<u64>> {
    let sections = pe_sections(begin)?;
    let code = sections.iter().filter(|section| section.is_code);
    spanned(code.map(|section| (section.start, section.length)), size)
}

/// A section of a PE (PE Format, Section Table).
pub(super) struct PeSection {
    pub name: [u8; 8],
    /// Where it is in the file, and how many bytes.
    pub start: u64,
    pub length: u64,
    pub is_code: bool,
}

/// All sections that the first bytes of a PE tell of; `None` if it is none.
pub(super) fn pe_sections(begin: &[u8]) -> Option<Vec<PeSection>> {
    const FILE_HEADER: usize = 20;
    const SECTION: usize = 40;
    const EXECUTABLE: u32 = 0x2000_0000;
    let header = pe_header(begin)?;
    let (count, optional) = (short(header, 2)?, short(header, 16)?);
    let table = header.get(FILE_HEADER + usize::from(optional)..)?;
    let sections = table.chunks_exact(SECTION).take(usize::from(count));
    let sections = sections.filter_map(|section| {
        Some(PeSection {
            name: *section.first_chunk()?,
            start: u64::from(word(section, 20)?),
            length: u64::from(word(section, 16)?),
            is_code: word(section, 36)? & EXECUTABLE != 0,
        })
    });
    Some(sections.collect())
}

/// The segments of a 64-bit Mach-O that are mapped to be executed
/// (mach-o/loader.h, `segment_command_64`).
fn code_of_mach(begin: &[u8], size: u64) -> Option<Range<u64>> {
    const HEADER: usize = 32;
    const SEGMENT: u32 = 0x19;
    const EXECUTABLE: u32 = 4;
    let count = word(begin, 16)?;
    let mut commands = begin.get(HEADER..)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let length = word(commands, 4)? as usize;
        if word(commands, 0)? == SEGMENT && word(commands, 60)? & EXECUTABLE != 0 {
            parts.push((long(commands, 40)?, long(commands, 48)?));
        }
        commands = commands.get(length.max(8)..)?;
    }
    spanned(parts.into_iter(), size)
}

/// The executable segments of a 64-bit ELF (elf.h, `Elf64_Phdr`), from the first
/// to the last.
fn code_of_elf(begin: &[u8], size: u64) -> Option<Range<u64>> {
    const LOAD: u32 = 1;
    const EXECUTABLE: u32 = 1;
    let table = usize::try_from(long(begin, 32)?).ok()?;
    let (width, count) = (
        usize::from(short(begin, 54)?),
        usize::from(short(begin, 56)?),
    );
    let mut parts = Vec::new();
    for number in 0..count {
        let header = begin.get(table.checked_add(number * width)?..)?;
        if word(header, 0)? == LOAD && word(header, 4)? & EXECUTABLE != 0 {
            parts.push((long(header, 8)?, long(header, 32)?));
        }
    }
    spanned(parts.into_iter(), size)
}

/// The number of 2 bytes at a place, if there is one; below 4 and 8 bytes.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF with one segment for each of `segments`: flags, offset and length.
    fn elf(segments: &[(u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7FELF\x02\x01");
        bytes[18] = 62;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = segments.len() as u8;
        for (flags, offset, length) in segments {
            let mut header = [0; 56];
            header[0] = 1;
            header[4..8].copy_from_slice(&flags.to_le_bytes());
            header[8..16].copy_from_slice(&offset.to_le_bytes());
            header[32..40].copy_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&header);
        }
        bytes
    }

    #[test]
    fn code_is_what_an_elf_loads_to_execute() {
        for (segments, code) in [
            (&[(4, 0, 100), (5, 100, 50), (6, 150, 10)][..], 100..150),
            (&[(5, 10, 10), (5, 40, 10)], 10..50),
            (&[(4, 0, 100)], 0..1000),
            (&[(5, 990, 11)], 0..1000),
            (&[(5, u64::MAX, 2)], 0..1000),
        ] {
            let bytes = elf(segments);
            assert_eq!(class_of(&bytes), Class::X86);
            assert_eq!(code_of(&bytes, 1000), code, "{segments:?}");
        }
        for length in 0..64 {
            assert_eq!(code_of(&elf(&[(5, 0, 9)])[..length], 1000), 0..1000);
        }
    }

    #[test]
    fn code_is_what_a_pe_or_a_mach_o_maps_to_execute() {
        let mut pe = vec![0; 0x80 + 24 + 8 + 2 * 40];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3C] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\xAA");
        pe[0x86] = 2;
        pe[0x94] = 8;
        for (section, flags, start, length) in
            [(0xA0, 0x40, 300, 50), (0xC8, 0x60, 400_u32, 60_u32)]
        {
            pe[section + 16..section + 20].copy_from_slice(&length.to_le_bytes());
            pe[section + 20..section + 24].copy_from_slice(&start.to_le_bytes());
            pe[section + 39] = flags;
        }
        assert_eq!(class_of(&pe), Class::Arm64);
        assert_eq!(code_of(&pe, 1000), 400..460);
        assert_eq!(code_of(&pe, 459), 0..459);
        let mut mach = vec![0; 32 + 2 * 72];
        mach[..8].copy_from_slice(b"\xCF\xFA\xED\xFE\x07\0\0\x01");
        mach[16] = 2;
        for (segment, protection, start, length) in [(32, 5, 0, 500_u64), (104, 3, 500_u64, 100)] {
            mach[segment] = 0x19;
            mach[segment + 4] = 72;
            mach[segment + 40..segment + 48].copy_from_slice(&start.to_le_bytes());
            mach[segment + 48..segment + 56].copy_from_slice(&length.to_le_bytes());
            mach[segment + 60] = protection;
        }
        assert_eq!(class_of(&mach), Class::X86);
        assert_eq!(code_of(&mach, 1000), 0..500);
        for bytes in [&pe, &mach] {
            for length in 0..bytes.len() {
                let code = code_of(&bytes[..length], 1000);
                assert!(code.end <= 1000);
            }
        }
    }

    #[test]
    fn programs_are_known_by_how_they_begin() {
        let mut pe = [0; 0x90];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3C] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        let mut arm = elf(&[]);
        arm[18] = 183;
        for (begin, class) in [
            (&pe[..], Class::X86),
            (&arm, Class::Arm64),
            (b"\xCF\xFA\xED\xFE\x07\0\0\x01", Class::X86),
            (b"\xCF\xFA\xED\xFE\x0C\0\0\x01", Class::Arm64),
            (b"\xCF\xFA\xED\xFE\x12\0\0\x01", Class::OtherProgram),
            (b"MZ", Class::Other),
            (b"#!/bin/sh", Class::Other),
            (b"", Class::Other),
        ] {
            assert_eq!(class_of(begin), class, "{begin:x?}");
        }
    }
}
