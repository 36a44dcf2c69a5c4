//! What screens share.

pub mod button;
pub mod chart;
pub mod explain;
pub mod field;
