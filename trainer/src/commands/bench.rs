//! `bench`: training speed on this machine, as a share of its own matrix product, or writing speed; beside PyTorch where
//! there is one.

use anyhow::Result;
use crossover::device::{DeviceChoice, Selected};
use crossover::error::{Error, nearest};
use crossover::lab::bench::{
    Method, Speed, Sum, Writer, matmul_peak, memory_bandwidth, sums, training_speed,
};
use crossover::laws::collectives::Link;
use crossover::objective::Objective;
use crossover::platform;
use crossover::train::{MixedPrecision, RunConfig};
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::BenchArguments;
use crate::commands::{print_json, print_text};
use crate::peer::{self, Measured, Mode, Peer, Setting, Work};
use crate::{devices, settings};

/// A shape and a batch with a name.
struct Preset {
    name: &'static str,
    hidden_size: usize,
    layers: usize,
    heads: usize,
    vocab_size: usize,
    batch: usize,
    length: usize,
    /// Steps that take some seconds on two cores.
    steps: u64,
}

const fn preset(
    name: &'static str,
    [hidden_size, layers, heads]: [usize; 3],
    work: [usize; 4],
) -> Preset {
    let [vocab_size, batch, length, steps] = work;
    Preset {
        name,
        hidden_size,
        layers,
        heads,
        vocab_size,
        batch,
        length,
        steps: steps as u64,
    }
}

/// Named by parameters, with the vocabulary of an English text by character; and what the page's presets train, in
/// `web/src/settings/preset.rs`.
const PRESETS: [Preset; 9] = [
    preset("0.5m", [96, 4, 4], [66, 8, 64, 40]),
    preset("1m", [128, 5, 4], [66, 8, 64, 30]),
    preset("6m", [256, 8, 4], [66, 16, 256, 4]),
    preset("10m", [320, 8, 5], [66, 16, 256, 3]),
    preset("30m", [512, 10, 8], [66, 16, 256, 2]),
    preset("100m", [768, 14, 12], [66, 8, 256, 1]),
    preset("web-quick", [96, 4, 4], [6, 40, 25, 40]),
    preset("web-markov", [32, 2, 4], [4, 32, 32, 100]),
    preset("web-half-hour", [192, 6, 6], [66, 64, 128, 3]),
];

impl Preset {
    fn find(name: &str) -> Result<&'static Self, Error> {
        let names = || PRESETS.iter().map(|preset| preset.name);
        PRESETS
            .iter()
            .find(|preset| preset.name == name)
            .ok_or_else(|| {
                let hint = match nearest(name, names()) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
                };
                Error::input(format!("there is no preset `{name}` to measure")).with_hint(hint)
            })
    }
}

#[derive(Serialize)]
struct Bench {
    event: &'static str,
    device: String,
    threads: usize,
    precision: MixedPrecision,
    parameters: u64,
    batch: usize,
    length: usize,
    matmul_flops_per_second: f64,
    memory_bytes_per_second: f64,
    training: Vec<Training>,
    writing: Vec<Writing>,
    peak_memory_bytes: Option<u64>,
    /// Of several processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    between_ranks: Option<BetweenRanks>,
}

/// How fast several processes add up numbers.
#[derive(Serialize)]
struct BetweenRanks {
    ranks: usize,
    sums: Vec<Sum>,
    /// The link of a ring that takes these times, as `flops --interconnect` has it.
    bandwidth_bytes_per_second: f64,
    latency_seconds: f64,
}

impl BetweenRanks {
    fn measure(device: &Selected) -> Result<Option<Self>, Error> {
        let ranks = device.ranks.count();
        if ranks == 1 {
            return Ok(None);
        }
        let sums = sums(&device.ranks, &device.device)?;
        let times: Vec<_> = sums
            .iter()
            .map(|sum| (sum.bytes as f64, sum.seconds))
            .collect();
        let Link { bandwidth, latency } = Link::fitted(ranks, &times);
        Ok(Some(Self {
            ranks,
            sums,
            bandwidth_bytes_per_second: bandwidth,
            latency_seconds: latency,
        }))
    }
}

#[derive(Serialize)]
struct Training {
    #[serde(flatten)]
    speed: Speed,
    peers: Vec<Beside>,
}

#[derive(Serialize)]
struct Writing {
    method: Method,
    model_calls: usize,
    seconds: f64,
    tokens_per_second: f64,
    peers: Vec<Beside>,
}

/// PyTorch's side: medians over the rounds.
#[derive(Serialize)]
struct Beside {
    mode: Mode,
    torch: String,
    seconds: f64,
    tokens_per_second: f64,
    /// How many times as fast we were, in the median round.
    ratio: f64,
    /// The same in the worst round for us, and in the best.
    ratio_range: [f64; 2],
    matmul_flops_per_second: f64,
    peak_memory_bytes: u64,
}

/// What both sides did in every round.
struct Rounds<T> {
    ours: Vec<T>,
    peers: Vec<(Mode, Vec<Measured>)>,
}

/// Times both objectives in training, or several methods of writing.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let preset = Preset::find(arguments.preset.as_deref().unwrap_or(PRESETS[0].name))?;
    let is_training = arguments.writing.is_empty();
    let preset_batch = if is_training { preset.batch } else { 1 };
    let batch = arguments.batch.unwrap_or(preset_batch);
    let length = arguments.length.unwrap_or(preset.length);
    let steps = arguments.steps.unwrap_or(preset.steps);
    let vocab_size = arguments.vocab_size.unwrap_or(preset.vocab_size);
    if [batch as u64, length as u64, steps, arguments.rounds].contains(&0) || vocab_size < 2 {
        return Err(Error::input(
            "`--batch`, `--length`, `--steps` and `--rounds` are at least 1, `--vocab-size` at least 2",
        )
        .into());
    }
    let device = devices::choose_together(&arguments.common, arguments.engine)?;
    let ranks = device.ranks.count();
    let mut config = RunConfig {
        seed: settings::seed(&arguments.common),
        ..RunConfig::default()
    };
    config.model.hidden_size = preset.hidden_size;
    config.model.num_hidden_layers = preset.layers;
    config.model.num_attention_heads = preset.heads;
    settings::overlay_model(&mut config.model, &arguments.model)?;
    for objective in &config.objectives {
        objective.check_routing(&config.model)?;
    }
    config.train.batch = batch * ranks;
    config.train.recompute = arguments.recompute;
    if let Some(name) = &arguments.precision {
        config.train.precision = settings::precision(name)?;
    }
    let precision = config.train.precision;
    MixedPrecision::check(&config)?;
    precision.check_device(&device.device, &device.description)?;
    let shape = config.model.resolve(vocab_size)?;
    let setting = Setting {
        shape: &shape,
        batch,
        length,
        threads: device.threads,
        device: device.choice,
        precision,
    };
    let mut beside = Peers::find(arguments, setting, &device)?;
    let measured = pollster::block_on(async {
        let peak = matmul_peak(&device.device, precision).await?;
        let all_peaks = peak * ranks as f64;
        let (mut training, mut writing) = (Vec::new(), Vec::new());
        if is_training {
            let objectives = [Objective::Autoregressive, Objective::Masked];
            let mut all = objectives.map(|_| Rounds::new());
            for _ in 0..arguments.rounds {
                for (objective, rounds) in objectives.into_iter().zip(&mut all) {
                    let speed = training_speed(
                        objective, &config, &shape, length, steps, all_peaks, &device,
                    );
                    rounds.ours.push(speed.await?);
                    beside.measure(Work::Training { objective, steps }, &mut rounds.peers)?;
                }
            }
            training.extend(all.into_iter().map(Rounds::training));
        } else {
            let writer = Writer::new(&config, &shape, batch, length, &device)?;
            let mut all: Vec<_> = arguments.writing.iter().map(|_| Rounds::new()).collect();
            for round in 0..arguments.rounds {
                for (method, rounds) in arguments.writing.iter().zip(&mut all) {
                    if round == 0 {
                        // To warm up.
                        writer.time(*method).await?;
                    }
                    rounds.ours.push(writer.time(*method).await?);
                    beside.measure(Work::Writing(*method), &mut rounds.peers)?;
                }
            }
            let methods = arguments.writing.iter().zip(all);
            writing.extend(methods.map(|(method, rounds)| rounds.writing(*method, batch, length)));
        }
        // What comes next takes memory of its own.
        let peak_memory_bytes = platform::peak_memory_bytes();
        Ok::<_, Error>(Bench {
            event: "result",
            device: device.description.clone(),
            threads: device.threads,
            precision,
            parameters: shape.parameters(),
            batch,
            length,
            matmul_flops_per_second: peak,
            memory_bytes_per_second: memory_bandwidth(&device.device).await?,
            training,
            writing,
            peak_memory_bytes,
            between_ranks: BetweenRanks::measure(&device)?,
        })
    })?;
    if !device.ranks.is_first() {
        return Ok(());
    }
    if arguments.common.json {
        return print_json(&measured);
    }
    print_text(&text(&measured))
}

/// PyTorch, in the modes that were asked for; no mode where there is none.
struct Peers<'a> {
    python: Option<Peer>,
    modes: Vec<Mode>,
    setting: Setting<'a>,
}

impl<'a> Peers<'a> {
    /// Looks for PyTorch, and says on standard error why it is left out where it is.
    fn find(
        arguments: &BenchArguments,
        setting: Setting<'a>,
        device: &Selected,
    ) -> Result<Self, Error> {
        let mut modes = match arguments.peer.as_slice() {
            // Compiling takes longer than all the rest, so it is for those who ask.
            [] => vec![Mode::Eager],
            asked => asked.to_vec(),
        };
        modes.retain(|mode| match mode {
            Mode::None => false,
            Mode::Eager => true,
            Mode::Compile => arguments.writing.is_empty(),
        });
        let mut python = None;
        if !modes.is_empty() {
            let why = if device.ranks.count() > 1 {
                Some("we compare one process alone")
            } else if !matches!(device.choice, DeviceChoice::Cpu | DeviceChoice::Cuda) {
                Some("we compare on the processor and through CUDA")
            } else if setting.precision.is_emulated_on(&device.device) {
                Some("halves are imitated on the processor")
            } else if !peer::knows(setting.shape) {
                Some("the peer has no shared key heads and no tied embeddings")
            } else {
                python = Peer::find()?;
                let missing = "python3 has no torch; $CROSSOVER_PEER_PYTHON names one that has";
                python.is_none().then_some(missing)
            };
            if let Some(why) = why
                && device.ranks.is_first()
            {
                eprintln!("without PyTorch: {why}");
            }
        }
        Ok(Self {
            python,
            modes,
            setting,
        })
    }

    /// Does a round's work in each mode, and notes what it took.
    fn measure(&mut self, work: Work, into: &mut Vec<(Mode, Vec<Measured>)>) -> Result<(), Error> {
        // It has no forward pass without writing, and no loop so wasteful as one without a cache.
        let has_peer = !matches!(work, Work::Writing(Method::Forward | Method::Ar));
        let Some(python) = self.python.as_ref().filter(|_| has_peer) else {
            return Ok(());
        };
        into.resize_with(self.modes.len(), || (Mode::None, Vec::new()));
        for (mode, (into_mode, rounds)) in self.modes.iter().zip(into) {
            *into_mode = *mode;
            rounds.push(python.measure(*mode, work, self.setting)?);
        }
        Ok(())
    }
}

impl<T> Rounds<T> {
    fn new() -> Self {
        Self {
            ours: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// PyTorch's side, with `seconds` of ours.
    fn beside(&self, seconds: impl Fn(&T) -> f64) -> Vec<Beside> {
        let each = self.peers.iter().map(|(mode, theirs)| {
            let mut ratios: Vec<f64> = theirs
                .iter()
                .zip(&self.ours)
                .map(|(theirs, ours)| theirs.seconds / seconds(ours))
                .collect();
            ratios.sort_by(f64::total_cmp);
            let middle = median(theirs, |measured| measured.seconds);
            Beside {
                mode: *mode,
                torch: middle.torch.clone(),
                seconds: middle.seconds,
                tokens_per_second: middle.tokens_per_second,
                ratio: ratios[ratios.len() / 2],
                ratio_range: [ratios[0], ratios[ratios.len() - 1]],
                matmul_flops_per_second: middle.matmul_flops_per_second,
                peak_memory_bytes: middle.peak_memory_bytes,
            }
        });
        each.collect()
    }
}

impl Rounds<Speed> {
    fn training(self) -> Training {
        Training {
            peers: self.beside(|speed| speed.step_seconds),
            speed: median(&self.ours, |speed| speed.step_seconds).clone(),
        }
    }
}

impl Rounds<f64> {
    fn writing(self, method: Method, batch: usize, length: usize) -> Writing {
        let seconds = *median(&self.ours, |seconds| *seconds);
        Writing {
            method,
            model_calls: method.model_calls(length),
            seconds,
            tokens_per_second: (batch * length) as f64 / seconds,
            peers: self.beside(|seconds| *seconds),
        }
    }
}

/// The item in the middle, by `of`; there is one at least.
fn median<T>(items: &[T], of: impl Fn(&T) -> f64) -> &T {
    let mut order: Vec<&T> = items.iter().collect();
    order.sort_by(|left, right| of(left).total_cmp(&of(right)));
    order[order.len() / 2]
}

fn text(bench: &Bench) -> String {
    let mut text = format!(
        "{}, {}, {}\nroofline         {} FLOP/s in a matrix product, {:.1} GB/s from and to memory\n\
         {} parameters, {} x {} tokens at once\n",
        bench.device,
        numbers::counted(bench.threads, "thread"),
        bench.precision.name(),
        numbers::flops(bench.matmul_flops_per_second),
        bench.memory_bytes_per_second / 1e9,
        numbers::count(bench.parameters as f64),
        bench.batch,
        bench.length,
    );
    for Training { speed, peers } in &bench.training {
        text += &format!(
            "{:<16} {} tokens/s, {:.1} ms a step, {} FLOP/s ({:.0}% of the matrix product)\n",
            format!("{} training", speed.objective.name()),
            numbers::count(speed.tokens_per_second),
            speed.step_seconds * 1e3,
            numbers::flops(speed.flops_per_second),
            speed.share_of_peak * 100.0,
        );
        if let Some(spent) = &speed.spent {
            let mut parts = vec![
                ("data", spent.data_seconds),
                ("forward", spent.forward_seconds),
                ("backward", spent.backward_seconds),
                ("optimizer", spent.optimizer_seconds),
            ];
            if bench.between_ranks.is_some() {
                parts.push(("communication", spent.communication_seconds));
            }
            let parts: Vec<String> = parts
                .into_iter()
                .map(|(name, seconds)| format!("{name} {:.1} ms", seconds * 1e3))
                .collect();
            text += &format!("  {}\n", parts.join(", "));
        }
        peers.iter().for_each(|peer| text += &line(peer));
    }
    for writing in &bench.writing {
        let name = match writing.method {
            Method::Forward => "forward pass",
            Method::Ar => "AR",
            Method::ArCached => "AR with a cache",
            Method::Denoising => "denoising",
        };
        text += &format!(
            "{name:<16} {:.1} ms in {}, {} tokens/s\n",
            writing.seconds * 1e3,
            numbers::counted(writing.model_calls, "model call"),
            numbers::count(writing.tokens_per_second),
        );
        writing.peers.iter().for_each(|peer| text += &line(peer));
    }
    if let Some(between) = &bench.between_ranks {
        text += &format!(
            "{:<16} {gigabytes:.3} GB/s, {microseconds:.1} µs: `flops --interconnect {gigabytes:.3}:{microseconds:.1}`\n",
            format!("between {} ranks", between.ranks),
            gigabytes = between.bandwidth_bytes_per_second / 1e9,
            microseconds = between.latency_seconds * 1e6,
        );
    }
    if let Some(bytes) = bench.peak_memory_bytes {
        text += &format!("peak memory      {}\n", numbers::memory(bytes));
    }
    text
}

/// What PyTorch did, and how many times as fast we were.
fn line(peer: &Beside) -> String {
    let mode = match peer.mode {
        Mode::Compile => "torch.compile",
        Mode::Eager | Mode::None => "PyTorch eager",
    };
    let [worst, best] = peer.ratio_range;
    format!(
        "  {mode:<14} {} tokens/s in {} ({}): we are {:.2} times as fast ({worst:.2} to {best:.2})\n",
        numbers::count(peer.tokens_per_second),
        numbers::memory(peer.peak_memory_bytes),
        peer.torch,
        peer.ratio,
    )
}
