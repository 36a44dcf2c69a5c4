//! `bench`: training speed on this machine, as a share of its own matrix product, or writing speed.

use anyhow::Result;
use crossover::error::Error;
use crossover::lab::bench::{Speed, WritingSpeed, matmul_peak, training_speed, writing_speed};
use crossover::objective::Objective;
use crossover::platform;
use crossover::train::RunConfig;
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::BenchArguments;
use crate::commands::{print_json, print_text};
use crate::{devices, settings};

#[derive(Serialize)]
struct Bench {
    event: &'static str,
    device: String,
    threads: usize,
    parameters: u64,
    batch: usize,
    length: usize,
    matmul_flops_per_second: f64,
    training: Vec<Speed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writing: Option<WritingSpeed>,
    peak_memory_bytes: Option<u64>,
}

/// Times both objectives in training, or both in writing.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    if arguments.batch == 0
        || arguments.length == 0
        || arguments.steps == 0
        || arguments.vocab_size < 2
    {
        return Err(Error::input(
            "`--batch`, `--length` and `--steps` are at least 1, `--vocab-size` at least 2",
        )
        .into());
    }
    let device = devices::choose(&arguments.common)?;
    let mut config = RunConfig {
        seed: settings::seed(&arguments.common),
        ..RunConfig::default()
    };
    settings::overlay_model(&mut config.model, &arguments.model);
    config.train.batch = arguments.batch;
    let shape = config.model.resolve(arguments.vocab_size)?;
    let measured = pollster::block_on(async {
        let peak = matmul_peak(&device.device).await?;
        let (length, steps) = (arguments.length, arguments.steps);
        let (mut training, mut writing) = (Vec::new(), None);
        if arguments.writing {
            writing = Some(writing_speed(&config, &shape, length, steps, &device).await?);
        } else {
            for objective in [Objective::Autoregressive, Objective::Masked] {
                training.push(
                    training_speed(objective, &config, &shape, length, steps, peak, &device)
                        .await?,
                );
            }
        }
        Ok::<_, Error>(Bench {
            event: "result",
            device: device.description.clone(),
            threads: device.threads,
            parameters: shape.parameters(),
            batch: arguments.batch,
            length: arguments.length,
            matmul_flops_per_second: peak,
            training,
            writing,
            peak_memory_bytes: platform::peak_memory_bytes(),
        })
    })?;
    if arguments.common.json {
        return print_json(&measured);
    }
    print_text(&text(&measured))
}

fn text(bench: &Bench) -> String {
    let mut text = format!(
        "{}, {} threads\n{} parameters, {} x {} tokens a step\nmatrix product   {} FLOP/s\n",
        bench.device,
        bench.threads,
        numbers::count(bench.parameters as f64),
        bench.batch,
        bench.length,
        numbers::flops(bench.matmul_flops_per_second),
    );
    for speed in &bench.training {
        text += &format!(
            "{:<16} {} tokens/s, {:.1} ms a step, {} FLOP/s ({:.0}% of the matrix product)\n",
            format!("{} training", speed.objective.name()),
            numbers::count(speed.tokens_per_second),
            speed.step_seconds * 1e3,
            numbers::flops(speed.flops_per_second),
            speed.share_of_peak * 100.0,
        );
    }
    if let Some(writing) = &bench.writing {
        let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        text += &format!(
            "forward pass     {}\nAR writing       {}, with a cache {} ({:.1} times as fast)\n\
             denoising        {} in {} steps ({:.2} forward passes a step)\n",
            milliseconds(writing.forward_seconds),
            milliseconds(writing.ar_seconds),
            milliseconds(writing.ar_cached_seconds),
            writing.ar_speedup,
            milliseconds(writing.denoising_seconds),
            writing.denoising_steps,
            writing.forwards_per_step,
        );
    }
    if let Some(bytes) = bench.peak_memory_bytes {
        text += &format!("peak memory      {}\n", numbers::memory(bytes));
    }
    text
}
