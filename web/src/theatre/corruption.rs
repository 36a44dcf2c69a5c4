//! Hiding a share of a text: nested sets of positions, so that more corruption only ever hides more.

use crossover::random::{Purpose, Stream};

use super::film::MASK;

/// In which order the positions of a text are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    order: Vec<usize>,
}

impl Corruption {
    /// A seed's order of `length` positions.
    pub fn new(length: usize, seed: u64) -> Self {
        Self {
            order: Stream::new(seed, Purpose::Masking, 0, 0).permutation(length),
        }
    }

    /// The positions that are hidden at a share `t`, ascending: none at 0, all at 1, and at a larger share all those of a
    /// smaller one.
    pub fn masked(&self, t: f64) -> Vec<usize> {
        let count = (t.clamp(0.0, 1.0) * self.order.len() as f64).round() as usize;
        let mut positions = self.order[..count].to_vec();
        positions.sort_unstable();
        positions
    }

    /// The text with those hidden.
    pub fn corrupted(&self, tokens: &[i64], t: f64) -> Vec<i64> {
        let mut corrupted = tokens.to_vec();
        for position in self.masked(t) {
            if let Some(token) = corrupted.get_mut(position) {
                *token = MASK;
            }
        }
        corrupted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corruption_nests() {
        for seed in 0..20 {
            let corruption = Corruption::new(64, seed);
            assert_eq!(corruption.masked(0.0), [0_usize; 0]);
            assert_eq!(corruption.masked(1.0), (0..64).collect::<Vec<_>>());
            let mut before = Vec::new();
            for percent in 0..=100 {
                let now = corruption.masked(f64::from(percent) / 100.0);
                assert!(before.iter().all(|position| now.contains(position)));
                before = now;
            }
        }
        assert_ne!(
            Corruption::new(64, 1).masked(0.5),
            Corruption::new(64, 2).masked(0.5)
        );
    }

    #[test]
    fn what_is_not_hidden_stays() {
        let corruption = Corruption::new(4, 7);
        let corrupted = corruption.corrupted(&[5, 6, 7, 8], 0.5);
        assert_eq!(corrupted.iter().filter(|&&token| token == MASK).count(), 2);
        for (position, token) in corrupted.into_iter().enumerate() {
            assert!(token == MASK || token == position as i64 + 5);
        }
    }
}
