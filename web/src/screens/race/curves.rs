//! A run as a chart.

use crossover::laws::onset;
use crossover::objective::Objective;
use egui::Color32;

use crate::numbers;
use crate::state::units::{Axis, Unit};
use crate::state::{Point, Preferences, Run, Series};
use crate::theme::Palette;
use crate::widgets::chart::{Chart, Curve, Dash, Level, Mark, Marker, Moment};

/// How curves are read, and which are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The horizontal axis.
    pub axis: Axis,
    /// The unit of losses.
    pub unit: Unit,
    /// Whether equal distances to the right are equal factors.
    pub log: bool,
    /// Training losses.
    pub train: bool,
    /// Validation losses.
    pub validation: bool,
    /// Standard errors in half a band: 0, 1 or 2.
    pub band: u8,
    /// The source's entropy.
    pub floor: bool,
    /// The lowest loss that AR ever had.
    pub best: bool,
    /// Where diffusion is predicted to overfit.
    pub onset: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            axis: Axis::Tokens,
            unit: Unit::Nats,
            log: false,
            train: false,
            validation: true,
            band: 2,
            floor: true,
            best: true,
            onset: false,
        }
    }
}

impl Options {
    /// Takes over the axis and the unit that a person prefers; says whether that changed anything.
    pub fn follow(&mut self, preferences: &Preferences) -> bool {
        let before = (self.axis, self.unit);
        (self.axis, self.unit) = (preferences.axis, preferences.unit);
        before != (self.axis, self.unit)
    }

    /// Makes its axis and unit the ones that a person prefers.
    pub fn lead(&self, preferences: &mut Preferences) {
        (preferences.axis, preferences.unit) = (self.axis, self.unit);
    }
}

/// How a racer's line is broken and marked.
pub fn look(objective: Objective) -> (Dash, Marker) {
    match objective {
        Objective::Autoregressive => (Dash::Solid, Marker::Disc),
        Objective::Block => (Dash::DashDot, Marker::Triangle),
        Objective::Masked | Objective::Dual => (Dash::Long, Marker::Square),
    }
}

/// A run as a chart; `faint` where it is only an example.
pub fn chart(run: &Run, options: &Options, palette: &Palette, faint: bool) -> Chart {
    let factor = run.scale.factor(options.unit).unwrap_or(1.0);
    let paint = |color: Color32| if faint { palette.faint(color) } else { color };
    let mut curves = Vec::new();
    for series in &run.series {
        let color = paint(palette.racer(series.objective, series.likelihood));
        if options.train {
            let mut curve = training(series, options.axis, factor, palette.faint(color));
            curve.told = !options.validation;
            curves.push(curve);
        }
    }
    for series in &run.series {
        let color = paint(palette.racer(series.objective, series.likelihood));
        if options.validation {
            let band = palette.band(color, options.band > 1);
            curves.push(validation(series, options, factor, color, band));
        }
    }
    let mut levels = Vec::new();
    if let Some(floor) = run.started.floor_nats.filter(|_| options.floor) {
        levels.push(Level {
            name: format!("Floor {}", numbers::loss(floor * factor)),
            y: floor * factor,
            color: paint(palette.floor),
            dash: Dash::Dotted,
        });
    }
    if let Some(best) = run.ar().and_then(Series::best).filter(|_| options.best) {
        levels.push(Level {
            name: format!("Best AR {}", numbers::loss(best.nats * factor)),
            y: best.nats * factor,
            color: palette.faint(palette.ar),
            dash: Dash::Long,
        });
    }
    Chart {
        name: "Loss".to_owned(),
        curves,
        levels,
        moments: predicted(run, options, palette),
        marks: marks(run, options, palette, factor, faint),
        unit: options.unit.name().to_owned(),
        axis: options.axis,
        log: options.log,
    }
}

fn training(series: &Series, axis: Axis, factor: f64, color: Color32) -> Curve {
    Curve {
        name: format!("{}, training", series.name()),
        color,
        dash: Dash::Solid,
        marker: None,
        width: 1.0,
        points: places(&series.train, axis, factor),
        errors: None,
        band: 0.0,
        band_color: color,
        told: false,
    }
}

/// A validation curve: every evaluation, never smoothed.
pub fn validation(
    series: &Series,
    options: &Options,
    factor: f64,
    color: Color32,
    band_color: Color32,
) -> Curve {
    let (dash, marker) = look(series.objective);
    let errors =
        |points: &[Point]| -> Vec<f64> { points.iter().map(|point| point.se * factor).collect() };
    Curve {
        name: series.name().to_owned(),
        color,
        dash,
        marker: Some(marker),
        width: 2.0,
        points: places(&series.validation, options.axis, factor),
        errors: Some(errors(&series.validation)),
        band: f64::from(options.band),
        band_color,
        told: true,
    }
}

fn places(points: &[Point], axis: Axis, factor: f64) -> Vec<[f64; 2]> {
    points
        .iter()
        .map(|point| [axis.of(point), point.nats * factor])
        .collect()
}

/// Both crossovers, on the diffusion model's curve.
fn marks(run: &Run, options: &Options, palette: &Palette, factor: f64, faint: bool) -> Vec<Mark> {
    let Some(second) = run.second().filter(|_| options.validation) else {
        return Vec::new();
    };
    let found = run.crossovers();
    let color = palette.racer(second.objective, second.likelihood);
    let color = if faint { palette.faint(color) } else { color };
    [
        ("Curve", found.curve, false),
        ("Envelope", found.envelope, true),
    ]
    .into_iter()
    .filter_map(|(name, epoch, filled)| {
        let epoch = epoch?;
        let near = |point: &&Point| (point.epoch - epoch).abs();
        let point = second
            .validation
            .iter()
            .min_by(|a, b| near(a).total_cmp(&near(b)))?;
        Some(Mark {
            name: format!("{name}, epoch {}", numbers::epoch(epoch)),
            at: [options.axis.of(point), point.nats * factor],
            filled,
            color,
        })
    })
    .collect()
}

/// Where diffusion is predicted to overfit, if that is within the run.
fn predicted(run: &Run, options: &Options, palette: &Palette) -> Vec<Moment> {
    let started = &run.started;
    let epochs = onset::epochs(started.tokens_per_epoch as f64, started.parameters as f64);
    let last = run.second().and_then(|series| series.train.last());
    match last.filter(|_| options.onset) {
        // Every axis grows with the epochs in proportion.
        Some(last) if last.epoch > 0.0 => vec![Moment {
            name: format!(
                "Onset predicted near epoch {}",
                numbers::count(epochs.round())
            ),
            x: options.axis.of(last) * epochs / last.epoch,
            color: palette.muted,
        }],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::recorded;

    fn shown(options: Options) -> Chart {
        let run = recorded::race().unwrap();
        chart(&run, &options, Palette::LIGHT, false)
    }

    /// Acceptance 11: an axis moves points sideways only.
    #[test]
    fn four_axes_keep_the_losses_and_the_number_of_points() {
        let losses = |axis| {
            let options = Options {
                axis,
                train: true,
                ..Options::default()
            };
            let chart = shown(options);
            let losses: Vec<Vec<f64>> = chart
                .curves
                .iter()
                .map(|curve| curve.points.iter().map(|point| point[1]).collect())
                .collect();
            for curve in &chart.curves {
                assert!(curve.points.is_sorted_by(|a, b| a[0] < b[0]), "{axis:?}");
            }
            losses
        };
        let first = losses(Axis::Tokens);
        assert_eq!(first.len(), 4);
        for axis in [Axis::Epochs, Axis::Flops, Axis::Time] {
            assert_eq!(losses(axis), first);
        }
    }

    /// Acceptance 12: one letter is one byte here, so bits per byte are nats over ln 2.
    #[test]
    fn units_rescale_losses_bands_and_levels() {
        let nats = shown(Options::default());
        let bits = shown(Options {
            unit: Unit::BitsPerByte,
            ..Options::default()
        });
        let factor = 2f64.ln();
        for (a, b) in nats.curves.iter().zip(&bits.curves) {
            for (a, b) in a.points.iter().zip(&b.points) {
                assert!((a[1] / b[1] - factor).abs() < 1e-9);
            }
            let (a, b) = (a.errors.as_ref().unwrap(), b.errors.as_ref().unwrap());
            assert!((a[0] / b[0] - factor).abs() < 1e-9);
        }
        assert!((nats.levels[0].y / bits.levels[0].y - factor).abs() < 1e-9);
    }

    /// Acceptance 9, on the recorded race: the diamonds sit on the evaluations that the result names.
    #[test]
    fn diamonds_sit_where_the_result_says() {
        let chart = shown(Options {
            axis: Axis::Epochs,
            ..Options::default()
        });
        let places: Vec<(f64, bool)> = chart
            .marks
            .iter()
            .map(|mark| (mark.at[0], mark.filled))
            .collect();
        assert_eq!(places, [(32.76, false), (68.04, true)]);
    }

    #[test]
    fn what_is_switched_off_is_not_drawn() {
        let chart = shown(Options {
            validation: false,
            floor: false,
            best: false,
            ..Options::default()
        });
        assert!(chart.curves.is_empty() && chart.levels.is_empty() && chart.marks.is_empty());
    }
}
