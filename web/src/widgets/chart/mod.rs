//! The chart of a race: curves with bands, markers, a floor, a reading cursor.
//!
//! [`Chart`] is what to draw, in data units; [`View`] what a person did to it (zoom, cursor); [`curve`] how lines are drawn;
//! [`thin`] how many points of them; [`marks`] where axes have names.

mod curve;
mod draw;
pub mod marks;
pub mod picture;
mod thin;

use egui::Color32;

pub use curve::{Dash, Marker, sample_of};
pub use draw::show;

/// What to draw.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Names it, for memory and for those who can't see it.
    pub name: String,
    /// The curves, the most important last.
    pub curves: Vec<Curve>,
    /// Horizontal lines.
    pub levels: Vec<Level>,
    /// Vertical lines.
    pub moments: Vec<Moment>,
    /// Points that mean something.
    pub marks: Vec<Mark>,
    /// What the vertical axis tells.
    pub unit: String,
    /// What the horizontal axis tells.
    pub axis: crate::state::units::Axis,
    /// Whether equal distances to the right are equal factors.
    pub log: bool,
}

/// A curve.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub color: Color32,
    /// How it is broken.
    pub dash: Dash,
    /// What sits on its measurements.
    pub marker: Option<Marker>,
    /// Its width.
    pub width: f32,
    /// Measurements, left to right; a NaN is a gap.
    pub points: Vec<[f64; 2]>,
    /// The standard error of each, where there is one.
    pub errors: Option<Vec<f64>>,
    /// Standard errors in half the height of the band; 0: no band.
    pub band: f64,
    /// The band's colour.
    pub band_color: Color32,
    /// Whether the reading cursor tells it.
    pub told: bool,
}

/// A horizontal line.
#[derive(Debug, Clone)]
pub struct Level {
    /// Its name, with its figure.
    pub name: String,
    /// Where.
    pub y: f64,
    /// Its colour.
    pub color: Color32,
    /// How it is broken.
    pub dash: Dash,
}

/// A vertical line.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Its name.
    pub name: String,
    /// Where.
    pub x: f64,
    /// Its colour.
    pub color: Color32,
}

/// A point that means something.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Where.
    pub at: [f64; 2],
    /// Filled or hollow.
    pub filled: bool,
    /// Its colour.
    pub color: Color32,
}

/// What a person did to a chart.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Where the reading cursor stands.
    pub cursor: Option<f64>,
    /// Whether zooming is to be undone.
    pub reset: bool,
}

impl Chart {
    /// Where on the plot a place on the axis lies.
    fn place(&self, x: f64) -> f64 {
        match self.log {
            true => x.max(f64::MIN_POSITIVE).log10(),
            false => x,
        }
    }

    /// The places that were measured, left to right.
    pub fn measured(&self) -> Vec<f64> {
        let mut places: Vec<f64> = self
            .curves
            .iter()
            .filter(|curve| curve.told)
            .flat_map(|curve| curve.points.iter())
            .filter(|point| point[0].is_finite() && point[1].is_finite())
            .map(|point| point[0])
            .collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        places
    }

    /// What the curves say at the measurement nearest to a place, each its own.
    pub fn reading(&self, x: f64) -> Vec<Reading> {
        self.curves
            .iter()
            .filter(|curve| curve.told)
            .filter_map(|curve| {
                let (index, point) = curve
                    .points
                    .iter()
                    .enumerate()
                    .filter(|(_, point)| point[1].is_finite())
                    .min_by(|(_, a), (_, b)| (a[0] - x).abs().total_cmp(&(b[0] - x).abs()))?;
                Some(Reading {
                    name: curve.name.clone(),
                    color: curve.color,
                    at: *point,
                    se: curve
                        .errors
                        .as_ref()
                        .and_then(|errors| errors.get(index).copied()),
                })
            })
            .collect()
    }

    /// The same in words.
    pub fn say(&self, x: f64) -> String {
        let mut words = self.axis.say(x);
        for reading in self.reading(x) {
            words += &format!(", {} {}", reading.name, crate::numbers::loss(reading.at[1]));
        }
        words
    }
}

/// What a curve says at a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The curve.
    pub name: String,
    /// Its colour.
    pub color: Color32,
    /// The measurement.
    pub at: [f64; 2],
    /// Its standard error.
    pub se: Option<f64>,
}
