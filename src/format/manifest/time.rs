//! Times in manifests: RFC 3339, with as many digits as the source tells.

use crate::sys::Timestamp;

/// How finely a time is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Nine digits. Nine zeros can be of a source that tells seconds.
    Nanoseconds,
    /// Seven digits.
    Ticks,
    /// No digits.
    TwoSeconds,
}

impl Precision {
    const ALL: [Self; 3] = [Self::Nanoseconds, Self::Ticks, Self::TwoSeconds];

    fn digits(self) -> usize {
        match self {
            Precision::Nanoseconds => 9,
            Precision::Ticks => 7,
            Precision::TwoSeconds => 0,
        }
    }

    /// The nanoseconds of one step of the last digit.
    fn step(self) -> u32 {
        match self {
            Precision::Nanoseconds => 1,
            Precision::Ticks => 100,
            Precision::TwoSeconds => 1_000_000_000,
        }
    }
}

/// A time as manifests write it, in UTC; `@` and seconds since 1970 outside of the years
/// -9999 to 9999.
pub(super) fn format(time: Timestamp, precision: Precision) -> String {
    let digits = precision.digits();
    let nanos = time.nanos - time.nanos % precision.step();
    if let Ok(time) = jiff::Timestamp::new(time.secs, nanos.cast_signed()) {
        return format!("{time:.digits$}");
    }
    let fraction = format!("{nanos:09}");
    match digits {
        0 => format!("@{}", time.secs),
        _ => format!("@{}.{}", time.secs, &fraction[..digits]),
    }
}

/// The time that [`format()`] writes so; `None` if there is none.
pub(super) fn parse(text: &str) -> Option<(Timestamp, Precision)> {
    let digits = text
        .split_once('.')
        .map_or(0, |(_, rest)| rest.trim_end_matches('Z').len());
    let is_it = |precision: &Precision| precision.digits() == digits;
    let precision = Precision::ALL.into_iter().find(is_it)?;
    let time = match text.strip_prefix('@') {
        Some(text) => seconds(text, precision)?,
        None => {
            let time: jiff::Timestamp = text.parse().ok()?;
            let nanos = time.as_nanosecond();
            Timestamp {
                secs: i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?,
                nanos: nanos.rem_euclid(1_000_000_000) as u32,
            }
        }
    };
    (format(time, precision) == text).then_some((time, precision))
}

fn seconds(text: &str, precision: Precision) -> Option<Timestamp> {
    let (secs, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction: u32 = fraction.parse().ok()?;
    Some(Timestamp {
        secs: secs.parse().ok()?,
        nanos: fraction.checked_mul(precision.step())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written_and_no_other_way() {
        let at = |secs, nanos| Timestamp { secs, nanos };
        for (time, precision, text) in [
            (
                at(0, 0),
                Precision::Nanoseconds,
                "1970-01-01T00:00:00.000000000Z",
            ),
            (
                at(-1, 5),
                Precision::Nanoseconds,
                "1969-12-31T23:59:59.000000005Z",
            ),
            (at(1, 100), Precision::Ticks, "1970-01-01T00:00:01.0000001Z"),
            (
                at(-2, 999_999_900),
                Precision::Ticks,
                "1969-12-31T23:59:58.9999999Z",
            ),
            (at(2, 0), Precision::TwoSeconds, "1970-01-01T00:00:02Z"),
            (
                at(i64::MAX, 7),
                Precision::Nanoseconds,
                "@9223372036854775807.000000007",
            ),
            (
                at(i64::MIN, 700),
                Precision::Ticks,
                "@-9223372036854775808.0000007",
            ),
            (
                at(i64::MIN, 0),
                Precision::TwoSeconds,
                "@-9223372036854775808",
            ),
        ] {
            assert_eq!(format(time, precision), text);
            assert_eq!(parse(text), Some((time, precision)), "{text}");
        }
        for text in [
            "",
            "Z",
            "@",
            "@1.000000000",
            "@x.000000000",
            "1970-01-01T00:00:00.0Z",
            "1970-01-01T00:00:00.000000000z",
            "1970-01-01t00:00:00.000000000Z",
            "1970-01-01 00:00:00.000000000Z",
            "1970-01-01T00:00:00.000000000+00:00",
            "1970-01-01T02:00:00+02:00",
            "1970-13-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
