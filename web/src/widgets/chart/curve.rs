//! How lines and markers look. Each racer differs in colour, dash and marker, so that any one of them is enough.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Ui, Vec2, pos2, vec2};

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// Not at all.
    Solid,
    /// Into long dashes.
    Long,
    /// Into dashes and dots.
    DashDot,
    /// Into dots.
    Dotted,
}

/// What sits on measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Disc,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆, or ◇ where hollow.
    Diamond,
}

/// Draws a line through points.
pub fn line(painter: &Painter, path: &[Pos2], color: Color32, width: f32, dash: Dash) {
    let stroke = Stroke::new(width, color);
    let broken = |dashes: &[f32], gaps: &[f32]| {
        Shape::dashed_line_with_offset(path, stroke, dashes, gaps, 0.0)
    };
    match dash {
        _ if path.len() < 2 => {}
        Dash::Solid => {
            painter.add(Shape::line(path.to_vec(), stroke));
        }
        Dash::Long => {
            painter.extend(broken(&[9.0], &[4.0]));
        }
        Dash::DashDot => {
            painter.extend(broken(&[9.0, 2.0], &[4.0, 4.0]));
        }
        Dash::Dotted => {
            painter.extend(Shape::dotted_line(path, color, 5.0, width * 0.6));
        }
    }
}

/// Draws a marker. A hollow one shows what is behind it, `paper`.
pub fn marker(
    painter: &Painter,
    at: Pos2,
    marker: Marker,
    radius: f32,
    color: Color32,
    hollow: Option<Color32>,
) {
    let fill = hollow.unwrap_or(color);
    let stroke = Stroke::new(if hollow.is_some() { 2.0 } else { 1.0 }, color);
    let polygon = |corners: &[Vec2]| {
        let corners = corners.iter().map(|corner| at + *corner * radius).collect();
        Shape::convex_polygon(corners, fill, stroke)
    };
    painter.add(match marker {
        Marker::Disc => Shape::Circle(egui::epaint::CircleShape {
            center: at,
            radius,
            fill,
            stroke,
        }),
        Marker::Square => {
            let side = radius * 0.9;
            polygon(&[
                vec2(-side, -side) / radius,
                vec2(side, -side) / radius,
                vec2(side, side) / radius,
                vec2(-side, side) / radius,
            ])
        }
        Marker::Triangle => polygon(&[vec2(0.0, -1.15), vec2(1.0, 0.7), vec2(-1.0, 0.7)]),
        Marker::Diamond => polygon(&[
            vec2(0.0, -1.3),
            vec2(1.3, 0.0),
            vec2(0.0, 1.3),
            vec2(-1.3, 0.0),
        ]),
    });
}

/// A short piece of a line with its marker, for legends.
pub fn sample_of(
    ui: &mut Ui,
    color: Color32,
    dash: Dash,
    shape: Option<Marker>,
    hollow: Option<Color32>,
) {
    let size = vec2(
        if shape == Some(Marker::Diamond) {
            14.0
        } else {
            30.0
        },
        16.0,
    );
    let (rect, _) = ui.allocate_exact_size(size, egui::Sense::hover());
    paint_sample(ui.painter(), rect, color, dash, shape, hollow);
}

fn paint_sample(
    painter: &Painter,
    rect: Rect,
    color: Color32,
    dash: Dash,
    shape: Option<Marker>,
    hollow: Option<Color32>,
) {
    let middle = rect.center();
    if shape != Some(Marker::Diamond) {
        let ends = [pos2(rect.left(), middle.y), pos2(rect.right(), middle.y)];
        line(painter, &ends, color, 2.0, dash);
    }
    if let Some(shape) = shape {
        marker(painter, middle, shape, 4.0, color, hollow);
    }
}
