//! When a diffusion model is predicted to overfit.

/// Passes over `unique_tokens` after which the validation loss of a masked diffusion model with `parameters` is predicted to
/// rise: 27 times [`decay`] of the fit in "Training Optimal Large Diffusion Language Models" (Quokka, arXiv 2510.03280,
/// equation 23). The factor is where the fitted loss turns; below ten million tokens it is an extrapolation.
pub fn epochs(unique_tokens: f64, parameters: f64) -> f64 {
    27.0 * decay(unique_tokens, parameters)
}

/// The decay constant of repeated data, in epochs: `254.35 U^0.39 / N^0.55` (the same paper, equation 15).
pub fn decay(unique_tokens: f64, parameters: f64) -> f64 {
    254.35 * libm::pow(unique_tokens, 0.39) / libm::pow(parameters, 0.55)
}

/// The validation loss of that fit (equation 15), nats per token of a large vocabulary:
/// `1535.23 / N^0.42 + 54.21 / D'^0.13` with `D' = U e^1.49 exp(-((e - 1) / decay)^0.40)`. At the sizes of this program it
/// tells shapes apart; as a figure to expect it is worth nothing.
pub fn loss(unique_tokens: f64, parameters: f64, epochs: f64) -> f64 {
    let repeats = (epochs - 1.0).max(0.0) / decay(unique_tokens, parameters);
    let data = unique_tokens * libm::pow(epochs, 1.49) * libm::exp(-libm::pow(repeats, 0.40));
    1535.23 / libm::pow(parameters, 0.42) + 54.21 / libm::pow(data, 0.13)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The turning points of the fitted curve, found numerically: `science.md`, section 5.
    #[test]
    fn the_onset_is_where_the_fit_turns() {
        for (unique, parameters, expected) in
            [(1e6, 1e6, 745.0), (1e6, 3e6, 400.0), (1e6, 1e7, 210.0)]
        {
            let epochs = epochs(unique, parameters);
            assert!((epochs / expected - 1.0).abs() < 0.03, "{epochs}");
        }
    }

    #[test]
    fn the_loss_turns_at_the_onset() {
        let at = epochs(1e6, 3e6);
        let loss = |share: f64| loss(1e6, 3e6, share * at);
        assert!(loss(1.0) < loss(0.8) && loss(1.0) < loss(1.25));
    }
}
