//! Evaluation: how surprised a model is by text, with standard errors.
//!
//! Windows of tokens and a [`Predictor`](crate::model::Predictor) enter; nats per token leave, one figure for each
//! window, so that two models can be compared window by window ([`paired_difference`]). Four figures of one text:
//!
//! - [`autoregressive_nats`]: the exact negative log-likelihood of a model that reads left to right.
//! - [`masked_bound`]: the negative evidence lower bound of a diffusion model, of masks over the window or inside blocks.
//! - [`k_order_bound`]: a tighter bound for the same model, from several random orders.
//! - [`left_to_right_nats`]: the exact negative log-likelihood of the masked model when it writes left to right.
//!
//! [`answer_nats`] is the likelihood of a part of a text given the rest, exact or a bound: what an answer is judged by.
//!
//! [`expert_shares`] says how evenly the experts of a mixture are asked.
//!
//! [`Inspection`] asks where one model is good: by how much is hidden, by position, and whether it knows how sure it is.
//!
//! Text that a model wrote is measured too: how varied it is ([`Variety`]), which [`autoregressive_nats`] of another model
//! complete to a picture.
//!
//! What a window means, and which windows are held out, this room does not know.

mod answers;
mod experts;
mod generation;
mod inspection;
mod likelihood;
mod statistics;

pub use answers::{Answer, AnswerNats, answer_nats};
pub use experts::{ExpertShares, expert_shares};
pub use generation::{REPEATED, Variety, distinct, pooled_entropy, repetition, unigram_entropy};
pub use inspection::{Binned, Inspection};
pub use likelihood::{
    autoregressive_nats, k_order_bound, left_to_right_nats, masked_bound, nats, windows_at_once,
};
pub use statistics::{Mean, paired_difference, ratio, share};
