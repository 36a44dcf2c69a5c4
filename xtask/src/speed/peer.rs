//! Training and writing beside PyTorch.

use anyhow::{Result, bail};
use serde_json::Value;

use super::bars::{Bar, Bars};
use super::{crossover, keep, list, mebibytes, number};
use crate::long::binary;

/// What both sides do: flags of `bench`, and how many times as fast as PyTorch eager we are to be, and as `torch.compile`.
struct Work {
    flags: &'static [&'static str],
    eager: f64,
    compiled: Option<f64>,
}

/// Compiled at one size only: that takes minutes.
const WORKS: [Work; 6] = [
    work(&["--preset", "0.5m"], 1.5, None),
    work(&["--preset", "1m"], 1.5, None),
    work(
        &["--preset", "6m", "--peer", "eager,compile"],
        1.15,
        Some(1.0),
    ),
    work(&["--preset", "10m"], 1.15, None),
    work(&["--preset", "6m", "--writing", "ar-cached"], 3.0, None),
    work(
        &[
            "--preset",
            "6m",
            "--writing",
            "denoising",
            "--batch",
            "8",
            "--length",
            "128",
        ],
        1.3,
        None,
    ),
];

const fn work(flags: &'static [&'static str], eager: f64, compiled: Option<f64>) -> Work {
    Work {
        flags,
        eager,
        compiled,
    }
}

/// Trains and writes the same here and in PyTorch, in turns, and prints the median ratios with their range; keeps them and their
/// chart. `CROSSOVER_PEER_PYTHON` names a Python with torch.
pub fn peer() -> Result<()> {
    let binary = binary()?;
    println!(
        "| work | PyTorch | crossover, tokens/s | PyTorch, tokens/s | ratio | least, most | goal | share of PyTorch's matrix product | memory here | memory there |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let (mut kept, mut bars) = (Vec::new(), Vec::new());
    for Work {
        flags,
        eager,
        compiled,
    } in WORKS
    {
        let bench = ["bench", "--threads", "2"];
        let measured = crossover(&binary, &[&bench, flags].concat())?;
        for row in list(&measured, "training")?
            .iter()
            .chain(list(&measured, "writing")?)
        {
            for peer in list(row, "peers")? {
                let goal = match peer["mode"].as_str() {
                    Some("compile") => compiled.unwrap_or(eager),
                    _ => eager,
                };
                bars.push(line(&measured, row, peer, goal)?);
            }
        }
        kept.push(measured);
    }
    let chart = Bars {
        title: "Times as fast as PyTorch, two threads; the line is the goal, the whisker the rounds",
        unit: "",
        bars,
    };
    keep("peer", &kept, &chart.svg())
}

/// Prints one thing that both sides did, and gives its bar.
fn line(measured: &Value, row: &Value, peer: &Value, goal: f64) -> Result<Bar> {
    let name = match (row["objective"].as_str(), row["method"].as_str()) {
        (Some(objective), _) => format!("{objective} training"),
        (None, Some("ar-cached")) => "AR with a cache".to_owned(),
        (None, method) => method.unwrap_or("?").to_owned(),
    };
    let name = format!(
        "{name}, {:.1}M, {} x {}",
        number(measured, "parameters")? / 1e6,
        measured["batch"],
        measured["length"]
    );
    let mode = peer["mode"].as_str().unwrap_or("?");
    let range: Vec<f64> = list(peer, "ratio_range")?
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    let &[least, most] = range.as_slice() else {
        bail!("a range has two ends: {peer}");
    };
    let ratio = number(peer, "ratio")?;
    let share = match row["flops_per_second"].as_f64() {
        Some(flops) => {
            let theirs = number(peer, "matmul_flops_per_second")?;
            format!("{:.0} %", 100.0 * flops / theirs)
        }
        None => String::new(),
    };
    println!(
        "| {name} | {} {mode} | {:.0} | {:.0} | {ratio:.2} | {least:.2}, {most:.2} | {goal} | {share} | {:.0} MiB | {:.0} MiB |",
        peer["torch"].as_str().unwrap_or("?"),
        number(row, "tokens_per_second")?,
        number(peer, "tokens_per_second")?,
        mebibytes(measured, "peak_memory_bytes")?,
        mebibytes(peer, "peak_memory_bytes")?,
    );
    Ok(Bar {
        name: format!("{name}, {mode}"),
        parts: vec![ratio],
        range: Some((least, most)),
        goal: Some(goal),
    })
}
