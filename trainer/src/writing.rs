//! From flags to what a model is asked to write, for every command that lets one write.

use crossover::corpus::Tokenizer;
use crossover::error::Error;
use crossover::lab::Loaded;
use crossover::laws::flops::ReadCost;
use crossover::model::Visibility;
use crossover::objective::{Factorization, Likelihood, Objective};
use crossover::sample::{Caching, Cell, Choice, Decoding, Denoising, Parameters, Sampler, Way};

use crate::arguments::WritingArguments;

/// What these flags mean for this model and template.
///
/// # Errors
/// When a flag is for another kind of model, or can't be carried out.
pub fn way(
    arguments: &WritingArguments,
    loaded: &Loaded,
    template: Vec<Cell>,
    seed: u64,
) -> Result<Way, Error> {
    let checkpoint = &loaded.checkpoint;
    let tokenizer = &checkpoint.tokenizer;
    let choice = Choice {
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        precision: arguments.sampler_precision.unwrap_or_default(),
    };
    let stop = stop(arguments, tokenizer)?;
    let cost = ReadCost::of(loaded.model.shape());
    let way = match factorization(arguments, loaded)? {
        Factorization::LeftToRight => {
            refuse_diffusion(arguments)?;
            Way::LeftToRight(Decoding {
                choice,
                stop,
                top: arguments.trace_top,
                cache: cache(arguments, Visibility::Causal)?,
                cost,
                ..Decoding::new(prompt(&template)?, template.len(), seed)
            })
        }
        Factorization::Blocks { size } => {
            let visibility = Visibility::of_blocks(size, checkpoint.length);
            let of_its_own = Denoising::new(template, visibility, seed);
            let sampler = sampler(arguments)?;
            Way::Denoising(Denoising {
                sampler,
                steps: steps(arguments, sampler, of_its_own.steps)?,
                schedule: arguments.schedule.unwrap_or_default(),
                block_size: block_size(arguments, visibility, of_its_own.block_size)?,
                choice,
                guidance: arguments.cfg.unwrap_or(0.0),
                stop,
                top: arguments.trace_top,
                cache: cache(arguments, visibility)?,
                cost,
                ..of_its_own
            })
        }
    };
    way.check(tokenizer.mask_id())?;
    Ok(way)
}

/// The same for a trace: in it, each step of an approximate cache says how far it is off.
pub fn traced(way: Way) -> Way {
    match way {
        Way::Denoising(denoising) => Way::Denoising(Denoising {
            divergence: true,
            ..denoising
        }),
        Way::LeftToRight(decoding) => Way::LeftToRight(decoding),
    }
}

/// The tokens that a text begins with. A model that writes left to right goes on behind them, and can't fill gaps.
fn prompt(template: &[Cell]) -> Result<Vec<u32>, Error> {
    let prompt: Vec<u32> = template.iter().map_while(|cell| cell.token()).collect();
    let end = prompt.len();
    match template[end..].iter().position(|cell| *cell != Cell::Free) {
        None => Ok(prompt),
        Some(behind) => Err(Error::input(format!(
            "position {end} is free and position {} is not: this model writes left to right",
            end + behind
        ))
        .with_hint(format!(
            "mask everything from there on, such as `--mask {end}-{}`",
            template.len() - 1
        ))),
    }
}

/// How this model is asked to write: by its own likelihood, or the one of a dual model's two that was asked for.
///
/// # Errors
/// When the likelihood is unknown, or the model has no choice.
pub fn factorization(
    arguments: &WritingArguments,
    loaded: &Loaded,
) -> Result<Factorization, Error> {
    let checkpoint = &loaded.checkpoint;
    let asked = match arguments.likelihood.as_deref() {
        None => None,
        Some("ar") => Some(Likelihood::Autoregressive),
        Some("masked") => Some(Likelihood::Masked),
        Some(other) => {
            return Err(Error::input(format!("there is no likelihood `{other}`"))
                .with_hint("`ar` or `masked`, for a dual model"));
        }
    };
    if asked.is_some() && checkpoint.objective != Objective::Dual {
        return Err(Error::input(
            "`--likelihood` is for dual models: the others write in one way only",
        )
        .with_hint("leave it out"));
    }
    Ok(checkpoint.factorization(asked.unwrap_or(checkpoint.objective.headline())))
}

fn stop(arguments: &WritingArguments, tokenizer: &Tokenizer) -> Result<Option<u32>, Error> {
    let end_of_text = tokenizer.end_of_text();
    if arguments.stop && end_of_text.is_none() {
        return Err(Error::input(
            "`--stop` ends a text at its end-of-text token, and this model knows none",
        )
        .with_hint("leave it out: the model was trained on a text without documents"));
    }
    Ok(end_of_text.filter(|_| arguments.stop))
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

/// What is kept between two readings: what was asked for, or what changes nothing in the text.
fn cache(arguments: &WritingArguments, visibility: Visibility) -> Result<Caching, Error> {
    match (&arguments.cache, arguments.cache_refresh) {
        (None, None) => Ok(Caching::suiting(visibility)),
        (None, Some(_)) => Err(Error::input(
            "`--cache-refresh` refreshes a cache, and none is named",
        )
        .with_hint("name one of `--cache prefix`, `--cache dual` and `--cache dkv`")),
        (Some(name), refresh) => Caching::named(name, refresh),
    }
}

/// The order that was asked for, with its parameters.
fn sampler(arguments: &WritingArguments) -> Result<Sampler, Error> {
    let name = arguments.sampler.as_deref();
    let parameters = Parameters {
        tau: arguments.tau,
        gamma: arguments.gamma,
        eta: arguments.eta,
        remasking: arguments.remasking,
        score: arguments.score,
        order_temperature: arguments.order_temperature,
    };
    Sampler::new(name.unwrap_or(Sampler::Ancestral.name()), &parameters)
}

fn steps(arguments: &WritingArguments, sampler: Sampler, own: usize) -> Result<usize, Error> {
    if arguments.steps.is_some() && sampler.chooses_its_steps() {
        return Err(Error::input(format!(
            "`{sampler}` takes as many steps as it finds right, and `--steps` is given"
        ))
        .with_hint(
            "leave `--steps` out, or use a sampler with a fixed number, such as `ancestral`",
        ));
    }
    Ok(arguments.steps.unwrap_or(own))
}

/// Tokens that are written together. A model that was trained on blocks knows no others.
fn block_size(
    arguments: &WritingArguments,
    visibility: Visibility,
    own: usize,
) -> Result<usize, Error> {
    match (arguments.block, visibility) {
        (Some(asked), Visibility::Blocks { size }) if asked != size => Err(Error::input(format!(
            "`--block` is {asked}, and this model was trained to write blocks of {size}"
        ))
        .with_hint("leave it out")),
        (asked, _) => Ok(asked.unwrap_or(own)),
    }
}
