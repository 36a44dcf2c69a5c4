//! Training on several processes of this machine, beside what `crossover flops --ranks` predicts of it. Prints a table of
//! `docs/performance.md`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::long::{binary_for_ranks, launcher};
use crate::speed::{Shape, crossover, flags, last_line, list, number};

/// What trains: 6.4 and 0.5 million parameters, with the windows of each process, the steps that are timed, and on how many
/// processes. Four share two cores on the machine that this was written on, where steps of the larger model would take minutes.
const SHAPES: [(Shape, u32, &[u32]); 2] = [
    ([256, 8, 4, 66, 16, 256], 4, &[1, 2]),
    ([96, 4, 4, 66, 8, 64], 40, &[1, 2, 4]),
];

/// How often everything is measured, processes by themselves in turns with ranks.
const ROUNDS: usize = 3;

/// Share of a step of two ranks that communication may take, of the first shape.
const MOST_OVERHEAD: f64 = 0.1;

/// What was measured of one objective: one entry for each round.
#[derive(Default)]
struct Measured {
    /// Seconds of a step of processes that know nothing of each other, on the same machine at the same time.
    alone: Vec<f64>,
    /// FLOP/s of one of those.
    flops_per_second: Vec<f64>,
    /// Seconds of a step of ranks.
    together: Vec<f64>,
    /// Seconds of those in which the first rank exchanged numbers or waited for others.
    exchanging: Vec<f64>,
}

/// Measures and predicts; `quick` for a look at whether it works: the small shape once.
///
/// Processes that share memory and cores are slower than one, with nothing to say to each other. That is none of what is
/// predicted, so predictions start from as many processes by themselves.
pub fn run(quick: bool) -> Result<()> {
    let binary = binary_for_ranks()?;
    let (shapes, rounds) = match quick {
        true => (&SHAPES[1..], 1),
        false => (&SHAPES[..], ROUNDS),
    };
    let cores = std::thread::available_parallelism()?;
    println!("{cores} cores, one thread a process\n");
    println!(
        "| hidden size, layers, windows a process | objective | processes | by themselves, ms a step | link: GB/s, µs | \
         predicted exchange, ms | measured, with waiting, ms | predicted step, ms | measured step, ms | prediction off by | \
         overhead |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut overhead_of_two = 0.0_f64;
    for (index, (shape, steps, counts)) in shapes.iter().enumerate() {
        for &ranks in *counts {
            for overhead in compare(&binary, *shape, *steps, ranks, rounds)? {
                if index == 0 && ranks == 2 {
                    overhead_of_two = overhead_of_two.max(overhead);
                }
            }
        }
    }
    ensure!(
        quick || overhead_of_two < MOST_OVERHEAD,
        "communication takes {:.0} % of a step of two ranks, and may take {:.0} %",
        overhead_of_two * 100.0,
        MOST_OVERHEAD * 100.0
    );
    Ok(())
}

/// Prints a line for each objective, and gives the share of a step that it takes to be ranks.
fn compare(binary: &Path, shape: Shape, steps: u32, ranks: u32, rounds: usize) -> Result<Vec<f64>> {
    let mut arguments = vec!["bench".to_owned()];
    arguments.extend(flags(shape));
    arguments.extend(
        [
            "--rounds",
            "1",
            "--peer",
            "none",
            "--threads",
            "1",
            "--device",
            "cpu",
            "--json",
        ]
        .map(str::to_owned),
    );
    arguments.extend(["--steps".to_owned(), steps.to_string()]);
    let mut all = [Measured::default(), Measured::default()];
    let mut links: [Vec<f64>; 2] = Default::default();
    for _ in 0..rounds {
        let alone = by_themselves(binary, &arguments, ranks)?;
        let together = launcher(binary, ranks as usize).args(&arguments).output()?;
        let together = last_line(together).context("ranks failed")?;
        for (objective, measured) in all.iter_mut().enumerate() {
            let of = |bench: &Value, key: &str| number(&list(bench, "training")?[objective], key);
            let mean = |key: &str| -> Result<f64> {
                let sum: f64 = alone
                    .iter()
                    .map(|bench| of(bench, key))
                    .sum::<Result<f64>>()?;
                Ok(sum / f64::from(ranks))
            };
            measured.alone.push(mean("step_seconds")?);
            measured.flops_per_second.push(mean("flops_per_second")?);
            measured.together.push(of(&together, "step_seconds")?);
            let spent = &list(&together, "training")?[objective]["spent"];
            measured
                .exchanging
                .push(number(spent, "communication_seconds")?);
        }
        if ranks > 1 {
            let between = &together["between_ranks"];
            links[0].push(number(between, "bandwidth_bytes_per_second")? / 1e9);
            links[1].push(number(between, "latency_seconds")? * 1e6);
        }
    }
    let link = match ranks {
        1 => None,
        _ => Some(links.map(median)),
    };
    ["ar", "masked"]
        .into_iter()
        .zip(all)
        .map(|(objective, measured)| {
            let predicted = predict(binary, shape, ranks, median(measured.flops_per_second), link)?;
            let [hidden_size, layers, _, _, windows, length] = shape;
            let (alone, together) = (median(measured.alone), median(measured.together));
            let step = number(&predicted, "step_seconds")?;
            let link = match link {
                None => String::new(),
                Some([gigabytes, microseconds]) => format!("{gigabytes:.2}, {microseconds:.0}"),
            };
            let overhead = 1.0 - alone / together;
            println!(
                "| {hidden_size}, {layers}, {windows} x {length} | {objective} | {ranks} | {:.1} | {link} | {:.1} | {:.1} | {:.1} | {:.1} | \
                 {:+.0} % | {:.0} % |",
                alone * 1e3,
                number(&predicted, "communication_seconds")? * 1e3,
                median(measured.exchanging) * 1e3,
                step * 1e3,
                together * 1e3,
                (step / together - 1.0) * 100.0,
                overhead * 100.0,
            );
            Ok(overhead)
        })
        .collect()
}

/// What as many processes measure at the same time that know nothing of each other.
fn by_themselves(binary: &Path, arguments: &[String], count: u32) -> Result<Vec<Value>> {
    let start = |_| {
        let mut alone = Command::new(binary);
        alone
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(alone.spawn()?)
    };
    let started = (0..count).map(start).collect::<Result<Vec<_>>>()?;
    started
        .into_iter()
        .map(|alone| last_line(alone.wait_with_output()?).context("a process by itself failed"))
        .collect()
}

/// A step as `crossover flops` has it, of ranks that compute as fast as was measured, over a link as was measured.
fn predict(
    binary: &Path,
    shape: Shape,
    ranks: u32,
    flops_per_second: f64,
    link: Option<[f64; 2]>,
) -> Result<Value> {
    let [hidden_size, layers, heads, vocab_size, windows, length] = shape;
    let whole = [
        hidden_size,
        layers,
        heads,
        vocab_size,
        windows * ranks,
        length,
    ];
    let mut arguments = vec!["flops".to_owned()];
    arguments.extend(flags(whole));
    // Nothing is sent before the backward pass is over.
    arguments
        .extend(["--precision", "f32", "--no-overlap", "--mfu", "1", "--gpu"].map(str::to_owned));
    arguments.push((flops_per_second / 1e12).to_string());
    arguments.extend(["--ranks".to_owned(), ranks.to_string()]);
    if let Some([gigabytes, microseconds]) = link {
        arguments.extend([
            "--interconnect".to_owned(),
            format!("{gigabytes}:{microseconds}"),
        ]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let predicted = crossover(binary, &arguments)?;
    let last = list(&predicted["scaling"], "steps")?.last();
    last.cloned().context("flops predicted nothing")
}

/// The one in the middle; there is one at least.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
