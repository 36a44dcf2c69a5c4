//! From what a person asks of a model to a way of writing: the same for flags and for the app.

use crate::corpus::Tokenizer;
use crate::error::{Error, Result};
use crate::lab::load::Loaded;
use crate::lab::protocol::Writing;
use crate::laws::flops::ReadCost;
use crate::model::Visibility;
use crate::objective::{Factorization, Objective};
use crate::sample::{Caching, Cell, Decoding, Denoising, Sampler, Trace, Way};

impl Writing {
    /// How a model is asked to write: by its own likelihood, or the one of a dual model's two that was asked for.
    ///
    /// # Errors
    /// When the model has no choice.
    pub fn factorization(&self, loaded: &Loaded) -> Result<Factorization> {
        let checkpoint = &loaded.checkpoint;
        if self.likelihood.is_some() && checkpoint.objective != Objective::Dual {
            return Err(Error::input(
                "`--likelihood` is for dual models: the others write in one way only",
            )
            .with_hint("leave it out"));
        }
        let own = checkpoint.objective.headline();
        Ok(checkpoint.factorization(self.likelihood.unwrap_or(own)))
    }

    /// What it means for this model and these cells: `[length]`.
    ///
    /// # Errors
    /// When something is for another kind of model, or can't be carried out.
    pub fn way(&self, loaded: &Loaded, cells: Vec<Cell>) -> Result<Way> {
        let checkpoint = &loaded.checkpoint;
        let tokenizer = &checkpoint.tokenizer;
        let stop = self.stop_token(tokenizer)?;
        let cost = ReadCost::of(loaded.model.shape());
        let cache = |visibility| self.cache.unwrap_or(Caching::suiting(visibility));
        let way = match self.factorization(loaded)? {
            Factorization::LeftToRight => Way::LeftToRight(Decoding {
                choice: self.choice,
                stop,
                top: self.top,
                cache: cache(Visibility::Causal),
                cost,
                ..Decoding::new(beginning(&cells)?, cells.len(), self.seed)
            }),
            Factorization::Blocks { size } => {
                let visibility = Visibility::of_blocks(size, checkpoint.length);
                let of_its_own = Denoising::new(cells, visibility, self.seed);
                let name = self.sampler.as_deref();
                let sampler =
                    Sampler::new(name.unwrap_or(Sampler::Ancestral.name()), &self.parameters)?;
                Way::Denoising(Denoising {
                    sampler,
                    steps: self.steps(sampler, of_its_own.steps)?,
                    schedule: self.schedule.unwrap_or_default(),
                    block_size: self.block_size(visibility, of_its_own.block_size)?,
                    choice: self.choice,
                    guidance: self.guidance.unwrap_or(0.0),
                    stop,
                    top: self.top,
                    cache: cache(visibility),
                    cost,
                    ..of_its_own
                })
            }
        };
        way.check(tokenizer.mask_id())?;
        Ok(way)
    }

    fn stop_token(&self, tokenizer: &Tokenizer) -> Result<Option<u32>> {
        let end_of_text = tokenizer.end_of_text();
        if self.stop && end_of_text.is_none() {
            return Err(Error::input(
                "`--stop` ends a text at its end-of-text token, and this model knows none",
            )
            .with_hint("leave it out: the model was trained on a text without documents"));
        }
        Ok(end_of_text.filter(|_| self.stop))
    }

    fn steps(&self, sampler: Sampler, own: usize) -> Result<usize> {
        if self.steps.is_some() && sampler.chooses_its_steps() {
            return Err(Error::input(format!(
                "`{sampler}` takes as many steps as it finds right, and `--steps` is given"
            ))
            .with_hint(
                "leave `--steps` out, or use a sampler with a fixed number, such as `ancestral`",
            ));
        }
        Ok(self.steps.unwrap_or(own))
    }

    /// Tokens that are written together. A model that was trained on blocks knows no others.
    fn block_size(&self, visibility: Visibility, own: usize) -> Result<usize> {
        match (self.block_size, visibility) {
            (Some(asked), Visibility::Blocks { size }) if asked != size => {
                Err(Error::input(format!(
                    "`--block` is {asked}, and this model was trained to write blocks of {size}"
                ))
                .with_hint("leave it out"))
            }
            (asked, _) => Ok(asked.unwrap_or(own)),
        }
    }
}

/// The same for a trace: in it, each step says how far a cache that somebody asked for is off. What a model writes with unasked
/// is exact, and isn't measured.
pub fn traced(way: Way, cache: Option<Caching>) -> Way {
    match way {
        Way::Denoising(denoising) => Way::Denoising(Denoising {
            divergence: cache.is_some_and(|cache| cache != Caching::None),
            ..denoising
        }),
        Way::LeftToRight(decoding) => Way::LeftToRight(decoding),
    }
}

/// Refuses a trace, called `name`, whose tokens are not the model's.
///
/// # Errors
/// When it has others.
pub fn check_vocabulary(trace: &Trace, tokenizer: &Tokenizer, name: &str) -> Result<()> {
    let vocab = &trace.header.vocab;
    if vocab
        .as_ref()
        .is_some_and(|vocab| *vocab != tokenizer.vocab())
    {
        return Err(Error::input(format!(
            "`{name}` was written with other tokens than this checkpoint's"
        ))
        .with_hint("give the checkpoint that wrote it, or another of the same tokenizer"));
    }
    Ok(())
}

/// The tokens that a text begins with. A model that writes left to right goes on behind them, and can't fill gaps.
fn beginning(cells: &[Cell]) -> Result<Vec<u32>> {
    let beginning: Vec<u32> = cells.iter().map_while(|cell| cell.token()).collect();
    let end = beginning.len();
    match cells[end..].iter().position(|cell| *cell != Cell::Free) {
        None => Ok(beginning),
        Some(behind) => Err(Error::input(format!(
            "position {end} is free and position {} is not: this model writes left to right",
            end + behind
        ))
        .with_hint(format!(
            "mask everything from there on, such as `--mask {end}-{}`",
            cells.len() - 1
        ))),
    }
}
