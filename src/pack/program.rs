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
    OtherProgram,
    Other,
}

/// What a file is that begins with `begin`.
pub(super) fn class_of(begin: &[u8]) -> Class {
    const X86_64: u16 = 62;
    if begin.starts_with(b"\x7FELF") {
        let is_wide = begin.get(4..6) == Some(&[2, 1]);
        return match is_wide && short(begin, 18) == Some(X86_64) {
            true => Class::X86,
            false => Class::OtherProgram,
        };
    }
    if let Some(class) = class_of_pe(begin) {
        return class;
    }
    match begin.first_chunk::<8>() {
        // mach/machine.h: CPU_TYPE_X86_64, little-endian.
        Some([0xCF, 0xFA, 0xED, 0xFE, 7, 0, 0, 1]) => Class::X86,
        Some([0xCF, 0xFA, 0xED, 0xFE, ..]) => Class::OtherProgram,
        Some(_) | None => Class::Other,
    }
}

/// A program for Windows: its header is where the one for DOS says.
fn class_of_pe(begin: &[u8]) -> Option<Class> {
    const MACHINE: u16 = 0x8664;
    if !begin.starts_with(b"MZ") {
        return None;
    }
    let header = begin.get(word(begin, 0x3C)? as usize..)?;
    Some(
        match short(header.strip_prefix(b"PE\0\0")?, 0)? == MACHINE {
            true => Class::X86,
            false => Class::OtherProgram,
        },
    )
}

/// Where a program of `size` bytes has its code: in an ELF what is loaded to be
/// executed, all of anything else.
pub(super) fn code_of(begin: &[u8], size: u64) -> Range<u64> {
    match begin.starts_with(b"\x7FELF") {
        true => code_of_elf(begin, size).unwrap_or(0..size),
        false => 0..size,
    }
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
    let mut found: Option<Range<u64>> = None;
    for number in 0..count {
        let header = begin.get(table.checked_add(number * width)?..)?;
        if word(header, 0)? == LOAD && word(header, 4)? & EXECUTABLE != 0 {
            let (start, length) = (long(header, 8)?, long(header, 32)?);
            let end = start.checked_add(length).filter(|end| *end <= size)?;
            found = Some(match found {
                None => start..end,
                Some(before) => before.start.min(start)..before.end.max(end),
            });
        }
    }
    found.filter(|code| !code.is_empty())
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
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
    fn programs_are_known_by_how_they_begin() {
        let mut pe = [0; 0x90];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3C] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        let mut arm = elf(&[]);
        arm[18] = 183;
        for (begin, class) in [
            (&pe[..], Class::X86),
            (&arm, Class::OtherProgram),
            (b"\xCF\xFA\xED\xFE\x07\0\0\x01", Class::X86),
            (b"\xCF\xFA\xED\xFE\x0C\0\0\x01", Class::OtherProgram),
            (b"MZ", Class::Other),
            (b"#!/bin/sh", Class::Other),
            (b"", Class::Other),
        ] {
            assert_eq!(class_of(begin), class, "{begin:x?}");
        }
    }
}
