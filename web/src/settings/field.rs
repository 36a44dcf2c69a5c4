//! One number of a run: its name, its range, where it lives.

use crossover::objective::Objective;

use super::{Draft, Source};

/// A number that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Unique training tokens.
    Unique,
    /// Passes over them.
    Epochs,
    /// Tokens held out for validation, and as many for the test.
    HeldOut,
    /// Width of the model.
    Width,
    /// Blocks of the model.
    Layers,
    /// Heads of a block.
    Heads,
    /// Tokens in a window.
    Context,
    /// Windows in a step.
    Batch,
    /// Highest learning rate.
    LearningRate,
    /// Decoupled weight decay.
    WeightDecay,
    /// Dropout in training.
    Dropout,
    /// Share of AR's inputs that are masked in training.
    InputMask,
    /// Tokens in a block of block diffusion.
    BlockSize,
    /// Seed of every random draw.
    Seed,
}

/// How a field is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    /// Its name.
    pub label: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// The least it can be.
    pub least: f64,
    /// The most it can be.
    pub most: f64,
    /// Whether equal distances on the slider are equal factors.
    pub log: bool,
    /// Whether it is a whole number.
    pub whole: bool,
    /// What it means, in a sentence.
    pub explain: &'static str,
}

impl Field {
    /// Every field, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::Unique,
        Self::Epochs,
        Self::HeldOut,
        Self::Width,
        Self::Layers,
        Self::Heads,
        Self::Context,
        Self::Batch,
        Self::LearningRate,
        Self::WeightDecay,
        Self::Dropout,
        Self::InputMask,
        Self::BlockSize,
        Self::Seed,
    ];

    /// The few that most races turn on.
    pub const MAIN: [Self; 5] = [
        Self::Unique,
        Self::Epochs,
        Self::Width,
        Self::Layers,
        Self::Dropout,
    ];

    /// The others, behind a fold.
    pub const ADVANCED: [Self; 8] = [
        Self::HeldOut,
        Self::Heads,
        Self::Context,
        Self::Batch,
        Self::LearningRate,
        Self::WeightDecay,
        Self::InputMask,
        Self::Seed,
    ];

    /// How it is shown.
    pub fn spec(self, draft: &Draft) -> Spec {
        let of = |label, unit, least, most, explain| Spec {
            label,
            unit,
            least,
            most,
            log: false,
            whole: true,
            explain,
        };
        match self {
            Self::Unique => Spec {
                log: true,
                ..of(
                    "Unique data",
                    "tokens",
                    2_000.0,
                    2_000_000.0,
                    "Training text before it repeats. The less there is, the sooner AR overfits and diffusion overtakes.",
                )
            },
            Self::Epochs => Spec {
                log: true,
                ..of(
                    "Epochs",
                    "",
                    1.0,
                    1_000.0,
                    "Passes over the unique data. Diffusion keeps learning from repeats long after AR stops.",
                )
            },
            Self::HeldOut => Spec {
                log: true,
                ..of(
                    "Held-out",
                    "tokens",
                    2_000.0,
                    200_000.0,
                    "Text that nothing trains on: it draws the curves, and as much again decides at the end.",
                )
            },
            Self::Width => of(
                "Width",
                "",
                32.0,
                384.0,
                "Size of the vector that stands for each token. Both models have the same.",
            ),
            Self::Layers => of(
                "Layers",
                "",
                1.0,
                8.0,
                "Blocks of attention and feed-forward, one on another.",
            ),
            Self::Heads => of(
                "Heads",
                "",
                1.0,
                draft.edited.model.hidden_size as f64 / 2.0,
                "Ways each block looks at the other tokens. They share the width evenly.",
            ),
            Self::Context => of(
                "Context",
                "tokens",
                16.0,
                256.0,
                "Tokens in a window: what a model sees at once.",
            ),
            Self::Batch => of(
                "Batch",
                "sequences",
                4.0,
                128.0,
                "Windows in one step of the optimizer.",
            ),
            Self::LearningRate => Spec {
                log: true,
                whole: false,
                ..of(
                    "Learning rate",
                    "",
                    1e-5,
                    1e-2,
                    "How far each step goes, at its largest.",
                )
            },
            Self::WeightDecay => Spec {
                whole: false,
                ..of(
                    "Weight decay",
                    "",
                    0.0,
                    1.0,
                    "Pulls weights towards zero at each step, which slows overfitting.",
                )
            },
            Self::Dropout => Spec {
                whole: false,
                ..of(
                    "Dropout",
                    "",
                    0.0,
                    0.5,
                    "Share of signals left out at random in training. AR's best defence against repeats.",
                )
            },
            Self::InputMask => Spec {
                whole: false,
                ..of(
                    "AR input mask",
                    "",
                    0.0,
                    0.9,
                    "Share of AR's inputs hidden in training: gives AR some of diffusion's noise.",
                )
            },
            Self::BlockSize => of(
                "Block size",
                "tokens",
                1.0,
                draft.context() as f64,
                "Tokens written together, block after block. One is AR; the whole context is masked diffusion.",
            ),
            Self::Seed => of(
                "Seed",
                "",
                0.0,
                f64::from(u32::MAX),
                "The same seed gives the same run, here and on the command line.",
            ),
        }
    }

    /// Its value, automatic ones as they will be.
    pub fn get(self, draft: &Draft) -> f64 {
        let config = &draft.edited;
        let (corpus, model, train) = (&config.corpus, &config.model, &config.train);
        let amount = |asked: Option<u64>, automatic: u64| asked.unwrap_or(automatic) as f64;
        match self {
            Self::Unique => amount(corpus.unique, draft.automatic().0),
            Self::Epochs => train.epochs,
            Self::HeldOut => amount(corpus.held_out, draft.automatic().1),
            Self::Width => model.hidden_size as f64,
            Self::Layers => model.num_hidden_layers as f64,
            Self::Heads => model.num_attention_heads as f64,
            Self::Context => draft.context() as f64,
            Self::Batch => train.batch as f64,
            Self::LearningRate => train.learning_rate,
            Self::WeightDecay => train.weight_decay,
            Self::Dropout => model.dropout,
            Self::InputMask => config.objective.input_mask,
            Self::BlockSize => match draft.second() {
                Objective::Block => {
                    config.objective.block_size(draft.context()).unwrap_or(1) as f64
                }
                _ => 0.0,
            },
            Self::Seed => config.seed as f64,
        }
    }

    /// Sets it, to the nearest value it can have.
    pub fn set(self, draft: &mut Draft, value: f64) {
        let spec = self.spec(draft);
        let value = value.clamp(spec.least, spec.most);
        let value = if spec.whole { value.round() } else { value };
        let count = value as usize;
        let context = draft.context();
        let config = &mut draft.edited;
        match self {
            Self::Unique => config.corpus.unique = Some(value as u64),
            Self::Epochs => config.train.epochs = value,
            Self::HeldOut => config.corpus.held_out = Some(value as u64),
            Self::Width => {
                // Even heads of an even width: the nearest multiple of eight, and heads that divide it.
                config.model.hidden_size = (count.div_ceil(4) / 2).max(4) * 8;
                config.model.num_attention_heads = nearest(
                    &heads(config.model.hidden_size),
                    config.model.num_attention_heads,
                );
            }
            Self::Layers => config.model.num_hidden_layers = count,
            Self::Heads => {
                config.model.num_attention_heads = nearest(&heads(config.model.hidden_size), count);
            }
            Self::Context => config.corpus.length = Some(count),
            Self::Batch => config.train.batch = count,
            Self::LearningRate => config.train.learning_rate = value,
            Self::WeightDecay => config.train.weight_decay = value,
            Self::Dropout => config.model.dropout = value,
            Self::InputMask => config.objective.input_mask = value,
            Self::BlockSize => {
                let divisors: Vec<usize> = (1..=context)
                    .filter(|size| context.is_multiple_of(*size))
                    .collect();
                config.objective.block_size = Some(nearest(&divisors, count));
            }
            Self::Seed => config.seed = value as u64,
        }
    }

    /// Takes its value from other settings.
    pub fn reset(self, draft: &mut Draft) {
        let pristine = draft.pristine();
        match self {
            Self::Unique => draft.edited.corpus.unique = pristine.edited.corpus.unique,
            Self::HeldOut => draft.edited.corpus.held_out = pristine.edited.corpus.held_out,
            Self::Context => draft.edited.corpus.length = pristine.edited.corpus.length,
            Self::BlockSize => draft.edited.objective.block_size = None,
            _ => self.set(draft, self.get(&pristine)),
        }
    }

    /// Whether it differs from where the edits began.
    pub fn is_changed(self, draft: &Draft) -> bool {
        let mut pristine = draft.pristine();
        if self == Self::BlockSize {
            return draft.edited.objective.block_size.is_some();
        }
        pristine.own.clone_from(&draft.own);
        self.get(draft) != self.get(&pristine)
    }

    /// Whether it means anything for this draft.
    pub fn applies(self, draft: &Draft) -> bool {
        match self {
            // A grid's window is the grid.
            Self::Context => draft.source != Source::Grids,
            Self::BlockSize => draft.second() == Objective::Block,
            _ => true,
        }
    }

    /// A value, in words.
    pub fn say(self, value: f64) -> String {
        match self {
            Self::Unique | Self::HeldOut => crate::numbers::count(value),
            Self::LearningRate => match value < 0.001 {
                true => format!("{value:.1e}"),
                false => trimmed(value, 4),
            },
            Self::WeightDecay | Self::Dropout | Self::InputMask => trimmed(value, 2),
            _ => format!("{value:.0}"),
        }
    }
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// Numbers of heads that share a width into even parts.
pub fn heads(width: usize) -> Vec<usize> {
    (1..=width / 2)
        .filter(|count| width.is_multiple_of(*count) && (width / count).is_multiple_of(2))
        .collect()
}

fn nearest(choices: &[usize], wanted: usize) -> usize {
    let found = choices.iter().min_by_key(|choice| choice.abs_diff(wanted));
    found.copied().unwrap_or(wanted)
}

impl Draft {
    /// Tokens in a window.
    pub fn context(&self) -> usize {
        match self.source {
            Source::Grids => 25,
            _ => self.edited.corpus.length.unwrap_or(64),
        }
    }

    /// Unique and held-out tokens where nothing else is asked for; an own text's are known once it was looked at.
    fn automatic(&self) -> (u64, u64) {
        match self.source {
            Source::Grids => (25_000, 25_000),
            Source::Tales => (50_000, 50_000),
            Source::Markov => (20_000, 20_000),
            Source::Own => {
                let bytes = self.own.as_ref().map_or(0, |own| own.bytes as u64);
                (20_000, (bytes / 10).clamp(2_000, 50_000))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;

    #[test]
    fn what_is_set_is_read_and_a_reset_takes_it_back() {
        for preset in Preset::ALL {
            let draft = Draft::of(preset);
            for field in Field::ALL {
                assert!(!field.is_changed(&draft), "{preset:?} {field:?}");
                if !field.applies(&draft) {
                    continue;
                }
                let mut edited = draft.clone();
                let spec = field.spec(&edited);
                field.set(&mut edited, spec.most);
                let read = field.get(&edited);
                assert!((spec.least..=spec.most).contains(&read), "{field:?} {read}");
                assert!(field.is_changed(&edited), "{preset:?} {field:?}");
                field.reset(&mut edited);
                assert!(!field.is_changed(&edited), "{preset:?} {field:?}");
            }
        }
    }

    #[test]
    fn heads_always_share_the_width() {
        let mut draft = Draft::of(Preset::Quick);
        for width in 32..=384 {
            Field::Width.set(&mut draft, f64::from(width));
            let model = &draft.edited.model;
            assert!(model.resolve(6).is_ok(), "{width}");
            assert!(model.hidden_size.abs_diff(width as usize) <= 4, "{width}");
        }
    }

    #[test]
    fn blocks_fill_the_context() {
        let mut draft = Draft::of(Preset::Quick);
        draft.race_against(Objective::Block);
        assert_eq!(Field::BlockSize.get(&draft), 5.0);
        Field::BlockSize.set(&mut draft, 24.0);
        assert_eq!(Field::BlockSize.get(&draft), 25.0);
        Field::BlockSize.set(&mut draft, 1.0);
        assert_eq!(Field::BlockSize.get(&draft), 1.0);
    }
}
