//! Keys of the theatre. Each does what a control does.

use egui::{Context, Key, Modifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// Play or hold.
    Toggle,
    /// So many steps on, or back.
    Step(isize),
    /// Before the first step.
    First,
    /// The last step.
    Last,
    /// Slower.
    Slower,
    /// Faster.
    Faster,
    /// Drafts on or off.
    Drafts,
    /// The next meaning of colours.
    Colour,
    /// Keep the selected token.
    Pin,
    /// Put another token there.
    Edit,
    /// Free the position.
    Mask,
    /// Start a branch.
    Branch,
}

const ALWAYS: [(Key, Pressed); 12] = [
    (Key::Comma, Pressed::Step(-1)),
    (Key::Period, Pressed::Step(1)),
    (Key::PageUp, Pressed::Step(-10)),
    (Key::PageDown, Pressed::Step(10)),
    (Key::Home, Pressed::First),
    (Key::End, Pressed::Last),
    (Key::Minus, Pressed::Slower),
    (Key::Plus, Pressed::Faster),
    (Key::Equals, Pressed::Faster),
    (Key::D, Pressed::Drafts),
    (Key::C, Pressed::Colour),
    (Key::B, Pressed::Branch),
];

const IN_CELLS: [(Key, Pressed); 3] = [
    (Key::P, Pressed::Pin),
    (Key::E, Pressed::Edit),
    (Key::Delete, Pressed::Mask),
];

/// The keys that were pressed, none while a text is typed. `in_cells`: a cell has the focus.
pub fn pressed(context: &Context, in_cells: bool) -> Vec<Pressed> {
    if context.text_edit_focused() {
        return Vec::new();
    }
    let nowhere = context.memory(|memory| memory.focused().is_none());
    context.input_mut(|input| {
        let mut pressed = Vec::new();
        let mut look = |key: Key, what: Pressed| {
            for _ in 0..input.count_and_consume_key(Modifiers::NONE, key) {
                pressed.push(what);
            }
        };
        for (key, what) in ALWAYS {
            look(key, what);
        }
        // Elsewhere the space bar presses what has the focus.
        if in_cells || nowhere {
            look(Key::Space, Pressed::Toggle);
            for (key, what) in IN_CELLS {
                look(key, what);
            }
        }
        pressed
    })
}
