//! What a race has shown, in honest sentences: which of the crossovers, how sure, and from how many seeds.

use crossover::lab::{DualAr, Outcome, RaceResult};
use crossover::objective::Objective;

use crate::history::History;
use crate::numbers;
use crate::theme::{self, Racer, racer};
use crate::together::{Duals, Races, Spread, Trainings};

/// A difference counts from this many standard errors on.
const SIGNIFICANT: f64 = 2.0;

/// Why no single race speaks of the third crossover.
pub const REGULARISED: &str = "not measured. A race tries one regularisation only; whether AR stays ahead with the \
    best dropout, weight decay and input masking takes many races.";

/// Where a race stands while it runs: the best bound so far against the best AR loss so far, on validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// AR's opponent.
    pub second: Objective,
    /// Its bound minus AR's NLL, nats per token: negative when it is ahead.
    pub difference: f64,
    /// Its standard error as if the two were independent; the paired one is known only at the end, and is smaller.
    pub se: Option<f64>,
}

/// Where a race stands; `None` until both models were evaluated.
pub fn standing(history: &History) -> Option<Standing> {
    let (ar, rival) = history.race()?;
    let second = rival.objective;
    let (ar, rival) = (ar.best()?, rival.best()?);
    Some(Standing {
        second,
        difference: rival.nats - ar.nats,
        se: ar.se.zip(rival.se).map(|(left, right)| left.hypot(right)),
    })
}

impl Standing {
    /// The standing as a sentence, with "so far" in it.
    pub fn sentence(self) -> String {
        let Racer {
            subject, spoken, ..
        } = racer(self.second);
        let size = numbers::loss(self.difference.abs());
        if self.difference >= 0.0 {
            return format!("Not yet: {spoken} is {size} above AR's best so far.");
        }
        match self.se.filter(|se| *se > 0.0) {
            None => format!("{subject} is {size} below AR's best so far."),
            Some(se) if -self.difference > SIGNIFICANT * se => format!(
                "{subject} leads so far: about {} nats/token below AR's best.",
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
    let Racer {
        subject, spoken, ..
    } = racer(result.second);
    let size = numbers::measured(result.difference.abs(), Some(result.difference_se));
    let errors = errors(result);
    let below = result.difference < 0.0;
    match (result.envelope_crossover_epoch, below, significant(result)) {
        (Some(epoch), _, _) => format!(
            "{subject} wins by {size} nats/token (envelope, epoch {}; {errors}, from one seed).",
            numbers::short(epoch)
        ),
        (None, true, true) => format!(
            "{subject} ends {size} nats/token below AR's best ({errors}, from one seed), \
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
                "Not crossed: {spoken} is {size} nats/token above AR's best ({errors}, from one seed)."
            ),
        },
    }
}

/// What several seeds showed, in one sentence.
///
/// It wins where every seed's envelope crossed: each by more than two of its own paired standard errors.
pub fn seeds_headline(races: &Races) -> String {
    if let [only] = &races.runs[..] {
        return headline(&only.result);
    }
    let Racer {
        subject, spoken, ..
    } = racer(races.second());
    let difference = races.difference;
    let size = numbers::measured(difference.mean.abs(), difference.se);
    let sources = sources(races);
    let of = races.runs.len();
    let (crossed, below) = (races.envelope.count, difference.mean < 0.0);
    match (races.envelope.epoch, below) {
        (Some(epoch), true) => format!(
            "{subject} wins by {size} nats/token (envelope, in each of {of} seeds, at epoch {} on average; {sources}).",
            numbers::short(epoch.mean)
        ),
        (_, true) => format!(
            "On average {spoken} ends {size} nats/token below AR's best, with an envelope crossover in {crossed} of \
             {of} seeds ({sources})."
        ),
        (_, false) if races.curve.count > 0 => format!(
            "On average {spoken} ends {size} nats/token above AR's best: an envelope crossover in {crossed}, a curve \
             crossover in {} of {of} seeds ({sources}).",
            races.curve.count
        ),
        (_, false) => format!(
            "Not crossed in {of} seeds: {spoken} is {size} nats/token above AR's best on average ({sources})."
        ),
    }
}

/// Both reasons for which a mean difference may be off, side by side.
fn sources(races: &Races) -> String {
    format!(
        "± is over seeds, their spread {}, paired SE within one {}",
        numbers::error(races.difference.deviation.unwrap_or(0.0)),
        numbers::error(races.paired_se)
    )
}

/// What became of the curve crossover over seeds.
pub fn seeds_curve(races: &Races) -> String {
    if let [only] = &races.runs[..] {
        return curve(&only.result);
    }
    let look = racer(races.second());
    let spoken = look.spoken;
    let of = races.runs.len();
    match races.curve.epoch {
        Some(epoch) => format!(
            "in each of {of} seeds, at epoch {} on average. From that evaluation on, {spoken}'s bound is below AR's NLL \
             at equal tokens.",
            epochs(epoch)
        ),
        None => format!(
            "in {} bound is not below AR's NLL at the end.",
            some(races.curve.count, of, look)
        ),
    }
}

/// What became of the envelope crossover over seeds.
pub fn seeds_envelope(races: &Races) -> String {
    if let [only] = &races.runs[..] {
        return envelope(&only.result);
    }
    let look = racer(races.second());
    let subject = look.subject;
    let of = races.runs.len();
    match races.envelope.epoch {
        Some(epoch) => format!(
            "in each of {of} seeds, at epoch {} on average. {subject}'s bound is below the best AR ever reached, as if AR \
             had stopped in time, each time by more than two paired SE on the test part.",
            epochs(epoch)
        ),
        None => format!(
            "in {} bound is not below AR's best by more than two paired SE.",
            some(races.envelope.count, of, look)
        ),
    }
}

/// How many seeds crossed, and whose bound did what in the others.
fn some(count: usize, of: usize, look: &Racer) -> String {
    let (subject, spoken) = (look.subject, look.spoken);
    match count {
        0 => format!("none of {of} seeds. {subject}'s"),
        _ => format!(
            "{count} of {of} seeds. In the other {}, {spoken}'s",
            of - count
        ),
    }
}

fn epochs(epoch: Spread) -> String {
    match epoch.se {
        Some(se) => format!("{} ± {}", numbers::short(epoch.mean), numbers::short(se)),
        None => numbers::short(epoch.mean),
    }
}

/// What several seeds of one model came to.
pub fn trainings_headline(trainings: &Trainings) -> String {
    let (name, kind) = trainings.runs.first().map_or(("", ""), |run| {
        (
            racer(run.result.objective).name,
            theme::kind(run.result.bound),
        )
    });
    let nats = trainings.nats;
    let spread = match nats.deviation {
        Some(deviation) => format!(
            "± is over {} seeds, their spread {}, SE over windows",
            trainings.runs.len(),
            numbers::error(deviation)
        ),
        None => "from one seed; SE over windows".to_owned(),
    };
    format!(
        "{name}: {} nats/token on the test part ({kind}; {spread} {}).",
        numbers::measured(nats.mean, nats.se),
        numbers::error(trainings.window_se)
    )
}

/// What became of the curve crossover.
pub fn curve(result: &RaceResult) -> String {
    let spoken = racer(result.second).spoken;
    match result.curve_crossover_epoch {
        Some(epoch) => format!(
            "epoch {}. From that evaluation on, {spoken}'s bound is below AR's NLL at equal tokens.",
            numbers::short(epoch)
        ),
        None => {
            format!("none. At the end, {spoken}'s bound is not below AR's NLL at equal tokens.")
        }
    }
}

/// What became of the envelope crossover.
pub fn envelope(result: &RaceResult) -> String {
    let Racer {
        subject, spoken, ..
    } = racer(result.second);
    let size = numbers::loss(result.difference.abs());
    let errors = errors(result);
    match (result.envelope_crossover_epoch, result.difference < 0.0) {
        (Some(epoch), _) => format!(
            "epoch {}. {subject}'s bound is below the best AR ever reached, as if AR had stopped in time; \
             on the test part by {size} ({errors}).",
            numbers::short(epoch)
        ),
        (None, true) if significant(result) => format!(
            "none. The best checkpoints differ on the test part ({size} in favour of {spoken}, {errors}), \
             but no evaluation on the way was below AR's best by more than two standard errors."
        ),
        (None, true) => format!(
            "none. On the test part {spoken}'s bound is {size} below AR's best, which is within noise ({errors})."
        ),
        (None, false) => {
            format!("none. On the test part {spoken}'s bound is {size} above AR's best ({errors}).")
        }
    }
}

/// What became of a dual model's other likelihood, read left to right.
pub fn dual(dual: &DualAr) -> String {
    let size = numbers::measured(dual.difference.abs(), Some(dual.difference_se));
    let place = if dual.difference < 0.0 {
        "below"
    } else {
        "above"
    };
    let crossed = match dual.envelope_crossover_epoch {
        Some(epoch) => format!("an envelope crossover at epoch {}", numbers::short(epoch)),
        None => "no envelope crossover".to_owned(),
    };
    format!("its exact NLL is {size} nats/token {place} AR's best on the test part: {crossed}.")
}

/// The same over seeds.
pub fn seeds_dual(duals: &Duals) -> String {
    let difference = duals.difference;
    let size = numbers::measured(difference.mean.abs(), difference.se);
    let place = if difference.mean < 0.0 {
        "below"
    } else {
        "above"
    };
    let of = duals.envelope.of;
    format!(
        "its exact NLL is on average {size} nats/token {place} AR's best on the test part, with an envelope crossover in \
         {} of {of} seeds.",
        duals.envelope.count
    )
}

/// Whether a difference is below zero by more than two of its standard errors.
pub fn is_clear(difference: f64, se: Option<f64>) -> bool {
    se.is_some_and(|se| difference < -SIGNIFICANT * se)
}

/// How long a run took, in seconds.
pub fn wall_seconds(outcome: &Outcome) -> f64 {
    match outcome {
        Outcome::Race(result) => result.wall_seconds,
        Outcome::Train(result) => result.wall_seconds,
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
mod tests {
    use super::*;
    use crate::fixtures::{race, won};

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
    fn every_opponent_is_called_by_its_name() {
        let mut result = won();
        result.second = Objective::Block;
        assert!(headline(&result).starts_with("Block diffusion wins by 0.041"));
        assert!(curve(&result).contains("on, block diffusion's bound is below"));
        result.second = Objective::Dual;
        result.envelope_crossover_epoch = None;
        result.curve_crossover_epoch = None;
        result.difference = 0.1;
        assert!(headline(&result).starts_with("Not crossed: the dual model is 0.100"));
        assert!(envelope(&result).contains("the dual model's bound is 0.100 above"));
        let also = DualAr {
            nats: 0.55,
            se: 0.01,
            difference: -0.042,
            difference_se: 0.006,
            envelope_crossover_epoch: Some(34.0),
        };
        assert_eq!(
            dual(&also),
            "its exact NLL is 0.042 ± 0.006 nats/token below AR's best on the test part: an envelope crossover at epoch \
             34."
        );
    }

    #[test]
    fn a_headline_over_seeds_wins_only_where_every_seed_crossed() {
        use crate::fixtures::races;
        assert_eq!(
            seeds_headline(&races(&[-0.041, -0.05, -0.03])),
            "Diffusion wins by 0.040 ± 0.006 nats/token (envelope, in each of 3 seeds, at epoch 61 on average; ± is \
             over seeds, their spread 0.010, paired SE within one 0.008)."
        );
        let some = races(&[-0.041, -0.05, 0.01]);
        assert_eq!(
            seeds_headline(&some),
            "On average diffusion ends 0.027 ± 0.019 nats/token below AR's best, with an envelope crossover in 2 of 3 \
             seeds (± is over seeds, their spread 0.032, paired SE within one 0.008)."
        );
        assert!(
            seeds_envelope(&some).starts_with("in 2 of 3 seeds. In the other 1, diffusion's bound")
        );
        let none = races(&[0.041, 0.05]);
        assert!(
            seeds_headline(&none)
                .contains("an envelope crossover in 0, a curve crossover in 2 of 2 seeds")
        );
        assert!(
            seeds_envelope(&none).starts_with("in none of 2 seeds. Diffusion's bound is not below")
        );
        // Of a single finished seed there is no spread to speak of.
        let one = races(&[-0.041]);
        assert_eq!(seeds_headline(&one), headline(&one.runs[0].result));
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
