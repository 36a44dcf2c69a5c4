//! Loss curves as SVG, drawn by hand: no script, one drawing for wide and one for narrow pages.

use std::fmt::Write;

use crossover::train::Metrics;

use crate::escape;
use crate::history::{Curve, Evaluation, History};
use crate::numbers;
use crate::scale::{self, Range};
use crate::theme::Racer;
use crate::together::Races;

/// What a loss is drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Tokens trained on, repeats included.
    Tokens,
    /// Passes over the unique data.
    Epochs,
    /// Training FLOPs.
    Flops,
    /// The model's own training time.
    Seconds,
}

impl Axis {
    /// Every axis, in the order of the page.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Epochs, Self::Flops, Self::Seconds];

    /// Its short name: heading, tab and identifier.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "Tokens",
            Self::Epochs => "Epochs",
            Self::Flops => "FLOPs",
            Self::Seconds => "Seconds",
        }
    }

    /// What stands at the axis.
    fn title(self) -> &'static str {
        match self {
            Self::Tokens => "tokens trained on, repeats included",
            Self::Epochs => "epochs: passes over the unique data",
            Self::Flops => "training FLOPs of each model",
            Self::Seconds => "each model's own training time",
        }
    }

    fn value(self, at: &Metrics) -> f64 {
        match self {
            Self::Tokens => at.tokens as f64,
            Self::Epochs => at.epoch,
            Self::Flops => at.flops,
            Self::Seconds => at.seconds,
        }
    }

    fn label(self, tick: f64) -> String {
        match self {
            _ if tick == 0.0 => "0".to_owned(),
            Self::Tokens => numbers::count(tick),
            Self::Epochs => numbers::short(tick),
            Self::Flops => numbers::flops(tick),
            Self::Seconds => numbers::duration(tick),
        }
    }

    fn ticks(self, range: Range, about: usize) -> Vec<f64> {
        match self {
            Self::Seconds => scale::time_ticks(range, about),
            _ => scale::ticks(range, about),
        }
    }
}

/// A crossover to mark on the curve of AR's opponent.
#[derive(Debug, Clone, Copy)]
pub struct Crossing {
    /// "curve" or "envelope".
    pub name: &'static str,
    /// Whether its mark is filled.
    pub filled: bool,
    /// Where it lies.
    pub epoch: f64,
}

impl Crossing {
    /// Those of several seeds, at their mean epochs.
    pub fn of_seeds(races: &Races) -> Vec<Self> {
        let kinds = [
            ("curve", false, &races.curve),
            ("envelope", true, &races.envelope),
        ];
        let crossed = kinds.into_iter().filter_map(|(name, filled, crossed)| {
            Some(Self {
                name,
                filled,
                epoch: crossed.epoch?.mean,
            })
        });
        crossed.collect()
    }
}

/// What the drawings of one run share.
pub struct Plot<'a> {
    /// Tells its parts from those of other plots on the same page; empty where it is the only one.
    pub id: String,
    /// The curves.
    pub history: &'a History,
    /// The losses shown.
    pub range: Range,
    /// Lowest possible loss, where known.
    pub floor: Option<f64>,
    /// The crossovers found.
    pub crossings: Vec<Crossing>,
    /// The runs of which `history` is the mean, drawn thinly; empty where it is a run itself.
    pub seeds: Vec<&'a History>,
}

/// The two drawings of every chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Wide,
    Narrow,
}

/// The drawing area of one chart, in SVG units.
pub(super) struct Area {
    pub size: Size,
    pub x: Range,
    pub y: Range,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Area {
    pub fn x_of(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.right - self.left)
    }

    pub fn y_of(&self, value: f64) -> f64 {
        self.bottom - self.y.share(value) * (self.bottom - self.top)
    }

    /// How many rules go across.
    pub fn rules_about(&self) -> usize {
        match self.size {
            Size::Wide => 6,
            Size::Narrow => 5,
        }
    }

    /// Round values of the left edge with their labels.
    pub fn rules(&self) -> Vec<(f64, String)> {
        let rules = scale::ticks(self.y, self.rules_about());
        let decimals = scale::decimals(&rules);
        let label = |rule: f64| (rule, format!("{rule:.decimals$}"));
        rules.into_iter().map(label).collect()
    }

    /// Grid lines, ticks and titles; `rules` are the ticks of the left edge with their labels, `marks` those of the lower
    /// one, and `width` is that of the whole drawing.
    pub fn grid(
        &self,
        width: f64,
        y_title: &str,
        x_title: &str,
        rules: Vec<(f64, String)>,
        marks: impl IntoIterator<Item = (f64, String)>,
    ) -> String {
        let mut svg = String::new();
        for (rule, label) in rules {
            let y = self.y_of(rule);
            let _ = write!(
                svg,
                "<path class=\"rule\" d=\"M{:.1} {y:.1}H{:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.left,
                self.right,
                self.left - 8.0,
                y + 4.5,
                escape(&label)
            );
        }
        for (mark, label) in marks {
            let x = self.x_of(mark);
            let _ = write!(
                svg,
                "<path class=\"edge\" d=\"M{x:.1} {:.1}v5\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.bottom,
                self.bottom + 19.0,
                escape(&label)
            );
        }
        let _ = write!(
            svg,
            "<path class=\"edge\" d=\"M{:.1} {:.1}H{:.1}\"/>\
             <text class=\"tick\" x=\"4\" y=\"14\">{}</text>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            self.left,
            self.bottom,
            self.right,
            escape(y_title),
            if self.size == Size::Wide {
                (self.left + self.right) / 2.0
            } else {
                width / 2.0
            },
            self.bottom + 39.0,
            escape(x_title)
        );
        svg
    }
}

/// The area of a chart of losses against an axis.
struct Frame {
    axis: Axis,
    area: Area,
}

impl Frame {
    fn x(&self, at: &Metrics) -> f64 {
        self.area.x_of(self.axis.value(at))
    }

    fn y(&self, nats: f64) -> f64 {
        self.area.y_of(nats)
    }

    fn grid(&self, width: f64) -> String {
        let about = match self.area.size {
            Size::Wide => 8,
            Size::Narrow => 3,
        };
        let ticks = self.axis.ticks(self.area.x, about);
        let marks = ticks.into_iter().map(|tick| (tick, self.axis.label(tick)));
        let rules = self.area.rules();
        self.area
            .grid(width, "nats per token", self.axis.title(), rules, marks)
    }
}

impl Plot<'_> {
    /// Both drawings of the losses against an axis.
    pub fn drawings(&self, axis: Axis) -> String {
        [Size::Wide, Size::Narrow]
            .into_iter()
            .map(|size| self.drawing(axis, size))
            .collect()
    }

    /// The wide drawing alone, to be a file of its own.
    pub fn wide(&self, axis: Axis) -> String {
        self.drawing(axis, Size::Wide)
    }

    /// The narrow drawing alone, for pages with many plots.
    pub fn small(&self, axis: Axis) -> String {
        self.drawing(axis, Size::Narrow)
    }

    /// What the range cuts off, as a sentence; `None` when everything is on the chart.
    pub fn cut(&self) -> Option<String> {
        let curves = self.history.curves();
        let outside = |nats: f64| nats > self.range.high || nats < self.range.low;
        let above: Vec<String> = curves
            .iter()
            .filter_map(|curve| {
                let highest = curve
                    .evaluations()
                    .map(|evaluation| evaluation.nats)
                    .max_by(f64::total_cmp)?;
                let name = curve.look().short;
                (highest > self.range.high)
                    .then(|| format!("{name} reaches {}", numbers::loss(highest)))
            })
            .collect();
        let trained = curves
            .iter()
            .flat_map(|curve| curve.steps.iter().filter_map(|step| step.train_nats))
            .any(outside);
        let (low, high) = (
            numbers::loss(self.range.low),
            numbers::loss(self.range.high),
        );
        if !above.is_empty() {
            let above = above.join(" and ");
            Some(format!(
                "The chart ends at {low} and {high}: on validation {above}."
            ))
        } else if trained {
            Some(format!(
                "The chart ends at {low} and {high}: some training losses lie outside."
            ))
        } else {
            None
        }
    }

    fn drawing(&self, axis: Axis, size: Size) -> String {
        let (width, height, label) = match size {
            Size::Wide => (1040.0, 440.0, "wide"),
            Size::Narrow => (358.0, 320.0, "narrow"),
        };
        let right = width - self.label_room(size);
        let furthest = std::iter::once(self.history)
            .chain(self.seeds.iter().copied())
            .flat_map(History::curves)
            .filter_map(|curve| curve.steps.last())
            .map(|last| axis.value(last))
            .fold(0.0, f64::max);
        let frame = Frame {
            axis,
            area: Area {
                size,
                x: Range {
                    low: 0.0,
                    high: if furthest > 0.0 { furthest } else { 1.0 },
                },
                y: self.range,
                left: 44.0,
                right,
                top: 26.0,
                bottom: height - 44.0,
            },
        };
        let id = format!("{}{}-{label}", self.id, axis.name().to_lowercase());
        let mut svg = format!(
            "<svg class=\"chart {label}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\
             <title id=\"{id}-title\">Loss against {}</title><desc id=\"{id}-desc\">{}</desc>\
             <clipPath id=\"{id}-area\"><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>",
            escape(axis.title()),
            escape(&self.description(axis)),
            frame.area.left,
            frame.area.top,
            // The last marks may stand over the edge.
            frame.area.right - frame.area.left + 7.0,
            frame.area.bottom - frame.area.top,
        );
        svg.push_str(&frame.grid(width));
        let _ = write!(svg, "<g clip-path=\"url(#{id}-area)\">");
        for curve in self.history.curves() {
            svg.push_str(&training(&frame, curve));
        }
        for curve in self.seeds.iter().flat_map(|seed| seed.curves()) {
            svg.push_str(&thin(&frame, curve));
        }
        svg.push_str(&self.levels(&frame));
        for curve in self.history.curves() {
            svg.push_str(&self.bands(&frame, curve));
        }
        for curve in self.history.curves() {
            svg.push_str(&self.validation(&frame, curve));
        }
        svg.push_str("</g>");
        svg.push_str(&self.marks(&frame));
        svg.push_str(&self.end_labels(&frame));
        svg.push_str("</svg>\n");
        svg
    }

    /// Room right of the lines for the longest of their names, in SVG units.
    fn label_room(&self, size: Size) -> f64 {
        let names = self.history.curves().iter().map(|curve| curve.look().short);
        let longest = names
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(9);
        // A mark before the name and, where there is room for it, a value behind it.
        match size {
            Size::Wide => 12.0 + 8.0 * (longest + 8) as f64,
            Size::Narrow => 12.0 + 7.4 * (longest + 2) as f64,
        }
    }

    /// The chart in words, for those who can't see it.
    fn description(&self, axis: Axis) -> String {
        let mut text = format!("Nats per token against {}.", axis.title());
        for curve in self.history.curves() {
            if let (Some(best), Some(last)) = (curve.best(), curve.last()) {
                let _ = write!(
                    text,
                    " {} ({}) is lowest at {} with {} and ends at {}.",
                    curve.look().name,
                    curve.kind(),
                    axis.label(axis.value(best.at)),
                    numbers::loss(best.nats),
                    numbers::loss(last.nats)
                );
            }
        }
        if let Some(floor) = self.floor {
            let _ = write!(text, " The floor is {}.", numbers::loss(floor));
        }
        for crossing in &self.crossings {
            let _ = write!(
                text,
                " The {} crossover is at epoch {}.",
                crossing.name,
                numbers::short(crossing.epoch)
            );
        }
        text
    }

    /// The curve's evaluations in unbroken stretches: a gap where another model was measured and this one was not.
    fn stretches<'c>(&self, curve: &'c Curve) -> Vec<Vec<Evaluation<'c>>> {
        let mut measured = curve.evaluations().peekable();
        let mut stretches = vec![Vec::new()];
        for step in self.history.evaluated_steps() {
            match measured.next_if(|evaluation| evaluation.at.step == step) {
                Some(evaluation) => {
                    if let Some(stretch) = stretches.last_mut() {
                        stretch.push(evaluation);
                    }
                }
                None => stretches.push(Vec::new()),
            }
        }
        stretches.retain(|stretch| !stretch.is_empty());
        stretches
    }

    /// Shades of one and two standard errors around the evaluations.
    fn bands(&self, frame: &Frame, curve: &Curve) -> String {
        let class = curve.look().class;
        let mut svg = String::new();
        for stretch in self.stretches(curve) {
            let edge = |evaluation: &Evaluation<'_>, errors: f64| {
                let nats = evaluation.nats + errors * evaluation.se.unwrap_or(0.0);
                (frame.x(evaluation.at), frame.y(nats))
            };
            for errors in [2.0, 1.0] {
                let above = stretch.iter().map(|evaluation| edge(evaluation, errors));
                let below = stretch
                    .iter()
                    .rev()
                    .map(|evaluation| edge(evaluation, -errors));
                let outline: Vec<_> = above.chain(below).collect();
                let _ = write!(
                    svg,
                    "<path class=\"band {class}\" d=\"{}Z\"/>",
                    path(&outline)
                );
            }
        }
        svg
    }

    fn validation(&self, frame: &Frame, curve: &Curve) -> String {
        let look = curve.look();
        let mut svg = String::new();
        for stretch in self.stretches(curve) {
            let line: Vec<_> = stretch
                .iter()
                .map(|evaluation| (frame.x(evaluation.at), frame.y(evaluation.nats)))
                .collect();
            let dash = dash(look);
            let _ = write!(
                svg,
                "<path class=\"validation {}\"{dash} d=\"{}\"/>",
                look.class,
                path(&scale::thinned(&line, 1_000))
            );
        }
        let every = curve.evaluations().count().div_ceil(match frame.area.size {
            Size::Wide => 60,
            Size::Narrow => 20,
        });
        let best = curve.best().map(|best| best.at.step);
        for (index, evaluation) in curve.evaluations().enumerate() {
            let is_best = best == Some(evaluation.at.step);
            if !is_best && !index.is_multiple_of(every) {
                continue;
            }
            let (x, y) = (frame.x(evaluation.at), frame.y(evaluation.nats));
            let class = if is_best { "mark best" } else { "mark" };
            let half = if is_best { 5.0 } else { 3.0 };
            let _ = write!(
                svg,
                "<path class=\"{class} {}\" d=\"{}\"><title>{}, step {}, epoch {}: {}</title></path>",
                look.class,
                look.outline(x, y, half),
                look.name,
                evaluation.at.step,
                numbers::short(evaluation.at.epoch),
                numbers::measured(evaluation.nats, evaluation.se),
            );
        }
        svg
    }

    /// The floor, and how far AR would have come had it stopped at its best.
    fn levels(&self, frame: &Frame) -> String {
        let mut svg = String::new();
        if let Some(floor) = self.floor {
            let y = frame.y(floor);
            let _ = write!(
                svg,
                "<path class=\"floor\" d=\"M{:.1} {y:.1}H{:.1}\"/>",
                frame.area.left, frame.area.right
            );
        }
        if let Some((best, class)) = self.best_of_ar() {
            let _ = write!(
                svg,
                "<path class=\"level {class}\" d=\"M{:.1} {:.1}H{:.1}\"/>",
                frame.x(best.at),
                frame.y(best.nats),
                frame.area.right
            );
        }
        svg
    }

    fn best_of_ar(&self) -> Option<(Evaluation<'_>, &'static str)> {
        let (ar, _) = self.history.race()?;
        Some((ar.best()?, ar.look().class))
    }

    fn marks(&self, frame: &Frame) -> String {
        let Some((_, masked)) = self.history.race() else {
            return String::new();
        };
        let mut svg = String::new();
        for crossing in &self.crossings {
            let distance =
                |evaluation: &Evaluation<'_>| (evaluation.at.epoch - crossing.epoch).abs();
            let nearest = masked
                .evaluations()
                .min_by(|left, right| distance(left).total_cmp(&distance(right)));
            let Some(at) = nearest else { continue };
            let (x, y) = (
                frame.x(at.at),
                frame.y(at.nats).clamp(frame.area.top, frame.area.bottom),
            );
            let class = if crossing.filled {
                "crossing filled"
            } else {
                "crossing"
            };
            let _ = write!(
                svg,
                "<path class=\"{class}\" d=\"M{x:.1} {:.1}l9 9l-9 9l-9-9Z\"><title>{} crossover, epoch {}</title></path>",
                y - 9.0,
                crossing.name,
                numbers::short(crossing.epoch)
            );
            if frame.area.size == Size::Wide {
                // The envelope crossover lies low on the chart: its label goes below, clear of AR's best.
                let offset = if crossing.filled { 26.0 } else { -16.0 };
                let anchor = if x > frame.area.right - 90.0 {
                    "end"
                } else {
                    "middle"
                };
                let _ = write!(
                    svg,
                    "<text class=\"note\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}, epoch {}</text>",
                    y + offset,
                    crossing.name,
                    numbers::short(crossing.epoch)
                );
            }
        }
        svg
    }

    /// Names and last values at the lines' right ends, pushed apart where they would overlap.
    fn end_labels(&self, frame: &Frame) -> String {
        let wide = frame.area.size == Size::Wide;
        let mut labels: Vec<(f64, &str, String)> = Vec::new();
        for curve in self.history.curves() {
            let Some(last) = curve.last() else { continue };
            let look = curve.look();
            let cut = if last.nats > self.range.high {
                " ↑"
            } else {
                ""
            };
            let value = if wide {
                format!(" {}", numbers::loss(last.nats))
            } else {
                String::new()
            };
            labels.push((
                frame.y(last.nats),
                look.class,
                format!("{} {}{value}{cut}", look.mark, look.short),
            ));
        }
        if let Some((best, class)) = self.best_of_ar() {
            let value = if wide {
                format!("AR's best {}", numbers::loss(best.nats))
            } else {
                "AR's best".to_owned()
            };
            labels.push((frame.y(best.nats), class, value));
        }
        if let Some(floor) = self.floor {
            let value = if wide {
                format!("floor {}", numbers::loss(floor))
            } else {
                "floor".to_owned()
            };
            labels.push((frame.y(floor), "floor", value));
        }
        labels.sort_by(|left, right| left.0.total_cmp(&right.0));
        let places: Vec<f64> = labels.iter().map(|label| label.0).collect();
        let places = scale::apart(&places, 17.0, frame.area.top, frame.area.bottom);
        labels
            .iter()
            .zip(places)
            .map(|((_, class, text), y)| {
                format!(
                    "<text class=\"end {class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    frame.area.right + 12.0,
                    y + 4.5,
                    escape(text)
                )
            })
            .collect()
    }
}

/// The training loss: thin, pale, and broken where a step has none.
fn training(frame: &Frame, curve: &Curve) -> String {
    let limit = match frame.area.size {
        Size::Wide => 1_000,
        Size::Narrow => 300,
    };
    let class = curve.look().class;
    let stretches: Vec<&[Metrics]> = curve
        .steps
        .split(|step| step.train_nats.is_none())
        .filter(|stretch| stretch.len() > 1)
        .collect();
    let steps: usize = stretches.iter().map(|stretch| stretch.len()).sum();
    stretches
        .iter()
        .map(|stretch| {
            let line: Vec<_> = stretch
                .iter()
                .filter_map(|step| Some((frame.x(step), frame.y(step.train_nats?))))
                .collect();
            // Each stretch gets its share of the points, so that many gaps don't make a large page.
            let share = (limit * stretch.len() / steps.max(1)).max(2);
            format!(
                "<path class=\"training {class}\" d=\"{}\"/>",
                path(&scale::thinned(&line, share))
            )
        })
        .collect()
}

/// One seed's evaluations, behind the mean of all.
fn thin(frame: &Frame, curve: &Curve) -> String {
    let look = curve.look();
    let line: Vec<_> = curve
        .evaluations()
        .map(|evaluation| (frame.x(evaluation.at), frame.y(evaluation.nats)))
        .collect();
    format!(
        "<path class=\"seed {}\"{} d=\"{}\"/>",
        look.class,
        dash(look),
        path(&scale::thinned(&line, 300))
    )
}

/// A line's dash as an attribute.
pub fn dash(look: &Racer) -> String {
    look.dash
        .map(|dash| format!(" stroke-dasharray=\"{dash}\""))
        .unwrap_or_default()
}

pub(super) fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::with_capacity(points.len() * 12);
    for (index, (x, y)) in points.iter().enumerate() {
        // Far outside the frame every value looks the same; some browsers falter on huge ones.
        let y = y.clamp(-9_999.0, 9_999.0);
        let _ = write!(text, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    text
}

#[cfg(test)]
mod tests {
    use crossover::objective::Objective;

    use super::*;
    use crate::fixtures::{line, race};

    #[test]
    fn an_unmeasured_evaluation_leaves_a_gap() {
        let mut history = race(&[1.0, 0.9, 0.8, 0.7], &[1.0]);
        for (step, val) in [(50, None), (75, Some(0.8)), (100, Some(0.7))] {
            history.push(line(Objective::Masked, step, val));
        }
        let plot = Plot {
            id: String::new(),
            history: &history,
            range: scale::losses(&history, None),
            floor: None,
            crossings: Vec::new(),
            seeds: Vec::new(),
        };
        let lengths = |objective| -> Vec<usize> {
            let curve = history.curve(objective).expect("raced");
            plot.stretches(curve).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(Objective::Autoregressive), [4]);
        assert_eq!(lengths(Objective::Masked), [1, 2]);
        let drawings = plot.drawings(Axis::Tokens);
        assert_eq!(drawings.matches("<svg").count(), 2);
        assert!(!drawings.contains("NaN") && !drawings.contains("inf"));
    }
}
