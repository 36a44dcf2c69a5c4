//! A figure over time as a row of small bars.

use egui::{CornerRadius, Rect, Role, Sense, Ui, Vec2, WidgetInfo, pos2};

use crate::theme::{Palette, mix};

/// Shares from 0 to 1 step by step, with the present one marked. `name` is what a reader of screens says.
pub fn sparks(
    ui: &mut Ui,
    shares: &[f32],
    present: Option<usize>,
    size: Vec2,
    name: &str,
    palette: &Palette,
) {
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    ui.painter()
        .hline(rect.x_range(), rect.bottom(), (1.0, palette.hairline()));
    let step = rect.width() / shares.len().max(1) as f32;
    for (index, share) in shares.iter().enumerate() {
        let left = rect.left() + step * index as f32;
        let height = (rect.height() - 1.0) * share.clamp(0.0, 1.0);
        if height < 0.5 {
            continue;
        }
        let width = (step - 1.0).max(step * 0.7).max(0.75);
        let bar = Rect::from_min_max(
            pos2(left, rect.bottom() - height),
            pos2(left + width, rect.bottom()),
        );
        let color = match present == Some(index) {
            true => palette.text,
            false => mix(palette.panel, palette.masked, 0.7),
        };
        ui.painter().rect_filled(bar, CornerRadius::ZERO, color);
    }
}

/// A share as a bar with a track.
pub fn share_bar(ui: &mut Ui, share: f32, width: f32, palette: &Palette) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(width, 8.0), Sense::hover());
    let round = CornerRadius::same(4);
    ui.painter().rect_filled(rect, round, palette.hairline());
    let mut filled = rect;
    filled.set_width(rect.width() * share.clamp(0.0, 1.0));
    ui.painter().rect_filled(filled, round, palette.masked);
}
