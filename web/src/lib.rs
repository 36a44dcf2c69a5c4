//! The playground: one app, in the browser and in a native window, that trains both models and shows how diffusion writes.
//!
//! Data flows one way: the [`link`] brings the lab's events, [`state`] folds them into what the app knows, the [`screens`]
//! show it and send commands back through the link. No tensor is ever touched here; in the browser the lab runs in a
//! worker, a program of its own (`worker/main.rs`), and this library without any model is the page.
//!
//! - [`app`]: the frame around the screens: tabs, keys, notices.
//! - [`link`]: the way to the lab: a thread natively, a worker in the browser; restarts what fails.
//! - [`state`]: what is known: runs, curves, verdicts, traces.
//! - `script`: in the browser, what is asked of it by hand.
//! - [`settings`]: the run under edit: fields, presets, links.
//! - [`screens`]: Race, Denoise, Inspect, Runs, Device.
//! - [`theatre`]: what the Denoise screen plays.
//! - [`widgets`]: what screens share: cells, charts, explanations.
//! - [`theme`]: every colour and size.
//! - [`numbers`]: figures as people read them.
//! - [`hook`]: what is on the screen, as tests read it.

pub mod app;
pub mod hook;
pub mod link;
pub mod numbers;
pub mod screens;
#[cfg(target_family = "wasm")]
pub mod script;
pub mod settings;
pub mod state;
pub mod theatre;
pub mod theme;
pub mod widgets;
