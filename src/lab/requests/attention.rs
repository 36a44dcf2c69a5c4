//! Who looks at whom.

use crate::device::Selected;
use crate::error::{Error, Result};
use crate::lab::load::load_checkpoint;
use crate::lab::protocol::{Answer, Attention};
use crate::model::{Predictor, Visibility};
use crate::objective::Factorization;

/// Reads a layer's weights over a text, MASK as -1. A model that reads left to right is shown the start token and all but
/// the last token, as in training: its query `i` predicts token `i`.
pub(super) async fn attention(
    model: &str,
    tokens: &[i64],
    layer: usize,
    device: &Selected,
) -> Result<Answer> {
    let loaded = load_checkpoint(model, device)?;
    let checkpoint = &loaded.checkpoint;
    let (length, mask) = (tokens.len(), loaded.model.mask_id());
    if length == 0 || length > checkpoint.length {
        return Err(Error::input(format!(
            "the text has {length} tokens, and `{model}` was trained on windows of {}",
            checkpoint.length
        ))
        .with_hint("choose the model that wrote the text"));
    }
    let mut ids = Vec::with_capacity(length);
    for &token in tokens {
        ids.push(match u32::try_from(token) {
            Err(_) => mask,
            Ok(id) if id < mask => id,
            Ok(id) => {
                return Err(Error::input(format!(
                    "the text has the id {id}, and `{model}` knows {mask} tokens"
                ))
                .with_hint("choose the model that wrote the text"));
            }
        });
    }
    let visibility = match checkpoint.factorization(checkpoint.objective.headline()) {
        Factorization::LeftToRight => {
            ids.rotate_right(1);
            ids[0] = mask;
            Visibility::Causal
        }
        Factorization::Blocks { size } => Visibility::of_blocks(size, checkpoint.length),
    };
    let weights = loaded.model.attention(&ids, visibility, layer).await?;
    let rows: Vec<Vec<f32>> = weights.chunks_exact(length).map(<[f32]>::to_vec).collect();
    Ok(Answer::Attention(Attention {
        layers: loaded.model.shape().num_hidden_layers,
        heads: rows.chunks_exact(length).map(<[_]>::to_vec).collect(),
    }))
}
