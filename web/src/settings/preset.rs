//! Where edits begin.

use crossover::train::RunConfig;

use super::Source;

/// A run that is ready to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The command line's default race.
    Quick,
    /// A chain whose floor is known, small enough for any processor.
    Markov,
    /// Half an hour on a GPU in the browser.
    HalfHour,
    /// Whatever was edited.
    Custom,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [Self::Quick, Self::Markov, Self::HalfHour, Self::Custom];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "Quick race",
            Self::Markov => "Markov floor",
            Self::HalfHour => "30-minute race",
            Self::Custom => "Custom",
        }
    }

    /// What to expect of it. Only what three seeds showed is promised.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Quick => {
                "1,000 Latin squares, 100 passes. Diffusion overtook AR in three seeds of three."
            }
            Self::Markov => "A source whose lowest possible loss is known. May not cross.",
            Self::HalfHour => "Half a million characters of tales, 200 passes. May not cross.",
            Self::Custom => "Your own settings. May not cross.",
        }
    }

    /// Its source and settings.
    pub(super) fn begin(self) -> (Source, RunConfig) {
        let mut config = RunConfig::default();
        match self {
            Self::Quick | Self::Custom => (Source::Grids, config),
            Self::Markov => {
                config.corpus.unique = Some(20_000);
                config.corpus.length = Some(32);
                config.model.num_hidden_layers = 2;
                config.model.hidden_size = 32;
                config.train.batch = 32;
                config.train.epochs = 10.0;
                // For a browser without a GPU: with the usual windows, measuring would take longer than training.
                config.evaluate.windows = 96;
                config.evaluate.levels = 4;
                (Source::Markov, config)
            }
            // The pilot of `science.md`, section 5, for a browser with 1 TFLOP/s.
            Self::HalfHour => {
                config.corpus.unique = Some(500_000);
                config.corpus.held_out = Some(50_000);
                config.corpus.length = Some(128);
                config.model.num_hidden_layers = 6;
                config.model.hidden_size = 192;
                config.model.num_attention_heads = 6;
                config.train.batch = 64;
                config.train.learning_rate = 6e-4;
                config.train.epochs = 200.0;
                (Source::Tales, config)
            }
        }
    }
}
