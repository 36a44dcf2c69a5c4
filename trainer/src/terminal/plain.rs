//! The run in plain lines: a start, the first losses at once, one line for each evaluation.

use crossover::lab::{Event, ExpertLoad, LossSpike, Outcome, SkippedStep, Straggler};
use crossover::objective::Objective;
use crossover::train::RunConfig;
use crossover_report::numbers;
use crossover_report::theme::{line, racer};

use super::state::{State, Turn};

/// The lines that an event adds to a log; `state` has taken it already.
pub fn lines(state: &State, event: &Event) -> Vec<String> {
    match event {
        Event::Started(started) => {
            let config = &started.config;
            let verb = match (started.objectives.len() > 1, state.turn()) {
                (true, None) => "Racing".to_owned(),
                (true, Some(of)) => format!("Racing, {}:", turn(of)),
                (false, None) => "Training".to_owned(),
                (false, Some(of)) => format!("Training, {}:", turn(of)),
            };
            let from = match started.step {
                0 => String::new(),
                step => format!(", from step {}", numbers::grouped(step)),
            };
            vec![format!(
                "{verb} {} on {}: {} steps of {} windows{from}, {} parameters, {}",
                names(config),
                config.corpus.source.join(", "),
                numbers::grouped(started.steps),
                config.train.batch,
                numbers::count(started.parameters as f64),
                started.device
            )]
        }
        Event::Metrics(metrics) => {
            let mut lines: Vec<String> =
                first_losses(state, metrics.objective).into_iter().collect();
            if metrics.val_nats.is_some() {
                lines.extend(evaluation(state, metrics.step));
            }
            lines
        }
        Event::Experts(load) => vec![format!(
            "step {}, {}: {}",
            numbers::grouped(load.step),
            line(load.objective, load.likelihood).short,
            experts(load)
        )],
        Event::Progress { doing } => vec![doing.clone()],
        _ => lasting(state, event).into_iter().collect(),
    }
}

/// What should stay readable even where a dashboard is drawn over everything else.
pub fn lasting(state: &State, event: &Event) -> Option<String> {
    match event {
        Event::Notice { message } => Some(message.clone()),
        Event::Spike(spike) => Some(alarm(spike)),
        Event::Skipped(step) => Some(skipped(step)),
        Event::Straggler(late) => Some(waited_for(late)),
        Event::Stopped { step, .. } => {
            Some(format!("Stopped after step {}", numbers::grouped(*step)))
        }
        Event::Result(outcome) => {
            let line = |of| format!("Done, {}: {}", turn(of), figures(outcome));
            state.turn().map(line)
        }
        _ => None,
    }
}

/// A loss that is far above those before it.
fn alarm(spike: &LossSpike) -> String {
    let name = racer(spike.objective).name;
    let step = numbers::grouped(spike.step);
    match (spike.nats, spike.median) {
        (Some(nats), Some(median)) => format!(
            "{name}: loss spike at step {step}: {} nats/token, where {} was usual",
            numbers::loss(nats),
            numbers::loss(median)
        ),
        _ => format!("{name}: the loss of step {step} is no finite number"),
    }
}

/// A step that moved nothing.
fn skipped(step: &SkippedStep) -> String {
    format!(
        "{}: gradients of step {} did not fit f16, so it was skipped ({} so far); the loss is scaled by {} now",
        racer(step.objective).name,
        numbers::grouped(step.step),
        numbers::grouped(step.skipped_steps),
        step.loss_scale
    )
}

/// A process that the others wait for.
fn waited_for(late: &Straggler) -> String {
    format!(
        "{}: rank {} on {} computed for {} up to step {}, where {} is usual; the others wait for it",
        racer(late.objective).name,
        late.rank,
        late.host,
        numbers::duration(late.seconds),
        numbers::grouped(late.step),
        numbers::duration(late.median)
    )
}

/// Which of several runs.
pub fn turn(turn: Turn) -> String {
    format!("seed {} ({} of {})", turn.seed, turn.number, turn.of)
}

/// A result's figures in a line, for a run that others follow.
fn figures(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Race(result) => format!(
            "AR {}, {} {}, difference {}",
            numbers::measured(result.ar_best_nats, Some(result.ar_best_se)),
            racer(result.second).short,
            numbers::measured(result.masked_best_nats, Some(result.masked_best_se)),
            numbers::measured(result.difference, Some(result.difference_se))
        ),
        Outcome::Train(result) => format!(
            "{} {}",
            racer(result.objective).name,
            numbers::measured(result.nats, Some(result.se))
        ),
    }
}

fn names(config: &RunConfig) -> String {
    let names: Vec<String> = config
        .objectives
        .iter()
        .map(|objective| {
            let name = racer(*objective).full;
            match (objective, config.objective.block_size) {
                (Objective::Block, Some(size)) => format!("{name} (blocks of {size})"),
                _ => name.to_owned(),
            }
        })
        .collect();
    names.join(" and ")
}

/// The training losses of the first step, as soon as the last model's is known: the line that says "it works".
fn first_losses(state: &State, newest: Objective) -> Option<String> {
    let curves = state.history().curves();
    if curves.len() < state.lines().count() {
        return None;
    }
    let mut losses = Vec::new();
    for curve in curves {
        let mut measured = curve.steps.iter().filter_map(|step| step.train_nats);
        losses.push(format!(
            "{} {}",
            curve.look().short,
            numbers::loss(measured.next()?)
        ));
        // Only the event that completed the line may write it.
        if curve.objective == newest && measured.next().is_some() {
            return None;
        }
    }
    let others_went_on = curves
        .iter()
        .any(|curve| curve.steps.len() > 1 && curve.objective != newest);
    (!others_went_on).then(|| format!("First training losses: {}", losses.join(", ")))
}

/// The evaluation line, when every model has been evaluated at a step.
fn evaluation(state: &State, step: u64) -> Option<String> {
    let curves = state.history().curves();
    if curves.len() < state.lines().count() {
        return None;
    }
    let mut losses = Vec::new();
    for curve in curves {
        let last = curve.last().filter(|last| last.at.step == step)?;
        losses.push(format!(
            "{} {}",
            curve.look().short,
            numbers::measured(last.nats, last.se)
        ));
    }
    Some(format!(
        "step {} of {} · epoch {} · {} · {} · {}",
        numbers::grouped(step),
        numbers::grouped(state.steps()),
        numbers::short(state.epoch()),
        losses.join(", "),
        speeds(state),
        time_left(state)
    ))
}

/// How evenly a mixture's experts are asked.
pub fn experts(load: &ExpertLoad) -> String {
    format!(
        "busiest expert {:.2}x its share, evenness {:.2}",
        load.busiest, load.evenness
    )
}

/// How fast the models train.
pub fn speeds(state: &State) -> String {
    let speeds: Vec<String> = state
        .speeds()
        .iter()
        .map(|(objective, speed)| format!("{} {}", racer(*objective).name, numbers::count(*speed)))
        .collect();
    if speeds.is_empty() {
        "starting".to_owned()
    } else {
        format!("{} tokens/s", speeds.join(", "))
    }
}

/// How long training still takes.
pub fn time_left(state: &State) -> String {
    match state.time_left() {
        Some(seconds) => format!("{} left", numbers::duration(seconds)),
        None => "time left unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::started;
    use super::*;
    use crossover::objective::Likelihood;
    use crossover_report::fixtures::line;

    #[test]
    fn a_loss_spike_stays_readable() {
        let spike = LossSpike {
            objective: Objective::Masked,
            likelihood: Likelihood::Masked,
            step: 1_234,
            nats: Some(5.0),
            median: Some(1.5),
            limit: Some(2.0),
        };
        let line = |spike| lasting(&State::default(), &Event::Spike(spike));
        assert_eq!(
            line(spike.clone()).as_deref(),
            Some("Diffusion: loss spike at step 1,234: 5.000 nats/token, where 1.500 was usual")
        );
        let broken = LossSpike {
            nats: None,
            ..spike
        };
        assert!(line(broken).is_some_and(|line| line.ends_with("is no finite number")));
    }

    #[test]
    fn a_step_that_moved_nothing_is_counted() {
        let step = SkippedStep {
            objective: Objective::Masked,
            step: 1_234,
            loss_scale: 32_768.0,
            skipped_steps: 1,
        };
        assert_eq!(
            lasting(&State::default(), &Event::Skipped(step)).as_deref(),
            Some(
                "Diffusion: gradients of step 1,234 did not fit f16, so it was skipped (1 so far); the loss is scaled by 32768 now"
            )
        );
    }

    #[test]
    fn a_process_that_others_wait_for_is_named() {
        let late = Straggler {
            objective: Objective::Autoregressive,
            step: 1_200,
            rank: 3,
            host: "node-7".to_owned(),
            seconds: 95.0,
            median: 41.0,
        };
        assert_eq!(
            lasting(&State::default(), &Event::Straggler(late)).as_deref(),
            Some(
                "AR: rank 3 on node-7 computed for 1 m 35 s up to step 1,200, where 41 s is usual; the others wait for it"
            )
        );
    }

    #[test]
    fn a_log_has_a_start_the_first_losses_and_a_line_for_each_evaluation() {
        let mut state = State::default();
        let mut log = Vec::new();
        let mut take = |event: Event, elapsed: f64| {
            state.apply(&event, elapsed);
            log.extend(lines(&state, &event));
        };
        take(started(0), 0.0);
        for step in 1..=50 {
            for objective in [Objective::Autoregressive, Objective::Masked] {
                let val = (step % 25 == 0).then_some(0.7);
                take(Event::Metrics(line(objective, step, val)), step as f64);
            }
        }
        let load = ExpertLoad {
            objective: Objective::Masked,
            likelihood: Likelihood::Masked,
            step: 50,
            busiest: 1.5,
            evenness: 0.951,
            shares: vec![vec![0.75, 0.25]],
        };
        take(Event::Experts(load), 50.0);
        assert_eq!(
            log,
            [
                "Racing AR and masked diffusion on grids:latin-5: 100 steps of 40 windows, 452k parameters, \
                 cpu (no GPU found)",
                "First training losses: AR 1.000, Diffusion 1.000",
                "step 25 of 100 · epoch 1 · AR 0.700 ± 0.010, Diffusion 0.700 ± 0.010 · \
                 AR 50k, Diffusion 50k tokens/s · 1 m 15 s left",
                "step 50 of 100 · epoch 2 · AR 0.700 ± 0.010, Diffusion 0.700 ± 0.010 · \
                 AR 50k, Diffusion 50k tokens/s · 50 s left",
                "step 50, Diffusion: busiest expert 1.50x its share, evenness 0.95",
            ]
        );
    }
}
