//! The chart on the screen: axes and zoom by `egui_plot`, lines and cursor by us.

use egui::{EventFilter, Id, Key, Pos2, Rect, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use egui_plot::{FilledArea, GridMark, Plot, PlotBounds, PlotTransform};

use super::curve::{self, Dash, Marker};
use super::marks::{self, ABOVE, BESIDE, CLOSE};
use super::thin::{stretches, thin};
use super::{Chart, Curve, View};
use crate::numbers;
use crate::state::units::Axis;
use crate::theme::Palette;

/// Draws a chart, `height` high, and lets a person read it. Gives where it is.
pub fn show(ui: &mut Ui, palette: &Palette, chart: &Chart, view: &mut View, height: f32) -> Rect {
    let id = Id::unique(("chart", &chart.name));
    let top = ui.cursor().min;
    let size = vec2(ui.available_width(), height);
    let (x, y) = extent(chart);
    let mut plot = Plot::new("plot")
        .id(id)
        .height(height)
        .show_background(false)
        .show_crosshair(false)
        .show_x(false)
        .show_y(false)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_axis_zoom_drag(false)
        .boxed_zoom_pointer_button(egui::PointerButton::Primary)
        .auto_bounds(egui::Vec2b::FALSE)
        .default_x_bounds(x.0, x.1)
        .default_y_bounds(y.0, y.1)
        .sense(Sense::click_and_drag())
        .grid_color(palette.hairline())
        // All lines are as strong.
        .grid_spacing(egui::Rangef::new(CLOSE, CLOSE + 1.0))
        .x_grid_spacer(|input| {
            let apart = marks::length(&input, BESIDE);
            match chart.axis {
                _ if chart.log => marks::powers(input.bounds, apart),
                Axis::Time => marks::spans(input.bounds, apart),
                _ => marks::marks(input.bounds, apart),
            }
        })
        .y_grid_spacer(|input| marks::marks(input.bounds, marks::length(&input, ABOVE)))
        .y_axis_min_width(36.0)
        .x_axis_formatter(|mark, _| tick(chart, mark))
        .y_axis_formatter(|mark, _| level(mark));
    if std::mem::take(&mut view.reset) {
        plot = plot.reset();
        ui.data_mut(|data| data.insert_temp(id.with("zoomed"), false));
    }
    let shown = plot.show(ui, |plot| {
        // Until somebody zooms, the view follows the data.
        if !zoomed(plot.ctx(), id) {
            plot.set_plot_bounds(PlotBounds::from_min_max([x.0, y.0], [x.1, y.1]));
        }
        for curve in &chart.curves {
            for area in bands(chart, curve) {
                plot.add(area);
            }
        }
    });
    let (response, transform) = (shown.response, shown.transform);
    remember_zoom(ui, id, &transform, x, y, response.double_clicked());
    let frame = *transform.frame();
    let painter = ui.painter().with_clip_rect(frame.expand(1.0));
    for level in &chart.levels {
        let at = transform.position_from_point_y(level.y);
        let ends = [pos2(frame.left(), at), pos2(frame.right(), at)];
        curve::line(&painter, &ends, level.color, 1.5, level.dash);
    }
    for moment in &chart.moments {
        let at = transform.position_from_point_x(chart.place(moment.x));
        let ends = [pos2(at, frame.top()), pos2(at, frame.bottom())];
        curve::line(&painter, &ends, moment.color, 1.0, Dash::Long);
    }
    for curve in &chart.curves {
        draw_curve(&painter, &transform, chart, curve);
    }
    for mark in &chart.marks {
        let at = position(&transform, chart, mark.at);
        let hollow = (!mark.filled).then_some(palette.background);
        // A rim of paper sets it off from the curves.
        curve::marker(&painter, at, Marker::Diamond, 7.5, palette.background, None);
        curve::marker(&painter, at, Marker::Diamond, 5.5, mark.color, hollow);
    }
    read(ui, palette, chart, view, &response, &transform);
    let words = view.cursor.map_or_else(
        || format!("{}: no measurement yet", chart.name),
        |x| format!("{}: {}", chart.name, chart.say(x)),
    );
    let words = match (view.cursor, chart.measured().last()) {
        (None, Some(last)) => format!("{}: {}", chart.name, chart.say(*last)),
        _ => words,
    };
    response.widget_info(|| WidgetInfo::labeled(egui::Role::GraphicsObject, true, &words));
    Rect::from_min_size(top, size)
}

/// What the view holds when nobody zoomed: everything that was measured, with some air.
fn extent(chart: &Chart) -> ((f64, f64), (f64, f64)) {
    let (mut x, mut y) = (
        (f64::INFINITY, f64::NEG_INFINITY),
        (f64::INFINITY, f64::NEG_INFINITY),
    );
    let widen = |range: &mut (f64, f64), value: f64| {
        if value.is_finite() {
            *range = (range.0.min(value), range.1.max(value));
        }
    };
    for curve in &chart.curves {
        for (index, point) in curve.points.iter().enumerate() {
            widen(&mut x, chart.place(point[0]));
            let error = curve.errors.as_ref().and_then(|errors| errors.get(index));
            let half = curve.band * error.filter(|error| error.is_finite()).unwrap_or(&0.0);
            widen(&mut y, point[1] - half);
            widen(&mut y, point[1] + half);
        }
    }
    for level in &chart.levels {
        widen(&mut y, level.y);
    }
    if !chart.log {
        widen(&mut x, 0.0);
    }
    let air = |(least, most): (f64, f64), share: f64, whole: (f64, f64)| {
        if least > most {
            return whole;
        }
        let margin = ((most - least) * share).max(most.abs() * 1e-3).max(1e-6);
        (least - margin, most + margin)
    };
    (air(x, 0.02, (0.0, 1.0)), air(y, 0.06, (0.0, 2.0)))
}

fn zoomed(context: &egui::Context, id: Id) -> bool {
    context.data(|data| data.get_temp::<bool>(id.with("zoomed")).unwrap_or(false))
}

/// A view that is not the whole was zoomed; a double click goes back.
fn remember_zoom(
    ui: &Ui,
    id: Id,
    transform: &PlotTransform,
    x: (f64, f64),
    y: (f64, f64),
    back: bool,
) {
    let bounds = transform.bounds();
    let is =
        |value: f64, whole: f64, size: f64| (value - whole).abs() < 1e-6 * size.abs().max(1e-9);
    let whole = is(bounds.min()[0], x.0, x.1 - x.0)
        && is(bounds.max()[0], x.1, x.1 - x.0)
        && is(bounds.min()[1], y.0, y.1 - y.0)
        && is(bounds.max()[1], y.1, y.1 - y.0);
    let zoomed = !whole && !back;
    ui.data_mut(|data| data.insert_temp(id.with("zoomed"), zoomed));
}

fn bands(chart: &Chart, curve: &Curve) -> Vec<FilledArea> {
    let Some(errors) = curve.errors.as_ref().filter(|_| curve.band > 0.0) else {
        return Vec::new();
    };
    let with_band: Vec<([f64; 2], f64)> = curve
        .points
        .iter()
        .zip(errors)
        .map(|(point, error)| ([chart.place(point[0]), point[1]], curve.band * error))
        .collect();
    with_band
        .split(|(point, half)| !point[1].is_finite() || !half.is_finite())
        .filter(|stretch| stretch.len() > 1)
        .map(|stretch| {
            let xs: Vec<f64> = stretch.iter().map(|(point, _)| point[0]).collect();
            let edge = |side: f64| -> Vec<f64> {
                stretch
                    .iter()
                    .map(|(point, half)| point[1] + side * half)
                    .collect()
            };
            FilledArea::new(curve.name.as_str(), &xs, &edge(-1.0), &edge(1.0))
                .fill_color(curve.band_color)
                .allow_hover(false)
        })
        .collect()
}

fn position(transform: &PlotTransform, chart: &Chart, point: [f64; 2]) -> Pos2 {
    pos2(
        transform.position_from_point_x(chart.place(point[0])),
        transform.position_from_point_y(point[1]),
    )
}

fn draw_curve(painter: &egui::Painter, transform: &PlotTransform, chart: &Chart, curve: &Curve) {
    let frame = transform.frame();
    let points: Vec<[f64; 2]> = curve
        .points
        .iter()
        .map(|point| [chart.place(point[0]), point[1]])
        .collect();
    let (least, most) = (transform.bounds().min()[0], transform.bounds().max()[0]);
    let thinned = thin(&points, frame.width().max(1.0) as usize, least, most);
    let at = |point: &[f64; 2]| {
        pos2(
            transform.position_from_point_x(point[0]),
            transform.position_from_point_y(point[1]),
        )
    };
    for stretch in stretches(&thinned) {
        let path: Vec<Pos2> = stretch.iter().map(at).collect();
        curve::line(painter, &path, curve.color, curve.width, curve.dash);
        if let Some(marker) = curve.marker {
            // Where they would touch, only some are drawn; a stretch of one point shows itself anyway.
            let room = path.len() as f32 * 11.0 / frame.width().max(1.0);
            let every = (room.ceil() as usize).max(1);
            for (index, place) in path.iter().enumerate() {
                if index % every == 0 || index + 1 == path.len() {
                    curve::marker(painter, *place, marker, 2.8, curve.color, None);
                }
            }
        }
    }
}

/// The reading cursor: under the pointer, or moved by the arrow keys.
fn read(
    ui: &Ui,
    palette: &Palette,
    chart: &Chart,
    view: &mut View,
    response: &egui::Response,
    transform: &PlotTransform,
) {
    let places = chart.measured();
    if response.clicked() {
        response.request_focus();
    }
    if response.has_focus() {
        let filter = EventFilter {
            horizontal_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        let here = view
            .cursor
            .map(|x| places.partition_point(|place| *place < x));
        let (left, right) = ui.input(|input| {
            (
                input.key_pressed(Key::ArrowLeft),
                input.key_pressed(Key::ArrowRight),
            )
        });
        let last = places.len().saturating_sub(1);
        if left || right {
            let next = match here {
                None => last,
                Some(index) if left => index.saturating_sub(1),
                Some(index) => (index + 1).min(last),
            };
            view.cursor = places.get(next).copied();
        }
    }
    let hovered = response.hover_pos().and_then(|pointer| {
        let x = transform.value_from_position(pointer).x;
        places.iter().copied().min_by(|a, b| {
            (chart.place(*a) - x)
                .abs()
                .total_cmp(&(chart.place(*b) - x).abs())
        })
    });
    if let Some(x) = hovered {
        view.cursor = Some(x);
    } else if !response.has_focus() {
        view.cursor = None;
    }
    if let Some(x) = view.cursor {
        draw_cursor(ui, palette, chart, x, transform);
    }
}

fn draw_cursor(ui: &Ui, palette: &Palette, chart: &Chart, x: f64, transform: &PlotTransform) {
    let frame = *transform.frame();
    let at = transform.position_from_point_x(chart.place(x));
    let painter = ui.painter();
    painter.vline(at, frame.y_range(), Stroke::new(1.0, palette.edge));
    let readings = chart.reading(x);
    for reading in &readings {
        let place = position(transform, chart, reading.at);
        if frame.contains(place) {
            curve::marker(
                painter,
                place,
                Marker::Disc,
                4.5,
                reading.color,
                Some(palette.background),
            );
        }
    }
    let mut lines = vec![(chart.axis.say(x), palette.muted)];
    for reading in &readings {
        let margin = reading
            .se
            .map_or_else(String::new, |se| format!(" ± {}", numbers::loss(se)));
        lines.push((
            format!("{} {}{margin}", reading.name, numbers::loss(reading.at[1])),
            reading.color,
        ));
    }
    let galleys: Vec<_> = lines
        .into_iter()
        .map(|(text, color)| {
            painter.layout_no_wrap(text, egui::TextStyle::Small.resolve(ui.style()), color)
        })
        .collect();
    let width = galleys
        .iter()
        .map(|galley| galley.size().x)
        .fold(0.0, f32::max)
        + 16.0;
    let height = galleys
        .iter()
        .map(|galley| galley.size().y + 2.0)
        .sum::<f32>()
        + 12.0;
    let left = match at + 12.0 + width > frame.right() {
        true => at - 12.0 - width,
        false => at + 12.0,
    };
    let rect = Rect::from_min_size(
        pos2(left.max(frame.left()), frame.top() + 8.0),
        vec2(width, height),
    );
    painter.rect(
        rect,
        6.0,
        palette.background,
        Stroke::new(1.0, palette.hairline()),
        egui::StrokeKind::Inside,
    );
    let mut top = rect.top() + 6.0;
    for galley in galleys {
        let size = galley.size();
        painter.galley(pos2(rect.left() + 8.0, top), galley, palette.text);
        top += size.y + 2.0;
    }
}

fn tick(chart: &Chart, mark: GridMark) -> String {
    let value = match chart.log {
        true => 10f64.powf(mark.value),
        false => mark.value,
    };
    if value < -1e-9 {
        return String::new();
    }
    match chart.axis {
        Axis::Tokens => numbers::count(value),
        Axis::Epochs => numbers::epoch(value),
        Axis::Flops if value == 0.0 => "0".to_owned(),
        Axis::Flops => numbers::flops(value),
        Axis::Time if value == 0.0 => "0".to_owned(),
        Axis::Time => numbers::duration(value),
    }
}

fn level(mark: GridMark) -> String {
    match mark.step_size {
        coarse if coarse >= 0.0999 => format!("{:.1}", mark.value),
        middle if middle >= 0.00999 => format!("{:.2}", mark.value),
        _ => format!("{:.3}", mark.value),
    }
}
