//! Everything that decides a run, as one TOML file: a section per room.

use serde::{Deserialize, Serialize};

use crate::corpus::CorpusConfig;
use crate::error::{Error, Result, nearest};
use crate::model::{ModelConfig, Ops};
use crate::objective::{Objective, ObjectiveConfig};
use crate::train::precision::MixedPrecision;

/// A whole run. The file in a run directory has every automatic value filled in, and says where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of every random draw.
    pub seed: u64,
    /// The models to train: two make a race.
    pub objectives: Vec<Objective>,
    /// The text.
    pub corpus: CorpusConfig,
    /// The backbone.
    pub model: ModelConfig,
    /// The losses.
    pub objective: ObjectiveConfig,
    /// The optimizer and its schedule.
    pub train: TrainConfig,
    /// The measurements on the way and at the end.
    pub evaluate: EvaluateConfig,
    /// What produced this run; written by the run itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            objectives: vec![Objective::Autoregressive, Objective::Masked],
            corpus: CorpusConfig::default(),
            model: ModelConfig::default(),
            objective: ObjectiveConfig::default(),
            train: TrainConfig::default(),
            evaluate: EvaluateConfig::default(),
            provenance: None,
        }
    }
}

/// The optimizer and its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Windows in one optimizer step.
    pub batch: usize,
    /// Windows computed at once; gradients of several are added up. Automatic: the whole batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Passes over the unique data.
    pub epochs: f64,
    /// Optimizer steps; overrides `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end of the schedule, as a share of the highest.
    pub final_learning_rate_ratio: f64,
    /// How the learning rate moves after the warm-up.
    pub schedule: Schedule,
    /// Steps of linear warm-up; automatic: 1% of the steps, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Share of the steps at the end of a `wsd` schedule in which the rate falls.
    pub decay_fraction: f64,
    /// AdamW's decoupled weight decay, on matrices only.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub adam_beta1: f64,
    /// Decay of the second moment.
    pub adam_beta2: f64,
    /// Added to the root of the second moment.
    pub adam_epsilon: f64,
    /// Global norm to which gradients are cut.
    pub max_grad_norm: f64,
    /// Decay of an exponential moving average of the weights, which is then what is measured and kept; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
    /// How operations are computed.
    pub ops: Ops,
    /// What linear layers multiply: f32 or halves.
    pub precision: MixedPrecision,
    /// Keep the blocks' inputs only, and compute each block once more when its gradient is due: less memory, a third more work.
    pub recompute: bool,
    /// What several processes share of the training state: 0 nothing, 1 the optimizer's moments (ZeRO's first stage).
    pub zero_stage: u8,
    /// How many evaluations' states of each model are kept beside the last and the best one.
    pub keep_last: usize,
    /// Steps between states that are kept for good; absent: none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<u64>,
    /// Each process writes its part of a state to a file of its own, instead of the first writing one file for all.
    pub shard_checkpoints: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            batch: 40,
            micro_batch: None,
            epochs: 100.0,
            steps: None,
            learning_rate: 1e-3,
            final_learning_rate_ratio: 0.1,
            schedule: Schedule::Wsd,
            warmup_steps: None,
            decay_fraction: 0.1,
            weight_decay: 0.1,
            adam_beta1: 0.9,
            adam_beta2: 0.95,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            ema_decay: None,
            ops: Ops::Fused,
            precision: MixedPrecision::F32,
            recompute: false,
            zero_stage: 0,
            keep_last: 0,
            keep_every: None,
            shard_checkpoints: false,
        }
    }
}

impl TrainConfig {
    /// Warm-up steps of a run of `steps`: as set, or 1% of them and at most 100.
    pub fn warmup(&self, steps: u64) -> u64 {
        self.warmup_steps.unwrap_or((steps / 100).min(100))
    }
}

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Falls along a half cosine from the highest to the final rate.
    Cosine,
    /// Warm-up, stable, decay: constant until the last `decay_fraction` of the steps, then falls exponentially.
    Wsd,
    /// Stays.
    Constant,
}

/// The measurements on the way and at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Steps between evaluations; automatic: 40 evaluations in the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Validation windows measured at each evaluation, the same ones each time.
    pub windows: usize,
    /// Mask levels per window of the bound at each evaluation.
    pub levels: usize,
    /// Test windows measured at the end.
    pub test_windows: usize,
    /// Mask levels per window of the bound at the end.
    pub test_levels: usize,
    /// Random orders of the tighter bound at the end; 0 leaves it out.
    pub orders: usize,
    /// Texts written at the end by each model; for grids, the share of valid ones is counted.
    pub samples: usize,
    /// Tasks that the models are put to at each evaluation: `tales`, or files of questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub task: Vec<String>,
    /// Questions of each task, the first so many; automatic: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<usize>,
    /// Masks for each answer, where its likelihood is a bound; automatic: 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_masks: Option<usize>,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            every: None,
            windows: 174,
            levels: 8,
            test_windows: 2_000,
            test_levels: 16,
            orders: 4,
            samples: 200,
            task: Vec::new(),
            questions: None,
            answer_masks: None,
        }
    }
}

/// What produced a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Version of crossover.
    pub version: String,
    /// Commit it was built from, where known.
    pub commit: String,
    /// SHA-256 of the lock file it was built with.
    pub lock_hash: String,
    /// The `--device` that gets the same again.
    pub backend: String,
    /// What it ran on, and why.
    pub device: String,
    /// The processor's name.
    pub processor: String,
    /// Threads used.
    pub threads: usize,
    /// When it started, seconds since 1970, UTC.
    pub started_unix: u64,
}

impl RunConfig {
    /// Reads a configuration file; missing keys take their defaults.
    ///
    /// # Errors
    /// Shows the line when the file is no TOML or has a wrong value, and names the nearest known key for an unknown one.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let failure = Error::input(format!(
                "`{origin}` is no valid configuration\n{}",
                error.to_string().trim_end()
            ));
            match unknown_key(error.message()) {
                Some((typed, known)) => match nearest(typed, known) {
                    Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
                    None => failure.with_hint("see `docs/formats.md` for every key"),
                },
                None => failure.with_hint("see `docs/formats.md` for every key and what it may be"),
            }
        })
    }

    /// Reads a configuration that is a table already, such as one that was put together of several files.
    ///
    /// # Errors
    /// When a key is unknown (the hint is the nearest of all keys) or a value is none that the key may have.
    pub fn from_table(table: toml::Table) -> Result<Self> {
        Self::deserialize(table).map_err(|error| {
            let failure = Error::input(error.message());
            match unknown_key(error.message()) {
                Some((typed, _)) => match nearest_key(typed) {
                    Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
                    None => failure.with_hint("see `docs/formats.md` for every key"),
                },
                None => failure.with_hint("see `docs/formats.md` for what each key may be"),
            }
        })
    }

    /// Every key there is, sections before a dot: `seed`, `corpus.unique`.
    pub fn keys() -> Vec<String> {
        // serde lists the keys of a section when it is given one that isn't among them; what takes any key is no setting.
        let known = |section: Option<&str>| -> Option<Vec<String>> {
            let stranger = toml::Table::from_iter([("?".to_owned(), toml::Value::from(0))]);
            let table = match section {
                None => stranger,
                Some(name) => toml::Table::from_iter([(name.to_owned(), stranger.into())]),
            };
            let error = Self::deserialize(table).err()?;
            let listed = unknown_key(error.message()).map(|(_, known)| known);
            let listed = listed.unwrap_or_default().into_iter();
            Some(listed.map(str::to_owned).collect())
        };
        let mut keys = Vec::new();
        for key in known(None).unwrap_or_default() {
            match known(Some(&key)) {
                None => {}
                Some(inside) if inside.is_empty() => keys.push(key),
                Some(inside) => keys.extend(inside.iter().map(|inner| format!("{key}.{inner}"))),
            }
        }
        keys
    }

    /// Refuses values that no run can have.
    ///
    /// # Errors
    /// Names the key, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        let (train, evaluate, objective) = (&self.train, &self.evaluate, &self.objective);
        match self.objectives.as_slice() {
            [_] => {}
            [Objective::Autoregressive, second] if *second != Objective::Autoregressive => {}
            _ => {
                return Err(Error::input("`objectives` names no run that there is").with_hint(
                    "`[\"ar\", \"masked\"]` is a race (`block` and `dual` race too), a single one is plain training",
                ));
            }
        }
        for objective in &self.objectives {
            objective.check_routing(&self.model)?;
        }
        MixedPrecision::check(self)?;
        let counts = [
            ("train.batch", Some(train.batch as u64)),
            (
                "train.micro_batch",
                train.micro_batch.map(|count| count as u64),
            ),
            ("train.steps", train.steps),
            ("train.keep_every", train.keep_every),
            ("evaluate.every", evaluate.every),
            ("evaluate.levels", Some(evaluate.levels as u64)),
            ("evaluate.test_levels", Some(evaluate.test_levels as u64)),
            (
                "evaluate.questions",
                evaluate.questions.map(|count| count as u64),
            ),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, value)| *value == Some(0)) {
            return Err(Error::input(format!("`{name}` is 0")).with_hint("give at least 1"));
        }
        for (name, value) in [
            ("evaluate.windows", evaluate.windows),
            ("evaluate.test_windows", evaluate.test_windows),
        ] {
            if value < 2 {
                return Err(Error::input(format!("`{name}` is {value}"))
                    .with_hint("a standard error needs at least 2 windows"));
            }
        }
        if let Some(masks) = evaluate.answer_masks.filter(|masks| *masks < 2) {
            return Err(Error::input(format!("`evaluate.answer_masks` is {masks}"))
                .with_hint("a standard error needs at least 2 masks"));
        }
        if train.zero_stage > 1 {
            return Err(
                Error::input(format!("`train.zero_stage` is {}", train.zero_stage))
                    .with_hint("0 keeps all moments in each process, 1 shares them out"),
            );
        }
        let within = |name: &str, value: f64, lowest: f64, highest: f64| {
            if value.is_finite() && (lowest..=highest).contains(&value) {
                Ok(())
            } else {
                Err(Error::input(format!("`{name}` is {value}"))
                    .with_hint(format!("give a number from {lowest} to {highest}")))
            }
        };
        let positive = |name: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(Error::input(format!("`{name}` is {value}")).with_hint("give a number above 0"))
            }
        };
        positive("train.learning_rate", train.learning_rate)?;
        positive("train.max_grad_norm", train.max_grad_norm)?;
        positive("train.adam_epsilon", train.adam_epsilon)?;
        positive("train.epochs", train.epochs)?;
        positive(
            "train.final_learning_rate_ratio",
            train.final_learning_rate_ratio,
        )?;
        within(
            "train.final_learning_rate_ratio",
            train.final_learning_rate_ratio,
            0.0,
            1.0,
        )?;
        within("train.decay_fraction", train.decay_fraction, 0.0, 1.0)?;
        within("train.weight_decay", train.weight_decay, 0.0, 100.0)?;
        within("train.adam_beta1", train.adam_beta1, 0.0, 0.999_999)?;
        within("train.adam_beta2", train.adam_beta2, 0.0, 0.999_999)?;
        within("corpus.noise", self.corpus.noise, 0.0, 1.0)?;
        within("objective.input_mask", objective.input_mask, 0.0, 1.0)?;
        within("objective.random_length", objective.random_length, 0.0, 1.0)?;
        within("objective.dual_fraction", objective.dual_fraction, 0.0, 1.0)?;
        match train.ema_decay {
            Some(decay) => within("train.ema_decay", decay, 0.0, 0.999_999),
            None => Ok(()),
        }
    }

    /// The file that [`RunConfig::from_toml`] reads.
    ///
    /// # Errors
    /// Never for a configuration that came from a file or from flags.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::work("can't write the configuration").with_source(error))
    }
}

/// The key that was probably meant: the one of this name in any section, or the nearest of all.
pub fn nearest_key(typed: &str) -> Option<String> {
    let keys = RunConfig::keys();
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let names: Vec<String> = keys.iter().map(|key| last(key)).collect();
    let meant = nearest(&last(typed), names.iter().map(String::as_str));
    let by_name = meant.and_then(|meant| keys.iter().find(|key| last(key) == meant));
    let by_whole = || nearest(typed, keys.iter().map(String::as_str));
    by_name.cloned().or_else(|| by_whole().map(str::to_owned))
}

/// Picks the names out of serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_the_file_has() {
        let keys = RunConfig::keys();
        for key in [
            "seed",
            "objectives",
            "corpus.unique",
            "model.dropout",
            "train.steps",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key}: {keys:?}");
        }
        assert!(keys.iter().all(|key| !key.contains('?')));
        let written: toml::Table = RunConfig::default()
            .to_toml()
            .and_then(|text| text.parse().map_err(|_| Error::work("is TOML")))
            .expect("a file");
        for (section, value) in written {
            for key in value.as_table().into_iter().flat_map(|table| table.keys()) {
                assert!(
                    keys.contains(&format!("{section}.{key}")),
                    "{section}.{key}"
                );
            }
        }
    }

    #[test]
    fn a_misspelled_key_is_corrected_with_its_section() {
        for (typed, meant) in [
            ("corpus.uniqe", "corpus.unique"),
            ("unique", "corpus.unique"),
            ("modle.dropout", "model.dropout"),
            ("train.dropout", "model.dropout"),
        ] {
            assert_eq!(nearest_key(typed).as_deref(), Some(meant), "{typed}");
        }
        let table = "[train]\nbatsh = 4".parse().expect("TOML");
        let error = RunConfig::from_table(table).expect_err("no such key");
        assert_eq!(error.hint(), Some("did you mean `train.batch`?"));
    }
}
