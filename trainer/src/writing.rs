//! From flags to what a model is asked to write, for every command that lets one write.

use crossover::error::Error;
use crossover::lab::{Loaded, Writing};
use crossover::objective::{Factorization, Likelihood};
use crossover::sample::{Caching, Cell, Choice, Parameters, Way};

use crate::arguments::WritingArguments;

/// What these flags mean for this model and these cells.
///
/// # Errors
/// When a flag is for another kind of model, or can't be carried out.
pub fn way(
    arguments: &WritingArguments,
    loaded: &Loaded,
    cells: Vec<Cell>,
    seed: u64,
) -> Result<Way, Error> {
    let writing = writing(arguments, seed)?;
    if writing.factorization(loaded)? == Factorization::LeftToRight {
        refuse_diffusion(arguments)?;
    }
    writing.way(loaded, cells)
}

/// What the flags ask for, of whatever model.
///
/// # Errors
/// When a flag has a value that there is not.
pub fn writing(arguments: &WritingArguments, seed: u64) -> Result<Writing, Error> {
    Ok(Writing {
        sampler: arguments.sampler.clone(),
        parameters: Parameters {
            tau: arguments.tau,
            gamma: arguments.gamma,
            eta: arguments.eta,
            remasking: arguments.remasking,
            score: arguments.score,
            order_temperature: arguments.order_temperature,
        },
        steps: arguments.steps,
        schedule: arguments.schedule,
        block_size: arguments.block,
        choice: Choice {
            temperature: arguments.temperature,
            top_k: arguments.top_k,
            top_p: arguments.top_p,
            precision: arguments.sampler_precision.unwrap_or_default(),
        },
        guidance: arguments.cfg,
        stop: arguments.stop,
        top: arguments.trace_top,
        cache: cache(arguments)?,
        likelihood: likelihood(arguments)?,
        seed,
    })
}

fn likelihood(arguments: &WritingArguments) -> Result<Option<Likelihood>, Error> {
    match arguments.likelihood.as_deref() {
        None => Ok(None),
        Some("ar") => Ok(Some(Likelihood::Autoregressive)),
        Some("masked") => Ok(Some(Likelihood::Masked)),
        Some(other) => Err(Error::input(format!("there is no likelihood `{other}`"))
            .with_hint("`ar` or `masked`, for a dual model")),
    }
}

/// Refuses what only diffusion can do.
fn refuse_diffusion(arguments: &WritingArguments) -> Result<(), Error> {
    let flags = [
        ("--sampler", arguments.sampler.is_some()),
        ("--steps", arguments.steps.is_some()),
        ("--schedule", arguments.schedule.is_some()),
        ("--block", arguments.block.is_some()),
        ("--cfg", arguments.cfg.is_some()),
        ("--tau", arguments.tau.is_some()),
        ("--gamma", arguments.gamma.is_some()),
        ("--eta", arguments.eta.is_some()),
        ("--remasking", arguments.remasking.is_some()),
        ("--score", arguments.score.is_some()),
        ("--order-temperature", arguments.order_temperature.is_some()),
    ];
    match flags.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(Error::input(format!(
            "`{flag}` is for diffusion models, and this one writes left to right"
        ))
        .with_hint(
            "leave it out: `--temperature`, `--top-k` and `--top-p` fit; or give the checkpoint of a diffusion model",
        )),
    }
}

/// What is kept between two readings, where anything was asked for.
/// The cache that the flags name.
///
/// # Errors
/// When there is none of that name, or none to refresh.
pub fn cache(arguments: &WritingArguments) -> Result<Option<Caching>, Error> {
    match (&arguments.cache, arguments.cache_refresh) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::input(
            "`--cache-refresh` refreshes a cache, and none is named",
        )
        .with_hint("name one of `--cache prefix`, `--cache dual` and `--cache dkv`")),
        (Some(name), refresh) => Caching::named(name, refresh).map(Some),
    }
}
