//! One position of a text, drawn: each way to look differs from the others without its colour too.

use egui::text::{LayoutJob, TextFormat};
use egui::{
    Align2, Color32, CornerRadius, FontFamily, FontId, Painter, Pos2, Rect, Shape, Stroke,
    StrokeKind, pos2, vec2,
};

use crate::theatre::Look;
use crate::theme::scale::{cividis, ink_on};
use crate::theme::{Palette, mix};

/// What is drawn of a position.
#[derive(Debug, Clone, PartialEq)]
pub struct CellView {
    /// How it looks.
    pub look: Look,
    /// Its token, or where nothing stands the one that would come; empty where neither is known.
    pub text: String,
    /// Whether that is a name of what can't be drawn.
    pub is_name: bool,
    /// The token that stood here before.
    pub old: Option<String>,
    /// Whether it was written in the step that is shown.
    pub is_new: bool,
    /// Whether a person set it.
    pub is_pinned: bool,
    /// Whether the parent has something else here.
    pub is_other: bool,
    /// Its place on the scale, where colours mean one.
    pub share: Option<f32>,
    /// The widest text that it will hold: it keeps room for that.
    pub room: String,
    /// Whether the line ends behind it.
    pub breaks: bool,
    /// What a reader of screens says of it.
    pub label: String,
}

const RADIUS: CornerRadius = CornerRadius::same(4);
/// Between the lines of a hatch.
const HATCH: f32 = 6.0;

/// The font of tokens.
pub fn font(size: f32) -> FontId {
    FontId::new(size, FontFamily::Monospace)
}

/// Whether there is a font for a character. A browser has fonts that nobody can ask for.
pub fn is_drawable(context: &egui::Context, character: char) -> bool {
    cfg!(target_family = "wasm")
        || context.fonts_mut(|fonts| fonts.has_glyph(&font(14.0), character))
}

/// Draws a position into its place.
pub fn paint(painter: &Painter, place: Rect, view: &CellView, size: f32, palette: &Palette) {
    let is_masked = matches!(view.look, Look::Mask | Look::Draft | Look::Remasked);
    let fill = fill(view, palette);
    let ink = match fill {
        Color32::TRANSPARENT => palette.text,
        fill => ink_for(fill, palette),
    };
    painter.rect_filled(place, RADIUS, fill);
    if is_masked {
        let strength = if view.look == Look::Draft { 0.22 } else { 0.5 };
        let line = match view.share {
            Some(_) => ink.gamma_multiply(0.45),
            None => mix(palette.panel, palette.edge, strength),
        };
        hatch(painter, place, line);
    }
    edges(painter, place, view, ink, palette);
    let size = if view.is_name { size * 0.62 } else { size };
    match view.look {
        Look::Mask => {}
        Look::Draft => {
            let ghost = match view.share {
                Some(_) => ink,
                None => palette.muted,
            };
            text(
                painter,
                place.center(),
                &view.text,
                size,
                ghost,
                Face::Italic,
            );
        }
        Look::Remasked => {
            let old = view.old.as_deref().unwrap_or_default();
            let ghost = match view.share {
                Some(_) => ink,
                None => palette.muted,
            };
            text(painter, place.center(), old, size, ghost, Face::Struck);
        }
        Look::Changed => {
            let old = view.old.as_deref().unwrap_or_default();
            let high = pos2(place.center().x, place.top() + place.height() * 0.24);
            let low = pos2(place.center().x, place.top() + place.height() * 0.66);
            text(painter, high, old, size * 0.62, ink, Face::Struck);
            text(painter, low, &view.text, size * 0.88, ink, Face::Plain);
        }
        Look::Prompt | Look::Pinned => {
            text(painter, place.center(), &view.text, size, ink, Face::Bold);
        }
        Look::Revealed | Look::Committed => {
            text(painter, place.center(), &view.text, size, ink, Face::Plain);
        }
    }
    if view.is_pinned {
        pin(painter, place.right_top() + vec2(-3.0, 3.0), ink);
    }
    if view.is_other {
        let line = Rect::from_min_max(
            place.left_bottom() + vec2(3.0, -3.0),
            place.right_bottom() - vec2(3.0, 0.0),
        );
        painter.rect_filled(line, CornerRadius::same(1), ink);
    }
}

fn fill(view: &CellView, palette: &Palette) -> Color32 {
    match (view.share, view.look) {
        (Some(share), _) => cividis(share),
        (None, Look::Revealed) => palette.revealed,
        (None, Look::Changed) if view.is_new => palette.revealed,
        (None, Look::Prompt | Look::Pinned) => mix(palette.panel, palette.text, 0.13),
        (None, Look::Committed | Look::Changed) => palette.background,
        (None, Look::Mask | Look::Draft | Look::Remasked) => Color32::TRANSPARENT,
    }
}

fn ink_for(fill: Color32, palette: &Palette) -> Color32 {
    match fill {
        own if own == palette.background => palette.text,
        other => match ink_on(other) {
            Color32::BLACK if !palette.dark => palette.text,
            ink => ink,
        },
    }
}

fn edges(painter: &Painter, place: Rect, view: &CellView, ink: Color32, palette: &Palette) {
    let edge = |width: f32, color: Color32| {
        painter.rect_stroke(place, RADIUS, Stroke::new(width, color), StrokeKind::Inside);
    };
    match view.look {
        Look::Mask => edge(1.0, palette.hairline()),
        Look::Draft => dotted(painter, place.shrink(0.5), palette.edge),
        Look::Remasked => edge(2.0, palette.remasked),
        // A dark edge around the yellow in both themes: the fill alone would be a colour alone.
        Look::Revealed => edge(2.0, palette.text),
        Look::Changed => {
            edge(1.0, palette.text);
            painter.rect_stroke(
                place.shrink(3.0),
                CornerRadius::same(2),
                Stroke::new(1.0, ink),
                StrokeKind::Inside,
            );
        }
        Look::Prompt | Look::Pinned => {
            let bar = Rect::from_min_max(place.min, pos2(place.left() + 4.0, place.bottom()));
            painter.rect_filled(
                bar,
                CornerRadius {
                    nw: 4,
                    sw: 4,
                    ne: 0,
                    se: 0,
                },
                palette.text,
            );
        }
        Look::Committed => {}
    }
}

fn hatch(painter: &Painter, place: Rect, color: Color32) {
    let painter = painter.with_clip_rect(place.shrink(1.0).intersect(painter.clip_rect()));
    let stroke = Stroke::new(1.0, color);
    // On one lattice for all cells, so that neighbours fit together.
    let first = ((place.left() + place.top()) / HATCH).ceil() as i32;
    let last = ((place.right() + place.bottom()) / HATCH).floor() as i32;
    for line in first..=last {
        let sum = line as f32 * HATCH;
        painter.line_segment(
            [
                pos2(sum - place.bottom(), place.bottom()),
                pos2(sum - place.top(), place.top()),
            ],
            stroke,
        );
    }
}

fn dotted(painter: &Painter, place: Rect, color: Color32) {
    let corners = [
        place.left_top(),
        place.right_top(),
        place.right_bottom(),
        place.left_bottom(),
        place.left_top(),
    ];
    painter.extend(Shape::dotted_line(&corners, color, 4.0, 0.9));
}

fn pin(painter: &Painter, at: Pos2, color: Color32) {
    painter.line_segment([at, at + vec2(-4.0, 8.0)], Stroke::new(1.5, color));
    painter.circle_filled(at, 4.0, color);
}

enum Face {
    Plain,
    Bold,
    Italic,
    Struck,
}

fn text(painter: &Painter, center: Pos2, text: &str, size: f32, color: Color32, face: Face) {
    let format = TextFormat {
        italics: matches!(face, Face::Italic),
        strikethrough: match face {
            Face::Struck => Stroke::new(1.5, color),
            _ => Stroke::NONE,
        },
        ..TextFormat::simple(font(size), color)
    };
    let galley = painter.layout_job(LayoutJob::single_section(text.to_owned(), format));
    let place = Align2::CENTER_CENTER.anchor_size(center, galley.size());
    if matches!(face, Face::Bold) {
        // There is no bold font: the same once more, a little to the side, looks like it.
        painter.galley(place.min + vec2(0.4, 0.0), galley.clone(), color);
        painter.galley(place.min - vec2(0.4, 0.0), galley, color);
    } else {
        painter.galley(place.min, galley, color);
    }
}
