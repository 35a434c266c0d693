//! Zips made record by record, as no decent program makes them.

/// One member: what its local header and the directory say may differ.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) local: Said,
    pub(crate) central: Said,
    /// The bytes behind the local header.
    pub(crate) data: Vec<u8>,
    /// A data descriptor and more, behind them.
    pub(crate) behind: Vec<u8>,
    /// Bytes before the local header.
    pub(crate) gap: Vec<u8>,
    pub(crate) made_by: u16,
    pub(crate) attributes: u32,
    pub(crate) disk: u16,
    /// Where the directory says that it is, if not where it is.
    pub(crate) offset: Option<u32>,
}

/// What a header says of a member.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: u32,
    pub(crate) size: u32,
    pub(crate) extra: Vec<u8>,
}

const UNIX: u16 = 3 << 8 | 20;

impl Entry {
    /// A stored file.
    pub(crate) fn file(name: &[u8], content: &[u8]) -> Self {
        Self::with_mode(name, content, 0o100_644)
    }

    pub(crate) fn dir(name: &[u8]) -> Self {
        Self::with_mode(name, b"", 0o040_755)
    }

    pub(crate) fn symlink(name: &[u8], target: &[u8]) -> Self {
        Self::with_mode(name, target, 0o120_777)
    }

    pub(crate) fn with_mode(name: &[u8], content: &[u8], mode: u32) -> Self {
        let said = Said {
            name: name.to_vec(),
            flags: 0,
            method: 0,
            crc: crc(content),
            packed: content.len() as u32,
            size: content.len() as u32,
            extra: Vec::new(),
        };
        Self {
            local: said.clone(),
            central: said,
            data: content.to_vec(),
            behind: Vec::new(),
            gap: Vec::new(),
            made_by: UNIX,
            attributes: mode << 16,
            disk: 0,
            offset: None,
        }
    }

    /// Compresses the content with Deflate.
    pub(crate) fn deflated(mut self) -> Self {
        self.data = deflate(&self.data);
        let packed = self.data.len() as u32;
        self.both(|said| (said.method, said.packed) = (8, packed))
    }

    /// Changes what both headers say.
    pub(crate) fn both(mut self, change: impl Fn(&mut Said)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    pub(crate) fn local(mut self, change: impl Fn(&mut Said)) -> Self {
        change(&mut self.local);
        self
    }

    pub(crate) fn central(mut self, change: impl Fn(&mut Said)) -> Self {
        change(&mut self.central);
        self
    }

    pub(crate) fn change(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// What stands at the end.
#[derive(Clone, Default)]
pub(crate) struct End {
    pub(crate) prefix: Vec<u8>,
    /// Bytes between the last member and the directory.
    pub(crate) gap: Vec<u8>,
    pub(crate) count: Option<u16>,
    pub(crate) count_here: Option<u16>,
    pub(crate) size: Option<u32>,
    pub(crate) start: Option<u32>,
    pub(crate) disk: u16,
    pub(crate) comment: Vec<u8>,
    /// Bytes between the directory and the end record.
    pub(crate) before_end: Vec<u8>,
    pub(crate) behind: Vec<u8>,
}

pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_with(entries, &End::default())
}

pub(crate) fn zip_with(entries: &[Entry], end: &End) -> Vec<u8> {
    let mut out = end.prefix.clone();
    let mut offsets = Vec::new();
    for entry in entries {
        out.extend(&entry.gap);
        offsets.push(out.len() as u32);
        let said = &entry.local;
        out.extend(b"PK\x03\x04");
        put16(&mut out, &[20, said.flags, said.method, 0, 0x5c21]);
        put32(&mut out, &[said.crc, said.packed, said.size]);
        put16(&mut out, &[said.name.len() as u16, said.extra.len() as u16]);
        out.extend(&said.name);
        out.extend(&said.extra);
        out.extend(&entry.data);
        out.extend(&entry.behind);
    }
    out.extend(&end.gap);
    let start = out.len();
    for (entry, offset) in entries.iter().zip(offsets) {
        let said = &entry.central;
        out.extend(b"PK\x01\x02");
        let version = [entry.made_by, 20, said.flags, said.method, 0, 0x5c21];
        put16(&mut out, &version);
        put32(&mut out, &[said.crc, said.packed, said.size]);
        let lengths = [said.name.len() as u16, said.extra.len() as u16, 0];
        put16(&mut out, &lengths);
        put16(&mut out, &[entry.disk, 0]);
        put32(
            &mut out,
            &[entry.attributes, entry.offset.unwrap_or(offset)],
        );
        out.extend(&said.name);
        out.extend(&said.extra);
    }
    let size = (out.len() - start) as u32;
    out.extend(&end.before_end);
    let count = entries.len() as u16;
    out.extend(b"PK\x05\x06");
    put16(&mut out, &[end.disk, end.disk]);
    put16(
        &mut out,
        &[
            end.count_here.or(end.count).unwrap_or(count),
            end.count.unwrap_or(count),
        ],
    );
    put32(
        &mut out,
        &[end.size.unwrap_or(size), end.start.unwrap_or(start as u32)],
    );
    put16(&mut out, &[end.comment.len() as u16]);
    out.extend(&end.comment);
    out.extend(&end.behind);
    out
}

pub(crate) fn put16(out: &mut Vec<u8>, values: &[u16]) {
    values
        .iter()
        .for_each(|value| out.extend(value.to_le_bytes()));
}

pub(crate) fn put32(out: &mut Vec<u8>, values: &[u32]) {
    values
        .iter()
        .for_each(|value| out.extend(value.to_le_bytes()));
}

pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let level = flate2::Compression::default();
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Info-ZIP's Unicode path extra field for `name`, over the name `over`.
pub(crate) fn unicode_path(over: &[u8], name: &[u8]) -> Vec<u8> {
    let mut extra = Vec::new();
    put16(&mut extra, &[0x7075, 5 + name.len() as u16]);
    extra.push(1);
    put32(&mut extra, &[crc(over)]);
    extra.extend(name);
    extra
}
