//! One model in training: its parameters, its optimizer, and the counters that a resumed run continues.

use std::cell::RefCell;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData, Transaction};

use crate::device::Selected;
use crate::error::{Error, Result};
use crate::laws::flops;
use crate::model::decoder::{device_failed, read};
use crate::model::{Decoder, Dropout, ModelConfig, Shape, Weights};
use crate::objective::{Batch, Objective, autoregressive, masked};
use crate::platform::{self, Instant};
use crate::random::{Purpose, Stream};
use crate::train::checkpoint::{Checkpoint, Moments, State};
use crate::train::optimizer::{AdamW, GradientList};
use crate::train::{RunConfig, schedule};

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    objective: Objective,
    config: RunConfig,
    shape: Shape,
    decoder: Decoder,
    device: Selected,
    optimizer: AdamW,
    /// The counters, as the next checkpoint will hold them.
    pub state: State,
}

/// What a step left on the device to be read.
#[derive(Debug)]
pub struct Pending {
    loss: Tensor<1>,
    norm: Tensor<2>,
    /// The counters after the step.
    pub state: State,
    /// The step's learning rate.
    pub learning_rate: f64,
    /// Tokens of the step.
    pub tokens: u64,
    /// When the step began.
    pub began: Instant,
}

/// A step's figures, read from the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepResult {
    /// Training loss, nats per token.
    pub nats: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
}

/// Cuts sequences into at most `count` shares whose sizes differ by one at most.
fn shares(sequences: Range<usize>, count: usize) -> Vec<Range<usize>> {
    let (start, total) = (sequences.start, sequences.len());
    let count = count.clamp(1, total);
    (0..count)
        .map(|share| start + share * total / count..start + (share + 1) * total / count)
        .collect()
}

impl Trainer {
    /// A model at its first step.
    ///
    /// # Errors
    /// When the weights don't fit the shape.
    pub fn new(
        objective: Objective,
        config: &RunConfig,
        shape: &Shape,
        weights: &Weights,
        device: &Selected,
    ) -> Result<Self> {
        let decoder = Decoder::new(&config.model, shape, weights, &device.device)?;
        Ok(Self {
            objective,
            config: config.clone(),
            shape: shape.clone(),
            optimizer: AdamW::new(&decoder),
            decoder,
            device: device.clone(),
            state: State::new(config.seed),
        })
    }

    /// A model as a checkpoint left it.
    ///
    /// # Errors
    /// When the checkpoint has no optimizer state or doesn't fit the shape.
    pub fn from_checkpoint(
        objective: Objective,
        config: &RunConfig,
        shape: &Shape,
        checkpoint: &Checkpoint,
        device: &Selected,
    ) -> Result<Self> {
        let Moments { first, second } = checkpoint.moments.as_ref().ok_or_else(|| {
            Error::input(
                "the checkpoint has weights only, and training needs the optimizer's moments",
            )
            .with_hint("resume from `checkpoints/last-*.safetensors` of a run directory")
        })?;
        let mut trainer = Self::new(objective, config, shape, &checkpoint.weights, device)?;
        trainer.optimizer =
            AdamW::from_weights(&config.model, shape, &trainer.decoder, first, second)?;
        trainer.state = checkpoint.state.clone();
        Ok(trainer)
    }

    /// What this model is trained to do.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The model as it is now.
    pub fn model(&self) -> &Decoder {
        &self.decoder
    }

    /// Takes one optimizer step on `[batch * length]` tokens, of `steps` in all. Nothing is read from the device.
    pub fn step(&mut self, tokens: &[u32], length: usize, steps: u64) -> Pending {
        let began = platform::now();
        let train = &self.config.train;
        let index = self.state.step;
        let warmup = train.warmup(steps);
        let learning_rate = schedule::learning_rate(train, warmup, index, steps);
        let batch = self.batch(tokens, length);
        let sequences = batch.inputs.len() / batch.length;
        let micro_batch = train.micro_batch.unwrap_or(sequences);
        let mut total: Option<(GradientList, Tensor<1>)> = None;
        for start in (0..sequences).step_by(micro_batch) {
            let end = (start + micro_batch).min(sequences);
            let shares = shares(start..end, self.workers());
            let parts = platform::in_parallel(shares, |share| self.backward(&batch, share));
            for (gradients, loss) in parts {
                total = Some(match total {
                    Some((sum, total_loss)) => (sum + gradients, total_loss + loss),
                    None => (gradients, loss),
                });
            }
        }
        let (gradients, loss) = total.expect("a batch has at least one window");
        let norm = gradients.global_norm();
        self.optimizer.update(
            &mut self.decoder,
            gradients,
            norm.clone(),
            train,
            learning_rate,
            index + 1,
        );

        let trained = batch.targets.len() as u64;
        self.state.step += 1;
        self.state.tokens += tokens.len() as u64;
        self.state.flops += flops::training_per_token(&self.shape, batch.length) * trained as f64;
        Pending {
            loss,
            norm,
            state: self.state.clone(),
            learning_rate,
            tokens: tokens.len() as u64,
            began,
        }
    }

    /// How many shares of a batch are computed at the same time. The processor backend's elementwise operations use one
    /// thread each, so a share for each thread keeps all of them busy; a GPU takes the batch whole.
    fn workers(&self) -> usize {
        if self.device.is_processor() {
            self.device.threads
        } else {
            1
        }
    }

    fn batch(&self, tokens: &[u32], length: usize) -> Batch {
        let mask_id = (self.shape.vocab_size - 1) as u32;
        let config = &self.config.objective;
        let stream = |purpose| Stream::new(self.config.seed, purpose, self.state.step, 0);
        match self.objective {
            Objective::Autoregressive => autoregressive::batch(
                tokens,
                length,
                mask_id,
                config.input_mask,
                &mut stream(Purpose::InputMask),
            ),
            Objective::Masked => masked::batch(
                tokens,
                length,
                mask_id,
                config.estimator,
                config.random_length,
                &mut stream(Purpose::Masking),
            ),
        }
    }

    /// Gradients and loss of some of a batch's sequences.
    fn backward(&self, batch: &Batch, sequences: Range<usize>) -> (GradientList, Tensor<1>) {
        let decoder = self.decoder.tracked();
        let dropout = self.dropout(decoder.device(), sequences.clone());
        let rows = sequences.start * batch.length..sequences.end * batch.length;
        let weights = Tensor::<1>::from_data(
            TensorData::new(batch.weights[rows.clone()].to_vec(), [rows.len()]),
            self.decoder.device(),
        );
        let nats = decoder.cross_entropy(
            &batch.inputs[rows.clone()],
            &batch.targets[rows],
            batch.length,
            batch.visibility,
            &dropout,
        );
        let loss = (nats * weights).sum();
        let mut gradients = loss.backward();
        let gradients = GradientList::take(&decoder, &mut gradients);
        (gradients, loss.without_autodiff())
    }

    /// The dropout of some of a batch's sequences: on the processor a stream for each, so that masks are the same however
    /// the batch is shared out.
    fn dropout(&self, device: &Device, sequences: Range<usize>) -> Dropout {
        let rate = self.config.model.dropout;
        let stream = |sequence| {
            Stream::new(
                self.config.seed,
                Purpose::Dropout,
                self.state.step,
                sequence as u64,
            )
        };
        if rate == 0.0 {
            Dropout::Off
        } else if self.device.is_processor() {
            Dropout::Host {
                rate,
                streams: RefCell::new(sequences.map(stream).collect()),
            }
        } else {
            device.seed(stream(sequences.start).bits());
            Dropout::Device { rate }
        }
    }

    /// Reads a step's figures.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn read(pending: &Pending) -> Result<StepResult> {
        let read = Transaction::default()
            .register(pending.loss.clone())
            .register(pending.norm.clone())
            .execute_async()
            .await
            .map_err(device_failed)?;
        let mut values = read
            .iter()
            .map(|data| data.iter::<f32>().next().map_or(f64::NAN, f64::from));
        Ok(StepResult {
            nats: values.next().unwrap_or(f64::NAN),
            grad_norm: values.next().unwrap_or(f64::NAN),
        })
    }

    /// The model, its moments and its counters, read back from the device.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn checkpoint(&self, tokenizer: &crate::corpus::Tokenizer) -> Result<Checkpoint> {
        let (first, second) = self.optimizer.moments();
        Ok(Checkpoint {
            objective: self.objective,
            model: ModelConfig {
                vocab_size: Some(self.shape.vocab_size),
                ..self.config.model.clone()
            },
            length: self.config.corpus.length.unwrap_or_default(),
            tokenizer: tokenizer.clone(),
            weights: self.decoder.weights().await?,
            moments: Some(Moments {
                first: read(&self.shape, &first).await?,
                second: read(&self.shape, &second).await?,
            }),
            state: self.state.clone(),
        })
    }
}
