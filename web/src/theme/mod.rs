//! Every colour and size, for light and dark. No other file names a colour.
//!
//! [`Palette`] is what colours mean, [`scale`] how numbers become colours, [`style`] what egui is told.

pub mod scale;
pub mod style;

use crossover::objective::{Likelihood, Objective};
use egui::Color32;

pub use style::{Motion, Tone};

/// The colours of one theme, by what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Palette {
    /// Whether the background is dark.
    pub dark: bool,
    /// Behind everything.
    pub background: Color32,
    /// Behind controls.
    pub panel: Color32,
    /// Text.
    pub text: Color32,
    /// Less important text.
    pub muted: Color32,
    /// Edges of controls.
    pub edge: Color32,
    /// The autoregressive model: solid line, disc.
    pub ar: Color32,
    /// The masked diffusion model: long dashes, square.
    pub masked: Color32,
    /// The block diffusion model: dash and dot, triangle.
    pub block: Color32,
    /// The lowest possible loss: dotted.
    pub floor: Color32,
    /// Around what has the focus, 2 px.
    pub focus: Color32,
    /// A cell that was written in this step.
    pub revealed: Color32,
    /// A cell that was hidden again.
    pub remasked: Color32,
    /// All is well.
    pub ok: Color32,
    /// Worth a look.
    pub warning: Color32,
    /// Went wrong.
    pub error: Color32,
}

/// A colour between two, `share` of the way from the first.
pub fn mix(from: Color32, to: Color32, share: f32) -> Color32 {
    from.lerp_to_gamma(to, share)
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

impl Palette {
    /// Dark text on white.
    pub const LIGHT: &'static Self = &Self {
        dark: false,
        background: rgb(0xFF_FFFF),
        panel: rgb(0xF4_F5F7),
        text: rgb(0x1A_1D21),
        muted: rgb(0x56_5D67),
        edge: rgb(0x76_7D87),
        ar: rgb(0xB8_4A00),
        masked: rgb(0x0B_62B8),
        block: rgb(0x1A_1D21),
        floor: rgb(0x4D_545E),
        focus: rgb(0x8A_2BE2),
        revealed: rgb(0xFF_D60A),
        remasked: rgb(0xB0_126E),
        ok: rgb(0x1B_7A4B),
        warning: rgb(0x8A_5A00),
        error: rgb(0xB3_261E),
    };

    /// Light text on near-black.
    pub const DARK: &'static Self = &Self {
        dark: true,
        background: rgb(0x13_1519),
        panel: rgb(0x1C_1F25),
        text: rgb(0xE8_EAED),
        muted: rgb(0xA4_ABB6),
        edge: rgb(0x73_7B87),
        ar: rgb(0xFF_9B5C),
        masked: rgb(0x5B_B1FF),
        block: rgb(0xE8_EAED),
        floor: rgb(0xAE_B5C0),
        focus: rgb(0xC9_A2FF),
        revealed: rgb(0xFF_D60A),
        remasked: rgb(0xFF_8CC8),
        ok: rgb(0x63_D29B),
        warning: rgb(0xF2_B84B),
        error: rgb(0xFF_8A80),
    };

    /// The one for this preference.
    pub fn of(dark: bool) -> &'static Self {
        if dark { Self::DARK } else { Self::LIGHT }
    }

    /// A curve's colour.
    pub fn racer(&self, objective: Objective, likelihood: Likelihood) -> Color32 {
        match (objective, likelihood) {
            (Objective::Autoregressive, _) => self.ar,
            (Objective::Block, _) => self.block,
            // Read left to right a dual model is neither racer.
            (Objective::Dual, Likelihood::Autoregressive) => self.remasked,
            _ => self.masked,
        }
    }

    /// Lines between things, which carry no meaning.
    pub fn hairline(&self) -> Color32 {
        mix(self.panel, self.edge, 0.32)
    }

    /// Behind a control that can be pressed.
    pub fn raised(&self) -> Color32 {
        match self.dark {
            true => mix(self.panel, self.text, 0.07),
            false => self.background,
        }
    }

    /// The same under the pointer.
    pub fn hovered(&self) -> Color32 {
        mix(
            self.raised(),
            self.text,
            if self.dark { 0.09 } else { 0.05 },
        )
    }

    /// A surface in a colour's spirit, for text in `text`.
    pub fn tint(&self, color: Color32) -> Color32 {
        mix(self.background, color, if self.dark { 0.2 } else { 0.1 })
    }

    /// A band around a line: the line's colour, see-through.
    pub fn band(&self, color: Color32, strong: bool) -> Color32 {
        color.gamma_multiply(if strong { 0.22 } else { 0.13 })
    }

    /// The same line, less important.
    pub fn faint(&self, color: Color32) -> Color32 {
        mix(self.background, color, 0.42)
    }

    /// Text on the primary button, whose colour is the diffusion model's.
    pub fn on_accent(&self) -> Color32 {
        self.background
    }
}
