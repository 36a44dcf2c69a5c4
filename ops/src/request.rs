//! What operations are asked for besides their tensors.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::FloatDType;

/// What the products of linear layers multiply; they add up in f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operands {
    /// Numbers as they are.
    #[default]
    F32,
    /// Numbers rounded to 8 significant bits, with f32's range.
    Bf16,
    /// Numbers rounded to 11 significant bits: none above 65,504 but infinity, none below 6e-8 but 0.
    F16,
}

impl Operands {
    /// The type that a GPU multiplies; none where numbers stay as they are.
    pub fn half(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }
}

/// What attention has to know besides its tensors.
#[derive(Debug, Clone)]
pub struct Heads {
    /// Tokens of a sequence.
    pub length: usize,
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; each serves equally many query heads.
    pub keys: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to the mean square of queries and keys.
    pub eps: f32,
    /// Where the tokens are, and whom they see.
    pub positions: Arc<Positions>,
    /// The weights that dropout leaves, where there is any; on the processor only.
    pub kept: Option<Kept>,
}

/// What is the same for every sequence and layer of a pass.
#[derive(Debug)]
pub struct Positions {
    /// Cosines of the positions' angles: `[length, head_dim / 2]`.
    pub cosine: Vec<f32>,
    /// Their sines.
    pub sine: Vec<f32>,
    /// The keys that each query sees, in at most two stretches: `[length]`.
    pub seen: Vec<Vec<Range<usize>>>,
    /// The same on the GPU of the pass, sent when its first layer asks.
    #[cfg(feature = "gpu")]
    pub(crate) sent: std::sync::OnceLock<crate::gpu::Sent>,
}

impl Positions {
    /// Of cosines, sines and stretches.
    pub fn new(cosine: Vec<f32>, sine: Vec<f32>, seen: Vec<Vec<Range<usize>>>) -> Self {
        Self {
            cosine,
            sine,
            seen,
            #[cfg(feature = "gpu")]
            sent: std::sync::OnceLock::new(),
        }
    }
}

/// What dropout does to attention's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// 1 where a weight is kept, else 0: `[batch, queries, length, length]`.
    pub mask: Vec<u8>,
    /// What those that are kept are multiplied by.
    pub scale: f32,
}

impl Heads {
    /// Width of a row of the input.
    pub fn projected(&self) -> usize {
        (self.queries + 2 * self.keys) * self.head_dim
    }

    /// Width of a row of the output.
    pub fn mixed(&self) -> usize {
        self.queries * self.head_dim
    }

    /// Query heads that a key head serves.
    pub fn group(&self) -> usize {
        self.queries / self.keys
    }
}

/// The rows of a [`cross_entropy_sum`](crate::cross_entropy_sum).
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Classes: the first rows of the matrix.
    pub classes: usize,
    /// The class of each row.
    pub targets: Vec<u32>,
    /// What each row counts.
    pub weights: Vec<f32>,
    /// What its products multiply.
    pub operands: Operands,
}

/// What a step is made with, the same for all elements of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// What the first moment keeps of itself.
    pub beta1: f32,
    /// What the second moment keeps of itself.
    pub beta2: f32,
    /// Learning rate over the first moment's bias correction.
    pub step_size: f32,
    /// One over the root of the second moment's bias correction.
    pub second_correction: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// What a weight keeps of itself: 1 less learning rate times weight decay.
    pub kept: f32,
}

/// What reading some positions of some windows has to know besides its tensors: a read whose keys and values are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Windows that are remembered.
    pub windows: usize,
    /// Tokens of a window.
    pub length: usize,
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; each serves equally many query heads.
    pub keys: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to the mean square of queries and keys.
    pub eps: f32,
    /// Which windows are read, ascending: `[rows]`.
    pub rows: Vec<usize>,
    /// Which positions of each, ascending: `[positions]`.
    pub positions: Vec<usize>,
    /// One behind the last position that each of them sees; it sees all before: `[positions]`.
    pub ends: Vec<usize>,
    /// Cosines of the positions' angles: `[positions, head_dim / 2]`.
    pub cosine: Vec<f32>,
    /// Their sines.
    pub sine: Vec<f32>,
}

impl Reading {
    /// Width of a row of the input: all heads' queries, then keys, then values.
    pub fn projected(&self) -> usize {
        (self.queries + 2 * self.keys) * self.head_dim
    }

    /// Width of a row of the output.
    pub fn mixed(&self) -> usize {
        self.queries * self.head_dim
    }

    /// Elements of a window's keys, or of its values: `[keys, length, head_dim]`.
    pub fn kept(&self) -> usize {
        self.keys * self.length * self.head_dim
    }
}
