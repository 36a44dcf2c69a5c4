//! The states that a run keeps: as one file or as a shard of each rank, read by any number of ranks, as many as asked for, and
//! never one that is half written. Ranks are threads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod disk;
mod threads;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Device;
use crossover::device::{DeviceChoice, Selected};
use crossover::lab::{Command, Event, Lab};
use crossover::objective::Objective;
use crossover::ranks::Ranks;
use crossover::train::{Checkpoint, Extent, Metrics, RunConfig};
use safetensors::SafeTensors;
use tempfile::TempDir;

use disk::SmallDisk;
use threads::{on, on_slow};

const STEPS: u64 = 8;

/// One masked model on a chain of three symbols.
fn config(folder: &Path) -> RunConfig {
    let chain = folder.join("chain.toml");
    let rows = "transition = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]]";
    fs::write(&chain, rows).unwrap();
    let mut config = RunConfig {
        objectives: vec![Objective::Masked],
        ..RunConfig::default()
    };
    config.corpus.source = vec![format!("markov:{}", chain.display())];
    config.corpus.length = Some(8);
    config.corpus.unique = Some(400);
    config.corpus.held_out = Some(64);
    config.model.hidden_size = 16;
    config.model.num_hidden_layers = 2;
    config.model.num_attention_heads = 2;
    config.model.dropout = 0.1;
    config.train.batch = 8;
    config.train.steps = Some(STEPS);
    config.train.ema_decay = Some(0.9);
    config.evaluate.every = Some(2);
    config.evaluate.windows = 4;
    config.evaluate.test_windows = 4;
    config
}

/// What a run on so many ranks tells, from the first rank's events on.
fn told(count: usize, command: impl Fn() -> Command + Sync) -> Vec<Vec<Event>> {
    on(count, |ranks| events(ranks, command()))
}

fn events(ranks: Ranks, command: Command) -> Vec<Event> {
    let lab = Lab::open(Selected {
        device: Device::flex(),
        choice: DeviceChoice::Cpu,
        threads: 1,
        description: "the processor".to_owned(),
        ranks,
    });
    lab.send(command);
    let mut told = Vec::new();
    while told.last().is_none_or(|event: &Event| !event.ends_run()) {
        told.push(lab.events().recv_blocking().unwrap());
    }
    told
}

fn start(config: &RunConfig, run: &Path) -> Command {
    Command::Start {
        config: Box::new(config.clone()),
        folder: run.display().to_string(),
        force: false,
    }
}

fn resume(run: &Path) -> Command {
    Command::Resume {
        folder: run.display().to_string(),
    }
}

#[track_caller]
fn finished(told: &[Vec<Event>]) {
    for events in told {
        let last = events.last();
        assert!(matches!(last, Some(Event::Result(_))), "{last:?}");
    }
}

/// A finished run on so many ranks.
fn run(config: &RunConfig, count: usize, folder: &Path, name: &str) -> PathBuf {
    let run = folder.join(name);
    finished(&told(count, || start(config, &run)));
    run
}

/// The files of a run's checkpoints.
fn kept(run: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![run.join("checkpoints")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(run.join("checkpoints")).unwrap();
                found.insert(name.display().to_string());
            }
        }
    }
    found
}

fn place(run: &Path, name: &str) -> PathBuf {
    run.join("checkpoints").join(name)
}

fn open(run: &Path, name: &str) -> Checkpoint {
    Checkpoint::open(&place(run, name).display().to_string(), Extent::Whole).unwrap()
}

/// A copy of a run, as if it had been killed behind its last step.
fn unfinished(run: &Path, folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    let mut files: Vec<String> = kept(run)
        .into_iter()
        .map(|name| format!("checkpoints/{name}"))
        .collect();
    files.extend(["config.toml", "metrics.jsonl", "evaluations.jsonl"].map(str::to_owned));
    for name in files {
        let to = copy.join(&name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(run.join(&name), to).unwrap();
    }
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let all = events.lines().filter(|line| !line.contains("\"result\""));
    let events: String = all.flat_map(|line| [line, "\n"]).collect();
    fs::write(copy.join("events.jsonl"), events).unwrap();
    copy
}

/// Training losses, step by step.
fn losses(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let read = |line| serde_json::from_str::<Metrics>(line).unwrap();
    let losses: Vec<f64> = text
        .lines()
        .map(|line| read(line).train_nats.unwrap())
        .collect();
    assert_eq!(losses.len() as u64, STEPS);
    losses
}

#[test]
fn any_number_of_ranks_goes_on_from_shards_as_from_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = config(folder);
    config.train.keep_every = Some(4);
    let whole = losses(&run(&config, 1, folder, "whole"));
    config.train.shard_checkpoints = true;
    for (wrote, zero_stage) in [(1, 0), (2, 0), (2, 1), (4, 1)] {
        config.train.zero_stage = zero_stage;
        let sharded = run(&config, wrote, folder, &format!("by-{wrote}-{zero_stage}"));
        let middle = open(&sharded, "step-4-masked.index.json");
        assert_eq!(middle.state.step, 4);
        assert!(middle.moments.is_some() && middle.trained_weights.is_some());
        for reads in [1, 2, 4] {
            let resumed = |name: &str| {
                let name = format!("{name}-{wrote}-{zero_stage}-{reads}");
                unfinished(&sharded, folder, &name)
            };
            let from_shards = resumed("shards");
            let index = place(&from_shards, "step-4-masked.index.json");
            fs::copy(index, place(&from_shards, "last-masked.index.json")).unwrap();
            let from_one = resumed("one");
            fs::remove_file(place(&from_one, "last-masked.index.json")).unwrap();
            let one = place(&from_one, "last-masked.safetensors");
            fs::write(one, middle.to_bytes().unwrap()).unwrap();
            for run in [&from_shards, &from_one] {
                finished(&told(reads, || resume(run)));
            }
            let ours = losses(&from_shards);
            assert_eq!(ours, losses(&from_one), "{wrote} wrote, {reads} read");
            for (ours, whole) in ours.iter().zip(&whole) {
                assert!((ours - whole).abs() < 1e-4, "{wrote} wrote, {reads} read");
            }
            // The one file gave way to an index.
            let names = kept(&from_one);
            assert!(!names.contains("last-masked.safetensors"), "{names:?}");
        }
    }
}

#[test]
fn shards_hold_what_one_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = config(folder);
    let one = open(&run(&config, 2, folder, "one"), "last-masked.safetensors");
    config.train.shard_checkpoints = true;
    let shards = open(&run(&config, 2, folder, "two"), "last-masked.index.json");
    assert_eq!(shards.state.step, STEPS);
    let without_clock = |mut checkpoint: Checkpoint| {
        checkpoint.state.seconds = 0.0;
        checkpoint
    };
    assert!(without_clock(shards) == without_clock(one));
}

#[test]
fn weights_are_read_without_what_only_training_needs_and_that_is_checked_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = config(folder);
    for (is_sharded, name) in [
        (false, "last-masked.safetensors"),
        (true, "last-masked.index.json"),
    ] {
        config.train.shard_checkpoints = is_sharded;
        let run = run(&config, 1, folder, &format!("sharded-{is_sharded}"));
        let whole = open(&run, name);
        assert!(whole.moments.is_some() && whole.trained_weights.is_some());
        let path = place(&run, name).display().to_string();
        let weights = Checkpoint::open(&path, Extent::Weights).unwrap();
        let expected = Checkpoint {
            moments: None,
            trained_weights: None,
            ..whole
        };
        assert!(weights == expected, "{name}");
    }
    let single = place(&folder.join("sharded-false"), "last-masked.safetensors");
    let mut bytes = fs::read(&single).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let moment = tensors
        .tensor("optimizer.exp_avg.model.norm.weight")
        .unwrap();
    let place = moment.data().as_ptr() as usize - bytes.as_ptr() as usize;
    bytes[place] ^= 1;
    fs::write(&single, bytes).unwrap();
    let path = single.display().to_string();
    let error = Checkpoint::open(&path, Extent::Weights).unwrap_err();
    assert!(
        error.to_string().contains("its checksum doesn't fit"),
        "{error}"
    );
}

#[test]
fn as_many_states_are_kept_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = config(folder);
    let names = |run: &Path| kept(run).into_iter().collect::<Vec<_>>();
    let plain = run(&config, 1, folder, "plain");
    assert_eq!(
        names(&plain),
        ["best-masked.safetensors", "last-masked.safetensors"]
    );

    config.train.keep_last = 2;
    config.train.keep_every = Some(3);
    let single = run(&config, 1, folder, "single");
    assert_eq!(
        names(&single),
        [
            "best-masked.safetensors",
            "last-masked.safetensors",
            "step-3-masked.safetensors",
            "step-6-masked.safetensors",
            "step-8-masked.safetensors",
        ]
    );
    for step in [3, 6, 8] {
        let state = open(&single, &format!("step-{step}-masked.safetensors")).state;
        assert_eq!(state.step, step);
    }

    config.train.shard_checkpoints = true;
    let sharded = run(&config, 2, folder, "sharded");
    let indexes = ["best", "last", "step-3", "step-6", "step-8"];
    let steps = indexes.map(|name| {
        let state = open(&sharded, &format!("{name}-masked.index.json")).state;
        state.step
    });
    assert_eq!(steps[1..], [8, 3, 6, 8]);
    // Of shards, those alone that an index names.
    let shards = steps.iter().flat_map(|step| {
        [0, 1].map(|rank| format!("step-{step}-masked.shards/rank-{rank}-of-2.safetensors"))
    });
    let mut expected: BTreeSet<String> = shards.collect();
    expected.extend(indexes.map(|name| format!("{name}-masked.index.json")));
    assert_eq!(kept(&sharded), expected);
}

/// A file, what is said of it, and what happens to it.
type Damage<'a> = (&'a str, &'a str, &'a dyn Fn(&Path));

/// What is wrong with a state is said by the name of its file, and the one before it is used.
#[test]
fn a_damaged_shard_or_index_gives_way_to_the_state_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = config(folder);
    config.train.shard_checkpoints = true;
    config.train.keep_every = Some(7);
    let whole = run(&config, 2, folder, "whole");
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let shard = "step-8-masked.shards/rank-1-of-2.safetensors";
    let damages: [Damage<'_>; 5] = [
        (shard, "its checksum doesn't fit", &flip),
        (shard, "its index promises", &cut),
        (shard, "No such file", &remove),
        ("last-masked.index.json", "", &flip),
        ("last-masked.index.json", "", &cut),
    ];
    for (number, (file, said, damage)) in damages.into_iter().enumerate() {
        let run = unfinished(&whole, folder, &format!("damaged-{number}"));
        // The best one may be the last one too.
        fs::copy(
            place(&run, "step-7-masked.index.json"),
            place(&run, "best-masked.index.json"),
        )
        .unwrap();
        damage(&place(&run, file));
        let told = told(2, || resume(&run));
        finished(&told);
        let notice = told[0].iter().find_map(|event| match event {
            Event::Notice { message } => Some(message.clone()),
            _ => None,
        });
        let notice = notice.unwrap();
        assert!(notice.contains(file) && notice.contains(said), "{notice}");
        assert!(notice.ends_with("checkpoint, of step 7"), "{notice}");
        assert_eq!(losses(&run), losses(&whole));
    }
}

/// A place that can't be written to: with permissions a privileged user would get around.
fn block(path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy();
    fs::create_dir_all(path.with_file_name(format!("{name}.partial"))).unwrap();
}

#[track_caller]
fn failed(told: &[Vec<Event>]) -> String {
    let failure = |events: &Vec<Event>| match events.last() {
        Some(Event::Failed {
            message,
            hint: Some(hint),
            input: false,
        }) if hint.contains("--resume") => message.clone(),
        last => panic!("{last:?}"),
    };
    let messages: BTreeSet<String> = told.iter().map(failure).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.into_iter().next().unwrap()
}

#[test]
fn what_can_t_be_written_ends_the_run_and_costs_no_earlier_state() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = config(folder);
    config.train.keep_every = Some(4);
    for is_sharded in [false, true] {
        config.train.shard_checkpoints = is_sharded;
        let whole = run(&config, 2, folder, &format!("whole-{is_sharded}"));
        let run = unfinished(&whole, folder, &format!("blocked-{is_sharded}"));
        let form = if is_sharded {
            "index.json"
        } else {
            "safetensors"
        };
        let [step, last] = ["step-4", "last"].map(|name| format!("{name}-masked.{form}"));
        fs::copy(place(&run, &step), place(&run, &last)).unwrap();
        let file = match is_sharded {
            true => "step-6-masked.shards/rank-1-of-2.safetensors",
            false => "last-masked.safetensors",
        };
        block(&place(&run, file));
        let message = failed(&told(2, || resume(&run)));
        assert!(
            message.contains("can't write") && message.contains(file),
            "{message}"
        );
        assert_eq!(message.starts_with("rank 1: "), is_sharded, "{message}");
        assert_eq!(open(&run, &last).state.step, 4);

        fs::remove_dir(place(&run, &format!("{file}.partial"))).unwrap();
        finished(&told(2, || resume(&run)));
        assert_eq!(losses(&run), losses(&whole));
    }
}

/// Nothing of a state is published whose shards don't all fit on the disk.
#[test]
fn a_full_disk_costs_shards_no_earlier_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.shard_checkpoints = true;
    config.train.keep_every = Some(4);
    let whole = run(&config, 2, folder.path(), "whole");
    let index = "last-masked.index.json";
    let shard = place(&whole, "step-4-masked.shards/rank-0-of-2.safetensors");
    let shard = fs::metadata(shard).unwrap().len() / 1_024;
    // Room for none of the next state's shards, and for one of two.
    for halves in [1, 3] {
        let Some(disk) = SmallDisk::mount(20 << 10) else {
            eprintln!("skipped: this user may not mount a small file system");
            return;
        };
        let run = unfinished(&whole, disk.path(), "run");
        fs::copy(place(&run, "step-4-masked.index.json"), place(&run, index)).unwrap();
        let before = fs::read(place(&run, index)).unwrap();
        disk.resize(used(disk.path()) + (shard * halves / 2) as usize);
        let message = failed(&told(2, || resume(&run)));
        let named = format!(
            "can't write `{}",
            place(&run, "step-6-masked.shards").display()
        );
        assert!(message.contains(&named), "{message}");
        assert!(message.contains("No space left"), "{message}");
        assert_eq!(fs::read(place(&run, index)).unwrap(), before);
        assert_eq!(open(&run, index).state.step, 4);
        let names = kept(&run);
        assert!(
            !names.iter().any(|name| name.ends_with(".partial")),
            "{names:?}"
        );

        disk.resize(20 << 10);
        finished(&told(2, || resume(&run)));
        assert_eq!(losses(&run), losses(&whole));
        // What had fitted is a shard of the state that came of it, or gone.
        let expected = kept(&whole);
        assert_eq!(kept(&run), expected);
    }
}

/// Kilobytes in use on a disk.
fn used(disk: &Path) -> usize {
    let told = std::process::Command::new("df")
        .args(["-k", "--output=used"])
        .arg(disk)
        .output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    told.lines().last().unwrap().trim().parse().unwrap()
}

#[test]
fn a_slow_rank_is_named_where_the_others_wait_for_it() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.evaluate.every = Some(STEPS);
    config.train.batch = 6;
    let stragglers = |name: &str, slow| {
        let run = folder.path().join(name);
        let told = on_slow(3, slow, |ranks| events(ranks, start(&config, &run)));
        finished(&told);
        let recorded = fs::read_to_string(run.join("events.jsonl")).unwrap();
        let all = recorded
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let late = all.filter_map(|event| match event {
            Event::Straggler(late) => Some(late),
            _ => None,
        });
        late.collect::<Vec<_>>()
    };
    let late = stragglers("slow", Some((1, Duration::from_millis(100))));
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!((late[0].rank, late[0].step), (1, STEPS));
    assert!(late[0].seconds > 1.0 && late[0].seconds > 1.5 * late[0].median);
    assert!(!late[0].host.is_empty());
}
