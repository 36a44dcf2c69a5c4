//! The page as a whole: finished, unfinished, one model, and hostile text.

use crossover::lab::{DualAr, Event, Outcome, SampleText, Started, TrainResult};
use crossover::objective::{Bound, Likelihood, Objective};
use crossover::train::RunConfig;

use crate::fixtures::{answered, dual_race, line, race, won};
use crate::history::History;
use crate::*;

fn started(config: RunConfig) -> Started {
    Started {
        objectives: config.objectives.clone(),
        config,
        folder: "runs/test".to_owned(),
        step: 0,
        done: vec![0; 2],
        steps: 100,
        tokens_per_epoch: 25_000,
        parameters: 452_000,
        initial_hash: "abc".to_owned(),
        floor_nats: Some(0.4796),
        vocab: vec!["1".to_owned()],
        grid_side: None,
        device: "cpu (no GPU found)".to_owned(),
    }
}

fn lines<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| serde_json::to_string(&item).expect("plain data") + "\n")
        .collect()
}

fn metrics(history: &History) -> String {
    lines(history.curves().iter().flat_map(|curve| &curve.steps))
}

fn parsed(config: &RunConfig, history: &History, events: &[Event]) -> Run {
    let text = config.to_toml().expect("defaults are valid");
    Run::parse("runs/test", text, &metrics(history), &lines(events)).expect("a valid run")
}

fn raced() -> History {
    race(&[0.9, 0.6, 0.8, 1.1], &[0.95, 0.8, 0.7, 0.551])
}

#[test]
fn a_finished_race_says_what_it_found_and_loads_nothing() {
    let config = RunConfig::default();
    let events = [
        Event::Started(Box::new(started(config.clone()))),
        Event::Result(Box::new(Outcome::Race(won()))),
    ];
    let html = render(&parsed(&config, &raced(), &events));
    assert!(html.contains("Diffusion wins by 0.041 ± 0.008 nats/token (envelope, epoch 61;"));
    assert!(html.contains("exact NLL") && html.contains("upper bound"));
    assert!(html.contains("one seed") && !html.contains("so far"));
    assert_eq!(html.matches("<svg class=\"chart").count(), 8);
    for outside in [
        "http:", "https:", "src=", "@import", "url(//", "<script", "<link",
    ] {
        assert!(!html.contains(outside), "the page has `{outside}`");
    }
    assert!(!html.contains("NaN"));
}

#[test]
fn a_dual_opponent_is_drawn_and_judged_by_both_its_losses() {
    let mut config = RunConfig {
        objectives: vec![Objective::Autoregressive, Objective::Dual],
        ..RunConfig::default()
    };
    config.objective.dual_fraction = 0.25;
    let mut result = won();
    result.second = Objective::Dual;
    result.dual_ar = Some(DualAr {
        nats: 0.55,
        se: 0.01,
        difference: -0.042,
        difference_se: 0.006,
        envelope_crossover_epoch: None,
    });
    let events = [Event::Result(Box::new(Outcome::Race(result)))];
    let html = render(&parsed(&config, &dual_race(), &events));
    for expected in [
        "The dual model wins by 0.041",
        "▼ Dual bound 0.900",
        "◆ Dual as AR 0.550",
        "Dual as AR: exact NLL",
        "Dual: upper bound",
        "0.550 ± 0.010",
        "−0.042 ± 0.006",
        "25 % of each batch left to right",
        "<b>The dual model as AR</b>: its exact NLL is 0.042",
    ] {
        assert!(html.contains(expected), "no `{expected}`");
    }
    assert!(!html.contains("NaN") && !html.contains("Diffusion:"));
}

#[test]
fn an_unfinished_race_says_so_far() {
    let config = RunConfig::default();
    let events = [Event::Started(Box::new(started(config.clone())))];
    let mut text = metrics(&raced());
    text.push_str("{\"objective\":\"ar\",\"ste");
    let run = Run::parse(
        "runs/test",
        config.to_toml().expect("defaults are valid"),
        &text,
        &lines(&events),
    )
    .expect("a torn line is no reason to fail");
    let html = render(&run);
    assert!(
        html.contains("Unfinished, step 100 of 100. Diffusion leads so far: about 0.049 ± 0.014")
    );
    assert!(html.contains("could not be read and are left out here: 1."));
    assert!(html.contains("crossover race --resume runs/test"));
}

#[test]
fn a_single_model_has_a_report_too() {
    let config = RunConfig {
        objectives: vec![Objective::Masked],
        ..RunConfig::default()
    };
    let history = race(&[], &[0.9, 0.6]);
    let result = TrainResult {
        objective: Objective::Masked,
        nats: 0.6,
        se: 0.01,
        dual_ar: None,
        bound: Bound::Elbo,
        tokens: 50_000,
        best_step: 50,
        floor_nats: None,
        grids: None,
        characters_per_token: 1.0,
        bytes_per_token: 1.0,
        peak_memory_bytes: None,
        wall_seconds: 12.0,
    };
    let events = [Event::Result(Box::new(Outcome::Train(result)))];
    let html = render(&parsed(&config, &history, &events));
    assert!(html.contains("<h1>Diffusion: 0.600 ± 0.010 nats/token on the test part (upper bound, from one seed).</h1>"));
    assert!(html.contains("train --objective masked --config runs/test/config.toml"));
    assert!(!html.contains("Which crossover"));
}

#[test]
fn nothing_measured_is_a_page_as_well() {
    let config = RunConfig::default();
    let html = render(&parsed(&config, &History::default(), &[]));
    assert!(html.contains("Nothing evaluated so far."));
}

/// Models take turns: what the one that is ahead wrote is never written again.
#[test]
fn a_resumed_run_keeps_what_the_model_that_is_ahead_wrote() {
    let config = RunConfig::default();
    let sample = |objective, text: &str| {
        Event::Sample(SampleText {
            objective,
            step: 25,
            text: text.to_owned(),
            valid: None,
        })
    };
    let mut resumed = started(config.clone());
    (resumed.step, resumed.done) = (24, vec![25, 24]);
    let events = [
        sample(Objective::Autoregressive, "ahead"),
        sample(Objective::Masked, "lost"),
        Event::Started(Box::new(resumed)),
    ];
    let texts: Vec<String> = parsed(&config, &raced(), &events)
        .samples
        .into_iter()
        .map(|sample| sample.text)
        .collect();
    assert_eq!(texts, ["ahead"]);
}

#[test]
fn what_a_model_writes_stays_text() {
    let config = RunConfig::default();
    let sample = |step, text: &str| {
        Event::Sample(SampleText {
            objective: Objective::Masked,
            step,
            text: text.to_owned(),
            valid: None,
        })
    };
    let events = [
        sample(25, "first"),
        sample(25, "<script>alert('&')</script>"),
    ];
    let run = parsed(&config, &raced(), &events);
    assert_eq!(run.samples.len(), 1, "a repeated step replaces its sample");
    assert!(render(&run).contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"));
}

#[test]
fn answers_are_drawn_beside_losses_where_models_were_asked() {
    let config = RunConfig::default();
    assert!(!render(&parsed(&config, &raced(), &[])).contains("Right answers"));
    let mut history = answered(&[(25, 0.4, 0.05), (50, 0.55, 0.05)]);
    history.push(line(Objective::Autoregressive, 50, Some(0.6)));
    let html = render(&parsed(&config, &history, &[]));
    for said in [
        "<h3>Right answers: tales</h3>",
        "Diffusion at 2: 0.550 ± 0.050.",
        "guessing",
        // At its lowest loss, which is that after the first epoch, and at the end.
        "<td>40.0 ± 5.0 %</td><td>55.0 ± 5.0 %</td>",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert!(!html.contains("NaN"));
}

#[test]
fn a_mixture_s_report_says_how_busy_its_experts_are() {
    let mut config = RunConfig::default();
    assert!(!render(&parsed(&config, &raced(), &[])).contains("expert"));
    config.model.num_experts = Some(4);
    config.model.shared_expert_intermediate_size = Some(32);
    config.model.vocab_size = Some(6);
    let load = |step, busiest| {
        Event::Experts(ExpertLoad {
            objective: Objective::Masked,
            likelihood: Likelihood::Masked,
            step,
            busiest,
            evenness: 0.9,
            shares: vec![vec![0.1, 0.625, 0.125, 0.15]],
        })
    };
    let events = [
        Event::Started(Box::new(started(config.clone()))),
        load(25, 3.0),
        load(50, 2.75),
        load(50, 2.5),
    ];
    let run = parsed(&config, &raced(), &events);
    let known: Vec<f64> = run.experts.iter().map(|load| load.busiest).collect();
    assert_eq!(known, [3.0, 2.5], "a repeated step replaces its figures");
    let html = render(&run);
    assert!(
        html.contains("62.5 15.0 12.5 10.0"),
        "the last ones, busiest first"
    );
    assert!(
        html.contains("4 of width 128, 2 for a token, and one of width 32 for all; tokens choose")
    );
    assert!(html.contains("equal for every model; a token uses"));
}
