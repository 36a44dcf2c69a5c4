//! What was measured, as charts or tables are drawn of it.

use crossover::lab::{Bin, Estimate, ModelMeasured};
use crossover::objective::{Likelihood, Objective};
use egui::Color32;

use crate::theatre::models::short;
use crate::theme::Palette;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Its name.
    pub title: &'static str,
    /// What it tells, in a sentence or two.
    pub about: &'static str,
    /// What its horizontal axis tells.
    pub x: &'static str,
    /// What its vertical axis tells.
    pub y: &'static str,
    /// A line for each model.
    pub lines: Vec<Line>,
    /// Whether equal values lie on a diagonal.
    pub diagonal: bool,
    /// What to say below it.
    pub note: String,
}

/// A model's line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Whose.
    pub name: String,
    /// Its colour.
    pub color: Color32,
    /// Whether it is the second one.
    pub is_second: bool,
    /// Its points.
    pub rows: Vec<Row>,
}

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Where.
    pub at: f64,
    /// What was measured, with its standard error.
    pub value: Estimate,
    /// From how many cases, where they are counted.
    pub count: Option<u64>,
}

/// The charts of some models.
pub fn charts(models: &[ModelMeasured], palette: &Palette) -> [Chart; 3] {
    let line = |index: usize, rows: Vec<Row>| Line {
        name: short(&models[index].model),
        color: color(models, index, palette),
        is_second: index > 0,
        rows,
    };
    let lines = |rows: &dyn Fn(&ModelMeasured) -> Vec<Row>| -> Vec<Line> {
        let each = models.iter().enumerate();
        each.map(|(index, model)| line(index, rows(model)))
            .filter(|line| !line.rows.is_empty())
            .collect()
    };
    let only_ar = models
        .iter()
        .all(|model| model.objective == Objective::Autoregressive);
    let errors = models.iter().map(|model| {
        format!(
            "{}: ECE {:.3}",
            short(&model.model),
            model.calibration_error
        )
    });
    [
        Chart {
            title: "Loss by mask ratio",
            about: "Cross-entropy of masked tokens, by the share of the text that is masked. Bands are one standard error.",
            x: "share masked",
            y: "nats/token",
            lines: lines(&|model| binned(&model.by_mask_ratio)),
            diagonal: false,
            note: match only_ar {
                true => "An AR model masks nothing.".to_owned(),
                false => String::new(),
            },
        },
        Chart {
            title: "NLL by position",
            about: "How surprising the token at each place is: AR's own loss; diffusion writes left to right, one token at a time.",
            x: "position",
            y: "nats/token",
            lines: lines(&|model| by_position(&model.by_position)),
            diagonal: false,
            note: String::new(),
        },
        Chart {
            title: "Calibration at commit",
            about: "How often the likeliest token was right, by the probability it was given. On the diagonal a model knows how sure to be.",
            x: "probability",
            y: "share right",
            lines: lines(&|model| binned(&model.calibration)),
            diagonal: true,
            note: errors.collect::<Vec<_>>().join(" · "),
        },
    ]
}

fn color(models: &[ModelMeasured], index: usize, palette: &Palette) -> Color32 {
    let of = |model: &ModelMeasured| match model.objective {
        Objective::Autoregressive => {
            palette.racer(Objective::Autoregressive, Likelihood::Autoregressive)
        }
        other => palette.racer(other, other.headline()),
    };
    let own = of(&models[index]);
    match index > 0 && own == of(&models[0]) {
        true => palette.remasked,
        false => own,
    }
}

fn binned(bins: &[Bin]) -> Vec<Row> {
    let known = bins.iter().filter_map(|bin| {
        Some(Row {
            at: bin.at,
            value: bin.value?,
            count: Some(bin.count),
        })
    });
    known.collect()
}

fn by_position(positions: &[Estimate]) -> Vec<Row> {
    let each = positions.iter().enumerate().map(|(position, value)| Row {
        at: position as f64,
        value: *value,
        count: None,
    });
    each.collect()
}

impl Chart {
    /// All figures as comma-separated values, with a line that names the columns.
    pub fn csv(&self) -> String {
        let mut text = format!("chart,model,{},{},se,count\n", self.x, self.y);
        for line in &self.lines {
            for row in &line.rows {
                let count = row
                    .count
                    .map_or_else(String::new, |count| count.to_string());
                text.push_str(&format!(
                    "{},{},{},{},{},{count}\n",
                    self.title,
                    line.name.replace(',', " "),
                    row.at,
                    row.value.mean,
                    row.value.se
                ));
            }
        }
        text
    }

    /// A position on the horizontal axis, as the table says it.
    pub fn place(&self, at: f64) -> String {
        match self.x {
            "position" => format!("{at:.0}"),
            _ => format!("{at:.3}"),
        }
    }
}

#[cfg(test)]
pub use tests::measured;

#[cfg(test)]
mod tests {
    use super::*;

    pub fn measured(model: &str, objective: Objective) -> ModelMeasured {
        let estimate = |mean: f64| Estimate { mean, se: 0.02 };
        let bins = |count: usize, value: &dyn Fn(f64) -> f64| {
            let bin = |index: usize| {
                let at = (index as f64 + 0.5) / count as f64;
                Bin {
                    at,
                    count: 40 + index as u64,
                    value: (index > 0).then(|| estimate(value(at))),
                }
            };
            (0..count).map(bin).collect::<Vec<_>>()
        };
        let is_ar = objective == Objective::Autoregressive;
        ModelMeasured {
            model: model.to_owned(),
            objective,
            by_mask_ratio: match is_ar {
                true => Vec::new(),
                false => bins(16, &|at| 0.6 + 2.0 * at * at),
            },
            by_position: (0..64)
                .map(|at| {
                    estimate(1.4 + 1.6 / (1.0 + f64::from(at)) + if is_ar { 0.0 } else { 0.1 })
                })
                .collect(),
            calibration: bins(10, &|at| at * if is_ar { 0.9 } else { 1.0 }),
            calibration_error: if is_ar { 0.048 } else { 0.012 },
        }
    }

    #[test]
    fn csv_has_every_figure_once() {
        let models = [
            measured(
                "runs/a/checkpoints/best-ar.safetensors",
                Objective::Autoregressive,
            ),
            measured(
                "runs/a/checkpoints/best-masked.safetensors",
                Objective::Masked,
            ),
        ];
        let [ratio, position, calibration] = charts(&models, Palette::LIGHT);
        assert_eq!(ratio.lines.len(), 1);
        assert_eq!(ratio.csv().lines().count(), 1 + 15);
        assert_eq!(position.csv().lines().count(), 1 + 2 * 64);
        assert_eq!(calibration.csv().lines().count(), 1 + 2 * 9);
        assert!(calibration.note.contains("ECE 0.012"));
        let first = ratio.csv();
        let first = first.lines().nth(1).unwrap();
        assert!(
            first.starts_with("Loss by mask ratio,a · best-masked,0.09375,"),
            "{first}"
        );
    }

    #[test]
    fn two_models_of_a_kind_have_two_colours() {
        let model = |name: &str| measured(name, Objective::Masked);
        let models = [model("runs/a/x.safetensors"), model("runs/b/x.safetensors")];
        let [ratio, ..] = charts(&models, Palette::DARK);
        assert_ne!(ratio.lines[0].color, ratio.lines[1].color);
    }
}
