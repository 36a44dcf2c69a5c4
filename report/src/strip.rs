//! Differences as rows with bars: a chart without a script, one drawing for wide and one for narrow pages.

use std::fmt::Write;

use crate::chart::Size;
use crate::escape;
use crate::numbers;
use crate::scale::{self, Range};
use crate::theme::Racer;

/// A value with its name.
pub(super) struct Row {
    /// What it is of.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its standard error, where there is one.
    pub se: Option<f64>,
    /// Whether it stands for all others.
    pub is_mean: bool,
}

/// Both drawings of some rows, their marks those of a model; `left` is the room for names, in SVG units.
pub(super) fn drawings(rows: &[Row], look: &Racer, label: &str, left: f64) -> String {
    [Size::Wide, Size::Narrow]
        .into_iter()
        .map(|size| drawing(rows, look, label, left, size))
        .collect()
}

pub(super) fn drawing(rows: &[Row], look: &Racer, label: &str, left: f64, size: Size) -> String {
    const ROW: f64 = 26.0;
    let (width, class) = match size {
        Size::Wide => (1040.0, "wide"),
        Size::Narrow => (358.0, "narrow"),
    };
    let ends = rows.iter().flat_map(|row| {
        let reach = 2.0 * row.se.unwrap_or(0.0);
        [row.value - reach, row.value + reach]
    });
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    let margin = (0.06 * (high - low)).max(1e-4);
    let range = Range {
        low: low - margin,
        high: high + margin,
    };
    let narrow = size == Size::Narrow;
    let right = width - if narrow { 118.0 } else { 148.0 };
    let x = |value: f64| left + range.share(value) * (right - left);
    let bottom = 8.0 + ROW * rows.len() as f64;
    let mut svg = format!(
        "<svg class=\"chart {class}\" viewBox=\"0 0 {width} {:.0}\" role=\"img\" aria-label=\"{}\">",
        bottom + 26.0,
        escape(label)
    );
    let ticks = scale::ticks(range, if narrow { 3 } else { 8 });
    let decimals = scale::decimals(&ticks);
    for tick in ticks {
        let at = x(tick);
        let mut label = format!("{:.decimals$}", tick.abs());
        if tick < -1e-12 {
            label.insert(0, '−');
        }
        let _ = write!(
            svg,
            "<path class=\"rule\" d=\"M{at:.1} 4V{bottom:.1}\"/>\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 18.0
        );
    }
    let _ = write!(
        svg,
        "<path class=\"edge\" d=\"M{0:.1} 4V{bottom:.1}\"/>",
        x(0.0)
    );
    for (index, row) in rows.iter().enumerate() {
        let y = 8.0 + ROW * (index as f64 + 0.5);
        let reach = 2.0 * row.se.unwrap_or(0.0);
        let at = x(row.value);
        let (bar, text, mark) = if row.is_mean {
            let mark = format!(
                "<path class=\"crossing filled\" d=\"M{at:.1} {:.1}l7 7l-7 7l-7-7Z\"/>",
                y - 7.0
            );
            ("difference mean".to_owned(), " class=\"mean\"", mark)
        } else {
            let mark = format!(
                "<path class=\"mark {}\" d=\"{}\"/>",
                look.class,
                look.outline(at, y, 5.0)
            );
            (format!("difference {}", look.class), "", mark)
        };
        let _ = write!(
            svg,
            "<text{text} x=\"4\" y=\"{0:.1}\">{name}</text>\
             <path class=\"{bar}\" d=\"M{1:.1} {y:.1}H{2:.1}\"/>{mark}\
             <text{text} x=\"{3:.1}\" y=\"{0:.1}\">{4}</text>",
            y + 4.5,
            x(row.value - reach),
            x(row.value + reach),
            right + 12.0,
            numbers::measured(row.value, row.se),
            name = escape(&row.name)
        );
    }
    svg + "</svg>\n"
}
