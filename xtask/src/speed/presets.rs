//! Training at every size that `crossover bench` knows.

use anyhow::{Result, ensure};

use super::bars::{Bar, Bars};
use super::{crossover, keep, kept, list, mebibytes, number};
use crate::long::binary;

const PRESETS: [&str; 9] = [
    "0.5m",
    "1m",
    "6m",
    "10m",
    "30m",
    "100m",
    "web-quick",
    "web-markov",
    "web-half-hour",
];
/// The parts of a step, as `bench` names them.
const PARTS: [&str; 4] = ["data", "forward", "backward", "optimizer"];

/// Trains the presets of `bench`, or those named, and prints how fast, as a share of this machine's own matrix product, and where
/// a step's time went; keeps it with a chart, beside what was kept of the others.
pub fn presets(named: &[&str]) -> Result<()> {
    let unknown = named.iter().find(|name| !PRESETS.contains(name));
    ensure!(
        unknown.is_none(),
        "`{}` is none of {}",
        unknown.unwrap_or(&""),
        PRESETS.join(", ")
    );
    let binary = binary()?;
    let before = kept("presets")?;
    println!(
        "| preset | parameters | batch | objective | tokens/s | GFLOP/s | share of the matrix product | data, forward, backward, optimizer, ms | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let (mut all, mut bars) = (Vec::new(), Vec::new());
    for preset in PRESETS {
        let bench = [
            "bench",
            "--threads",
            "2",
            "--peer",
            "none",
            "--preset",
            preset,
        ];
        let of_before = before.iter().find(|measured| measured["preset"] == preset);
        let measured = match of_before {
            Some(measured) if !named.is_empty() && !named.contains(&preset) => measured.clone(),
            _ => {
                let mut measured = crossover(&binary, &bench)?;
                measured["preset"] = preset.into();
                measured
            }
        };
        for row in list(&measured, "training")? {
            let objective = row["objective"].as_str().unwrap_or("?");
            let mut seconds = Vec::new();
            for part in PARTS {
                seconds.push(number(&row["spent"], &format!("{part}_seconds"))?);
            }
            let share = number(row, "share_of_peak")?;
            let milliseconds: Vec<String> = seconds
                .iter()
                .map(|seconds| format!("{:.1}", seconds * 1e3))
                .collect();
            println!(
                "| {preset} | {:.2}M | {} x {} | {objective} | {:.0} | {:.0} | {:.0} % | {} | {:.0} MiB |",
                number(&measured, "parameters")? / 1e6,
                measured["batch"],
                measured["length"],
                number(row, "tokens_per_second")?,
                number(row, "flops_per_second")? / 1e9,
                share * 100.0,
                milliseconds.join(", "),
                mebibytes(&measured, "peak_memory_bytes")?,
            );
            let step: f64 = seconds.iter().sum();
            bars.push(Bar {
                name: format!("{preset}, {objective}"),
                parts: seconds
                    .iter()
                    .map(|seconds| 100.0 * share * seconds / step)
                    .collect(),
                range: None,
                goal: None,
            });
        }
        all.push(measured);
    }
    let chart = Bars {
        title: "Share of the machine's own matrix product, parted as a step's time is: data, forward, backward, optimizer",
        unit: " %",
        bars,
    };
    keep("presets", &all, &chart.svg())
}
