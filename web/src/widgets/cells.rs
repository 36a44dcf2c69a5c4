//! A text as cells, one for each token, in lines that break between words; or as a square.
//!
//! One cell at a time can have the focus, and arrows move it.

use egui::{
    CornerRadius, EventFilter, Id, Key, Modifiers, Pos2, Rect, Response, Role, Sense, Stroke,
    StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::cell::{CellView, font, paint};
use crate::theatre::{Broken, Look};
use crate::theme::Palette;

/// Between cells, and between lines.
const GAP: f32 = 3.0;
/// Beside a token.
const MARGIN: f32 = 14.0;
/// Sizes of tokens that are tried, the largest that fits is taken.
const SIZES: [f32; 6] = [26.0, 22.0, 20.0, 18.0, 16.0, 14.0];

/// Cells to show.
pub struct Cells<'a> {
    /// Each position.
    pub cells: &'a [CellView],
    /// The side of the square that they are.
    pub side: Option<usize>,
    /// Its broken rows and columns.
    pub broken: Option<&'a Broken>,
    /// The position that keys and the inspector mean.
    pub selected: usize,
    /// Height that they should do with, if they can.
    pub height: f32,
    /// Whether fingers must be able to hit them.
    pub touch: bool,
    /// What they are, for readers of screens.
    pub name: &'a str,
}

/// What happened to them.
pub struct CellsShown {
    /// The position that keys and the inspector mean now.
    pub selected: usize,
    /// Whether a cell has the focus.
    pub has_focus: bool,
    /// The selected cell.
    pub response: Option<Response>,
}

impl Cells<'_> {
    /// Shows them in the width that there is.
    pub fn show(self, ui: &mut Ui, palette: &Palette) -> CellsShown {
        let width = ui.available_width();
        let (places, size, total) = self.places(ui, width);
        let (rect, area) = ui.allocate_exact_size(vec2(width, total.y), Sense::hover());
        area.widget_info(|| WidgetInfo::labeled(Role::Group, true, self.name));
        let origin = rect.min.to_vec2();
        let mut shown = CellsShown {
            selected: self.selected,
            has_focus: false,
            response: None,
        };
        for (position, (view, place)) in self.cells.iter().zip(&places).enumerate() {
            let place = place.translate(origin);
            if !ui.is_rect_visible(place) && position != self.selected {
                continue;
            }
            let is_selected = position == self.selected;
            // Tab stops at one cell, not at all of them.
            let sense = match is_selected {
                true => Sense::click(),
                false => Sense::CLICK,
            };
            let response = ui.interact(place, cell_id(area.id, position), sense);
            response.widget_info(|| {
                WidgetInfo::selected(Role::Button, ui.is_enabled(), is_selected, &view.label)
            });
            paint(ui.painter(), place, view, size, palette);
            if response.hovered() && !is_selected {
                let line = Stroke::new(1.0, palette.muted);
                ui.painter()
                    .rect_stroke(place, CornerRadius::same(4), line, StrokeKind::Outside);
            }
            if response.clicked() {
                shown.selected = position;
                // From now on: a key may be the very next thing that happens.
                shown.has_focus = true;
                ui.memory_mut(|memory| memory.request_focus(response.id));
            }
            if is_selected {
                shown.has_focus |= response.has_focus();
                shown.response = Some(response);
            }
        }
        if let Some(broken) = self.broken {
            self.marks(ui, &places, origin, broken, palette);
        }
        if shown.has_focus
            && let Some(to) = moved(ui, cell_id(area.id, self.selected), &places, self.selected)
        {
            shown.selected = to;
            ui.memory_mut(|memory| memory.request_focus(cell_id(area.id, to)));
        }
        if let Some(place) = places.get(shown.selected) {
            let place = place.translate(origin);
            let (width, color) = match shown.has_focus {
                true => (2.0, palette.focus),
                false => (1.5, palette.muted),
            };
            ui.painter().rect_stroke(
                place.expand(1.0),
                CornerRadius::same(5),
                Stroke::new(width, color),
                StrokeKind::Outside,
            );
            if shown.selected != self.selected {
                ui.scroll_to_rect(place, None);
            }
        }
        shown
    }

    /// The cells' places, the size of their tokens and the room they take.
    fn places(&self, ui: &Ui, width: f32) -> (Vec<Rect>, f32, Vec2) {
        if let Some(side) = self.side {
            let most = if self.touch { 52.0 } else { 60.0 };
            let cell = ((width - 28.0) / side as f32 - GAP).clamp(24.0, most);
            let left = ((width - 28.0 - side as f32 * (cell + GAP)) / 2.0).max(0.0);
            let left = if width > 600.0 { 0.0 } else { left };
            let places = (0..self.cells.len()).map(|position| {
                let (row, column) = (position / side, position % side);
                let at = vec2(column as f32, row as f32) * (cell + GAP);
                Rect::from_min_size(pos2(left, 0.0) + at, Vec2::splat(cell))
            });
            let height = side as f32 * (cell + GAP) + 24.0;
            return (places.collect(), cell * 0.46, vec2(width, height));
        }
        let least = if self.touch { 15.0 } else { 14.0 };
        let mut found = None;
        for size in SIZES.into_iter().filter(|&size| size >= least) {
            let (places, total) = self.lines(ui, width, size);
            let fits = total.y <= self.height;
            found = Some((places, size, total));
            if fits {
                break;
            }
        }
        found.unwrap_or((Vec::new(), 14.0, Vec2::ZERO))
    }

    fn lines(&self, ui: &Ui, width: f32, size: f32) -> (Vec<Rect>, Vec2) {
        let height = match self.touch {
            true => (size * 1.9).max(44.0),
            false => (size * 1.9).max(28.0),
        };
        let least = (size * 1.35).max(24.0);
        let widths: Vec<f32> = self
            .cells
            .iter()
            .map(|cell| {
                let tall = measured(ui, &cell.room, size);
                let now = measured(ui, &cell.text, size);
                (tall.max(now) + MARGIN * size / 20.0).clamp(least, width)
            })
            .collect();
        let mut places: Vec<Rect> = Vec::with_capacity(self.cells.len());
        let (mut at, mut word) = (Pos2::ZERO, 0);
        for (position, cell) in self.cells.iter().enumerate() {
            let is_start = |at: usize| {
                let room = &self.cells[at].room;
                room.starts_with('·') || at > 0 && self.cells[at - 1].room.ends_with('·')
            };
            if is_start(position) {
                word = position;
            }
            if at.x + widths[position] > width && at.x > 0.0 {
                at = pos2(0.0, at.y + height + GAP);
                // The word goes with it, if that leaves something in the line.
                let line = places.last().map_or(0.0, |place| place.top());
                let begins_line = places.get(word).is_none_or(|place| place.left() <= 0.0);
                if word < position && !begins_line {
                    for (place, width) in places[word..].iter_mut().zip(&widths[word..]) {
                        debug_assert!(place.top() == line);
                        *place = Rect::from_min_size(at, vec2(*width, height));
                        at.x += width + GAP;
                    }
                }
            }
            places.push(Rect::from_min_size(at, vec2(widths[position], height)));
            at.x += widths[position] + GAP;
            if cell.breaks {
                at = pos2(0.0, at.y + height + GAP);
                word = position + 1;
            }
        }
        let bottom = places.last().map_or(0.0, |place| place.bottom());
        (places, vec2(width, bottom))
    }

    fn marks(&self, ui: &Ui, places: &[Rect], origin: Vec2, broken: &Broken, palette: &Palette) {
        let Some(side) = self.side else { return };
        let masked = [Look::Mask, Look::Draft, Look::Remasked];
        let complete = self.cells.iter().all(|cell| !masked.contains(&cell.look));
        let mark = |at: Pos2, is_broken: bool| {
            let at = at + origin;
            let line = |points: &[[f32; 2]], color| {
                let points = points.iter().map(|[x, y]| at + vec2(*x, *y)).collect();
                ui.painter().line(points, Stroke::new(2.0, color));
            };
            if is_broken {
                line(&[[-4.0, -4.0], [4.0, 4.0]], palette.error);
                line(&[[-4.0, 4.0], [4.0, -4.0]], palette.error);
            } else if complete {
                line(&[[-4.0, 0.0], [-1.0, 4.0], [5.0, -4.0]], palette.ok);
            }
        };
        for index in 0..side {
            let end = places[index * side + side - 1];
            mark(
                end.right_center() + vec2(14.0, 0.0),
                broken.rows.contains(&index),
            );
            let below = places[(side - 1) * side + index];
            mark(
                below.center_bottom() + vec2(0.0, 14.0),
                broken.columns.contains(&index),
            );
        }
    }
}

fn cell_id(area: Id, position: usize) -> Id {
    area.with(("cell", position))
}

fn measured(ui: &Ui, text: &str, size: f32) -> f32 {
    if text.is_empty() {
        return 0.0;
    }
    let galley = ui
        .painter()
        .layout_no_wrap(text.to_owned(), font(size), egui::Color32::WHITE);
    galley.size().x
}

/// Where an arrow leads.
fn moved(ui: &Ui, id: Id, places: &[Rect], from: usize) -> Option<usize> {
    let filter = EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..EventFilter::default()
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let here = places.get(from)?;
    let beside = |down: f32| {
        let lines = places
            .iter()
            .enumerate()
            .filter(|(_, place)| (place.top() - here.top()) * down > 1.0);
        let cost = |place: &Rect| {
            (place.top() - here.top()).abs() * 1000.0 + (place.center().x - here.center().x).abs()
        };
        lines
            .min_by(|(_, a), (_, b)| cost(a).total_cmp(&cost(b)))
            .map(|(position, _)| position)
    };
    if pressed(Key::ArrowRight) {
        (from + 1 < places.len()).then_some(from + 1)
    } else if pressed(Key::ArrowLeft) {
        from.checked_sub(1)
    } else if pressed(Key::ArrowDown) {
        beside(1.0)
    } else if pressed(Key::ArrowUp) {
        beside(-1.0)
    } else {
        None
    }
}
