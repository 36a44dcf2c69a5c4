//! What halves do to losses.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Loss, crossover, losses, number};
use crate::long::binary;

/// A race that was trained.
struct Trained {
    losses: Vec<Loss>,
    result: Value,
}

/// How far losses are from those in f32, nats/token: another seed's at most, and halves'.
struct Apart {
    seeds: f64,
    bf16: f64,
    f16: f64,
}

/// Trains the default race in f32 with three seeds, and in halves with the first, and compares losses a tenth of the run at a
/// time: their means, as single steps part by rounding alone. Halves may be as far from f32 as another seed is, in the root
/// mean square of all tenths and in the test's best loss: where a loss falls steeply, rounding too moves the moment of it.
pub fn precision(steps: u64) -> Result<()> {
    let binary = binary()?;
    let folder = std::env::temp_dir().join(format!("crossover-precision-{}", std::process::id()));
    let [every, count] = [steps.div_ceil(10), steps].map(|steps| steps.to_string());
    let mut runs = Vec::new();
    for (precision, seed) in [
        ("f32", "1"),
        ("f32", "2"),
        ("f32", "3"),
        ("bf16", "1"),
        ("f16", "1"),
    ] {
        let out = folder.join(format!("{precision}-{seed}"));
        let how = ["race", "--precision", precision, "--seed", seed, "--out"];
        let length = ["--steps", &count, "--evaluate-every", &every];
        let result = crossover(
            &binary,
            &[&how[..], &[&*out.to_string_lossy()], &length].concat(),
        )?;
        runs.push(Trained {
            losses: losses(&out.join("metrics.jsonl"))?,
            result,
        });
    }
    fs::remove_dir_all(&folder)?;
    println!(
        "| steps | objective | f32, nats | two seeds apart, of three at most | bf16 apart | f16 apart |"
    );
    println!("|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for objective in ["ar", "masked"] {
        let row = |of: &dyn Fn(&Trained) -> Result<f64>, what: &str| {
            let found = runs.iter().map(of).collect::<Result<Vec<_>>>()?;
            let of_seeds =
                (found[..3].iter()).flat_map(|a| found[..3].iter().map(move |b| (a - b).abs()));
            let seeds = of_seeds.fold(0.0, f64::max);
            let [bf16, f16] = [3, 4].map(|run| (found[run] - found[0]).abs());
            println!(
                "| {what} | {objective} | {:.4} | {seeds:.1e} | {bf16:.1e} | {f16:.1e} |",
                found[0]
            );
            Ok::<_, anyhow::Error>(Apart { seeds, bf16, f16 })
        };
        let mut tenths = Vec::new();
        for start in (1..=steps).step_by(steps.div_ceil(10) as usize) {
            let range = start..(start + steps.div_ceil(10)).min(steps + 1);
            let what = format!("{start} to {}", range.end - 1);
            let mean = |trained: &Trained| {
                let those = trained
                    .losses
                    .iter()
                    .filter(|loss| loss.objective == objective && range.contains(&loss.step));
                let nats: Vec<f64> = those.map(|loss| loss.train_nats).collect();
                Ok(nats.iter().sum::<f64>() / nats.len() as f64)
            };
            tenths.push(row(&mean, &what)?);
        }
        let mean_square = |of: &dyn Fn(&Apart) -> f64| {
            tenths.iter().map(|apart| of(apart).powi(2)).sum::<f64>() / tenths.len() as f64
        };
        let all = Apart {
            seeds: mean_square(&|apart| apart.seeds).sqrt(),
            bf16: mean_square(&|apart| apart.bf16).sqrt(),
            f16: mean_square(&|apart| apart.f16).sqrt(),
        };
        println!(
            "| all, root mean square | {objective} | | {:.1e} | {:.1e} | {:.1e} |",
            all.seeds, all.bf16, all.f16
        );
        let best = |trained: &Trained| number(&trained.result, &format!("{objective}_best_nats"));
        let best = row(&best, "test, best")?;
        for (apart, what) in [(all, "all steps"), (best, "test, best")] {
            if apart.bf16.max(apart.f16) > apart.seeds {
                missed.push(format!("{objective}, {what}"));
            }
        }
    }
    ensure!(
        missed.is_empty(),
        "losses of halves are farther from f32's than another seed's: {}",
        missed.join("; ")
    );
    Ok(())
}
