//! One model in training: its parameters, its optimizer, and the counters that a resumed run continues.

use std::cell::RefCell;
use std::ops::Range;

use burn::tensor::{Tensor, Transaction};
use serde::Serialize;

use crate::device::Selected;
use crate::error::{Error, Result};
use crate::laws::flops;
use crate::model::decoder::{device_failed, read, values};
use crate::model::recompute::Differentiated;
use crate::model::{Decoder, Dropout, ModelConfig, Shape, Weights};
use crate::objective::{Batch, Factorization, Likelihood, Objective, autoregressive, masked};
use crate::platform::{self, Instant};
use crate::random::{Purpose, Stream};
use crate::train::checkpoint::{Checkpoint, FIRST, Moments, SECOND, State, TRAINED};
use crate::train::index::Shard;
use crate::train::optimizer::{AdamW, GradientList};
use crate::train::precision::LossScale;
use crate::train::shard::{self, Layout, Piece, pieces_of};
use crate::train::{RunConfig, schedule};

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    objective: Objective,
    config: RunConfig,
    shape: Shape,
    decoder: Decoder,
    /// The exponential moving average of the weights, where one is kept.
    average: Option<Decoder>,
    device: Selected,
    optimizer: AdamW,
    /// What this rank moves, where each has a part of the optimizer's state.
    pieces: Option<Vec<Piece>>,
    /// The counters, as the next checkpoint will hold them.
    pub state: State,
}

/// What a step left on the device to be read.
#[derive(Debug)]
pub struct Pending {
    /// Loss of each likelihood that was trained, nats per token.
    losses: Vec<(Likelihood, Tensor<1>)>,
    norm: Tensor<2>,
    /// The counters after the step.
    pub state: State,
    /// The step's learning rate.
    pub learning_rate: f64,
    /// Tokens of the step.
    pub tokens: u64,
    /// Whether nothing was moved, as a gradient of the scaled loss was no finite number.
    pub is_skipped: bool,
    /// When the step began.
    pub began: Instant,
    /// Where its time went.
    pub spent: Spent,
}

/// Seconds of a step's parts. A GPU only notes what it is to do meanwhile, so there they say nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Drawing masks and building batches.
    pub data_seconds: f64,
    /// Forward passes, the gradients of the output layer's logits included, as they are computed where the logits are. The
    /// mean over the shares that run beside each other.
    pub forward_seconds: f64,
    /// Backward passes, likewise.
    pub backward_seconds: f64,
    /// Adding gradients of shares, their norm, and the update.
    pub optimizer_seconds: f64,
    /// Exchanging numbers with the other ranks, and waiting for them; none of the above.
    pub communication_seconds: f64,
}

/// A step's figures, read from the device.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// Training loss of each likelihood that was trained, nats per token.
    pub nats: Vec<(Likelihood, f64)>,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
}

/// What a step does with some of its windows.
struct Part {
    likelihood: Likelihood,
    batch: Batch,
    /// The windows' share of the step, by which their loss counts.
    share: f64,
    /// The first window's number in the step.
    first: usize,
}

/// The average's decay after `step` steps: as set, and less at the start, so that the initial weights don't linger
/// (`min(d, (1 + n) / (10 + n))`, as MDLM's and BD3-LM's `models/ema.py` do).
fn average_decay(decay: f64, step: u64) -> f64 {
    let step = step as f64;
    decay.min((1.0 + step) / (10.0 + step))
}

impl Trainer {
    /// A model at its first step.
    ///
    /// # Errors
    /// When the weights don't fit the shape, or the device doesn't compute in the run's precision.
    pub fn new(
        objective: Objective,
        config: &RunConfig,
        shape: &Shape,
        weights: &Weights,
        device: &Selected,
    ) -> Result<Self> {
        let precision = config.train.precision;
        precision.check_device(&device.device, &device.description)?;
        let decoder =
            Decoder::new(&config.model, shape, weights, &device.device)?.with_ops(config.train.ops);
        let ranks = &device.ranks;
        let is_sharded = config.train.zero_stage > 0 && ranks.count() > 1;
        let pieces = is_sharded
            .then(|| Layout::of(&decoder.parameters()).pieces(ranks.rank(), ranks.count()));
        let optimizer = match &pieces {
            Some(pieces) => AdamW::new(&pieces_of(pieces, &decoder.parameters())),
            None => AdamW::new(decoder.parameters()),
        };
        Ok(Self {
            objective,
            config: config.clone(),
            shape: shape.clone(),
            optimizer,
            pieces,
            average: config.train.ema_decay.map(|_| decoder.clone()),
            decoder,
            device: device.clone(),
            state: State {
                loss_scale: LossScale::of(precision, None),
                ..State::new(config.seed)
            },
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
        // With an average the file's weights are that; the optimizer goes on from its own.
        let trained = checkpoint.trained_weights.as_ref();
        let current = trained.unwrap_or(&checkpoint.weights);
        let mut trainer = Self::new(objective, config, shape, current, device)?;
        if trainer.average.is_some() {
            let average = Decoder::new(&config.model, shape, &checkpoint.weights, &device.device)?
                .with_ops(config.train.ops);
            trainer.average = Some(average);
        }
        let pieces = trainer.pieces.as_deref();
        trainer.optimizer = AdamW::from_weights(
            &config.model,
            shape,
            &trainer.decoder,
            [first, second],
            pieces,
        )?;
        trainer.state = State {
            loss_scale: LossScale::of(config.train.precision, checkpoint.state.loss_scale),
            ..checkpoint.state.clone()
        };
        Ok(trainer)
    }

    /// What this model is trained to do.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The model as it is measured, kept and used: the average of its weights where one is kept.
    pub fn model(&self) -> &Decoder {
        self.average.as_ref().unwrap_or(&self.decoder)
    }

    /// Takes one optimizer step on `[batch * length]` tokens, of `steps` in all: those of all ranks, each of which computes its
    /// share. A rank by itself reads nothing from the device, except in f16 whether the gradients are finite. Others may run in
    /// between, where the platform asks for that.
    ///
    /// # Errors
    /// When the device fails; a rank by itself learns that when the figures are read.
    pub async fn step(&mut self, tokens: &[u32], length: usize, steps: u64) -> Result<Pending> {
        let began = platform::now();
        let train = &self.config.train;
        let index = self.state.step;
        let warmup = train.warmup(steps);
        let learning_rate = schedule::learning_rate(train, warmup, index, steps);
        let parts = self.parts(tokens, length);
        let mut spent = Spent {
            data_seconds: began.elapsed().as_secs_f64(),
            ..Spent::default()
        };
        let skipped = self.state.skipped_steps();
        let scale = self.loss_scale();
        let mut gradients: Option<GradientList> = None;
        let mut losses = Vec::new();
        for part in &parts {
            let mut part_loss: Option<Tensor<1>> = None;
            let sequences = part.batch.sequences();
            let own = self.device.ranks.share(0..sequences);
            let micro_batch = train.micro_batch.unwrap_or(sequences).min(sequences);
            let turn = micro_batch.min(self.turn(&part.batch));
            for start in own.clone().step_by(turn) {
                if start > own.start {
                    platform::yield_now().await;
                }
                let end = (start + turn).min(own.end);
                let shares = platform::shares(start..end, self.workers());
                let computed = platform::in_parallel(shares, |share| self.backward(part, share));
                let adding = platform::now();
                let beside = computed.len() as f64;
                for (gradient, loss, [forward, backward]) in computed {
                    spent.forward_seconds += forward / beside;
                    spent.backward_seconds += backward / beside;
                    gradients = Some(match gradients {
                        Some(sum) => sum + gradient,
                        None => gradient,
                    });
                    part_loss = Some(match part_loss {
                        Some(sum) => sum + loss,
                        None => loss,
                    });
                }
                spent.optimizer_seconds += adding.elapsed().as_secs_f64();
            }
            // A part may have fewer windows than there are ranks.
            let loss = part_loss.unwrap_or_else(|| Tensor::zeros([1], self.decoder.device()));
            losses.push((part.likelihood, loss.div_scalar(part.share * scale)));
        }
        let gradients = gradients.unwrap_or_else(|| GradientList::zeros(&self.decoder));
        let updating = platform::now();
        let gradients = match self.state.loss_scale {
            Some(_) => gradients.divided(scale),
            None => gradients,
        };
        let exchanged = self.device.ranks.exchanging();
        let norm = if self.device.ranks.count() == 1 {
            let norm = self.global_norm(&gradients);
            if self.is_to_move(&norm).await? {
                self.update(gradients, &norm, learning_rate);
            }
            norm
        } else {
            self.add_losses(&mut losses).await?;
            self.update_together(gradients, learning_rate).await?
        };
        let is_skipped = self.state.skipped_steps() > skipped;
        let train = &self.config.train;
        if let (Some(average), Some(decay), false) =
            (&mut self.average, train.ema_decay, is_skipped)
        {
            let decay = average_decay(decay, index + 1);
            let pairs = average
                .parameters_mut()
                .into_iter()
                .zip(self.decoder.parameters());
            for (mean, value) in pairs {
                *mean = mean.clone().mul_scalar(decay) + value.clone().mul_scalar(1.0 - decay);
            }
        }
        let exchanging = (self.device.ranks.exchanging() - exchanged).as_secs_f64();
        spent.communication_seconds = exchanging;
        spent.optimizer_seconds += updating.elapsed().as_secs_f64() - exchanging;

        self.state.step += 1;
        self.state.tokens += tokens.len() as u64;
        self.state.flops += parts
            .iter()
            .map(|Part { batch, .. }| {
                let copies = batch.visibility.copies();
                flops::training(&self.shape, batch.length, copies, batch.sequences())
            })
            .sum::<f64>();
        Ok(Pending {
            losses,
            norm,
            state: self.state.clone(),
            learning_rate,
            tokens: tokens.len() as u64,
            is_skipped,
            began,
            spent,
        })
    }

    /// What the loss is multiplied by before it is differentiated.
    fn loss_scale(&self) -> f64 {
        self.state.loss_scale.map_or(1.0, |scale| scale.scale)
    }

    /// Whether parameters are to be moved by gradients of this norm; one that is no finite number only changes the scale of the
    /// loss, where there is one. It is the same on all ranks.
    async fn is_to_move(&mut self, norm: &Tensor<2>) -> Result<bool> {
        let Some(scale) = &mut self.state.loss_scale else {
            return Ok(true);
        };
        let norm = values(vec![norm.clone()]).await?;
        Ok(scale.take(norm.iter().all(|norm| norm.is_finite())))
    }

    /// The number of the optimizer's next step, from 1.
    fn next_update(&self) -> u64 {
        self.state.step + 1 - self.state.skipped_steps()
    }

    /// Moves every parameter.
    fn update(&mut self, gradients: GradientList, norm: &Tensor<2>, learning_rate: f64) {
        let number = self.next_update();
        let layout = Layout::of(&self.decoder.parameters());
        let parameters = self.decoder.parameters_mut().into_iter().enumerate();
        self.optimizer.update(
            parameters.map(|(tensor, parameter)| (parameter, layout.decays(tensor))),
            gradients,
            norm.clone(),
            &self.config.train,
            learning_rate,
            number,
        );
    }

    /// Makes each loss the sum over all ranks.
    async fn add_losses(&self, losses: &mut [(Likelihood, Tensor<1>)]) -> Result<()> {
        let own = losses.iter().map(|(_, loss)| loss.clone()).collect();
        let mut sums = values(own).await?;
        self.device.ranks.sum(&mut sums);
        for ((_, loss), sum) in losses.iter_mut().zip(sums) {
            *loss = Tensor::from_data([sum], self.decoder.device());
        }
        Ok(())
    }

    fn global_norm(&self, gradients: &GradientList) -> Tensor<2> {
        gradients.global_norm(self.config.train.ops)
    }

    /// Moves every parameter by the gradients of all ranks, whose global norm this gives.
    async fn update_together(
        &mut self,
        gradients: GradientList,
        learning_rate: f64,
    ) -> Result<Tensor<2>> {
        let (ranks, device) = (self.device.ranks.clone(), self.decoder.device().clone());
        let layout = Layout::of(&self.decoder.parameters());
        let gradients = gradients.into_tensors();
        let Some(pieces) = self.pieces.clone() else {
            let sums = shard::sum(gradients, &layout, &ranks, &device).await?;
            let gradients = GradientList::new(sums);
            let norm = self.global_norm(&gradients);
            if self.is_to_move(&norm).await? {
                self.update(gradients, &norm, learning_rate);
            }
            return Ok(norm);
        };
        let own = shard::sum_part(gradients, &layout, &pieces, &ranks, &device).await?;
        let own = GradientList::new(own);
        let norm = match pieces.is_empty() {
            true => 0.0,
            false => values(vec![self.global_norm(&own)]).await?[0],
        };
        let square = f64::from(norm).powi(2);
        let norm = ranks.gather(vec![square]).iter().sum::<f64>().sqrt() as f32;
        let norm = Tensor::from_data([[norm]], &device);
        if !self.is_to_move(&norm).await? {
            return Ok(norm);
        }
        let number = self.next_update();
        let mut parameters = pieces_of(&pieces, &self.decoder.parameters());
        let decays = pieces.iter().map(|piece| layout.decays(piece.tensor));
        self.optimizer.update(
            parameters.iter_mut().zip(decays),
            own,
            norm.clone(),
            &self.config.train,
            learning_rate,
            number,
        );
        let moved = shard::join(parameters, &layout, &ranks, &device).await?;
        for (parameter, moved) in self.decoder.parameters_mut().into_iter().zip(moved) {
            *parameter = moved;
        }
        Ok(norm)
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

    /// How many sequences are computed before others may run: where a browser's worker has one thread, as many as leave
    /// time to hear that somebody wants to pause.
    fn turn(&self, batch: &Batch) -> usize {
        match platform::TURN_FLOPS {
            Some(most) if self.device.is_processor() => {
                let copies = batch.visibility.copies();
                (most / flops::training(&self.shape, batch.length, copies, 1)) as usize
            }
            _ => batch.sequences(),
        }
        .max(1)
    }

    /// What each window of the step is used for: one part for most objectives, two for the dual one.
    fn parts(&self, tokens: &[u32], length: usize) -> Vec<Part> {
        let windows = tokens.len() / length;
        let cut = match self.objective {
            Objective::Dual => {
                let share = self.config.objective.dual_fraction * windows as f64;
                (share.round() as usize).min(windows)
            }
            _ => windows,
        };
        let ranges = [0..cut, cut..windows];
        self.objective
            .likelihoods()
            .iter()
            .zip(ranges)
            .filter(|(_, range)| !range.is_empty())
            .map(|(likelihood, range)| Part {
                likelihood: *likelihood,
                batch: self.batch(
                    *likelihood,
                    &tokens[range.start * length..range.end * length],
                    length,
                ),
                share: range.len() as f64 / windows as f64,
                first: range.start,
            })
            .collect()
    }

    fn batch(&self, likelihood: Likelihood, tokens: &[u32], length: usize) -> Batch {
        let mask_id = (self.shape.vocab_size - 1) as u32;
        let config = &self.config.objective;
        let stream = |purpose| Stream::new(self.config.seed, purpose, self.state.step, 0);
        match likelihood.factorization(length, config.block_size) {
            Factorization::LeftToRight => autoregressive::batch(
                tokens,
                length,
                mask_id,
                config.input_mask,
                &mut stream(Purpose::InputMask),
            ),
            Factorization::Blocks { size } => masked::batch(
                tokens,
                length,
                size,
                mask_id,
                config.estimator,
                config.random_length,
                &mut stream(Purpose::Masking),
            ),
        }
    }

    /// Gradients and loss of some of a part's sequences, both times the loss's scale, and the seconds forward and back.
    fn backward(
        &self,
        part: &Part,
        sequences: Range<usize>,
    ) -> (GradientList, Tensor<1>, [f64; 2]) {
        let began = platform::now();
        let batch = &part.batch;
        let numbers = part.first + sequences.start..part.first + sequences.end;
        let dropout = self.dropout(numbers);
        let rows = sequences.start * batch.length..sequences.end * batch.length;
        let read =
            sequences.start * batch.sequence_length()..sequences.end * batch.sequence_length();
        let weights: Vec<f32> = batch.weights[rows.clone()]
            .iter()
            .map(|weight| weight * (part.share * self.loss_scale()) as f32)
            .collect();
        let (inputs, targets) = (&batch.inputs[read], &batch.targets[rows]);
        let (length, visibility) = (batch.length, batch.visibility);
        // Routers cost the mean over the step's windows of what each of them costs.
        let router_weight = part.share / batch.sequences() as f64;
        let training = (self.decoder.clone()).with_operands(self.config.train.precision.operands());
        if self.config.train.recompute {
            let Differentiated { loss, gradients } = training.differentiated_by_block(
                inputs,
                targets,
                weights,
                length,
                visibility,
                &dropout,
                router_weight,
            );
            // Forward and back can't be told apart.
            let seconds = [0.0, began.elapsed().as_secs_f64()];
            return (GradientList::new(gradients), loss, seconds);
        }
        let decoder = training.tracked();
        let (loss, routers) =
            decoder.training_losses(inputs, targets, weights, length, visibility, &dropout);
        let forward = began.elapsed().as_secs_f64();
        let mut gradients = match routers {
            None => loss.backward(),
            Some(routers) => (loss.clone() + routers.mul_scalar(router_weight)).backward(),
        };
        let gradients = GradientList::take(&decoder, &mut gradients);
        let seconds = [forward, began.elapsed().as_secs_f64() - forward];
        (gradients, loss.without_autodiff(), seconds)
    }

    /// The dropout of some of a batch's sequences: on the processor a stream for each, so that masks are the same however
    /// the batch is shared out.
    fn dropout(&self, sequences: Range<usize>) -> Dropout {
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
            Dropout::Device {
                rate,
                seed: stream(sequences.start).bits(),
            }
        }
    }

    /// Reads a step's figures.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn read(pending: &Pending) -> Result<StepResult> {
        let read = pending
            .losses
            .iter()
            .fold(
                Transaction::default().register(pending.norm.clone()),
                |reading, (_, loss)| reading.register(loss.clone()),
            )
            .execute_async()
            .await
            .map_err(device_failed)?;
        let mut values = read
            .iter()
            .map(|data| data.iter::<f32>().next().map_or(f64::NAN, f64::from));
        let grad_norm = values.next().unwrap_or(f64::NAN);
        let likelihoods = pending.losses.iter().map(|(likelihood, _)| *likelihood);
        Ok(StepResult {
            nats: likelihoods.zip(values).collect(),
            grad_norm,
        })
    }

    /// First and second moments of every parameter.
    async fn moments(&self) -> Result<[Vec<Tensor<2>>; 2]> {
        let (first, second) = self.optimizer.moments();
        if self.pieces.is_none() {
            return Ok([first.to_vec(), second.to_vec()]);
        }
        Ok([self.of_all(first).await?, self.of_all(second).await?])
    }

    /// The whole tensors of which these are this rank's pieces.
    async fn of_all(&self, own: &[Tensor<2>]) -> Result<Vec<Tensor<2>>> {
        let layout = Layout::of(&self.decoder.parameters());
        let (ranks, device) = (&self.device.ranks, self.decoder.device());
        shard::join(own.to_vec(), &layout, ranks, device).await
    }

    /// Gives what [`Trainer::checkpoint`] needs of this rank to one that asks for it, and reads nothing else.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn give_part(&self) -> Result<()> {
        if self.pieces.is_some() {
            let (first, second) = self.optimizer.moments();
            self.of_all(first).await?;
            self.of_all(second).await?;
        }
        Ok(())
    }

    /// The model, its moments and its counters, read back from the device. Where each rank has a part of the moments, all
    /// others must ask too, or give theirs ([`Trainer::give_part`]).
    ///
    /// # Errors
    /// When the device fails.
    pub async fn checkpoint(&self, tokenizer: &crate::corpus::Tokenizer) -> Result<Checkpoint> {
        let [first, second] = self.moments().await?;
        Ok(Checkpoint {
            weights: self.model().weights().await?,
            trained_weights: match self.average {
                Some(_) => Some(self.decoder.weights().await?),
                None => None,
            },
            moments: Some(Moments {
                first: read(&self.shape, &first.iter().collect::<Vec<_>>()).await?,
                second: read(&self.shape, &second.iter().collect::<Vec<_>>()).await?,
            }),
            ..self.described(tokenizer)
        })
    }

    /// A checkpoint of this model without its tensors.
    pub fn described(&self, tokenizer: &crate::corpus::Tokenizer) -> Checkpoint {
        Checkpoint {
            objective: self.objective,
            model: ModelConfig {
                vocab_size: Some(self.shape.vocab_size),
                ..self.config.model.clone()
            },
            length: self.config.corpus.length.unwrap_or_default(),
            block_size: match self.objective {
                Objective::Block => self.config.objective.block_size,
                _ => None,
            },
            tokenizer: tokenizer.clone(),
            weights: Weights::default(),
            trained_weights: None,
            moments: None,
            state: self.state.clone(),
        }
    }

    /// This rank's part of the state, read back from its device: no other rank has to ask, or is told of it.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn shard(&self) -> Result<Shard> {
        let ranks = &self.device.ranks;
        let layout = Layout::of(&self.decoder.parameters());
        let pieces = layout.pieces(ranks.rank(), ranks.count());
        let own = async |whole: Vec<&Tensor<2>>| values(pieces_of(&pieces, &whole)).await;
        let mut groups = vec![("", own(self.model().parameters()).await?)];
        let (first, second) = self.optimizer.moments();
        for (prefix, moments) in [(FIRST, first), (SECOND, second)] {
            let values = match self.pieces {
                Some(_) => values(moments.to_vec()).await?,
                None => own(moments.iter().collect()).await?,
            };
            groups.push((prefix, values));
        }
        if self.average.is_some() {
            groups.push((TRAINED, own(self.decoder.parameters()).await?));
        }
        Ok(Shard {
            start: ranks.rank() * layout.part(ranks.count()),
            groups,
        })
    }
}
