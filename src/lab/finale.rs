//! The measurement at the end of a run: the best checkpoints, on the test part, with standard errors.

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::evaluate::{
    Mean, k_order_bound, left_to_right_nats, nats, paired_difference, windows_at_once,
};
use crate::lab::protocol::{DualAr, Estimate, Event, GridShare, Outcome, RaceResult, TrainResult};
use crate::lab::session::{Session, write};
use crate::lab::states::{self, Kept};
use crate::lab::{crossover, generation};
use crate::model::Decoder;
use crate::objective::{Factorization, Likelihood, Objective};
use crate::platform;
use crate::train::{Checkpoint, Extent, RunConfig};

/// Tokens that the slow exact measures of a masked model may read: they cost a forward pass per token.
const CHAIN_TOKENS: usize = 150_000;

/// A model's best checkpoint and its loss on each test window, in nats per token.
struct Measured {
    objective: Objective,
    step: u64,
    model: Decoder,
    /// By its headline likelihood.
    nats: Vec<f64>,
    /// A dual model's, read left to right.
    dual_ar: Option<Vec<f64>>,
}

pub(super) async fn measure(session: &Session<'_>) -> Result<Outcome> {
    let mut measured = Vec::new();
    for objective in &session.config.objectives {
        measured.push(best(session, *objective).await?);
        session.check().await?;
    }
    let grids = grid_shares(session, &measured).await?;
    match measured.as_slice() {
        [one] => train_result(session, one, grids),
        [ar, second] => race_result(session, ar, second, grids).await,
        _ => Err(Error::work("a run has one objective or two")),
    }
}

async fn best(session: &Session<'_>, objective: Objective) -> Result<Measured> {
    let path = states::find(&session.records.name(), objective, Kept::Best).ok_or_else(|| {
        Error::work(format!(
            "the best checkpoint of the {} model has gone from the run directory",
            objective.name()
        ))
    })?;
    let checkpoint = Checkpoint::open(&path, Extent::Weights)?;
    let model = Decoder::new(
        &checkpoint.model,
        &session.shape,
        &checkpoint.weights,
        &session.device().device,
    )?
    .shared_by(&session.device().ranks);
    let evaluate = &session.config.evaluate;
    let windows = test_windows(session, evaluate.test_windows);
    let measure = async |likelihood| {
        let nats = nats(
            &model,
            session.factorization(likelihood),
            &windows,
            evaluate.test_levels,
            session.config.seed,
        )
        .await?;
        session.check().await?;
        Ok::<_, Error>(nats)
    };
    let dual_ar = match objective {
        Objective::Dual => Some(measure(Likelihood::Autoregressive).await?),
        _ => None,
    };
    Ok(Measured {
        nats: measure(objective.headline()).await?,
        dual_ar,
        objective,
        step: checkpoint.state.step,
        model,
    })
}

fn test_windows<'a>(session: &'a Session<'_>, limit: usize) -> Vec<&'a [u32]> {
    let test = &session.corpus.test;
    test.iter().take(test.count(limit)).collect()
}

/// Windows that each model writes at the end. Text is written too, a page of it, for people to read; only grids can be
/// counted.
pub(super) fn samples(config: &RunConfig, corpus: &Corpus) -> usize {
    let samples = config.evaluate.samples;
    match corpus.grid {
        Some(_) => samples,
        None => samples.min(8),
    }
}

/// Windows, of `windows`, that may be measured by `forwards` passes each: none where fewer than two could be.
pub(super) fn affordable(length: usize, forwards: usize, windows: usize) -> usize {
    let count = (CHAIN_TOKENS / (length * forwards.max(1))).min(windows);
    if count >= 2 && forwards > 0 { count } else { 0 }
}

/// Lets every model write grids, and counts which keep the rules.
async fn grid_shares(
    session: &Session<'_>,
    measured: &[Measured],
) -> Result<Option<Vec<GridShare>>> {
    let count = samples(&session.config, &session.corpus);
    let length = session.corpus.length();
    let mut shares = Vec::new();
    for best in measured.iter().filter(|_| count > 0) {
        session.emit(Event::Progress {
            doing: format!(
                "letting the {} model write {count} samples",
                best.objective.name()
            ),
        })?;
        let written = write(
            &best.model,
            session.writes(best.objective),
            length,
            session.config.seed,
            count as u64,
        )
        .await?;
        let texts: Vec<String> = written
            .iter()
            .map(|sample| session.corpus.tokenizer.decode(&sample.tokens))
            .collect();
        session.records.write(
            &format!("samples/{}-best.txt", best.objective.name()),
            (texts.join("\n\n") + "\n").as_bytes(),
        )?;
        if let Some(grid) = &session.corpus.grid {
            let tokens: Vec<&[u32]> = written.iter().map(|sample| &sample.tokens[..]).collect();
            let (valid, novel) = generation::grid_shares(&session.corpus, grid, &tokens)?;
            shares.push(GridShare {
                objective: best.objective,
                samples: count as u64,
                valid: valid.into(),
                novel: novel.into(),
            });
        }
        session.check().await?;
    }
    Ok((!shares.is_empty()).then_some(shares))
}

/// Characters and bytes per token of the measured windows.
fn per_token(session: &Session<'_>, windows: &[&[u32]]) -> (f64, f64) {
    let tokens = windows.concat();
    let (characters, bytes) = session.corpus.tokenizer.measure(&tokens);
    let count = tokens.len() as f64;
    (characters as f64 / count, bytes as f64 / count)
}

fn train_result(
    session: &Session<'_>,
    best: &Measured,
    grids: Option<Vec<GridShare>>,
) -> Result<Outcome> {
    let mean = Mean::of(&best.nats)?;
    let windows = test_windows(session, mean.count);
    let (characters_per_token, bytes_per_token) = per_token(session, &windows);
    Ok(Outcome::Train(TrainResult {
        objective: best.objective,
        nats: mean.mean,
        se: mean.se,
        bound: session.factorization(best.objective.headline()).bound(),
        dual_ar: best
            .dual_ar
            .as_deref()
            .map(|nats| Mean::of(nats).map(Estimate::from))
            .transpose()?,
        tokens: (mean.count * session.corpus.length()) as u64,
        best_step: best.step,
        floor_nats: session.corpus.floor_nats,
        grids,
        characters_per_token,
        bytes_per_token,
        peak_memory_bytes: platform::peak_memory_bytes(),
        wall_seconds: session.wall_seconds(),
    }))
}

async fn race_result(
    session: &Session<'_>,
    ar: &Measured,
    second: &Measured,
    grids: Option<Vec<GridShare>>,
) -> Result<Outcome> {
    let likelihood = second.objective.headline();
    let ar_mean = Mean::of(&ar.nats)?;
    let second_mean = Mean::of(&second.nats)?;
    let difference = paired_difference(&second.nats, &ar.nats)?;
    let found = crossover::find(&session.history, second.objective, likelihood);
    let windows = test_windows(session, ar_mean.count);
    let (characters_per_token, bytes_per_token) = per_token(session, &windows);
    let (left_to_right, k_order) = match session.factorization(likelihood) {
        Factorization::Blocks { size } => chains(session, &second.model, size, &windows).await?,
        Factorization::LeftToRight => (None, None),
    };
    let dual_ar = second
        .dual_ar
        .as_deref()
        .map(|nats| dual_ar(session, nats, &ar.nats))
        .transpose()?;
    let orders = session.config.evaluate.orders;
    Ok(Outcome::Race(RaceResult {
        ar_best_nats: ar_mean.mean,
        ar_best_se: ar_mean.se,
        ar_best_step: ar.step,
        second: second.objective,
        block_size: match second.objective {
            Objective::Block => session.config.objective.block_size,
            _ => None,
        },
        masked_best_nats: second_mean.mean,
        masked_best_se: second_mean.se,
        masked_best_step: second.step,
        difference: difference.mean,
        difference_se: difference.se,
        curve_crossover_epoch: found.curve,
        // The test part has to confirm what the validation part showed.
        envelope_crossover_epoch: found.envelope.filter(|_| crossover::is_below(&difference)),
        dual_ar,
        floor_nats: session.corpus.floor_nats,
        masked_left_to_right: left_to_right.map(Estimate::from),
        masked_k_order: k_order.map(Estimate::from),
        orders: k_order.map(|_| orders as u64),
        test_windows: ar_mean.count as u64,
        tokens: (ar_mean.count * session.corpus.length()) as u64,
        characters_per_token,
        bytes_per_token,
        grids,
        peak_memory_bytes: platform::peak_memory_bytes(),
        wall_seconds: session.wall_seconds(),
    }))
}

/// A dual model, read left to right, beside the AR model.
fn dual_ar(session: &Session<'_>, nats: &[f64], ar: &[f64]) -> Result<DualAr> {
    let mean = Mean::of(nats)?;
    let difference = paired_difference(nats, ar)?;
    let found = crossover::find(
        &session.history,
        Objective::Dual,
        Likelihood::Autoregressive,
    );
    Ok(DualAr {
        nats: mean.mean,
        se: mean.se,
        difference: difference.mean,
        difference_se: difference.se,
        envelope_crossover_epoch: found.envelope.filter(|_| crossover::is_below(&difference)),
    })
}

/// A diffusion model's exact left-to-right NLL and its K-order bound, on as many windows as their cost allows.
async fn chains(
    session: &Session<'_>,
    model: &Decoder,
    block_size: usize,
    windows: &[&[u32]],
) -> Result<(Option<Mean>, Option<Mean>)> {
    let length = session.corpus.length();
    let orders = session.config.evaluate.orders;
    let affordable = |forwards: usize| {
        let count = affordable(length, forwards, windows.len());
        (count > 0).then(|| &windows[..count])
    };
    let batch = windows_at_once(length);
    let mut left_to_right = None;
    if let Some(windows) = affordable(block_size) {
        session.emit(Event::Progress {
            doing: "measuring the diffusion model's exact left-to-right likelihood".to_owned(),
        })?;
        let nats = left_to_right_nats(model, windows, block_size, batch).await?;
        left_to_right = Some(Mean::of(&nats)?);
        session.check().await?;
    }
    let mut k_order = None;
    if let Some(windows) = affordable(block_size * orders) {
        let nats = k_order_bound(
            model,
            windows,
            block_size,
            orders,
            session.config.seed,
            batch,
        )
        .await?;
        k_order = Some(Mean::of(&nats)?);
        session.check().await?;
    }
    Ok((left_to_right, k_order))
}
