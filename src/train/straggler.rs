//! Stragglers: processes that take longer than the others over equal shares of the work, so that all wait for them.

/// How much longer than the median a rank may take.
const RATIO: f64 = 1.5;
/// Seconds below which a difference is the system's noise.
const LEAST_SECONDS: f64 = 1.0;

/// A rank that the others wait for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Late {
    /// Which.
    pub rank: usize,
    /// What it computed for.
    pub seconds: f64,
    /// The median over all ranks.
    pub median: f64,
}

/// The ranks that computed for more than one and a half times the median, and for more than a second.
pub fn late(seconds: &[f64]) -> Vec<Late> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return Vec::new();
    };
    let median = (sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0;
    let limit = LEAST_SECONDS.max(RATIO * median);
    let ranks = seconds.iter().enumerate();
    ranks
        .filter(|(_, seconds)| **seconds > limit)
        .map(|(rank, seconds)| Late {
            rank,
            seconds: *seconds,
            median,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_late_by_the_median_and_not_by_noise() {
        let ranks = |seconds: &[f64]| -> Vec<usize> {
            late(seconds).iter().map(|late| late.rank).collect()
        };
        assert_eq!(ranks(&[10.0, 10.0, 15.1, 10.0]), [2]);
        assert_eq!(ranks(&[10.0, 10.0, 14.9, 10.0]), [0; 0]);
        assert_eq!(ranks(&[20.0, 10.0, 16.0, 10.0, 9.0]), [0, 2]);
        // Of two, half of each.
        assert_eq!(ranks(&[1.0, 3.1]), [1]);
        assert_eq!(ranks(&[1.0, 2.9]), [0; 0]);
        // Too short to say anything.
        assert_eq!(ranks(&[0.01, 0.9]), [0; 0]);
        assert_eq!(ranks(&[]), [0; 0]);
        assert_eq!(
            late(&[2.0, 7.0, 4.0, 4.0]),
            [Late {
                rank: 1,
                seconds: 7.0,
                median: 4.0
            }]
        );
    }
}
