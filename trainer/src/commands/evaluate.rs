//! `evaluate`: a checkpoint's likelihood of a text, with its standard error. What it writes is measured in
//! `generation.rs`, what it answers in `tasks.rs`.

use std::path::Path;

use anyhow::Result;
use crossover::corpus::{Tokenizer, Windows, encode_documents};
use crossover::error::Error;
use crossover::evaluate::{Mean, k_order_bound, left_to_right_nats, nats, windows_at_once};
use crossover::lab::{Estimate, load_checkpoint};
use crossover::objective::{Bound, Factorization, Likelihood, Objective};
use crossover::platform;
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::EvaluateArguments;
use crate::commands::{generation, print_json, print_text, tasks};
use crate::{devices, settings};

/// Windows at most, unless somebody asks for another number.
const WINDOWS: usize = 2_000;
/// Mask levels a window, unless somebody asks for another number.
const LEVELS: usize = 16;

#[derive(Serialize)]
struct Measured {
    event: &'static str,
    objective: Objective,
    likelihood: Likelihood,
    nats: f64,
    se: f64,
    bound: Bound,
    tokens: u64,
    windows: usize,
    bits_per_character: f64,
    bits_per_byte: f64,
    /// A dual model's exact NLL, left to right.
    #[serde(skip_serializing_if = "Option::is_none")]
    dual_ar: Option<Estimate>,
    left_to_right: Option<Estimate>,
    k_order: Option<Estimate>,
    orders: Option<usize>,
}

/// Measures and prints.
pub fn run(arguments: &EvaluateArguments) -> Result<()> {
    match (arguments.generate, &arguments.task, &arguments.text) {
        (Some(samples), _, _) => generation::run(arguments, samples),
        (None, Some(task), _) => tasks::run(arguments, task),
        (None, None, Some(text)) => likelihood(arguments, text),
        (None, None, None) => Err(Error::input("there is nothing to measure")
            .with_hint("give `--text FILE`, `--task FILE` or `--generate`")
            .into()),
    }
}

fn likelihood(arguments: &EvaluateArguments, text: &Path) -> Result<()> {
    let device = devices::choose(&arguments.common)?;
    let loaded = load_checkpoint(&arguments.checkpoint.display().to_string(), &device)?;
    let checkpoint = &loaded.checkpoint;
    let levels = arguments.levels.unwrap_or(LEVELS);
    if levels == 0 || arguments.orders == Some(0) {
        return Err(Error::input("`--levels` and `--orders` are at least 1").into());
    }
    let likelihood = checkpoint.objective.headline();
    let factorization = checkpoint.factorization(likelihood);
    if arguments.orders.is_some() && factorization == Factorization::LeftToRight {
        return Err(
            Error::input("`--orders` is for diffusion models: this one has one order")
                .with_hint("leave it out")
                .into(),
        );
    }
    let length = checkpoint.length;
    let all = windows(text, &checkpoint.tokenizer, length)?;
    let windows: Vec<&[u32]> = all
        .iter()
        .take(all.count(arguments.windows.unwrap_or(WINDOWS).max(2)))
        .collect();
    let seed = settings::seed(&arguments.common);
    let batch = windows_at_once(length);
    let model = &loaded.model;
    let measured = pollster::block_on(async {
        let measure = async |factorization| {
            let nats = nats(model, factorization, &windows, levels, seed).await?;
            Mean::of(&nats)
        };
        let mean = measure(factorization).await?;
        let dual_ar = match checkpoint.objective {
            Objective::Dual => Some(measure(Factorization::LeftToRight).await?.into()),
            _ => None,
        };
        let mut chains = (None, None);
        if let (Some(orders), Factorization::Blocks { size }) = (arguments.orders, factorization) {
            let left_to_right = left_to_right_nats(model, &windows, size, batch).await?;
            let several = k_order_bound(model, &windows, size, orders, seed, batch).await?;
            chains = (
                Some(Mean::of(&left_to_right)?.into()),
                Some(Mean::of(&several)?.into()),
            );
        }
        let read = windows.concat();
        let (characters, bytes) = checkpoint.tokenizer.measure(&read);
        let bits = mean.mean * read.len() as f64 / std::f64::consts::LN_2;
        Ok::<_, Error>(Measured {
            event: "result",
            objective: checkpoint.objective,
            likelihood,
            nats: mean.mean,
            se: mean.se,
            bound: factorization.bound(),
            tokens: read.len() as u64,
            windows: windows.len(),
            bits_per_character: bits / characters as f64,
            bits_per_byte: bits / bytes as f64,
            dual_ar,
            left_to_right: chains.0,
            k_order: chains.1,
            orders: arguments.orders,
        })
    })?;
    if arguments.common.json {
        return print_json(&measured);
    }
    print_text(&table(&measured))
}

/// The text's windows.
///
/// # Errors
/// When it can't be read or cut into tokens, or has fewer than two windows.
pub(super) fn windows(text: &Path, tokenizer: &Tokenizer, length: usize) -> Result<Windows, Error> {
    let path = text.display().to_string();
    let all = Windows::new(tokens(&path, tokenizer)?, length);
    if all.len() < 2 {
        return Err(Error::input(format!(
            "`{path}` has {} tokens, and a standard error needs two windows of {length}",
            all.tokens.len()
        ))
        .with_hint("give a longer text"));
    }
    Ok(all)
}

/// The text's tokens, its documents ended as they were in training. Generated sources have no line breaks in their
/// vocabulary, but files of grids or symbols do.
fn tokens(path: &str, tokenizer: &Tokenizer) -> Result<Vec<u32>, Error> {
    let mut bytes = platform::read_file(path)?;
    if tokenizer.is_generated() {
        bytes.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    }
    encode_documents(tokenizer, &bytes).map_err(|error| error.about(&format!("`{path}`")))
}

fn table(measured: &Measured) -> String {
    let kind = match measured.bound {
        Bound::Exact => "exact NLL",
        Bound::Elbo => "upper bound (ELBO)",
    };
    let mut text = format!(
        "{} nats/token, {kind}, {} tokens in {} windows\n{:.3} bits/character, {:.3} bits/byte\n",
        numbers::measured(measured.nats, Some(measured.se)),
        numbers::grouped(measured.tokens),
        numbers::grouped(measured.windows as u64),
        measured.bits_per_character,
        measured.bits_per_byte,
    );
    if let Some(dual_ar) = measured.dual_ar {
        text += &format!(
            "{} nats/token, exact NLL of its other half, the one trained left to right\n",
            numbers::measured(dual_ar.mean, Some(dual_ar.se))
        );
    }
    if let Some(left_to_right) = measured.left_to_right {
        text += &format!(
            "{} nats/token, exact NLL when it writes left to right\n",
            numbers::measured(left_to_right.mean, Some(left_to_right.se))
        );
    }
    if let (Some(k_order), Some(orders)) = (measured.k_order, measured.orders) {
        text += &format!(
            "{} nats/token, bound from {orders} random orders\n",
            numbers::measured(k_order.mean, Some(k_order.se))
        );
    }
    text
}
