//! PAX records: `LENGTH KEY=VALUE\n`, as POSIX.1-2017, `pax`, "pax Extended
//! Header", has them.
//!
//! `LENGTH` counts the whole record with itself and the newline, so that
//! values may hold anything. Records are split and joined here; what they
//! mean is in [`pax`](super::pax).

use crate::error::Refusal;

/// One record, and what follows it.
pub(super) struct Record<'r> {
    pub key: &'r [u8],
    pub value: &'r [u8],
    pub rest: &'r [u8],
}

/// Splits off the first record of `bytes`.
pub(super) fn split(bytes: &[u8]) -> Result<Record<'_>, Refusal> {
    let malformed = |what| Err(Refusal::malformed(format!("a PAX record {what}")));
    // A header is at most 1 MiB, which takes seven digits.
    let digits = bytes
        .iter()
        .take(8)
        .take_while(|byte| byte.is_ascii_digit());
    let digits = &bytes[..digits.count()];
    // Leading zeros are refused as readers differ on them.
    if digits.is_empty() || digits[0] == b'0' || bytes.get(digits.len()) != Some(&b' ') {
        return malformed("doesn't begin with its length");
    }
    let length = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if length > bytes.len() || length <= digits.len() + 1 {
        return malformed("has a length that can't be");
    }
    let (record, rest) = bytes.split_at(length);
    let Some((b'\n', body)) = record[digits.len() + 1..].split_last() else {
        return malformed("doesn't end with a newline where its length says");
    };
    let Some(equals) = body.iter().position(|&byte| byte == b'=') else {
        return malformed("has no `=`");
    };
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    if key.is_empty() || key.contains(&0) {
        return malformed("has an empty key, or a NUL in it");
    }
    Ok(Record { key, value, rest })
}

/// Appends one record.
pub(super) fn append(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    // The blank, the equals sign and the newline.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_their_own_digits() {
        for length in 0..1200 {
            let value = vec![b'\n'; length];
            let mut bytes = Vec::new();
            append(b"k", &value, &mut bytes);
            append(b"next", b"", &mut bytes);
            let record = split(&bytes).unwrap();
            assert_eq!((record.key, record.value), (&b"k"[..], &value[..]));
            assert_eq!(record.rest, b"8 next=\n");
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        let cases: &[(&[u8], &str)] = &[
            (b"x", "doesn't begin with its length"),
            (b" 7 a=b\n", "doesn't begin with its length"),
            (b"011 path=h\n", "doesn't begin with its length"),
            (b"11", "doesn't begin with its length"),
            (
                b"0000000000000000011 path=h\n",
                "doesn't begin with its length",
            ),
            (b"999999999 path=h\n", "doesn't begin with its length"),
            (b"12 path=h\n", "has a length that can't be"),
            (b"2 a=b\n", "has a length that can't be"),
            (
                b"5 a=b\n",
                "doesn't end with a newline where its length says",
            ),
            (
                b"22 path=nonewline.txt.",
                "doesn't end with a newline where its length says",
            ),
            (b"7 path\n", "has no `=`"),
            (b"4 =\n", "has an empty key, or a NUL in it"),
            (b"9 pa\0h=x\n", "has an empty key, or a NUL in it"),
        ];
        for (bytes, wanted) in cases {
            let error = split(bytes).err().unwrap();
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(
                error.to_string(),
                format!("a PAX record {wanted}"),
                "{shown}"
            );
        }
    }
}
