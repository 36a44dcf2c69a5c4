//! A run from its first step to its last: the models take turns, are evaluated on the way, and every state that could be
//! needed again is on disk before the run goes on.

use std::collections::VecDeque;
use std::time::Duration;

use crate::corpus::{Corpus, EpochOrder};
use crate::device::Selected;
use crate::error::{Error, Kind, Result};
use crate::evaluate::{Mean, expert_shares, nats};
use crate::lab::control::Control;
use crate::lab::crossover::Evaluation;
use crate::lab::exams::{self, Exam};
use crate::lab::finale;
use crate::lab::fits;
use crate::lab::generation::Page;
use crate::lab::protocol::{
    Event, ExpertLoad, LossSpike, Outcome, SampleText, SkippedStep, Started, Straggler,
};
use crate::lab::records::Records;
use crate::lab::states::{self, Kept, States};
use crate::laws::flops::ReadCost;
use crate::model::{Decoder, Shape, Weights};
use crate::objective::{Factorization, Likelihood, Objective};
use crate::platform::{self, Instant};
use crate::ranks::Ranks;
use crate::sample::Sample;
use crate::train::checkpoint::Best;
use crate::train::spike::SpikeWatch;
use crate::train::straggler;
use crate::train::trainer::Pending;
use crate::train::{Metrics, MixedPrecision, Provenance, RunConfig, Trainer};

/// Steps whose losses may be unread on a device that works ahead of us.
const READ_BEHIND: usize = 8;

/// A browser may let a hidden tab wait: what goes beyond this is none of the models' time.
const HELD_UP: Duration = Duration::from_secs(5);

pub(super) const CONFIG: &str = "config.toml";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const EVENTS: &str = "events.jsonl";
/// Validation windows on which a mixture's experts are counted.
const COUNTED_WINDOWS: usize = 32;

const EVALUATIONS: &str = "evaluations.jsonl";

/// A run in progress.
pub(super) struct Session<'a> {
    pub config: RunConfig,
    pub records: Records,
    pub corpus: Corpus,
    pub shape: Shape,
    pub history: Vec<Evaluation>,
    control: &'a Control,
    device: &'a Selected,
    trainers: Vec<Trainer>,
    exams: Vec<Exam>,
    order: EpochOrder,
    /// Of each likelihood that a model trains by, where its losses lie.
    spikes: Vec<(Objective, Likelihood, SpikeWatch)>,
    steps: u64,
    began: Instant,
    last_read: Instant,
    states: States<'a>,
    /// How long this rank computed for each model since that was evaluated last.
    computing: Vec<Duration>,
}

/// Loads a run's text and fits its model to it.
///
/// # Errors
/// Everything that can be refused of a run before there is a folder for it.
pub fn prepare(config: &RunConfig) -> Result<(Corpus, Shape)> {
    config.check()?;
    let corpus = Corpus::load(&config.corpus, config.seed)?;
    for (part, windows) in [("validation", &corpus.validation), ("test", &corpus.test)] {
        if windows.len() < 2 {
            return Err(Error::input(format!(
                "the {part} part holds {} tokens, and a standard error needs two windows of {}",
                windows.tokens.len(),
                corpus.length()
            ))
            .with_hint("raise `--held-out`, or lower `--length`"));
        }
    }
    if config.objectives.contains(&Objective::Block) {
        config.objective.block_size(corpus.length())?;
    }
    let shape = config.model.resolve(corpus.tokenizer.vocab_size())?;
    fits::state(&shape, config.objectives.len())?;
    exams::read(config, &corpus)?;
    Ok((corpus, shape))
}

/// Carries out a new run in a folder of its own, and gives its last event.
pub(super) async fn start(
    config: RunConfig,
    folder: &str,
    force: bool,
    device: &Selected,
    control: &Control,
) -> Result<Event> {
    let ranks = &device.ranks;
    let begin = || {
        let (corpus, shape) = prepare(&config)?;
        let exams = exams::read(&config, &corpus)?;
        shares_equally(&config, ranks)?;
        let config = resolve(config, &corpus, &shape, device)?;
        fits::run(&config, &shape, corpus.length(), device)?;
        let weights = Weights::initial(&shape, config.model.initializer_range, config.seed);
        let trainers = config
            .objectives
            .iter()
            .map(|objective| Trainer::new(*objective, &config, &shape, &weights, device))
            .collect::<Result<Vec<_>>>()?;
        let text = (corpus, exams);
        Ok((config, text, shape, trainers, weights.hash()))
    };
    let (config, text, shape, trainers, hash) = ranks.agree(begin())?;
    have_in_common(&config, &hash, device)?;

    // Everything that could be refused has been; only now is anything written.
    let records = ranks.agree(Records::create(folder, force, ranks))?;
    if config.train.shard_checkpoints {
        records.can_be_shared(ranks)?;
    }
    let write = || records.write(CONFIG, config.to_toml()?.as_bytes());
    ranks.agree(write())?;
    let mut session = Session::new(config, records, text, shape, trainers, device, control);
    session.announce(hash)?;
    for message in session.corpus.notices.clone() {
        session.emit(Event::Notice { message })?;
    }
    session.save_all().await?;
    // A folder that can't be written is told before there is anything to lose.
    session.settle()?;
    session.run().await
}

/// Refuses a batch that some rank would have to wait for.
fn shares_equally(config: &RunConfig, ranks: &Ranks) -> Result<()> {
    let (batch, count) = (config.train.batch, ranks.count());
    if batch.is_multiple_of(count) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{count} ranks can't share a batch of {batch} windows equally"
    ))
    .with_hint(format!(
        "use `--batch {}`, or as many ranks as divide {batch}",
        batch.next_multiple_of(count)
    )))
}

/// Refuses ranks that would train something else than the first.
fn have_in_common(config: &RunConfig, hash: &str, device: &Selected) -> Result<()> {
    // A run that is resumed says where it began, which is no more what computes now.
    let now = provenance(device);
    let config = RunConfig {
        provenance: None,
        ..config.clone()
    };
    device.ranks.in_common(&[
        (
            "build",
            format!("{} {} {}", now.version, now.commit, now.lock_hash),
        ),
        ("device", now.backend),
        ("configuration", config.to_toml()?),
        ("first weights", hash.to_owned()),
    ])
}

/// Carries on a run from its last checkpoints, and gives its last event.
pub(super) async fn resume(folder: &str, device: &Selected, control: &Control) -> Result<Event> {
    let ranks = &device.ranks;
    let records = ranks.agree(Records::open(folder, ranks))?;
    let config = ranks.agree(read_config(&records))?;
    let name = records.name();
    if let Some(result) = stored_result(&records.read(EVENTS)?.unwrap_or_default()) {
        control.emit(Event::Notice {
            message: format!("`{name}` is a finished run"),
        });
        return Ok(Event::Result(Box::new(result)));
    }
    let load = || {
        shares_equally(&config, ranks)?;
        let corpus = Corpus::load(&config.corpus, config.seed)?;
        let exams = exams::read(&config, &corpus)?;
        let shape = config.model.resolve(corpus.tokenizer.vocab_size())?;
        let trainers = config
            .objectives
            .iter()
            .map(|objective| {
                let checkpoint = states::last(&name, *objective, control)?;
                // The source's hash says nothing of a tokenizer that comes from a file.
                if checkpoint.tokenizer != corpus.tokenizer {
                    let name = corpus.config.tokenizer.as_deref().unwrap_or_default();
                    return Err(Error::input(format!(
                        "the tokenizer `{name}` changed since this run began"
                    ))
                    .with_hint("put the old file back, or begin a new run"));
                }
                Trainer::from_checkpoint(*objective, &config, &shape, &checkpoint, device)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(((corpus, exams), shape, trainers))
    };
    let (text, shape, trainers) = ranks.agree(load())?;
    if let Some(before) = &config.provenance
        && (before.threads != device.threads || before.device != device.description)
    {
        control.emit(Event::Notice {
            message: format!(
                "this run began on {} with {} threads; now it is {} with {}, so losses may differ in the last digits",
                before.device, before.threads, device.description, device.threads
            ),
        });
    }
    let hash = Weights::initial(&shape, config.model.initializer_range, config.seed).hash();
    have_in_common(&config, &hash, device)?;
    if config.train.shard_checkpoints {
        records.can_be_shared(ranks)?;
    }
    let mut session = Session::new(config, records, text, shape, trainers, device, control);
    let cut = session.cut_back();
    ranks.agree(cut)?;
    session.announce(hash)?;
    session.run().await
}

/// The configuration of a run.
fn read_config(records: &Records) -> Result<RunConfig> {
    let hint = "give the folder that a `race` or `train` wrote";
    let text = records.need(CONFIG, hint)?;
    let origin = format!("{}/{CONFIG}", records.name());
    let config = RunConfig::from_toml(&String::from_utf8_lossy(&text), &origin)?;
    config.check()?;
    Ok(config)
}

/// Fills in what was left automatic, and where the run comes from.
pub(super) fn resolve(
    mut config: RunConfig,
    corpus: &Corpus,
    shape: &Shape,
    device: &Selected,
) -> Result<RunConfig> {
    config.corpus = corpus.config.clone();
    if config.objectives.contains(&Objective::Block) {
        config.objective.block_size = Some(config.objective.block_size(corpus.length())?);
    }
    config.model.intermediate_size = Some(shape.intermediate_size);
    config.model.num_key_value_heads = Some(shape.num_key_value_heads);
    config.model.head_dim = Some(shape.head_dim);
    config.model.vocab_size = Some(shape.vocab_size);
    if let Some(experts) = &shape.experts {
        experts.fill(&mut config.model);
    }
    let train = &mut config.train;
    let windows = corpus.train.windows_per_epoch() as f64;
    let steps = train
        .steps
        .unwrap_or((windows * train.epochs / train.batch as f64).ceil() as u64)
        .max(1);
    train.epochs = steps as f64 * train.batch as f64 / windows;
    train.steps = Some(steps);
    train.warmup_steps = Some(train.warmup(steps));
    train.micro_batch = Some(train.micro_batch.unwrap_or(train.batch));
    config.evaluate.every = Some(config.evaluate.every.unwrap_or(steps.div_ceil(40)));
    exams::resolve(&mut config.evaluate);
    config.provenance = Some(provenance(device));
    Ok(config)
}

/// What computes, from now on.
fn provenance(device: &Selected) -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("CROSSOVER_COMMIT").to_owned(),
        lock_hash: lock_hash(),
        backend: device.choice.to_string(),
        device: device.description.clone(),
        processor: platform::processor().0,
        threads: device.threads,
        started_unix: platform::unix_seconds(),
    }
}

fn lock_hash() -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(include_bytes!("../../Cargo.lock")))
}

/// The result among a run's events, once it has come to its end.
pub(super) fn stored_result(events: &[u8]) -> Option<Outcome> {
    String::from_utf8_lossy(events)
        .lines()
        .rev()
        .find_map(|line| match serde_json::from_str(line) {
            Ok(Event::Result(outcome)) => Some(*outcome),
            _ => None,
        })
}

impl<'a> Session<'a> {
    fn new(
        config: RunConfig,
        records: Records,
        (corpus, exams): (Corpus, Vec<Exam>),
        shape: Shape,
        trainers: Vec<Trainer>,
        device: &'a Selected,
        control: &'a Control,
    ) -> Self {
        Self {
            order: EpochOrder::new(&corpus.train, config.seed),
            spikes: Vec::new(),
            steps: config.train.steps.unwrap_or(1),
            history: Vec::new(),
            began: platform::now(),
            last_read: platform::now(),
            states: States::new(&config, &records, device),
            computing: vec![Duration::ZERO; trainers.len()],
            config,
            records,
            corpus,
            exams,
            shape,
            control,
            device,
            trainers,
        }
    }

    /// Brings the folder's records back to the steps of the checkpoints, and reads the evaluations up to there.
    fn cut_back(&mut self) -> Result<()> {
        let step_of = |objective: Objective| {
            self.trainers
                .iter()
                .find(|trainer| trainer.objective() == objective)
                .map_or(0, |trainer| trainer.state.step)
        };
        let metrics = self.records.read(METRICS)?.unwrap_or_default();
        let kept: String = String::from_utf8_lossy(&metrics)
            .lines()
            .filter(|line| {
                // A last line may be half a line: the process may have died while writing it.
                serde_json::from_str::<Metrics>(line)
                    .is_ok_and(|metrics| metrics.step <= step_of(metrics.objective))
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        self.records.write(METRICS, kept.as_bytes())?;
        let evaluations = self.records.read(EVALUATIONS)?.unwrap_or_default();
        let history: Vec<Evaluation> = String::from_utf8_lossy(&evaluations)
            .lines()
            .filter_map(|line| serde_json::from_str::<Evaluation>(line).ok())
            .filter(|evaluation| evaluation.step <= step_of(evaluation.objective))
            .collect();
        let mut kept = String::new();
        for evaluation in &history {
            kept.push_str(&json(evaluation)?);
            kept.push('\n');
        }
        self.records.write(EVALUATIONS, kept.as_bytes())?;
        // Events are a log and keep what was done twice; only a half line must go, or the next one would end it.
        let events = self.records.read(EVENTS)?.unwrap_or_default();
        let whole = events
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        if whole < events.len() {
            self.records.write(EVENTS, &events[..whole])?;
        }
        self.history = history;
        Ok(())
    }

    /// Records an event and tells it.
    pub fn emit(&self, event: Event) -> Result<()> {
        if !matches!(event, Event::Metrics(_)) {
            self.keep(&event)?;
        }
        self.control.emit(event);
        Ok(())
    }

    fn keep(&self, event: &Event) -> Result<()> {
        self.records.append_line(EVENTS, &json(event)?)
    }

    fn announce(&self, initial_hash: String) -> Result<()> {
        self.emit(Event::Started(Box::new(Started {
            config: self.config.clone(),
            folder: self.records.name(),
            objectives: self.config.objectives.clone(),
            step: self.step(),
            done: self
                .trainers
                .iter()
                .map(|trainer| trainer.state.step)
                .collect(),
            steps: self.steps,
            tokens_per_epoch: self.corpus.train.tokens_per_epoch() as u64,
            parameters: self.shape.parameters(),
            initial_hash,
            floor_nats: self.corpus.floor_nats,
            vocab: self.corpus.tokenizer.vocab(),
            grid_side: self.corpus.grid.as_ref().map(|grid| grid.side),
            device: self.device.description.clone(),
        })))?;
        let precision = self.config.train.precision;
        if precision.is_emulated_on(&self.device.device) {
            self.control.emit(Event::Notice {
                message: format!(
                    "{} is emulated: the processor rounds to it and multiplies in f32, which takes longer than f32 alone",
                    precision.name()
                ),
            });
        }
        Ok(())
    }

    /// Trains and measures. The last event is recorded, and left to be told once the folder is free again.
    async fn run(mut self) -> Result<Event> {
        let last = match self.train_and_measure().await {
            Ok(outcome) => Event::Result(Box::new(outcome)),
            Err(error) if error.kind() == Kind::Interrupted => Event::Stopped {
                step: self.step(),
                folder: self.records.name(),
            },
            Err(error) => return Err(error),
        };
        self.keep(&last)?;
        Ok(last)
    }

    async fn train_and_measure(&mut self) -> Result<Outcome> {
        self.train().await?;
        self.settle()?;
        self.emit(Event::Progress {
            doing: "measuring the best checkpoints on the test part".to_owned(),
        })?;
        self.while_working(finale::measure(self)).await
    }

    /// Stops or holds the run here if somebody asked any rank to, and answers what was asked meanwhile. What the first rank
    /// wrote before, the others find after it.
    pub async fn check(&self) -> Result<bool> {
        let checked = self.control.check(self.step(), self.device).await;
        match self.device.ranks.any(checked.is_err()) {
            true => Err(Error::interrupted("stopped as asked")),
            false => checked,
        }
    }

    /// Lets long work go on, holding it and answering as [`Session::check`] does.
    async fn while_working<Work: Future>(&self, work: Work) -> Work::Output {
        self.control
            .while_working(work, self.step(), self.device)
            .await
    }

    pub fn device(&self) -> &Selected {
        self.device
    }

    pub fn wall_seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Steps that every model has done.
    fn step(&self) -> u64 {
        self.trainers
            .iter()
            .map(|trainer| trainer.state.step)
            .min()
            .unwrap_or(0)
    }

    /// The models take turns, the one that is behind first, until all have done their steps.
    async fn train(&mut self) -> Result<()> {
        let read_behind = if self.device.is_processor() {
            0
        } else {
            READ_BEHIND
        };
        let mut unread: VecDeque<(usize, Pending)> = VecDeque::new();
        self.last_read = platform::now();
        loop {
            match self.check().await {
                Ok(false) => {}
                // Time that went by is none of the models'.
                Ok(true) => self.last_read = platform::now(),
                Err(asked) => {
                    self.read_all(&mut unread).await?;
                    self.save_all().await?;
                    self.settle()?;
                    return Err(asked);
                }
            }
            self.look()?;
            let is_time = self.states.is_time(self.trainers.len());
            if self.device.ranks.first_says(is_time) {
                self.read_all(&mut unread).await?;
                self.save_all().await?;
                self.last_read = platform::now();
            }
            let next = (0..self.trainers.len())
                .min_by_key(|index| self.trainers[*index].state.step)
                .filter(|index| self.trainers[*index].state.step < self.steps);
            let Some(index) = next else {
                return self.read_all(&mut unread).await;
            };
            let tokens = self.tokens(self.trainers[index].state.step);
            let length = self.corpus.length();
            let (done, waited) = (self.step(), self.control.waited());
            let (began, exchanged) = (platform::now(), self.device.ranks.exchanging());
            let stepping = self.trainers[index].step(&tokens, length, self.steps);
            let mut pending = (self.control)
                .while_working(stepping, done, self.device)
                .await?;
            // Time that went by is none of the models'.
            let waited = self.control.waited() - waited;
            pending.began += waited;
            self.last_read += waited;
            let elsewhere = waited + (self.device.ranks.exchanging() - exchanged);
            self.computing[index] += began.elapsed().saturating_sub(elsewhere);
            let step = pending.state.step;
            let every = self.config.evaluate.every.unwrap_or(self.steps);
            if step.is_multiple_of(every) || step == self.steps {
                self.read_all(&mut unread).await?;
                let lines = self.read(index, &pending).await?;
                self.evaluate(index, lines).await?;
                self.last_read = platform::now();
            } else if self.states.stays(step) {
                unread.push_back((index, pending));
                self.read_all(&mut unread).await?;
                self.save(index, self.states.kept(step, false, false))
                    .await?;
                self.last_read = platform::now();
            } else {
                unread.push_back((index, pending));
                while unread.len() > read_behind {
                    if let Some((index, pending)) = unread.pop_front() {
                        let lines = self.read(index, &pending).await?;
                        self.record(lines)?;
                    }
                }
            }
            let before = platform::now();
            platform::yield_now().await;
            if before.elapsed() > HELD_UP {
                self.last_read = platform::now();
            }
        }
    }

    /// The tokens of one optimizer step: `[batch * length]`.
    fn tokens(&mut self, step: u64) -> Vec<u32> {
        let batch = self.config.train.batch as u64;
        (step * batch..(step + 1) * batch)
            .flat_map(|index| self.order.window(index).to_vec())
            .collect()
    }

    async fn read_all(&mut self, unread: &mut VecDeque<(usize, Pending)>) -> Result<()> {
        while let Some((index, pending)) = unread.pop_front() {
            let lines = self.read(index, &pending).await?;
            self.record(lines)?;
        }
        Ok(())
    }

    /// Reads one step's figures: a line for each likelihood. A loss that is no number ends the run: the last checkpoint
    /// is from before it.
    async fn read(&mut self, index: usize, pending: &Pending) -> Result<Vec<Metrics>> {
        let result = Trainer::read(pending).await?;
        let now = platform::now();
        let seconds = (now - pending.began.max(self.last_read)).as_secs_f64();
        self.last_read = now;
        let trainer = &mut self.trainers[index];
        trainer.state.seconds += seconds;
        let objective = trainer.objective();
        let total_seconds = trainer.state.seconds;
        let finite = |value: f64| value.is_finite().then_some(value);
        let line = |likelihood: &Likelihood| Metrics {
            objective,
            likelihood: *likelihood,
            step: pending.state.step,
            epoch: pending.state.step as f64 * self.config.train.batch as f64
                / self.corpus.train.windows_per_epoch() as f64,
            tokens: pending.state.tokens,
            flops: pending.state.flops,
            seconds: total_seconds,
            train_nats: result
                .nats
                .iter()
                .find(|(trained, _)| trained == likelihood)
                .and_then(|(_, nats)| finite(*nats)),
            val_nats: None,
            val_se: None,
            bound: self.factorization(*likelihood).bound(),
            lr: pending.learning_rate,
            grad_norm: finite(result.grad_norm),
            tokens_per_second: pending.tokens as f64 / seconds.max(1e-9),
            loss_scale: pending.state.loss_scale.map(|scale| scale.scale),
            skipped_steps: pending.state.loss_scale.map(|scale| scale.skipped_steps),
            tasks: Vec::new(),
            communication_seconds: (self.device.ranks.count() > 1)
                .then_some(pending.spent.communication_seconds),
        };
        let lines: Vec<Metrics> = objective.likelihoods().iter().map(line).collect();
        for (likelihood, nats) in &result.nats {
            self.watch(objective, *likelihood, pending.state.step, *nats)?;
        }
        let mut is_broken = result.nats.iter().any(|(_, nats)| !nats.is_finite());
        match pending.state.loss_scale.filter(|_| pending.is_skipped) {
            None => is_broken |= !result.grad_norm.is_finite(),
            Some(scale) => {
                is_broken |= scale.is_exhausted();
                self.emit(Event::Skipped(SkippedStep {
                    objective,
                    step: pending.state.step,
                    loss_scale: scale.scale,
                    skipped_steps: scale.skipped_steps,
                }))?;
            }
        }
        if is_broken {
            let step = pending.state.step;
            let every = self.config.evaluate.every.unwrap_or(self.steps);
            self.record(lines)?;
            self.settle()?;
            return Err(Error::work(format!(
                "the {} model's loss became NaN or infinite at step {step}; the state of step {} is kept",
                objective.name(),
                (step - 1) / every * every
            ))
            .with_hint(match self.config.train.precision {
                MixedPrecision::F16 => {
                    "start again with `--precision bf16`, whose numbers are as large as f32's, or a lower learning rate (`--lr`)"
                }
                _ => "start again with a lower learning rate (`--lr`)",
            }));
        }
        Ok(lines)
    }

    /// Tells of a training loss that is far above those before it.
    fn watch(
        &mut self,
        objective: Objective,
        likelihood: Likelihood,
        step: u64,
        nats: f64,
    ) -> Result<()> {
        let is_its = |(model, by, _): &(Objective, Likelihood, SpikeWatch)| {
            (*model, *by) == (objective, likelihood)
        };
        let index = self.spikes.iter().position(is_its).unwrap_or_else(|| {
            self.spikes
                .push((objective, likelihood, SpikeWatch::default()));
            self.spikes.len() - 1
        });
        match self.spikes[index].2.take(nats) {
            None => Ok(()),
            Some(spike) => self.emit(Event::Spike(LossSpike {
                objective,
                likelihood,
                step,
                nats: nats.is_finite().then_some(nats),
                median: spike.median,
                limit: spike.limit,
            })),
        }
    }

    fn record(&self, lines: Vec<Metrics>) -> Result<()> {
        for metrics in lines {
            self.records.append_line(METRICS, &json(&metrics)?)?;
            self.emit(Event::Metrics(metrics))?;
        }
        Ok(())
    }

    /// What a likelihood asks for in this run.
    pub fn factorization(&self, likelihood: Likelihood) -> Factorization {
        likelihood.factorization(self.corpus.length(), self.config.objective.block_size)
    }

    /// How a model of this objective writes: by diffusion where it can.
    pub fn writes(&self, objective: Objective) -> Factorization {
        self.factorization(objective.headline())
    }

    /// Measures one model on the validation windows by each of its likelihoods, keeps its state, and lets it write
    /// something. The best state is the one with the lowest mean over the likelihoods.
    async fn evaluate(&mut self, index: usize, mut lines: Vec<Metrics>) -> Result<()> {
        let trainer = &self.trainers[index];
        let objective = trainer.objective();
        let model = trainer.model().clone().shared_by(&self.device.ranks);
        let step = trainer.state.step;
        let windows = &self.corpus.validation;
        let count = windows.count(self.config.evaluate.windows);
        let windows: Vec<&[u32]> = windows.iter().take(count).collect();
        let (mut measured, mut loads) = (Vec::new(), Vec::new());
        for metrics in &mut lines {
            let measuring = nats(
                &model,
                self.factorization(metrics.likelihood),
                &windows,
                self.config.evaluate.levels,
                self.config.seed,
            );
            let nats = self.while_working(measuring).await?;
            let mean = Mean::of(&nats)?;
            if !mean.mean.is_finite() {
                self.settle()?;
                return Err(Error::work(format!(
                    "the {} model's validation loss became NaN at step {step}; the last checkpoint is kept",
                    objective.name()
                ))
                .with_hint("start again with a lower learning rate (`--lr`)"));
            }
            metrics.val_nats = Some(mean.mean);
            metrics.val_se = Some(mean.se);
            let factorization = self.factorization(metrics.likelihood);
            let (exams, corpus, config) = (&self.exams, &self.corpus, &self.config);
            let asking = exams::scores(exams, &model, corpus, factorization, config);
            metrics.tasks = self.while_working(asking).await?;
            measured.push(Evaluation {
                objective,
                likelihood: metrics.likelihood,
                step,
                epoch: metrics.epoch,
                nats,
            });
            let counted = expert_shares(
                &model,
                self.factorization(metrics.likelihood),
                &windows[..windows.len().min(COUNTED_WINDOWS)],
                self.config.seed,
            );
            loads.extend(self.while_working(counted).await?.map(|shares| ExpertLoad {
                objective,
                likelihood: metrics.likelihood,
                step,
                busiest: shares.busiest(),
                evenness: shares.evenness(),
                shares: shares.0,
            }));
        }
        for evaluation in &measured {
            self.records.append_line(EVALUATIONS, &json(evaluation)?)?;
        }
        let mean = mean_of_likelihoods(&measured)?;
        self.history.extend(measured);
        self.record(lines)?;
        for load in loads {
            self.emit(Event::Experts(load))?;
        }

        self.tell_stragglers(index)?;

        let state = &mut self.trainers[index].state;
        let is_best = state.best.is_none_or(|best| mean.mean < best.nats);
        if is_best {
            state.best = Some(Best {
                step,
                nats: mean.mean,
                se: mean.se,
            });
        }
        let kept = self.states.kept(step, true, is_best);
        self.save(index, kept).await?;
        if !self.records.are_ours() {
            return Ok(());
        }
        let length = self.corpus.length();
        let writing = write(&model, self.writes(objective), length, step, 1);
        let sample = self.while_working(writing).await?;
        self.tell_sample(objective, step, &sample)
    }

    fn tell_sample(&self, objective: Objective, step: u64, samples: &[Sample]) -> Result<()> {
        let Some(sample) = samples.first() else {
            return Ok(());
        };
        let text = self.corpus.tokenizer.decode(&sample.tokens);
        self.records.write(
            &format!("samples/{}-{step}.txt", objective.name()),
            text.as_bytes(),
        )?;
        self.emit(Event::Sample(SampleText {
            objective,
            step,
            text,
            valid: self
                .corpus
                .grid
                .as_ref()
                .map(|grid| grid.is_valid(&sample.tokens)),
        }))
    }

    /// Tells which ranks computed for longer than the others since this model was evaluated last.
    fn tell_stragglers(&mut self, index: usize) -> Result<()> {
        let ranks = &self.device.ranks;
        let own = std::mem::take(&mut self.computing[index]);
        let late = straggler::late(&ranks.gather(vec![own.as_secs_f64()]));
        if late.is_empty() {
            return Ok(());
        }
        let hosts = ranks.say(platform::host());
        let trainer = &self.trainers[index];
        for late in late {
            self.emit(Event::Straggler(Straggler {
                objective: trainer.objective(),
                step: trainer.state.step,
                rank: late.rank as u64,
                host: hosts[late.rank].clone(),
                seconds: late.seconds,
                median: late.median,
            }))?;
        }
        Ok(())
    }

    /// Keeps every model's state.
    async fn save_all(&mut self) -> Result<()> {
        for index in 0..self.trainers.len() {
            self.save(index, vec![Kept::Last]).await?;
        }
        self.states.are_saved();
        Ok(())
    }

    /// Keeps a model's state: it is taken now, and written beside what follows.
    async fn save(&mut self, index: usize, kept: Vec<Kept>) -> Result<()> {
        self.settle()?;
        let trainer = &self.trainers[index];
        let tokenizer = &self.corpus.tokenizer;
        self.states.begin(trainer, tokenizer, kept).await?;
        self.look()
    }

    /// Tells of a state that has been written meanwhile.
    fn look(&mut self) -> Result<()> {
        match self.states.is_done() {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Waits for the state that is being written.
    fn settle(&mut self) -> Result<()> {
        for event in self.states.settle()? {
            self.emit(event)?;
        }
        Ok(())
    }
}

/// Each window's loss, averaged over the likelihoods it was measured by.
fn mean_of_likelihoods(measured: &[Evaluation]) -> Result<Mean> {
    let count = measured.len() as f64;
    let windows = measured.first().map_or(0, |first| first.nats.len());
    let means: Vec<f64> = (0..windows)
        .map(|window| {
            let nats = measured.iter().map(|evaluation| evaluation.nats[window]);
            nats.sum::<f64>() / count
        })
        .collect();
    Mean::of(&means)
}

/// Lets a model write `count` windows from nothing: token after token, or one denoising step a token.
pub(super) async fn write(
    model: &Decoder,
    factorization: Factorization,
    length: usize,
    seed: u64,
    count: u64,
) -> Result<Vec<Sample>> {
    let page = Page {
        length,
        seed,
        cost: ReadCost::of(model.shape()),
    };
    page.plain(factorization).write(model, 0..count).await
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::work("can't write a record").with_source(error))
}
