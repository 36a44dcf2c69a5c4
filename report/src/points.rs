//! Charts of figures against a number that was varied: a line for each way of having it, bars of two standard errors.

use std::fmt::Write;

use crate::chart::{Area, Size, path};
use crate::scale;
use crate::theme::outline;
use crate::{escape, numbers, page};

/// One chart.
pub(super) struct Chart {
    /// What it shows, as a heading.
    pub title: String,
    /// What stands at the lower edge.
    pub x_title: String,
    /// What stands at the upper left.
    pub y_title: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
    /// A value to draw a level at, with its name: zero, or a floor.
    pub level: Option<(f64, &'static str)>,
    /// How the left edge is divided.
    pub rising: Spacing,
}

/// Figures that belong together.
pub(super) struct Line {
    /// What they are of.
    pub name: String,
    /// Its CSS class, named after the colour's role.
    pub class: &'static str,
    /// The mark on its points; none draws the line alone.
    pub mark: Option<char>,
    /// The dash of its line; none for a solid one.
    pub dash: Option<&'static str>,
    /// Whether a line goes through the points.
    pub joined: bool,
    /// Its points.
    pub dots: Vec<Dot>,
}

/// A figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot {
    /// What was varied.
    pub x: f64,
    /// What came of it.
    pub y: f64,
    /// Its standard error, where there is one.
    pub se: Option<f64>,
}

/// How an edge is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// Equal differences are equally far apart.
    Even,
    /// Equal ratios are, of values above zero.
    Magnitudes,
}

impl Spacing {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Even => value,
            Self::Magnitudes => value.log10(),
        }
    }
}

impl Chart {
    /// Whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.dots.is_empty())
    }

    /// Both drawings; none of an empty chart.
    pub fn drawings(&self) -> String {
        [Size::Wide, Size::Narrow]
            .into_iter()
            .map(|size| self.drawing(size))
            .collect()
    }

    /// The legend.
    pub fn key(&self) -> String {
        let lines = self.lines.iter().filter(|line| !line.dots.is_empty());
        let mut items: Vec<(String, String)> = lines
            .map(|line| {
                let mut drawing = String::new();
                if line.joined {
                    let _ = write!(
                        drawing,
                        "<path class=\"validation {}\"{} d=\"M0 7H34\"/>",
                        line.class,
                        line.dash()
                    );
                }
                if let Some(mark) = line.mark {
                    let shape = outline(mark, 17.0, 7.0, 4.5);
                    let _ = write!(
                        drawing,
                        "<path class=\"mark {}\" d=\"{shape}\"/>",
                        line.class
                    );
                }
                (drawing, line.name.clone())
            })
            .collect();
        if let Some((_, name)) = self.level {
            items.push((
                "<path class=\"floor\" d=\"M1 7H34\"/>".to_owned(),
                name.to_owned(),
            ));
        }
        page::legend(items)
    }

    /// Every figure: a row for each.
    pub fn csv(&self) -> String {
        let mut text = format!("line,{},{},se\n", cell(&self.x_title), cell(self.y_title));
        for line in &self.lines {
            for dot in &line.dots {
                let se = dot.se.map(|se| se.to_string()).unwrap_or_default();
                let _ = writeln!(text, "{},{},{},{se}", cell(&line.name), dot.x, dot.y);
            }
        }
        text
    }

    fn dots(&self) -> impl Iterator<Item = &Dot> {
        self.lines.iter().flat_map(|line| &line.dots)
    }

    /// Of the lower edge: by magnitudes where the values cover several of them.
    fn spacing(&self) -> Spacing {
        let (low, high) = self.dots().fold((f64::MAX, f64::MIN), |(low, high), dot| {
            (low.min(dot.x), high.max(dot.x))
        });
        match low > 0.0 && high / low >= 8.0 {
            true => Spacing::Magnitudes,
            false => Spacing::Even,
        }
    }

    /// One of the drawings.
    pub fn drawing(&self, size: Size) -> String {
        let spacing = self.spacing();
        let place = |x: f64| spacing.place(x);
        let level = self.level.map(|(value, _)| self.rising.place(value));
        // Where an edge has magnitudes, a bar that would go below zero ends at a tenth.
        let reach = |dot: &Dot| {
            let errors = 2.0 * dot.se.unwrap_or(0.0);
            let lowest = match self.rising {
                Spacing::Even => dot.y - errors,
                Spacing::Magnitudes => (dot.y - errors).max(dot.y / 10.0),
            };
            [lowest, dot.y + errors].map(|end| self.rising.place(end))
        };
        let ends = self.dots().flat_map(reach);
        let (Some(x), Some(y)) = (
            scale::spanned(self.dots().map(|dot| place(dot.x)), 0.04),
            scale::spanned(ends.chain(level), 0.06),
        ) else {
            return String::new();
        };
        let (width, height, class, about) = match size {
            Size::Wide => (1040.0, 340.0, "wide", 10),
            Size::Narrow => (358.0, 280.0, "narrow", 4),
        };
        let area = Area {
            size,
            x,
            y,
            left: 52.0,
            right: width - 16.0,
            top: 26.0,
            bottom: height - 44.0,
        };
        let marks: Vec<(f64, String)> = match spacing {
            Spacing::Even => {
                let ticks = scale::ticks(x, about);
                let decimals = scale::decimals(&ticks);
                let mark = |tick: f64| (tick, format!("{tick:.decimals$}"));
                ticks.into_iter().map(mark).collect()
            }
            Spacing::Magnitudes => scale::magnitudes(x, about)
                .into_iter()
                .map(|mark| (mark, numbers::count(10_f64.powf(mark))))
                .collect(),
        };
        let rules: Vec<(f64, String)> = match self.rising {
            Spacing::Even => area.rules(),
            Spacing::Magnitudes => scale::magnitudes(y, area.rules_about())
                .into_iter()
                .map(|rule| (rule, numbers::count(10_f64.powf(rule))))
                .collect(),
        };
        let mut svg = format!(
            "<svg class=\"chart {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{}",
            escape(&self.description()),
            area.grid(width, self.y_title, &self.x_title, rules, marks)
        );
        if let Some(level) = level {
            let _ = write!(
                svg,
                "<path class=\"floor\" d=\"M{:.1} {:.1}H{:.1}\"/>",
                area.left,
                area.y_of(level),
                area.right
            );
        }
        for line in &self.lines {
            let mut dots = line.dots.clone();
            dots.sort_by(|left, right| left.x.total_cmp(&right.x));
            let at = |dot: &Dot| {
                let y = self.rising.place(dot.y);
                (area.x_of(place(dot.x)), area.y_of(y))
            };
            if line.joined {
                let through: Vec<(f64, f64)> = dots.iter().map(at).collect();
                let _ = write!(
                    svg,
                    "<path class=\"validation {}\"{} d=\"{}\"/>",
                    line.class,
                    line.dash(),
                    path(&through)
                );
            }
            for dot in &dots {
                let Some(mark) = line.mark else { continue };
                let (x, y) = at(dot);
                if dot.se.is_some() {
                    let [low, high] = reach(dot).map(|end| area.y_of(end));
                    let _ = write!(
                        svg,
                        "<path class=\"error {}\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>",
                        line.class
                    );
                }
                let _ = write!(
                    svg,
                    "<path class=\"mark {}\" d=\"{}\"><title>{}, {}: {}</title></path>",
                    line.class,
                    outline(mark, x, y, 4.5),
                    escape(&line.name),
                    value(dot.x),
                    numbers::measured(dot.y, dot.se)
                );
            }
        }
        svg + "</svg>\n"
    }

    /// The chart in words, for those who can't see it.
    fn description(&self) -> String {
        let mut text = format!("{} against {}.", self.title, self.x_title);
        for line in self.lines.iter().filter(|line| line.mark.is_some()) {
            for dot in &line.dots {
                let _ = write!(
                    text,
                    " {} at {}: {}.",
                    line.name,
                    value(dot.x),
                    numbers::measured(dot.y, dot.se)
                );
            }
        }
        text
    }
}

impl Line {
    fn dash(&self) -> String {
        self.dash
            .map(|dash| format!(" stroke-dasharray=\"{dash}\""))
            .unwrap_or_default()
    }
}

/// What was varied, in few characters.
pub(super) fn value(x: f64) -> String {
    match x.abs() >= 10_000.0 {
        true => numbers::count(x),
        false => x.to_string(),
    }
}

/// Text as one cell of CSV.
pub(super) fn cell(text: &str) -> String {
    match text.contains(['"', ',', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(dots: &[(f64, f64)]) -> Chart {
        Chart {
            title: "Loss".to_owned(),
            x_title: "unique".to_owned(),
            y_title: "nats per token",
            lines: vec![Line {
                name: "AR, dropout=0.4".to_owned(),
                class: "ar",
                mark: Some('●'),
                dash: None,
                joined: true,
                dots: dots
                    .iter()
                    .map(|(x, y)| Dot {
                        x: *x,
                        y: *y,
                        se: Some(0.01),
                    })
                    .collect(),
            }],
            level: Some((0.0, "level")),
            rising: Spacing::Even,
        }
    }

    #[test]
    fn a_left_edge_of_magnitudes_spaces_ratios_evenly_and_holds_every_bar() {
        let drawn = Chart {
            level: None,
            rising: Spacing::Magnitudes,
            ..chart(&[(1.0, 4.0), (2.0, 40.0), (3.0, 400.0)])
        };
        let line = |svg: &str| -> Vec<f64> {
            let path = svg.split("<path class=\"validation ar\" d=\"M").nth(1);
            let path = path
                .and_then(|rest| rest.split('"').next())
                .expect("a line");
            path.split('L')
                .filter_map(|point| point.split(' ').nth(1)?.parse().ok())
                .collect()
        };
        let places = line(&drawn.drawing(Size::Wide));
        let steps: Vec<f64> = places.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(
            steps[0] > 50.0 && (steps[0] - steps[1]).abs() < 0.2,
            "{places:?}"
        );
        // An error larger than the value has no logarithm.
        let mut wide = drawn;
        wide.lines[0].dots[0].se = Some(100.0);
        let svg = wide.drawings();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn wide_ranges_are_drawn_by_magnitudes() {
        let (near, far) = (
            chart(&[(1.0, 0.5), (2.0, 0.4)]),
            chart(&[(500.0, 0.5), (1e5, 0.4)]),
        );
        assert_eq!(
            (near.spacing(), far.spacing()),
            (Spacing::Even, Spacing::Magnitudes)
        );
        // The dropout of 0 has no magnitude.
        assert_eq!(chart(&[(0.0, 1.0), (0.9, 1.0)]).spacing(), Spacing::Even);
        for drawn in [near.drawings(), far.drawings()] {
            assert_eq!(drawn.matches("<svg class=\"chart").count(), 2);
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        }
        assert!(far.drawings().contains(">1k<") && far.drawings().contains(">100k<"));
        assert!(chart(&[]).is_empty() && chart(&[]).drawings().is_empty());
    }

    #[test]
    fn a_table_has_every_figure_and_quotes_commas() {
        let csv = chart(&[(1.0, 0.5)]).csv();
        assert_eq!(
            csv,
            "line,unique,nats per token,se\n\"AR, dropout=0.4\",1,0.5,0.01\n"
        );
    }
}
