//! Who looks at whom: a layer's weights over the text in the theatre.

use crossover::lab::{Answer, Attention, Request};
use egui::{
    Color32, ColorImage, DragValue, Rect, RichText, Role, Sense, Stroke, StrokeKind, TextureHandle,
    TextureOptions, Ui, WidgetInfo, pos2, vec2,
};

use crate::screens::Context;
use crate::theatre::Onstage;
use crate::theatre::models::short;
use crate::theme::Palette;
use crate::theme::scale::cividis;

/// The panel's own state.
#[derive(Default)]
pub struct Looking {
    layer: usize,
    head: usize,
    query: usize,
    waiting: Option<u64>,
    read: Option<Read>,
    problem: Option<String>,
}

struct Read {
    model: String,
    layer: usize,
    stage: Onstage,
    attention: Attention,
    /// The picture of a head.
    drawn: Option<(usize, TextureHandle)>,
}

impl Read {
    /// What a key or query of the model is: a model that reads left to right sees the start token first.
    fn name(&self, at: usize) -> String {
        let text = |at: usize| {
            let text = self.stage.texts.get(at).cloned().unwrap_or_default();
            format!("{at} “{text}”")
        };
        match self.model.contains("-ar.") || self.model.ends_with("/ar.safetensors") {
            false => text(at),
            true if at == 0 => "start".to_owned(),
            true => text(at - 1),
        }
    }
}

impl Looking {
    /// Takes an answer that is its own.
    pub fn answered(&mut self, request: u64, answer: &Answer) {
        if self.waiting == Some(request)
            && let Answer::Attention(attention) = answer
        {
            self.waiting = None;
            if let Some(read) = &mut self.read {
                read.attention = attention.clone();
                read.drawn = None;
            }
        }
    }

    /// Takes note of what could not be had.
    pub fn refused(&mut self, request: u64, message: &str) {
        if self.waiting == Some(request) {
            self.waiting = None;
            self.read = None;
            self.problem = Some(message.to_owned());
        }
    }

    /// Shows it. `model` is the one to read, `is_busy` whether a run is under way.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        model: Option<&str>,
        is_busy: bool,
        context: &mut Context<'_>,
        as_table: bool,
        height: f32,
    ) {
        let palette = context.palette;
        ui.horizontal(|ui| {
            ui.label(RichText::new("Attention").strong());
            ui.label(RichText::new("?").color(palette.muted)).on_hover_text(
                "Which tokens a token looks at in a layer and head. Brighter is more. Rows are queries and sum to 1.",
            );
        });
        let muted = |text: &str| RichText::new(text).color(palette.muted);
        if is_busy {
            ui.label(muted("Pause the run to read attention."));
            return;
        }
        let (Some(model), Some(stage)) = (model, context.state.theatre.clone()) else {
            ui.label(muted(
                "Attention is read over the text in the Denoise screen.",
            ));
            return;
        };
        let layers = self
            .read
            .as_ref()
            .map_or(1, |read| read.attention.layers.max(1));
        let heads = self
            .read
            .as_ref()
            .map_or(1, |read| read.attention.heads.len().max(1));
        let length = stage.tokens.len().max(1);
        ui.horizontal_wrapped(|ui| {
            let mut figure = |name: &str, value: &mut usize, count: usize| {
                ui.label(name);
                let drag = DragValue::new(value).range(0..=count - 1).speed(0.1);
                ui.name_inputs(name, |ui| ui.add(drag));
            };
            figure("Layer", &mut self.layer, layers);
            figure("Head", &mut self.head, heads);
            figure("Query", &mut self.query, length);
        });
        let layer = self.layer;
        let is_read = self.read.as_ref().is_some_and(|read| {
            (read.model.as_str(), read.layer, &read.stage) == (model, layer, &stage)
        });
        if !is_read && self.waiting.is_none() {
            let name = format!("Read layer {layer} of {}", short(model));
            if ui.button(name).clicked() {
                self.problem = None;
                self.waiting = Some(context.desk.ask(Request::Attention {
                    model: model.to_owned(),
                    tokens: stage.tokens.clone(),
                    layer,
                }));
                self.read = Some(Read {
                    model: model.to_owned(),
                    layer,
                    stage,
                    attention: Attention {
                        layers,
                        heads: Vec::new(),
                    },
                    drawn: None,
                });
            }
        }
        if let Some(problem) = &self.problem {
            ui.label(RichText::new(problem).color(palette.error));
        }
        if self.waiting.is_some() {
            ui.label(muted("Reading …"));
            return;
        }
        let (head, query) = (self.head, self.query);
        if let Some(read) = self
            .read
            .as_mut()
            .filter(|read| !read.attention.heads.is_empty())
        {
            let head = head.min(read.attention.heads.len() - 1);
            ui.horizontal_top(|ui| {
                if !as_table
                    && let Some(query) = picture(ui, read, head, query, height - 60.0, palette)
                {
                    self.query = query;
                }
                strongest(ui, read, head, self.query, as_table, palette);
            });
        }
    }
}

fn picture(
    ui: &mut Ui,
    read: &mut Read,
    head: usize,
    query: usize,
    height: f32,
    palette: &Palette,
) -> Option<usize> {
    let weights = &read.attention.heads[head];
    let length = weights.len();
    let texture = match &read.drawn {
        Some((drawn, texture)) if *drawn == head => texture.clone(),
        _ => {
            let most = weights.iter().flatten().fold(0.0_f32, |a, b| a.max(*b));
            let pixels: Vec<Color32> = weights
                .iter()
                .flatten()
                .map(|weight| cividis((weight / most.max(f32::MIN_POSITIVE)).sqrt()))
                .collect();
            let image = ColorImage::new([length, length], pixels);
            let texture = ui
                .ctx()
                .load_texture("attention", image, TextureOptions::NEAREST);
            read.drawn = Some((head, texture.clone()));
            texture
        }
    };
    let side = height.min(ui.available_width() * 0.55).max(80.0);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click_and_drag());
    response.widget_info(|| {
        let name = format!("Attention of head {head}, {length} queries by {length} keys");
        WidgetInfo::labeled(Role::Image, true, name)
    });
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter()
        .image(texture.id(), rect, whole, Color32::WHITE);
    let row = side / length as f32;
    let line = Rect::from_min_size(
        rect.min + vec2(0.0, row * query as f32),
        vec2(side, row.max(2.0)),
    );
    ui.painter().rect_stroke(
        line.expand(1.0),
        0.0,
        Stroke::new(1.5, palette.remasked),
        StrokeKind::Outside,
    );
    let pointed = response.interact_pointer_pos()?;
    let row = ((pointed.y - rect.top()) / row).floor().max(0.0) as usize;
    Some(row.min(length - 1))
}

/// The keys that a query looks at most.
fn strongest(ui: &mut Ui, read: &Read, head: usize, query: usize, all: bool, palette: &Palette) {
    let weights = &read.attention.heads[head];
    let Some(row) = weights.get(query.min(weights.len() - 1)) else {
        return;
    };
    let mut keys: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
    keys.sort_by(|a, b| b.1.total_cmp(&a.1));
    keys.truncate(if all { 24 } else { 7 });
    ui.vertical(|ui| {
        ui.label(RichText::new(format!("{} looks at", read.name(query))).small());
        egui::Grid::new("keys").spacing([10.0, 2.0]).show(ui, |ui| {
            for (key, weight) in keys {
                ui.label(RichText::new(read.name(key)).monospace());
                ui.label(RichText::new(format!("{weight:.3}")).color(palette.muted));
                ui.end_row();
            }
        });
    });
}
