//! Crossover trains small autoregressive and diffusion language models side by side and measures where one overtakes
//! the other.
//!
//! A short race on a source whose entropy is known:
//!
//! ```
//! use burn::tensor::Device;
//! use crossover::device::{DeviceChoice, Selected};
//! use crossover::lab::{Command, Event, Lab, Outcome};
//! use crossover::ranks::Ranks;
//! use crossover::train::RunConfig;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let chain = folder.path().join("chain.toml");
//! std::fs::write(&chain, "transition = [[0.9, 0.1], [0.4, 0.6]]").unwrap();
//! let mut config = RunConfig::default();
//! config.corpus.source = vec![format!("markov:{}", chain.display())];
//! config.corpus.length = Some(8);
//! config.model.hidden_size = 16;
//! config.model.num_hidden_layers = 1;
//! config.train.steps = Some(30);
//! config.train.learning_rate = 1e-2;
//!
//! let lab = Lab::open(Selected {
//!     device: Device::flex(),
//!     choice: DeviceChoice::Cpu,
//!     threads: 1,
//!     description: "the processor".to_owned(),
//!     ranks: Ranks::alone(),
//! });
//! lab.send(Command::Start {
//!     config: Box::new(config),
//!     folder: folder.path().join("run").display().to_string(),
//!     force: false,
//! });
//! while let Ok(event) = lab.events().recv_blocking() {
//!     if let Event::Result(outcome) = event {
//!         let Outcome::Race(race) = *outcome else { unreachable!("two models make a race") };
//!         let floor = race.floor_nats.unwrap();
//!         assert!(race.ar_best_nats > floor - 3.0 * race.ar_best_se);
//!         assert!(race.ar_best_nats < floor + 0.1);
//!         break;
//!     }
//! }
//! ```
//!
//! The rooms, in the order data flows; each imports only from those above it:
//!
//! - [`error`], [`device`], [`random`], [`ranks`], [`platform`]: the ground floor, open to all.
//! - [`corpus`]: text to tokens, a budget of unique tokens, the order of windows, three parts that never touch.
//! - [`model`]: one decoder for every objective; only who may see whom differs.
//! - [`objective`]: what is hidden, what is predicted, and how predictions are weighted.
//! - [`laws`]: FLOPs of training and generation, and published laws to set beside a measurement.
//! - [`sample`]: writing text, token after token or by denoising, every step recorded in a trace.
//! - [`evaluate`]: likelihoods and bounds, and the variety of written text, with standard errors.
//! - [`train`]: the optimizer step, checkpoints, the run directory.
//! - [`lab`]: the one door to runs: a [`lab::Command`] goes in, [`lab::Event`]s come out.

pub mod corpus;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod lab;
pub mod laws;
pub mod model;
pub mod objective;
pub mod platform;
pub mod random;
pub mod ranks;
pub mod sample;
pub mod train;
