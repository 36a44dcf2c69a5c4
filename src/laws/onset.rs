//! When a diffusion model is predicted to overfit.

/// Passes over `unique_tokens` after which the validation loss of a masked diffusion model with `parameters` is predicted to
/// rise: 27 times the decay constant `254.35 U^0.39 / N^0.55` of the fit in "Training Optimal Large Diffusion Language
/// Models" (Quokka, arXiv 2510.03280, equation 23). The factor is where the fitted loss turns; below ten million tokens it
/// is an extrapolation.
pub fn epochs(unique_tokens: f64, parameters: f64) -> f64 {
    27.0 * 254.35 * libm::pow(unique_tokens, 0.39) / libm::pow(parameters, 0.55)
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
}
