//! Random archives, made of what a packing is made of, and read back as a file
//! and as a pipe.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::format::zip::{self, Inflater, StreamReader, ZipEntry, decode_whole};
use crate::sys::Timestamp;

/// A member, its content, and where that is cut into parts.
#[derive(Debug, Clone)]
struct Made {
    member: Member,
    content: Vec<u8>,
    cuts: Option<Vec<usize>>,
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        // What becomes smaller, and what is tried before it is compressed.
        ("[a-c]{1,30}", 0..4000_usize).prop_map(|(text, times)| text.repeat(times).into_bytes()),
        (any::<u64>(), 0..100_000_usize).prop_map(|(seed, size)| noise(seed, size)),
    ]
}

fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn times() -> impl Strategy<Value = Option<Timestamp>> {
    // From 1601 to beyond what DOS can say.
    let secs = prop_oneof![-11_644_473_599..20_000_000_000_i64, -9..9_i64];
    let time = (secs, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Timestamp { secs, nanos });
    prop::option::weighted(0.9, time)
}

fn trees() -> impl Strategy<Value = Vec<Made>> {
    let name = "[a-zé\\\\ ._]{1,8}(/[a-z]{1,200}){0,3}";
    let cuts = prop::option::weighted(
        0.3,
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    );
    let one = (name, contents(), 0..6_u8, 0..0o7777_u32, times(), cuts);
    prop::collection::vec(one, 0..12).prop_map(|members| {
        let made = members.into_iter().enumerate();
        let made = made.map(|(number, (name, content, kind, mode, modified, cuts))| {
            let (kind, content, cuts) = match kind {
                0 => (MemberKind::Dir, Vec::new(), None),
                1 => (MemberKind::Symlink, name.clone().into_bytes(), None),
                _ => (MemberKind::File, content, cuts),
            };
            let mut member = Member::new(kind, format!("{number}/{name}"));
            (member.mode, member.modified) = (mode, modified);
            if kind == MemberKind::Symlink {
                (member.mode, member.target) = (0o777, content.clone());
            }
            if kind == MemberKind::File {
                member.size = content.len() as u64;
            }
            let cuts = cuts.filter(|_| !content.is_empty()).map(|cuts| {
                let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(content.len())).collect();
                cuts.sort_unstable();
                cuts
            });
            Made {
                member,
                content,
                cuts,
            }
        });
        made.collect()
    })
}

/// Writes the members as units, one for each and one for each part.
fn write(made: &[Made], method: ZipMethod) -> Vec<u8> {
    let mut coder = Coder::new(method, Level::default()).unwrap();
    let mut directory = Directory::default();
    let mut written = Vec::new();
    for made in made {
        let units = match &made.cuts {
            None => vec![whole(made, &mut coder)],
            Some(cuts) => parts(made, cuts, &mut coder),
        };
        for mut unit in units {
            directory.note(&mut unit, written.len() as u64).unwrap();
            written.extend_from_slice(unit.bytes());
        }
    }
    let (offset, size) = (written.len() as u64, directory.bytes.len() as u64);
    written.extend_from_slice(&directory.bytes);
    end_records(directory.count, offset, size, &mut written);
    written
}

fn whole(made: &Made, coder: &mut Coder) -> Packed {
    let (method, data) = coder.compress(&made.content).unwrap();
    let data = data.unwrap_or(&made.content);
    let entry = Entry {
        member: made.member.clone(),
        method,
        crc32: crc32fast::hash(&made.content),
        compressed_size: data.len() as u64,
        uncompressed_size: made.content.len() as u64,
        offset: 0,
    };
    let mut bytes = Vec::new();
    local_header(&new_entry(&entry), &mut bytes).unwrap();
    bytes.extend_from_slice(data);
    Packed {
        bytes,
        entries: vec![entry],
        part: None,
    }
}

fn parts(made: &Made, cuts: &[usize], coder: &mut Coder) -> Vec<Packed> {
    let starts = [&[0], cuts].concat();
    let ends = [cuts, &[made.content.len()]].concat();
    let mut units = Vec::new();
    for (number, (start, end)) in starts.into_iter().zip(ends).enumerate() {
        let mut bytes = Vec::new();
        let begins = (number == 0).then(|| made.member.clone());
        if let Some(member) = &begins {
            let new = NewEntry {
                member,
                method: Method::Deflate,
                crc32: 0,
                compressed_size: 0,
                uncompressed_size: 0,
                offset: 0,
                sizes: SizesIn::Descriptor(width(member.size)),
                parts: None,
            };
            local_header(&new, &mut bytes).unwrap();
        }
        let (header, raw) = (bytes.len(), &made.content[start..end]);
        let is_last = number == cuts.len();
        coder.deflate_part(raw, is_last, &mut bytes).unwrap();
        let mut crc32 = crc32fast::Hasher::new();
        crc32.update(raw);
        let part = Part {
            begins,
            crc32,
            compressed: (bytes.len() - header) as u64,
            uncompressed: raw.len() as u64,
            is_last,
        };
        units.push(Packed {
            bytes,
            entries: Vec::new(),
            part: Some(part),
        });
    }
    units
}

/// The member that a zip has of another: times of 100 ns, and of none the
/// first that DOS can say.
fn as_read(member: &Member) -> Member {
    let mut member = member.clone();
    let modified = member.modified.get_or_insert(Timestamp {
        secs: 315_532_800,
        nanos: 0,
    });
    modified.nanos -= modified.nanos % 100;
    member
}

fn check(made: &Made, entry: &ZipEntry, content: &[u8]) {
    let mut member = entry.member.clone();
    if member.kind == MemberKind::Symlink {
        entry.check_target(content).unwrap();
        member.target = content.to_vec();
    }
    assert_eq!(member, as_read(&made.member));
    assert!(content == made.content, "{:?}", made.member.path);
}

/// Gives a few bytes, and is interrupted before each few.
struct Trickle<'b> {
    bytes: &'b [u8],
    most: usize,
    interrupts: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupts = !self.interrupts;
        if self.interrupts {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = buffer.len().min(self.most);
        self.bytes.read(&mut buffer[..size])
    }
}

fn read_stream(made: &[Made], source: impl Read) {
    let mut reader = StreamReader::new(source);
    let mut contents = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let modified = made[contents.len()].member.modified;
        // Whole seconds come before the content, where they fit.
        if let Some(modified) = modified.filter(|time| i32::try_from(time.secs).is_ok()) {
            assert_eq!(entry.modified.map(|time| time.secs), Some(modified.secs));
        }
        contents.push(content);
    }
    let directory = reader.finish().unwrap();
    assert_eq!(directory.entries().len(), made.len());
    for ((made, entry), content) in made.iter().zip(directory.entries()).zip(contents) {
        check(made, entry, &content);
    }
}

fn read_file(made: &[Made], bytes: &[u8]) {
    let directory = zip::Directory::read(bytes, bytes.len() as u64).unwrap();
    let spans = directory.check_all_local(bytes).unwrap();
    assert_eq!(spans.len(), made.len());
    let mut inflater = Inflater::new();
    let mut content = Vec::new();
    for ((made, entry), span) in made.iter().zip(directory.entries()).zip(spans) {
        let data = &bytes[span.start as usize..span.end as usize];
        decode_whole(entry, data, &mut content, &mut inflater).unwrap();
        check(made, entry, &content);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_packed_is_read(made in trees(), zeros in 0..70_usize) {
        for method in [ZipMethod::Deflate, ZipMethod::Zstd] {
            let mut bytes = write(&made, method);
            read_file(&made, &bytes);
            read_stream(&made, &bytes[..]);
            bytes.extend(vec![0; zeros]);
            read_file(&made, &bytes);
            for most in [1, 5000] {
                read_stream(&made, Trickle { bytes: &bytes, most, interrupts: false });
            }
        }
    }
}
