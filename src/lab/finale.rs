//! The measurement at the end of a run: the best checkpoints, on the test part, with standard errors.

use crate::error::{Error, Result};
use crate::evaluate::{
    Mean, k_order_bound, left_to_right_nats, paired_difference, share, windows_at_once,
};
use crate::lab::crossover;
use crate::lab::protocol::{
    CheckpointKind, Estimate, Event, GridShare, Outcome, RaceResult, TrainResult,
};
use crate::lab::session::{Session, file_name, nats, write};
use crate::model::Decoder;
use crate::objective::Objective;
use crate::platform;
use crate::train::Checkpoint;

/// Tokens that the slow exact measures of a masked model may read: they cost a forward pass per token.
const CHAIN_TOKENS: usize = 150_000;

/// A model's best checkpoint and its loss on each test window.
struct Measured {
    objective: Objective,
    step: u64,
    model: Decoder,
    nats: Vec<f64>,
}

pub(super) async fn measure(session: &Session<'_>) -> Result<Outcome> {
    let mut measured = Vec::new();
    for objective in &session.config.objectives {
        measured.push(best(session, *objective).await?);
        session.check()?;
    }
    let grids = grid_shares(session, &measured).await?;
    match measured.as_slice() {
        [one] => train_result(session, one, grids),
        [ar, masked] => race_result(session, ar, masked, grids).await,
        _ => Err(Error::work("a run has one objective or two")),
    }
}

async fn best(session: &Session<'_>, objective: Objective) -> Result<Measured> {
    let file = file_name(objective, CheckpointKind::Best);
    let bytes = session
        .folder
        .read(&file)?
        .ok_or_else(|| Error::work(format!("`{file}` has gone from the run directory")))?;
    let checkpoint = Checkpoint::from_bytes(&bytes, &file)?;
    let model = Decoder::new(
        &checkpoint.model,
        &session.shape,
        &checkpoint.weights,
        &session.device().device,
    )?;
    let evaluate = &session.config.evaluate;
    let windows = test_windows(session, evaluate.test_windows);
    let nats = nats(
        &model,
        objective,
        &windows,
        evaluate.test_levels,
        session.config.seed,
    )
    .await?;
    Ok(Measured {
        objective,
        step: checkpoint.state.step,
        model,
        nats,
    })
}

fn test_windows<'a>(session: &'a Session<'_>, limit: usize) -> Vec<&'a [u32]> {
    let test = &session.corpus.test;
    test.iter().take(test.count(limit)).collect()
}

/// Lets every model write grids, and counts which keep the rules.
async fn grid_shares(
    session: &Session<'_>,
    measured: &[Measured],
) -> Result<Option<Vec<GridShare>>> {
    let samples = session.config.evaluate.samples;
    let length = session.corpus.length();
    let mut shares = Vec::new();
    for best in measured {
        // Text is written too, a page of it, for people to read; only grids can be counted.
        let count = match session.corpus.grid {
            Some(_) => samples,
            None => samples.min(8),
        };
        if count == 0 {
            continue;
        }
        session.emit(Event::Progress {
            doing: format!(
                "letting the {} model write {count} samples",
                best.objective.name()
            ),
        })?;
        let written = write(
            &best.model,
            best.objective,
            length,
            session.config.seed,
            count as u64,
        )
        .await?;
        let texts: Vec<String> = written
            .iter()
            .map(|sample| session.corpus.tokenizer.decode(&sample.tokens))
            .collect();
        session.folder.write(
            &format!("samples/{}-best.txt", best.objective.name()),
            (texts.join("\n\n") + "\n").as_bytes(),
        )?;
        if let Some(grid) = &session.corpus.grid {
            let valid: Vec<bool> = written
                .iter()
                .map(|sample| grid.is_valid(&sample.tokens))
                .collect();
            let novel = written.iter().zip(&valid).map(|(sample, valid)| {
                *valid && !session.corpus.is_training_window(&sample.tokens)
            });
            shares.push(GridShare {
                objective: best.objective,
                samples: count as u64,
                valid: share(valid.iter().copied())?.into(),
                novel: share(novel)?.into(),
            });
        }
        session.check()?;
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
        bound: best.objective.bound(),
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
    masked: &Measured,
    grids: Option<Vec<GridShare>>,
) -> Result<Outcome> {
    let ar_mean = Mean::of(&ar.nats)?;
    let masked_mean = Mean::of(&masked.nats)?;
    let difference = paired_difference(&masked.nats, &ar.nats)?;
    let found = crossover::find(&session.history);
    let windows = test_windows(session, ar_mean.count);
    let (characters_per_token, bytes_per_token) = per_token(session, &windows);
    let (left_to_right, k_order) = chains(session, &masked.model, &windows).await?;
    let orders = session.config.evaluate.orders;
    Ok(Outcome::Race(RaceResult {
        ar_best_nats: ar_mean.mean,
        ar_best_se: ar_mean.se,
        ar_best_step: ar.step,
        masked_best_nats: masked_mean.mean,
        masked_best_se: masked_mean.se,
        masked_best_step: masked.step,
        difference: difference.mean,
        difference_se: difference.se,
        curve_crossover_epoch: found.curve,
        // The test part has to confirm what the validation part showed.
        envelope_crossover_epoch: found.envelope.filter(|_| crossover::is_below(&difference)),
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

/// The masked model's exact left-to-right NLL and its K-order bound, on as many windows as their cost allows.
async fn chains(
    session: &Session<'_>,
    model: &Decoder,
    windows: &[&[u32]],
) -> Result<(Option<Mean>, Option<Mean>)> {
    let length = session.corpus.length();
    let orders = session.config.evaluate.orders;
    let affordable = |forwards: usize| {
        let count = (CHAIN_TOKENS / (length * forwards)).min(windows.len());
        (count >= 2).then(|| &windows[..count])
    };
    let batch = windows_at_once(length);
    let mut left_to_right = None;
    if let Some(windows) = affordable(length) {
        session.emit(Event::Progress {
            doing: "measuring the masked model's exact left-to-right likelihood".to_owned(),
        })?;
        left_to_right = Some(Mean::of(&left_to_right_nats(model, windows, batch).await?)?);
        session.check()?;
    }
    let mut k_order = None;
    if let Some(windows) = affordable(length * orders.max(1)).filter(|_| orders > 0) {
        let nats = k_order_bound(model, windows, orders, session.config.seed, batch).await?;
        k_order = Some(Mean::of(&nats)?);
        session.check()?;
    }
    Ok((left_to_right, k_order))
}
