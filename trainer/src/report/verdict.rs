//! What a race has shown, in honest sentences: which of the crossovers, how sure, and from how many seeds.

use crossover::lab::RaceResult;

use super::history::History;
use crate::numbers;

/// A difference counts from this many standard errors on.
const SIGNIFICANT: f64 = 2.0;

/// Why no single race speaks of the third crossover.
pub const REGULARISED: &str = "not measured. A race tries one regularisation only; whether AR stays ahead with the \
    best dropout, weight decay and input masking takes many races.";

/// Where a race stands while it runs: the best bound so far against the best AR loss so far, on validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Diffusion's bound minus AR's NLL, nats per token: negative when diffusion is ahead.
    pub difference: f64,
    /// Its standard error as if the two were independent; the paired one is known only at the end, and is smaller.
    pub se: Option<f64>,
}

/// Where a race stands; `None` until both models were evaluated.
pub fn standing(history: &History) -> Option<Standing> {
    let (ar, masked) = history.race()?;
    let (ar, masked) = (ar.best()?, masked.best()?);
    Some(Standing {
        difference: masked.nats - ar.nats,
        se: ar.se.zip(masked.se).map(|(left, right)| left.hypot(right)),
    })
}

impl Standing {
    /// The standing as a sentence, with "so far" in it.
    pub fn sentence(self) -> String {
        let size = numbers::loss(self.difference.abs());
        if self.difference >= 0.0 {
            return format!("Not yet: diffusion is {size} above AR's best so far.");
        }
        match self.se.filter(|se| *se > 0.0) {
            None => format!("Diffusion is {size} below AR's best so far."),
            Some(se) if -self.difference > SIGNIFICANT * se => format!(
                "Diffusion leads so far: about {} nats/token below AR's best.",
                numbers::measured(-self.difference, Some(se))
            ),
            Some(se) => format!(
                "Below AR's best so far, not yet significant (about {:.1} SE).",
                -self.difference / se
            ),
        }
    }
}

/// The first evaluation from which on the bound is below AR's NLL at equal steps, in epochs, by what is known so far.
pub fn curve_so_far(history: &History) -> Option<f64> {
    let (ar, masked) = history.race()?;
    let mut rivals = ar.evaluations().peekable();
    let mut since = None;
    for bound in masked.evaluations() {
        while rivals
            .next_if(|rival| rival.at.step < bound.at.step)
            .is_some()
        {}
        let Some(rival) = rivals.peek().filter(|rival| rival.at.step == bound.at.step) else {
            continue;
        };
        if bound.nats < rival.nats {
            since = since.or(Some(bound.at.epoch));
        } else {
            since = None;
        }
    }
    since
}

/// The result in one sentence.
pub fn headline(result: &RaceResult) -> String {
    let size = numbers::measured(result.difference.abs(), Some(result.difference_se));
    let errors = errors(result);
    let below = result.difference < 0.0;
    match (result.envelope_crossover_epoch, below, significant(result)) {
        (Some(epoch), _, _) => format!(
            "Diffusion wins by {size} nats/token (envelope, epoch {}; {errors}, from one seed).",
            numbers::short(epoch)
        ),
        (None, true, true) => format!(
            "Diffusion ends {size} nats/token below AR's best ({errors}, from one seed), \
             though no evaluation on the way was surely below it: no envelope crossover."
        ),
        (None, true, false) => format!(
            "Below AR's best, not significant: by {size} nats/token ({errors}, from one seed)."
        ),
        (None, false, _) => match result.curve_crossover_epoch {
            Some(epoch) => format!(
                "Curve crossover only: below AR from epoch {} on, but {size} nats/token above AR's best \
                 ({errors}, from one seed).",
                numbers::short(epoch)
            ),
            None => format!(
                "Not crossed: diffusion is {size} nats/token above AR's best ({errors}, from one seed)."
            ),
        },
    }
}

/// What became of the curve crossover.
pub fn curve(result: &RaceResult) -> String {
    match result.curve_crossover_epoch {
        Some(epoch) => format!(
            "epoch {}. From that evaluation on, diffusion's bound is below AR's NLL at equal tokens.",
            numbers::short(epoch)
        ),
        None => {
            "none. At the end, diffusion's bound is not below AR's NLL at equal tokens.".to_owned()
        }
    }
}

/// What became of the envelope crossover.
pub fn envelope(result: &RaceResult) -> String {
    let size = numbers::loss(result.difference.abs());
    let errors = errors(result);
    match (result.envelope_crossover_epoch, result.difference < 0.0) {
        (Some(epoch), _) => format!(
            "epoch {}. Diffusion's bound is below the best AR ever reached, as if AR had stopped in time; \
             on the test part by {size} ({errors}).",
            numbers::short(epoch)
        ),
        (None, true) if significant(result) => format!(
            "none. The best checkpoints differ on the test part ({size} in favour of diffusion, {errors}), \
             but no evaluation on the way was below AR's best by more than two standard errors."
        ),
        (None, true) => format!(
            "none. On the test part diffusion's bound is {size} below AR's best, which is within noise ({errors})."
        ),
        (None, false) => format!(
            "none. On the test part diffusion's bound is {size} above AR's best ({errors})."
        ),
    }
}

fn significant(result: &RaceResult) -> bool {
    result.difference.abs() > SIGNIFICANT * result.difference_se
}

/// How many standard errors the difference is away from zero.
fn errors(result: &RaceResult) -> String {
    if result.difference_se > 0.0 {
        format!(
            "{:.1} paired SE",
            result.difference.abs() / result.difference_se
        )
    } else {
        "paired SE unknown".to_owned()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::history::tests::race;
    use crossover::objective::Objective;

    use super::*;

    /// A race that diffusion won by 0.041 ± 0.008.
    pub fn won() -> RaceResult {
        RaceResult {
            ar_best_nats: 0.592,
            ar_best_se: 0.004,
            ar_best_step: 240,
            second: Objective::Masked,
            block_size: None,
            dual_ar: None,
            masked_best_nats: 0.551,
            masked_best_se: 0.006,
            masked_best_step: 2500,
            difference: -0.041,
            difference_se: 0.008,
            curve_crossover_epoch: Some(23.0),
            envelope_crossover_epoch: Some(61.04),
            floor_nats: Some(0.4796),
            masked_left_to_right: None,
            masked_k_order: None,
            orders: None,
            test_windows: 2_000,
            tokens: 50_000,
            characters_per_token: 1.0,
            bytes_per_token: 1.0,
            grids: None,
            peak_memory_bytes: Some(64_000_000),
            wall_seconds: 100.0,
        }
    }

    #[test]
    fn a_headline_names_its_crossover_its_certainty_and_its_seeds() {
        let mut result = won();
        assert_eq!(
            headline(&result),
            "Diffusion wins by 0.041 ± 0.008 nats/token (envelope, epoch 61; 5.1 paired SE, from one seed)."
        );
        result.envelope_crossover_epoch = None;
        assert!(headline(&result).contains("no envelope crossover"));
        assert!(envelope(&result).contains("no evaluation on the way"));
        result.difference_se = 0.03;
        assert_eq!(
            headline(&result),
            "Below AR's best, not significant: by 0.041 ± 0.030 nats/token (1.4 paired SE, from one seed)."
        );
        result.difference = 0.142;
        assert!(
            headline(&result)
                .starts_with("Curve crossover only: below AR from epoch 23 on, but 0.142 ± 0.030")
        );
        result.curve_crossover_epoch = None;
        assert_eq!(
            headline(&result),
            "Not crossed: diffusion is 0.142 ± 0.030 nats/token above AR's best (4.7 paired SE, from one seed)."
        );
    }

    #[test]
    fn the_standing_compares_bests_and_says_so_far() {
        let standing_of =
            |ar: &[f64], masked: &[f64]| standing(&race(ar, masked)).map(Standing::sentence);
        assert_eq!(standing_of(&[0.7], &[]), None);
        assert_eq!(
            standing_of(&[0.7, 0.6, 0.9], &[0.9, 0.8, 0.742]).as_deref(),
            Some("Not yet: diffusion is 0.142 above AR's best so far.")
        );
        assert_eq!(
            standing_of(&[0.6, 0.9], &[0.9, 0.59]).as_deref(),
            Some("Below AR's best so far, not yet significant (about 0.7 SE).")
        );
        assert_eq!(
            standing_of(&[0.6, 0.9], &[0.9, 0.5]).as_deref(),
            Some("Diffusion leads so far: about 0.100 ± 0.014 nats/token below AR's best.")
        );
    }

    #[test]
    fn the_curve_crossover_lasts_to_the_end() {
        let epoch = |ar: &[f64], masked: &[f64]| curve_so_far(&race(ar, masked));
        assert_eq!(
            epoch(&[0.9, 0.6, 0.7, 0.8], &[0.8, 0.7, 0.6, 0.6]),
            Some(3.0)
        );
        assert_eq!(epoch(&[0.9, 0.6], &[0.8, 0.7]), None);
        assert_eq!(epoch(&[0.9, 0.6], &[0.8]), Some(1.0));
        assert_eq!(epoch(&[], &[]), None);
    }
}
