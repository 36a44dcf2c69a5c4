//! Right answers along the way: how models did on tasks at each evaluation, to be set beside their losses.

use crossover::lab::Estimate;

use crate::history::History;
use crate::points::{Chart, Dot, Line, Spacing};
use crate::tables;
use crate::{escape, numbers};

/// The name of the level of guessing.
pub(super) const GUESSING: &str = "guessing";

/// Right answers to one task against epochs: a line for each likelihood of each model.
pub(super) fn chart(history: &History, task: &str) -> Chart {
    let lines = history.curves().iter().map(|curve| {
        let look = curve.look();
        let dots = curve.scores(task).map(|(at, score)| Dot {
            x: at.epoch,
            y: score.acc,
            se: Some(score.acc_se),
        });
        Line {
            name: look.name.to_owned(),
            class: look.class,
            mark: Some(look.mark),
            dash: look.dash,
            joined: true,
            dots: dots.collect(),
        }
    });
    Chart {
        title: format!("Right answers: {task}"),
        x_title: "epochs: passes over the unique data".to_owned(),
        y_title: "share of right answers",
        lines: lines.collect(),
        level: chance(history, task).map(|chance| (chance, GUESSING)),
        rising: Spacing::Even,
    }
}

/// What guessing gets.
pub(super) fn chance(history: &History, task: &str) -> Option<f64> {
    let curves = history.curves().iter();
    let mut scores = curves.flat_map(|curve| curve.scores(task));
    scores.find_map(|(_, score)| score.chance)
}

/// Everything about answers on a run's page; nothing where no task was put.
pub(super) fn section(history: &History) -> String {
    let tasks = history.tasks();
    let charts: String = tasks
        .iter()
        .map(|task| {
            let chart = chart(history, task);
            format!(
                "<figure><h3>{}</h3>{}{}</figure>\n",
                escape(&chart.title),
                chart.key(),
                chart.drawings()
            )
        })
        .collect();
    if charts.is_empty() {
        return charts;
    }
    charts + &table(history, &tasks) + READING
}

const READING: &str = "<p class=\"small\">Each question's likeliest answer, or what is written into a gap, at every evaluation; \
    bars: ±2 standard errors over questions. AR's likelihood of an answer is exact, diffusion's a bound from few masks. A \
    model may answer better while its loss rises, and the other way round: beside each other, loss and answers say more than \
    either.</p>";

/// Every model's answers when its loss was lowest, and at the end.
fn table(history: &History, tasks: &[&str]) -> String {
    let share = |mean: f64, se: Option<f64>| {
        let se = se.unwrap_or(0.0);
        numbers::share(Estimate { mean, se })
    };
    let mut rows = Vec::new();
    for task in tasks {
        for curve in history.curves() {
            let best = curve.best().map(|best| best.at.step);
            let mut at_best = curve.scores(task).filter(|(at, _)| Some(at.step) == best);
            let best = at_best.next().map_or_else(String::new, |(_, score)| {
                share(score.acc, Some(score.acc_se))
            });
            let Some((at, score)) = curve.scores(task).last() else {
                continue;
            };
            let norm = score
                .acc_norm
                .map_or_else(|| "–".to_owned(), |norm| share(norm, score.acc_norm_se));
            let cells = vec![
                best,
                share(score.acc, Some(score.acc_se)),
                norm,
                numbers::loss(score.nats),
                at.val_nats.map_or_else(String::new, numbers::loss),
                score.questions.to_string(),
            ];
            let name = format!("{task}, {}", curve.look().name);
            rows.push(tables::row(name, cells));
        }
    }
    tables::table(
        "figures",
        "Right answers (acc) at each model's lowest validation loss and after its last step; then by the character (acc_norm), \
         and the losses of the right answers and of validation, nats per token, after its last step.",
        &[
            "",
            "at the lowest loss",
            "at the end",
            "by the character",
            "loss of answers",
            "validation loss",
            "questions",
        ],
        &rows,
    )
}
