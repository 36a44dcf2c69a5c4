//! Figures as files of their own: a drawing with its colours inside, and its numbers.

use std::fmt::Write;

use crate::chart::{Axis, Size};
use crate::history::History;
use crate::{Run, answers, page, theme};

/// A figure by itself.
#[derive(Debug)]
pub struct Figure {
    /// Its name as a file, without an ending.
    pub name: String,
    /// The drawing, with its own colours.
    pub svg: String,
    /// Its numbers.
    pub csv: String,
}

/// The figures of a run's report: losses against each axis, and right answers to each task.
pub fn of_run(run: &Run) -> Vec<Figure> {
    if run.history.curves().is_empty() {
        return Vec::new();
    }
    let plot = page::plot(run);
    let losses = Axis::ALL.map(|axis| Figure {
        name: file_name(&format!("loss {}", axis.name().to_lowercase())),
        svg: standalone(&plot.wide(axis)),
        csv: curves_csv(&run.history),
    });
    let answers = run.history.tasks().into_iter().map(|task| {
        let chart = answers::chart(&run.history, task);
        Figure {
            name: file_name(&format!("answers {task}")),
            svg: standalone(&chart.drawing(Size::Wide)),
            csv: chart.csv(),
        }
    });
    losses.into_iter().chain(answers).collect()
}

/// Every evaluation: a row for each.
pub(super) fn curves_csv(history: &History) -> String {
    let mut text =
        String::from("model,likelihood,step,epoch,tokens,flops,seconds,val_nats,val_se\n");
    for curve in history.curves() {
        for evaluation in curve.evaluations() {
            let at = evaluation.at;
            let se = evaluation.se.map(|se| se.to_string()).unwrap_or_default();
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{},{se}",
                curve.objective.name(),
                curve.likelihood.name(),
                at.step,
                at.epoch,
                at.tokens,
                at.flops,
                at.seconds,
                evaluation.nats
            );
        }
    }
    text
}

/// Words as a file's name.
pub(super) fn file_name(words: &str) -> String {
    let words = words.split(|letter: char| !(letter.is_alphanumeric() || "._".contains(letter)));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// A drawing with the page's colours inside, so that it can stand alone.
pub(super) fn standalone(svg: &str) -> String {
    let rules = include_str!("style.css").lines().filter(|line| {
        line.starts_with("svg text") || line.starts_with("svg .") || line.starts_with("svg path")
    });
    let style = format!(
        "<style>{}svg{{font-family:system-ui,sans-serif;background:var(--ground)}}{}</style>",
        theme::style(),
        rules.collect::<String>()
    );
    match svg.find('>') {
        Some(end) => {
            let (open, rest) = svg.split_at(end + 1);
            let open = open.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
            format!("{open}{style}{rest}")
        }
        None => String::new(),
    }
}
