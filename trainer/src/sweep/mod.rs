//! Sweeps: many races that differ in chosen settings, in one folder.
//!
//! [`file`] is what a sweep's file asks for, [`ready`] those that come with the program, [`place`] the folder of one, and
//! [`runner`] the processes that carry its runs out, several at once.

pub mod file;
pub mod place;
pub mod ready;
pub mod runner;
