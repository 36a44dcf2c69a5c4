//! Where models are good, on a run's validation text.

use crate::corpus::Corpus;
use crate::device::Selected;
use crate::error::{Error, Result};
use crate::evaluate::{Binned, Inspection};
use crate::lab::control::Control;
use crate::lab::load::{Loaded, load_checkpoint};
use crate::lab::protocol::{Answer, Bin, Event, Measured, ModelMeasured, Request};
use crate::lab::session::CONFIG;
use crate::platform;
use crate::train::RunConfig;

/// Fewer windows than this say nothing.
const FEWEST: usize = 16;
/// Windows between two answers.
const AT_ONCE: usize = 8;

/// Measures what a [`Request::Measure`] asks for, and tells what is known so far after every few windows.
pub(super) async fn measure(
    request: u64,
    what: Request,
    device: &Selected,
    control: &Control,
) -> Result<Answer> {
    let Request::Measure {
        models,
        run,
        sequences,
        draws,
    } = what
    else {
        return Err(Error::work("this is no measurement"));
    };
    if models.is_empty() || models.len() > 2 {
        return Err(Error::input(format!(
            "{} models are to be measured: one or two can be",
            models.len()
        )));
    }
    let corpus = text(&run)?;
    let available = corpus.validation.len();
    if available < FEWEST {
        return Err(
            Error::input(format!("Too few held-out sequences ({available})."))
                .with_hint(format!("hold out at least {FEWEST} windows of text")),
        );
    }
    let count = sequences.clamp(FEWEST, available);
    let windows: Vec<&[u32]> = corpus.validation.iter().take(count).collect();
    let mut inspected = Vec::new();
    for model in &models {
        let loaded = load_checkpoint(model, device)?;
        check(&loaded, &corpus, model)?;
        let checkpoint = &loaded.checkpoint;
        let factorization = checkpoint.factorization(checkpoint.objective.headline());
        // The same seed for both: they are asked alike.
        inspected.push((loaded, Inspection::new(factorization, draws, 0)?));
    }
    for group in windows.chunks(AT_ONCE) {
        for (loaded, inspection) in &mut inspected {
            inspection.add(&loaded.model, group).await?;
            platform::yield_now().await;
        }
        let answer = answer(&models, &inspected);
        if matches!(&answer, Answer::Measured(measured) if measured.sequences < count) {
            control.emit(Event::Answer {
                request,
                answer: Box::new(answer),
                last: false,
            });
        }
    }
    Ok(answer(&models, &inspected))
}

/// The text that a run was trained and validated on.
fn text(run: &str) -> Result<Corpus> {
    let origin = format!("{run}/{CONFIG}");
    let config = String::from_utf8_lossy(&platform::read_file(&origin)?).into_owned();
    let config = RunConfig::from_toml(&config, &origin)?;
    Corpus::load(&config.corpus, config.seed)
}

fn check(loaded: &Loaded, corpus: &Corpus, model: &str) -> Result<()> {
    let checkpoint = &loaded.checkpoint;
    let problem = if checkpoint.tokenizer.vocab() != corpus.tokenizer.vocab() {
        "has other tokens than this run's text"
    } else if checkpoint.length != corpus.length() {
        "was trained on windows of another length than this run's"
    } else {
        return Ok(());
    };
    Err(Error::input(format!("`{model}` {problem}")).with_hint("choose a model of the same run"))
}

fn answer(models: &[String], inspected: &[(Loaded, Inspection)]) -> Answer {
    let each = models.iter().zip(inspected);
    Answer::Measured(Measured {
        sequences: inspected
            .first()
            .map_or(0, |(_, inspection)| inspection.windows()),
        models: each
            .map(|(model, (loaded, inspection))| ModelMeasured {
                model: model.clone(),
                objective: loaded.checkpoint.objective,
                by_mask_ratio: bins(inspection.by_mask_ratio()),
                by_position: inspection
                    .by_position()
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                calibration: bins(inspection.calibration()),
                calibration_error: inspection.calibration_error(),
            })
            .collect(),
    })
}

fn bins(binned: Vec<Binned>) -> Vec<Bin> {
    let each = binned.into_iter().map(|bin| Bin {
        at: bin.at,
        count: bin.count,
        value: bin.value.map(Into::into),
    });
    each.collect()
}
