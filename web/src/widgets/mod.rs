//! What screens share.

pub mod cell;
pub mod cells;
pub mod heat_map;
pub mod icons;
pub mod legend;
pub mod sparks;
