//! Means with standard errors, from one value per window.

use crate::error::{Error, Result};

/// A mean, how far it may be off, and from how many values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub se: f64,
    /// How many values it averages.
    pub count: usize,
}

impl Mean {
    /// The mean of independent values; its standard error is their sample deviation over `sqrt(count)`.
    ///
    /// Tokens of one window depend on each other, so the values are per-window means, never single tokens.
    ///
    /// # Errors
    /// When there are fewer than two values: one says nothing about the spread, and files hold no NaN to say so.
    pub fn of(values: &[f64]) -> Result<Self> {
        let count = values.len();
        if count < 2 {
            return Err(Error::input(format!(
                "a standard error needs at least 2 windows, there are {count}"
            ))
            .with_hint("evaluate more text, or shorten the windows"));
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Ok(Self {
            mean,
            se: (squares / (count - 1) as f64 / count as f64).sqrt(),
            count,
        })
    }
}

/// The mean of `a - b` with its standard error, paired by window: what windows have in common cancels.
///
/// # Errors
/// When there are fewer than two windows.
///
/// # Panics
/// If the two were not measured on the same number of windows.
pub fn paired_difference(a: &[f64], b: &[f64]) -> Result<Mean> {
    assert_eq!(
        a.len(),
        b.len(),
        "a paired difference is over the same windows"
    );
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    Mean::of(&differences)
}

/// Of independent pairs `(y, x)`, the sum of all `y` over that of all `x`: for instance nats of unequally long texts over
/// their tokens.
///
/// The standard error is that of the linearised ratio r, the sample deviation of `y - r x` over `sqrt(count)` and the
/// mean of x (Cochran, Sampling Techniques, 1977, chapter 6). Where all x are equal it is that of [`Mean::of`] `y / x`.
///
/// # Errors
/// When there are fewer than two pairs.
///
/// # Panics
/// If no x is above 0.
pub fn ratio(pairs: &[(f64, f64)]) -> Result<Mean> {
    let (above, below) = pairs
        .iter()
        .fold((0.0, 0.0), |(ys, xs), (y, x)| (ys + y, xs + x));
    assert!(below > 0.0, "a ratio is to something");
    let mean = above / below;
    let residuals: Vec<f64> = pairs.iter().map(|(y, x)| y - mean * x).collect();
    Ok(Mean {
        mean,
        se: Mean::of(&residuals)?.se * pairs.len() as f64 / below,
        count: pairs.len(),
    })
}

/// The share of `true` among independent trials.
///
/// The standard error is Agresti and Coull's (1998), `sqrt(q (1 - q) / m)` with `m = count + 4` and two successes
/// added, `q = (successes + 2) / m`: ten successes out of ten are no proof of a share of exactly one.
///
/// # Errors
/// When there is no trial.
pub fn share(trials: impl IntoIterator<Item = bool>) -> Result<Mean> {
    let (mut count, mut successes) = (0_usize, 0_usize);
    for success in trials {
        count += 1;
        successes += usize::from(success);
    }
    if count == 0 {
        return Err(Error::input("a share needs at least 1 trial, there are 0"));
    }
    let padded = (count + 4) as f64;
    let q = (successes + 2) as f64 / padded;
    Ok(Mean {
        mean: successes as f64 / count as f64,
        se: (q * (1.0 - q) / padded).sqrt(),
        count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_knows_its_standard_error() {
        let mean = Mean::of(&[1.0, 2.0, 3.0, 6.0]).unwrap();
        // Squared deviations 4 + 1 + 0 + 9 = 14; variance 14/3; over 4 values 14/12.
        assert_eq!((mean.mean, mean.count), (3.0, 4));
        assert!((mean.se - (14.0_f64 / 12.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn a_single_window_has_no_standard_error() {
        assert!(Mean::of(&[]).is_err());
        assert!(Mean::of(&[1.0]).is_err());
    }

    #[test]
    fn what_windows_have_in_common_cancels_in_a_paired_difference() {
        let hard_and_easy = [5.0, 1.0, 9.0];
        let shifted: Vec<f64> = hard_and_easy.iter().map(|value| value + 0.5).collect();
        let difference = paired_difference(&shifted, &hard_and_easy).unwrap();
        assert_eq!((difference.mean, difference.se), (0.5, 0.0));
    }

    #[test]
    fn a_ratio_weighs_by_what_it_is_over() {
        let found = ratio(&[(1.0, 1.0), (6.0, 3.0), (2.0, 2.0)]).unwrap();
        // 9 over 6; residuals -0.5, 1.5, -1 of mean 0: squares 3.5, variance 1.75, over 3 pairs and a mean x of 2.
        assert_eq!((found.mean, found.count), (1.5, 3));
        assert!((found.se - (1.75_f64 / 3.0).sqrt() / 2.0).abs() < 1e-15);
        let equal = ratio(&[(2.0, 2.0), (6.0, 2.0)]).unwrap();
        assert_eq!(equal, Mean::of(&[1.0, 3.0]).unwrap());
        assert!(ratio(&[(1.0, 1.0)]).is_err());
    }

    #[test]
    fn a_share_is_never_certain() {
        let all = share([true; 10]).unwrap();
        assert_eq!((all.mean, all.count), (1.0, 10));
        assert!(all.se > 0.05);
        let half = share((0..1000).map(|trial| trial % 2 == 0)).unwrap();
        assert_eq!(half.mean, 0.5);
        assert!((half.se - (0.25_f64 / 1000.0).sqrt()).abs() < 1e-4);
        assert!(share([]).is_err());
    }
}
