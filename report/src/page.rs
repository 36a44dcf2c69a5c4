//! The page: its order, its words, and the frame around charts, tables and samples.

use crossover::lab::Outcome;
use crossover::objective::{Bound, Objective};
use crossover::train::RunConfig;

use crate::chart::{self, Axis, Crossing, Plot};
use crate::frontier::Cost;
use crate::history::Curve;
use crate::numbers;
use crate::theme::{Racer, racer};
use crate::{Run, answers, escape, samples, scale, tables, theme, verdict};

/// What earlier races have shown about regularisation. Plain text, a paragraph.
const PILOTS: &str = "Regularisation is what decides between the second and the third crossover. On little data, AR \
    repeats its windows until it knows them by heart; dropout, weight decay or masked inputs delay that and lower its \
    best. Diffusion sees its inputs masked anyway, differently each time. On the default race's 1,000 Latin squares \
    (one seed each, test part): AR without dropout 0.614 ± 0.003, AR with dropout 0.3 0.524 ± 0.002 after 120 epochs; \
    diffusion without dropout at most 0.560 ± 0.001 (0.519 ± 0.003 left to right), with dropout 0.1 at most \
    0.612 ± 0.001, both after 100. So at this budget diffusion overtakes an AR that is stopped in time; against a \
    well-regularised AR its bound is behind and its exact left-to-right likelihood is level.";

/// The whole page.
pub fn page(run: &Run) -> String {
    let mut body = part("Result", &(tables::result(run) + &reading(run)));
    body.push_str(&part("Loss along the way", &charts(run)));
    let answers = answers::section(&run.history);
    if !answers.is_empty() {
        body.push_str(&part("Right answers along the way", &answers));
    }
    if run.history.race().is_some() {
        body.push_str(&part(
            "Which crossover, and what regularisation does",
            &crossovers(run),
        ));
    }
    if !run.experts.is_empty() {
        body.push_str(&part(
            "How busy the experts are",
            &tables::experts(&run.experts),
        ));
    }
    let written = samples::samples(run);
    if !written.is_empty() {
        body.push_str(&part("What they wrote", &written));
    }
    let parameters = run.started.as_ref().map(|started| started.parameters);
    body.push_str(&part(
        "What, where, how",
        &columns(
            &tables::configuration(&run.config, parameters, run.config.seed.to_string()),
            &tables::provenance(run),
        ),
    ));
    body.push_str(&part("Do it again", &again(run)));
    let what = if run.config.objectives.len() > 1 {
        "race report"
    } else {
        "training report"
    };
    frame(what, &headline(run), &setting(run), &body)
}

/// A page around its parts.
pub fn frame(what: &str, title: &str, sub: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{variables}{style}{tabs}</style>\n</head>\n<body>\n\
         <header><p class=\"kicker\">Crossover · {what}</p><h1>{title}</h1><p class=\"sub\">{sub}</p></header>\n<main>\n\
         {body}</main>\n<footer>Made by crossover {version}. This page loads nothing from anywhere.</footer>\n</body>\n</html>\n",
        what = escape(what),
        title = escape(title),
        sub = escape(sub),
        variables = theme::style(),
        style = include_str!("style.css"),
        tabs = tabs_style(),
        version = env!("CARGO_PKG_VERSION")
    )
}

/// Two things side by side where the page is wide enough.
pub fn columns(left: &str, right: &str) -> String {
    format!("<div class=\"columns\"><div>{left}</div><div>{right}</div></div>")
}

/// A section with its heading.
pub fn part(title: &str, content: &str) -> String {
    format!(
        "<section class=\"part\"><h2>{}</h2>\n{content}</section>\n",
        escape(title)
    )
}

/// The result in a sentence; "so far" while there is none.
fn headline(run: &Run) -> String {
    match &run.outcome {
        Some(Outcome::Race(result)) => verdict::headline(result),
        Some(Outcome::Train(result)) => {
            let look = racer(result.objective);
            format!(
                "{}: {} nats/token on the test part ({}, from one seed).",
                look.name,
                numbers::measured(result.nats, Some(result.se)),
                theme::kind(result.bound)
            )
        }
        None => {
            let standing = match verdict::standing(&run.history) {
                Some(standing) => standing.sentence(),
                None => match run
                    .history
                    .curves()
                    .iter()
                    .find_map(|curve| Some((curve, curve.best()?)))
                {
                    Some((curve, best)) => format!(
                        "{} is at {} nats/token on validation so far.",
                        curve.look().name,
                        numbers::measured(best.nats, best.se)
                    ),
                    None => "Nothing evaluated so far.".to_owned(),
                },
            };
            format!("Unfinished, {}. {standing}", reached(run))
        }
    }
}

/// How far an unfinished run has come.
fn reached(run: &Run) -> String {
    let step = run.history.step();
    let of = run
        .started
        .as_ref()
        .map(|started| format!(" of {}", numbers::grouped(started.steps)))
        .unwrap_or_default();
    format!("step {}{of}", numbers::grouped(step))
}

/// The setting in a line: data, model, machine.
fn setting(run: &Run) -> String {
    let (corpus, model) = (&run.config.corpus, &run.config.model);
    let mut text = corpus.source.join(", ");
    if let Some(unique) = corpus.unique {
        text.push_str(&format!(": {} unique tokens", numbers::grouped(unique)));
    }
    let epochs = run
        .history
        .curves()
        .iter()
        .filter_map(|curve| Some(curve.steps.last()?.epoch))
        .fold(0.0, f64::max);
    text.push_str(&format!(
        ", {} epochs of training. {} layers of width {}",
        numbers::short(epochs),
        model.num_hidden_layers,
        model.hidden_size
    ));
    if let Some(started) = &run.started {
        text.push_str(&format!(
            ", {} parameters",
            numbers::count(started.parameters as f64)
        ));
        if run.config.objectives.len() > 1 {
            text.push_str(" and the same first weights for both");
        }
        text.push_str(&format!(". On {}", started.device));
    }
    text.push_str(&format!(". Seed {}.", run.config.seed));
    text
}

/// How to read the figures.
fn reading(run: &Run) -> String {
    let mut text = String::from("<p class=\"small\">");
    let bound = |curve: &Curve| curve.kind() == theme::kind(Bound::Elbo);
    if let Some((_, rival)) = run.history.race() {
        text.push_str("AR's loss is its exact negative log-likelihood (NLL). ");
        let Racer {
            subject, spoken, ..
        } = racer(rival.objective);
        text.push_str(&what_it_is(rival.objective, &run.config));
        if bound(rival) {
            text.push_str(&format!(
                "{subject}'s loss is an upper bound: its true loss is at or below it. So where the bound is below AR, \
                 {spoken} is better; where it is above, {spoken} may still be better than it looks. "
            ));
        }
    } else if run.history.curves().last().is_some_and(bound) {
        text.push_str(
            "The loss is an upper bound: the true negative log-likelihood is at or below it. ",
        );
    } else {
        text.push_str("The loss is the exact negative log-likelihood (NLL). ");
    }
    text.push_str(
        "Standard errors cover the choice of test windows, not the seed: another seed may move every figure by more.</p>",
    );
    let notices: String = run
        .notices
        .iter()
        .map(|notice| format!("<p class=\"small\">{}</p>", escape(notice)))
        .collect();
    text.push_str(&notices);
    if run.unreadable > 0 {
        text.push_str(&format!(
            "<p class=\"small\">Lines of the run's files that could not be read and are left out here: {}.</p>",
            run.unreadable
        ));
    }
    text
}

/// What those need to know who have only heard of masked diffusion.
fn what_it_is(objective: Objective, config: &RunConfig) -> String {
    match (objective, config.objective.block_size) {
        (Objective::Block, Some(1)) => {
            "Block diffusion with blocks of one token writes from left to right, and its loss is exact. ".to_owned()
        }
        (Objective::Block, Some(size)) => format!(
            "Block diffusion writes blocks of {size} tokens from left to right, and inside a block by masked diffusion. "
        ),
        (Objective::Dual, _) => format!(
            "The dual model is one model trained in two ways, {} % of each batch left to right and the rest by masked \
             diffusion. So it has two losses, each measured as it was trained: an exact one, as AR, and a bound, which is \
             what races here. ",
            numbers::short(100.0 * config.objective.dual_fraction)
        ),
        _ => String::new(),
    }
}

/// Shows the panel of the chosen axis; needs no script.
fn tabs_style() -> String {
    let losses = Axis::ALL.iter().map(|axis| axis.name().to_lowercase());
    let costs = Cost::ALL.iter().map(|cost| cost.id().to_owned());
    losses
        .chain(costs)
        .map(|id| format!("#axis-{id}:checked~.panel-{id}{{display:block}}\n"))
        .collect()
}

fn charts(run: &Run) -> String {
    if run.history.curves().is_empty() {
        return "<p>Nothing measured yet.</p>".to_owned();
    }
    let caption = "Thick lines with marks: validation, never smoothed; each line's largest mark is its best checkpoint. \
        Shades: ±1 and ±2 standard errors. Thin pale lines: training batches.";
    drawn(&plot(run), caption)
}

/// The run's losses as a chart.
pub fn plot(run: &Run) -> Plot<'_> {
    let mut crossings = Vec::new();
    if let Some(epoch) = run.curve_crossover() {
        crossings.push(Crossing {
            name: "curve",
            filled: false,
            epoch,
        });
    }
    if let Some(epoch) = run.race().and_then(|race| race.envelope_crossover_epoch) {
        crossings.push(Crossing {
            name: "envelope",
            filled: true,
            epoch,
        });
    }
    Plot {
        id: String::new(),
        history: &run.history,
        range: scale::losses(&run.history, run.floor()),
        floor: run.floor(),
        crossings,
        seeds: Vec::new(),
    }
}

/// The charts with their legend, their caption and their numbers.
pub fn drawn(plot: &Plot<'_>, caption: &str) -> String {
    let mut html = String::from(
        "<fieldset><legend class=\"small\">Nats per token (lower is better) against</legend>",
    );
    for (index, axis) in Axis::ALL.iter().enumerate() {
        let (name, id) = (axis.name(), axis.name().to_lowercase());
        let checked = if index == 0 { " checked" } else { "" };
        html.push_str(&format!(
            "<input type=\"radio\" name=\"axis\" id=\"axis-{id}\"{checked}><label for=\"axis-{id}\">{name}</label>"
        ));
    }
    html.push_str(&key(plot));
    for axis in Axis::ALL {
        html.push_str(&format!(
            "<figure class=\"panel panel-{}\"><h3>{}</h3>{}</figure>\n",
            axis.name().to_lowercase(),
            axis.name(),
            plot.drawings(axis)
        ));
    }
    html.push_str("</fieldset>");
    let mut caption = caption.to_owned();
    if let Some(cut) = plot.cut() {
        caption.push(' ');
        caption.push_str(&cut);
    }
    html.push_str(&format!("<p class=\"small\">{}</p>", escape(&caption)));
    html.push_str(&format!(
        "<details><summary>All evaluations as a table</summary>{}</details>",
        tables::evaluations(plot.history)
    ));
    html
}

/// The legend.
fn key(plot: &Plot<'_>) -> String {
    let mut items = Vec::new();
    for curve in plot.history.curves() {
        let look = curve.look();
        let dash = chart::dash(look);
        items.push((
            format!(
                "<path class=\"validation {0}\"{dash} d=\"M0 7H34\"/><path class=\"mark {0}\" d=\"{1}\"/>",
                look.class,
                look.outline(17.0, 7.0, 4.5)
            ),
            if plot.seeds.is_empty() {
                format!("{}: {}", look.name, curve.kind())
            } else {
                format!("{}: {}, mean", look.name, curve.kind())
            },
        ));
    }
    if !plot.seeds.is_empty() {
        items.push((
            plot.history
                .curves()
                .iter()
                .zip([4.0, 10.0])
                .map(|(curve, y)| {
                    format!(
                        "<path class=\"seed {}\" d=\"M0 {y}H34\"/>",
                        curve.look().class
                    )
                })
                .collect(),
            "each seed".to_owned(),
        ));
    }
    if plot.history.race().is_some() {
        let best = if plot.seeds.is_empty() {
            "AR's best, kept"
        } else {
            "AR's mean at its best, kept"
        };
        items.push((
            "<path class=\"level ar\" d=\"M0 7H34\"/>".to_owned(),
            best.to_owned(),
        ));
    }
    if plot.floor.is_some() {
        items.push((
            "<path class=\"floor\" d=\"M1 7H34\"/>".to_owned(),
            "floor: no model can go lower".to_owned(),
        ));
    }
    for crossing in &plot.crossings {
        let class = if crossing.filled {
            "crossing filled"
        } else {
            "crossing"
        };
        items.push((
            format!("<path class=\"{class}\" d=\"M17 0l7 7l-7 7l-7-7Z\"/>"),
            if plot.seeds.is_empty() {
                format!("{} crossover", crossing.name)
            } else {
                format!("{} crossover, mean epoch", crossing.name)
            },
        ));
    }
    legend(items)
}

/// A list of drawings, 34 by 14, with what they stand for.
pub fn legend(items: Vec<(String, String)>) -> String {
    let items: String = items
        .into_iter()
        .map(|(drawing, text)| {
            format!(
                "<li><svg viewBox=\"0 0 34 14\" aria-hidden=\"true\">{drawing}</svg>{}</li>",
                escape(&text)
            )
        })
        .collect();
    format!("<ul class=\"key\">{items}</ul>")
}

/// The three crossovers, what each compares, and what became of it here.
fn crossovers(run: &Run) -> String {
    let (curve, envelope) = match run.race() {
        Some(result) => (verdict::curve(result), verdict::envelope(result)),
        None => (
            match verdict::curve_so_far(&run.history) {
                Some(epoch) => format!("below since epoch {}, so far.", numbers::short(epoch)),
                None => "not so far.".to_owned(),
            },
            verdict::standing(&run.history).map_or_else(
                || "nothing to compare so far.".to_owned(),
                |standing| standing.sentence(),
            ),
        ),
    };
    let mut list = three(&curve, &envelope);
    if let Some(dual) = run.race().and_then(|race| race.dual_ar) {
        list.push_str(&also_dual(&verdict::dual(&dual)));
    }
    let overfitted = overfitting(run).map_or_else(String::new, |text| {
        format!(
            "<div><h3>How far AR overfitted here</h3><p>{}</p></div>",
            escape(&text)
        )
    });
    format!(
        "{list}<div class=\"columns\">{overfitted}\
         <div><h3>What regularisation does</h3><p>{}</p><p>{}</p></div></div>",
        escape(&regularisation(run)),
        with_code(PILOTS)
    )
}

/// What became of a dual model's other likelihood.
pub fn also_dual(words: &str) -> String {
    format!(
        "<p class=\"also\"><b>The dual model as AR</b>: {}</p>",
        escape(words)
    )
}

/// What each crossover compares, and what became of it.
pub fn three(curve: &str, envelope: &str) -> String {
    let list: String = [
        (
            "Curve crossover",
            "Both models after equal training, overfitted or not. The weakest of the three: once AR overfits, its curve \
             rises into any bound that doesn't.",
            curve,
        ),
        (
            "Envelope crossover",
            "The bound against the best AR of the whole run, as if AR had been stopped in time, by more than two paired \
             standard errors. This is the headline.",
            envelope,
        ),
        (
            "Regularised envelope",
            "The bound against the best AR of any regularisation tried. The strongest of the three.",
            verdict::REGULARISED,
        ),
    ]
    .into_iter()
    .map(|(name, compares, here)| {
        format!(
            "<div><dt>{}</dt><dd>{} <span class=\"here\"><b>Here:</b> {}</span></dd></div>",
            escape(name),
            escape(compares),
            with_code(here)
        )
    })
    .collect();
    format!("<dl class=\"three\">{list}</dl>")
}

/// Text for HTML with its backticked words as code.
pub fn with_code(text: &str) -> String {
    let pieces: Vec<String> = text
        .split('`')
        .enumerate()
        .map(|(index, piece)| {
            if index.is_multiple_of(2) {
                escape(piece)
            } else {
                format!("<code>{}</code>", escape(piece))
            }
        })
        .collect();
    pieces.concat()
}

/// How far AR's curve rose after its best.
fn overfitting(run: &Run) -> Option<String> {
    let ar = run.history.curve(Objective::Autoregressive)?;
    let (best, last) = (ar.best()?, ar.last()?);
    let rise = last.nats - best.nats;
    let noise = best.se.unwrap_or(0.0).hypot(last.se.unwrap_or(0.0));
    let epoch = numbers::short(best.at.epoch);
    Some(if rise > 2.0 * noise && rise > 0.0 {
        format!(
            "AR's validation loss is lowest at epoch {epoch} ({}) and then rises by {} to {}: it learns its training \
             windows by heart. The curve crossover counts that against AR; the envelope doesn't.",
            numbers::loss(best.nats),
            numbers::loss(rise),
            numbers::loss(last.nats)
        )
    } else {
        format!(
            "AR's validation loss is lowest at epoch {epoch} ({}) and at the end still within two standard errors of \
             that ({}). It did not overfit, so curve and envelope compare nearly the same.",
            numbers::loss(best.nats),
            numbers::loss(last.nats)
        )
    })
}

/// The one setting this run tried.
fn regularisation(run: &Run) -> String {
    let config = &run.config;
    format!(
        "This run tried one setting: dropout {} and weight decay {} for both models, and {} of AR's inputs masked in \
         training.",
        config.model.dropout,
        config.train.weight_decay,
        if config.objective.input_mask > 0.0 {
            format!("{} %", numbers::short(config.objective.input_mask * 100.0))
        } else {
            "none".to_owned()
        }
    )
}

/// How to repeat or continue the run.
fn again(run: &Run) -> String {
    let (resume, command) = match run.config.objectives[..] {
        [only] => ("train", format!("train --objective {}", only.name())),
        _ => ("race", "race".to_owned()),
    };
    let folder = quoted(&run.folder);
    let config = quoted(&format!("{}/config.toml", run.folder));
    let lines = if run.outcome.is_some() {
        format!("crossover {command} --config {config} --out runs/again")
    } else {
        format!(
            "# from its last checkpoint\ncrossover {resume} --resume {folder}\n\n\
             # from the start\ncrossover {command} --config {config} --out runs/again"
        )
    };
    format!(
        "<p>The configuration decides every random draw: the same version on the same kind of device trains the same \
         models.</p><pre>{}</pre>\
         <details><summary><code>config.toml</code></summary><pre>{}</pre></details>",
        escape(&lines),
        escape(&run.config_text)
    )
}

/// A path as one word for a shell.
pub fn quoted(path: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_stays_one_word() {
        assert_eq!(quoted("runs/2026-01-01_grids"), "runs/2026-01-01_grids");
        assert_eq!(quoted("my runs/it's"), r"'my runs/it'\''s'");
    }
}
