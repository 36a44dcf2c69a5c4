//! What egui is told: fonts, spaces, how controls look and move.

use std::collections::BTreeMap;

use egui::style::{ScrollAnimation, ScrollStyle, WidgetVisuals};
use egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Margin, Rect, Shadow, Stroke, StrokeKind,
    Style, TextStyle, Theme, ThemePreference, Visuals, vec2,
};
use serde::{Deserialize, Serialize};

use super::Palette;

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As the system is.
    System,
    /// Dark on white.
    Light,
    /// Light on near-black.
    Dark,
}

/// How much moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// As the system asks.
    System,
    /// Nothing moves unasked.
    Reduced,
    /// Everything may.
    Full,
}

/// Narrower than this, the app is one column.
pub const NARROW: f32 = 720.0;

/// Rounding of controls and of cards.
pub const RADIUS: u8 = 6;
/// Rounding of cards.
pub const CARD_RADIUS: u8 = 10;
/// How long anything moves at most, seconds.
const MOTION: f32 = 0.12;
/// Targets for a pointer, and for a finger.
const TARGET: f32 = 28.0;
const TOUCH_TARGET: f32 = 44.0;

/// The text style of a figure that matters.
pub fn title() -> TextStyle {
    TextStyle::Heading
}

/// Applies what a person chose: the tone, and the size of everything in percent. Cheap where nothing changed.
pub fn apply(context: &Context, tone: Tone, text: f32, reduced: bool, touch: bool) {
    let wanted = (tone, text, reduced, touch);
    let id = egui::Id::unique("theme");
    if context.data(|data| data.get_temp(id)) == Some(wanted) {
        return;
    }
    context.data_mut(|data| data.insert_temp(id, wanted));
    for (theme, palette) in [(Theme::Light, Palette::LIGHT), (Theme::Dark, Palette::DARK)] {
        context.style_mut_of(theme, |style| dress(style, palette, reduced, touch));
    }
    context.set_theme(match tone {
        Tone::System => ThemePreference::System,
        Tone::Light => ThemePreference::Light,
        Tone::Dark => ThemePreference::Dark,
    });
    context.set_zoom_factor(text / 100.0);
}

fn dress(style: &mut Style, palette: &Palette, reduced: bool, touch: bool) {
    let proportional = |size| FontId::new(size, FontFamily::Proportional);
    style.text_styles = BTreeMap::from([
        (TextStyle::Small, proportional(12.0)),
        (TextStyle::Body, proportional(14.0)),
        (TextStyle::Button, proportional(14.0)),
        (TextStyle::Heading, proportional(20.0)),
        (
            TextStyle::Monospace,
            FontId::new(13.0, FontFamily::Monospace),
        ),
    ]);
    let target = if touch { TOUCH_TARGET } else { TARGET };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(8.0, 8.0);
    spacing.button_padding = vec2(12.0, 4.0);
    spacing.interact_size = vec2(target, target);
    spacing.slider_rail_height = 4.0;
    spacing.icon_width = 18.0;
    spacing.icon_width_inner = 10.0;
    spacing.icon_spacing = 8.0;
    spacing.menu_margin = Margin::same(8);
    spacing.window_margin = Margin::same(16);
    spacing.tooltip_width = 320.0;
    spacing.combo_width = 96.0;
    spacing.scroll = ScrollStyle {
        bar_width: 8.0,
        ..ScrollStyle::floating()
    };
    style.animation_time = if reduced { 0.0 } else { MOTION };
    style.scroll_animation = match reduced {
        true => ScrollAnimation::none(),
        false => ScrollAnimation::duration(MOTION),
    };
    style.interaction.selectable_labels = true;
    style.interaction.tooltip_delay = 0.3;
    style.visuals = visuals(palette, reduced);
}

fn visuals(palette: &Palette, reduced: bool) -> Visuals {
    let mut visuals = match palette.dark {
        true => Visuals::dark(),
        false => Visuals::light(),
    };
    let state = |fill: Color32, edge: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, edge),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    let widgets = &mut visuals.widgets;
    widgets.noninteractive = state(palette.panel, palette.hairline(), palette.text);
    widgets.inactive = state(palette.raised(), palette.edge, palette.text);
    widgets.hovered = state(palette.hovered(), palette.text, palette.text);
    widgets.active = state(palette.hovered(), palette.text, palette.text);
    widgets.open = state(palette.hovered(), palette.text, palette.text);
    // Thick enough to be seen as a mark or a grip.
    widgets.inactive.fg_stroke.width = 1.5;
    widgets.hovered.fg_stroke.width = 1.5;
    widgets.active.fg_stroke.width = 1.5;
    visuals.weak_text_color = Some(palette.muted);
    visuals.selection.bg_fill = palette.tint(palette.masked);
    visuals.selection.stroke = Stroke::new(1.0, palette.text);
    visuals.hyperlink_color = palette.masked;
    visuals.faint_bg_color = palette.panel;
    visuals.extreme_bg_color = palette.background;
    visuals.text_edit_bg_color = Some(palette.background);
    visuals.code_bg_color = palette.panel;
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.error;
    visuals.panel_fill = palette.background;
    visuals.window_fill = palette.background;
    visuals.window_stroke = Stroke::new(1.0, palette.hairline());
    visuals.window_corner_radius = CornerRadius::same(CARD_RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(RADIUS + 2);
    let shadow = Shadow {
        offset: [0, 6],
        blur: 20,
        spread: 0,
        color: Color32::from_black_alpha(if palette.dark { 110 } else { 32 }),
    };
    visuals.window_shadow = shadow;
    visuals.popup_shadow = shadow;
    visuals.text_cursor.blink = !reduced;
    visuals.text_cursor.stroke = Stroke::new(2.0, palette.masked);
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = egui::style::HandleShape::Circle;
    visuals.indent_has_left_vline = false;
    visuals.interact_cursor = Some(egui::CursorIcon::PointingHand);
    visuals
}

/// Draws the ring around what has the focus, over everything.
pub fn focus_ring(ui: &egui::Ui, palette: &Palette) {
    let Some(response) = ui
        .memory(|memory| memory.focused())
        .and_then(|id| ui.ctx().read_response(id))
    else {
        return;
    };
    let rect = response.rect.intersect(ui.ctx().content_rect());
    if rect.is_positive() {
        ring(
            &ui.ctx().layer_painter(response.layer_id),
            rect.expand(2.0),
            palette,
        );
    }
}

fn ring(painter: &egui::Painter, rect: Rect, palette: &Palette) {
    painter.rect_stroke(
        rect,
        CornerRadius::same(RADIUS + 2),
        Stroke::new(2.0, palette.focus),
        StrokeKind::Middle,
    );
}

/// A raised surface that groups what belongs together.
pub fn card(palette: &Palette) -> egui::Frame {
    egui::Frame::new()
        .fill(palette.panel)
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .inner_margin(Margin::same(12))
}
