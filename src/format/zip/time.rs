//! The three clocks of a zip file: DOS (two seconds, local time, 1980 to
//! 2107), Unix (seconds, 32 bits, signed) and NTFS (100 ns since 1601).
//!
//! DOS times name no zone. They are read and written as UTC, so that the same
//! archive gives the same times everywhere.

use crate::sys::Timestamp;

const DAY: i64 = 86_400;
/// 1980-01-01 and the end of 2107 in seconds since 1970: what DOS can say.
const DOS_FIRST: i64 = 315_532_800;
const DOS_LAST: i64 = 4_354_819_198;
/// Seconds from 1601 to 1970.
const NTFS_EPOCH: i64 = 11_644_473_600;

/// The time that a DOS date and time say; `None` where they are no date.
pub(super) fn from_dos(date: u16, time: u16) -> Option<Timestamp> {
    let (year, month, day) = (
        i64::from(date >> 9) + 1980,
        i64::from(date >> 5 & 15),
        i64::from(date & 31),
    );
    let (hour, minute, second) = (
        i64::from(time >> 11),
        i64::from(time >> 5 & 63),
        i64::from(time & 31) * 2,
    );
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !(1..=12).contains(&month) || day == 0 || !is_time {
        return None;
    }
    let secs = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp { secs, nanos: 0 })
}

/// The DOS date and time of a time, the nearest where DOS has none.
pub(super) fn to_dos(time: Option<Timestamp>) -> (u16, u16) {
    let secs = time.map_or(DOS_FIRST, |time| time.secs.clamp(DOS_FIRST, DOS_LAST));
    let (year, month, day) = civil_from_days(secs.div_euclid(DAY));
    let second = secs.rem_euclid(DAY);
    let date = (year - 1980) << 9 | month << 5 | day;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let time = hour << 11 | minute << 5 | ((second % 60) >> 1);
    (date as u16, time as u16)
}

/// The time of a count of 100 ns since 1601.
pub(super) fn from_ntfs(ticks: u64) -> Timestamp {
    Timestamp {
        secs: (ticks / 10_000_000) as i64 - NTFS_EPOCH,
        nanos: (ticks % 10_000_000) as u32 * 100,
    }
}

/// The count of 100 ns since 1601 of a time, what is finer cut off; `None` for
/// a time that the count doesn't reach, or that a zero would say.
pub(super) fn to_ntfs(time: Timestamp) -> Option<u64> {
    let secs = u64::try_from(time.secs.checked_add(NTFS_EPOCH)?).ok()?;
    let ticks = secs
        .checked_mul(10_000_000)?
        .checked_add(u64::from(time.nanos / 100))?;
    (ticks != 0).then_some(ticks)
}

/// Whether what is written of a time says all of it.
pub(crate) fn holds_time(time: Timestamp) -> bool {
    let fits_seconds = time.nanos == 0 && i32::try_from(time.secs).is_ok();
    fits_seconds || to_ntfs(time).is_some_and(|ticks| from_ntfs(ticks) == time)
}

/// Days since 1970 of a date, by the arithmetic of years that begin in March:
/// 400 years have 146,097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a count of days since 1970.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Option<Timestamp> {
        Some(Timestamp { secs, nanos: 0 })
    }

    #[test]
    fn dos_times_are_utc_and_clamped() {
        assert_eq!(from_dos(0x21, 0), at(DOS_FIRST));
        assert_eq!(to_dos(None), (0x21, 0));
        assert_eq!(to_dos(at(-5)), (0x21, 0));
        assert_eq!(to_dos(at(i64::MAX)), (0xff9f, 0xbf7d));
        assert_eq!(from_dos(0xff9f, 0xbf7d), at(DOS_LAST));
        for secs in [951_782_400, 1_709_164_800, 1_583_020_798, 2_000_000_000] {
            let (date, time) = to_dos(at(secs));
            assert_eq!(from_dos(date, time), at(secs), "{secs}");
        }
    }

    #[test]
    fn what_is_no_date_is_no_time() {
        for (date, time) in [(0, 0), (0x20, 0), (0x01a1, 0xc000), (0x21, 30)] {
            assert_eq!(from_dos(date, time), None, "{date:x} {time:x}");
        }
    }

    #[test]
    fn ntfs_counts_from_1601() {
        let time = from_ntfs(133_500_000_000_000_001);
        assert_eq!((time.secs, time.nanos), (1_705_526_400, 100));
        let time = |secs, nanos| to_ntfs(Timestamp { secs, nanos });
        assert_eq!(time(1_705_526_400, 199), Some(133_500_000_000_000_001));
        assert_eq!(time(-NTFS_EPOCH, 100), Some(1));
        for secs in [-NTFS_EPOCH, -NTFS_EPOCH - 1, i64::MIN, i64::MAX] {
            assert_eq!(time(secs, 0), None, "{secs}");
        }
    }
}
