//! What the supervisor decides: pure, so that every failure can be rehearsed. What happened goes in, with the time;
//! [`Deed`]s, events for the app and notices come out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crossover::lab::{Answer, CheckpointKind, Command, Event, Request, RunSummary, Started};
use crossover::laws::memory;
use crossover::objective::Objective;

use super::{
    Action, Compute, DeviceInfo, Loading, Loss, Message, Notice, Opening, Order, Severity,
    StorageInfo, span,
};
use crate::numbers::grouped;

/// Silence after which a worker counts as hung, seconds.
const PATIENCE: f64 = 30.0;
/// The same while it starts, which may mean a slow download or a slow driver.
const PATIENCE_AT_START: f64 = 90.0;
/// A page that was not drawn for so long, seconds, may have been asleep itself: nothing follows from silence then.
const ASLEEP: f64 = 5.0;
/// Losses within this many seconds are counted together.
const RECENT: f64 = 300.0;
/// The loss that ends automatic restarts.
const TRIES: usize = 3;
/// Seconds that a lab gets to end a run and keep its files.
const CLOSING: f64 = 8.0;
/// The supervisor's own question.
const OWN: u64 = 0;

const READ_ONLY: &str = "Training in another tab. Read-only here.";

/// What the supervisor is to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// Drop the link, where there is one, and open another.
    Open(Opening),
    /// Drop the link.
    Drop,
    /// Send this.
    Send(Order),
    /// Note for the next visit that this run is under way, or none.
    Remember(Option<String>),
}

/// A run under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its folder: what commands name.
    pub folder: String,
    /// Steps that every model has done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The step a resumed run would begin at.
    pub saved: u64,
    /// Whether it is held.
    pub paused: bool,
    /// Bytes that training it needs by the law, for its batch and for half of it, again and again.
    needs: Vec<(usize, u64)>,
    done: BTreeMap<Name, u64>,
    kept: BTreeMap<Name, u64>,
}

type Name = &'static str;

impl Watched {
    fn new(started: &Started) -> Self {
        let each: BTreeMap<Name, u64> = started
            .objectives
            .iter()
            .map(|objective| (objective.name(), started.step_of(*objective)))
            .collect();
        Self {
            folder: started.folder.clone(),
            step: started.step,
            steps: started.steps,
            saved: started.step,
            paused: false,
            needs: needs(started),
            done: each.clone(),
            kept: each,
        }
    }

    fn did(&mut self, objective: Objective, step: u64) {
        self.done.insert(objective.name(), step);
        self.step = self.done.values().copied().min().unwrap_or(step);
    }

    fn kept(&mut self, objective: Objective, step: u64) {
        self.kept.insert(objective.name(), step);
        self.saved = self.kept.values().copied().min().unwrap_or(step);
    }
}

/// Bytes that training needs by the law, for the run's batch and for half of it, again and again.
fn needs(started: &Started) -> Vec<(usize, u64)> {
    let config = &started.config;
    let vocab = config.model.vocab_size.unwrap_or(started.vocab.len());
    let (Ok(shape), Some(length)) = (config.model.resolve(vocab), config.corpus.length) else {
        return Vec::new();
    };
    let models = started.objectives.len() as u64 * memory::training_state_bytes(&shape);
    let halves = std::iter::successors(Some(config.train.batch), |batch| Some(batch / 2))
        .take_while(|batch| *batch > 0);
    halves
        .map(|batch| {
            (
                batch,
                models + memory::activation_bytes(&shape, batch, length, config.train.recompute),
            )
        })
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    /// A new link is to follow as soon as this one has kept everything.
    Closing,
    Closed,
}

/// A loss that is being made good.
#[derive(Debug, Clone, Copy)]
struct Recovery {
    reason: Loss,
    step: Option<u64>,
    attempt: usize,
}

/// What the supervisor wants to know from the list of runs.
#[derive(Debug, Clone, PartialEq)]
enum Question {
    /// Whether this run was cut off when the page closed.
    CutOff(String),
    /// What is kept of this run, which is given up for this reason.
    GivenUp { folder: String, reason: Loss },
}

/// One place for each kind of notice: a newer one takes it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Device,
    Loss,
    CutOff,
    ReadOnly,
    Storage,
    Download,
    Sleep,
    Other,
}

#[derive(Debug)]
pub(super) struct Watch {
    pub device: Option<DeviceInfo>,
    pub storage: StorageInfo,
    pub loading: Option<Loading>,
    pub memory: u64,
    pub run: Option<Watched>,
    pub compute: Compute,
    phase: Phase,
    /// Whether links of this kind give signs of life.
    beats: bool,
    patience: f64,
    heard: f64,
    looked: Option<f64>,
    closing_ends: f64,
    queue: VecDeque<Command>,
    asked: BTreeSet<u64>,
    /// The folder of a run that was sent off and has not begun.
    begun: Option<String>,
    recovery: Option<Recovery>,
    losses: VecDeque<(f64, Loss)>,
    gave_up: bool,
    question: Option<Question>,
    cut_off: Option<String>,
    notices: Vec<(Place, Notice)>,
    shown: Vec<Notice>,
    numbered: u64,
    events: Vec<Event>,
    deeds: Vec<Deed>,
}

impl Watch {
    /// Begins with opening a lab; `cut_off` is the run that was under way when the app was open last, `beats` whether
    /// links of this kind give signs of life.
    pub fn new(
        compute: Compute,
        cut_off: Option<String>,
        beats: bool,
        patience: Option<f64>,
    ) -> Self {
        let mut watch = Self {
            device: None,
            storage: StorageInfo::default(),
            loading: None,
            memory: 0,
            run: None,
            compute,
            phase: Phase::Opening,
            beats,
            patience: patience.unwrap_or(PATIENCE),
            heard: 0.0,
            looked: None,
            closing_ends: 0.0,
            queue: VecDeque::new(),
            asked: BTreeSet::new(),
            begun: None,
            recovery: None,
            losses: VecDeque::new(),
            gave_up: false,
            question: None,
            cut_off,
            notices: Vec::new(),
            shown: Vec::new(),
            numbered: 0,
            events: Vec::new(),
            deeds: Vec::new(),
        };
        watch.open(false);
        watch
    }

    pub fn deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn notices(&self) -> &[Notice] {
        &self.shown
    }

    /// Takes note that time goes by.
    pub fn look(&mut self, now: f64) {
        // A page that is drawn anew may count its time anew.
        let slept = self
            .looked
            .is_none_or(|looked| now - looked > ASLEEP || now < looked);
        self.looked = Some(now);
        if slept {
            self.heard = now;
        }
        let patience = match self.phase {
            Phase::Opening => self.patience.max(PATIENCE_AT_START),
            _ => self.patience,
        };
        let silent = now - self.heard;
        match self.phase {
            Phase::Closing if now > self.closing_ends => self.reopen(now),
            Phase::Opening | Phase::Open if self.beats && silent > patience => {
                let detail = format!("no sign of life for {}", span(silent));
                self.lost(Loss::Silence, &detail, now);
            }
            _ => {}
        }
    }

    /// Takes note of what the link told.
    pub fn hear(&mut self, message: Message, now: f64) {
        self.heard = now;
        match message {
            Message::Loading(loading) => self.loading = Some(loading),
            Message::Ready => self.loading = None,
            Message::Unreachable { loading, detail } => self.unreachable(loading, detail),
            Message::Opened(info) => self.opened(info),
            Message::Lab(event) => self.event(event),
            Message::Storage(info) => self.stored(info),
            Message::Alive { memory } => self.memory = memory,
            Message::Slept { seconds } => {
                let text = format!("The browser paused this tab for {}.", span(seconds));
                self.tell(Place::Sleep, Severity::Info, text, None, vec![]);
            }
            Message::Closed if self.phase == Phase::Closing => self.reopen(now),
            Message::Closed => {}
            Message::Lost { reason, detail } => self.lost(reason, &detail, now),
        }
    }

    /// Sends a command, as soon as there is a lab to take it.
    pub fn command(&mut self, command: Command) {
        if self.storage.read_only
            && let Some(refused) = refused(&command)
        {
            self.events.push(refused);
            return;
        }
        if matches!(command, Command::Start { .. } | Command::Resume { .. }) {
            self.forget(Place::CutOff);
        }
        match self.phase {
            Phase::Open => self.deliver(command),
            Phase::Opening | Phase::Closing => self.queue.push_back(command),
            Phase::Closed => self.undone(&command, "the trainer is not running"),
        }
    }

    /// Moves to another device. A run under way is carried on there.
    pub fn choose(&mut self, compute: Compute, now: f64) {
        let same = compute == self.compute;
        self.compute = compute;
        self.losses.clear();
        self.gave_up = false;
        match self.phase {
            Phase::Open
                if same
                    && self
                        .device
                        .as_ref()
                        .is_some_and(|device| device.compute == compute) => {}
            Phase::Open => {
                self.phase = Phase::Closing;
                self.closing_ends = now + CLOSING;
                self.deeds.push(Deed::Send(Order::Close));
            }
            Phase::Closing => {}
            Phase::Opening | Phase::Closed => self.reopen(now),
        }
    }

    /// A button was pressed; says whether that is settled here.
    pub fn act(&mut self, id: u64, action: Action, now: f64) -> bool {
        let pressed = self.shown.iter().find(|notice| notice.id == id).cloned();
        let run = pressed.and_then(|notice| notice.run);
        match action {
            Action::UseProcessor => {
                self.choose(Compute::Processor, now);
                self.resume(run);
            }
            Action::UseGpu => {
                let compute = match self.compute {
                    Compute::Gpu | Compute::SoftwareGpu => self.compute,
                    _ => Compute::Auto,
                };
                // What was not found before is looked for again, so that being there already is no reason to stay.
                self.device = None;
                self.choose(compute, now);
            }
            Action::Resume => self.resume(run),
            Action::Retry => self.reopen(now),
            Action::Export
            | Action::FreeSpace
            | Action::Reload
            | Action::Why
            | Action::SmallerBatch(_) => return false,
        }
        self.dismiss(id);
        true
    }

    pub fn dismiss(&mut self, id: u64) {
        self.notices.retain(|(_, notice)| notice.id != id);
        self.show();
    }

    pub fn say(&mut self, severity: Severity, text: String, actions: Vec<Action>) {
        self.tell(Place::Other, severity, text, None, actions);
    }

    fn resume(&mut self, run: Option<String>) {
        if self.run.is_none()
            && let Some(folder) = run
        {
            self.command(Command::Resume { folder });
        }
    }

    fn open(&mut self, again: bool) {
        self.phase = Phase::Opening;
        self.deeds.push(Deed::Open(Opening {
            compute: self.compute,
            again,
            ..Opening::default()
        }));
    }

    fn reopen(&mut self, now: f64) {
        self.refuse_all("the trainer moved to another device");
        self.forget(Place::Download);
        self.heard = now;
        self.open(true);
    }

    fn opened(&mut self, info: DeviceInfo) {
        self.phase = Phase::Open;
        self.loading = None;
        self.forget(Place::Device);
        if let Some(text) = info.note.clone() {
            let mut actions = Vec::new();
            if info.may_find_gpu {
                actions.push(Action::UseGpu);
            }
            if info.why.is_some() {
                actions.push(Action::Why);
            }
            self.tell(
                Place::Device,
                Severity::Info,
                text,
                info.why.clone(),
                actions,
            );
        }
        let badge = info.badge.clone();
        self.device = Some(info);
        if let Some(run) = self.run.clone() {
            self.deliver_resume(run.folder);
            if run.paused {
                self.deliver(Command::Pause);
            }
        } else if let Some(recovery) = self.recovery.take() {
            let text = match recovery.reason {
                Loss::Device => format!("GPU lost. Restarted on {badge}."),
                _ => "Trainer stopped. Restarted.".to_owned(),
            };
            self.tell(Place::Loss, Severity::Warning, text, None, vec![]);
        }
        if self.question.is_none()
            && self.run.is_none()
            && !self.storage.read_only
            && let Some(folder) = self.cut_off.take()
        {
            self.question = Some(Question::CutOff(folder));
        }
        if self.question.is_some() {
            self.deeds.push(Deed::Send(Order::Lab(Command::Ask {
                request: OWN,
                what: Request::Runs,
            })));
        }
        for command in std::mem::take(&mut self.queue) {
            self.deliver(command);
        }
    }

    fn deliver_resume(&mut self, folder: String) {
        self.deeds
            .push(Deed::Send(Order::Lab(Command::Resume { folder })));
    }

    fn deliver(&mut self, command: Command) {
        match &command {
            Command::Ask { request, .. } => {
                self.asked.insert(*request);
            }
            Command::Start { folder, .. } | Command::Resume { folder } if self.run.is_none() => {
                self.begun = Some(folder.clone());
            }
            _ => {}
        }
        self.deeds.push(Deed::Send(Order::Lab(command)));
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::Answer {
                request: OWN,
                answer,
                ..
            } => {
                if let Answer::Runs { runs } = answer.as_ref() {
                    self.answered(runs);
                }
                return;
            }
            Event::Refused { request: OWN, .. } => {
                self.answered(&[]);
                return;
            }
            Event::Answer {
                request,
                last: true,
                ..
            } => {
                self.asked.remove(request);
            }
            Event::Refused { request, .. } => {
                self.asked.remove(request);
            }
            Event::Started(started) => self.started(started),
            Event::Metrics(metrics) => {
                if let Some(run) = &mut self.run {
                    run.did(metrics.objective, metrics.step);
                }
            }
            Event::Checkpoint {
                objective,
                step,
                kind: CheckpointKind::Last,
            } => {
                if let Some(run) = &mut self.run {
                    run.kept(*objective, *step);
                }
            }
            Event::Paused { .. } | Event::Continued => {
                if let Some(run) = &mut self.run {
                    run.paused = event != Event::Continued;
                }
            }
            // The run goes on elsewhere.
            Event::Stopped { .. } if self.phase == Phase::Closing => return,
            ended if ended.ends_run() => self.ended(ended),
            _ => {}
        }
        self.events.push(event);
    }

    fn started(&mut self, started: &Started) {
        self.begun = None;
        self.run = Some(Watched::new(started));
        self.deeds
            .push(Deed::Remember(Some(started.folder.clone())));
        if let Some(recovery) = self.recovery.take() {
            let (lost, from) = (
                grouped(recovery.step.unwrap_or(started.step)),
                grouped(started.step),
            );
            let text = match recovery.reason {
                Loss::Device => format!(
                    "GPU lost at step {lost}. Resumed from {from} (try {} of {TRIES}).",
                    recovery.attempt
                ),
                _ => format!("Trainer stopped at step {lost}. Restarted from {from}."),
            };
            self.tell(Place::Loss, Severity::Warning, text, None, vec![]);
        }
    }

    fn ended(&mut self, event: &Event) {
        let was = self.run.take();
        self.begun = None;
        self.deeds.push(Deed::Remember(None));
        if let (Some(recovery), Event::Failed { message, .. }) = (self.recovery.take(), event) {
            let step = grouped(recovery.step.unwrap_or_default());
            let text = format!("The run stopped at step {step} and can't go on: {message}.");
            self.tell(Place::Loss, Severity::Error, text, None, vec![]);
            self.about(Place::Loss, was.map(|run| run.folder));
        }
    }

    /// The list of runs came.
    fn answered(&mut self, runs: &[RunSummary]) {
        let summary = |folder: &str| runs.iter().find(|run| run.run == folder);
        match self.question.take() {
            Some(Question::CutOff(folder)) => match summary(&folder) {
                Some(run)
                    if run.outcome.is_none() && run.step < run.steps && self.run.is_none() =>
                {
                    let text = format!(
                        "The run stopped at step {} when this page closed.",
                        grouped(run.saved)
                    );
                    self.tell(
                        Place::CutOff,
                        Severity::Info,
                        text,
                        None,
                        vec![Action::Resume],
                    );
                    self.about(Place::CutOff, Some(folder));
                }
                _ => self.deeds.push(Deed::Remember(None)),
            },
            Some(Question::GivenUp { folder, reason }) => {
                let kept = match summary(&folder) {
                    Some(run) => format!("Run saved at {}.", grouped(run.saved)),
                    None => "The run was not saved.".to_owned(),
                };
                self.tell_given_up(reason, &kept);
                self.about(Place::Loss, Some(folder));
            }
            None => {}
        }
    }

    fn tell_given_up(&mut self, reason: Loss, kept: &str) {
        let (text, actions) = match reason {
            Loss::Device => (
                "GPU failed three times.",
                vec![Action::UseProcessor, Action::Export],
            ),
            _ => (
                "Trainer stopped three times.",
                vec![Action::Resume, Action::Export],
            ),
        };
        let text = format!("{text} {kept}").trim_end().to_owned();
        self.tell(Place::Loss, Severity::Error, text, None, actions);
    }

    fn lost(&mut self, reason: Loss, detail: &str, now: f64) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if self.phase == Phase::Closing {
            self.reopen(now);
            return;
        }
        self.heard = now;
        self.loading = None;
        self.refuse_all("the trainer stopped before it could answer");
        if let Some(folder) = self.begun.take() {
            self.events.push(Event::Failed {
                message: format!("`{folder}` could not begin: {detail}"),
                hint: None,
                input: false,
            });
        }
        self.losses.push_back((now, reason));
        self.losses.retain(|(at, _)| now - at <= RECENT);
        let of_gpu = |loss: Loss| loss == Loss::Device;
        let attempt = self
            .losses
            .iter()
            .filter(|(_, loss)| of_gpu(*loss) == of_gpu(reason))
            .count();
        if self.gave_up && attempt >= TRIES {
            // Even a lab that was left alone died.
            self.phase = Phase::Closed;
            self.deeds.push(Deed::Drop);
            self.question = None;
            self.tell(
                Place::Loss,
                Severity::Error,
                "The trainer can't be restarted.".to_owned(),
                Some(detail.to_owned()),
                vec![Action::Reload],
            );
            return;
        }
        let out_of_memory = reason == Loss::Memory && self.run.is_some();
        if attempt >= TRIES || out_of_memory {
            self.give_up(reason, detail);
            return;
        }
        let step = self.run.as_ref().map(|run| run.step);
        // A loss on the way back up is a further try at the same step.
        let step = step.max(self.recovery.and_then(|earlier| earlier.step));
        self.recovery = Some(Recovery {
            reason,
            step,
            attempt,
        });
        let who = match reason {
            Loss::Device => "GPU lost",
            _ => "Trainer stopped",
        };
        let text = match step {
            Some(step) => format!("{who} at step {}. Restarting.", grouped(step)),
            None => format!("{who}. Restarting."),
        };
        self.tell(
            Place::Loss,
            Severity::Warning,
            text,
            Some(detail.to_owned()),
            vec![],
        );
        self.open(true);
    }

    /// No more restarts by itself: the run is left as it is kept.
    fn give_up(&mut self, reason: Loss, detail: &str) {
        self.recovery = None;
        let run = self.run.take();
        if let Some(run) = &run {
            self.events.push(Event::Stopped {
                step: run.saved,
                folder: run.folder.clone(),
            });
        }
        if reason == Loss::Device {
            self.compute = Compute::Processor;
        }
        match (run, reason) {
            (Some(run), Loss::Memory) => {
                // What a GPU has is not told.
                let on_gpu = self.device.as_ref().is_some_and(|device| device.gpu);
                let refused = if on_gpu { 0 } else { self.memory };
                let (text, smaller) = refused_memory(&run.needs, refused);
                let smaller = smaller.map(Action::SmallerBatch);
                let actions = smaller.into_iter().chain([Action::Export]).collect();
                self.tell(
                    Place::Loss,
                    Severity::Error,
                    text,
                    Some(detail.to_owned()),
                    actions,
                );
                self.about(Place::Loss, Some(run.folder));
            }
            (Some(run), _) => {
                self.gave_up = true;
                self.question = Some(Question::GivenUp {
                    folder: run.folder,
                    reason,
                });
            }
            (None, _) => {
                self.gave_up = true;
                self.tell_given_up(reason, "");
            }
        }
        self.open(true);
    }

    fn unreachable(&mut self, loading: Loading, detail: String) {
        self.phase = Phase::Closed;
        self.loading = None;
        self.refuse_all("the trainer could not be loaded");
        while let Some(command) = self.queue.pop_front() {
            self.undone(&command, "the trainer could not be loaded");
        }
        let text = match loading.total > 0.0 && loading.loaded < loading.total {
            true => format!(
                "Download stopped at {:.1} of {:.1} MB.",
                loading.loaded / 1e6,
                loading.total / 1e6
            ),
            false => "The trainer could not be loaded.".to_owned(),
        };
        self.tell(
            Place::Download,
            Severity::Error,
            text,
            Some(detail),
            vec![Action::Retry],
        );
    }

    fn stored(&mut self, info: StorageInfo) {
        let before = std::mem::replace(&mut self.storage, info);
        let now = self.storage.clone();
        if now.read_only != before.read_only {
            match now.read_only {
                true => self.tell(
                    Place::ReadOnly,
                    Severity::Info,
                    READ_ONLY.to_owned(),
                    None,
                    vec![],
                ),
                false => self.forget(Place::ReadOnly),
            }
        }
        if now.full != before.full {
            match now.full {
                true => {
                    let text = "Storage full. The run continues but won't survive closing.";
                    self.tell(
                        Place::Storage,
                        Severity::Warning,
                        text.to_owned(),
                        None,
                        vec![Action::Export, Action::FreeSpace],
                    );
                    let run = self.run.as_ref().map(|run| run.folder.clone());
                    self.about(Place::Storage, run);
                }
                false => self.forget(Place::Storage),
            }
        }
        if now.cleared && !before.cleared {
            let text = "The browser cleared saved runs.".to_owned();
            self.tell(Place::Other, Severity::Warning, text, None, vec![]);
        }
    }

    /// What was asked of a lab that is gone is answered in its place.
    fn refuse_all(&mut self, why: &str) {
        for request in std::mem::take(&mut self.asked) {
            self.events.push(Event::Refused {
                request,
                message: why.to_owned(),
                hint: Some("ask again".to_owned()),
            });
        }
    }

    fn undone(&mut self, command: &Command, why: &str) {
        match command {
            Command::Ask { request, .. } => self.events.push(Event::Refused {
                request: *request,
                message: why.to_owned(),
                hint: None,
            }),
            Command::Start { .. } | Command::Resume { .. } => self.events.push(Event::Failed {
                message: why.to_owned(),
                hint: None,
                input: false,
            }),
            Command::Pause | Command::Continue | Command::Stop => {}
        }
    }

    fn tell(
        &mut self,
        place: Place,
        severity: Severity,
        text: String,
        more: Option<String>,
        actions: Vec<Action>,
    ) {
        if place != Place::Other {
            self.notices.retain(|(taken, _)| *taken != place);
        }
        self.numbered += 1;
        let notice = Notice {
            id: self.numbered,
            severity,
            text,
            more,
            actions,
            run: None,
        };
        self.notices.push((place, notice));
        self.show();
    }

    /// The notice at a place is about this run.
    fn about(&mut self, place: Place, run: Option<String>) {
        for (taken, notice) in &mut self.notices {
            if *taken == place {
                notice.run = run.clone();
            }
        }
        self.show();
    }

    fn forget(&mut self, place: Place) {
        self.notices.retain(|(taken, _)| *taken != place);
        self.show();
    }

    /// The bar shows the last: the worst, and of equally bad ones the newest; what is said of a device at each opening gives
    /// way to all others.
    fn show(&mut self) {
        let mut shown: Vec<&(Place, Notice)> = self.notices.iter().collect();
        shown.sort_by_key(|(place, notice)| (notice.severity, *place != Place::Device));
        self.shown = shown
            .into_iter()
            .map(|(_, notice)| notice.clone())
            .collect();
    }
}

/// What to say of a run that needs more memory than there was, and the batch that should fit. `refused` is how much the
/// lab had when it got no more, 0 where that is unknown.
fn refused_memory(needs: &[(usize, u64)], refused: u64) -> (String, Option<usize>) {
    let gigabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e9);
    let needed = needs.first().map_or(0, |(_, bytes)| *bytes);
    // Where the law says that it fits, the law is too low: half of it is a guess.
    let fits =
        |bytes: u64| bytes < needed && (refused == 0 || needed <= refused || bytes <= refused);
    let smaller = needs
        .iter()
        .find(|(_, bytes)| fits(*bytes))
        .map(|(batch, _)| *batch);
    let mut text = format!(
        "Needs about {} GB; the device refused",
        gigabytes(needed.max(refused))
    );
    if refused > 0 {
        text += &format!(" at {}", gigabytes(refused));
    }
    text += &match smaller {
        Some(batch) => format!(". Batch {batch} should fit."),
        None => ". Choose a smaller width or context.".to_owned(),
    };
    (text, smaller)
}

/// How a command that would write is refused where another tab writes.
fn refused(command: &Command) -> Option<Event> {
    match command {
        Command::Start { .. } | Command::Resume { .. } => Some(Event::Failed {
            message: READ_ONLY.to_owned(),
            hint: None,
            input: true,
        }),
        Command::Ask {
            request,
            what:
                Request::Keep { .. }
                | Request::Import { .. }
                | Request::Rename { .. }
                | Request::Remove { .. },
        } => Some(Event::Refused {
            request: *request,
            message: READ_ONLY.to_owned(),
            hint: None,
        }),
        _ => None,
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
