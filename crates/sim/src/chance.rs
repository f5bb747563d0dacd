//! Chance: one seed gives one run, for ever, whatever library versions come.

/// A generator of numbers: xoshiro256** (Blackman and Vigna, 2018), filled by splitmix64.
#[derive(Clone, Debug)]
pub struct Chance {
    state: [u64; 4],
}

impl Chance {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        let mut filler = seed;
        let mut fill = || {
            filler = filler.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = filler;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Self {
            state: [fill(), fill(), fill(), fill()],
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// An index into something with `len` places, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A number from `first` to `last`.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&mut self, cases: u64) -> bool {
        self.below(1_000) < cases
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() {
            return None;
        }
        all.get(self.index(all.len()))
    }

    /// Sixteen bytes, for a salt.
    pub fn salt(&mut self) -> [u8; 16] {
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.bits().to_le_bytes());
        salt[8..].copy_from_slice(&self.bits().to_le_bytes());
        salt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this changes, every seed in a bug report means another run.
    #[test]
    fn the_numbers_never_change() {
        let mut chance = Chance::new(42);
        let first: Vec<u64> = (0..3).map(|_| chance.bits()).collect();
        assert_eq!(
            first,
            [
                1_546_998_764_402_558_742,
                6_990_951_692_964_543_102,
                12_544_586_762_248_559_009
            ]
        );
    }
}
