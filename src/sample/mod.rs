//! Sampling: how a model writes.
//!
//! A [`Predictor`](crate::model::Predictor) and what to write enter; tokens leave, with a record of every step. There
//! are two ways: [`decode`] adds one token after the other; [`denoise`] starts from MASK wherever nothing is given and
//! fills in over some steps, an [`Order`] deciding which positions each step commits. A [`Choice`] turns
//! a distribution into a token in both, and [`Caching`] says what is kept between two readings of a page.
//!
//! Sample `i` of a seed draws from a stream of its own, so it is the same however many are written at once. Strings,
//! files and views are not known here: a [`Trace`] is the whole story, for whoever shows it.

mod autoregressive;
mod canvas;
mod denoise;
mod draw;
mod order;
mod reading;
mod trace;
mod way;

pub use autoregressive::{Decoding, decode};
pub use canvas::{Cell, Sample};
pub use denoise::{Denoising, denoise};
pub use draw::{Choice, Drawn, Precision};
pub use order::{Decision, Order, Parameters, Remasking, Sampler, Schedule, Score, StepView};
pub use reading::Caching;
pub use trace::{Edit, Footer, Header, Parent, Settings, Step, Trace};
pub use way::Way;
