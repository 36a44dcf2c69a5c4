//! Mixed precision (Micikevicius et al. 2018, arXiv 1710.03740): linear layers multiply halves, and everything else stays f32:
//! the weights that are moved, their gradients and moments, sums, norms, attention, losses.
//!
//! f16 has so few exponents that small gradients would become 0, so the loss is multiplied by a scale before it is differentiated,
//! and the gradients are divided by it. The scale is sought while training goes on, as PyTorch's `GradScaler` does
//! (`torch/amp/grad_scaler.py`, with its constants): a step whose gradients are no finite numbers is skipped and halves it, and
//! after 2,000 good steps in a row it is doubled. bf16 has f32's exponents and needs no scale.

use burn::tensor::Device;
use crossover_ops::Operands;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Ops;
use crate::train::RunConfig;

/// What a model is trained in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MixedPrecision {
    /// Everything in f32.
    #[default]
    F32,
    /// Linear layers multiply bf16.
    Bf16,
    /// Linear layers multiply f16, and the loss is scaled.
    F16,
}

impl MixedPrecision {
    /// All, the widest first.
    const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];
    /// The names in flags and files.
    pub const NAMES: [&str; 3] = ["f32", "bf16", "f16"];

    /// Its name in flags and files.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// What linear layers multiply.
    pub fn operands(self) -> Operands {
        match self {
            Self::F32 => Operands::F32,
            Self::Bf16 => Operands::Bf16,
            Self::F16 => Operands::F16,
        }
    }

    /// Whether a device can train so: a GPU has to compute with the type. The processor rounds operands to it instead, for
    /// comparison.
    fn is_offered_by(self, device: &Device) -> bool {
        match self.operands().half() {
            None => true,
            Some(_) if crossover_ops::is_processor(device) => true,
            Some(half) => crossover_ops::runs_on(device) && device.supports_dtype(half),
        }
    }

    /// What a device can train in.
    pub fn offered_by(device: &Device) -> Vec<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|precision| precision.is_offered_by(device))
            .collect()
    }

    /// Whether halves are only imitated on a device.
    pub fn is_emulated_on(self, device: &Device) -> bool {
        self != Self::F32 && crossover_ops::is_processor(device)
    }

    /// Refuses what a configuration can't be trained in on any device.
    ///
    /// # Errors
    /// Says what stands against it.
    pub fn check(config: &RunConfig) -> Result<()> {
        let precision = config.train.precision;
        if precision == Self::F32 {
            return Ok(());
        }
        let name = precision.name();
        if config.train.ops == Ops::Reference {
            return Err(Error::input(format!(
                "`--precision {name}` and `--ops reference`: composed operations multiply f32 alone"
            ))
            .with_hint("leave out one of the two"));
        }
        if config.model.num_experts.is_some() {
            return Err(Error::input(format!(
                "`--precision {name}`: a mixture of experts is trained in f32 alone"
            ))
            .with_hint("use `--precision f32`, or leave out `--experts`"));
        }
        Ok(())
    }

    /// Refuses a device that doesn't compute so; `called` names it.
    ///
    /// # Errors
    /// Says what the device offers.
    pub fn check_device(self, device: &Device, called: &str) -> Result<()> {
        if self.is_offered_by(device) {
            return Ok(());
        }
        let offered: Vec<&str> = Self::offered_by(device)
            .iter()
            .map(|it| it.name())
            .collect();
        Err(Error::input(format!(
            "`--precision {}`: the device doesn't compute with that: {called}",
            self.name()
        ))
        .with_hint(format!(
            "it trains in {}; `--device cpu` imitates halves, more slowly",
            offered.join(" and ")
        )))
    }
}

/// What an f16 model's loss is multiplied by before it is differentiated, and how it got there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// The scale, a power of two.
    pub scale: f64,
    /// Steps since it was changed last.
    pub good_steps: u64,
    /// Steps of the run that moved nothing, as a gradient was no finite number.
    pub skipped_steps: u64,
}

impl LossScale {
    const FIRST: f64 = 65_536.0;
    /// Good steps in a row before the scale is doubled.
    const GROWTH_INTERVAL: u64 = 2_000;
    /// Gradients that don't fit with this scale don't fit at all.
    const LEAST: f64 = 1.0;

    /// The scale of a precision: as it was kept, or the first one.
    pub fn of(precision: MixedPrecision, kept: Option<Self>) -> Option<Self> {
        (precision == MixedPrecision::F16).then(|| {
            kept.unwrap_or(Self {
                scale: Self::FIRST,
                good_steps: 0,
                skipped_steps: 0,
            })
        })
    }

    /// Takes note of a step's gradients, and says whether it is to be made.
    pub fn take(&mut self, is_finite: bool) -> bool {
        if is_finite {
            self.good_steps += 1;
            if self.good_steps == Self::GROWTH_INTERVAL {
                self.scale *= 2.0;
                self.good_steps = 0;
            }
        } else {
            self.scale /= 2.0;
            self.good_steps = 0;
            self.skipped_steps += 1;
        }
        is_finite
    }

    /// Whether no scale would do.
    pub fn is_exhausted(&self) -> bool {
        self.scale < Self::LEAST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_halved_at_an_overflow_and_doubled_after_two_thousand_good_steps() {
        let mut scale = LossScale::of(MixedPrecision::F16, None).expect("f16 has one");
        assert_eq!(scale.scale, 65_536.0);
        assert!(!scale.take(false));
        assert!((0..1_999).all(|_| scale.take(true)));
        assert_eq!((scale.scale, scale.good_steps), (32_768.0, 1_999));
        // One overflow, and the count begins again.
        scale.take(false);
        assert!((0..1_999).all(|_| scale.take(true)));
        assert_eq!(scale.scale, 16_384.0);
        scale.take(true);
        assert_eq!((scale.scale, scale.good_steps), (32_768.0, 0));
        assert_eq!(scale.skipped_steps, 2);
        assert!((0..15).all(|_| !scale.take(false)) && !scale.is_exhausted());
        scale.take(false);
        assert!(scale.is_exhausted());
        for other in [MixedPrecision::F32, MixedPrecision::Bf16] {
            assert_eq!(LossScale::of(other, Some(scale)), None);
        }
    }
}
