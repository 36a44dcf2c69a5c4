//! How losses and answers of a sweep's points went: each point by itself, and all values of an axis in one chart.

use std::fmt::Write;

use crossover::objective::Objective;

use super::view::{dot, drawn, named, short};
use super::{PointFound, Sweep};
use crate::chart::{Axis, Crossing, Plot, Size};
use crate::figures::{Figure, curves_csv, file_name, standalone};
use crate::history::{Curve, History};
use crate::points::{Chart, Dot, Line, Spacing, value as value_of};
use crate::theme::series;
use crate::{Run, answers, escape, scale};

/// Points whose curves are drawn each.
const MOST_DRAWN: usize = 60;
/// Values of an axis whose curves one chart holds: each has a colour of its own.
const MOST_TOGETHER: usize = 5;

/// The evaluations of a point: the mean of its finished runs, where there are several.
struct Shown<'a> {
    history: History,
    /// The finished runs of a mean.
    seeds: Vec<&'a History>,
    floor: Option<f64>,
}

impl<'a> Shown<'a> {
    /// Of a point of which some run has begun.
    fn of(sweep: &'a Sweep, point: &PointFound) -> Option<Self> {
        let begun: Vec<&Run> = point
            .runs
            .iter()
            .filter_map(|index| Some(&sweep.runs.get(*index)?.as_ref()?.run))
            .filter(|run| !run.history.curves().is_empty())
            .collect();
        let first = begun.first()?;
        let seeds: Vec<&History> = begun
            .iter()
            .filter(|run| run.outcome.is_some())
            .map(|run| &run.history)
            .collect();
        let floor = first.floor();
        Some(match seeds.len() > 1 {
            true => Self {
                history: History::mean(&seeds),
                seeds,
                floor,
            },
            false => Self {
                history: first.history.clone(),
                seeds: Vec::new(),
                floor,
            },
        })
    }
}

/// The curves of every point, small and side by side; answers beside losses, where the models were put to tasks.
pub(super) fn multiples(
    sweep: &Sweep,
    findings: &super::Findings,
    figures: &mut Vec<Figure>,
) -> String {
    let mut html = String::from("<div class=\"multiples\">");
    let mut drawn = 0;
    for (number, point) in findings.points.iter().enumerate() {
        let Some(shown) = Shown::of(sweep, point) else {
            continue;
        };
        let plot = Plot {
            id: format!("point-{number}-"),
            range: scale::losses(&shown.history, shown.floor),
            history: &shown.history,
            floor: shown.floor,
            crossings: point
                .races()
                .into_iter()
                .flat_map(Crossing::of_seeds)
                .collect(),
            seeds: shown.seeds,
        };
        let mut small = vec![(point.name.clone(), plot.small(Axis::Epochs))];
        figures.push(Figure {
            name: file_name(&format!("loss {}", point.name)),
            svg: standalone(&small[0].1),
            csv: curves_csv(&shown.history),
        });
        for task in shown.history.tasks() {
            let chart = answers::chart(&shown.history, task);
            let drawing = chart.drawing(Size::Narrow);
            figures.push(Figure {
                name: file_name(&format!("answers {task} {}", point.name)),
                svg: standalone(&drawing),
                csv: chart.csv(),
            });
            small.push((format!("{}: right answers, {task}", point.name), drawing));
        }
        if drawn < MOST_DRAWN {
            for (title, drawing) in small {
                let _ = write!(
                    html,
                    "<figure><h3>{}</h3>{drawing}</figure>",
                    escape(&title)
                );
            }
        }
        drawn += 1;
    }
    html.push_str("</div>");
    match drawn {
        0 => return "<p>Nothing measured yet.</p>".to_owned(),
        1..=MOST_DRAWN => {}
        _ => {
            let _ = write!(
                html,
                "<p>The first {MOST_DRAWN} of {drawn} points; the others are in <code>figures</code>.</p>"
            );
        }
    }
    html + "<p class=\"small\">Validation losses at each evaluation, the mean where several seeds are done (thin lines: each \
        seed), against epochs; each point has its own axes. Shades: ±1 and ±2 standard errors, over seeds where there are \
        several; so are the bars of right answers. Diamonds: curve crossover (open) and envelope crossover (filled). Dotted: \
        the floor, where it is known, and AR's best; of answers, guessing.</p>"
}

/// Losses against epochs of all points on an axis in one chart, and their right answers in another. A chart holds few
/// values; of more there is none.
pub(super) fn of_axis(
    sweep: &Sweep,
    key: &str,
    kind: &str,
    points: &[(f64, &PointFound)],
    figures: &mut Vec<Figure>,
) -> String {
    let all: Vec<(f64, &PointFound, Shown<'_>)> = points
        .iter()
        .filter_map(|(value, point)| Some((*value, *point, Shown::of(sweep, point)?)))
        .collect();
    if !(2..=MOST_TOGETHER).contains(&all.len()) {
        return String::new();
    }
    let mut tasks: Vec<&str> = Vec::new();
    for task in all.iter().flat_map(|(.., shown)| shown.history.tasks()) {
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let of = |title: String,
              y_title: &'static str,
              level: Option<(f64, &'static str)>,
              dots: &dyn Fn(&Curve) -> Vec<Dot>| {
        let mut lines = Vec::new();
        for (number, (value, point, shown)) in all.iter().enumerate() {
            let value = value_of(*value);
            for curve in shown.history.curves() {
                let is_ar = curve.objective == Objective::Autoregressive;
                lines.push(Line {
                    name: format!("{}, {}={value}", curve.look().name, short(key)),
                    class: series(number).class,
                    mark: None,
                    dash: (!is_ar).then_some("7 4"),
                    joined: true,
                    dots: dots(curve),
                });
            }
            lines.extend(crossing_marks(number, &value, point, shown, dots));
        }
        Chart {
            title,
            x_title: "epochs: passes over the unique data".to_owned(),
            y_title,
            lines,
            level,
            rising: Spacing::Even,
        }
    };
    let name = |what: &str| named(what, kind);
    let chart = of(
        name(&format!("Loss along the way, by {}", short(key))),
        "nats per token",
        None,
        &losses,
    );
    let mut html = drawn(&chart, &name(&format!("loss-along-{key}")), figures);
    for task in tasks {
        let chance = all
            .iter()
            .find_map(|(.., shown)| answers::chance(&shown.history, task));
        let chart = of(
            name(&format!(
                "Right answers along the way, by {}: {task}",
                short(key)
            )),
            "share of right answers",
            chance.map(|chance| (chance, answers::GUESSING)),
            &|curve| right(curve, task),
        );
        html.push_str(&drawn(
            &chart,
            &name(&format!("answers-along-{key}-{task}")),
            figures,
        ));
    }
    html
}

fn losses(curve: &Curve) -> Vec<Dot> {
    let each = curve.evaluations();
    each.map(|evaluation| dot(evaluation.at.epoch, (evaluation.nats, None)))
        .collect()
}

fn right(curve: &Curve, task: &str) -> Vec<Dot> {
    let each = curve.scores(task);
    each.map(|(at, score)| dot(at.epoch, (score.acc, None)))
        .collect()
}

/// Diamonds on the line of AR's opponent, where it crossed.
fn crossing_marks(
    number: usize,
    value: &str,
    point: &PointFound,
    shown: &Shown<'_>,
    dots: &dyn Fn(&Curve) -> Vec<Dot>,
) -> Vec<Line> {
    let Some((_, second)) = shown.history.race() else {
        return Vec::new();
    };
    let along = dots(second);
    let mark = |crossing: Crossing| {
        let near = |dot: &&Dot| (dot.x - crossing.epoch).abs();
        let at = along
            .iter()
            .min_by(|left, right| near(left).total_cmp(&near(right)))?;
        Some(Line {
            name: format!("{} crossover, {value}", crossing.name),
            class: series(number).class,
            mark: Some(if crossing.filled { '◆' } else { '▼' }),
            dash: None,
            joined: false,
            dots: vec![Dot {
                x: crossing.epoch,
                ..*at
            }],
        })
    };
    point
        .races()
        .into_iter()
        .flat_map(Crossing::of_seeds)
        .filter_map(mark)
        .collect()
}
