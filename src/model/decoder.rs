//! The decoder: token ids in, logits out, for any visibility.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData, Transaction, activation::log_softmax};
use crossover_ops::{Asked, Heads, Operands, Positions, Reading};

use crate::error::{Error, Result};
use crate::model::attention::{Attention, Surroundings, visibility_bias};
use crate::model::block::{Block, Mlp};
use crate::model::cache::{Cache, Memory, Places, Read};
use crate::model::dropout::Dropout;
use crate::model::feed_forward::FeedForward;
use crate::model::mixture::{Decisions, Mixture};
use crate::model::operations::{Arithmetic, Ops};
use crate::model::rotary::{Angles, Rotary};
use crate::model::weights::{HostTensor, Weights, joined};
use crate::model::{Experts, ModelConfig, Predictor, Shape, Visibility};
use crate::platform;
use crate::ranks::Ranks;

/// The trained model on its device. Every parameter is a matrix (a norm's scale has one row), so that the optimizer and
/// the checkpoint walk one list.
#[derive(Debug, Clone)]
pub struct Decoder {
    shape: Shape,
    rope_theta: f64,
    eps: f64,
    device: Device,
    ops: Ops,
    /// What training multiplies.
    operands: Operands,
    /// With whom windows are shared that are only measured.
    ranks: Ranks,
    embedding: Tensor<2>,
    pub(super) blocks: Vec<Block>,
    norm: Tensor<2>,
    head: Option<Tensor<2>>,
}

impl Decoder {
    /// Puts weights on a device.
    ///
    /// # Errors
    /// When a parameter is missing or has another shape.
    pub fn new(
        config: &ModelConfig,
        shape: &Shape,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self> {
        let mut tensors = joined(shape).into_iter().map(|parts| {
            let (mut values, mut columns) = (Vec::new(), 1);
            for (name, sizes) in parts {
                values.extend_from_slice(weights.get(&name, &sizes)?);
                columns = sizes[sizes.len() - 1];
            }
            let rows = values.len() / columns;
            Ok(Tensor::from_data(
                TensorData::new(values, [rows, columns]),
                device,
            ))
        });
        let mut next = || {
            tensors
                .next()
                .unwrap_or_else(|| Err(Error::work("the decoder's layout is too short")))
        };
        let embedding = next()?;
        let blocks = (0..shape.num_hidden_layers)
            .map(|_| {
                Ok(Block {
                    attention_norm: next()?,
                    attention: Attention {
                        projection: next()?,
                        norms: match shape.qk_norm {
                            true => Some([next()?, next()?]),
                            false => None,
                        },
                        output: next()?,
                        heads: shape.num_attention_heads,
                        key_value_heads: shape.num_key_value_heads,
                        head_dim: shape.head_dim,
                        eps: config.rms_norm_eps,
                    },
                    feed_forward_norm: next()?,
                    mlp: match &shape.experts {
                        None => Mlp::Dense(Box::new(FeedForward {
                            gate_up: next()?,
                            down: next()?,
                        })),
                        Some(experts) => Mlp::Mixture(Box::new(Mixture {
                            router: next()?,
                            gate_up: next()?,
                            down: next()?,
                            shared: match experts.shared_intermediate_size {
                                None => None,
                                Some(_) => Some(FeedForward {
                                    gate_up: next()?,
                                    down: next()?,
                                }),
                            },
                            experts: experts.clone(),
                        })),
                    },
                })
            })
            .collect::<Result<_>>()?;
        let norm = next()?;
        let head = (!shape.tie_word_embeddings).then(next).transpose()?;
        Ok(Self {
            shape: shape.clone(),
            rope_theta: config.rope_theta,
            eps: config.rms_norm_eps,
            device: device.clone(),
            ops: Ops::default().on(device),
            operands: Operands::F32,
            ranks: Ranks::alone(),
            embedding,
            blocks,
            norm,
            head,
        })
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The same, computing otherwise where the device allows it.
    pub fn with_ops(mut self, ops: Ops) -> Self {
        self.ops = ops.on(&self.device);
        self
    }

    /// The same, multiplying these. Only training asks for others than f32: what a model is measured by and writes with is
    /// computed in f32.
    pub fn with_operands(mut self, operands: Operands) -> Self {
        self.operands = operands;
        self
    }

    /// The same, measuring windows together with other ranks, which must all ask for the same ones.
    pub fn shared_by(mut self, ranks: &Ranks) -> Self {
        self.ranks = ranks.clone();
        self
    }

    /// How it computes.
    pub fn ops(&self) -> Ops {
        self.ops
    }

    fn arithmetic(&self) -> Arithmetic {
        Arithmetic {
            form: self.ops,
            operands: self.operands,
        }
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A copy whose parameters ask for their gradients. Each call makes leaves of its own, so that copies can be
    /// differentiated at the same time without meeting in one graph.
    pub fn tracked(&self) -> Self {
        let mut copy = self.clone();
        copy.device = copy.device.autodiff();
        for parameter in copy.parameters_mut() {
            *parameter = parameter.clone().autodiff().require_grad();
        }
        copy
    }

    /// Every parameter, in a fixed order: the optimizer's moments are kept in the same one.
    pub fn parameters(&self) -> Vec<&Tensor<2>> {
        let mut list = vec![&self.embedding];
        for block in &self.blocks {
            let attention = &block.attention;
            list.extend([&block.attention_norm, &attention.projection]);
            list.extend(attention.norms.iter().flatten());
            list.extend([&attention.output, &block.feed_forward_norm]);
            list.extend(block.mlp.parameters());
        }
        list.push(&self.norm);
        list.extend(&self.head);
        list
    }

    /// The same list, to be replaced by an update.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor<2>> {
        let mut list = vec![&mut self.embedding];
        for block in &mut self.blocks {
            let attention = &mut block.attention;
            list.extend([&mut block.attention_norm, &mut attention.projection]);
            list.extend(attention.norms.iter_mut().flatten());
            list.extend([&mut attention.output, &mut block.feed_forward_norm]);
            list.extend(block.mlp.parameters_mut());
        }
        list.push(&mut self.norm);
        list.extend(&mut self.head);
        list
    }

    /// The last block's normalised output: ids `[batch * copies * length]` -> `[batch * length, hidden_size]`, for the
    /// first copy of each window where there are several.
    pub fn hidden(
        &self,
        tokens: &[u32],
        length: usize,
        visibility: Visibility,
        dropout: &Dropout,
    ) -> Tensor<2> {
        let around = self.surroundings(tokens, length, visibility, dropout);
        self.through(tokens, length, &around)
    }

    /// [`Self::hidden`], in these surroundings.
    fn through(&self, tokens: &[u32], length: usize, around: &Surroundings<'_>) -> Tensor<2> {
        let stream =
            self.blocks
                .iter()
                .enumerate()
                .fold(self.embed(tokens), |stream, (number, block)| {
                    around.dropout.begin(number, &self.device);
                    block.forward(stream, around, None)
                });
        self.answered(stream, around.length, 0..length)
    }

    /// How many tokens ask each expert, layer after layer: ids as in [`Self::hidden`] -> `[layers * experts]`, nothing for a dense
    /// model.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn asked_experts(
        &self,
        tokens: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f32>> {
        let decisions = Decisions::default();
        let around = Surroundings {
            decisions: Some(&decisions),
            ..self.surroundings(tokens, length, visibility, &Dropout::Off)
        };
        self.through(tokens, length, &around);
        let asked = decisions.asked();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Tensor::cat(asked, 0);
        let read = asked.into_data_async().await.map_err(device_failed)?;
        Ok(read.iter::<f32>().collect())
    }

    /// Who looks at whom in a layer, counted from 0: ids `[length]` -> `[heads * length * length]`, by head, query and key.
    /// The weights of a query sum to 1.
    ///
    /// # Errors
    /// When there is no such layer, or the device fails.
    pub async fn attention(
        &self,
        tokens: &[u32],
        visibility: Visibility,
        layer: usize,
    ) -> Result<Vec<f32>> {
        let Some(looking) = self.blocks.get(layer) else {
            return Err(Error::input(format!(
                "there is no layer {layer}: the model has {}",
                self.blocks.len()
            ))
            .with_hint(format!("layers are 0 to {}", self.blocks.len() - 1)));
        };
        let length = tokens.len() / visibility.copies();
        // Fused attention keeps no weights that could be shown.
        let whole = self.clone().with_ops(Ops::Reference);
        let around = whole.surroundings(tokens, length, visibility, &Dropout::Off);
        let below = self.blocks[..layer].iter();
        let stream = below.fold(self.embed(tokens), |stream, block| {
            block.forward(stream, &around, None)
        });
        let weights = looking.weights(stream, &around);
        let [batch, heads, queries, keys] = weights.dims();
        values(vec![weights.reshape([batch * heads * queries, keys])]).await
    }

    /// What all layers share of a pass over whole windows.
    pub(super) fn surroundings<'a>(
        &self,
        tokens: &[u32],
        length: usize,
        visibility: Visibility,
        dropout: &'a Dropout,
    ) -> Surroundings<'a> {
        let copies = visibility.copies();
        let sequence = copies * length;
        let angles = self.angles((0..copies).flat_map(|_| 0..length));
        let rotary = Rotary::new(&angles, self.shape.head_dim, &self.device);
        let is_fused = self.ops == Ops::Fused
            && self.shape.qk_norm
            && !matches!(dropout, Dropout::Device { .. });
        let fused = is_fused.then(|| Heads {
            length: sequence,
            queries: self.shape.num_attention_heads,
            keys: self.shape.num_key_value_heads,
            head_dim: self.shape.head_dim,
            eps: self.eps as f32,
            positions: Arc::new(Positions::new(
                angles.cosine,
                angles.sine,
                (0..sequence)
                    .map(|reader| visibility.seen(reader, length))
                    .collect(),
            )),
            kept: None,
        });
        let bias = match fused {
            Some(_) => None,
            None => visibility_bias(visibility, 0..sequence, sequence, length, &self.device),
        };
        Surroundings {
            batch: tokens.len() / sequence,
            length: sequence,
            rotary,
            bias,
            dropout,
            ops: self.arithmetic(),
            fused: fused.map(Arc::new),
            reading: None,
            decisions: None,
        }
    }

    /// The last block's normalised output at the positions that a read answers for: `[rows * answers, hidden_size]`.
    fn read_hidden(&self, cache: &mut Cache, read: &Read<'_>) -> Result<Tensor<2>> {
        let end = cache.note(read)?;
        let (length, count) = (cache.length(), read.positions.len());
        let positions = || read.positions.iter().copied();
        let angles = self.angles(positions());
        let rotary = Rotary::new(&angles, self.shape.head_dim, &self.device);
        let is_fused = self.ops == Ops::Fused
            && self.shape.qk_norm
            && crossover_ops::is_processor(&self.device);
        let reading = is_fused.then(|| Reading {
            windows: cache.rows(),
            length,
            queries: self.shape.num_attention_heads,
            keys: self.shape.num_key_value_heads,
            head_dim: self.shape.head_dim,
            eps: self.eps as f32,
            rows: read.rows.to_vec(),
            positions: read.positions.to_vec(),
            ends: positions()
                .map(|position| read.visibility.end(position, length))
                .collect(),
            cosine: angles.cosine,
            sine: angles.sine,
        });
        let bias = match reading {
            Some(_) => None,
            None => visibility_bias(read.visibility, positions(), end, length, &self.device),
        };
        let places = Places::new(read, cache, end, &self.device);
        let layers = &mut cache.layers;
        Ok(platform::among_workers(|| {
            let around = Surroundings {
                batch: read.rows.len(),
                length: count,
                rotary,
                bias,
                dropout: &Dropout::Off,
                ops: self.arithmetic(),
                fused: None,
                reading: reading.map(Arc::new),
                decisions: None,
            };
            let mut stream = self.embed(read.tokens);
            for (block, layer) in self.blocks.iter().zip(layers) {
                let memory = Memory {
                    layer,
                    places: &places,
                };
                stream = block.forward(stream, &around, Some(memory));
            }
            self.answered(stream, count, read.answers.clone())
        }))
    }

    fn angles(&self, positions: impl IntoIterator<Item = usize>) -> Angles {
        Angles::new(positions, self.shape.head_dim, self.rope_theta)
    }

    pub(super) fn embed(&self, tokens: &[u32]) -> Tensor<2> {
        self.embedding.clone().select(0, ids(tokens, &self.device))
    }

    /// Picks the same tokens of each sequence and normalises them: `[batch * sequence, hidden_size]` ->
    /// `[batch * answers, hidden_size]`.
    pub(super) fn answered(
        &self,
        stream: Tensor<2>,
        sequence: usize,
        answers: Range<usize>,
    ) -> Tensor<2> {
        let answered = if answers.len() == sequence {
            stream
        } else {
            let [tokens, width] = stream.dims();
            let batch = tokens / sequence;
            let picked: Tensor<3> =
                stream
                    .reshape([batch, sequence, width])
                    .narrow(1, answers.start, answers.len());
            picked.reshape([batch * answers.len(), width])
        };
        self.arithmetic().rms_norm(answered, &self.norm, self.eps)
    }

    /// Computes windows in shares at the same time, in their order. The processor's elementwise operations use one thread
    /// each, so a share for each thread keeps all of them busy; a GPU takes them whole.
    fn in_shares<Output: Send>(
        &self,
        windows: Range<usize>,
        task: impl Fn(Range<usize>) -> Output + Send + Sync,
    ) -> Vec<Output> {
        let is_processor = crossover_ops::is_processor(&self.device);
        let count = if is_processor { platform::workers() } else { 1 };
        platform::in_parallel(platform::shares(windows, count), task)
    }

    /// Logits of every id, MASK included: `[rows, hidden_size]` -> `[rows, vocab_size]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.arithmetic().linear(hidden, self.answers())
    }

    /// Log-probabilities over what can be predicted, all ids but MASK: `[rows, hidden_size]` -> `[rows, vocab_size - 1]`.
    pub fn predictions(&self, hidden: Tensor<2>) -> Tensor<2> {
        let predicted = self.answers().clone().narrow(0, 0, self.classes());
        log_softmax(self.arithmetic().linear(hidden, &predicted), 1)
    }

    /// The output matrix.
    fn answers(&self) -> &Tensor<2> {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Ids that can be predicted: all but MASK, the last.
    fn classes(&self) -> usize {
        self.shape.vocab_size - 1
    }

    /// Cross-entropy of each target, nats: ids `[batch * copies * length]` and `[batch * length]` -> `[batch * length]`.
    pub fn cross_entropy(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
        dropout: &Dropout,
    ) -> Tensor<1> {
        self.entropies(self.hidden(inputs, length, visibility, dropout), targets)
    }

    /// Cross-entropy of each target, nats: `[rows, hidden_size]` -> `[rows]`.
    fn entropies(&self, hidden: Tensor<2>, targets: &[u32]) -> Tensor<1> {
        let rows = targets.len();
        if self.ops == Ops::Fused && !self.device.is_autodiff() {
            let (matrix, targets) = (self.answers().clone(), targets.to_vec());
            return crossover_ops::cross_entropy_rows(hidden, matrix, self.classes(), targets);
        }
        let targets = ids(targets, &self.device).reshape([rows, 1]);
        self.predictions(hidden)
            .gather(1, targets)
            .reshape([rows])
            .neg()
    }

    /// The weighted sum of cross-entropies, nats: ids as in [`Self::cross_entropy`], weights `[batch * length]` -> `[1]`.
    pub fn cross_entropy_sum(
        &self,
        inputs: &[u32],
        targets: &[u32],
        weights: Vec<f32>,
        length: usize,
        visibility: Visibility,
        dropout: &Dropout,
    ) -> Tensor<1> {
        let hidden = self.hidden(inputs, length, visibility, dropout);
        self.entropy_sum(hidden, targets, weights)
    }

    /// [`Self::cross_entropy_sum`], and beside it what the routers' decisions cost in training, summed over windows and layers;
    /// `None` where nothing is charged for them.
    pub fn training_losses(
        &self,
        inputs: &[u32],
        targets: &[u32],
        weights: Vec<f32>,
        length: usize,
        visibility: Visibility,
        dropout: &Dropout,
    ) -> (Tensor<1>, Option<Tensor<1>>) {
        let decisions = Decisions::default();
        let around = Surroundings {
            decisions: self.charged().map(|_| &decisions),
            ..self.surroundings(inputs, length, visibility, dropout)
        };
        let hidden = self.through(inputs, length, &around);
        let nats = self.entropy_sum(hidden, targets, weights);
        (nats, self.router_loss(&decisions, around.length))
    }

    /// The mixture whose routers cost something in training.
    pub(super) fn charged(&self) -> Option<&Experts> {
        let experts = self.shape.experts.as_ref();
        experts.filter(|experts| experts.balance_weight > 0.0 || experts.z_weight > 0.0)
    }

    /// What decisions cost, summed over sequences of `length` tokens.
    pub(super) fn router_loss(&self, decisions: &Decisions, length: usize) -> Option<Tensor<1>> {
        decisions.loss(self.charged()?, length)
    }

    /// The weighted sum of cross-entropies, nats: `[rows, hidden_size]` -> `[1]`.
    pub(super) fn entropy_sum(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        weights: Vec<f32>,
    ) -> Tensor<1> {
        match self.ops {
            Ops::Fused => {
                let asked = Asked {
                    classes: self.classes(),
                    targets: targets.to_vec(),
                    weights,
                    operands: self.operands,
                };
                crossover_ops::cross_entropy_sum(hidden, self.answers().clone(), asked)
            }
            Ops::Reference => {
                let nats = self.entropies(hidden, targets);
                let count = weights.len();
                let weights = TensorData::new(weights, [count]);
                (nats * Tensor::from_data(weights, &self.device)).sum()
            }
        }
    }

    /// Reads the parameters back.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn weights(&self) -> Result<Weights> {
        read(&self.shape, &self.parameters()).await
    }
}

/// Reads tensors that are listed like the parameters (the parameters, their gradients, or an optimizer's moments).
///
/// # Errors
/// When the device fails.
pub async fn read(shape: &Shape, tensors: &[&Tensor<2>]) -> Result<Weights> {
    let reading = tensors
        .iter()
        .fold(Transaction::default(), |reading, tensor| {
            reading.register((*tensor).clone())
        });
    let read = reading.execute_async().await.map_err(device_failed)?;
    let mut weights = Weights::default();
    for (parts, data) in joined(shape).into_iter().zip(read) {
        let mut values = data.try_into_vec::<f32>().map_err(|error| {
            Error::work(format!("the device returned no f32 values: {error:?}"))
        })?;
        for (name, sizes) in parts {
            let behind = values.split_off(sizes.iter().product());
            let values = std::mem::replace(&mut values, behind);
            let shape = sizes;
            weights.0.insert(name, HostTensor { shape, values });
        }
    }
    Ok(weights)
}

fn ids(tokens: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// The values of all these, one after the other.
pub(crate) async fn values<const D: usize>(tensors: Vec<Tensor<D>>) -> Result<Vec<f32>> {
    if tensors.is_empty() {
        return Ok(Vec::new());
    }
    let reading = tensors
        .into_iter()
        .fold(Transaction::default(), Transaction::register);
    let read = reading.execute_async().await.map_err(device_failed)?;
    Ok(read.iter().flat_map(|data| data.iter::<f32>()).collect())
}

/// The error of a device that could not finish its work.
pub(crate) fn device_failed(error: impl std::fmt::Debug) -> Error {
    Error::work(format!("the device failed: {error:?}"))
        .with_hint("continue from the last checkpoint with `--resume`, or use `--device cpu`")
}

impl Predictor for Decoder {
    fn vocab_size(&self) -> usize {
        self.shape.vocab_size
    }

    async fn nats(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f64>> {
        let copies = visibility.copies();
        let own = self.ranks.share(0..targets.len() / length);
        let nats = self.in_shares(own, |windows| {
            let [start, end] = [windows.start * length, windows.end * length];
            let (inputs, targets) = (&inputs[start * copies..end * copies], &targets[start..end]);
            self.cross_entropy(inputs, targets, length, visibility, &Dropout::Off)
        });
        let own = values(nats).await?.into_iter().map(f64::from).collect();
        Ok(self.ranks.gather(own))
    }

    async fn log_probabilities(
        &self,
        inputs: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f32>> {
        let sequence = visibility.copies() * length;
        let predicted = self.in_shares(0..inputs.len() / sequence, |windows| {
            let inputs = &inputs[windows.start * sequence..windows.end * sequence];
            self.predictions(self.hidden(inputs, length, visibility, &Dropout::Off))
        });
        values(predicted).await
    }

    fn cache(&self, rows: usize, length: usize) -> Cache {
        Cache::new(rows, length, self.blocks.len())
    }

    async fn read(&self, cache: &mut Cache, read: &Read<'_>) -> Result<Vec<f32>> {
        let hidden = self.read_hidden(cache, read)?;
        values(vec![self.predictions(hidden)]).await
    }
}
