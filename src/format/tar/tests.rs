//! Whole archives: what is refused, what chunks may look like, and that what
//! is written is read back as it was.

use proptest::prelude::*;

use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::sys::Timestamp;

use super::header::{Block, CHECKSUM, LINKNAME, MAGIC, MODE, MTIME, NAME, PREFIX, SIZE, TYPEFLAG};
use super::*;

const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

/// A header block as a test wants it.
struct Made {
    block: Block,
}

fn made(flag: u8, name: &str, size: u64) -> Made {
    let mut made = Made { block: [0; BLOCK] };
    made.put(NAME, name.as_bytes());
    made.put(MODE, b"0000644\0");
    made.put(SIZE, format!("{size:011o}\0").as_bytes());
    made.put(MTIME, b"00000000000\0");
    made.put(TYPEFLAG..TYPEFLAG + 1, &[flag]);
    made.put(MAGIC, USTAR);
    made
}

impl Made {
    fn put(&mut self, range: std::ops::Range<usize>, bytes: &[u8]) {
        self.block[range.start..range.start + bytes.len()].copy_from_slice(bytes);
    }

    fn with(mut self, range: std::ops::Range<usize>, bytes: &[u8]) -> Self {
        self.put(range, bytes);
        self
    }

    fn gnu(self) -> Self {
        self.with(MAGIC, GNU)
    }

    fn link(self, target: &str) -> Self {
        self.with(LINKNAME, target.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        let sum = header::sum(&self.block);
        self.put(CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
        self.block.to_vec()
    }

    fn content(self, bytes: &[u8]) -> Vec<u8> {
        let mut all = self.end();
        all.extend_from_slice(bytes);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
        all
    }
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    made(b'0', name, content.len() as u64).content(content)
}

fn raw_pax(flag: u8, bytes: &[u8]) -> Vec<u8> {
    made(flag, "PaxHeader", bytes.len() as u64).content(bytes)
}

fn pax(flag: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        record::append(key.as_bytes(), value.as_bytes(), &mut bytes);
    }
    raw_pax(flag, &bytes)
}

fn long(flag: u8, name: &[u8]) -> Vec<u8> {
    made(flag, "././@LongLink", name.len() as u64)
        .gnu()
        .content(name)
}

/// A member and the content that came with it, as one piece for each extent.
type Found = (Member, Vec<(u64, Vec<u8>)>);

fn run(parser: Parser, chunks: &mut dyn Iterator<Item = &[u8]>) -> Result<Vec<Found>, Refusal> {
    let mut parser = parser;
    let mut found: Vec<Found> = Vec::new();
    let mut is_open = false;
    let mut length = 0;
    for chunk in chunks {
        length += chunk.len();
        parser.feed(chunk, &mut |event| {
            let (offset, bytes) = match event {
                Event::Member(member) => {
                    assert!(!is_open);
                    is_open = true;
                    found.push((member, Vec::new()));
                    return Ok(());
                }
                Event::MemberEnd => {
                    assert!(is_open);
                    is_open = false;
                    return Ok(());
                }
                Event::Data { offset, bytes } => (offset, &chunk[bytes]),
                Event::Held { offset, bytes } => (offset, bytes),
            };
            assert!(is_open && !bytes.is_empty());
            let pieces = &mut found.last_mut().unwrap().1;
            match pieces.last_mut() {
                Some((start, piece)) if *start + piece.len() as u64 == offset => {
                    piece.extend_from_slice(bytes);
                }
                Some(_) | None => pieces.push((offset, bytes.to_vec())),
            }
            Ok(())
        })?;
    }
    let is_between = parser.is_between_members();
    parser.finish()?;
    assert!(!is_open);
    assert!(is_between || !length.is_multiple_of(BLOCK));
    Ok(found)
}

fn parse_with(options: Options, archive: &[u8]) -> Result<Vec<Found>, Refusal> {
    let whole = run(Parser::new(options), &mut std::iter::once(archive));
    for size in [1, 7, 511, 513, 1000] {
        let pieces = run(Parser::new(options), &mut archive.chunks(size));
        match (&whole, pieces) {
            (Ok(whole), Ok(pieces)) => assert_eq!(*whole, pieces, "in pieces of {size}"),
            (Err(whole), Err(pieces)) => assert_eq!(whole.to_string(), pieces.to_string()),
            (whole, pieces) => panic!("pieces of {size} differ: {whole:?}, {pieces:?}"),
        }
    }
    whole
}

fn parse(archive: &[u8]) -> Result<Vec<Found>, Refusal> {
    parse_with(Options::default(), archive)
}

fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), END.to_vec()].concat()
}

fn names(archive: &[u8]) -> Vec<String> {
    let found = parse(archive).unwrap();
    let names = found
        .iter()
        .map(|(member, _)| String::from_utf8_lossy(&member.path).into_owned());
    names.collect()
}

/// Archives, each with a part of the message that refuses it.
type Refused = Vec<(&'static str, Vec<Vec<u8>>)>;

fn assert_refused(kind: ErrorKind, cases: Refused) {
    for (wanted, parts) in cases {
        let error = parse(&archive(&parts)).expect_err(wanted);
        let text = error.to_string();
        assert!(text.contains(wanted), "`{text}` isn't `{wanted}`");
        assert_eq!(error.kind(), kind, "{wanted}");
    }
}

#[test]
fn members_that_readers_take_in_two_ways_are_refused() {
    let hello = || file("a", b"hello");
    let cases = vec![
        (
            "checksum",
            vec![made(b'0', "a", 0).with(148..149, b"x").block.to_vec()],
        ),
        (
            "size is no number",
            vec![made(b'0', "a", 0).with(SIZE, b"fghijk00005").end()],
        ),
        (
            "size is negative",
            vec![made(b'0', "a", 0).with(SIZE, &[255; 12]).end()],
        ),
        (
            "has no size",
            vec![made(b'0', "a", 0).with(SIZE, &[0; 12]).end()],
        ),
        ("no name", vec![file("", b"")]),
        (
            "no name",
            vec![made(b'5', "", 0).with(PREFIX, b"dir").end()],
        ),
        (
            "needless",
            vec![made(b'0', "foo", 0).with(PREFIX, b".").end()],
        ),
        ("ends with `/` but is no folder", vec![file("a/", b"")]),
        (
            "ends with `/` but is no folder",
            vec![pax(b'x', &[("path", "a/")]), hello()],
        ),
        (
            "has content but is no file",
            vec![made(0, "a/", 5).content(b"hello")],
        ),
        (
            "has content but is no file",
            vec![made(b'5', "a", 5).content(b"hello")],
        ),
        (
            "has content but is no file",
            vec![made(b'2', "a", 5).link("b").content(b"hello")],
        ),
        (
            "has content but is no file",
            vec![made(b'1', "a", 5).link("b").content(b"hello")],
        ),
        (
            "has content but is no file",
            vec![pax(b'x', &[("size", "0")]), made(b'5', "a", 5).end()],
        ),
        (
            "by one of its names",
            vec![pax(b'x', &[("path", "a/")]), made(0, "a", 0).end()],
        ),
        (
            "by one of its names",
            vec![pax(b'x', &[("path", "a")]), made(0, "a/", 0).end()],
        ),
        ("without a target", vec![made(b'2', "a", 0).end()]),
        ("without a target", vec![made(b'1', "a", 0).end()]),
        (
            "has a target but is no link",
            vec![pax(b'x', &[("linkpath", "b")]), hello()],
        ),
    ];
    assert_refused(ErrorKind::Malformed, cases);
}

#[test]
fn types_that_no_bundle_has_are_refused() {
    let hello = || file("a", b"hello");
    let unsafe_types = [
        (b'3', "`a` is a device"),
        (b'4', "`a` is a device"),
        (b'6', "`a` is a FIFO"),
        (b'D', "incremental backup"),
        (b'M', "another volume"),
        (b'N', "names to change"),
        (b'A', "differs between vendors"),
        (b'X', "differs between vendors"),
    ];
    let mut cases: Refused = Vec::new();
    for (flag, wanted) in unsafe_types {
        cases.push((wanted, vec![made(flag, "a", 0).end()]));
    }
    let target = format!("{}\0", "t/".repeat(2048));
    cases.push((
        "longer than 4095 bytes",
        vec![
            long(b'K', target.as_bytes()),
            made(b'2', "a", 0).gnu().end(),
        ],
    ));
    assert_refused(ErrorKind::Unsafe, cases);
    let cases = vec![
        (
            "of type `8`, which isn't known",
            vec![made(b'8', "a", 0).end()],
        ),
        (
            "header isn't GNU's",
            vec![made(b'L', "a", 2).content(b"b\0"), hello()],
        ),
        ("header isn't GNU's", vec![made(b'V', "a", 0).end()]),
        (
            "volume's name has content",
            vec![made(b'V', "a", 1).gnu().content(b"x")],
        ),
    ];
    assert_refused(ErrorKind::Malformed, cases);
}

#[test]
fn records_that_readers_take_in_two_ways_are_refused() {
    let hello = || file("a", b"hello");
    let gnu_name = || long(b'L', b"long\0");
    let mega = "x".repeat(1 << 20);
    let cases = vec![
        (
            "two PAX headers",
            vec![pax(b'x', &[]), pax(b'x', &[]), hello()],
        ),
        ("two GNU long names", vec![gnu_name(), gnu_name(), hello()]),
        (
            "a PAX header and a GNU long name",
            vec![gnu_name(), pax(b'x', &[]), hello()],
        ),
        (
            "a PAX header and a GNU long name",
            vec![pax(b'x', &[]), gnu_name(), hello()],
        ),
        (
            "a global PAX header stands between",
            vec![pax(b'x', &[]), pax(b'g', &[]), hello()],
        ),
        (
            "a volume's name stands between",
            vec![gnu_name(), made(b'V', "a", 0).gnu().end()],
        ),
        (
            "the archive's end stands between",
            vec![pax(b'x', &[("path", "b")])],
        ),
        ("has a NUL in it", vec![long(b'L', b"a\0b\0"), hello()]),
        ("GNU long name is empty", vec![long(b'L', b"\0"), hello()]),
        ("GNU long name is empty", vec![long(b'K', b""), hello()]),
        (
            "GNU long name is larger",
            vec![made(b'L', "a", 1 << 40).gnu().end()],
        ),
        (
            "PAX header is larger",
            vec![pax(b'x', &[("comment", &mega)]), hello()],
        ),
        ("PAX header is larger", vec![made(b'g', "a", 1 << 40).end()]),
        (
            "`path` has a NUL in it",
            vec![pax(b'x', &[("path", "a\0b")]), hello()],
        ),
        (
            "can't hold for all members",
            vec![pax(b'g', &[("size", "0")]), hello()],
        ),
        (
            "doesn't begin with its length",
            vec![raw_pax(b'x', b"011 path=h\n"), hello()],
        ),
        (
            "doesn't begin with its length",
            vec![raw_pax(b'x', b"9 path=h\n\0\0"), hello()],
        ),
    ];
    assert_refused(ErrorKind::Malformed, cases);
}

#[test]
fn nothing_may_follow_the_end() {
    let hello = || file("a", b"hello");
    let cases = vec![
        ("something follows", vec![hello(), END.to_vec(), hello()]),
        ("something follows", vec![hello(), vec![0; BLOCK], hello()]),
    ];
    assert_refused(ErrorKind::Malformed, cases);
}

#[test]
fn sparse_maps_are_exact() {
    let one = |map: &str, size: &str, count: &str, stored: &[u8]| {
        let records = [
            ("GNU.sparse.size", size),
            ("GNU.sparse.numblocks", count),
            ("GNU.sparse.map", map),
        ];
        vec![pax(b'x', &records), file("s", stored)]
    };
    let text = |map: &str| {
        let records = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "9"),
        ];
        let mut content = map.as_bytes().to_vec();
        content.resize(content.len().next_multiple_of(BLOCK), 0);
        content.extend_from_slice(b"abc");
        vec![pax(b'x', &records), file("s", &content)]
    };
    let stored = [vec![b'a'; 512], vec![b'b'; 7]].concat();
    let whole = archive(&one("3,512,600,7,900,0", "900", "3", &stored));
    let (member, pieces) = parse(&whole).unwrap().remove(0);
    assert_eq!(member.size, 900);
    assert_eq!(member.extents, Some(vec![(3, 512), (600, 7)].into()));
    assert_eq!(pieces, [(3, vec![b'a'; 512]), (600, vec![b'b'; 7])]);
    let (member, pieces) = parse(&archive(&text("2\n1\n3\n9\n0\n"))).unwrap().remove(0);
    assert_eq!(
        (member.size, member.extents),
        (9, Some(vec![(1, 3)].into()))
    );
    assert_eq!(pieces, [(1, b"abc".to_vec())]);

    let split = one("0,2,6,1", "7", "2", b"abc");
    let huge = "9".repeat(18);
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("aren't whole blocks", split),
        (
            "runs backwards or overlaps",
            one("0,2,1,1", "2", "2", b"abc"),
        ),
        (
            "runs backwards or overlaps",
            one("6,1,0,2", "9", "2", b"abc"),
        ),
        ("end where the file does", one("0,3", "9", "1", b"abc")),
        ("end where the file does", one("6,3", "8", "1", b"abc")),
        ("match the stored data", one("0,2,9,0", "9", "2", b"abc")),
        ("match the stored data", one("0,4,9,0", "9", "2", b"abc")),
        (
            "too large numbers",
            one(&format!("1,{}", i64::MAX), "9", "1", b"abc"),
        ),
        (
            "`GNU.sparse.numblocks` doesn't match",
            one("0,3", "3", "3", b"abc"),
        ),
        ("`GNU.sparse.map` is no map", one("0,3,", "3", "1", b"abc")),
        ("`GNU.sparse.map` is no map", one("0", "3", "1", b"abc")),
        ("runs backwards or overlaps", text("2\n5\n3\n4\n0\n")),
        ("something else than its map", text("2\n1\nx\n")),
        ("something else than its map", text("\n1\n3\n")),
        (
            "something else than its map",
            text(&format!("{huge}{huge}\n")),
        ),
        ("goes on behind its end", text("1\n6\n3\n4\n")),
        ("end where the file does", text("1\n1\n3\n")),
        (
            "incomplete or mixed",
            vec![pax(b'x', &[("GNU.sparse.major", "1")]), file("s", b"")],
        ),
        (
            "incomplete or mixed",
            vec![pax(b'x', &[("GNU.sparse.name", "b")]), file("s", b"")],
        ),
        (
            "has no offset",
            vec![pax(b'x', &[("GNU.sparse.numbytes", "1")]), file("s", b"")],
        ),
        (
            "isn't known",
            vec![pax(b'x', &[("GNU.sparse.x", "1")]), file("s", b"")],
        ),
        (
            "has a sparse map but is no file",
            vec![
                one("0,0", "0", "1", b"").remove(0),
                made(b'5', "d", 0).end(),
            ],
        ),
    ];
    for (wanted, parts) in cases {
        let error = parse(&archive(&parts)).expect_err(wanted);
        assert!(
            error.to_string().contains(wanted),
            "`{error}` isn't `{wanted}`"
        );
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[test]
fn a_text_map_has_to_fit_into_what_is_stored_and_into_memory() {
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "0"),
    ];
    let mut map = b"1\n0\n0\n".to_vec();
    map.resize(BLOCK, 0);
    let parts = [pax(b'x', &records), made(b'0', "s", 5).content(&map)];
    let error = parse(&archive(&parts)).unwrap_err();
    assert!(
        error.to_string().contains("larger than what is stored"),
        "{error}"
    );

    let map = format!("{}\n{}", 1 << 20, "0\n".repeat(1 << 20));
    let parts = [pax(b'x', &records), file("s", map.as_bytes())];
    let error = run(
        Parser::new(Options::default()),
        &mut std::iter::once(&archive(&parts)[..]),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "a sparse map is larger than 1 MiB"
    );
}

/// GNU's own sparse format: pairs in the header and in blocks behind it.
fn old_gnu(pairs: &[(u64, u64)], size: u64, stored: &[u8]) -> Vec<u8> {
    let pair = |&(offset, length): &(u64, u64)| format!("{offset:011o}\0{length:011o}\0");
    let is_extended = u8::from(pairs.len() > 4);
    let (first, rest) = pairs.split_at(pairs.len().min(4));
    let header = made(b'S', "s", stored.len() as u64)
        .gnu()
        .with(
            386..482,
            first.iter().map(pair).collect::<String>().as_bytes(),
        )
        .with(482..483, &[is_extended])
        .with(483..495, format!("{size:011o}\0").as_bytes());
    let mut all = header.end();
    let count = rest.len().div_ceil(21);
    for (at, block) in rest.chunks(21).enumerate() {
        let start = all.len();
        all.extend(block.iter().map(pair).collect::<String>().bytes());
        all.resize(start + BLOCK, 0);
        all[start + 504] = u8::from(at + 1 < count);
    }
    all.extend_from_slice(stored);
    all.resize(all.len().next_multiple_of(BLOCK), 0);
    all
}

#[test]
fn gnu_maps_go_on_in_blocks() {
    for count in [0, 1, 3, 4, 24, 25, 60] {
        let mut pairs: Vec<_> = (0..count).map(|at| (at * 600, 512)).collect();
        let extents = pairs.clone();
        pairs.push((count * 600, 0));
        let stored = vec![b'x'; count as usize * 512];
        let parts = [old_gnu(&pairs, count * 600, &stored), file("next", b"")];
        let found = parse(&archive(&parts)).unwrap();
        assert_eq!(found.len(), 2, "{count}");
        assert_eq!(found[0].0.size, count * 600);
        assert_eq!(found[0].0.extents.as_ref(), Some(&extents.into()));
        assert_eq!(found[0].1.len(), count as usize);
    }
    type Case = (&'static [(u64, u64)], u64, &'static str);
    let cases: &[Case] = &[
        (&[(0, 1)], 1 << 20, "end where the file does"),
        (&[], 123, "end where the file does"),
        (&[(0, 1), (0, 0)], 1, "runs backwards or overlaps"),
        (&[(0, 2)], 2, "match the stored data"),
    ];
    for (pairs, size, wanted) in cases {
        let error = parse(&archive(&[old_gnu(pairs, *size, b"x")])).unwrap_err();
        assert!(
            error.to_string().contains(wanted),
            "`{error}` isn't `{wanted}`"
        );
    }
}

#[test]
fn inputs_that_end_early_are_truncated() {
    let hello = file("a", b"hello");
    let pending = [pax(b'x', &[("path", "b")])].concat();
    let map = old_gnu(&[(0, 0), (1, 0), (2, 0), (3, 0), (3, 5)], 8, b"hello");
    let one_block = [&hello[..], &[0; BLOCK]].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "nothing in it"),
        (&hello[..100], "ends in a header"),
        (&hello[..514], "ends in the content"),
        (&hello[..600], "ends in the padding"),
        (&pending[..520], "ends in the records"),
        (&pending[..600], "between the records"),
        (&pending, "between the records"),
        (&map[..600], "map of a sparse file"),
        (&hello, "without the two blocks"),
        (&one_block, "without the two blocks"),
    ];
    for (bytes, wanted) in cases {
        let error = parse(bytes).expect_err(wanted);
        assert!(
            error.to_string().contains(wanted),
            "`{error}` isn't `{wanted}`"
        );
        assert_eq!(error.kind(), ErrorKind::Truncated);
    }
    assert_eq!(names(&[&hello[..], &[0; 5000]].concat()), ["a"]);
    assert_eq!(names(&[0; 1024]), [""; 0]);
}

#[test]
fn archives_behind_one_another_are_read_if_asked() {
    let both = [
        archive(&[file("a", b"1")]),
        vec![0; 512],
        archive(&[file("b", b"2")]),
    ]
    .concat();
    let options = Options {
        ignore_zeros: true,
        ..Options::default()
    };
    assert_eq!(parse_with(options, &both).unwrap().len(), 2);
    assert_eq!(
        parse_with(options, &both[..both.len() - 100])
            .unwrap()
            .len(),
        2
    );
    parse_with(options, &[&both[..], b"junk"].concat()).unwrap_err();
}

#[test]
fn every_dialect_says_the_same() {
    let deep = format!("{}/{}", "p".repeat(150), "n".repeat(100));
    let (prefix, name) = deep.split_at(150);
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        (
            "v7",
            vec![
                made(0, "v7", 0)
                    .with(MAGIC, &[0; 8])
                    .with(PREFIX, b"junk")
                    .end(),
            ],
        ),
        ("v7", vec![made(0, "v7/", 0).with(MAGIC, &[0; 8]).end()]),
        ("c", vec![made(b'7', "c", 0).end()]),
        (
            &deep,
            vec![
                made(b'0', &name[1..], 0)
                    .with(PREFIX, prefix.as_bytes())
                    .end(),
            ],
        ),
        (
            "g",
            vec![made(b'0', "g", 0).gnu().with(PREFIX, b"12345670123").end()],
        ),
        (
            "long",
            vec![long(b'L', b"long\0"), made(b'0', "lo", 0).gnu().end()],
        ),
        (
            "long",
            vec![
                long(b'K', b"to\0"),
                long(b'L', b"long\0\0\0"),
                made(b'2', "lo", 0).gnu().end(),
            ],
        ),
        (
            "x",
            vec![
                pax(b'x', &[("path", "x"), ("hdrcharset", "BINARY")]),
                file("y", b""),
            ],
        ),
        (
            "label",
            vec![
                made(b'V', "volume", 0).gnu().end(),
                made(b'V', "volume", 0).with(MAGIC, &[0; 8]).end(),
                file("label", b""),
            ],
        ),
        (".", vec![made(b'5', "./", 0).end()]),
        ("d", vec![made(b'5', "d//", 0).end()]),
        ("/", vec![made(b'5', "/", 0).end()]),
        ("../a", vec![file("../a", b"")]),
    ];
    for (wanted, parts) in cases {
        assert_eq!(names(&archive(&parts)), [wanted]);
    }
}

#[test]
fn records_are_for_one_member_and_win() {
    let parts = [
        pax(b'g', &[("mtime", "7"), ("uid", "8")]),
        pax(
            b'x',
            &[("size", "3"), ("mtime", "-1.5"), ("gid", "3000000")],
        ),
        file("a", b"hello"),
        made(b'2', "l", 0).link("t").end(),
        made(b'0', "b", 0).with(MTIME, &[0; 12]).end(),
    ];
    let found = parse(&archive(&parts)).unwrap();
    assert_eq!(
        (found[0].0.size, &found[0].1[..]),
        (3, &[(0, b"hel".to_vec())][..])
    );
    assert_eq!(
        found[0].0.modified,
        Some(Timestamp {
            secs: -2,
            nanos: 500_000_000
        })
    );
    assert_eq!((found[0].0.uid, found[0].0.gid), (8, 3_000_000));
    assert_eq!(
        (found[1].0.kind, &found[1].0.target[..]),
        (MemberKind::Symlink, &b"t"[..])
    );
    assert_eq!(found[1].0.modified, Some(Timestamp { secs: 7, nanos: 0 }));
    assert_eq!((found[1].0.uid, found[1].0.gid), (8, 0));
    let found = parse(&archive(&parts[4..])).unwrap();
    assert_eq!(found[0].0.modified, None);
}

#[test]
fn apple_double_files_are_left_out_by_their_content() {
    let magic = [&crate::format::apple_double::MAGIC[..], &[0; 30]].concat();
    let parts = [
        file("d/._a", &magic),
        file("d/a", b"a"),
        file("d/._b", b"\0\x05\x16\x08 is another magic number"),
        file("d/._c", &magic[..25]),
        file("d/c._", &magic),
        made(b'5', "._d", 0).end(),
    ];
    let options = Options {
        skip_apple_double: true,
        ..Options::default()
    };
    let found = parse_with(options, &archive(&parts)).unwrap();
    let kept = ["d/a", "d/._b", "d/._c", "d/c._", "._d"];
    let names: Vec<_> = found
        .iter()
        .map(|(member, _)| String::from_utf8_lossy(&member.path))
        .collect();
    assert_eq!(names, kept);
    assert_eq!(
        found[1].1,
        [(0, b"\0\x05\x16\x08 is another magic number".to_vec())]
    );
    assert_eq!(parse(&archive(&parts)).unwrap().len(), 6);
}

#[test]
fn content_comes_in_one_piece_for_each_chunk() {
    let archive = archive(&[file("a", &[7; 100_000])]);
    let mut parser = Parser::new(Options::default());
    let mut events = Vec::new();
    for chunk in [&archive[..1000], &archive[1000..]] {
        parser
            .feed(chunk, &mut |event| {
                if let Event::Data { offset, bytes } = event {
                    events.push((offset, bytes));
                }
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(events, [(0, 512..1000), (488, 0..99_512)]);
}

#[test]
fn the_sinks_refusal_is_passed_on() {
    let mut parser = Parser::new(Options::default());
    let refuse = &mut |_: Event| Err(Refusal::new(ErrorKind::Interrupted, "stopped"));
    let error = parser.feed(&file("a", b""), refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(1..=255_u8, 1..280);
    let words = "[a-zä/]{1,300}".prop_map(String::into_bytes);
    prop_oneof![bytes, words].prop_filter("a folder's slash isn't kept", |name| {
        name.last() != Some(&b'/')
    })
}

/// Whole blocks between holes, but for the last, which lacks `tail` bytes.
fn extents(holes: Vec<(u64, u64)>, tail: u64) -> Vec<(u64, u64)> {
    let mut end = 0;
    let extents = holes.into_iter().map(|(hole, blocks)| {
        let (start, length) = (end + hole, blocks * BLOCK as u64);
        end = start + length;
        (start, length)
    });
    let mut extents: Vec<_> = extents.collect();
    if let Some((_, length)) = extents.last_mut() {
        *length -= tail;
    }
    extents
}

fn member() -> impl Strategy<Value = Member> {
    let kind = prop::sample::select(vec![
        MemberKind::File,
        MemberKind::Dir,
        MemberKind::Symlink,
        MemberKind::Hardlink,
    ]);
    let number = || prop_oneof![0..3_000_000_u64, 0..=i64::MAX as u64];
    let secs = prop_oneof![-3..9_000_000_000_i64, any::<i64>()];
    let nanos = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let time = (secs, nanos).prop_map(|(secs, nanos)| Timestamp { secs, nanos });
    let holes = prop::option::of(prop::collection::vec((1..5000_u64, 1..6_u64), 0..120));
    let xattr = (
        "user\\.[a-z=% ]{1,9}",
        prop::collection::vec(any::<u8>(), 0..40),
    );
    let xattrs = prop::collection::btree_map(xattr.0.prop_map(String::into_bytes), xattr.1, 0..3);
    (
        kind,
        name(),
        name(),
        (number(), number()),
        0..=0o7777_u32,
        time,
        xattrs,
        holes,
        (0..5000_u64, 0..512_u64),
    )
        .prop_map(
            |(kind, path, target, (uid, gid), mode, time, xattrs, holes, (size, tail))| {
                let mut member = Member::new(kind, path);
                let is_link = matches!(kind, MemberKind::Symlink | MemberKind::Hardlink);
                member.target = if is_link { target } else { Vec::new() };
                (member.uid, member.gid, member.mode) = (uid, gid, mode);
                member.modified = (time.secs != 0).then_some(time);
                member.xattrs = xattrs.into_iter().collect();
                if kind == MemberKind::File {
                    member.size = size;
                    if let Some(holes) = holes {
                        let extents = extents(holes, tail);
                        member.size += extents.last().map_or(0, |last| last.0 + last.1);
                        member.extents = Some(extents.into());
                    }
                }
                member
            },
        )
}

/// The content of a member in pieces, each byte told by where it stands.
fn pieces(member: &Member) -> Vec<(u64, Vec<u8>)> {
    let whole = vec![(0, stored_size(member))];
    let extents = member.extents.clone().unwrap_or(whole.into());
    let extents = extents.iter().filter(|extent| extent.1 > 0);
    let piece = |(offset, length)| {
        let bytes = (offset..offset + length).map(|at: u64| (at * 31 % 251) as u8);
        (offset, bytes.collect())
    };
    extents.map(piece).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(members in prop::collection::vec(member(), 1..5)) {
        let mut archive = Vec::new();
        let mut wanted = Vec::new();
        for member in members {
            append_header(&member, &mut archive).unwrap();
            prop_assert_eq!(archive.len() % BLOCK, 0);
            let pieces = pieces(&member);
            for (_, piece) in &pieces {
                archive.extend_from_slice(piece);
            }
            archive.resize(archive.len() + padding(stored_size(&member)), 0);
            wanted.push((member, pieces));
        }
        prop_assert_eq!(archive.len() % BLOCK, 0);
        archive.extend_from_slice(&END);
        prop_assert_eq!(parse(&archive).unwrap(), wanted);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), flip in 0..5000_usize) {
        let _ = parse(&bytes);
        let mut whole = archive(&[
            pax(b'x', &[("path", "x"), ("size", "5"), ("mtime", "-1.5")]),
            file("y", b"hello"),
            old_gnu(&[(0, 0), (1, 0), (2, 0), (3, 0), (3, 5)], 8, b"hello"),
        ]);
        let at = flip % whole.len();
        whole[at] ^= bytes.first().copied().unwrap_or(1);
        let _ = parse(&whole);
    }
}

#[test]
fn members_that_no_reader_takes_back_arent_written() {
    let file = |change: &dyn Fn(&mut Member)| {
        let mut member = Member::new(MemberKind::File, "a");
        member.size = 10;
        change(&mut member);
        append_header(&member, &mut Vec::new()).map_err(|error| error.kind())
    };
    assert_eq!(file(&|_| {}), Ok(()));
    let malformed = Err(ErrorKind::Malformed);
    assert_eq!(file(&|member| member.path.clear()), malformed);
    assert_eq!(file(&|member| member.path = b"a\0".to_vec()), malformed);
    assert_eq!(file(&|member| member.path = b"a/".to_vec()), malformed);
    assert_eq!(file(&|member| member.kind = MemberKind::Symlink), malformed);
    assert_eq!(file(&|member| member.size = u64::MAX), malformed);
    assert_eq!(
        file(&|member| member.extents = Some(vec![(8, 3)].into())),
        malformed
    );
    assert_eq!(
        file(&|member| member.extents = Some(vec![(4, 3), (6, 1)].into())),
        malformed
    );
    assert_eq!(
        file(&|member| member.extents = Some(vec![(u64::MAX, 3)].into())),
        malformed
    );
    let large = (b"user.a".to_vec(), vec![0; 1 << 20]);
    assert_eq!(
        file(&|member| member.xattrs.push(large.clone())),
        Err(ErrorKind::LimitExceeded)
    );
}

#[test]
fn a_plain_member_takes_one_block() {
    let mut member = Member::new(MemberKind::Dir, "ö".repeat(40));
    member.modified = Some(Timestamp { secs: 1, nanos: 0 });
    let mut out = Vec::new();
    append_header(&member, &mut out).unwrap();
    assert_eq!(out.len(), BLOCK);
    member.path = [vec![b'p'; 155], vec![b'n'; 99]].join(&b'/');
    out.clear();
    append_header(&member, &mut out).unwrap();
    assert_eq!(out.len(), BLOCK);
    member.path.push(b'n');
    out.clear();
    append_header(&member, &mut out).unwrap();
    assert_eq!(out.len(), 3 * BLOCK);
}

#[test]
fn another_reader_takes_back_what_is_written() {
    let mut archive = Vec::new();
    let mut members = Vec::new();
    for (length, raw) in [(1, b'a'), (90, b'b'), (101, 0xe9), (300, 0xff)] {
        for kind in [MemberKind::File, MemberKind::Dir, MemberKind::Symlink] {
            let mut member = Member::new(kind, vec![raw; length]);
            member.modified = Some(Timestamp { secs: 9, nanos: 0 });
            if kind == MemberKind::Symlink {
                member.target = vec![raw; length + 1];
            }
            append_header(&member, &mut archive).unwrap();
            members.push(member);
        }
    }
    archive.extend_from_slice(&END);
    let mut other = ::tar::Archive::new(&archive[..]);
    let mut entries = other.entries().unwrap();
    for member in members {
        let entry = entries.next().unwrap().unwrap();
        let mut path = entry.path_bytes().into_owned();
        path.truncate(member.path.len());
        assert_eq!(path, member.path);
        let target = entry.link_name_bytes().unwrap_or_default();
        assert_eq!(target, member.target);
        assert_eq!(entry.header().mtime().unwrap(), 9);
        assert_eq!(entry.header().mode().unwrap(), member.mode);
        let is_dir = member.kind == MemberKind::Dir;
        assert_eq!(entry.header().entry_type().is_dir(), is_dir);
    }
    assert!(entries.next().is_none());
}
