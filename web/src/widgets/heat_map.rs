//! All positions at all steps in one picture, which is a slider too.

use egui::{
    Color32, ColorImage, Key, Modifiers, Rect, Response, Role, Sense, Stroke, TextureHandle,
    TextureOptions, Ui, WidgetInfo, pos2, vec2,
};

use crate::theatre::{Colour, Film, Look};
use crate::theme::scale::cividis;
use crate::theme::{Palette, mix};

/// The side of a texture that every device has.
const LARGEST: usize = 2048;

/// The picture of a film, drawn anew only when it shows something else.
#[derive(Default)]
pub struct HeatMap {
    drawn: Option<(Drawn, TextureHandle)>,
}

type Drawn = (u64, Colour, bool);

/// What a person did to it.
pub struct HeatMapShown {
    /// The state that was pointed at.
    pub state: Option<usize>,
    /// The position that was pointed at.
    pub position: Option<usize>,
    /// All of it.
    pub response: Response,
}

/// What to show.
pub struct HeatMapView<'a> {
    /// The film.
    pub film: &'a Film,
    /// Tells films apart.
    pub generation: u64,
    /// What colours mean.
    pub colour: Colour,
    /// The state that is shown.
    pub state: usize,
    /// The position that is looked at.
    pub selected: usize,
    /// Where states 0 and last are, horizontally.
    pub span: egui::Rangef,
    /// How high it is.
    pub height: f32,
}

impl HeatMap {
    /// Shows it: steps from left to right, positions from top to bottom.
    pub fn show(&mut self, ui: &mut Ui, view: &HeatMapView<'_>, palette: &Palette) -> HeatMapShown {
        let HeatMapView { film, span, .. } = *view;
        let (rect, response) = ui.allocate_exact_size(
            vec2(ui.available_width(), view.height),
            Sense::click_and_drag(),
        );
        let picture = Rect::from_min_max(pos2(span.min, rect.top()), pos2(span.max, rect.bottom()));
        let last = film.last();
        response.widget_info(|| {
            let mut info = WidgetInfo::slider(
                ui.is_enabled(),
                view.state as f64,
                format!("All positions at all steps, step {} of {last}", view.state),
            );
            info.role = Role::Slider;
            info
        });
        let painter = ui.painter_at(rect.expand(2.0));
        painter.rect_filled(picture, 3.0, mix(palette.panel, palette.background, 0.5));
        let texture = self.texture(ui, view, palette);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        painter.image(texture.id(), picture, whole, Color32::WHITE);
        painter.rect_stroke(
            picture,
            3.0,
            Stroke::new(1.0, palette.hairline()),
            egui::StrokeKind::Outside,
        );
        let row = picture.height() / film.length() as f32;
        let y = picture.top() + row * (view.selected as f32 + 0.5);
        let line = Stroke::new(row.clamp(1.0, 2.0), palette.focus);
        for (from, to) in [
            (picture.left() - 6.0, picture.left()),
            (picture.right(), picture.right() + 6.0),
        ] {
            painter.line_segment([pos2(from, y), pos2(to, y)], line);
        }
        let x = picture.left() + picture.width() * view.state as f32 / last.max(1) as f32;
        painter.vline(x, picture.y_range(), Stroke::new(4.0, palette.background));
        painter.vline(x, picture.y_range(), Stroke::new(2.0, palette.text));

        let at = response.interact_pointer_pos();
        let mut state = at.filter(|_| picture.width() > 0.0).map(|at| {
            let share = ((at.x - picture.left()) / picture.width()).clamp(0.0, 1.0);
            (share * last as f32).round() as usize
        });
        let position = at.map(|at| {
            let row = ((at.y - picture.top()) / row).floor().max(0.0) as usize;
            row.min(film.length().saturating_sub(1))
        });
        if response.has_focus() {
            let filter = egui::EventFilter {
                horizontal_arrows: true,
                ..egui::EventFilter::default()
            };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
            ui.input_mut(|input| {
                if input.consume_key(Modifiers::NONE, Key::ArrowRight) {
                    state = Some((view.state + 1).min(last));
                }
                if input.consume_key(Modifiers::NONE, Key::ArrowLeft) {
                    state = Some(view.state.saturating_sub(1));
                }
            });
        }
        HeatMapShown {
            state,
            position,
            response,
        }
    }

    fn texture(&mut self, ui: &Ui, view: &HeatMapView<'_>, palette: &Palette) -> TextureHandle {
        let key = (view.generation, view.colour, palette.dark);
        if let Some((drawn, texture)) = &self.drawn
            && *drawn == key
        {
            return texture.clone();
        }
        let image = image(view.film, view.colour, palette);
        let texture = ui
            .ctx()
            .load_texture("heat map", image, TextureOptions::NEAREST);
        self.drawn = Some((key, texture.clone()));
        texture
    }
}

/// A pixel for each step and position, at most as many as a texture can have.
fn image(film: &Film, colour: Colour, palette: &Palette) -> ColorImage {
    let columns = film.last().clamp(1, LARGEST);
    let rows = film.length().clamp(1, LARGEST);
    let mut pixels = vec![Color32::TRANSPARENT; columns * rows];
    if film.last() > 0 {
        for row in 0..rows {
            let position = row * film.length() / rows;
            for column in 0..columns {
                let state = 1 + column * film.last() / columns;
                pixels[row * columns + column] = pixel(film, colour, state, position, palette);
            }
        }
    }
    ColorImage::new([columns, rows], pixels)
}

fn pixel(film: &Film, colour: Colour, state: usize, position: usize, palette: &Palette) -> Color32 {
    let standing = film.standing(state, position, false);
    if let Some(share) = film.share(colour, &standing) {
        return cividis(share);
    }
    let is_state = colour == Colour::State;
    match standing.look {
        Look::Prompt | Look::Pinned => mix(palette.panel, palette.text, 0.55),
        Look::Revealed | Look::Changed if is_state => palette.revealed,
        Look::Remasked if is_state => palette.remasked,
        Look::Committed if is_state => mix(palette.panel, palette.masked, 0.55),
        _ => Color32::TRANSPARENT,
    }
}
