//! The records of a zip file: one definition each, which reading and writing
//! share, with the section of PKWARE's APPNOTE 6.3.10 that it comes from.
//!
//! All numbers are little-endian. A record here is its part of fixed size,
//! signature included; what follows it (name, extra fields, comment) is sized
//! by its fields. Nothing here judges a value.

/// Defines a record once: its fields in the order in which they are stored.
macro_rules! record {
    (
        $(#[$doc:meta])*
        $name:ident = $signature:literal {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(super) struct $name {
            $($(#[$field_doc])* pub(super) $field: $type,)*
        }

        impl $name {
            /// The four bytes that begin the record.
            pub(super) const SIGNATURE: [u8; 4] = *$signature;
            /// The bytes of the part of fixed size, signature included.
            pub(super) const SIZE: usize = 4 $(+ size_of::<$type>())*;

            /// The record that `bytes` begin with; `None` where they don't
            /// begin with its signature, or are too few.
            pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
                let mut rest = bytes.get(..Self::SIZE)?.strip_prefix(&Self::SIGNATURE)?;
                Some(Self {
                    $($field: <$type>::from_le_bytes(take(&mut rest)?),)*
                })
            }

            /// Appends the record to `out`.
            pub(super) fn append(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&Self::SIGNATURE);
                $(out.extend_from_slice(&self.$field.to_le_bytes());)*
            }
        }
    };
}

record! {
    /// Local file header, 4.3.7; name and extra fields follow.
    LocalHeader = b"PK\x03\x04" {
        version_needed: u16,
        flags: u16,
        method: u16,
        dos_time: u16,
        dos_date: u16,
        crc32: u32,
        compressed_size: u32,
        uncompressed_size: u32,
        name_size: u16,
        extra_size: u16,
    }
}

record! {
    /// Central directory header, 4.3.12; name, extra fields and comment follow.
    CentralHeader = b"PK\x01\x02" {
        /// Version in the low byte, system in the high one, 4.4.2.
        made_by: u16,
        version_needed: u16,
        flags: u16,
        method: u16,
        dos_time: u16,
        dos_date: u16,
        crc32: u32,
        compressed_size: u32,
        uncompressed_size: u32,
        name_size: u16,
        extra_size: u16,
        comment_size: u16,
        disk: u16,
        internal_attributes: u16,
        /// DOS attributes in the low byte; on Unix, the mode in the high half.
        external_attributes: u32,
        header_offset: u32,
    }
}

record! {
    /// Data descriptor of files up to 4 GiB, 4.3.9; may lack its signature.
    Descriptor = b"PK\x07\x08" {
        crc32: u32,
        compressed_size: u32,
        uncompressed_size: u32,
    }
}

record! {
    /// Data descriptor with sizes of eight bytes, 4.3.9.2.
    Descriptor64 = b"PK\x07\x08" {
        crc32: u32,
        compressed_size: u64,
        uncompressed_size: u64,
    }
}

record! {
    /// End of central directory record, 4.3.16; the comment follows.
    EndRecord = b"PK\x05\x06" {
        disk: u16,
        directory_disk: u16,
        entries_here: u16,
        entries: u16,
        directory_size: u32,
        directory_offset: u32,
        comment_size: u16,
    }
}

record! {
    /// Zip64 end of central directory record, 4.3.14, version 1.
    End64Record = b"PK\x06\x06" {
        /// The bytes of the record behind this field.
        rest_size: u64,
        made_by: u16,
        version_needed: u16,
        disk: u32,
        directory_disk: u32,
        entries_here: u64,
        entries: u64,
        directory_size: u64,
        directory_offset: u64,
    }
}

record! {
    /// Zip64 end of central directory locator, 4.3.15.
    Locator = b"PK\x06\x07" {
        disk: u32,
        record_offset: u64,
        disks: u32,
    }
}

/// The next bytes of `rest`.
fn take<const SIZE: usize>(rest: &mut &[u8]) -> Option<[u8; SIZE]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// Archive extra data record, 4.3.11: only encrypted archives have one.
pub(super) const ARCHIVE_EXTRA: [u8; 4] = *b"PK\x06\x08";
/// Digital signature of the directory, 4.3.13.
pub(super) const DIGITAL_SIGNATURE: [u8; 4] = *b"PK\x05\x05";
/// Begins an archive of several disks, 8.5.3 and 8.5.4.
pub(super) const SPANNED: [[u8; 4]; 2] = [*b"PK\x07\x08", *b"PK00"];

/// A size or offset that stands in the Zip64 extra field, 4.5.3.
pub(super) const IN_ZIP64: u32 = u32::MAX;
/// A count or disk that stands in a Zip64 record.
pub(super) const IN_ZIP64_SHORT: u16 = u16::MAX;
/// [`End64Record::rest_size`] without an extensible data sector.
pub(super) const END64_REST: u64 = End64Record::SIZE as u64 - 12;

/// Bits of the general purpose flag, 4.4.4.
pub(super) mod flag {
    pub(in super::super) const ENCRYPTED: u16 = 1 << 0;
    /// LZMA: the data ends in a marker, 4.4.4 and 5.8.9.
    pub(in super::super) const LZMA_MARKER: u16 = 1 << 1;
    pub(in super::super) const DESCRIPTOR: u16 = 1 << 3;
    pub(in super::super) const PATCH: u16 = 1 << 5;
    pub(in super::super) const STRONG_ENCRYPTION: u16 = 1 << 6;
    pub(in super::super) const UTF8: u16 = 1 << 11;
    pub(in super::super) const MASKED: u16 = 1 << 13;
}

/// Systems of the `version made by` field, 4.4.2.
pub(super) mod system {
    pub(in super::super) const DOS: u8 = 0;
    pub(in super::super) const UNIX: u8 = 3;
    /// NTFS in the APPNOTE.
    pub(in super::super) const NTFS: u8 = 10;
    /// NTFS as Info-ZIP writes it.
    pub(in super::super) const NTFS_INFO_ZIP: u8 = 11;
    pub(in super::super) const VFAT: u8 = 14;
    pub(in super::super) const MACOS: u8 = 19;
}

/// Headers of extra fields, 4.5.2 and Info-ZIP's `extrafld.txt`.
pub(super) mod extra {
    /// Zip64 extended information, 4.5.3.
    pub(in super::super) const ZIP64: u16 = 0x0001;
    /// NTFS times, 4.5.5.
    pub(in super::super) const NTFS: u16 = 0x000a;
    /// Strong encryption header, 4.5.12.
    pub(in super::super) const STRONG_ENCRYPTION: u16 = 0x0017;
    /// Extended timestamp, Info-ZIP.
    pub(in super::super) const TIMESTAMP: u16 = 0x5455;
    /// Unix times, Info-ZIP's first generation, which macOS still writes.
    pub(in super::super) const UNIX_TIMES: u16 = 0x5855;
    /// The parts of a large member, our own: `bc`.
    pub(in super::super) const PARTS: u16 = 0x6362;
    /// Unicode path, 4.6.9.
    pub(in super::super) const UNICODE_PATH: u16 = 0x7075;
    /// Unix user and group, Info-ZIP's third generation.
    pub(in super::super) const UNIX_OWNER: u16 = 0x7875;
    /// WinZip's AES encryption.
    pub(in super::super) const AES: u16 = 0x9901;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_appnote() {
        assert_eq!(LocalHeader::SIZE, 30);
        assert_eq!(CentralHeader::SIZE, 46);
        assert_eq!(Descriptor::SIZE, 16);
        assert_eq!(Descriptor64::SIZE, 24);
        assert_eq!(EndRecord::SIZE, 22);
        assert_eq!(End64Record::SIZE, 56);
        assert_eq!(Locator::SIZE, 20);
        assert_eq!(END64_REST, 44);
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let record = Descriptor64 {
            crc32: 0x0102_0304,
            compressed_size: 5,
            uncompressed_size: u64::MAX,
        };
        let mut bytes = Vec::new();
        record.append(&mut bytes);
        assert_eq!(bytes[..8], *b"PK\x07\x08\x04\x03\x02\x01");
        assert_eq!(Descriptor64::parse(&bytes), Some(record));
        assert_eq!(Descriptor64::parse(&bytes[..23]), None);
        bytes[3] = 9;
        assert_eq!(Descriptor64::parse(&bytes), None);
    }
}
