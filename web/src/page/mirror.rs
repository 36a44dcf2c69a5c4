//! The canvas says nothing to a screen reader, and a keyboard would be caught in it. egui knows every widget of a picture
//! with its name and its place: the page mirrors that tree as elements, what is done to those comes back here, and two
//! widgets that can't be seen, before the first and after the last, hand the focus on to the page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use egui::accesskit::{Action, ActionData, ActionRequest, NodeId, TreeId};
use egui::{Event, FocusDirection, Id, Key, Modifiers, Rect, Sense};
use serde::Deserialize;

use super::bridge;
use super::tree::Tree;

/// Seconds between two trees, unless the focus moves.
const PAUSE: f64 = 0.1;

/// Something that was done on the page.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Deed {
    /// A widget was pressed.
    Click { id: String },
    /// A widget was given the focus.
    Focus { id: String },
    /// A slider was moved.
    Number { id: String, value: f64 },
    /// A text was changed.
    Text { id: String, value: String },
    /// The focus came into the canvas, from its end where `value`.
    Enter { value: bool },
}

/// What was done on the page and not yet told.
#[derive(Debug, Clone, Default)]
pub struct Deeds(Arc<Mutex<Vec<Deed>>>);

impl Deeds {
    /// Takes note of one, as JSON.
    pub fn push(&self, json: &str) {
        // Our own script wrote it; another's nonsense does nothing.
        if let Ok(deed) = serde_json::from_str(json) {
            self.lock().push(deed);
        }
    }

    fn take(&self) -> Vec<Deed> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Deed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the keyboard was heading.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Heading {
    #[default]
    Forward,
    Back,
}

/// The plugin of egui that mirrors.
#[derive(Debug, Default)]
pub struct Mirror {
    deeds: Deeds,
    /// What a text becomes once it has the focus.
    typing: Option<String>,
    heading: Heading,
    /// The focus is on its way past one of our own widgets.
    passing: bool,
    entering: bool,
    told: Option<Tree>,
    told_at: f64,
}

impl Mirror {
    /// A mirror that acts on these.
    pub fn new(deeds: Deeds) -> Self {
        Self {
            deeds,
            ..Self::default()
        }
    }
}

fn before() -> Id {
    Id::unique("before every widget")
}

fn after() -> Id {
    Id::unique("after every widget")
}

fn request(id: &str, action: Action, data: Option<ActionData>) -> Option<Event> {
    let id = id.parse().ok()?;
    Some(Event::AccessKitActionRequest(ActionRequest {
        action,
        target_tree: TreeId::ROOT,
        target_node: NodeId(id),
        data,
    }))
}

fn key(key: Key, modifiers: Modifiers) -> Event {
    Event::Key {
        key,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers,
    }
}

impl egui::Plugin for Mirror {
    fn debug_name(&self) -> &'static str {
        "mirror"
    }

    fn input_hook(&mut self, ctx: &egui::Context, input: &mut egui::RawInput) {
        if let Some(text) = self.typing.take() {
            let all = Modifiers {
                ctrl: true,
                command: true,
                ..Modifiers::NONE
            };
            input.events.push(key(Key::A, all));
            input.events.push(if text.is_empty() {
                key(Key::Backspace, Modifiers::NONE)
            } else {
                Event::Paste(text)
            });
        }
        for deed in self.deeds.take() {
            let event = match deed {
                Deed::Click { id } => request(&id, Action::Click, None),
                Deed::Focus { id } => request(&id, Action::Focus, None),
                Deed::Number { id, value } => {
                    let value = ActionData::NumericValue(value);
                    request(&id, Action::SetValue, Some(value))
                }
                Deed::Text { id, value } => {
                    // It takes what is typed from the next pass on.
                    self.typing = Some(value);
                    ctx.request_repaint();
                    request(&id, Action::Focus, None)
                }
                Deed::Enter { value } => {
                    self.entering = true;
                    self.heading = if value {
                        Heading::Back
                    } else {
                        Heading::Forward
                    };
                    None
                }
            };
            input.events.extend(event);
        }
        for event in &input.events {
            if let Event::Key {
                key: Key::Tab,
                pressed: true,
                modifiers,
                ..
            } = event
            {
                self.heading = if modifiers.shift {
                    Heading::Back
                } else {
                    Heading::Forward
                };
            }
        }
    }

    fn on_begin_pass(&mut self, ui: &mut egui::Ui) {
        let ctx = ui.ctx().clone();
        if std::mem::take(&mut self.passing) {
            ctx.memory_mut(|memory| {
                memory.move_focus(match self.heading {
                    Heading::Forward => FocusDirection::Next,
                    Heading::Back => FocusDirection::Previous,
                });
            });
        }
        ui.interact(Rect::ZERO, before(), Sense::focusable_noninteractive());
    }

    fn on_end_pass(&mut self, ui: &mut egui::Ui) {
        ui.interact(Rect::ZERO, after(), Sense::focusable_noninteractive());
        let ctx = ui.ctx().clone();
        if std::mem::take(&mut self.entering) {
            let edge = match self.heading {
                Heading::Forward => before(),
                Heading::Back => after(),
            };
            ctx.memory_mut(|memory| memory.request_focus(edge));
        }
        let focused = ctx.memory(|memory| memory.focused());
        let edge = [before(), after()]
            .into_iter()
            .find(|id| focused == Some(*id));
        let Some(edge) = edge else { return };
        let forward = self.heading == Heading::Forward;
        if (edge == after()) == forward {
            ctx.memory_mut(|memory| memory.surrender_focus(edge));
            bridge::leave(forward);
        } else {
            self.passing = true;
        }
        ctx.request_repaint();
    }

    fn output_hook(&mut self, ctx: &egui::Context, output: &mut egui::FullOutput) {
        let Some(update) = output.platform_output.accesskit_update.take() else {
            return;
        };
        let now = ctx.input(|input| input.time);
        let moved = self
            .told
            .as_ref()
            .is_none_or(|told| told.focus() != update.focus.0.to_string());
        if !moved && now < self.told_at + PAUSE {
            ctx.request_repaint_after(Duration::from_secs_f64(PAUSE));
            return;
        }
        let without = [before(), after()].map(|id| id.accesskit_id());
        let tree = Tree::of(&update, &without, ctx.zoom_factor());
        if self.told.as_ref() != Some(&tree) {
            self.told_at = now;
            if let Ok(json) = serde_json::to_string(&tree) {
                bridge::draw(&json);
            }
            self.told = Some(tree);
        }
    }
}
