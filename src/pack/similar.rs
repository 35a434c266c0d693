//! Brings files that are alike together, so that a block holds what repeats.
//!
//! A file's features are the largest of several hashes over its windows of some
//! 64 bytes, as they are taken in delta compression of backups: files that
//! share most of their content share most of the features. Measured in blocks
//! of 16 MiB at level 12: a node_modules of 582 MB 93.8 → 90.8 MB; ordered by
//! extension before that, as archivers often do, 91.6 MB.

use std::collections::HashMap;

/// Hashes of a file.
pub(super) type Features = [u64; COUNT];
const COUNT: usize = 8;
/// Features that have to be equal together. 1 and 4 made a node_modules 0.6 and
/// 1.8 % larger.
const TOGETHER: usize = 2;

/// One window in so many is looked at.
const SAMPLED: u32 = 5;

/// What a feature is multiplied and mixed with: odd numbers of random bits.
const FACTORS: Features = [
    0x9E37_79B9_7F4A_7C15,
    0xBF58_476D_1CE4_E5B9,
    0x94D0_49BB_1331_11EB,
    0xD6E8_FEB8_6659_FD93,
    0xA076_1D64_78BD_642F,
    0xE703_7ED1_A0B4_28DB,
    0x8EBC_6AF0_9C88_C6E3,
    0x5899_65CC_7537_4CC3,
];

/// A number of random bits for each byte.
const GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut gear = [0; 256];
    let mut state = 1_u64;
    let mut at = 0;
    while at < gear.len() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        gear[at] = (state ^ (state >> 29)).wrapping_mul(FACTORS[1]);
        at += 1;
    }
    gear
}

/// Finds the features of bytes that come one behind the other.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    rolling: u64,
    features: Features,
}

impl Sketch {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.rolling = (self.rolling << 1).wrapping_add(GEAR[usize::from(*byte)]);
            if self.rolling >> (u64::BITS - SAMPLED) == 0 {
                self.sample();
            }
        }
    }

    fn sample(&mut self) {
        for (at, feature) in self.features.iter_mut().enumerate() {
            let hash = self.rolling.wrapping_mul(FACTORS[at]) ^ FACTORS[(at + 3) % COUNT];
            *feature = hash.max(*feature);
        }
    }

    pub(super) fn features(&self) -> Features {
        self.features
    }
}

/// Puts what is alike behind the first of its kind; all else stays in its order.
/// Only those with equal keys come together.
pub(super) fn gather<K: Copy + Eq + std::hash::Hash>(files: &[(K, Features)]) -> Vec<usize> {
    let mut firsts: HashMap<(K, usize, &[u64]), usize> = HashMap::new();
    let mut above: Vec<usize> = (0..files.len()).collect();
    for (number, (key, features)) in files.iter().enumerate() {
        for (at, group) in features.chunks(TOGETHER).enumerate() {
            // Too short to be sampled.
            if group.contains(&0) {
                continue;
            }
            let other = *firsts.entry((*key, at, group)).or_insert(number);
            let (a, b) = (top(&mut above, other), top(&mut above, number));
            above[a.max(b)] = a.min(b);
        }
    }
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|number| (top(&mut above, *number), *number));
    order
}

/// The first of those that `number` is alike with.
fn top(above: &mut [usize], mut number: usize) -> usize {
    while above[number] != number {
        above[number] = above[above[number]];
        number = above[number];
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(bytes: &[u8]) -> Features {
        let mut sketch = Sketch::default();
        sketch.update(bytes);
        sketch.features()
    }

    fn text(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(FACTORS[3]).wrapping_add(1);
            (state >> 40) as u8
        };
        (0..20_000).map(|_| next()).collect()
    }

    #[test]
    fn what_is_alike_comes_together_and_the_rest_stays() {
        let (a, b) = (text(1), text(2));
        let mut changed = a.clone();
        changed.splice(500..510, *b"something else");
        let files = [
            (0, features(&a)),
            (0, features(&b)),
            (0, features(b"short")),
            (0, features(&changed)),
            (1, features(&a)),
        ];
        assert_eq!(gather(&files), [0, 3, 1, 2, 4]);
    }
}
