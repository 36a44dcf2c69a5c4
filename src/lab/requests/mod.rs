//! Answers to what is asked beside runs.

mod attention;
mod kept;
mod measure;
mod plan;
mod text;
mod write;

use crate::device::Selected;
use crate::error::Result;
use crate::lab::bench;
use crate::lab::control::Control;
use crate::lab::protocol::{Answer, Benchmark, Event, Request};
use crate::objective::Objective;
use crate::train::RunConfig;

/// Answers, or says why not.
pub(super) async fn answer(request: u64, what: Request, device: &Selected, control: &Control) {
    let told = match carry_out(request, what, device, control).await {
        Ok(answer) => Event::Answer {
            request,
            answer: Box::new(answer),
            last: true,
        },
        Err(error) => Event::Refused {
            request,
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        },
    };
    control.emit(told);
}

async fn carry_out(
    request: u64,
    what: Request,
    device: &Selected,
    control: &Control,
) -> Result<Answer> {
    match what {
        Request::Keep { name, content } => kept::keep(&name, &content),
        Request::Preview { corpus, seed } => text::preview(&corpus, seed),
        Request::Plan { config } => plan::plan(*config, device).await,
        Request::Write {
            model,
            template,
            writing,
        } => write::write(&model, template, &writing, device).await,
        Request::Benchmark => benchmark(device).await,
        Request::Runs => kept::runs(),
        Request::Read { path } => kept::read(&path),
        Request::Archive { run } => kept::archive(&run),
        Request::Import { name, content } => kept::import(&name, &content),
        Request::Rename { run, name } => kept::rename(&run, &name),
        Request::Remove { run } => kept::remove(&run),
        Request::Measure { .. } => measure::measure(request, what, device, control).await,
        Request::Attention {
            model,
            tokens,
            layer,
        } => attention::attention(&model, &tokens, layer, device).await,
    }
}

/// Steps of the default model that are timed.
const STEPS: u64 = 5;

async fn benchmark(device: &Selected) -> Result<Answer> {
    let config = RunConfig::default();
    // As many tokens as the default race's grids have, and a window of theirs.
    let (vocab_size, length) = (6, 25);
    let shape = config.model.resolve(vocab_size)?;
    let peak = bench::matmul_peak(&device.device, config.train.precision).await?;
    let masked = Objective::Masked;
    let speed = bench::training_speed(masked, &config, &shape, length, STEPS, peak, device).await?;
    Ok(Answer::Benchmark(Benchmark {
        matmul_flops: peak,
        training_flops: speed.flops_per_second,
        tokens_per_second: speed.tokens_per_second,
    }))
}
