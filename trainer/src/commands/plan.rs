//! `plan`: what to train with some unique tokens and a budget, as published laws or a sweep's own predict.

use anyhow::Result;
use crossover::error::Error;
use crossover::lab::bench::training_speed;
use crossover::laws::plan::{self, AR_REPEATS, Advice, Means, Plan};
use crossover::objective::Objective;
use crossover::train::RunConfig;
use crossover_report::numbers;
use crossover_report::sweep::laws::Laws;
use serde_json::{Value, json};

use crate::arguments::PlanArguments;
use crate::commands::{print_json, print_text};
use crate::sweep::place;
use crate::{devices, report, terminal};

/// Training steps that are timed to know how fast this machine is.
const STEPS: u64 = 20;
/// Token ids of an English text by character, MASK included.
const ENGLISH_CHARACTERS: usize = 66;
const DEFAULT_LENGTH: usize = 64;

/// What may be spent on each model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Budget {
    Flops(f64),
    Seconds(f64),
}

/// Predicts and prints.
pub fn run(arguments: &PlanArguments) -> Result<()> {
    let budget = budget(&arguments.budget)?;
    let positive = |flag: &str, value: f64| match value.is_finite() && value > 0.0 {
        true => Ok(value),
        false => {
            Err(Error::input(format!("`{flag}` is {value}")).with_hint("give a number above 0"))
        }
    };
    let unique = positive("--unique", arguments.unique)?;
    let speed = arguments
        .speed
        .map(|speed| positive("--speed", speed))
        .transpose()?;
    let length = arguments.length.unwrap_or(DEFAULT_LENGTH);
    let vocab_size = arguments.vocab_size.unwrap_or(ENGLISH_CHARACTERS);
    if length == 0 || vocab_size < 2 {
        return Err(Error::input("there is no such model")
            .with_hint("`--length` is at least 1, and `--vocab-size` at least 2")
            .into());
    }
    let laws = own_laws(arguments)?;
    let (flops, speed) = match (budget, speed) {
        (Budget::Flops(flops), speed) => (flops, speed),
        (Budget::Seconds(seconds), Some(speed)) => (seconds * speed, Some(speed)),
        (Budget::Seconds(seconds), None) => {
            let speed = measured_speed(arguments)?;
            (seconds * speed, Some(speed))
        }
    };
    let means = Means {
        unique,
        flops,
        length,
        vocab_size,
        critical: laws.critical.as_ref(),
        onset: laws.onset.as_ref(),
    };
    let plan = plan::plan(&means).ok_or_else(|| {
        Error::input(format!(
            "{} FLOPs don't pay for one pass of the smallest model over {} tokens",
            numbers::flops(flops),
            numbers::count(unique)
        ))
        .with_hint("give a larger `--budget`, or less `--unique`")
    })?;
    if arguments.common.json {
        return print_json(&as_json(&plan, speed, &laws));
    }
    print_text(&text(&plan, speed, &laws, length))
}

/// A number of FLOPs, or a time with its unit.
fn budget(typed: &str) -> Result<Budget, Error> {
    const UNITS: [(&str, f64); 4] = [("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
    let refused = |what: &str| {
        Error::input(format!("`--budget` can't be `{typed}`: {what}"))
            .with_hint("FLOPs such as 2e13, or a time such as 45s, 20m, 3h or 2d")
    };
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let amount = match UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((number(typed.strip_suffix(unit)?)?, *seconds)))
    {
        Some((amount, seconds)) => Budget::Seconds(amount * seconds),
        None => Budget::Flops(number(typed).ok_or_else(|| refused("it is no number"))?),
    };
    let (Budget::Flops(size) | Budget::Seconds(size)) = amount;
    match size.is_finite() && size > 0.0 {
        true => Ok(amount),
        false => Err(refused("it is not above 0")),
    }
}

/// Laws fitted to the runs of `--from`.
fn own_laws(arguments: &PlanArguments) -> Result<Laws> {
    let Some(folder) = &arguments.from else {
        return Ok(Laws::default());
    };
    let record = place::read(folder)?.ok_or_else(|| {
        Error::input(format!("`{}` holds no sweep", folder.display()))
            .with_hint("give the folder that `crossover sweep` wrote")
    })?;
    Ok(Laws::fit(&report::read_sweep(folder, &record)?))
}

/// Training FLOPs a second on this machine, of the default race's shape.
fn measured_speed(arguments: &PlanArguments) -> Result<f64> {
    let device = devices::choose(&arguments.common)?;
    eprintln!(
        "measuring how fast this machine trains ({})",
        device.description
    );
    let config = RunConfig::default();
    let shape = config.model.resolve(ENGLISH_CHARACTERS)?;
    pollster::block_on(async {
        // Its share of the peak is not asked for.
        let peak = f64::INFINITY;
        let speed = training_speed(
            Objective::Masked,
            &config,
            &shape,
            DEFAULT_LENGTH,
            STEPS,
            peak,
            &device,
        );
        Ok(speed.await?.flops_per_second)
    })
}

fn as_json(plan: &Plan, speed: Option<f64>, laws: &Laws) -> Value {
    json!({
        "event": "result",
        "extrapolated": true,
        "plan": plan,
        "ratio": plan.flops / plan.critical_flops,
        "flops_per_second": speed,
        "seconds": speed.map(|speed| plan.flops / speed),
        "own_critical": laws.critical,
        "own_onset": laws.onset,
    })
}

fn text(plan: &Plan, speed: Option<f64>, laws: &Laws, length: usize) -> String {
    let ratio = plan.flops / plan.critical_flops;
    let (best, unique) = (&plan.best, numbers::count(plan.unique));
    let time = speed.map_or_else(String::new, |speed| {
        format!(
            ", about {} for each model",
            numbers::duration(plan.flops / speed)
        )
    });
    let advice = match plan.advice {
        Advice::Ar => "train AR, stopped in time: the budget is below the critical compute",
        Advice::Race => "race both: the budget is near the critical compute",
        Advice::Masked => "train masked diffusion: the budget is above the critical compute",
    };
    let source = match (laws.critical.is_some(), laws.onset.is_some()) {
        (true, true) => "the crossover and the onset by laws fitted to your sweep",
        (true, false) => "the crossover by a law fitted to your sweep, the onset by Quokka's",
        (false, true) => {
            "the crossover by the published law, the onset by one fitted to your sweep"
        }
        (false, false) => {
            "the crossover by arXiv 2507.15857, the onset by Quokka (arXiv 2510.03280)"
        }
    };
    let interval = plan
        .critical_interval
        .map_or_else(String::new, |(low, high)| {
            format!(" [{}, {}]", numbers::flops(low), numbers::flops(high))
        });
    let mut table = vec![
        [
            "width",
            "layers",
            "parameters",
            "epochs",
            "crossover",
            "overfits",
            "",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for candidate in &plan.candidates {
        let note = match candidate == best {
            true => "lowest predicted loss",
            false if candidate.onset_epoch < candidate.epochs => "overfits before the end",
            false => "",
        };
        table.push(vec![
            candidate.hidden_size.to_string(),
            candidate.num_hidden_layers.to_string(),
            numbers::count(candidate.parameters as f64),
            numbers::short(candidate.epochs),
            numbers::short(candidate.crossover_epoch),
            numbers::short(candidate.onset_epoch),
            note.to_owned(),
        ]);
    }
    let epochs = best.epochs.min(best.onset_epoch);
    let command = match plan.advice {
        Advice::Ar => "train --objective ar",
        Advice::Race => "race",
        Advice::Masked => "train --objective masked",
    };
    // AR is at its best long before the last of these epochs; what it gains later it gains by regularisation.
    let (epochs, dropout) = match plan.advice {
        Advice::Ar => (epochs.min(4.0 * AR_REPEATS), " --dropout 0.2"),
        Advice::Race | Advice::Masked => (epochs, ""),
    };
    format!(
        "{unique} unique tokens, {} FLOPs{time}: {advice}.\n\
         The critical compute is {}{interval}; the budget is {} times that.\n\n{}\n\
         Epochs are what the whole budget buys; \"crossover\" and \"overfits\" are epochs of masked diffusion.\n\
         Extrapolated: {source}. Take it to choose pilots, not as a promise.\n\n\
         crossover {command} --corpus TEXT --unique {:.0} --length {length} --hidden-size {} --layers {} --heads {} \
         --epochs {}{dropout}\n",
        numbers::flops(plan.flops),
        numbers::flops(plan.critical_flops),
        three_digits(ratio),
        terminal::aligned(&table),
        plan.unique,
        best.hidden_size,
        best.num_hidden_layers,
        best.num_attention_heads,
        epochs.round().max(1.0),
    )
}

fn three_digits(ratio: f64) -> String {
    match ratio {
        _ if !(0.01..100.0).contains(&ratio) => format!("{ratio:.1e}"),
        _ => format!("{ratio:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_flops_or_a_time() {
        assert_eq!(budget("2e13").ok(), Some(Budget::Flops(2e13)));
        assert_eq!(budget("20m").ok(), Some(Budget::Seconds(1_200.0)));
        assert_eq!(budget("1.5h").ok(), Some(Budget::Seconds(5_400.0)));
        for wrong in ["", "much", "-3", "0", "0m", "NaN", "inf", "3w"] {
            let error = budget(wrong).expect_err(wrong);
            assert!(
                error.hint().is_some_and(|hint| hint.contains("20m")),
                "{wrong}"
            );
        }
    }
}
