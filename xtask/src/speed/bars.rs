//! Bars with whiskers and goals, as SVG that reads on light and on dark pages.

use std::fmt::Write as _;

/// A bar to the right, one part after the other.
pub struct Bar {
    pub name: String,
    pub parts: Vec<f64>,
    /// The least and the most that was measured.
    pub range: Option<(f64, f64)>,
    /// Where it is to end at least.
    pub goal: Option<f64>,
}

/// Bars below each other on one scale that begins at nothing.
pub struct Bars {
    pub title: &'static str,
    /// What stands behind a number.
    pub unit: &'static str,
    pub bars: Vec<Bar>,
}

const WIDTH: f64 = 860.0;
/// Where bars begin, right of their names.
const LEFT: f64 = 330.0;
/// Room for a number at the end of the longest.
const RIGHT: f64 = 70.0;
const TOP: f64 = 36.0;
const ROW: f64 = 24.0;

/// Colours of parts, distinguishable without seeing colour: from pale to deep.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.p0{fill:#b6c8e6}\
    .p1{fill:#6f9bd8}.p2{fill:#2f6cc0}.p3{fill:#153f7d}.whisker,.goal{stroke:#24292f;stroke-width:1.5}\
    .goal{stroke:#c2410c;stroke-width:3}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.whisker{stroke:#e6edf3}\
    .p3{fill:#dbe7fb}.goal{stroke:#fb923c}}";

impl Bars {
    /// The chart as a file.
    pub fn svg(&self) -> String {
        let ends = self.bars.iter().map(|bar| {
            let all: f64 = bar.parts.iter().sum();
            let most = bar.range.map_or(0.0, |(_, most)| most);
            all.max(most).max(bar.goal.unwrap_or(0.0))
        });
        let longest = ends.fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| LEFT + value / longest * (WIDTH - LEFT - RIGHT);
        let height = TOP + ROW * self.bars.len() as f64 + 8.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{title}</title>\
             <style>{STYLE}</style><text class=\"title\" x=\"8\" y=\"20\">{title}</text>\n",
            title = escaped(self.title)
        );
        for (row, bar) in self.bars.iter().enumerate() {
            let top = TOP + ROW * row as f64;
            let middle = top + ROW / 2.0;
            svg += &self.bar(bar, top, middle, x);
        }
        svg + "</svg>\n"
    }

    fn bar(&self, bar: &Bar, top: f64, middle: f64, x: impl Fn(f64) -> f64) -> String {
        let mut svg = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // A string takes everything.
            let _ = writeln!(svg, "{text}");
        };
        let name = escaped(&bar.name);
        let base = middle + 4.5;
        line(format_args!(
            "<text x=\"{:.0}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 8.0
        ));
        let mut from = 0.0;
        let alone = bar.parts.len() == 1;
        for (index, part) in bar.parts.iter().enumerate() {
            let class = if alone { 1 } else { index };
            line(format_args!(
                "<rect class=\"p{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                x(from),
                top + 4.0,
                x(from + part) - x(from),
                ROW - 8.0
            ));
            from += part;
        }
        let mut end = from;
        if let Some((least, most)) = bar.range {
            line(format_args!(
                "<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>",
                x(least),
                x(most)
            ));
            end = end.max(most);
        }
        if let Some(goal) = bar.goal {
            line(format_args!(
                "<line class=\"goal\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>",
                x(goal),
                top + 1.0,
                top + ROW - 1.0
            ));
            end = end.max(goal);
        }
        let digits = if self.unit.is_empty() { 2 } else { 0 };
        line(format_args!(
            "<text x=\"{:.1}\" y=\"{base:.1}\">{from:.digits$}{}</text>",
            x(end) + 6.0,
            self.unit
        ));
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
