//! What screens share.

pub mod button;
pub mod cell;
pub mod cells;
pub mod chart;
pub mod explain;
pub mod field;
pub mod heat_map;
pub mod icons;
pub mod legend;
pub mod sparks;
