//! Failures, rehearsed.

use crossover::lab::RunSummary;
use crossover::objective::{Bound, Likelihood};
use crossover::train::{Metrics, RunConfig};

use super::*;

const FOLDER: &str = "runs/race";

fn watch() -> Watch {
    let mut watch = Watch::new(Compute::Auto, None, true, None);
    assert!(matches!(&watch.deeds()[..], [Deed::Open(opening)] if !opening.again));
    watch.look(0.0);
    watch
}

fn device(gpu: bool) -> Message {
    Message::Opened(DeviceInfo {
        badge: if gpu { "GPU: Test" } else { "Processor" }.to_owned(),
        gpu,
        ..DeviceInfo::default()
    })
}

fn started(step: u64) -> Message {
    let mut config = RunConfig::default();
    config.corpus.length = Some(25);
    config.model.vocab_size = Some(6);
    Message::Lab(Event::Started(Box::new(Started {
        config,
        folder: FOLDER.to_owned(),
        objectives: vec![Objective::Autoregressive, Objective::Masked],
        step,
        done: vec![step; 2],
        steps: 4000,
        tokens_per_epoch: 1,
        parameters: 1,
        initial_hash: String::new(),
        floor_nats: None,
        vocab: Vec::new(),
        grid_side: None,
        device: String::new(),
    })))
}

fn metrics(objective: Objective, step: u64) -> Message {
    Message::Lab(Event::Metrics(Metrics {
        objective,
        likelihood: Likelihood::Masked,
        step,
        epoch: 0.0,
        tokens: 0,
        flops: 0.0,
        seconds: 0.0,
        train_nats: None,
        val_nats: None,
        val_se: None,
        bound: Bound::Elbo,
        lr: 0.0,
        grad_norm: None,
        tokens_per_second: 0.0,
        loss_scale: None,
        skipped_steps: None,
        tasks: Vec::new(),
        communication_seconds: None,
    }))
}

fn lost(reason: Loss) -> Message {
    Message::Lost {
        reason,
        detail: "it broke".to_owned(),
    }
}

fn resumes(deeds: &[Deed]) -> bool {
    deeds.contains(&Deed::Send(Order::Lab(Command::Resume {
        folder: FOLDER.to_owned(),
    })))
}

fn opens(deeds: &[Deed]) -> Option<&Opening> {
    deeds.iter().find_map(|deed| match deed {
        Deed::Open(opening) => Some(opening),
        _ => None,
    })
}

fn texts(watch: &Watch) -> Vec<&str> {
    watch
        .notices()
        .iter()
        .map(|notice| notice.text.as_str())
        .collect()
}

/// A run under way on a GPU, at step 1,240.
fn racing(watch: &mut Watch) {
    watch.hear(device(true), 1.0);
    watch.command(Command::Start {
        config: Box::default(),
        folder: FOLDER.to_owned(),
        force: false,
    });
    watch.hear(started(0), 2.0);
    watch.hear(metrics(Objective::Autoregressive, 1241), 3.0);
    watch.hear(metrics(Objective::Masked, 1240), 3.0);
    watch.deeds();
    watch.events();
}

fn summary(step: u64) -> Message {
    Message::Lab(Event::Answer {
        request: OWN,
        answer: Box::new(Answer::Runs {
            runs: vec![RunSummary {
                run: FOLDER.to_owned(),
                config: RunConfig::default(),
                parameters: 1,
                steps: 4000,
                step,
                saved: step,
                outcome: None,
                checkpoints: Vec::new(),
                bytes: 1,
            }],
        }),
        last: true,
    })
}

#[test]
fn a_lost_gpu_costs_the_steps_since_the_autosave() {
    let mut watch = watch();
    racing(&mut watch);
    watch.hear(lost(Loss::Device), 4.0);
    assert!(opens(&watch.deeds()).is_some_and(|opening| opening.again));
    watch.hear(device(true), 5.0);
    assert!(resumes(&watch.deeds()));
    watch.hear(started(1200), 6.0);
    assert_eq!(
        texts(&watch),
        ["GPU lost at step 1,240. Resumed from 1,200 (try 1 of 3)."]
    );
    assert!(matches!(&watch.events()[..], [Event::Started(started)] if started.step == 1200));
}

#[test]
fn the_third_lost_gpu_in_five_minutes_is_the_last() {
    let mut watch = watch();
    racing(&mut watch);
    for time in [10.0, 100.0] {
        watch.hear(lost(Loss::Device), time);
        watch.hear(device(true), time + 1.0);
        watch.hear(started(1200), time + 2.0);
    }
    watch.deeds();
    watch.events();
    watch.hear(lost(Loss::Device), 250.0);
    assert!(
        opens(&watch.deeds()).is_some_and(|opening| opening.compute == Compute::Processor),
        "what is kept can be exported"
    );
    assert!(matches!(&watch.events()[..], [Event::Stopped { .. }]));
    watch.hear(device(false), 251.0);
    assert!(!resumes(&watch.deeds()), "a person decides");
    watch.hear(summary(1200), 252.0);
    let notice = watch.notices().last().unwrap().clone();
    assert_eq!(notice.text, "GPU failed three times. Run saved at 1,200.");
    assert_eq!(notice.actions, [Action::UseProcessor, Action::Export]);
    assert_eq!(notice.run.as_deref(), Some(FOLDER));
    assert!(!watch.act(notice.id, Action::Export, 253.0), "the app's");
    assert!(watch.act(notice.id, Action::UseProcessor, 254.0));
    // The processor is what the lab is on already, by the supervisor's choice.
    watch.hear(Message::Closed, 254.5);
    watch.hear(device(false), 255.0);
    assert!(resumes(&watch.deeds()));
}

#[test]
fn losses_far_apart_are_forgiven() {
    let mut watch = watch();
    racing(&mut watch);
    for time in [10.0, 200.0, 400.0, 600.0] {
        watch.hear(lost(Loss::Device), time);
        watch.hear(device(true), time + 1.0);
        assert!(resumes(&watch.deeds()), "at {time} s");
        watch.hear(started(1200), time + 2.0);
    }
}

#[test]
fn a_panic_restarts_what_was_on_and_answers_what_was_asked() {
    let mut watch = watch();
    racing(&mut watch);
    watch.command(Command::Ask {
        request: 5,
        what: Request::Runs,
    });
    watch.hear(lost(Loss::Panic), 4.0);
    assert!(matches!(
        &watch.events()[..],
        [Event::Refused { request: 5, .. }]
    ));
    // What is asked meanwhile waits.
    watch.command(Command::Ask {
        request: 6,
        what: Request::Runs,
    });
    watch.deeds();
    watch.hear(device(true), 5.0);
    let deeds = watch.deeds();
    assert!(resumes(&deeds) && deeds.len() == 2);
    watch.hear(started(1200), 6.0);
    assert_eq!(
        texts(&watch),
        ["Trainer stopped at step 1,240. Restarted from 1,200."]
    );
}

#[test]
fn a_run_that_was_held_is_held_again() {
    let mut watch = watch();
    racing(&mut watch);
    watch.hear(Message::Lab(Event::Paused { step: 1240 }), 3.5);
    watch.hear(lost(Loss::Panic), 4.0);
    watch.hear(device(true), 5.0);
    assert!(
        watch
            .deeds()
            .contains(&Deed::Send(Order::Lab(Command::Pause)))
    );
}

#[test]
fn silence_is_a_loss_unless_the_page_slept_too() {
    let mut quiet = watch();
    racing(&mut quiet);
    for second in 4..33 {
        quiet.look(f64::from(second));
    }
    assert!(quiet.deeds().is_empty());
    quiet.look(34.0);
    assert!(opens(&quiet.deeds()).is_some());

    let mut asleep = watch();
    racing(&mut asleep);
    asleep.look(4.0);
    asleep.look(4000.0);
    asleep.look(4001.0);
    assert!(asleep.deeds().is_empty());
}

#[test]
fn a_run_that_could_not_begin_has_failed() {
    let mut watch = watch();
    watch.hear(device(false), 1.0);
    watch.command(Command::Start {
        config: Box::default(),
        folder: FOLDER.to_owned(),
        force: false,
    });
    watch.deeds();
    watch.hear(lost(Loss::Panic), 2.0);
    assert!(matches!(&watch.events()[..], [Event::Failed { .. }]));
    watch.hear(device(false), 3.0);
    assert!(!resumes(&watch.deeds()));
    assert_eq!(texts(&watch), ["Trainer stopped. Restarted."]);
}

#[test]
fn a_lab_that_never_lives_is_left_alone() {
    let mut watch = watch();
    let mut opened = 0;
    for time in 1..20 {
        watch.hear(lost(Loss::Panic), f64::from(time));
        opened += usize::from(opens(&watch.deeds()).is_some());
    }
    assert_eq!(opened, 3);
    assert_eq!(texts(&watch), ["The trainer can't be restarted."]);
    watch.command(Command::Ask {
        request: 9,
        what: Request::Runs,
    });
    assert!(matches!(
        watch.events().last(),
        Some(Event::Refused { request: 9, .. })
    ));
}

#[test]
fn too_large_a_run_is_not_tried_again() {
    let mut watch = watch();
    racing(&mut watch);
    watch.hear(Message::Alive { memory: 60 << 20 }, 3.5);
    watch.hear(lost(Loss::Memory), 4.0);
    watch.hear(device(true), 5.0);
    assert!(!resumes(&watch.deeds()));
    let notice = watch.notices()[0].clone();
    let batch = RunConfig::default().train.batch;
    assert!(
        matches!(notice.actions[..], [Action::SmallerBatch(smaller), Action::Export] if smaller < batch),
        "{notice:?}"
    );
}

#[test]
fn what_did_not_fit_is_told_with_what_should() {
    let needs = [(64, 3_700), (32, 1_900), (16, 1_000), (8, 550)]
        .map(|(batch, mb)| (batch, mb * 1_000_000));
    assert_eq!(
        refused_memory(&needs[1..], 1_100_000_000),
        (
            "Needs about 1.9 GB; the device refused at 1.1. Batch 16 should fit.".to_owned(),
            Some(16)
        )
    );
    assert_eq!(refused_memory(&needs, 1_100_000_000).1, Some(16));
    // The law was too low, or nobody knows how much there was: half of it is tried.
    assert_eq!(refused_memory(&needs, 4_000_000_000).1, Some(32));
    assert_eq!(refused_memory(&needs, 0).1, Some(32));
    assert_eq!(
        refused_memory(&needs[3..], 100_000_000),
        (
            "Needs about 0.6 GB; the device refused at 0.1. Choose a smaller width or context."
                .to_owned(),
            None
        )
    );
}

#[test]
fn moving_to_another_device_carries_the_run_along() {
    let mut watch = watch();
    racing(&mut watch);
    watch.choose(Compute::Processor, 4.0);
    assert_eq!(watch.deeds(), [Deed::Send(Order::Close)]);
    watch.hear(
        Message::Lab(Event::Stopped {
            step: 1241,
            folder: FOLDER.to_owned(),
        }),
        4.5,
    );
    assert!(watch.events().is_empty(), "the run goes on");
    watch.hear(Message::Closed, 5.0);
    assert!(opens(&watch.deeds()).is_some_and(|opening| opening.compute == Compute::Processor));
    watch.hear(device(false), 6.0);
    assert!(resumes(&watch.deeds()));
    watch.hear(started(1241), 7.0);
    assert!(texts(&watch).is_empty(), "nothing was lost");
}

#[test]
fn a_lab_that_will_not_close_is_not_waited_for() {
    let mut watch = watch();
    racing(&mut watch);
    watch.look(3.0);
    watch.choose(Compute::Processor, 4.0);
    for second in 4..14 {
        watch.look(f64::from(second));
    }
    assert!(opens(&watch.deeds()).is_some());
}

#[test]
fn a_second_tab_only_reads() {
    let mut watch = watch();
    watch.hear(
        Message::Storage(StorageInfo {
            read_only: true,
            ..StorageInfo::default()
        }),
        1.0,
    );
    let Message::Opened(mut info) = device(false) else {
        unreachable!("it is one");
    };
    info.note = Some("No GPU access in this browser.".to_owned());
    watch.hear(Message::Opened(info), 1.0);
    // The bar shows the last.
    assert_eq!(
        texts(&watch),
        [
            "No GPU access in this browser.",
            "Training in another tab. Read-only here."
        ]
    );
    watch.deeds();
    watch.command(Command::Resume {
        folder: FOLDER.to_owned(),
    });
    watch.command(Command::Ask {
        request: 3,
        what: Request::Remove {
            run: FOLDER.to_owned(),
        },
    });
    assert!(watch.deeds().is_empty());
    assert!(matches!(
        &watch.events()[..],
        [
            Event::Failed { input: true, .. },
            Event::Refused { request: 3, .. }
        ]
    ));
    watch.hear(Message::Storage(StorageInfo::default()), 2.0);
    assert_eq!(texts(&watch), ["No GPU access in this browser."]);
}

#[test]
fn full_storage_is_told_until_there_is_room() {
    let mut watch = watch();
    racing(&mut watch);
    let full = |full| {
        Message::Storage(StorageInfo {
            full,
            ..StorageInfo::default()
        })
    };
    watch.hear(full(true), 3.0);
    watch.hear(full(true), 4.0);
    assert_eq!(
        texts(&watch),
        ["Storage full. The run continues but won't survive closing."]
    );
    assert_eq!(
        watch.notices()[0].actions,
        [Action::Export, Action::FreeSpace]
    );
    assert_eq!(watch.notices()[0].run.as_deref(), Some(FOLDER));
    watch.hear(full(false), 5.0);
    assert!(texts(&watch).is_empty());
}

#[test]
fn a_run_cut_off_by_closing_the_page_is_offered() {
    let mut watch = Watch::new(Compute::Auto, Some(FOLDER.to_owned()), true, None);
    watch.hear(device(false), 1.0);
    assert!(watch.deeds().iter().any(|deed| matches!(
        deed,
        Deed::Send(Order::Lab(Command::Ask {
            request: OWN,
            what: Request::Runs
        }))
    )));
    watch.hear(summary(1200), 2.0);
    assert!(watch.events().is_empty(), "the app did not ask");
    let notice = watch.notices()[0].clone();
    assert_eq!(
        notice.text,
        "The run stopped at step 1,200 when this page closed."
    );
    assert!(watch.act(notice.id, Action::Resume, 3.0));
    assert!(resumes(&watch.deeds()));
    assert!(texts(&watch).is_empty());
}

#[test]
fn a_broken_download_can_be_tried_again() {
    let mut watch = watch();
    watch.command(Command::Ask {
        request: 2,
        what: Request::Runs,
    });
    watch.hear(
        Message::Unreachable {
            loading: Loading {
                loaded: 1.4e6,
                total: 3.1e6,
            },
            detail: String::new(),
        },
        1.0,
    );
    assert_eq!(texts(&watch), ["Download stopped at 1.4 of 3.1 MB."]);
    assert!(matches!(
        &watch.events()[..],
        [Event::Refused { request: 2, .. }]
    ));
    let notice = watch.notices()[0].clone();
    assert!(watch.act(notice.id, Action::Retry, 2.0));
    assert!(opens(&watch.deeds()).is_some());
}
