//! The `?` beside a figure: what it means, in at most 25 words.

use egui::{Popup, RichText, Ui, vec2};

/// What statistics mean.
pub mod text {
    /// A diffusion model's loss.
    pub const BOUND: &str = "Diffusion's true loss is at or below this line; AR's is exact.";
    /// The source's entropy.
    pub const FLOOR: &str = "No model can go lower: the source itself is this random.";
    /// The envelope crossover.
    pub const ENVELOPE: &str = "Below the best AR ever reached, as if AR had stopped in time.";
    /// The curve crossover.
    pub const CURVE: &str = "From here on below AR at equal tokens, AR's overfitting included.";
    /// The standard error.
    pub const STANDARD_ERROR: &str =
        "How far the average may be off by chance. Twice this is the usual margin.";
    /// The onset of overfitting.
    pub const ONSET: &str =
        "Where diffusion is predicted to overfit, by the Quokka fit. Extrapolated: a rough guide.";
    /// A gap in a prompt.
    pub const GAP: &str = "A fixed number of cells: this model cannot insert more.";
    /// The precision of figures.
    pub const PRECISION: &str = "Everything here is computed in 32 bits. The native program can train in half precision (`--precision`): quicker on some GPUs, less exact.";
    /// The predicted crossover.
    pub const PREDICTION: &str = "Critical compute of the data-constrained law over this model's, extrapolated from far larger runs: ×3 either way.";
}

/// A small `?` that explains `subject`.
pub fn mark(ui: &mut Ui, subject: &str, words: &str) {
    let button = egui::Button::new(RichText::new("?").small().weak())
        .frame_when_inactive(false)
        .min_size(vec2(24.0, 24.0));
    let response = ui.add(button);
    let name = format!("What is {subject}?");
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
    Popup::from_toggle_button_response(&response)
        .accessible_name(name.clone())
        .show(|ui| {
            ui.set_max_width(280.0);
            ui.label(words);
        });
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn explanations_are_short() {
        for words in [
            text::BOUND,
            text::FLOOR,
            text::ENVELOPE,
            text::CURVE,
            text::STANDARD_ERROR,
            text::ONSET,
            text::GAP,
            text::PRECISION,
            text::PREDICTION,
        ] {
            assert!(words.split_whitespace().count() <= 25, "{words}");
        }
    }
}
