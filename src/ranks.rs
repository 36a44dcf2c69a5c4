//! The processes that train one model together: what each computes of a batch, and what they tell one another.
//!
//! Every rank runs the same program on the same configuration and comes to the same decisions; only the sums of a step need the
//! others. What differs from one process to the next (a clock, a wish to stop, a file that can't be read) is agreed upon
//! first, so that no rank waits for a sum that the others don't make. The engine is not here: whoever starts the program
//! brings one that moves the bytes ([`Exchange`]), MPI for instance.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::platform;

/// Moves numbers between processes. Each call is made by all of them, in the same order and with lengths that fit.
pub trait Exchange: fmt::Debug + Send + Sync {
    /// Which of the processes this is, from 0.
    fn rank(&self) -> usize;
    /// How many there are.
    fn count(&self) -> usize;
    /// Replaces the values by their sums over all ranks.
    fn sum(&self, values: &mut [f32]);
    /// Sums over all ranks, of which each gets its own part: `[count * part]` -> `[part]`.
    fn sum_part(&self, values: &[f32]) -> Vec<f32>;
    /// Joins the parts of all ranks in their order: `[part]` -> `[count * part]`.
    fn join(&self, part: &[f32]) -> Vec<f32>;
    /// What every rank says, in their order; the lengths may differ.
    fn tell(&self, said: &[u8]) -> Vec<Vec<u8>>;
    /// The engine's way between the ranks' devices; without one, what they hold goes through the host.
    fn on_devices(&self) -> Option<&dyn OnDevices> {
        None
    }
}

/// Moves numbers between the devices of the ranks, without the host in between. Each call is made by all of them, in the same
/// order and with lengths that fit; an error ends the run, as the others can't know of it.
pub trait OnDevices {
    /// Waits until the device has computed these values.
    ///
    /// # Errors
    /// When the device fails.
    fn wait_for(&self, values: &Tensor<1>) -> Result<()>;
    /// Sums over all ranks: `[values]` -> `[values]`.
    ///
    /// # Errors
    /// When the device or the engine fails.
    fn sum(&self, values: Tensor<1>) -> Result<Tensor<1>>;
    /// Sums over all ranks, of which each gets its own part: `[count * part]` -> `[part]`.
    ///
    /// # Errors
    /// When the device or the engine fails.
    fn sum_part(&self, values: Tensor<1>) -> Result<Tensor<1>>;
    /// Joins the parts of all ranks in their order: `[part]` -> `[count * part]`.
    ///
    /// # Errors
    /// When the device or the engine fails.
    fn join(&self, part: Tensor<1>) -> Result<Tensor<1>>;
}

/// The ranks of a run: one, unless somebody brought an engine.
#[derive(Debug, Clone, Default)]
pub struct Ranks(Option<Connected>);

/// The engine, and how long this rank has been in it: moving bytes, and waiting for the others.
#[derive(Debug, Clone)]
struct Connected {
    engine: Arc<dyn Exchange>,
    nanoseconds: Arc<AtomicU64>,
}

impl Connected {
    fn exchange<Output>(&self, exchange: impl FnOnce(&dyn Exchange) -> Output) -> Output {
        let began = platform::now();
        let output = exchange(&*self.engine);
        let spent = began.elapsed().as_nanos() as u64;
        self.nanoseconds.fetch_add(spent, Ordering::Relaxed);
        output
    }

    fn tell(&self, said: &[u8]) -> Vec<Vec<u8>> {
        self.exchange(|engine| engine.tell(said))
    }
}

/// The devices of a run's ranks, between which the engine moves numbers.
pub struct DeviceRanks<'a> {
    others: &'a Connected,
    engine: &'a dyn OnDevices,
}

impl DeviceRanks<'_> {
    /// [`OnDevices::sum`].
    ///
    /// # Errors
    /// When the device or the engine fails.
    pub fn sum(&self, values: Tensor<1>) -> Result<Tensor<1>> {
        self.exchange(values, |engine, values| engine.sum(values))
    }

    /// [`OnDevices::sum_part`].
    ///
    /// # Errors
    /// When the device or the engine fails.
    pub fn sum_part(&self, values: Tensor<1>) -> Result<Tensor<1>> {
        self.exchange(values, |engine, values| engine.sum_part(values))
    }

    /// [`OnDevices::join`].
    ///
    /// # Errors
    /// When the device or the engine fails.
    pub fn join(&self, part: Tensor<1>) -> Result<Tensor<1>> {
        self.exchange(part, |engine, part| engine.join(part))
    }

    fn exchange(
        &self,
        values: Tensor<1>,
        exchange: impl FnOnce(&dyn OnDevices, Tensor<1>) -> Result<Tensor<1>>,
    ) -> Result<Tensor<1>> {
        // What this device still has to compute is no exchange.
        self.engine.wait_for(&values)?;
        self.others.exchange(|_| exchange(self.engine, values))
    }
}

/// How one rank tells the others that it can't go on.
#[derive(Serialize, Deserialize)]
struct Refusal {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Ranks {
    /// A process by itself.
    pub fn alone() -> Self {
        Self(None)
    }

    /// Those that an engine connects.
    pub fn connected(exchange: Arc<dyn Exchange>) -> Self {
        Self((exchange.count() > 1).then(|| Connected {
            engine: exchange,
            nanoseconds: Arc::default(),
        }))
    }

    /// Which this is, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |others| others.engine.rank())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |others| others.engine.count())
    }

    /// Whether this is the one that writes files and speaks to people.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// This rank's part of a range; the parts' sizes differ by one at most.
    pub fn share(&self, range: Range<usize>) -> Range<usize> {
        let (start, total) = (range.start, range.len());
        let cut = |rank: usize| start + rank * total / self.count();
        cut(self.rank())..cut(self.rank() + 1)
    }

    /// Replaces the values by their sums over all ranks.
    pub fn sum(&self, values: &mut [f32]) {
        if let Some(others) = &self.0 {
            others.exchange(|engine| engine.sum(values));
        }
    }

    /// This rank's part of the sums over all ranks: `[count * part]` -> `[part]`.
    pub fn sum_part(&self, values: Vec<f32>) -> Vec<f32> {
        match &self.0 {
            Some(others) => others.exchange(|engine| engine.sum_part(&values)),
            None => values,
        }
    }

    /// The parts of all ranks in their order: `[part]` -> `[count * part]`.
    pub fn join(&self, part: Vec<f32>) -> Vec<f32> {
        match &self.0 {
            Some(others) => others.exchange(|engine| engine.join(&part)),
            None => part,
        }
    }

    /// The ranks' devices, where the engine moves numbers between them; otherwise those go through the host.
    pub fn on_devices(&self) -> Option<DeviceRanks<'_>> {
        let others = self.0.as_ref()?;
        let engine = others.engine.on_devices()?;
        Some(DeviceRanks { others, engine })
    }

    /// The lists of all ranks, one after the other in their order; the lengths may differ.
    pub fn gather(&self, own: Vec<f64>) -> Vec<f64> {
        let Some(others) = &self.0 else {
            return own;
        };
        let bytes: Vec<u8> = own.iter().flat_map(|value| value.to_le_bytes()).collect();
        others
            .tell(&bytes)
            .iter()
            .flat_map(|bytes| bytes.as_chunks::<8>().0)
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect()
    }

    /// What every rank says, in their order.
    pub fn say(&self, own: String) -> Vec<String> {
        match &self.0 {
            Some(others) => {
                let said = others.tell(own.as_bytes());
                said.iter()
                    .map(|text| String::from_utf8_lossy(text).into_owned())
                    .collect()
            }
            None => vec![own],
        }
    }

    /// How long this rank has been exchanging numbers with the others so far, and waiting for them.
    pub fn exchanging(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |others| {
            Duration::from_nanos(others.nanoseconds.load(Ordering::Relaxed))
        })
    }

    /// Whether any rank says so.
    pub fn any(&self, said: bool) -> bool {
        match &self.0 {
            Some(others) => others.tell(&[said.into()]).iter().any(|said| said == &[1]),
            None => said,
        }
    }

    /// What the first rank says, whatever the others do.
    pub fn first_says(&self, said: bool) -> bool {
        match &self.0 {
            Some(others) => others.tell(&[said.into()])[0] == [1],
            None => said,
        }
    }

    /// Goes on if every rank can; otherwise all fail by the first one's error.
    ///
    /// # Errors
    /// That of the first rank that has one, which is named unless it is the first of all.
    pub fn agree<T>(&self, result: Result<T>) -> Result<T> {
        let Some(others) = &self.0 else {
            return result;
        };
        let said = match &result {
            Ok(_) => Vec::new(),
            Err(error) => serde_json::to_vec(&Refusal {
                kind: error.kind(),
                message: error.to_string(),
                hint: error.hint().map(str::to_owned),
            })
            .unwrap_or_else(|_| b"{}".to_vec()),
        };
        let said = others.tell(&said);
        let Some(rank) = said.iter().position(|said| !said.is_empty()) else {
            return result;
        };
        let refused = serde_json::from_slice(&said[rank]).unwrap_or_else(|_| Refusal {
            kind: Kind::Work,
            message: "it failed without a reason that can be told".to_owned(),
            hint: None,
        });
        let message = match rank {
            0 => refused.message,
            _ => format!("rank {rank}: {}", refused.message),
        };
        let error = match refused.kind {
            Kind::Input => Error::input(message),
            Kind::Work => Error::work(message),
            Kind::Interrupted => Error::interrupted(message),
        };
        Err(match refused.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }

    /// Refuses ranks that differ in what they must have in common: pairs of what it is and how it is here.
    ///
    /// # Errors
    /// Names the two ranks and how it is there.
    pub fn in_common(&self, facts: &[(&str, String)]) -> Result<()> {
        let Some(others) = &self.0 else {
            return Ok(());
        };
        for (what, here) in facts {
            let said = others.tell(here.as_bytes());
            if let Some(rank) = said.iter().position(|there| there != &said[0]) {
                let [first, other] =
                    [&said[0], &said[rank]].map(|said| String::from_utf8_lossy(said));
                // Of a long text the line that differs.
                let lines = first.lines().zip(other.lines());
                let (first, other) = lines
                    .clone()
                    .find(|(first, other)| first != other)
                    .unwrap_or((&first, &other));
                return Err(Error::input(format!(
                    "the ranks differ in their {what}: rank 0 has `{first}`, rank {rank} has `{other}`"
                ))
                .with_hint("start all of them with the same program, command and files"));
            }
        }
        Ok(())
    }
}
