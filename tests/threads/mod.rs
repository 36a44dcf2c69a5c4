//! Ranks as threads of a test, which exchange numbers through memory.

#![allow(dead_code, reason = "each file of tests uses a part of this")]

use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use burn::tensor::{Tensor, TensorData};
use crossover::error::Result;
use crossover::ranks::{Exchange, OnDevices, Ranks};

/// One of several threads.
#[derive(Debug)]
struct Thread {
    rank: usize,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
    together: Arc<Barrier>,
    /// How long it takes to ask which it is: a rank does so in each of its steps.
    delay: Duration,
    /// Whether it reaches the memory of the others' devices.
    on_devices: bool,
}

impl Exchange for Thread {
    #[allow(clippy::disallowed_methods, reason = "no browser runs this test")]
    fn rank(&self) -> usize {
        thread::sleep(self.delay);
        self.rank
    }

    fn count(&self) -> usize {
        self.said.lock().unwrap().len()
    }

    fn sum(&self, values: &mut [f32]) {
        let told = self.numbers(values);
        for (index, value) in values.iter_mut().enumerate() {
            *value = told.iter().map(|list| list[index]).sum();
        }
    }

    fn sum_part(&self, values: &[f32]) -> Vec<f32> {
        let mut sums = values.to_vec();
        Exchange::sum(self, &mut sums);
        let part = values.len() / self.count();
        sums[self.rank * part..][..part].to_vec()
    }

    fn join(&self, part: &[f32]) -> Vec<f32> {
        self.numbers(part).concat()
    }

    fn tell(&self, said: &[u8]) -> Vec<Vec<u8>> {
        self.said.lock().unwrap()[self.rank] = said.to_vec();
        self.together.wait();
        let told = self.said.lock().unwrap().clone();
        self.together.wait();
        told
    }

    fn on_devices(&self) -> Option<&dyn OnDevices> {
        self.on_devices.then_some(self)
    }
}

/// The devices are processors, whose memory is this.
impl OnDevices for Thread {
    fn wait_for(&self, _: &Tensor<1>) -> Result<()> {
        Ok(())
    }

    fn sum(&self, values: Tensor<1>) -> Result<Tensor<1>> {
        Ok(exchanged(&values, |list| {
            let mut sums = list.to_vec();
            Exchange::sum(self, &mut sums);
            sums
        }))
    }

    fn sum_part(&self, values: Tensor<1>) -> Result<Tensor<1>> {
        Ok(exchanged(&values, |list| Exchange::sum_part(self, list)))
    }

    fn join(&self, part: Tensor<1>) -> Result<Tensor<1>> {
        Ok(exchanged(&part, |list| Exchange::join(self, list)))
    }
}

fn exchanged(values: &Tensor<1>, exchange: impl FnOnce(&[f32]) -> Vec<f32>) -> Tensor<1> {
    let data = pollster::block_on(values.clone().into_data_async()).unwrap();
    let list = data.try_to_vec::<f32>().unwrap();
    let list = exchange(&list);
    let count = list.len();
    Tensor::from_data(TensorData::new(list, [count]), &values.device())
}

impl Thread {
    fn numbers(&self, values: &[f32]) -> Vec<Vec<f32>> {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let told = self.tell(&bytes);
        let numbers = |bytes: &Vec<u8>| {
            let quads = bytes.as_chunks::<4>().0.iter();
            quads.map(|quad| f32::from_le_bytes(*quad)).collect()
        };
        told.iter().map(numbers).collect()
    }
}

/// What a task gives on each of several ranks.
pub fn on<Output: Send>(count: usize, task: impl Fn(Ranks) -> Output + Sync) -> Vec<Output> {
    started(count, None, false, task)
}

/// The same, where the engine reaches the ranks' devices.
pub fn on_devices<Output: Send>(
    count: usize,
    task: impl Fn(Ranks) -> Output + Sync,
) -> Vec<Output> {
    started(count, None, true, task)
}

/// The same, where one of them may be slower than the others: which, and by how much whenever it is asked who it is.
pub fn on_slow<Output: Send>(
    count: usize,
    slow: Option<(usize, Duration)>,
    task: impl Fn(Ranks) -> Output + Sync,
) -> Vec<Output> {
    started(count, slow, false, task)
}

fn started<Output: Send>(
    count: usize,
    slow: Option<(usize, Duration)>,
    on_devices: bool,
    task: impl Fn(Ranks) -> Output + Sync,
) -> Vec<Output> {
    let said = Arc::new(Mutex::new(vec![Vec::new(); count]));
    let together = Arc::new(Barrier::new(count));
    thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .map(|rank| {
                let ranks = Ranks::connected(Arc::new(Thread {
                    rank,
                    said: said.clone(),
                    together: together.clone(),
                    delay: slow
                        .filter(|(slow, _)| *slow == rank)
                        .map_or(Duration::ZERO, |(_, delay)| delay),
                    on_devices,
                }));
                let task = &task;
                scope.spawn(move || task(ranks))
            })
            .collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    })
}
