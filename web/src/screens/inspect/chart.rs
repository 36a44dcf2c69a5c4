//! A chart of measured lines, or the same as a table.

use egui::{Grid, RichText, ScrollArea, Stroke, Ui, vec2};
use egui_plot::{
    FilledArea, GridInput, GridMark, Line, LineStyle, MarkerShape, Plot, PlotPoints, Points,
};

use super::figures::{Chart, Line as Measured};
use crate::theme::Palette;
use crate::widgets::chart::marks;

/// Shows it in a place of this size.
pub fn show(ui: &mut Ui, chart: &Chart, as_table: bool, height: f32, palette: &Palette) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(chart.title).strong());
        ui.label(RichText::new("?").color(palette.muted))
            .on_hover_text(chart.about);
    });
    if chart.lines.is_empty() {
        let note = match chart.note.is_empty() {
            true => "Not measured yet.",
            false => chart.note.as_str(),
        };
        ui.allocate_ui(vec2(ui.available_width(), height), |ui| {
            ui.label(RichText::new(note).color(palette.muted));
        });
        return;
    }
    match as_table {
        true => table(ui, chart, height, palette),
        false => plot(ui, chart, height, palette),
    }
    ui.horizontal_wrapped(|ui| {
        for line in &chart.lines {
            let sign = if line.is_second { "- -" } else { "—" };
            ui.label(
                RichText::new(format!("{sign} {}", line.name))
                    .small()
                    .color(line.color),
            );
        }
        if !chart.note.is_empty() {
            ui.label(RichText::new(&chart.note).small().color(palette.muted));
        }
    });
}

fn plot(ui: &mut Ui, chart: &Chart, height: f32, palette: &Palette) {
    let x = chart.x;
    let mut plot = Plot::new(chart.title)
        .height(height)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .grid_color(palette.hairline())
        .x_grid_spacer(|input| round(input, marks::BESIDE))
        .y_grid_spacer(|input| round(input, marks::ABOVE))
        .x_axis_formatter(|mark, _| told(mark))
        .y_axis_formatter(|mark, _| told(mark))
        .x_axis_label(RichText::new(x).small())
        .y_axis_label(RichText::new(chart.y).small())
        .label_formatter(move |hover| match hover {
            egui_plot::HoverPosition::NearDataPoint {
                plot_name,
                position,
                ..
            } => Some(format!(
                "{plot_name}\n{x} {:.3}\n{:.3}",
                position.x, position.y
            )),
            egui_plot::HoverPosition::Elsewhere { .. } => None,
        });
    if chart.diagonal {
        plot = plot
            .include_x(0.0)
            .include_x(1.0)
            .include_y(0.0)
            .include_y(1.0);
    }
    let name = format!("{}: {} by {}", chart.title, chart.y, chart.x);
    ui.name_inputs(name, |ui| {
        plot.show(ui, |plot| {
            if chart.diagonal {
                let diagonal = PlotPoints::from(vec![[0.0, 0.0], [1.0, 1.0]]);
                plot.line(
                    Line::new("calibrated", diagonal)
                        .style(LineStyle::dotted_dense())
                        .color(palette.floor),
                );
                counts(plot, chart);
            }
            for line in &chart.lines {
                draw(plot, line);
            }
        })
    });
}

/// A handful of round places on an axis, whose names are so many points apart at least.
fn round(input: GridInput, points: f32) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    let apart = marks::length(&input, points).max((to - from) / 6.0);
    marks::marks(input.bounds, apart)
}

fn told(mark: GridMark) -> String {
    let text = format!("{:.3}", mark.value);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

fn draw(plot: &mut egui_plot::PlotUi<'_>, line: &Measured) {
    let at: Vec<f64> = line.rows.iter().map(|row| row.at).collect();
    let edge = |sign: f64| -> Vec<f64> {
        let rows = line.rows.iter();
        rows.map(|row| row.value.mean + sign * row.value.se)
            .collect()
    };
    let band = line.color.gamma_multiply(0.18);
    plot.add(
        FilledArea::new(line.name.as_str(), &at, &edge(-1.0), &edge(1.0))
            .fill_color(band)
            .allow_hover(false),
    );
    let points = || -> PlotPoints<'_> {
        let rows = line.rows.iter();
        rows.map(|row| [row.at, row.value.mean])
            .collect::<Vec<_>>()
            .into()
    };
    let style = match line.is_second {
        true => LineStyle::dashed_loose(),
        false => LineStyle::Solid,
    };
    plot.line(
        Line::new(line.name.as_str(), points())
            .stroke(Stroke::new(2.0, line.color))
            .style(style),
    );
    let shape = match line.is_second {
        true => MarkerShape::Square,
        false => MarkerShape::Circle,
    };
    plot.points(
        Points::new(line.name.as_str(), points())
            .shape(shape)
            .radius(3.0)
            .color(line.color),
    );
}

/// How many cases each bin has, as bars at the foot.
fn counts(plot: &mut egui_plot::PlotUi<'_>, chart: &Chart) {
    for (index, line) in chart.lines.iter().enumerate() {
        let most = line.rows.iter().filter_map(|row| row.count).max();
        let most = most.unwrap_or(1).max(1) as f64;
        let bars = line.rows.iter().map(|row| {
            let share = row.count.unwrap_or(0) as f64 / most;
            let beside = 0.02 * (index as f64 - 0.5 * (chart.lines.len() - 1) as f64);
            egui_plot::Bar::new(row.at + beside, 0.16 * share)
                .width(0.018)
                .fill(line.color.gamma_multiply(0.35))
                .stroke(Stroke::NONE)
        });
        let name = format!("cases of {}", line.name);
        plot.bar_chart(egui_plot::BarChart::new(name, bars.collect()).allow_hover(false));
    }
}

fn table(ui: &mut Ui, chart: &Chart, height: f32, palette: &Palette) {
    let head = |text: &str| RichText::new(text).small().color(palette.muted);
    ScrollArea::vertical()
        .id_salt(chart.title)
        .max_height(height)
        .min_scrolled_height(height)
        .auto_shrink([false, false])
        .show(ui, |ui| {
            for line in &chart.lines {
                ui.label(RichText::new(&line.name).small().color(line.color));
                Grid::new((chart.title, line.is_second))
                    .striped(true)
                    .spacing([20.0, 2.0])
                    .show(ui, |ui| {
                        for name in [chart.x, chart.y, "± SE", "cases"] {
                            ui.label(head(name));
                        }
                        ui.end_row();
                        for row in &line.rows {
                            ui.label(chart.place(row.at));
                            ui.label(format!("{:.3}", row.value.mean));
                            ui.label(format!("± {:.3}", row.value.se));
                            let count = row.count.map(|count| count.to_string());
                            ui.label(count.unwrap_or_default());
                            ui.end_row();
                        }
                    });
            }
        });
}
