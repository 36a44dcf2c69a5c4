//! The states that a run keeps of its models: written beside the training, and read back when it goes on.
//!
//! Values are taken from the device on the run's own thread; another one makes files of them. At most one state is under way, so
//! that a run needs memory for one more and a failure is told at the next one at the latest. All ranks take part: what one
//! can't write, none has written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::corpus::Tokenizer;
use crate::device::Selected;
use crate::error::{Error, Result};
use crate::lab::control::Control;
use crate::lab::protocol::{CheckpointKind, Event};
use crate::lab::records::Records;
use crate::objective::Objective;
use crate::platform::{self, Beside, Folder, Instant};
use crate::ranks::Ranks;
use crate::train::index::{INDEX, Index, SHARDS, ShardFile};
use crate::train::{Checkpoint, Extent, Precision, RunConfig, Trainer};

const FOLDER: &str = "checkpoints";
const SINGLE: &str = ".safetensors";

/// A crash loses about as much of a run as this, or as keeps saving below one part in [`AUTOSAVE_COSTS`] of the time.
const AUTOSAVE: Duration = Duration::from_secs(8);
const AUTOSAVE_COSTS: u32 = 50;

/// Which of a model's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The newest.
    Last,
    /// The one with the lowest validation loss.
    Best,
    /// That of a step, which others don't replace.
    Step(u64),
}

impl Kept {
    /// Its file's path in the run's folder, without what says which form it has.
    fn stem(self, objective: Objective) -> String {
        let name = objective.name();
        match self {
            Self::Last => format!("{FOLDER}/last-{name}"),
            Self::Best => format!("{FOLDER}/best-{name}"),
            Self::Step(step) => format!("{FOLDER}/step-{step}-{name}"),
        }
    }
}

/// Where a model's checkpoint is kept in the run's folder, when it is one file.
pub fn file_name(objective: Objective, kind: CheckpointKind) -> String {
    let kept = match kind {
        CheckpointKind::Last => Kept::Last,
        CheckpointKind::Best => Kept::Best,
    };
    kept.stem(objective) + SINGLE
}

/// The files of all states of a run, by their paths in its folder.
fn files(run: &str) -> Vec<String> {
    // Where nothing was written yet there is no folder.
    let files = platform::folder_files(&format!("{run}/{FOLDER}")).unwrap_or_default();
    let name = |(name, _)| format!("{FOLDER}/{name}");
    files.into_iter().map(name).collect()
}

/// The path of a state, in whichever form it is kept.
pub(super) fn find(run: &str, objective: Objective, kept: Kept) -> Option<String> {
    let (files, stem) = (files(run), kept.stem(objective));
    [INDEX, SINGLE]
        .map(|form| format!("{stem}{form}"))
        .into_iter()
        .find(|name| files.contains(name))
        .map(|name| format!("{run}/{name}"))
}

/// The step of a state that is named by it.
fn step_of(file: &str, objective: Objective) -> Option<u64> {
    let name = file.strip_prefix(FOLDER)?.strip_prefix("/step-")?;
    let name = name.strip_suffix(INDEX).or(name.strip_suffix(SINGLE))?;
    let (step, model) = name.split_once('-')?;
    (model == objective.name()).then(|| step.parse().ok())?
}

/// Steps of a model's states that are named by them, the newest first.
fn steps(files: &[String], objective: Objective) -> Vec<u64> {
    let steps = files.iter().filter_map(|file| step_of(file, objective));
    let steps: BTreeSet<u64> = steps.collect();
    steps.into_iter().rev().collect()
}

/// A model's last state; where that is damaged, the newest sound one before it.
pub(super) fn last(run: &str, objective: Objective, control: &Control) -> Result<Checkpoint> {
    let path = find(run, objective, Kept::Last).ok_or_else(|| {
        let file = file_name(objective, CheckpointKind::Last);
        Error::input(format!("`{run}/{file}` is missing"))
            .with_hint("without its last checkpoint a run can't go on; start it anew")
    })?;
    let damage = match Checkpoint::open(&path, Extent::Whole) {
        Ok(checkpoint) => return Ok(checkpoint),
        Err(damage) => damage,
    };
    let open = |kept| Checkpoint::open(&find(run, objective, kept)?, Extent::Whole).ok();
    let best = open(Kept::Best);
    let newer = |step: &u64| best.as_ref().is_none_or(|best| *step > best.state.step);
    let steps = steps(&files(run), objective).into_iter();
    let step = steps.filter(newer).find_map(|step| open(Kept::Step(step)));
    let (which, found) = match (step, best) {
        (Some(step), _) => ("an earlier", step),
        (None, Some(best)) => ("its best", best),
        (None, None) => return Err(damage),
    };
    control.emit(Event::Notice {
        message: format!(
            "{damage}; the {} model goes on from {which} checkpoint, of step {}",
            objective.name(),
            found.state.step
        ),
    });
    Ok(found)
}

/// Writes a run's states.
pub(super) struct States<'a> {
    run: String,
    folder: Arc<Folder>,
    ranks: &'a Ranks,
    /// Whether each rank writes its part.
    is_sharded: bool,
    /// How many evaluations' states stay, and steps between those that stay for good.
    keep: (usize, Option<u64>),
    /// Steps between evaluations, and of the whole run.
    evaluated: (u64, u64),
    writing: Option<Writing>,
    /// When all states were kept last on the run's own account.
    saved: Instant,
    /// How long the last one took, from the device to the disk.
    took: Duration,
}

/// A state on its way to the disk.
struct Writing {
    /// The state but for its tensors.
    described: Checkpoint,
    kept: Vec<Kept>,
    began: Instant,
    /// What this rank writes, if it does.
    work: Option<Beside<Result<Written>>>,
}

/// What came of a rank's part.
struct Written {
    /// What the index says of it, where there is one.
    shard: Option<ShardFile>,
    ended: Instant,
}

impl Written {
    fn now(shard: Option<ShardFile>) -> Self {
        let ended = platform::now();
        Self { shard, ended }
    }
}

impl<'a> States<'a> {
    /// Those of a run in its folder.
    pub fn new(config: &RunConfig, records: &Records, device: &'a Selected) -> Self {
        let steps = config.train.steps.unwrap_or(1);
        Self {
            run: records.name(),
            folder: records.folder(),
            ranks: &device.ranks,
            is_sharded: config.train.shard_checkpoints,
            keep: (config.train.keep_last, config.train.keep_every),
            evaluated: (config.evaluate.every.unwrap_or(steps), steps),
            writing: None,
            saved: platform::now(),
            took: Duration::ZERO,
        }
    }

    /// Whether a crash now would lose more than it should, of `models` models.
    pub fn is_time(&self, models: usize) -> bool {
        let costs = AUTOSAVE_COSTS * models as u32 * self.took;
        self.saved.elapsed() > AUTOSAVE.max(costs)
    }

    /// All states were kept on the run's own account.
    pub fn are_saved(&mut self) {
        self.saved = platform::now();
    }

    /// Whether a state of this step stays for good.
    pub fn stays(&self, step: u64) -> bool {
        self.keep.1.is_some_and(|every| step.is_multiple_of(every))
    }

    /// As what a model's state is kept after this step: the last in any case.
    pub fn kept(&self, step: u64, is_evaluated: bool, is_best: bool) -> Vec<Kept> {
        let by_step = self.stays(step) || is_evaluated && self.keep.0 > 0;
        let all = [
            (is_best, Kept::Best),
            (by_step, Kept::Step(step)),
            (true, Kept::Last),
        ];
        let kept = all.into_iter().filter_map(|(is, kept)| is.then_some(kept));
        kept.collect()
    }

    /// Takes a model's state from the device and begins to write it. The one before has to be settled.
    pub async fn begin(
        &mut self,
        trainer: &Trainer,
        tokenizer: &Tokenizer,
        kept: Vec<Kept>,
    ) -> Result<()> {
        let began = platform::now();
        let described = trainer.described(tokenizer);
        let (objective, step) = (described.objective, described.state.step);
        let folder = self.folder.clone();
        let work = if self.is_sharded {
            let (shard, shape) = (trainer.shard().await?, described.shape()?);
            let (rank, count) = (self.ranks.rank(), self.ranks.count());
            let stem = Kept::Step(step).stem(objective);
            let file = format!("{stem}{SHARDS}/rank-{rank}-of-{count}{SINGLE}");
            Some(Beside::begin("checkpoint", move || {
                let content = shard.file(&shape)?;
                folder.write(&file, content.parts())?;
                let inside = file.trim_start_matches(FOLDER).trim_start_matches('/');
                let shard = ShardFile::of(inside.to_owned(), &content);
                Ok(Written::now(Some(shard)))
            }))
        } else if self.ranks.is_first() {
            let checkpoint = trainer.checkpoint(tokenizer).await?;
            let files: Vec<String> = kept
                .iter()
                .map(|kept| kept.stem(objective) + SINGLE)
                .collect();
            Some(Beside::begin("checkpoint", move || {
                let content = checkpoint.file(Precision::F32)?;
                files
                    .iter()
                    .try_for_each(|file| folder.write(file, content.parts()))?;
                Ok(Written::now(None))
            }))
        } else {
            trainer.give_part().await?;
            None
        };
        self.writing = Some(Writing {
            described,
            kept,
            began,
            work,
        });
        Ok(())
    }

    /// Whether nobody would have to wait for the state under way, on any rank.
    pub fn is_done(&self) -> bool {
        self.writing.as_ref().is_some_and(|writing| {
            let is_busy = writing.work.as_ref().is_some_and(|work| !work.is_done());
            !self.ranks.any(is_busy)
        })
    }

    /// Waits for the state under way, if there is one, and gives what there is to tell of it.
    ///
    /// # Errors
    /// What some rank could not write.
    pub fn settle(&mut self) -> Result<Vec<Event>> {
        let Some(writing) = self.writing.take() else {
            return Ok(Vec::new());
        };
        let written = match writing.work {
            Some(work) => work.wait().and_then(|written| written),
            None => Ok(Written::now(None)),
        };
        let written = self.ranks.agree(written)?;
        self.took = written.ended - writing.began;
        let shards = match written.shard {
            Some(shard) => self.of_all(&shard)?,
            None => Vec::new(),
        };
        let (described, kept) = (writing.described, writing.kept);
        let publish = || match self.ranks.is_first() {
            true => self.publish(&described, &kept, shards),
            false => Ok(()),
        };
        // None begins the next state before what no index names is removed.
        self.ranks.agree(publish())?;
        let kind = |kept: &Kept| match kept {
            Kept::Last => Some(CheckpointKind::Last),
            Kept::Best => Some(CheckpointKind::Best),
            Kept::Step(_) => None,
        };
        let told = kept.iter().filter(|_| self.ranks.is_first());
        Ok(told
            .filter_map(kind)
            .map(|kind| Event::Checkpoint {
                objective: described.objective,
                step: described.state.step,
                kind,
            })
            .collect())
    }

    /// The shards of all ranks, in their order.
    fn of_all(&self, own: &ShardFile) -> Result<Vec<ShardFile>> {
        let strange =
            |error| Error::work("can't write the index of a checkpoint").with_source(error);
        let said = self.ranks.say(serde_json::to_string(own).map_err(strange)?);
        said.iter()
            .map(|said| serde_json::from_str(said).map_err(strange))
            .collect()
    }

    /// Makes a written state one of the run's, and removes what is no longer wanted.
    fn publish(&self, described: &Checkpoint, kept: &[Kept], shards: Vec<ShardFile>) -> Result<()> {
        let objective = described.objective;
        let (form, other) = match self.is_sharded {
            true => (INDEX, SINGLE),
            false => (SINGLE, INDEX),
        };
        if self.is_sharded {
            let index = Index::new(described, shards)?.to_bytes()?;
            for kept in kept {
                self.folder
                    .write(&(kept.stem(objective) + form), [&index[..]])?;
            }
        }
        let before = files(&self.run);
        let stale = kept.iter().map(|kept| kept.stem(objective) + other);
        let unwanted = self.unwanted(&before, objective, described.state.step);
        for file in stale.filter(|file| before.contains(file)).chain(unwanted) {
            self.folder.remove(&file)?;
        }
        self.remove_shards(objective)
    }

    /// Files of states named by a step that neither stay nor are among the newest of the evaluations. Those behind the run's
    /// own step come again.
    fn unwanted(&self, files: &[String], objective: Objective, step: u64) -> Vec<String> {
        let (every, last) = self.evaluated;
        let is_evaluated = |step: &u64| step.is_multiple_of(every) || *step == last;
        let past = steps(files, objective).into_iter().filter(|at| *at <= step);
        let newest: Vec<u64> = past.filter(is_evaluated).take(self.keep.0).collect();
        let is_unwanted = |file: &&String| {
            step_of(file, objective)
                .is_some_and(|at| at <= step && !self.stays(at) && !newest.contains(&at))
        };
        files.iter().filter(is_unwanted).cloned().collect()
    }

    /// Removes a model's shards that no index names: replaced ones, and what a crash left.
    fn remove_shards(&self, objective: Objective) -> Result<()> {
        let files = files(&self.run);
        let own = format!("-{}{SHARDS}/", objective.name());
        let shards: Vec<&String> = files.iter().filter(|file| file.contains(&own)).collect();
        if shards.is_empty() {
            return Ok(());
        }
        let ending = format!("-{}{INDEX}", objective.name());
        let mut named = BTreeSet::new();
        for file in files.iter().filter(|file| file.ends_with(&ending)) {
            let bytes = self.folder.read(file)?.unwrap_or_default();
            match Index::from_bytes(&bytes, file) {
                Ok(index) => named.extend(index.shards.into_iter().map(|shard| shard.file)),
                // Nobody knows which are its.
                Err(_) => return Ok(()),
            }
        }
        let is_named = |file: &str| {
            file.strip_prefix(FOLDER)
                .is_some_and(|inside| named.contains(inside.trim_start_matches('/')))
        };
        for file in shards.into_iter().filter(|file| !is_named(file)) {
            self.folder.remove(file)?;
        }
        Ok(())
    }
}
