//! Where a sparse file has data, and where in the file a byte that is stored of it belongs.
//!
//! Archives bring maps of a million extents and cut what is stored into as many pieces. So
//! sums are kept instead of lengths: the extents of a piece are found by bisection, and how
//! much data there is takes no walk.

use std::ops::Range;

/// Where a file has data: the first byte, and how many.
pub(crate) type Extent = (u64, u64);

/// Extents in their order, none overlapping the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Extents(Vec<Run>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Run {
    /// Its first byte in the file.
    start: u64,
    /// Bytes of data up to and with it.
    sum: u64,
}

impl Run {
    /// A file without holes.
    const ALL: &[Self] = &[Self {
        start: 0,
        sum: u64::MAX,
    }];
}

impl Extents {
    /// Appends an extent.
    pub(crate) fn push(&mut self, (start, length): Extent) {
        let sum = self.data() + length;
        self.0.push(Run { start, sum });
    }

    /// Bytes of data in all of them.
    pub(crate) fn data(&self) -> u64 {
        self.before(self.0.len())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, at: usize) -> Option<Extent> {
        let run = self.0.get(at)?;
        Some((run.start, run.sum - self.before(at)))
    }

    pub(crate) fn last(&self) -> Option<Extent> {
        self.get(self.0.len().checked_sub(1)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Extent> {
        self.numbered(0).map(|(extent, _)| extent)
    }

    /// The extents from the last one on that begins at or in front of a place in the file,
    /// or from the first, each with the data in front of it.
    pub(crate) fn around(&self, place: u64) -> impl Iterator<Item = (Extent, u64)> {
        let behind = self.0.partition_point(|run| run.start <= place);
        self.numbered(behind.saturating_sub(1))
    }

    /// Bytes of data in front of the extent `at`.
    pub(crate) fn before(&self, at: usize) -> u64 {
        before(&self.0, at)
    }

    fn numbered(&self, first: usize) -> impl Iterator<Item = (Extent, u64)> {
        let mut before = self.before(first);
        self.0[first..].iter().map(move |run| {
            let start = std::mem::replace(&mut before, run.sum);
            ((run.start, run.sum - start), start)
        })
    }
}

impl From<Vec<Extent>> for Extents {
    fn from(extents: Vec<Extent>) -> Self {
        extents.into_iter().collect()
    }
}

impl FromIterator<Extent> for Extents {
    fn from_iter<I: IntoIterator<Item = Extent>>(extents: I) -> Self {
        let mut sum = 0;
        let runs = extents.into_iter().map(|(start, length)| {
            sum += length;
            Run { start, sum }
        });
        Self(runs.collect())
    }
}

fn before(runs: &[Run], at: usize) -> u64 {
    at.checked_sub(1).map_or(0, |last| runs[last].sum)
}

/// The places in a file of the bytes `stored` of all that is stored of it; without
/// extents, the file has no holes.
pub(crate) fn places(
    extents: Option<&Extents>,
    stored: Range<u64>,
) -> impl Iterator<Item = Range<u64>> {
    let Range { start: first, end } = stored;
    let runs = extents.map_or(Run::ALL, |extents| &extents.0);
    let at = runs.partition_point(|run| run.sum <= first);
    let mut before = before(runs, at);
    let sums = runs[at..].iter().map(move |run| {
        let before = std::mem::replace(&mut before, run.sum);
        (before, run)
    });
    let within = sums.take_while(move |(before, _)| *before < end);
    within.filter_map(move |(before, run)| {
        let from = first.max(before);
        let to = end.min(run.sum);
        let shift = run.start.wrapping_sub(before);
        (from < to).then(|| from.wrapping_add(shift)..to.wrapping_add(shift))
    })
}

/// Where stored bytes belong in a file with these extents, given those from
/// `stored` on.
pub(crate) fn placed<'b>(
    extents: Option<&Extents>,
    stored: u64,
    mut bytes: &'b [u8],
) -> impl Iterator<Item = (u64, &'b [u8])> {
    places(extents, stored..stored + bytes.len() as u64).map(move |range| {
        let (here, rest) = bytes.split_at((range.end - range.start) as usize);
        bytes = rest;
        (range.start, here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents() -> Extents {
        Extents::from(vec![(10, 4), (50, 2), (60, 0), (90, 10)])
    }

    #[test]
    fn stored_bytes_find_their_places_between_holes() {
        let extents = extents();
        for (stored, bytes, expected) in [
            (0, &b"abcd"[..], &[(10, &b"abcd"[..])][..]),
            (3, b"defgh", &[(13, b"d"), (50, b"ef"), (90, b"gh")]),
            (4, b"e", &[(50, b"e")]),
            (6, b"g", &[(90, b"g")]),
            (15, b"p", &[(99, b"p")]),
            (16, b"q", &[]),
            (5, b"", &[]),
        ] {
            let found: Vec<_> = placed(Some(&extents), stored, bytes).collect();
            assert_eq!(found, expected, "{stored}");
        }
        assert_eq!(
            placed(None, 7, b"ab").collect::<Vec<_>>(),
            [(7, &b"ab"[..])]
        );
    }

    #[test]
    fn a_place_finds_the_extents_around_it() {
        let extents = extents();
        for (place, expected) in [
            (0, ((10, 4), 0)),
            (10, ((10, 4), 0)),
            (49, ((10, 4), 0)),
            (50, ((50, 2), 4)),
            (75, ((60, 0), 6)),
            (1000, ((90, 10), 6)),
        ] {
            assert_eq!(extents.around(place).next(), Some(expected), "{place}");
        }
        assert_eq!(extents.around(50).count(), 3);
        assert_eq!(Extents::default().around(0).count(), 0);
    }

    #[test]
    fn what_is_pushed_is_told_again() {
        let mut pushed = Extents::default();
        assert_eq!((pushed.last(), pushed.data()), (None, 0));
        for extent in extents().iter() {
            pushed.push(extent);
            assert_eq!(pushed.last(), Some(extent));
        }
        assert_eq!(pushed, extents());
        assert_eq!((pushed.len(), pushed.data()), (4, 16));
        assert_eq!((pushed.get(1), pushed.get(4)), (Some((50, 2)), None));
    }

    /// A walk to the place of each piece would take 2^42 steps: an hour.
    #[test]
    fn many_pieces_of_many_extents_are_placed_at_once() {
        const MANY: u64 = 1 << 21;
        let extents: Extents = (0..MANY).map(|at| (at * 4096, 1)).collect();
        for stored in 0..MANY {
            let mut places = places(Some(&extents), stored..stored + 1);
            assert_eq!(places.next(), Some(stored * 4096..stored * 4096 + 1));
            assert_eq!(places.next(), None);
            let (extent, before) = extents.around(stored * 4096).next().unwrap();
            assert_eq!((extent, before), ((stored * 4096, 1), stored));
        }
        assert_eq!(extents.data(), MANY);
    }
}
