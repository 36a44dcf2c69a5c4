//! What the cells' looks and colours mean.

use egui::{Align2, FontId, Mesh, Rect, Role, Sense, Shape, Ui, WidgetInfo, pos2, vec2};

use super::cell::{CellView, paint};
use crate::theatre::{Colour, Film, Look};
use crate::theme::Palette;
use crate::theme::scale::cividis;

/// Shows the looks that can occur, or the scale of what colours mean.
pub fn legend(ui: &mut Ui, film: &Film, colour: Colour, palette: &Palette) {
    match colour {
        Colour::State => looks(ui, palette),
        Colour::Confidence => scale(ui, "Confidence", ["0".into(), "1".into()], palette),
        Colour::Entropy => {
            let most = format!("{:.2} nats", film.highest_entropy());
            scale(ui, "Entropy", ["0".into(), most], palette);
        }
        Colour::CommitStep => {
            let last = format!("step {}", film.last());
            scale(ui, "Committed at", ["step 1".into(), last], palette);
        }
    }
}

fn looks(ui: &mut Ui, palette: &Palette) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(12.0, 4.0);
        for look in Look::ALL {
            let font = FontId::proportional(12.0);
            let text = look.told().to_owned();
            let text = ui.painter().layout_no_wrap(text, font, palette.muted);
            // A sample stays with its name.
            let size = vec2(18.0 + 5.0 + text.size().x, 20.0);
            let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, look.told()));
            let place = Rect::from_min_size(rect.min, vec2(18.0, 20.0));
            paint(ui.painter(), place, &sample(look), 11.0, palette);
            let at = Align2::LEFT_CENTER
                .anchor_size(pos2(rect.left() + 23.0, rect.center().y), text.size());
            ui.painter().galley(at.min, text, palette.muted);
        }
    });
}

/// A cell that looks so.
pub fn sample(look: Look) -> CellView {
    let is_masked = matches!(look, Look::Mask | Look::Remasked);
    CellView {
        look,
        text: if is_masked {
            String::new()
        } else {
            "a".to_owned()
        },
        is_name: false,
        old: matches!(look, Look::Remasked | Look::Changed).then(|| "e".to_owned()),
        is_new: false,
        is_pinned: look == Look::Pinned,
        is_other: false,
        share: None,
        room: "a".to_owned(),
        breaks: false,
        label: look.told().to_owned(),
    }
}

fn scale(ui: &mut Ui, name: &str, ends: [String; 2], palette: &Palette) {
    ui.horizontal(|ui| {
        let small = |text: &str| egui::RichText::new(text).small().color(palette.muted);
        ui.label(small(name));
        ui.label(small(&ends[0]));
        let (rect, _) = ui.allocate_exact_size(vec2(140.0, 12.0), Sense::hover());
        ui.painter().add(Shape::mesh(gradient(rect)));
        ui.label(small(&ends[1]));
        ui.label(small("· hatched: masked, grey: given"));
    });
}

/// The scale from left to right.
pub fn gradient(rect: Rect) -> Mesh {
    let mut mesh = Mesh::default();
    const PARTS: u32 = 32;
    for part in 0..=PARTS {
        let share = part as f32 / PARTS as f32;
        let x = rect.left() + rect.width() * share;
        mesh.colored_vertex(pos2(x, rect.top()), cividis(share));
        mesh.colored_vertex(pos2(x, rect.bottom()), cividis(share));
        if part > 0 {
            let at = 2 * part;
            mesh.add_triangle(at - 2, at - 1, at);
            mesh.add_triangle(at - 1, at, at + 1);
        }
    }
    mesh
}
