//! When a diffusion model is predicted to overtake.

/// Training FLOPs at which a masked diffusion model overtakes an autoregressive one of its size on U unique tokens:
/// `2.12e15 (U / 1e6)^2.174` (Prabhudesai et al. 2025, "Diffusion Beats Autoregressive in Data-Constrained Settings",
/// arXiv 2507.15857). Fitted on 25 to 100 million GPT-2 tokens of C4: for a laptop's budgets it is an extrapolation over
/// two decades or more.
pub fn compute(unique_tokens: f64) -> f64 {
    2.12e15 * libm::pow(unique_tokens / 1e6, 2.174)
}

/// The same as passes over the unique tokens, for a model whose training takes `flops_per_token`.
pub fn epochs(unique_tokens: f64, flops_per_token: f64) -> f64 {
    compute(unique_tokens) / (flops_per_token * unique_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by hand: 2.12e15 · 100^2.174 = 2.12 · 10^(15 + 4.348), as the paper's readers quote it.
    #[test]
    fn a_hundred_million_tokens_take_4_7e19_flops() {
        let flops = compute(1e8);
        assert!((flops / 4.72e19 - 1.0).abs() < 0.01, "{flops:e}");
    }

    /// Half a million tokens: 58 epochs with 2.7 million parameters, 11 with 14 million, at 6 FLOPs each.
    #[test]
    fn larger_models_cross_in_fewer_epochs() {
        assert!((epochs(5e5, 6.0 * 2.7e6) - 58.0).abs() < 1.0);
        assert!((epochs(5e5, 6.0 * 14e6) - 11.0).abs() < 1.0);
    }
}
