//! Next-token prediction: position i reads the start token and the tokens before i, and is scored on token i.
//!
//! MASK serves as the start token, so every token of a window is scored, the first included, and the loss is in nats per
//! token over the same tokens as the diffusion bound.

use crate::model::Visibility;
use crate::objective::Batch;
use crate::random::Stream;

/// The inputs that predict `tokens`: each window shifted right behind the start token. `[batch * length]` -> the same.
pub fn shifted(tokens: &[u32], length: usize, mask_id: u32) -> Vec<u32> {
    tokens
        .chunks_exact(length)
        .flat_map(|window| std::iter::once(mask_id).chain(window[..length - 1].iter().copied()))
        .collect()
}

/// One batch. Each input but the start token is replaced by MASK with probability `input_mask` (the ablation of arXiv
/// 2511.03276; our reading of it: targets and weights stay, evaluation masks nothing).
pub fn batch(
    tokens: &[u32],
    length: usize,
    mask_id: u32,
    input_mask: f64,
    stream: &mut Stream,
) -> Batch {
    let mut inputs = shifted(tokens, length, mask_id);
    if input_mask > 0.0 {
        for (index, input) in inputs.iter_mut().enumerate() {
            if index % length > 0 && stream.uniform() < input_mask {
                *input = mask_id;
            }
        }
    }
    Batch {
        inputs,
        targets: tokens.to_vec(),
        weights: vec![1.0 / tokens.len() as f32; tokens.len()],
        length,
        visibility: Visibility::Causal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn every_token_is_scored_and_none_sees_itself() {
        let mut stream = Stream::new(1, Purpose::InputMask, 0, 0);
        let batch = batch(&[0, 1, 2, 3, 4, 5], 3, 9, 0.0, &mut stream);
        assert_eq!(batch.inputs, [9, 0, 1, 9, 3, 4]);
        assert_eq!(batch.targets, [0, 1, 2, 3, 4, 5]);
        assert!((batch.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_input_mask_hides_its_share_of_inputs_and_no_target() {
        let tokens: Vec<u32> = (0..40_000).map(|index| index % 5).collect();
        let mut stream = Stream::new(1, Purpose::InputMask, 0, 0);
        let masked = batch(&tokens, 40, 9, 0.3, &mut stream);
        let hidden = masked.inputs.iter().filter(|token| **token == 9).count() as f64;
        let expected = 1_000.0 + 39_000.0 * 0.3;
        assert!((hidden - expected).abs() < 4.0 * (39_000.0_f64 * 0.3 * 0.7).sqrt());
        assert_eq!(masked.targets, tokens);
    }
}
