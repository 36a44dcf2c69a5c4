//! Quality against cost: the page of `evaluate --generate`, and what its table and the terminal's have in common.

use std::fmt::Write;

use crossover::lab::Estimate;
use crossover::lab::generation::{Quality, Row, Writer};
use crossover::objective::Objective;

use crate::chart::{Area, Size, path};
use crate::numbers;
use crate::scale::{self, Range};
use crate::theme::{Series, outline, racer, series};
use crate::{escape, page, tables};

/// Ways of writing that were compared, and everything a page says of them.
#[derive(Debug)]
pub struct Comparison {
    /// The checkpoint's file.
    pub checkpoint: String,
    /// What its model was trained for.
    pub objective: Objective,
    /// Tokens of a sample.
    pub length: usize,
    /// Samples of each way.
    pub samples: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The checkpoint of the twin that judges.
    pub twin: Option<String>,
    /// The text that real windows come from.
    pub source: Option<String>,
    /// What the model ran on.
    pub device: String,
    /// The reference first, where there is one.
    pub rows: Vec<Row>,
}

/// A figure of written text.
pub struct Figure {
    /// What it is called over a column.
    pub short: &'static str,
    /// What it is, over a chart.
    title: &'static str,
    /// Whether it is shown in percent.
    is_share: bool,
    /// Whether it has a chart.
    charted: bool,
    pick: fn(&Quality) -> Option<Estimate>,
}

/// The figures, those first that say most.
pub const FIGURES: [Figure; 11] = [
    Figure {
        short: "twin NLL",
        title: "negative log-likelihood under the AR twin, nats/token",
        is_share: false,
        charted: true,
        pick: |quality| quality.twin_nats,
    },
    Figure {
        short: "true NLL",
        title: "negative log-probability by the source itself, of what it can write, nats/token",
        is_share: false,
        charted: true,
        pick: |quality| quality.true_nats,
    },
    Figure {
        short: "possible",
        title: "what the source can write, %",
        is_share: true,
        charted: true,
        pick: |quality| quality.accepted,
    },
    Figure {
        short: "valid",
        title: "grids that keep every rule, %",
        is_share: true,
        charted: true,
        pick: |quality| quality.valid,
    },
    Figure {
        short: "valid, new",
        title: "grids that keep every rule and are not in the training data, %",
        is_share: true,
        charted: false,
        pick: |quality| quality.novel,
    },
    Figure {
        short: "entropy",
        title: "entropy of a sample's tokens, nats",
        is_share: false,
        charted: true,
        pick: |quality| Some(quality.entropy),
    },
    Figure {
        short: "repeated",
        title: "tokens that complete a run of four which the sample had before, %",
        is_share: true,
        charted: true,
        pick: |quality| quality.repetition_4,
    },
    Figure {
        short: "distinct-2",
        title: "distinct pairs over pairs of a sample",
        is_share: false,
        charted: false,
        pick: |quality| quality.distinct_2,
    },
    Figure {
        short: "distinct-1",
        title: "distinct tokens over tokens of a sample",
        is_share: false,
        charted: false,
        pick: |quality| quality.distinct_1,
    },
    Figure {
        short: "distinct-3",
        title: "distinct runs of three over such runs of a sample",
        is_share: false,
        charted: false,
        pick: |quality| quality.distinct_3,
    },
    Figure {
        short: "pooled entropy",
        title: "entropy of all samples' tokens together, nats",
        is_share: false,
        charted: false,
        pick: |quality| Some(quality.pooled_entropy),
    },
];

impl Figure {
    /// The figure of a row as text, a dash where it has none.
    pub fn text(&self, row: &Row) -> String {
        match (self.pick)(&row.quality) {
            None => "–".to_owned(),
            Some(share) if self.is_share => numbers::share(share),
            Some(Estimate { mean, se }) => numbers::measured(mean, Some(se)),
        }
    }

    /// The same without its error where that is a share's, for narrow places.
    pub fn short_text(&self, row: &Row) -> String {
        match (self.pick)(&row.quality) {
            Some(share) if self.is_share => format!("{:.1} %", 100.0 * share.mean),
            _ => self.text(row),
        }
    }

    /// Whether any row has it.
    pub fn is_known(&self, rows: &[Row]) -> bool {
        rows.iter().any(|row| (self.pick)(&row.quality).is_some())
    }

    /// Two standard errors below and above, as far as there can be such a value.
    fn reach(&self, Estimate { mean, se }: Estimate) -> [f64; 2] {
        let ends = [mean - 2.0 * se, mean + 2.0 * se];
        match self.is_share {
            true => ends.map(|end| end.clamp(0.0, 100.0)),
            false => ends,
        }
    }

    /// In the chart's unit.
    fn value(&self, row: &Row) -> Option<Estimate> {
        let scale = if self.is_share { 100.0 } else { 1.0 };
        let Estimate { mean, se } = (self.pick)(&row.quality)?;
        Some(Estimate {
            mean: scale * mean,
            se: scale * se,
        })
    }
}

/// What a row is called.
pub fn name(row: &Row) -> String {
    match (row.writer, row.way) {
        (Writer::Reference, _) => "held-out text".to_owned(),
        (Writer::Twin, _) => "AR twin".to_owned(),
        (Writer::Model, way) => way.unwrap_or_default().to_owned(),
    }
}

/// Its steps as text, nothing for real text.
pub fn steps(row: &Row) -> String {
    match (row.asked_steps, row.steps) {
        (Some(asked), _) => asked.to_string(),
        (None, Some(taken)) => numbers::short(taken.mean),
        (None, None) => String::new(),
    }
}

/// What quality is drawn against; both axes are logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Forward passes of a sample.
    Calls,
    /// Their FLOPs.
    Flops,
}

impl Cost {
    /// Every cost, in the order of the page.
    pub const ALL: [Self; 2] = [Self::Calls, Self::Flops];

    /// Its identifier.
    pub fn id(self) -> &'static str {
        match self {
            Self::Calls => "model-calls",
            Self::Flops => "sampling-flops",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Calls => "Model calls",
            Self::Flops => "FLOPs",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Calls => "model calls of a sample, logarithmic",
            Self::Flops => "FLOPs of a sample, logarithmic",
        }
    }

    /// A row's cost on the axis.
    fn of(self, row: &Row) -> Option<f64> {
        let cost = match self {
            Self::Calls => row.model_calls?.mean.log2(),
            Self::Flops => row.flops?.mean.log10(),
        };
        cost.is_finite().then_some(cost)
    }

    fn marks(self, range: Range, about: usize) -> Vec<(f64, String)> {
        match self {
            Self::Calls => scale::doublings(range, about)
                .into_iter()
                .map(|mark| (mark, numbers::count(mark.exp2())))
                .collect(),
            Self::Flops => scale::magnitudes(range, about)
                .into_iter()
                .map(|mark| (mark, numbers::flops(10_f64.powf(mark))))
                .collect(),
        }
    }
}

/// Rows of one line, and how it looks.
struct Line<'a> {
    name: String,
    look: Series,
    rows: Vec<&'a Row>,
}

fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    let ar = racer(Objective::Autoregressive);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut samplers = 0;
    for row in rows.iter().filter(|row| row.writer != Writer::Reference) {
        let name = name(row);
        if let Some(line) = lines.iter_mut().find(|line| line.name == name) {
            line.rows.push(row);
            continue;
        }
        let look = if row.sampler.is_some() {
            samplers += 1;
            series(samplers - 1)
        } else {
            Series {
                class: ar.class,
                mark: ar.mark,
                dash: ar.dash,
            }
        };
        lines.push(Line {
            name,
            look,
            rows: vec![row],
        });
    }
    lines
}

/// The comparison as one HTML page.
pub fn render(comparison: &Comparison) -> String {
    let rows = &comparison.rows;
    let body = page::part("Quality against cost", &(charts(rows) + READING))
        + &page::part("All figures", &table(rows))
        + &page::part("What, where, how", &facts(comparison));
    let ways = lines(rows).len();
    let title = format!(
        "{}: {ways} {} of writing, {} samples each.",
        racer(comparison.objective).name,
        if ways == 1 { "way" } else { "ways" },
        numbers::grouped(comparison.samples)
    );
    let sub = format!(
        "Samples of {} tokens, temperature 1, seed {}. ± is one standard error over samples.",
        comparison.length, comparison.seed
    );
    page::frame("generation", &title, &sub, &body)
}

const READING: &str = "<p class=\"small\">How to read it: samples are good where every figure is that of held-out text. \
    A low negative log-likelihood (NLL) alone is no merit: dull text is likely text, and shows in a low entropy and many \
    repetitions. Nor is a high entropy alone: random tokens have the highest. The AR twin judges by what it learnt \
    itself, and its own samples favourably. Bars: ±2 standard errors; shade: the same of held-out text.</p>";

fn charts(rows: &[Row]) -> String {
    let mut html =
        String::from("<fieldset><legend class=\"small\">Against the cost of a sample in</legend>");
    for (index, cost) in Cost::ALL.iter().enumerate() {
        let checked = if index == 0 { " checked" } else { "" };
        let _ = write!(
            html,
            "<input type=\"radio\" name=\"axis\" id=\"axis-{0}\"{checked}><label for=\"axis-{0}\">{1}</label>",
            cost.id(),
            cost.name()
        );
    }
    html.push_str(&key(rows));
    for cost in Cost::ALL {
        let figures: String = FIGURES
            .iter()
            .filter(|figure| figure.charted && figure.is_known(rows))
            .map(|figure| {
                let drawings: String = [Size::Wide, Size::Narrow]
                    .into_iter()
                    .filter_map(|size| drawing(rows, figure, cost, size))
                    .collect();
                match drawings.is_empty() {
                    true => drawings,
                    false => format!("<h3>{}</h3>{drawings}", escape(&capitalised(figure.title))),
                }
            })
            .collect();
        let _ = writeln!(
            html,
            "<figure class=\"panel panels panel-{}\">{figures}</figure>",
            cost.id()
        );
    }
    html + "</fieldset>"
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

/// The legend.
fn key(rows: &[Row]) -> String {
    let mut items: Vec<(String, String)> = lines(rows)
        .into_iter()
        .map(|line| {
            let Series { class, mark, .. } = line.look;
            let drawing = format!(
                "<path class=\"validation {class}\"{} d=\"M0 7H34\"/><path class=\"mark {class}\" d=\"{}\"/>",
                dash(line.look),
                outline(mark, 17.0, 7.0, 4.5)
            );
            (drawing, line.name)
        })
        .collect();
    if rows.iter().any(|row| row.writer == Writer::Reference) {
        let drawing = "<path class=\"floor\" d=\"M1 7H34\"/>".to_owned();
        items.push((drawing, "held-out text".to_owned()));
    }
    page::legend(items)
}

fn dash(look: Series) -> String {
    let attribute = |dash| format!(" stroke-dasharray=\"{dash}\"");
    look.dash.map(attribute).unwrap_or_default()
}

/// A chart of one figure; `None` where no row that cost anything has it.
fn drawing(rows: &[Row], figure: &Figure, cost: Cost, size: Size) -> Option<String> {
    let lines = lines(rows);
    let point = |row: &Row| Some((cost.of(row)?, figure.value(row)?));
    let points: Vec<(f64, Estimate)> = rows.iter().filter_map(point).collect();
    let reference = rows
        .iter()
        .find(|row| row.writer == Writer::Reference)
        .and_then(|row| figure.value(row));
    let x = scale::spanned(points.iter().map(|(x, _)| *x), 0.04)?;
    let shown = points.iter().map(|(_, value)| *value).chain(reference);
    let y = scale::spanned(shown.flat_map(|value| figure.reach(value)), 0.05)?;
    let (width, height, label, about) = match size {
        Size::Wide => (1040.0, 320.0, "wide", 10),
        Size::Narrow => (358.0, 280.0, "narrow", 4),
    };
    let area = Area {
        size,
        x,
        y,
        left: 48.0,
        right: width - 16.0,
        top: 8.0,
        bottom: height - 44.0,
    };
    let mut svg = format!(
        "<svg class=\"chart {label}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{}",
        escape(&description(&lines, figure, cost)),
        area.grid(width, "", cost.title(), area.rules(), cost.marks(x, about))
    );
    if let Some(real) = reference {
        let [low, high] = figure.reach(real).map(|end| area.y_of(end));
        let _ = write!(
            svg,
            "<rect class=\"real\" x=\"{:.1}\" y=\"{high:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <path class=\"floor\" d=\"M{0:.1} {:.1}H{:.1}\"/>",
            area.left,
            area.right - area.left,
            low - high,
            area.y_of(real.mean),
            area.right
        );
    }
    for line in &lines {
        let mut places: Vec<(f64, Estimate, &Row)> = line
            .rows
            .iter()
            .filter_map(|row| point(row).map(|(cost, value)| (area.x_of(cost), value, *row)))
            .collect();
        places.sort_by(|left, right| left.0.total_cmp(&right.0));
        let Series { class, mark, .. } = line.look;
        let through: Vec<(f64, f64)> = places
            .iter()
            .map(|(x, value, _)| (*x, area.y_of(value.mean)))
            .collect();
        let _ = write!(
            svg,
            "<path class=\"validation {class}\"{} d=\"{}\"/>",
            dash(line.look),
            path(&through)
        );
        for (x, value, row) in places {
            let [low, high] = figure.reach(value).map(|end| area.y_of(end));
            let _ = write!(
                svg,
                "<path class=\"error {class}\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>\
                 <path class=\"mark {class}\" d=\"{}\"><title>{}, {} steps: {}</title></path>",
                outline(mark, x, area.y_of(value.mean), 4.5),
                escape(&line.name),
                steps(row),
                figure.text(row)
            );
        }
    }
    Some(svg + "</svg>\n")
}

/// The chart in words, for those who can't see it.
fn description(lines: &[Line<'_>], figure: &Figure, cost: Cost) -> String {
    let mut text = format!("{} against {}.", capitalised(figure.title), cost.title());
    for line in lines {
        let ends = [line.rows.first(), line.rows.last()];
        let known = ends
            .into_iter()
            .flatten()
            .filter(|row| figure.value(row).is_some());
        for row in known {
            let _ = write!(
                text,
                " {} in {} steps: {}.",
                line.name,
                steps(row),
                figure.text(row)
            );
        }
    }
    text
}

fn table(rows: &[Row]) -> String {
    let known: Vec<&Figure> = FIGURES
        .iter()
        .filter(|figure| figure.is_known(rows))
        .collect();
    let mut head = vec!["", "steps", "model calls", "FLOPs", "seconds"];
    head.extend(known.iter().map(|figure| figure.short));
    let rows: Vec<tables::Row> = rows
        .iter()
        .map(|row| {
            let cost = |value: Option<f64>, text: fn(f64) -> String| {
                value.map_or_else(|| "–".to_owned(), text)
            };
            let mut cells = vec![
                steps(row),
                cost(row.model_calls.map(|calls| calls.mean), numbers::short),
                cost(row.flops.map(|flops| flops.mean), numbers::flops),
                cost(row.seconds, |seconds| format!("{seconds:.4}")),
            ];
            cells.extend(known.iter().map(|figure| figure.text(row)));
            tables::row(name(row), cells)
        })
        .collect();
    let caption = known
        .iter()
        .map(|figure| format!("{}: {}", figure.short, figure.title));
    let caption = caption.collect::<Vec<_>>().join("; ");
    tables::table(
        "figures",
        &format!(
            "Costs are means over samples, written in batches. {}.",
            capitalised(&caption)
        ),
        &head,
        &rows,
    )
}

fn facts(comparison: &Comparison) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    tables::facts(
        "",
        vec![
            ("checkpoint", comparison.checkpoint.clone()),
            ("AR twin", or_none(&comparison.twin)),
            ("held-out text", or_none(&comparison.source)),
            ("samples of each way", numbers::grouped(comparison.samples)),
            (
                "tokens of a sample",
                numbers::grouped(comparison.length as u64),
            ),
            ("seed", comparison.seed.to_string()),
            ("device", comparison.device.clone()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use crossover::sample::Sampler;

    use super::*;

    fn estimate(mean: f64) -> Option<Estimate> {
        Some(Estimate { mean, se: 0.01 })
    }

    fn row(writer: Writer, sampler: Option<Sampler>, steps: usize, nats: f64) -> Row {
        let cost = (writer != Writer::Reference).then_some(steps as f64);
        Row {
            writer,
            way: cost.map(|_| sampler.map_or("autoregressive", Sampler::name)),
            sampler,
            asked_steps: sampler.map(|_| steps),
            steps: cost.and_then(estimate),
            model_calls: cost.and_then(estimate),
            flops: cost.and_then(|cost| estimate(1e6 * cost)),
            seconds: cost,
            quality: Quality {
                samples: 64,
                twin_nats: estimate(nats),
                judged: None,
                accepted: None,
                true_nats: None,
                valid: None,
                novel: None,
                entropy: Estimate {
                    mean: nats / 2.0,
                    se: 0.0,
                },
                pooled_entropy: Estimate {
                    mean: nats,
                    se: 0.0,
                },
                distinct_1: estimate(0.5),
                distinct_2: None,
                distinct_3: None,
                repetition_4: estimate(0.0),
            },
        }
    }

    #[test]
    fn the_page_has_a_chart_of_each_known_figure_against_each_cost_and_loads_nothing() {
        let mut rows = vec![
            row(Writer::Reference, None, 0, 1.5),
            row(Writer::Twin, None, 64, 1.4),
        ];
        for sampler in Sampler::ALL {
            rows.extend([1, 8, 64].map(|steps| {
                row(
                    Writer::Model,
                    Some(sampler),
                    steps,
                    1.5 + 1.0 / steps as f64,
                )
            }));
        }
        let comparison = Comparison {
            checkpoint: "<run>/best-masked.safetensors".to_owned(),
            objective: Objective::Masked,
            length: 64,
            samples: 64,
            seed: 1,
            twin: None,
            source: None,
            device: "cpu".to_owned(),
            rows,
        };
        let html = render(&comparison);
        // Twin NLL, entropy and repetition, wide and narrow, against two costs.
        assert_eq!(html.matches("<svg class=\"chart").count(), 12);
        assert!(html.contains("&lt;run&gt;") && !html.contains("<run>"));
        assert!(!html.contains("NaN") && !html.contains("inf"));
        for outside in ["http:", "https:", "src=", "@import", "<script", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
        for sampler in Sampler::ALL {
            assert!(html.contains(&format!("{sampler}, 8 steps: 1.625 ± 0.010")));
        }
        assert!(html.contains("AR twin, 64 steps: 1.400 ± 0.010"));
        assert!(!html.contains("valid, new"));
    }

    #[test]
    fn one_row_alone_can_be_drawn() {
        let rows = [row(Writer::Model, None, 1, 1.0)];
        let drawing = drawing(&rows, &FIGURES[0], Cost::Calls, Size::Wide);
        assert!(drawing.is_some_and(|svg| !svg.contains("NaN")));
        assert!(super::drawing(&rows, &FIGURES[1], Cost::Calls, Size::Wide).is_none());
    }
}
