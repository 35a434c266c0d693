use super::*;
use crate::entry::*;
use crate::sys::Timestamp;
use crate::text::escape_bytes;
#[test]
fn dump() {
    let Ok(list) = std::env::var("SCRATCH_FILES") else {
        return;
    };
    for f in list.split_whitespace() {
        let bytes = std::fs::read(f).unwrap();
        let mut out = Vec::new();
        let r = (|| {
            let mut p = Parser::new(Options::default());
            let mut cont = 0u64;
            let mut sum = 0u32;
            let mut crc = crc32fast::Hasher::new();
            p.feed(&bytes, &mut |e| {
                match e {
                    Event::Member(m) => {
                        out.push(format!(
                            "{:?} {} -> {} size={} mode={:o} mt={:?} {}:{} x={:?} ext={:?}",
                            m.kind,
                            escape_bytes(&m.path),
                            escape_bytes(&m.target),
                            m.size,
                            m.mode,
                            m.modified.map(|t| (t.secs, t.nanos)),
                            m.uid,
                            m.gid,
                            m.xattrs
                                .iter()
                                .map(|(n, v)| (escape_bytes(n), escape_bytes(v)))
                                .collect::<Vec<_>>(),
                            m.extents.map(|e| if e.len() > 4 {
                                format!("{} extents", e.len())
                            } else {
                                format!("{e:?}")
                            })
                        ));
                        cont = 0;
                        crc = crc32fast::Hasher::new();
                    }
                    Event::Data { bytes: r, .. } => {
                        cont += r.len() as u64;
                        crc.update(&bytes[r]);
                    }
                    Event::Held { .. } => {}
                    Event::MemberEnd => {
                        sum = crc.clone().finalize();
                        out.push(format!("    {cont} bytes {sum:08x}"));
                    }
                }
                Ok(())
            })?;
            p.finish()
        })();
        println!(
            "== {f}: {}",
            match &r {
                Ok(()) => "OK".to_owned(),
                Err(e) => format!("REFUSED {:?} {e}", e.kind()),
            }
        );
        if std::env::var("SCRATCH_QUIET").is_err() {
            for l in out {
                println!("   {l}");
            }
        }
    }
}
#[test]
fn make() {
    let Ok(path) = std::env::var("SCRATCH_OUT") else {
        return;
    };
    let mut out = Vec::new();
    let t = |secs, nanos| Some(Timestamp { secs, nanos });
    let mut add = |m: Member, fill: u8| {
        append_header(&m, &mut out).unwrap();
        let n = stored_size(&m);
        out.resize(out.len() + n as usize, fill);
        out.resize(out.len() + padding(n), 0);
    };
    let long = |c: &str, n: usize| c.repeat(n);
    let file = |p: &[u8], size: u64| {
        let mut m = Member::new(MemberKind::File, p);
        m.size = size;
        m.modified = t(1_600_000_000, 0);
        m
    };
    let link = |k, p: &[u8], to: &[u8]| {
        let mut m = Member::new(k, p);
        m.target = to.to_vec();
        m.modified = t(1_600_000_000, 0);
        m
    };
    let mut d = Member::new(MemberKind::Dir, "d");
    d.mode = 0o750;
    d.modified = t(1_600_000_000, 123_456_789);
    add(d, 0);
    add(file(b"d/plain", 5), b'a');
    add(file("d/ümlaut".as_bytes(), 5), b'b');
    add(file(b"d/raw\xff\xfe", 5), b'c');
    add(file(format!("d/{}", long("n", 200)).as_bytes(), 600), b'd');
    add(
        file(&[b"d/".to_vec(), long("ü", 110).into_bytes()].concat(), 3),
        b'e',
    );
    add(file(&[b"d/".to_vec(), vec![0xe9; 200]].concat(), 3), b'f');
    add(
        file(
            format!("{}/{}", long("p", 150), long("q", 99)).as_bytes(),
            3,
        ),
        b'g',
    );
    let mut m = Member::new(
        MemberKind::Dir,
        format!("{}/{}", long("D/", 90), long("E", 120)),
    );
    m.modified = t(5, 0);
    add(m, 0);
    add(link(MemberKind::Symlink, b"d/sym", b"plain"), 0);
    add(
        link(
            MemberKind::Symlink,
            b"d/symlong",
            long("x/", 150).as_bytes(),
        ),
        0,
    );
    add(link(MemberKind::Symlink, b"d/symraw", &vec![0xe8; 300]), 0);
    add(link(MemberKind::Symlink, b"d/symraw2", b"\xe8"), 0);
    add(link(MemberKind::Hardlink, b"d/hard", b"d/plain"), 0);
    add(
        link(
            MemberKind::Hardlink,
            b"d/hard2",
            format!("d/{}", long("n", 200)).as_bytes(),
        ),
        0,
    );
    let mut m = file(b"d/neg", 1);
    m.modified = t(-2, 500_000_000);
    add(m, b'h');
    let mut m = file(b"d/neg1", 1);
    m.modified = t(-100, 0);
    add(m, b'h');
    let mut m = file(b"d/late", 1);
    m.modified = t(1 << 34, 1);
    add(m, b'h');
    let mut m = file(b"d/notime", 1);
    m.modified = None;
    add(m, b'h');
    let mut m = file(b"d/xattr", 1);
    m.xattrs = vec![
        (b"user.a".to_vec(), b"v\0\n=".to_vec()),
        (b"user.a=%b".to_vec(), b"2".to_vec()),
    ];
    add(m, b'h');
    let mut m = file(b"d/uid", 1);
    m.uid = 3_000_000;
    m.gid = 4_000_000;
    add(m, b'h');
    let mut m = file(b"d/sparse", 1_000_000);
    m.extents = Some(vec![(4096, 100), (8192, 5000)]);
    add(m, b's');
    let mut m = file(b"d/sparse2", 10_000);
    m.extents = Some(vec![(0, 100), (9000, 1000)]);
    m.modified = t(1_600_000_000, 5);
    add(m, b's');
    let mut m = file(b"d/sparse3", 1_000_000);
    m.extents = Some(vec![]);
    add(m, b's');
    let mut m = file(b"d/sparse0", 0);
    m.extents = Some(vec![]);
    add(m, b's');
    let mut m = file(
        &[b"d/".to_vec(), vec![0xe9; 199], b"s".to_vec()].concat(),
        10_000,
    );
    m.extents = Some(vec![(5000, 10)]);
    add(m, b's');
    let mut m = file(b"d/sparsemany", 10_000_000);
    m.extents = Some((0..1000).map(|i| (i * 8192 + 4096, 10)).collect());
    add(m, b's');
    let mut m = file(format!("d/{}", long("s", 200)).as_bytes(), 10_000);
    m.extents = Some(vec![(5000, 10)]);
    add(m, b's');
    out.extend_from_slice(&END);
    std::fs::write(path, out).unwrap();
}
