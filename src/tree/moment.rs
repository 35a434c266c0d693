//! Modification times, compared no finer than both sides can tell them.

use crate::format::manifest::Precision;
use crate::sys::Timestamp;

/// How finely a side tells a time, the finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Clock {
    /// File systems, and tars with a PAX header.
    Nanoseconds,
    /// NTFS, in zips: 100 ns.
    Ticks,
    /// Plain tar headers, and the Unix times of zips.
    Seconds,
    /// DOS, in zips. Some writers round up, others down.
    TwoSeconds,
}

/// A time, and how finely it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub time: Timestamp,
    clock: Clock,
}

impl Moment {
    /// A time of a file system.
    pub(crate) fn exact(time: Timestamp) -> Self {
        let clock = Clock::Nanoseconds;
        Self { time, clock }
    }

    /// A time that an archive tells by `clock`, or by seconds where it has no
    /// more than those: an archive doesn't say that a fraction was left out.
    pub(crate) fn told(time: Timestamp, clock: Clock) -> Self {
        let clock = match time.nanos {
            0 => clock.max(Clock::Seconds),
            _ => clock,
        };
        Self { time, clock }
    }

    /// How a manifest writes it. No fraction says the same there as here.
    pub(crate) fn precision(self) -> Precision {
        match self.clock {
            Clock::Nanoseconds | Clock::Seconds => Precision::Nanoseconds,
            Clock::Ticks => Precision::Ticks,
            Clock::TwoSeconds => Precision::TwoSeconds,
        }
    }

    /// Whether both can be the same time.
    pub(crate) fn agrees(self, other: Self) -> bool {
        let (a, b) = (self.time, other.time);
        match self.clock.max(other.clock) {
            Clock::Nanoseconds => a == b,
            Clock::Ticks => (a.secs, a.nanos / 100) == (b.secs, b.nanos / 100),
            Clock::Seconds => a.secs == b.secs,
            Clock::TwoSeconds => a.secs.abs_diff(b.secs) < 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_agree_as_finely_as_the_coarser_clock() {
        let at = |secs, nanos| Timestamp { secs, nanos };
        for (clock, told, exact, agrees) in [
            (Clock::Nanoseconds, at(7, 1), at(7, 1), true),
            (Clock::Nanoseconds, at(7, 1), at(7, 2), false),
            (Clock::Nanoseconds, at(7, 0), at(7, 999), true),
            (Clock::Nanoseconds, at(7, 0), at(8, 0), false),
            (Clock::Ticks, at(7, 100), at(7, 199), true),
            (Clock::Ticks, at(7, 100), at(7, 200), false),
            (Clock::Ticks, at(7, 0), at(7, 200), true),
            (Clock::Seconds, at(-1, 0), at(-1, 5), true),
            (Clock::Seconds, at(7, 0), at(6, 0), false),
            (Clock::TwoSeconds, at(8, 0), at(7, 5), true),
            (Clock::TwoSeconds, at(8, 0), at(9, 5), true),
            (Clock::TwoSeconds, at(8, 0), at(10, 0), false),
        ] {
            let (told, exact) = (Moment::told(told, clock), Moment::exact(exact));
            assert_eq!(told.agrees(exact), agrees, "{told:?} {exact:?}");
            assert_eq!(exact.agrees(told), agrees, "{exact:?} {told:?}");
        }
    }
}
