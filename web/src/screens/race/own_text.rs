//! A text of one's own: dropped, pasted or chosen; looked at before anything trains on it. It stays on this device.

use crossover::lab::Request;
use egui::{RichText, TextEdit, Ui};

use super::Race;
use crate::link::files::{self, Given};
use crate::numbers;
use crate::screens::Context;
use crate::settings::{Field, OwnText, Source};
use crate::state::{Act, Notice};

/// Characters that a race needs.
const LEAST: usize = 4_000;
/// Bytes above which a text is refused.
const MOST: usize = 256 << 20;
/// Bytes that are looked at to tell text from something else.
const LOOKED_AT: usize = 1 << 20;
/// Invalid bytes in a hundred that make it something else.
const INVALID_SHARE: f64 = 0.05;

/// A file that doesn't look like text, until a person says what to do.
#[derive(Debug, Clone)]
pub struct Question {
    file: String,
    content: Vec<u8>,
}

/// What a file turns out to be.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Bytes,
    Tiny(usize),
    Huge(usize),
}

fn kind(content: &[u8]) -> Kind {
    if content.len() > MOST {
        return Kind::Huge(content.len());
    }
    let looked_at = &content[..content.len().min(LOOKED_AT)];
    let invalid: usize = looked_at
        .utf8_chunks()
        .map(|chunk| chunk.invalid().len())
        .sum();
    if looked_at.contains(&0) || invalid as f64 > INVALID_SHARE * looked_at.len() as f64 {
        return Kind::Bytes;
    }
    // Letters of several bytes begin with another kind of byte than they go on with.
    let characters = content
        .iter()
        .take(4 * LEAST)
        .filter(|byte| (**byte & 0xC0) != 0x80)
        .count();
    match characters < LEAST {
        true => Kind::Tiny(characters),
        false => Kind::Text,
    }
}

impl Race {
    /// Takes what was dropped, chosen or pasted.
    pub(super) fn take_files(&mut self, context: &mut Context<'_>) {
        for file in std::mem::take(&mut context.state.given) {
            self.take_file(file, context);
        }
        for file in self.files.take() {
            self.take_file(file, context);
        }
        match context
            .state
            .acted
            .take_if(|act| matches!(act, Act::UseBytes | Act::Cancel))
        {
            Some(Act::UseBytes) => self.use_bytes(context),
            Some(_) => self.question = None,
            None => {}
        }
    }

    /// A run or a checkpoint becomes a run, anything else is a text.
    fn take_file(&mut self, file: Given, context: &mut Context<'_>) {
        let content = match file.content {
            Ok(content) => content,
            Err(why) => {
                let words = format!("Can't read {}: {why}", file.name);
                context.state.notice = Some(Notice::went_wrong(&words, None));
                return;
            }
        };
        let is_run = [".zip", ".safetensors"]
            .iter()
            .any(|end| file.name.ends_with(end));
        if is_run {
            context.desk.import(file.name, content);
            return;
        }
        match kind(&content) {
            Kind::Huge(bytes) => {
                let words = format!(
                    "{} is {} MB; texts above 256 MB are refused.",
                    file.name,
                    bytes >> 20
                );
                context.state.notice = Some(Notice::warning(words));
            }
            Kind::Tiny(characters) => {
                let words = format!(
                    "{} characters; a race needs {}.",
                    numbers::grouped(characters as u64),
                    numbers::grouped(LEAST as u64)
                );
                context.state.notice = Some(Notice::warning(words));
            }
            Kind::Bytes => {
                context.state.notice = Some(
                    Notice::warning(format!(
                        "{} doesn't look like text. Train on raw bytes?",
                        file.name
                    ))
                    .offering("Use bytes", Act::UseBytes)
                    .offering("Cancel", Act::Cancel),
                );
                self.question = Some(Question {
                    file: file.name,
                    content,
                });
            }
            Kind::Text => self.keep(file.name, content, context),
        }
    }

    fn use_bytes(&mut self, context: &mut Context<'_>) {
        if let Some(Question { file, content }) = self.question.take() {
            self.draft.take_from(Source::Own);
            self.draft.edited.corpus.tokenizer = Some("byte".to_owned());
            self.keep(file, content, context);
        }
    }

    /// A question goes when its notice is closed.
    pub(super) fn ask_about_bytes(&mut self, _ui: &Ui, context: &Context<'_>) {
        if context.state.notice.is_none() && context.state.acted.is_none() {
            self.question = None;
        }
    }

    fn keep(&mut self, name: String, content: Vec<u8>, context: &mut Context<'_>) {
        self.draft.take_from(Source::Own);
        self.chosen = true;
        self.preview = None;
        self.refused = None;
        self.draft.own = Some(OwnText {
            name: name.clone(),
            path: String::new(),
            bytes: content.len(),
            hash: String::new(),
        });
        self.asked.own = Some(context.desk.ask(Request::Keep { name, content }));
    }

    /// The lab keeps the text: what is in it?
    pub(super) fn own_is_kept(&mut self, path: &str, context: &mut Context<'_>) {
        if let Some(own) = &mut self.draft.own {
            path.clone_into(&mut own.path);
        }
        self.look_again(context);
    }

    fn look_again(&mut self, context: &mut Context<'_>) {
        if let Some(config) = self.draft.config() {
            self.asked.preview = Some(context.desk.ask(Request::Preview {
                corpus: config.corpus,
                seed: config.seed,
            }));
        }
    }

    /// The part of the settings that is about the text.
    pub(super) fn own_text(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        ui.horizontal_wrapped(|ui| {
            if ui.button("Choose a file…").clicked() {
                files::open(ui.ctx(), &self.files, "A text to train on", &[]);
            }
            if ui.button("Paste text").clicked() {
                self.pasted = Some(self.pasted.take().unwrap_or_default());
            }
        });
        ui.label(
            RichText::new("Or drop a file anywhere. Your text stays on this device.")
                .small()
                .color(palette.muted),
        );
        if let Some(text) = &mut self.pasted {
            let edit = TextEdit::multiline(text)
                .hint_text("Paste here")
                .desired_rows(4)
                .desired_width(f32::INFINITY);
            let response = egui::ScrollArea::vertical()
                .max_height(120.0)
                .show(ui, |ui| ui.add(edit))
                .inner;
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, true, "Pasted text")
            });
            let (mut take, mut leave) = (false, false);
            ui.horizontal(|ui| {
                take = ui.button("Use this text").clicked();
                leave = ui.button("Cancel").clicked();
            });
            if take {
                let content = std::mem::take(text).into_bytes();
                self.take_file(
                    Given {
                        name: "pasted.txt".to_owned(),
                        content: Ok(content),
                    },
                    context,
                );
            }
            if take || leave {
                self.pasted = None;
            }
        }
        if let Some(own) = &self.draft.own {
            ui.label(RichText::new(&own.name).strong());
            let used = Field::Unique.get(&self.draft) + 2.0 * Field::HeldOut.get(&self.draft);
            let megabytes = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
            if own.bytes as f64 > 20.0 * used {
                let words = format!(
                    "{:.0} MB given; this budget uses {}. The rest is ignored.",
                    own.bytes as f64 / 1e6,
                    megabytes(used)
                );
                ui.label(RichText::new(words).small().color(palette.muted));
            }
        }
        if let Some(why) = &self.refused {
            ui.label(RichText::new(why).small().color(palette.warning));
        }
        if let Some(preview) = &self.preview {
            let mut words = format!(
                "{} unique tokens · {} held out · vocabulary {}",
                numbers::count(preview.unique as f64),
                numbers::count(preview.held_out as f64),
                preview.vocab_size
            );
            if let Some(copies) = preview.near_duplicates.filter(|copies| *copies > 0) {
                words += &format!(" · {copies} near-duplicates");
            }
            ui.label(RichText::new(words).small().color(palette.muted));
            for (name, line) in [
                ("First line", &preview.first),
                ("Held out", &preview.held_out_first),
            ] {
                ui.label(RichText::new(name).small().color(palette.muted));
                let line = line.replace('\n', " ¶ ");
                ui.add(egui::Label::new(RichText::new(line).monospace()).truncate());
            }
            for notice in &preview.notices {
                ui.label(RichText::new(notice).small().color(palette.warning));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_other_files() {
        let mut picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        picture.resize(9_000, 7);
        assert_eq!(kind(&picture), Kind::Bytes);
        assert_eq!(kind(&[0xFF; 9_000]), Kind::Bytes);
        assert_eq!(kind("ö".repeat(812).as_bytes()), Kind::Tiny(812));
        assert_eq!(kind("ö".repeat(4_000).as_bytes()), Kind::Text);
        // A few broken letters don't make it something else.
        let mut text = "word ".repeat(2_000).into_bytes();
        text[50] = 0xFF;
        assert_eq!(kind(&text), Kind::Text);
    }
}
