//! `flops --ranks`: what a training step would take on many GPUs.

use crossover::error::{Error, nearest};
use crossover::laws::collectives::{Interconnect, Link};
use crossover::laws::scaling::{Plan, Precision, Step};
use crossover::model::Shape;
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::ClusterArguments;
use crate::settings;

/// A GPU, by its maker's data sheet: FLOPs a second of dense matrix products, and bytes of memory.
struct Gpu {
    name: &'static str,
    bf16: f64,
    tf32: f64,
    memory: f64,
}

const GPUS: [Gpu; 6] = [
    Gpu {
        name: "h100",
        bf16: 989e12,
        tf32: 494.5e12,
        memory: 80e9,
    },
    Gpu {
        name: "h200",
        bf16: 989e12,
        tf32: 494.5e12,
        memory: 141e9,
    },
    Gpu {
        name: "b200",
        bf16: 2_250e12,
        tf32: 1_125e12,
        memory: 180e9,
    },
    Gpu {
        name: "a100",
        bf16: 312e12,
        tf32: 156e12,
        memory: 80e9,
    },
    Gpu {
        name: "l40s",
        bf16: 362e12,
        tf32: 183e12,
        memory: 48e9,
    },
    Gpu {
        name: "rtx-4090",
        bf16: 165.2e12,
        tf32: 82.6e12,
        memory: 24e9,
    },
];

/// Whose link it is.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    /// Each rank has one.
    Rank,
    /// The ranks of a node share one.
    Node,
}

/// Links by name: gigabytes a second each way, microseconds. As NCCL's model of them has it (`src/graph/topo.h`; latencies of
/// its "Simple" protocol in `src/graph/tuning.cc`): below the data sheet, near what can be reached. Networks of supercomputers
/// have an adapter for each GPU, Ethernet one for a node. `shared-memory` is OpenMPI between two processes of a busy 2-core
/// machine: 9 ms for an all-reduce of 4 MiB.
const LINKS: [(&str, f64, f64, Owner); 10] = [
    ("nvlink3", 240.0, 3.4, Owner::Rank),
    ("nvlink4", 370.8, 3.4, Owner::Rank),
    ("nvlink5", 721.8, 3.4, Owner::Rank),
    ("pcie4", 24.0, 5.7, Owner::Rank),
    ("pcie5", 48.0, 5.7, Owner::Rank),
    ("shared-memory", 0.466, 5.7, Owner::Rank),
    ("hdr200", 24.0, 9.6, Owner::Rank),
    ("ndr400", 48.0, 9.6, Owner::Rank),
    ("ethernet25", 3.0, 9.6, Owner::Node),
    ("ethernet100", 12.0, 9.6, Owner::Node),
];

const DEFAULT_GPU: &str = "h100";
const DEFAULT_MFU: f64 = 0.4;
const DEFAULT_INTERCONNECT: &str = "nvlink4+ndr400";
const DEFAULT_RANKS_PER_NODE: usize = 8;

/// The most ranks that are predicted: far above any cluster.
const MOST_RANKS: usize = 1 << 20;

const DAY: f64 = 86_400.0;

/// What trains, as the configuration and its flags have it.
pub(super) struct Run<'a> {
    pub shape: &'a Shape,
    pub length: usize,
    pub batch: usize,
    pub micro_batch: Option<usize>,
    pub recompute: bool,
    pub zero_stage: u8,
    /// Of the whole run.
    pub tokens: Option<f64>,
}

/// A prediction.
#[derive(Serialize)]
pub(super) struct Scaling {
    gpu: String,
    peak_flops_per_second: f64,
    gpu_memory_bytes: Option<f64>,
    mfu: f64,
    interconnect: String,
    ranks_per_node: usize,
    precision: Precision,
    zero1: bool,
    overlap: bool,
    recompute: bool,
    tokens: Option<f64>,
    steps: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    step: Step,
    /// Step time of perfect scaling from one rank, over this one.
    efficiency: f64,
    /// Days of the whole run.
    days: Option<f64>,
}

impl Scaling {
    /// Predicts what was asked for; `None` where nothing was.
    ///
    /// # Errors
    /// Input errors: names that there are not, numbers outside their range, more ranks than windows.
    pub fn predict(cluster: &ClusterArguments, run: &Run<'_>) -> Result<Option<Self>, Error> {
        let batch = run.batch;
        let Some(ranks) = cluster.ranks else {
            return Ok(None);
        };
        for (flag, value) in [
            ("--ranks", Some(ranks)),
            ("--ranks-per-node", cluster.ranks_per_node),
            ("--batch-per-rank", cluster.batch_per_rank),
            ("--micro-batch", cluster.micro_batch),
        ] {
            if value.is_some_and(|value| value == 0 || value > MOST_RANKS) {
                return Err(Error::input(format!("`{flag}` can't be that"))
                    .with_hint(format!("give a number from 1 to {MOST_RANKS}")));
            }
        }
        if cluster.batch_per_rank.is_none() && ranks > batch {
            return Err(Error::input(format!(
                "a batch of {batch} windows can't be shared out among {ranks} ranks"
            ))
            .with_hint("`--batch-per-rank N` lets the batch grow with the ranks"));
        }
        let zero_stage = match cluster.zero1 {
            true => 1,
            false => cluster.zero_stage.unwrap_or(run.zero_stage),
        };
        if zero_stage > 1 {
            return Err(Error::input(format!("`--zero-stage` is {zero_stage}"))
                .with_hint("0 keeps the optimizer's state on each rank, 1 shares it out"));
        }
        let precision = match &cluster.precision {
            Some(name) => settings::named("--precision", name, &["bf16", "f32"])?,
            None => Precision::Bf16,
        };
        let name = cluster.gpu.as_deref().unwrap_or(DEFAULT_GPU);
        let (peak, memory) = gpu(name, precision)?;
        let mfu = share("--mfu", cluster.mfu.unwrap_or(DEFAULT_MFU))?;
        let links = cluster
            .interconnect
            .as_deref()
            .unwrap_or(DEFAULT_INTERCONNECT);
        let ranks_per_node = cluster.ranks_per_node.unwrap_or(DEFAULT_RANKS_PER_NODE);
        let plan = Plan {
            shape: run.shape.clone(),
            length: run.length,
            micro_batch: cluster.micro_batch.or(run.micro_batch),
            flops_per_second: peak * mfu,
            peak,
            precision,
            recompute: run.recompute,
            zero1: zero_stage == 1,
            overlap: !cluster.no_overlap,
            interconnect: interconnect(links, ranks_per_node)?,
        };
        let tokens = match cluster.tokens {
            Some(tokens) if tokens > 0.0 && tokens.is_finite() => Some(tokens),
            Some(tokens) => {
                return Err(Error::input(format!("`--tokens` is {tokens}"))
                    .with_hint("give a number above 0, such as 96e9"));
            }
            None => run.tokens,
        };
        let row = |ranks: usize| Row::of(&plan, cluster, ranks, batch, mfu, tokens);
        Ok(Some(Self {
            gpu: name.to_owned(),
            peak_flops_per_second: peak,
            gpu_memory_bytes: memory,
            mfu,
            interconnect: links.to_owned(),
            ranks_per_node,
            precision,
            zero1: plan.zero1,
            overlap: plan.overlap,
            recompute: plan.recompute,
            tokens,
            steps: doublings(ranks).map(row).collect(),
        }))
    }

    /// Lines of a table.
    pub fn text(&self) -> String {
        let precision = match self.precision {
            Precision::Bf16 => "bf16",
            Precision::F32 => "f32",
        };
        let optimizer = match self.zero1 {
            true => ", optimizer shared out (ZeRO-1)",
            false => "",
        };
        let overlap = match self.overlap {
            true => "sent while the backward pass computes",
            false => "sent after the backward pass",
        };
        let mut text = format!(
            "\npredicted on {} ({} TFLOP/s, {} of it reached by one rank), {} of up to {} ranks a node, {precision}, gradients \
             {overlap}{optimizer}\n\n\
             \x20ranks  batch       step    exposed    MFU   scaling     tokens/s   memory a rank   with ZeRO-1      days\n",
            self.gpu,
            numbers::short(self.peak_flops_per_second / 1e12),
            percent(self.mfu),
            self.interconnect,
            self.ranks_per_node,
        );
        for Row {
            step,
            efficiency,
            days,
        } in &self.steps
        {
            let memory = |bytes: f64| {
                let fits = self.gpu_memory_bytes.is_none_or(|memory| bytes <= memory);
                let mark = if fits { " " } else { "!" };
                format!("{}{mark}", numbers::memory(bytes as u64))
            };
            let days = days.map_or("–".to_owned(), |days| format!("{days:.2}"));
            text += &format!(
                "{:>6} {:>6} {:>8.1} ms {:>7.1} ms {:>6} {:>8} {:>13} {:>15} {:>13} {:>9}\n",
                step.ranks,
                step.batch,
                step.step_seconds * 1e3,
                step.exposed_seconds * 1e3,
                percent(step.mfu),
                percent(*efficiency),
                numbers::grouped(step.tokens_per_second as u64),
                memory(step.memory_bytes),
                memory(step.memory_bytes_zero1),
                days,
            );
        }
        if text.contains('!') {
            text += "! more than the GPU has: a smaller --micro-batch, --recompute or --zero-stage 1 need less\n";
        }
        text
    }
}

impl Row {
    fn of(
        plan: &Plan,
        cluster: &ClusterArguments,
        ranks: usize,
        batch: usize,
        mfu: f64,
        tokens: Option<f64>,
    ) -> Self {
        let batch = cluster.batch_per_rank.map_or(batch, |each| each * ranks);
        let step = plan.step(ranks, batch);
        // What one rank would reach: with recomputation less than it computes.
        let alone = mfu * if plan.recompute { 0.75 } else { 1.0 };
        Self {
            efficiency: step.mfu / alone,
            days: tokens.map(|tokens| tokens / step.tokens_per_second / DAY),
            step,
        }
    }
}

/// 1, 2, 4 and so on, and the last.
fn doublings(last: usize) -> impl Iterator<Item = usize> {
    let powers = std::iter::successors(Some(1_usize), |power| power.checked_mul(2));
    powers
        .take_while(move |power| *power < last)
        .chain(std::iter::once(last))
}

fn percent(share: f64) -> String {
    format!("{} %", numbers::short(share * 100.0))
}

fn share(flag: &str, value: f64) -> Result<f64, Error> {
    match value > 0.0 && value <= 1.0 {
        true => Ok(value),
        false => Err(Error::input(format!("`{flag}` is {value}"))
            .with_hint("give a share above 0 and up to 1, such as 0.4")),
    }
}

/// A GPU's peak, and its memory where it is known.
fn gpu(name: &str, precision: Precision) -> Result<(f64, Option<f64>), Error> {
    if let Some(gpu) = GPUS.iter().find(|gpu| gpu.name == name) {
        let peak = match precision {
            Precision::Bf16 => gpu.bf16,
            Precision::F32 => gpu.tf32,
        };
        return Ok((peak, Some(gpu.memory)));
    }
    match name.parse::<f64>() {
        Ok(peak) if peak > 0.0 && peak.is_finite() => Ok((peak * 1e12, None)),
        _ => {
            let names: Vec<&str> = GPUS.iter().map(|gpu| gpu.name).collect();
            Err(unknown(
                "--gpu",
                name,
                &names,
                "its peak in TFLOP/s, such as 120",
            ))
        }
    }
}

fn interconnect(links: &str, ranks_per_node: usize) -> Result<Interconnect, Error> {
    match links.split_once('+') {
        None => Ok(Interconnect {
            inside: link(links)?.0,
            between: None,
            ranks_per_node,
        }),
        Some((inside, between)) => {
            let (link_between, owner) = link(between)?;
            let adapters = match owner {
                Owner::Rank => ranks_per_node as f64,
                Owner::Node => 1.0,
            };
            Ok(Interconnect {
                inside: link(inside)?.0,
                between: Some(Link {
                    bandwidth: link_between.bandwidth * adapters,
                    ..link_between
                }),
                ranks_per_node,
            })
        }
    }
}

/// A link by its name, or by its figures; those are a node's where nodes have it.
fn link(name: &str) -> Result<(Link, Owner), Error> {
    let of = |gigabytes: f64, microseconds: f64| Link {
        bandwidth: gigabytes * 1e9,
        latency: microseconds * 1e-6,
    };
    if let Some((_, bandwidth, latency, owner)) = LINKS.iter().find(|(known, ..)| *known == name) {
        return Ok((of(*bandwidth, *latency), *owner));
    }
    let figures = name.split_once(':').and_then(|(bandwidth, latency)| {
        let figures = (bandwidth.parse::<f64>().ok()?, latency.parse::<f64>().ok()?);
        let sound = figures.0 > 0.0 && figures.1 >= 0.0 && (figures.0 + figures.1).is_finite();
        sound.then(|| of(figures.0, figures.1))
    });
    match figures {
        Some(link) => Ok((link, Owner::Node)),
        None => {
            let names: Vec<&str> = LINKS.iter().map(|(name, ..)| *name).collect();
            Err(unknown(
                "--interconnect",
                name,
                &names,
                "GB/s:MICROSECONDS, such as 48:9.6",
            ))
        }
    }
}

fn unknown(flag: &str, value: &str, known: &[&str], otherwise: &str) -> Error {
    let error = Error::input(format!("`{flag}` can't be `{value}`"));
    match nearest(value, known.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("one of {}, or {otherwise}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_names_or_figures_of_a_rank_or_a_node() {
        let nodes = interconnect("nvlink4+ndr400", 8).expect("known links");
        assert_eq!(nodes.inside.bandwidth, 370.8e9);
        // An adapter for each of eight ranks, and one Ethernet for all.
        assert_eq!(nodes.between.map(|link| link.bandwidth), Some(8.0 * 48e9));
        let ethernet = interconnect("pcie4+ethernet100", 4).expect("known links");
        assert_eq!(ethernet.between.map(|link| link.bandwidth), Some(12e9));
        let own = interconnect("400:3+25:20", 8).expect("figures");
        assert_eq!(own.inside.latency, 3e-6);
        assert_eq!(own.between.map(|link| link.bandwidth), Some(25e9));
        assert!(
            interconnect("shared-memory", 8)
                .expect("known")
                .between
                .is_none()
        );
        for wrong in ["nvlink9", "0:1", "1:-1", "1", "x:y", "nvlink4+", "inf:1"] {
            assert!(interconnect(wrong, 8).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranks_double_up_to_the_last() {
        let ranks = |last| doublings(last).collect::<Vec<_>>();
        assert_eq!(ranks(1), [1]);
        assert_eq!(ranks(8), [1, 2, 4, 8]);
        assert_eq!(ranks(12), [1, 2, 4, 8, 12]);
    }
}
